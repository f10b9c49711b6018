"""What the operator reads: a failure with its place, and nothing that a client gave."""

import subprocess
import sys

import pytest

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
def test_a_traceback_shows_no_values(style: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAIL.format(style=style)], stderr=subprocess.PIPE, text=True
    )
    assert "it broke" in done.stderr
    assert "fail" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or style == "console"
    assert "\x1b[2J" not in done.stderr
    assert "\x9b" not in done.stderr
