"""The view of a Job, from the form to the end of its run."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.server import BrowserServer, Pipe


def test_a_story_is_queued_by_form_watched_and_read(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    page = visit()
    page.get_by_role("link", name="New job").first.click()
    page.get_by_role("radio", name="story").check()
    page.get_by_role("textbox", name="topic").fill("the sea")
    page.get_by_label("seed").fill("7")
    page.get_by_role("textbox", name="Name").fill("A story of the sea")
    command = page.get_by_label("Command line")
    expect(command).to_contain_text("--max-stories=1 '--topic=the sea' --seed=7")
    expect(page.get_by_label("curl")).to_contain_text('"topic":"the sea"')
    page.get_by_role("button", name="Submit job").click()
    expect(page.get_by_role("heading", name="A story of the sea")).to_be_visible()
    expect(page.locator(".job-title .status")).to_have_text("Completed")
    story = page.locator(".artifact-text").first
    expect(story).to_be_visible()
    expect(story).not_to_be_empty()
    assert page.url.rpartition("/")[2] in {
        job["job_id"] for job in server.get("/jobs?q=of%20the%20sea")["jobs"]
    }
    page.go_back()
    expect(page.get_by_role("heading", name="New job")).to_be_visible()


def test_a_form_shows_which_fields_to_correct(visit: Callable[..., Page]) -> None:
    page = visit("#/new?type=every", tolerated=("status of 422",))
    page.get_by_role("button", name="Submit job").click()
    text = page.get_by_label(re.compile("^text"))
    expect(text).to_be_focused()
    expect(text).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".help", has_text="Some words")).to_contain_text("at least 3 characters")
    text.fill("ab")
    page.get_by_role("button", name="Submit job").click()
    # The browser counts only what was typed, the server counts all: its word is shown in its place.
    expect(text).to_have_attribute("aria-invalid", "true")
    text.fill("words")
    page.get_by_label("table").fill("{not json")
    page.get_by_role("button", name="Submit job").click()
    expect(page.get_by_label("table")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("table").fill('{"a": 1}')
    page.get_by_label("colour", exact=True).select_option("green")
    page.get_by_label("tags").fill("one\ntwo words")
    command = page.get_by_label("Command line")
    expect(command).to_contain_text("--colour=green --tag=one '--tag=two words'")
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator(".job-title .status")).to_have_text("Completed")
    expect(page.locator(".job-params")).to_contain_text("two words")


def test_what_was_typed_survives_another_view_and_another_language(
    visit: Callable[..., Page],
) -> None:
    page = visit("#/new?type=every")
    page.get_by_label(re.compile("^text")).fill("kept")
    page.get_by_role("link", name="Charts").click()
    page.go_back()
    expect(page.get_by_label(re.compile("^text"))).to_have_value("kept")
    page.get_by_role("button", name="한국어").click()
    expect(page.get_by_label(re.compile("^text"))).to_have_value("kept")


def test_a_log_is_followed_searched_and_coloured(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("gate", {"path": pipe.path}, name="Talkative")
    page = visit(f"#/jobs/{job_id}")
    log = page.locator(".log-lines")
    expect(log).to_contain_text("waiting")
    pipe.write("\x1b[32mgreen\x1b[0m and <b>plain</b>\n")
    expect(log.locator(".ansi-fg-2")).to_have_text("green")
    expect(log).to_contain_text("and <b>plain</b>")
    assert log.locator("b").count() == 0
    pipe.write("".join(f"line {n}\n" for n in range(200)))
    expect(log).to_contain_text("line 199")
    pane = page.locator(".log-pane")
    at_end = "e => e.scrollHeight - e.scrollTop - e.clientHeight < 30"
    assert pane.evaluate(at_end)
    follow = page.get_by_role("button", name="Follow")
    # Lines that are much higher than they seemed before they were seen.
    for n in range(4):
        pipe.write("".join(f"long {n} {k} " + "word " * (k * 9) + "\n" for k in range(14)))
        expect(log).to_contain_text(f"long {n} 13")
        expect(follow).to_have_attribute("aria-pressed", "true")
    assert pane.evaluate(at_end)
    pane.evaluate("e => { e.scrollTop = 0; }")
    expect(follow).to_have_attribute("aria-pressed", "false")
    pipe.write("one more\n")
    expect(log).to_contain_text("one more")
    assert pane.evaluate("e => e.scrollTop") == 0
    follow.click()
    assert pane.evaluate(at_end)
    page.get_by_label("Search the log").fill("LINE 19")
    expect(page.locator(".log-bar .search-box .dim")).to_have_text("11 of 11")
    page.get_by_label("Search the log").press("Enter")
    expect(page.locator(".log-bar .search-box .dim")).to_have_text("1 of 11")
    pipe.close()
    expect(log).to_contain_text("gate closed")
    expect(page.locator(".log-bar > [role=status]")).to_have_text("complete")


def test_progress_result_and_hostile_files_are_shown_inertly(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("reports", {"path": pipe.path}, name="Reporter")
    page = visit(f"#/jobs/{job_id}")
    expect(page.locator(".job-progress")).to_contain_text("four of ten")
    expect(page.locator(".job-progress [role=progressbar]")).to_have_attribute(
        "aria-valuenow", "40"
    )
    pipe.close()
    expect(page.locator(".job-result")).to_contain_text('"answer": 42')
    names = page.locator(".artifact-name")
    expect(names).to_have_count(3)
    expect(names.filter(has_text="<img src=x onerror=alert(1)>.html")).to_have_count(1)
    expect(page.locator(".artifact-text", has_text="It was a dark night.")).to_be_visible()
    page.locator("summary", has_text="<img").click()
    page.locator("summary", has_text="<img").click()
    shown = page.locator(".artifact-text", has_text="<script>")
    expect(shown).to_have_text('<script>document.title = "owned"</script>')
    assert "owned" not in page.title()
    assert page.locator(".job-artifacts img, .job-artifacts script").count() == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="Download data.bin").click()
    assert download.value.path().read_bytes() == b"bytes"


def test_files_that_were_not_kept_are_named_with_the_reason(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("leaves", {"path": pipe.path})
    page = visit(f"#/jobs/{job_id}")
    expect(page.locator(".job-artifacts")).to_be_hidden()
    pipe.close()
    expect(page.locator(".artifact-note")).to_contain_text("Not complete: 1 files were not kept")
    expect(page.locator(".not-kept")).to_have_text(re.compile(r"b\.txt.*not kept"))
    expect(page.locator(".not-kept a")).to_have_count(0)
    expect(page.get_by_role("link", name="Download a.txt")).to_be_visible()


def test_the_end_of_a_run_is_the_estimate_of_the_server(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("gate", {"path": pipe.path}, name="Long")
    server.until(job_id, "RUNNING")
    page = visit()

    def explain(route: Any) -> None:
        explanation = route.fetch().json()
        assert explanation["status"] == "RUNNING"
        end = datetime.now(UTC) + timedelta(hours=2, minutes=5, seconds=30)
        times = dict.fromkeys(("end_at", "earliest", "latest"), end.isoformat())
        route.fulfill(json=explanation | {"ending": times})

    page.route(f"**/jobs/{job_id}/explain", explain)
    strip = page.locator("running-bar .strip", has_text="Long")
    page.reload()
    expect(strip.locator(".strip-time")).to_contain_text("about 2 h 05 m left")
    bar = strip.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "0")
    strip.get_by_role("link").click()
    expect(page.locator(".job-progress")).to_contain_text("about 2 h 05 m left")
    page.unroute(f"**/jobs/{job_id}/explain")
    pipe.close()
    expect(page.locator(".job-progress")).to_be_hidden()


def test_a_running_job_is_cancelled_and_retried(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    job_id = server.submit("gate", {"path": pipe.path}, name="Doomed")
    server.until(job_id, "RUNNING")
    page = visit(f"#/jobs/{job_id}")
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is running: its program receives SIGTERM")
    expect(dialog.get_by_role("button", name="Back")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert server.get(f"/jobs/{job_id}")["status"] == "RUNNING"
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".job-title .status")).to_have_text("Cancelled")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".job-title .status")).to_have_text("Running")
    chain = page.locator(".job-chain")
    expect(chain).to_contain_text("Doomed")
    expect(chain).to_contain_text("Cancelled")
    again = page.url.rpartition("/")[2]
    assert server.get(f"/jobs/{again}")["retry_of"] == job_id
    pipe.close()
    server.client.post(f"/jobs/{again}/cancel")


def test_the_retries_of_a_job_are_seen_from_each_of_them(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    def retry(job_id: str) -> str:
        return str(server.client.post(f"/jobs/{job_id}/retry").json()["job_id"])

    first = server.submit("fail", name="Stubborn")
    server.until(first, "FAILED")
    second = retry(first)
    server.until(second, "FAILED")
    page = visit(f"#/jobs/{second}")
    items = page.locator(".chain li")
    expect(items).to_have_count(2)
    third = retry(second)
    server.until(third, "FAILED")
    expect(items).to_have_count(3)
    expect(items.locator(".status")).to_have_text(["Failed"] * 3)
    expect(page.locator(".chain [aria-current]")).to_have_count(1)
    expect(items.nth(1)).to_have_attribute("aria-current", "true")
    items.nth(0).get_by_role("link").click()
    expect(page.locator(".job-sub code")).to_have_text(first)
    expect(items).to_have_count(3)
    expect(items.nth(0)).to_have_attribute("aria-current", "true")
    items.nth(2).get_by_role("link").click()
    expect(page.locator(".job-sub code")).to_have_text(third)
    expect(items.nth(2)).to_have_attribute("aria-current", "true")
    page = visit(f"#/jobs/{server.submit('ok')}")
    expect(page.locator(".job-run")).to_contain_text("Exit code")
    expect(page.locator(".job-chain")).to_be_hidden()


def test_it_shows_why_a_job_waits_and_can_be_edited(
    visit: Callable[..., Page], server: BrowserServer
) -> None:
    job_id = server.submit("ok", name="Later", run_at="2099-01-01T00:00:00Z")
    page = visit(f"#/jobs/{job_id}")
    why = page.locator("explain-box")
    expect(why).to_contain_text("It is scheduled for")
    expect(why).to_contain_text("Expected start: Jan 1, 2099")
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Priority").fill("42")
    dialog.get_by_label("Name").fill("Sooner")
    dialog.get_by_label("Labels").fill("team=web")
    dialog.get_by_role("button", name="Change").click()
    expect(page.get_by_role("heading", name="Sooner")).to_be_visible()
    expect(page.locator(".job-timeline")).to_contain_text("42")
    expect(page.locator(".job-sub .chip")).to_have_text("team=web")
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Run at").fill("")
    dialog.get_by_role("button", name="Change").click()
    expect(page.locator(".job-title .status")).to_have_text("Completed")
    expect(why).to_be_hidden()


def test_a_failed_job_shows_why(visit: Callable[..., Page], server: BrowserServer) -> None:
    job_id = server.submit("fail")
    page = visit(f"#/jobs/{job_id}")
    expect(page.locator(".job-why")).to_contain_text("The program failed")
    expect(page.locator(".log-lines")).to_contain_text("refused")
    expect(page.locator(".job-run")).to_contain_text("Exit code")


def test_a_job_that_is_not_there_leads_back(visit: Callable[..., Page]) -> None:
    page: Any = visit("#/jobs/job-none", tolerated=("status of 404",))
    expect(page.get_by_text("Job not found")).to_be_visible()
    page.locator(".empty a").click()
    expect(page.locator("job-table")).to_be_attached()
