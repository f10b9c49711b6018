"""/health, /ready, /metrics, /openapi.json, /docs."""

from importlib.metadata import version
from typing import Any, Literal

import trio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from pydantic import BaseModel
from pydantic_core import to_json

from actors import messages as m
from actors.messages import TypeMetrics
from storage.errors import Refusal
from storage.job import RunStatus, SchedulerStatus
from storage.jobs import count_by_status
from web.api import Answer, Api
from web.openapi import STYLE, document, page
from web.scheduler import status_now
from web.services import Services

PROBE_S = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The page of the API carries no script at all.
DOCS_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Ready(BaseModel):
    """Requests are served and Jobs are scheduled.

    `database`: whether all its pages have been checked since the start; damage ends the server.
    `warnings`: what works, and needs the operator all the same.
    """

    status: Literal["ready"]
    database: Literal["checking", "checked"]
    warnings: list[str]


def register(api: Api, services: Services) -> None:
    """Add the operations on the server itself."""
    register_state(api, services)
    register_docs(api)


def register_state(api: Api, services: Services) -> None:
    """Health, readiness, figures."""

    @api.route("GET", "/health", tag="system", summary="The process answers")
    async def health() -> Health:
        return Health(status="ok", version=version("headway"))

    @api.route(
        "GET",
        "/ready",
        tag="system",
        summary="503 while starting, shutting down or degraded, with the reason",
        refusals=("shutting_down", "unavailable"),
    )
    async def ready() -> Ready:
        if services.draining.is_set():
            raise Refusal("shutting_down", "the server is shutting down")
        if not services.ready.is_set():
            raise Refusal("unavailable", "the server is starting")
        await probe(services)
        if (condition := services.feed.host_condition) is not None:
            raise Refusal("unavailable", f"degraded: nothing starts: {condition.reason}")
        return Ready(
            status="ready",
            database="checking" if services.inspector.checked_at is None else "checked",
            warnings=warnings(services),
        )

    @api.route(
        "GET", "/metrics", tag="system", summary="Figures for Prometheus", media=("text/plain",)
    )
    async def prometheus() -> Answer[None]:
        measured = await services.stats.ask(m.GetMetrics())
        registry = CollectorRegistry()
        counts = count_by_status(services.reader)
        dropped = services.log_lines_dropped()
        registry.register(Figures(status_now(services), counts, measured, dropped))
        return Answer(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})


def warnings(services: Services) -> list[str]:
    """What works, and needs the operator all the same: a sentence each."""
    return services.storage.warnings()


async def probe(services: Services) -> None:
    """Return if the scheduler works.

    Raises:
        Refusal: `unavailable`, when it has crashed, cannot write, or does not answer in time.
    """
    with trio.move_on_after(PROBE_S):
        try:
            await services.ask(m.Probe())
        except Refusal as refusal:
            raise Refusal("unavailable", f"degraded: {refusal.detail}") from None
        return
    raise Refusal("unavailable", f"degraded: the scheduler has not answered for {PROBE_S:g} s")


def register_docs(api: Api) -> None:
    """The API's description, made once, when it is first asked for."""
    cache: dict[str, bytes] = {}

    def described() -> dict[str, Any]:
        return document(api, version("headway"))

    @api.route("GET", "/openapi.json", tag="system", summary="This document")
    async def openapi() -> Answer[dict[str, Any]]:
        if "json" not in cache:
            cache["json"] = to_json(described())
        return Answer(body=cache["json"])

    @api.route("GET", "/docs", tag="system", summary="This document, to read", media=("text/html",))
    async def docs() -> Answer[None]:
        if "html" not in cache:
            cache["html"] = page(described()).encode()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": DOCS_POLICY,
        }
        return Answer(body=cache["html"], headers=headers)

    @api.route(
        "GET", "/docs/style.css", tag="system", summary="How /docs looks", media=("text/css",)
    )
    async def docs_style() -> Answer[None]:
        return Answer(body=STYLE.encode(), headers={"Content-Type": "text/css; charset=utf-8"})


class Figures:
    """What one scrape sees, in prometheus-client's words."""

    def __init__(
        self,
        status: SchedulerStatus,
        jobs_by_status: dict[str, int],
        measured: tuple[TypeMetrics, ...],
        log_lines_dropped: int,
    ) -> None:
        self._status = status
        self._jobs = jobs_by_status
        self._measured = measured
        self._log_lines_dropped = log_lines_dropped

    def collect(self) -> list[Metric]:
        """The families, anew for every scrape."""
        status, stats = self._status, self._status.cumulative_stats
        runs = CounterMetricFamily("headway_runs", "Runs that have ended", labels=["status"])
        cancelled = stats.total_executed - stats.succeeded - stats.failed - stats.skipped
        for name, n in (
            (RunStatus.COMPLETED, stats.succeeded),
            (RunStatus.FAILED, stats.failed),
            (RunStatus.SKIPPED, stats.skipped),
            (RunStatus.CANCELLED, cancelled),
        ):
            runs.add_metric([name.value], n)
        jobs = GaugeMetricFamily("headway_jobs", "Jobs by status", labels=["status"])
        for name_, n in self._jobs.items():
            jobs.add_metric([name_], n)
        return [
            runs,
            jobs,
            GaugeMetricFamily(
                "headway_scheduler_running", "1 if Jobs may start", value=status.scheduler_running
            ),
            GaugeMetricFamily(
                "headway_slots", "Jobs that may run at once", value=status.concurrency
            ),
            GaugeMetricFamily(
                "headway_host_condition",
                "1 while the host keeps Jobs from starting: a full disk, no process left, …",
                value=status.host_condition is not None,
            ),
            CounterMetricFamily(
                "headway_log_lines_dropped",
                "Lines of the log that could not be written",
                value=self._log_lines_dropped,
            ),
            *self._times(),
        ]

    def _times(self) -> list[Metric]:
        families: list[Metric] = []
        for name, meaning in (("wait", "Waiting for a slot"), ("run", "Running")):
            family = SummaryMetricFamily(
                f"headway_{name}_seconds", f"{meaning}: the last runs of each type", labels=["type"]
            )
            for entry in self._measured:
                values = entry.wait_s if name == "wait" else entry.run_s
                total_s = entry.wait_sum_s if name == "wait" else entry.run_sum_s
                family.add_metric([entry.type], count_value=entry.runs, sum_value=total_s)
                for quantile, value in values.items():
                    family.add_sample(
                        f"headway_{name}_seconds",
                        {"type": entry.type, "quantile": f"0.{quantile[1:]}"},
                        value,
                    )
            families.append(family)
        return families
