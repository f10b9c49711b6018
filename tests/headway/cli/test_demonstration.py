"""The demo against a small real HTTP server: what it prints for each end of a Job."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from headway.cli.demonstration import demo
from tests.headway.sample import job, run

CARD = {
    "topic": "lighthouse",
    "tags": ["keeper", "lamp"],
    "passages": [{"text": "A promise.", "source": "lighthouses.txt"}],
}
FILES = {
    "job-research": {"card.json": json.dumps(CARD).encode()},
    "job-story": {"one.md": b"# The Third Call\n\nIt rang.\x1b[2J\n", "two.md": b"# Other\n"},
}


class Fake:
    """Both Jobs are over as soon as they are queued, with these statuses."""

    def __init__(self) -> None:
        self.status = {"research": "COMPLETED", "story": "COMPLETED"}
        self.runs = True
        self.submitted: list[tuple[str, Any]] = []

    def answer(self, path: str, body: Any) -> bytes | dict[str, Any] | None:
        if path == "/jobs":
            self.submitted.append((body["type"], body["params"]))
            return self.job(body["type"])
        _, jobs, job_id, *rest = path.partition("?")[0].split("/") + [""] * 2
        if jobs != "jobs":
            return None
        kind = job_id.removeprefix("job-")
        match [part for part in rest if part]:
            case []:
                return self.job(kind)
            case ["runs"]:
                return {"runs": [self.run(kind)] if self.runs else [], "total": 1}
            case ["artifacts"]:
                names = [{"name": n, "size_bytes": 9, "sha256": "0"} for n in FILES[job_id]]
                return {"artifacts": names, "collection": {"complete": True, "reason": None}}
            case ["artifacts", name]:
                return FILES[job_id][name]
        return None

    def job(self, kind: str) -> dict[str, Any]:
        return job(
            self.status[kind],
            job_id=f"job-{kind}",
            type=kind,
            reason="it expired",
            finished_at="2031-05-01T08:00:02Z",
        )

    def run(self, kind: str) -> dict[str, Any]:
        error = {"code": "timeout", "message": "it took longer than 900 s"}
        failed = self.status[kind] == "FAILED"
        return run(
            job_id=f"job-{kind}",
            type=kind,
            status=self.status[kind],
            error=error if failed else None,
            duration_s=2.0,
            result=None,
        )


@pytest.fixture
def fake() -> Iterator[tuple[Fake, str]]:
    state = Fake()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            answer = state.answer(self.path, body)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        do_GET = do_POST = reply

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.001,))
        thread.start()
        yield state, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def play(url: str, data_dir: Path | None = None) -> tuple[int, str]:
    text = io.StringIO()
    status = demo(url, Console(file=text, width=60), data_dir)
    return status, text.getvalue()


def test_the_demo_shows_a_card_and_a_story(fake: tuple[Fake, str]) -> None:
    state, url = fake
    status, text = play(url)
    assert status == 0
    assert state.submitted == [
        ("research", {"topic": "lighthouse"}),
        ("story", {"max_stories": 3, "topic": "lighthouse", "enable_dedup": True}),
    ]
    assert "research: done in 2 s." in text
    assert "The card “lighthouse”, tags: keeper, lamp" in text
    assert "A promise." in text
    assert "The Third Call" in text
    assert "It rang.␛[2J" in text
    assert "\x1b" not in text
    assert f"{url}/jobs/job-story/artifacts/two.md" in text
    assert f"headway show job-story --url {url}" in text


def test_the_demo_names_places_on_disk_if_it_knows_where(fake: tuple[Fake, str]) -> None:
    _, url = fake
    text = play(url, Path("/data dir"))[1]
    assert "  /data dir/runs/run-1/artifacts/one.md\n" in text
    assert "Its file: /data dir/runs/run-1/artifacts/card.json\n" in text
    assert "  headway serve --data-dir '/data dir' &\n  headway show job-story\n" in text
    assert url not in text


def test_the_demo_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headway.client.session.RETRY_DELAYS_S", ())
    assert play("http://127.0.0.1:9")[0] == 3
    assert "headway: no headway server answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "runs", "code", "words"),
    [
        ("SKIPPED", True, 0, "story: nothing to do"),
        ("SKIPPED", False, 0, "story: it never started: it expired."),
        ("CANCELLED", True, 1, "story: it was cancelled"),
        ("FAILED", True, 1, "story: failed in 2 s: timeout: it took longer than 900 s. `headway"),
    ],
)
def test_the_demo_prints_how_it_ended(
    fake: tuple[Fake, str], status: str, runs: bool, code: int, words: str
) -> None:
    state, url = fake
    state.status["story"] = status
    state.runs = runs
    ended, text = play(url)
    assert ended == code
    assert words in text
    assert "The Third Call" not in text


def test_the_demo_fails_with_its_research(fake: tuple[Fake, str]) -> None:
    state, url = fake
    state.status["research"] = "FAILED"
    status, text = play(url)
    assert status == 1
    assert "The card" not in text
