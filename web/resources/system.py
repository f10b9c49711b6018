"""/health, /ready, /openapi.json, /docs. `/metrics` is in `metrics.py`."""

from typing import Any

import trio
from pydantic_core import to_json

from actors import messages as m
from headway.model.health import Health, Ready
from headway.model.problem import Refusal
from web.api.openapi import STYLE, document, page
from web.api.response import Response
from web.api.routes import Routes
from web.api.version import installed_version
from web.context import Context
from web.resources import unconfigured

PROBE_S = 2.0
# The page of the API carries no script at all.
DOCS_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def register(routes: Routes, context: Context) -> None:
    """Add the operations on the server itself."""
    register_state(routes, context)
    register_docs(routes)


def register_state(routes: Routes, context: Context) -> None:
    """Health and readiness."""
    installed = installed_version()

    @routes.add("GET", "/health", tag="system", summary="The process answers")
    async def health() -> Health:
        return Health(status="ok", version=installed)

    @routes.add(
        "GET",
        "/ready",
        tag="system",
        summary="503 while starting, shutting down or degraded, with the reason",
        refusals=("shutting_down", "unavailable"),
    )
    async def ready() -> Ready:
        if context.draining.is_set():
            raise Refusal("shutting_down", "the server is shutting down")
        if not context.ready.is_set():
            raise Refusal("unavailable", "the server is starting")
        await probe(context)
        if (condition := context.events.host_condition) is not None:
            raise Refusal("unavailable", f"degraded: nothing starts: {condition.reason}")
        return Ready(
            status="ready",
            database="checking" if context.inspector.checked_at is None else "checked",
            warnings=warnings(context),
        )


def warnings(context: Context) -> list[str]:
    """What works, and needs the operator all the same: a sentence each."""
    return [*context.storage.warnings(), *unconfigured.warnings(context)]


async def probe(context: Context) -> None:
    """Return if the scheduler works.

    Raises:
        Refusal: `unavailable`, when it has crashed, cannot write, or does not answer in time.
    """
    with trio.move_on_after(PROBE_S):
        try:
            await context.ask(m.Probe())
        except Refusal as refusal:
            raise Refusal("unavailable", f"degraded: {refusal.detail}") from None
        return
    raise Refusal("unavailable", f"degraded: the scheduler has not answered for {PROBE_S:g} s")


def register_docs(routes: Routes) -> None:
    """The API's description, made once, when it is first asked for."""
    cache: dict[str, bytes] = {}

    def described() -> dict[str, Any]:
        return document(routes, installed_version())

    @routes.add("GET", "/openapi.json", tag="system", summary="This document")
    async def openapi() -> Response[dict[str, Any]]:
        if "json" not in cache:
            cache["json"] = to_json(described())
        return Response(body=cache["json"])

    @routes.add(
        "GET", "/docs", tag="system", summary="This document, to read", media=("text/html",)
    )
    async def docs() -> Response[None]:
        if "html" not in cache:
            cache["html"] = page(described()).encode()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": DOCS_POLICY,
        }
        return Response(body=cache["html"], headers=headers)

    @routes.add(
        "GET", "/docs/style.css", tag="system", summary="How /docs looks", media=("text/css",)
    )
    async def docs_style() -> Response[None]:
        return Response(body=STYLE.encode(), headers={"Content-Type": "text/css; charset=utf-8"})
