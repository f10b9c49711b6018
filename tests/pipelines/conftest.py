"""What the tests of the two programs share: a clean environment, a child process, an endpoint."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
NAMES = (
    *("PIPELINES_LIBRARY", "HEADWAY_REPORT", "HEADWAY_ARTIFACTS"),
    *("OPENAI_BASE_URL", "OPENAI_API_KEY"),
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty library that the environment names, as headway's configuration would."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINES_LIBRARY", str(tmp_path / "library"))
    return tmp_path / "library"


@pytest.fixture
def report(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Names a report file; called, it gives the records in it. A line that is no JSON fails."""
    path = tmp_path / "report.jsonl"
    monkeypatch.setenv("HEADWAY_REPORT", str(path))

    def records() -> list[dict[str, Any]]:
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    return records


@pytest.fixture
def launch(library: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m MODULE ARGUMENTS` as a process of its own; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


@dataclass
class Endpoint:
    """A small OpenAI-compatible endpoint: what it answers, and what it was asked."""

    url: str = ""
    status: int = 200
    answer: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def says(self, content: object) -> None:
        self.answer = json.dumps({"choices": [{"message": {"content": content}}]}).encode()


@pytest.fixture
def endpoint(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.asked.append(
                {"path": self.path, "headers": dict(self.headers), **json.loads(body)}
            )
            self.send_response(endpoint.status)
            for name, value in endpoint.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(endpoint.answer)))
            self.end_headers()
            self.wfile.write(endpoint.answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield endpoint
        server.shutdown()
        thread.join(DEADLINE_S)
