"""/jobs/{id}/explain: why a Job does not run, its place, and when it will probably start."""

from actors.rules.explanations import Rules, explain
from headway.model.explanation import Explanation
from web.api.routes import Api
from web.context import Services


def register(api: Api, services: Services) -> None:
    """Add the explanation."""

    @api.route(
        "GET",
        "/jobs/{job_id}/explain",
        tag="jobs",
        summary="Why a Job does not run, how many go before it, when it will probably start",
        refusals=("not_found",),
    )
    async def explain_job(job_id: str) -> Explanation:
        rules = Rules(
            types=services.job_types,
            concurrency=services.core.setup.concurrency,
            draining=services.draining.is_set(),
            host_reason=services.core.host_reason,
            waiting=services.core.waiting,
        )
        now, boot_us = services.clock.now(), services.clock.boot_us()
        return await services.walk(
            lambda connection: explain(connection, job_id, rules, now, boot_us)
        )
