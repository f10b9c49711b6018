"""The switch that shows when the lines of a log were written."""

import re
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.server import BrowserServer, Pipe

TODAY = re.compile(r"^\d\d:\d\d:\d\d$")
SHOWN = "getComputedStyle(document.querySelector('.log-line'), '::before').content"


def set_times(server: BrowserServer, job_id: str, records: Sequence[tuple[int, int]]) -> None:
    """Replace the samples of the run's log: (size, second of 2020-03-01) each."""
    (run,) = server.get(f"/jobs/{job_id}/runs")["runs"]
    (log,) = server.directory.glob(f"**/{run['run_id']}/log")
    begin = datetime(2020, 3, 1, tzinfo=UTC).timestamp()
    moments = [struct.pack("<QQ", size, int((begin + s) * 1e6)) for size, s in records]
    log.with_name("times").write_bytes(b"".join(moments))


def times(page: Page) -> list[str | None]:
    lines = page.locator(".log-line")
    return [line.get_attribute("data-at") for line in lines.all()]


def test_each_line_has_the_time_at_which_it_was_written(
    visit: Callable[..., Page], server: BrowserServer, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("바다 \x1b[32m밤\x1b[0m\nlast\n")
    job_id = server.submit("gate", {"path": str(tmp_path / "text")}, name="Timed")
    server.until(job_id, "COMPLETED")
    second = len("waiting\n바다 \x1b[32m밤\x1b[0m\n".encode())
    set_times(server, job_id, [(8, 1), (second, 62), (second + 5, 3723), (second + 17, 90_000)])
    page = visit(f"#/jobs/{job_id}", timezone_id="UTC")
    expect(page.locator(".log-line")).to_have_count(4)
    assert times(page) == [None] * 4
    switch = page.get_by_role("button", name="Times")
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.focus()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".log-line[data-at]")).to_have_count(4)
    assert times(page) == ["03-01 00:00:01", "03-01 00:01:02", "03-01 01:02:03", "03-02 01:00:00"]
    assert page.evaluate(SHOWN) == '"03-01 00:00:01"'
    page.get_by_label("Search the log").fill("00:0")
    expect(page.locator(".log-bar .search-box .dim")).to_have_text("not found")
    assert page.locator(".log-lines").inner_text().split("\n") == [
        "waiting", "바다 밤", "last", "gate closed",
    ]  # fmt: skip
    page.keyboard.press("Escape")
    page.get_by_role("button", name="한국어").click()
    page.reload()
    switch = page.get_by_role("button", name="시각")
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".log-line[data-at]")).to_have_count(4)
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(SHOWN) == "none"


def test_a_line_that_comes_has_its_time_at_once(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("gate", {"path": pipe.path}, name="Timed now")
    page: Any = visit(f"#/jobs/{job_id}")
    lines = page.locator(".log-line")
    expect(lines).to_have_count(1)
    page.get_by_role("button", name="Times").click()
    expect(lines.nth(0)).to_have_attribute("data-at", TODAY)
    pipe.write("half a ")
    expect(lines.nth(1)).to_have_text("half a ")
    before = lines.nth(1).get_attribute("data-at")
    assert TODAY.match(before)
    pipe.write("line\nand more\n")
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_have_text("half a line")
    assert times(page)[1] == before
    assert TODAY.match(times(page)[2] or "")
    pipe.close()
    expect(page.locator(".log-bar > [role=status]")).to_have_text("complete")
    expect(page.locator(".log-line[data-at]")).to_have_count(4)
    assert times(page) == sorted(times(page), key=str)


def test_earlier_lines_have_theirs(
    visit: Callable[..., Page], server: BrowserServer, tmp_path: Path
) -> None:
    line = "밤" * 1000 + "\n"
    (tmp_path / "text").write_text("first\n" + line * 100)
    job_id = server.submit("gate", {"path": str(tmp_path / "text")}, name="Timed long")
    server.until(job_id, "COMPLETED")
    begin = len("waiting\nfirst\n")
    size = len(line.encode())
    set_times(server, job_id, [(begin, 5), *((begin + size * (n + 1), 10 + n) for n in range(100))])
    page = visit(f"#/jobs/{job_id}", timezone_id="UTC")
    page.get_by_role("button", name="Times").click()
    expect(page.locator(".log-line[data-at]").last).to_be_visible()
    assert len(times(page)) < 100
    page.get_by_role("button", name="Load earlier lines").click()
    expect(page.locator(".log-line[data-at]")).to_have_count(103)
    tens = [f"03-01 00:{(10 + n) // 60:02}:{(10 + n) % 60:02}" for n in range(100)]
    assert times(page)[:-1] == ["03-01 00:00:05"] * 2 + tens
