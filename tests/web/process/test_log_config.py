"""The content of the log: a failure with its place, and no value of a client's."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from web.process.log_config import LogLevel, configure_logging, neutralise

FAIL = """
import structlog, web.process.log_config, web.process.log_stream
stream = web.process.log_stream.LogStream(2)
web.process.log_config.configure_logging(stream, {style!r}, "info")
def fail(secret):
    raise RuntimeError("it broke")
try:
    fail("hun" + "ter2")
except RuntimeError as error:
    structlog.get_logger().error("request failed", exc_info=error, name="a\x1b[2J\x9b1m")
stream.finish()
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_has_no_values(style: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAIL.format(style=style)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert "it broke" in done.stderr
    assert "fail" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or style == "console"
    assert "\x1b[2J" not in done.stderr
    assert "\x9b" not in done.stderr


def test_control_characters_are_replaced_in_text() -> None:
    event = {"event": "run ended", "name": "a\x1b[2J", "code": 7}
    assert neutralise(None, "info", event) == {"event": "run ended", "name": "a␛[2J", "code": 7}


@pytest.mark.parametrize(
    ("level", "passes"),
    [("debug", True), ("info", True), ("warning", False), ("error", False)],
)
def test_less_important_events_are_dropped(level: str, passes: bool) -> None:
    least = LogLevel("debug")
    least.set(level)
    if passes:
        assert least(None, "info", {"event": "x"}) == {"event": "x"}
    else:
        with pytest.raises(structlog.DropEvent):
            least(None, "info", {"event": "x"})


class TextStream(io.StringIO):
    """A stream in memory, as a terminal or not."""

    notice: Any = None

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Structlog as it was, after the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("style", "is_terminal", "is_json"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_only_a_terminal_gets_the_console_style(
    unconfigured: None, style: str, is_terminal: bool, is_json: bool
) -> None:
    stream: Any = TextStream(is_terminal)
    configure_logging(stream, style, "info")
    structlog.get_logger().info("run ended", code=7)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") == is_json
    if is_json:
        logged = json.loads(line)
        assert (logged["event"], logged["code"], logged["level"]) == ("run ended", 7, "info")


@pytest.mark.parametrize("level", ["debug", "error"])
def test_the_notice_of_lost_lines_is_an_event_at_every_level(
    unconfigured: None, level: str
) -> None:
    stream: Any = TextStream(is_terminal=False)
    configure_logging(stream, "json", level)
    notice = json.loads(stream.notice(3))
    assert (notice["event"], notice["lines"]) == ("log lines dropped", 3)
    assert notice["level"] == "warning"
