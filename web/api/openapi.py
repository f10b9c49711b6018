"""The description of the API: OpenAPI 3.1 from the routes, and an HTML page of it.

Each refusal of a route is in it with its status, so every response to a client is documented.
"""

import re
from html import escape
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from headway.model.problem import STATUS, Code, Problem
from web.api.problem import PROBLEM_TYPE
from web.api.routes import Body, Header, Route, RouteParameter, Routes

PROBLEM = TypeAdapter(Problem)
ANYWHERE: tuple[Code, ...] = (
    "malformed_request",
    "bad_host",
    "bad_origin",
    "unsupported_media_type",
    "unavailable",
)
READ: tuple[Code, ...] = ("request_timeout", "too_large")
"""Refusals of a body, also of one that the operation does not take."""
WITH_BODY: tuple[Code, ...] = ("malformed_json", "unsupported_media_type", "invalid")
DESCRIPTION = """\
A job server for one machine. A **Job** is a durable request to run one job type once; a \
**JobRun** is the single attempt at it. Times are RFC 3339 in UTC, durations are seconds \
(`_s`). A 201 is on disk. Errors are RFC 9457 problem documents with a stable `code`.

A body that is no batch takes at most 2 MiB and 20,000 values, and so does each Job of a batch; \
params take 1 MiB. A list in a query takes 50 values, and what is given twice counts once. A body, \
or an `Idempotency-Key`, that an operation does not take is rejected."""


def document(routes: Routes, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    schemas, definitions = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "headway", "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": definitions},
    }


def _schemas(routes: Routes) -> tuple[dict[tuple[int, JsonSchemaMode], Any], dict[str, Any]]:
    """Schemas by their adapter, and the definitions that they refer to."""
    inputs: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (id(PROBLEM), "serialization", PROBLEM)
    ]
    for route in routes:
        if route.result is not None:
            inputs.append((id(route.result), "serialization", route.result))
        inputs += [(id(p.adapter), "validation", p.adapter) for p in route.parameters]
    found, rest = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return found, rest.get("$defs", {})


def _operation(route: Route, schemas: dict[tuple[int, JsonSchemaMode], Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__ + ("_sse" if route.path == "/events" else ""),
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, schemas),
    }
    if route.deprecated:
        operation["deprecated"] = True
    others = [p for p in route.parameters if not isinstance(p.source, Body)]
    if others:
        operation["parameters"] = [
            _parameter(p, schemas[id(p.adapter), "validation"]) for p in others
        ]
    if (body := route.body) is not None:
        assert isinstance(body.source, Body)
        operation["requestBody"] = {
            "required": not body.source.optional,
            "content": {"application/json": {"schema": schemas[id(body.adapter), "validation"]}},
        }
    return operation


def _parameter(parameter: RouteParameter, schema: dict[str, Any]) -> dict[str, Any]:
    source = parameter.source
    place = "path" if source is None else "header" if isinstance(source, Header) else "query"
    made: dict[str, Any] = {
        "name": parameter.wire_name,
        "in": place,
        "required": parameter.required,
        "schema": schema,
    }
    if source is not None and not isinstance(source, Body):
        made["description"] = source.description
    return made


def _responses(route: Route, schemas: dict[tuple[int, JsonSchemaMode], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in route.media}
    if route.result is not None:
        content = {route.media[0]: {"schema": schemas[id(route.result), "serialization"]}}
    elif route.media[0].startswith("text/"):
        content = {media: {"schema": {"type": "string"}} for media in route.media}
    headers = {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in route.headers.items()
    }
    responses = {
        str(route.status): {"description": "as asked", "content": content, "headers": headers}
    }
    for status, meaning in route.also.items():
        responses[str(status)] = {"description": meaning, "content": content, "headers": headers}
    codes = set(route.refusals) | set(ANYWHERE) | set(READ)
    if route.body is not None:
        codes |= set(WITH_BODY)
    elif route.method != "GET":
        codes.add("invalid")
    for status in sorted({STATUS[code][0] for code in codes}):
        names = sorted(code for code in codes if STATUS[code][0] == status)
        responses[str(status)] = {
            "description": " or ".join(f"`{name}`" for name in names),
            "content": {PROBLEM_TYPE: {"schema": schemas[id(PROBLEM), "serialization"]}},
            "headers": {},
        }
    return responses


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>headway: the API</title><link rel="stylesheet" href="/docs/style.css">
<main><h1>headway {version}</h1>{description}
<p>The same for machines: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
{operations}<h2>Schemas</h2>{schemas}</main></html>"""

STYLE = """:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
details{border:1px solid #8886;border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:.9em ui-monospace,monospace}pre{overflow:auto}
b{display:inline-block;min-width:4.5rem}.deprecated summary{text-decoration:line-through}
table{border-collapse:collapse}td p{margin:0}
td{border-top:1px solid #8884;padding:.2rem .8rem .2rem 0;vertical-align:top}"""


def page(described: dict[str, Any]) -> str:
    """The document as plain HTML, without scripts, and with nothing loaded from elsewhere."""
    operations = "".join(
        _show_operation(method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_show_schema(schema)}</details>"
        for name, schema in sorted(described["components"]["schemas"].items())
    )
    return PAGE.format(
        version=escape(described["info"]["version"]),
        description=_prose(DESCRIPTION),
        operations=operations,
        schemas=schemas,
    )


def _show_operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}"
        f"<td>{_prose(p.get('description', ''))}"
        for p in operation.get("parameters", ())
    )
    responses = "".join(
        f"<tr><td>{status}<td>{escape(response['description'])}"
        f"<td>{_links(response.get('content', {}))}"
        for status, response in operation["responses"].items()
    )
    body = ""
    if "requestBody" in operation:
        body = f"<p>Body: {_links(operation['requestBody']['content'])}</p>"
    kind = ' class="deprecated"' if operation.get("deprecated") else ""
    return (
        f"<details{kind}><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><table>{parameters}</table>{body}"
        f"<table>{responses}</table></details>"
    )


def _prose(text: str) -> str:
    """HTML of the Markdown in descriptions: paragraphs, **strong** and `code`."""
    shown = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    shown = re.sub(r"`(.+?)`", r"<code>\1</code>", shown)
    return "".join(f"<p>{paragraph}</p>" for paragraph in shown.split("\n\n"))


def _links(content: dict[str, Any]) -> str:
    shown = []
    for media, entry in content.items():
        reference = entry.get("schema", {}).get("$ref", "").rpartition("/")[2]
        link = f' <a href="#{escape(reference)}">{escape(reference)}</a>' if reference else ""
        shown.append(f"<code>{escape(media)}</code>{link}")
    return ", ".join(shown)


def _show_schema(schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td><code>{escape(_type_of(entry))}</code>"
        for name, entry in schema.get("properties", {}).items()
    )
    return f"{_prose(schema.get('description', ''))}<table>{rows}</table>"


def _type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_type_of(option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " | ".join(repr(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"[{_type_of(schema.get('items', {}))}]"
    bounds = [f"{name} {schema[name]}" for name in ("minimum", "maximum") if name in schema]
    return ", ".join([str(schema.get("format", schema.get("type", "any"))), *bounds])
