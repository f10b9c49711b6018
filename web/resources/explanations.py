"""/jobs/{id}/explain: why a Job does not run, its place, and when it will probably start."""

from actors.rules.explanations import Rules, explain
from headway.model.explanation import Explanation
from web.api.routes import Routes
from web.context import Context


def register(routes: Routes, context: Context) -> None:
    """Add the explanation."""

    @routes.add(
        "GET",
        "/jobs/{job_id}/explain",
        tag="jobs",
        summary="Why a Job does not run, how many go before it, when it will probably start",
        refusals=("not_found",),
    )
    async def explain_job(job_id: str) -> Explanation:
        rules = Rules(
            types=context.job_types,
            concurrency=context.core.setup.concurrency,
            draining=context.draining.is_set(),
            host_reason=context.core.host_reason,
            waiting=context.core.waiting,
        )
        now, boot_us = context.clock.now(), context.clock.boot_us()
        return await context.walk(
            lambda connection: explain(connection, job_id, rules, now, boot_us)
        )
