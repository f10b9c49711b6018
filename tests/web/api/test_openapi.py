"""The API's description of itself: valid, complete, and safe to show."""

from typing import Annotated, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from headway.model.problem import CODES, STATUS
from web.api.openapi import ANYWHERE, document, page
from web.api.response import Response
from web.api.routes import Body, Header, Query, Routes
from web.app import make_routes
from web.context import Context


class Small(BaseModel):
    """A thing <script>."""

    n: int
    word: str | None = None


@pytest.fixture
def described() -> dict[str, Any]:
    routes = Routes()

    @routes.add(
        "POST",
        "/small/{name}",
        tag="t",
        summary="Make <b>one</b>",
        status=201,
        refusals=("wrong_state",),
        headers={"Location": "where"},
        deprecated=True,
    )
    async def make_small(
        name: str,
        body: Annotated[Small, Body()],
        q: Annotated[list[int], Query("numbers")] = [],  # noqa: B006
        tag: Annotated[str | None, Header("If-Match", "its tag")] = None,
    ) -> Response[Small]:
        raise AssertionError

    return document(routes, "1.2.3")


@pytest.fixture
async def whole(context: Context) -> dict[str, Any]:
    return document(make_routes(context), "1.2.3")


def test_an_operation_documents_its_arguments_and_result(described: dict[str, Any]) -> None:
    operation = described["paths"]["/small/{name}"]["post"]
    assert {(p["name"], p["in"], p["required"]) for p in operation["parameters"]} == {
        ("name", "path", True),
        ("q", "query", False),
        ("If-Match", "header", False),
    }
    body = operation["requestBody"]
    assert body["required"]
    assert set(body["content"]) == {"application/json"}
    answer = operation["responses"]["201"]
    assert "Location" in answer["headers"]
    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Small")
    assert operation["deprecated"]


def test_every_refusal_stands_under_its_status(described: dict[str, Any]) -> None:
    responses = described["paths"]["/small/{name}"]["post"]["responses"]
    for code in ("wrong_state", "malformed_json", "unsupported_media_type", "invalid", *ANYWHERE):
        response = responses[str(STATUS[code][0])]
        assert f"`{code}`" in response["description"]
        assert set(response["content"]) == {"application/problem+json"}


async def test_the_document_is_valid(whole: dict[str, Any]) -> None:
    assert whole["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(whole).iter_errors()) == []


async def test_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(whole)
    assert found
    schemas = whole["components"]["schemas"]
    assert {reference.rpartition("/")[2] for reference in found} <= set(schemas)


async def test_every_operation_has_a_name_of_its_own(whole: dict[str, Any]) -> None:
    names = [
        operation["operationId"] for path in whole["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names))


async def test_every_route_is_described(whole: dict[str, Any], context: Context) -> None:
    for route in make_routes(context):
        operation = whole["paths"][route.path][route.method.lower()]
        assert str(route.status) in operation["responses"]
        assert operation["summary"]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/jobs", "post"),
        ("/jobs", "get"),
        ("/jobs/batch", "post"),
        ("/jobs/{job_id}", "get"),
        ("/jobs/{job_id}", "patch"),
        ("/jobs/{job_id}", "delete"),
        ("/jobs/{job_id}/cancel", "post"),
        ("/jobs/{job_id}/retry", "post"),
        ("/jobs/{job_id}/runs", "get"),
        ("/jobs/{job_id}/log", "get"),
        ("/jobs/{job_id}/artifacts", "get"),
        ("/jobs/{job_id}/artifacts/{name}", "get"),
        ("/scheduler/start", "post"),
        ("/scheduler/stop", "post"),
        ("/scheduler/status", "get"),
        ("/scheduler/config", "patch"),
        ("/scheduler/reservations", "post"),
        ("/direct/{type}", "post"),
        ("/jobs/{type}/trigger", "post"),
        ("/health", "get"),
        ("/ready", "get"),
        ("/metrics", "get"),
        ("/openapi.json", "get"),
        ("/docs", "get"),
        ("/job-types", "get"),
        ("/events", "get"),
    ],
)
async def test_the_contract_is_all_there(whole: dict[str, Any], path: str, method: str) -> None:
    assert method in whole["paths"][path]


def test_the_page_shows_everything_and_runs_nothing(described: dict[str, Any]) -> None:
    shown = page(described)
    assert "/small/{name}" in shown
    assert "If-Match" in shown
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>one</b>" not in shown
    assert 'class="deprecated"' in shown
    assert "A <strong>Job</strong> is" in shown
    assert "<code>_s</code>" in shown
    assert "http" not in shown.replace("http://", "").partition("<main>")[0]


def test_every_code_is_known() -> None:
    assert set(ANYWHERE) <= set(CODES)
