"""What a program leaves in HEADWAY_ARTIFACTS, and nothing else."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.server import Server


@pytest.fixture
def job_id(server: Server) -> str:
    """A Job that left artifacts."""
    job = server.run("artifacts")
    assert job["status"] == "COMPLETED", server.output(job["job_id"])
    collected(server, job["job_id"])
    return str(job["job_id"])


def collected(server: Server, job_id: str) -> Any:
    """What is listed when all of it is."""
    path = f"/jobs/{job_id}/artifacts"
    answer = server.client.get(path, headers={"Prefer": "wait=14"})
    assert answer.headers["preference-applied"] == "wait=14"
    return answer.json()


def test_files_are_listed_with_size_and_digest(server: Server, job_id: str) -> None:
    content = {"deep/er/odd name é.json": b'{"a":1}', "empty": b"", "plain.txt": b"hello"}
    found = server.get(f"/jobs/{job_id}/artifacts")["artifacts"]
    assert [entry["name"] for entry in found] == sorted(content)
    for entry in found:
        data = content[entry["name"]]
        assert entry["size_bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        answer = server.client.get(f"/jobs/{job_id}/artifacts/{quote(entry['name'])}")
        assert (answer.status_code, answer.content) == (200, data)
    assert server.run_of(job_id)["artifacts"] == found


def test_they_may_be_waited_for(server: Server, gate: Any) -> None:
    job = server.submit("gate", {"path": gate.path})["job_id"]
    assert server.get(f"/jobs/{job}/artifacts")["collection"] == {"complete": False, "reason": None}
    waiting = server.background(collected, server, job)
    server.until_printed(job, b"opened")
    assert not waiting.done()
    gate.open()
    whole = {"artifacts": [], "collection": {"complete": True, "reason": None}}
    assert waiting.result(server.deadline_s) == whole


def test_what_was_left_does_not_run_in_a_browser(server: Server, job_id: str) -> None:
    answer = server.client.get(f"/jobs/{job_id}/artifacts/plain.txt")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert not answer.headers["content-type"].startswith("text/html")


def test_a_range_of_an_artifact(server: Server, job_id: str) -> None:
    path = f"/jobs/{job_id}/artifacts/plain.txt"
    answer = server.client.get(path, headers={"Range": "bytes=1-3"})
    assert (answer.status_code, answer.content) == (206, b"ell")
    assert answer.headers["content-range"] == "bytes 1-3/5"
    assert server.client.get(path, headers={"Range": "bytes=5-"}).status_code == 416


@pytest.mark.parametrize(
    "name",
    [
        "../log", "..%2flog", "%2e%2e/log", "%2e%2e%2flog", "deep/../../log", "..%5clog",
        "../beside",
        "..%2f..%2f..%2fheadway.db", "%2fetc%2fpasswd", "/etc/passwd", "link", "linked/passwd",
        "linked", "pipe", "deep", "deep/er", "", ".", "..", "plain.txt/", "plain.txt%00", "%ff",
        "plain.txt%00.json", "no-such",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server: Server, job_id: str, name: str) -> None:
    request = f"GET /jobs/{job_id}/artifacts/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    status, body = server.speak(request.encode())  # no library that tidies the path
    assert status in (404, 400)
    assert b"root:" not in body
    assert b"outside" not in body


def test_a_job_without_artifacts_has_none(server: Server) -> None:
    job = server.run("ok")
    complete = {"complete": True, "reason": None}
    found = server.get(f"/jobs/{job['job_id']}/artifacts")
    assert found == {"artifacts": [], "collection": complete}
    queued = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    found = server.get(f"/jobs/{queued}/artifacts")
    assert found == {"artifacts": [], "collection": {"complete": False, "reason": None}}


def test_a_directory_that_is_swapped_for_a_link_leads_nowhere(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("outside")
    script = f'rmdir "$HEADWAY_ARTIFACTS"; ln -s {tmp_path}/private "$HEADWAY_ARTIFACTS"'
    job = server.run("shell", {"script": script})
    assert job["status"] == "COMPLETED"
    assert collected(server, job["job_id"])["artifacts"] == []
    assert server.client.get(f"/jobs/{job['job_id']}/artifacts/key").status_code == 404


def test_a_name_that_is_no_unicode_harms_nobody(server: Server) -> None:
    script = 'cd "$HEADWAY_ARTIFACTS"; echo > fine; echo > "$(printf \'bad\\377\')"'
    job = server.run("shell", {"script": script})
    assert job["status"] == "COMPLETED"
    names = [entry["name"] for entry in collected(server, job["job_id"])["artifacts"]]
    assert "fine" in names
