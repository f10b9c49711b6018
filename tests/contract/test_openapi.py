"""What the server says of itself: OpenAPI, /docs, /metrics, /health, /ready, /job-types."""

import re
import time
from datetime import datetime
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.server import Server

# api.md, section 2: every request, and each status that it names for it.
CONTRACT = {
    "POST /jobs": {201, 400, 413, 415, 422, 429, 507},
    "POST /jobs/batch": {201, 400, 413, 415, 422, 429, 507},
    "GET /jobs": {200, 422},
    "GET /jobs/{job_id}": {200, 404},
    "PATCH /jobs/{job_id}": {200, 400, 404, 409, 412, 415, 422, 507},
    "DELETE /jobs/{job_id}": {200, 404, 409, 412, 507},
    "POST /jobs/{job_id}/cancel": {202, 404, 409, 507},
    "POST /jobs/{job_id}/retry": {201, 404, 409, 422, 429, 507},
    "GET /jobs/{job_id}/runs": {200, 404},
    "GET /jobs/{job_id}/explain": {200, 404},
    "GET /jobs/{job_id}/log": {200, 206, 404, 416, 422, 429},
    "GET /jobs/{job_id}/log/times": {200, 404},
    "GET /jobs/{job_id}/artifacts": {200, 404},
    "GET /jobs/{job_id}/artifacts/{name}": {200, 206, 404, 416, 429},
    "POST /scheduler/start": {200, 507},
    "POST /scheduler/stop": {200, 422, 429, 507},
    "GET /scheduler/status": {200},
    "GET /scheduler/config": {200},
    "GET /scheduler/history": {200, 422},
    "PATCH /scheduler/config": {200, 422, 507},
    "POST /scheduler/reservations": {201, 422, 429, 507},
    "DELETE /scheduler/reservations": {200, 507},
    "DELETE /scheduler/reservations/{reservation_id}": {200, 404, 507},
    "POST /direct/{type}": {200, 422, 429, 503, 507},
    "POST /jobs/{type}/trigger": {202, 410, 422, 429, 507},
    "GET /health": {200},
    "GET /ready": {200, 503},
    "GET /metrics": {200},
    "GET /openapi.json": {200},
    "GET /docs": {200},
    "GET /job-types": {200},
    "GET /job-types/{type}": {200, 404},
    "POST /job-types/{type}/preview": {200, 400, 413, 415, 422},
    "GET /events": {200, 422, 429},
}


@pytest.fixture
def document(server: Server) -> Any:
    return server.get("/openapi.json")


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in set(re.findall(r"'\$ref': '([^']+)'", repr(document))):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in found, reference
            found = found[step]


def test_bounds_are_in_the_words_of_json_schema(document: Any) -> None:
    new_job = document["components"]["schemas"]["NewJob"]["properties"]
    assert (new_job["priority"].get("minimum"), new_job["priority"].get("maximum")) == (0, 100)
    assert not re.findall(r"'(?:ge|le|gt|lt|max_length|min_length)': ", repr(document))


@pytest.mark.parametrize("operation", CONTRACT)
def test_every_row_of_the_contract_is_in_it(document: Any, operation: str) -> None:
    found = operations(document)[operation]
    statuses = {int(status) for status in found["responses"]}
    assert statuses >= CONTRACT[operation] | {403, 421}, operation
    for status, response in found["responses"].items():
        if int(status) >= 400:
            assert "application/problem+json" in response["content"], (operation, status)
            (reference,) = response["content"]["application/problem+json"]["schema"].values()
            assert reference.endswith("/Problem")


def test_operation_ids_are_unique(document: Any) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_the_old_endpoint_and_nothing_else_is_deprecated(document: Any) -> None:
    found = operations(document)
    old = [name for name, operation in found.items() if operation.get("deprecated")]
    assert old == ["POST /jobs/{type}/trigger"]
    headers = found[old[0]]["responses"]["202"]["headers"]
    assert {"Deprecation", "Sunset", "Link"} <= set(headers)


def test_headers_of_requests_are_in_it(document: Any) -> None:
    def names(operation: str) -> set[str]:
        return {p["name"] for p in operations(document)[operation].get("parameters", [])}

    assert {"Idempotency-Key", "Prefer"} <= names("POST /jobs")
    assert "Idempotency-Key" in names("POST /jobs/batch")
    assert {"If-Match", "job_id"} <= names("PATCH /jobs/{job_id}")
    assert {"offset", "Range", "Last-Event-ID"} <= names("GET /jobs/{job_id}/log")
    assert {"Last-Event-ID", "after", "job_id", "kind", "type"} <= names("GET /events")
    query = {"status", "type", "label", "q", "limit", "cursor", "order"}
    assert query <= names("GET /jobs")


def test_a_body_is_closed_also_in_the_document(document: Any) -> None:
    schema = operations(document)["POST /jobs"]["requestBody"]["content"]["application/json"]
    name = schema["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_the_docs_load_nothing_from_elsewhere(server: Server) -> None:
    answer = server.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    links = re.findall(r"""(?:src|href|action|data)\s*=\s*["']?([^"'\s>]+)""", answer.text)
    assert links
    for link in links:
        assert link.startswith(("/", "#")), link
        assert not link.startswith("//"), link
        if link.startswith("/"):
            found = server.client.get(link)
            assert found.status_code == 200, link
            assert "url(" not in found.text or link == "/openapi.json"
            assert "@import" not in found.text
    assert "<script" not in answer.text
    for path in server.get("/openapi.json")["paths"]:
        assert path in answer.text


Metrics = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def metrics(server: Server) -> Metrics:
    """By name and labels. The text is as Prometheus wants it."""
    answer = server.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family occurs twice"
    assert all(family.documentation for family in families)
    assert all(family.type != "unknown" for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
    assert len(found) == len(samples), "a sample occurs twice"
    return found


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def test_the_metrics_are_prometheus(server: Server) -> None:
    before = metrics(server)
    server.run("ok")
    server.run("exit", {"code": 1})
    after = metrics(server)
    for status in ("COMPLETED", "FAILED"):
        key = "headway_runs_total", labels(status=status)
        assert after[key] == before[key] + 1
    assert (
        after["headway_jobs_submitted_total", ()] == before["headway_jobs_submitted_total", ()] + 2
    )
    assert after["headway_scheduler_running", ()] == 1
    assert after["headway_slots", ()] == 1
    counts = server.get("/jobs")["counts"]
    assert {s: after["headway_jobs", labels(status=s)] for s in counts} == counts
    server.post("/scheduler/stop")
    assert metrics(server)["headway_scheduler_running", ()] == 0


def test_the_histograms_are_by_type_and_outcome(server: Server) -> None:
    """rate(sum) / rate(count) is what a dashboard shows as the mean."""
    server.run("sleeper", {"time": 0.1})
    ended = labels(type="sleeper", status="COMPLETED")

    def measured() -> Any:
        found = metrics(server)
        return found if found.get(("headway_run_duration_seconds_count", ended)) else None

    found = server.eventually(measured, "the run is measured")
    assert found["headway_run_duration_seconds_sum", ended] >= 0.1
    assert found["headway_wait_seconds_count", labels(type="sleeper")] >= 1
    bucket = "headway_run_duration_seconds_bucket"
    assert found[bucket, labels(type="sleeper", status="COMPLETED", le="0.05")] == 0
    assert (
        found[bucket, labels(type="sleeper", status="COMPLETED", le="+Inf")]
        == (found["headway_run_duration_seconds_count", ended])
    )


def test_the_queue_is_shown_by_type(server: Server) -> None:
    server.post("/scheduler/stop")
    found = metrics(server)
    assert found["headway_oldest_eligible_job_age_seconds", labels(type="ok")] == 0
    server.submit("ok")
    server.submit("ok", run_at="2100-01-01T00:00:00Z")
    found = metrics(server)
    assert found["headway_queued_jobs", labels(type="ok")] == 2
    assert found["headway_deferred_jobs", labels(type="ok")] == 1
    assert found["headway_queued_jobs", labels(type="exit")] == 0
    age = "headway_oldest_eligible_job_age_seconds", labels(type="ok")
    server.eventually(lambda: metrics(server)[age] > found[age] > 0, "it grows")


def test_the_last_success_of_a_type_is_kept_across_restarts(launch: Any) -> None:
    server = launch()
    last = "headway_last_success_timestamp_seconds", labels(type="ok")
    assert metrics(server)[last] == 0
    job = server.run("ok")
    server.run("exit", {"code": 1})
    ended = datetime.fromisoformat(job["finished_at"]).timestamp()
    server.eventually(lambda: metrics(server)[last] == ended, "it is shown")
    server.restart()
    found = metrics(server)
    assert found[last] == ended
    assert found["headway_last_success_timestamp_seconds", labels(type="exit")] == 0
    assert found["headway_runs_total", labels(status="COMPLETED")] == 1
    assert ("headway_wait_seconds_count", labels(type="ok")) not in found


def test_the_process_and_its_files_are_shown(server: Server) -> None:
    found = metrics(server)
    (build,) = (dict(key[1]) for key in found if key[0] == "headway_build_info")
    assert build["version"] == server.get("/health")["version"]
    assert 0 < found["process_start_time_seconds", ()] <= time.time()
    assert found["headway_database_bytes", ()] == (server.data_dir / "headway.db").stat().st_size
    assert found["headway_wal_bytes", ()] == (server.data_dir / "headway.db-wal").stat().st_size
    assert found["headway_disk_free_bytes", ()] > 0
    assert found["headway_database_checked_timestamp_seconds", ()] > 0


def test_health_and_readiness(server: Server) -> None:
    health = server.get("/health")
    assert health["status"] == "ok"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", health["version"])
    assert server.get("/ready") == {"status": "ready", "database": "checked", "warnings": []}


def test_job_types_show_their_parameters_and_not_their_commands(server: Server) -> None:
    found = {entry["name"]: entry for entry in server.get("/job-types")["job_types"]}
    assert {"ok", "gate", "secretive"} <= set(found)
    echo = server.get("/job-types/echo")
    assert echo == found["echo"]
    schema = echo["params_schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["count"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 1,
    }
    assert server.get("/job-types/gate")["params_schema"]["required"] == ["path"]
    assert server.get("/job-types/skips")["skip_exit_codes"] == [3, 4]
    assert server.get("/job-types/hasty")["timeout_s"] == 0.3
    assert server.get("/job-types/single")["concurrency"] == 1
    assert "/bin/sh" not in server.client.get("/job-types").text
    assert server.client.get("/job-types/no-such").status_code == 404
