"""The queue: long lists, filters, keys, many Jobs at once, hostile names."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import BrowserServer

MANY = 5_000
LATE = 250
DOM_ROWS_MAX = 80
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def full_server(own_server: BrowserServer) -> BrowserServer:
    """A server with 5,000 Jobs that are not due."""
    jobs = [
        {"type": "ok", "name": f"Job {n:04d}", "run_at": LATER, "labels": {"shelf": str(n % 50)}}
        for n in range(MANY)
    ]
    assert own_server.client.post("/jobs/batch", json={"jobs": jobs}).status_code == 201
    return own_server


def rows(page: Page) -> Any:
    return page.locator("job-table .rows .row")


def row(page: Page, text: str) -> Any:
    return rows(page).filter(has_text=text)


def test_5000_rows_scroll_to_the_last_with_few_elements(
    visit: Callable[..., Page], full_server: BrowserServer
) -> None:
    page = visit(at=full_server)
    expect(row(page, "Job 4999")).to_be_visible()
    page.locator(".grid").focus()
    page.keyboard.press("Shift+G")
    expect(row(page, "Job 0000")).to_be_visible()
    expect(page.locator(".table-foot")).to_have_text("5,000 jobs")
    expect(page.locator(".grid")).to_have_attribute("aria-rowcount", str(MANY + 1))
    assert rows(page).count() < DOM_ROWS_MAX
    page.locator(".grid").evaluate("e => { e.scrollTop = e.scrollHeight / 2; }")
    expect(row(page, "Job 2499")).to_be_attached()
    assert rows(page).count() < DOM_ROWS_MAX
    page.keyboard.press("g")
    expect(row(page, "Job 4999")).to_be_visible()


def test_scrolling_alone_reaches_the_last_row(
    visit: Callable[..., Page], full_server: BrowserServer
) -> None:
    page = visit("#/?label=shelf%3D7&order=asc", at=full_server)
    expect(row(page, "Job 0007")).to_be_visible()
    grid = page.locator(".grid")
    expect(page.locator(".table-foot")).to_have_text("100 jobs")
    grid.evaluate("e => { e.scrollTop = e.scrollHeight; }")
    expect(row(page, "Job 4957")).to_be_visible()


def test_new_jobs_do_not_move_what_is_read(
    visit: Callable[..., Page], full_server: BrowserServer
) -> None:
    page = visit("#/?q=Job", at=full_server)
    expect(row(page, "Job 4999")).to_be_visible()
    grid = page.locator(".grid")
    grid.evaluate("e => { e.scrollTop = 3600; }")
    expect(row(page, "Job 4898")).to_be_visible()
    before = row(page, "Job 4898").bounding_box()
    # More at once than one look at the head can see.
    more = [{"type": "ok", "name": f"Job, late {n}", "run_at": LATER} for n in range(LATE)]
    full_server.client.post("/jobs/batch", json={"jobs": more})
    expect(page.locator(".status-chip .count").first).to_have_text("5,250")
    # Rows are where they were, though so many came in above.
    expect(grid).to_have_js_property("scrollTop", 3600 + LATE * 36)
    assert row(page, "Job 4898").bounding_box() == before


def test_filters_live_in_the_url(visit: Callable[..., Page], full_server: BrowserServer) -> None:
    page = visit(at=full_server)
    page.get_by_role("button", name=re.compile("^Queued")).click()
    page.get_by_label("Search by name").fill("Job 12")
    expect(page.locator(".table-foot")).to_have_text("100 jobs")
    page.get_by_label("Filter by label").fill("shelf=34")
    page.get_by_label("Filter by label").press("Enter")
    expect(page.locator(".table-foot")).to_have_text("2 jobs")
    assert "status=QUEUED" in page.url
    assert "q=Job+12" in page.url
    assert "label=shelf%3D34" in page.url
    page.reload()
    expect(page.locator(".table-foot")).to_have_text("2 jobs")
    expect(page.get_by_label("Search by name")).to_have_value("Job 12")
    page.go_back()
    expect(page.locator(".table-foot")).to_have_text("100 jobs")
    page.get_by_label("Type", exact=True).select_option("fail")
    expect(page.get_by_text("No matching jobs")).to_be_visible()
    page.get_by_role("link", name="Show all jobs").click()
    expect(rows(page).first).to_be_visible()


def test_the_keyboard_is_enough(visit: Callable[..., Page], full_server: BrowserServer) -> None:
    page = visit("#/?order=asc", at=full_server)
    expect(row(page, "Job 0000")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search by name")).to_be_focused()
    page.keyboard.type("Job 000")
    expect(page.locator(".table-foot")).to_have_text("10 jobs")
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.press("j")
    expect(page.locator(".row.active")).to_contain_text("Job 0002")
    page.keyboard.press("k")
    expect(page.locator(".row.active")).to_contain_text("Job 0001")
    active = page.locator(".grid").get_attribute("aria-activedescendant")
    assert active == page.locator(".row.active").get_attribute("id")
    page.keyboard.press("x")
    expect(page.locator(".bulk")).to_contain_text("1 selected")
    page.keyboard.press("Escape")
    expect(page.locator(".bulk")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Job 0001")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next, previous row")
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    expect(page.get_by_role("heading", name="Job 0001")).to_be_visible()


def test_many_are_changed_cancelled_and_retried(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    ids = [server.submit("ok", name=f"Batch {n}", run_at=LATER) for n in range(6)]
    page = visit("#/?q=Batch")
    expect(rows(page)).to_have_count(6)
    row(page, "Batch 4").locator(".cell-box").click()
    row(page, "Batch 1").locator(".cell-box").click(modifiers=["Shift"])
    bulk = page.locator(".bulk")
    expect(bulk).to_contain_text("4 selected")
    bulk.get_by_role("button", name="Priority").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Priority").fill("7")
    dialog.get_by_role("button", name="Change").click()
    expect(row(page, "Batch 2").locator(".cell-priority")).to_have_text("7")
    assert server.get(f"/jobs/{ids[0]}")["priority"] == 0
    bulk.get_by_role("button", name="Cancel").click()
    expect(dialog).to_contain_text("4 are queued and will not start")
    dialog.get_by_role("button", name="Cancel 4 jobs").click()
    expect(page.locator(".rows .row[data-status=CANCELLED]")).to_have_count(4)
    bulk.get_by_role("button", name="Retry").click()
    expect(dialog).to_contain_text("4 new jobs")
    dialog.get_by_role("button", name="Retry").click()
    expect(rows(page)).to_have_count(10)
    expect(page.locator(".rows .row[data-status=COMPLETED]")).to_have_count(4)


def test_running_and_due_jobs_are_shown_live(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    page = visit("#/?q=Live")
    expect(page.get_by_text("No matching jobs")).to_be_visible()
    server.submit("ok", name="Live later", run_at=LATER)
    expect(row(page, "Live later").locator(".cell-when")).to_contain_text("2099")
    soon = datetime.now(UTC) + timedelta(minutes=30)
    server.submit("ok", name="Live soon", run_at=soon.isoformat())
    expect(row(page, "Live soon").locator(".cell-when")).to_have_text(re.compile(r"in 29 m \d\d s"))
    done = server.submit("ok", name="Live now")
    expect(row(page, "Live now").locator(".cell-status")).to_have_text("Completed")
    server.until(done, "COMPLETED")


def test_a_status_filter_lets_jobs_in_and_out(
    visit: Callable[..., Page], server: BrowserServer, pipe: Any
) -> None:
    page = visit("#/?status=RUNNING&q=Passing")
    expect(page.get_by_text("No matching jobs")).to_be_visible()
    server.submit("gate", {"path": pipe.path}, name="Passing by")
    expect(row(page, "Passing by")).to_be_visible()
    expect(page.locator("running-bar")).to_contain_text("Passing by")
    pipe.close()
    expect(row(page, "Passing by")).to_have_count(0)
    expect(page.locator("running-bar")).to_be_hidden()


def test_hostile_names_and_labels_are_text(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    job_id = server.submit("ok", name=HOSTILE, labels={"x": HOSTILE})
    page = visit("#/?q=onerror")
    expect(rows(page).locator(".cell-name")).to_have_text(HOSTILE)
    expect(rows(page).locator(".chip")).to_have_text(f"x={HOSTILE}")
    page.goto(f"{server.url}/#/jobs/{job_id}")
    expect(page.locator("h1")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".job-chain a")).to_have_text(HOSTILE)
    assert page.locator("main img").count() == 0
    assert "owned" not in page.title().replace(HOSTILE, "")


def test_the_place_in_the_list_is_kept(
    visit: Callable[..., Page], full_server: BrowserServer
) -> None:
    page = visit("#/?q=Job&order=asc", at=full_server)
    expect(row(page, "Job 0000")).to_be_visible()
    grid = page.locator(".grid")
    for _ in range(3):
        grid.evaluate("e => { e.scrollTop = e.scrollHeight; }")
        page.wait_for_timeout(200)
    grid.evaluate("e => { e.scrollTop = 400 * 36; }")
    row(page, "Job 0405").click()
    expect(page.get_by_role("heading", name="Job 0405")).to_be_visible()
    page.locator(".crumb a").click()
    expect(row(page, "Job 0405")).to_be_in_viewport()
    expect(row(page, "Job 0405")).to_have_class(re.compile("active"))
    expect(page.get_by_label("Search by name")).to_have_value("Job")
