"""/health, /ready, /openapi.json, /docs. `/metrics` is in `metrics.py`."""

from typing import Any, Literal

import trio
from pydantic import BaseModel
from pydantic_core import to_json

from actors import messages as m
from headway.model.problem import Refusal
from web.api.openapi import STYLE, document, page
from web.api.routes import Answer, Api
from web.api.version import installed_version
from web.context import Services
from web.resources import unconfigured

PROBE_S = 2.0
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
    """Health and readiness."""
    installed = installed_version()

    @api.route("GET", "/health", tag="system", summary="The process answers")
    async def health() -> Health:
        return Health(status="ok", version=installed)

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


def warnings(services: Services) -> list[str]:
    """What works, and needs the operator all the same: a sentence each."""
    return [*services.storage.warnings(), *unconfigured.warnings(services)]


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
        return document(api, installed_version())

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
