"""The server stops and starts again while a page is open."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.server import CONFIG, BrowserServer, Pipe

REFUSED = ("net::ERR_",)
"""Console messages of the browser itself when the server does not respond."""


def test_an_empty_queue_leads_to_the_first_job(
    visit: Callable[..., Page], own_server: BrowserServer
) -> None:
    page = visit(at=own_server)
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.locator(".empty a").click()
    expect(page.get_by_role("heading", name="New job")).to_be_visible()


def test_a_page_catches_up_after_the_server_was_killed(
    visit: Callable[..., Page], own_server: BrowserServer, pipe: Pipe
) -> None:
    server = own_server
    job_id = server.submit("gate", {"path": pipe.path}, name="Survivor")
    server.until(job_id, "RUNNING")
    page = visit(at=server, tolerated=REFUSED)
    row = page.locator(".rows .row", has_text="Survivor")
    expect(row.locator(".cell-status")).to_have_text("Running")
    banner = page.locator(".banner.connection")
    expect(banner).to_be_hidden()
    server.kill()
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("No connection to the server.")
    expect(row).to_be_visible()
    banner.get_by_role("button", name="Retry now").click()
    expect(banner).to_be_visible()
    server.start()
    # What happens before the page is back must be on it afterwards.
    later = server.submit("ok", name="While you were away")
    server.until(later, "COMPLETED")
    expect(banner).to_be_hidden()
    expect(page.locator(".rows .row", has_text="While you were away")).to_contain_text("Completed")
    pipe.close()
    expect(row.locator(".cell-status")).to_have_text("Completed")


def test_it_reconnects_by_itself_from_the_last_event(
    visit: Callable[..., Page], own_server: BrowserServer, pipe: Pipe
) -> None:
    server = own_server
    job_id = server.submit("gate", {"path": pipe.path}, name="Log")
    resumed: list[str | None] = []
    page = visit(at=server, tolerated=REFUSED)
    # Once the stream is there, only an event can show this: so the page knows where to go on.
    expect(page.locator("app-shell[data-connection=live]")).to_be_attached()
    server.submit("ok", name="An event")
    expect(page.locator(".rows .row", has_text="An event")).to_be_visible()
    page.goto(f"{server.url}/#/jobs/{job_id}")
    log = page.locator(".log-lines")
    expect(log).to_contain_text("waiting")
    pipe.write("before\n")
    expect(log).to_contain_text("before")

    def note(request: object) -> None:
        if getattr(request, "url", "").endswith("/events"):
            resumed.append(getattr(request, "headers", {}).get("last-event-id"))

    page.on("request", note)
    server.kill()
    expect(page.locator(".banner.connection")).to_be_visible()
    pipe.write("while the server was down\n")
    server.start()
    expect(page.locator(".banner.connection")).to_be_hidden()
    assert resumed
    assert all(number is not None and int(number) > 0 for number in resumed)
    expect(log).to_contain_text("while the server was down")
    assert log.inner_text().count("before") == 1
    pipe.close()
    expect(page.locator(".job-title .status")).to_have_text("Completed")
    expect(log).to_contain_text("gate closed")


def test_a_form_shows_that_the_server_is_down(
    visit: Callable[..., Page], own_server: BrowserServer
) -> None:
    server = own_server
    page = visit("#/new?type=ok", at=server, tolerated=REFUSED)
    expect(page.get_by_role("button", name="Submit job")).to_be_visible()
    server.kill()
    page.get_by_role("button", name="Submit job").click()
    expect(page.get_by_role("alert")).to_have_text("The server is not responding.")
    server.start()
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator(".job-title .status")).to_have_text("Completed")


def test_a_page_without_a_stream_shows_why_and_reconnects(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    server = BrowserServer(tmp_path, CONFIG.replace("[server]", "[server]\nmax_streams = 1", 1))
    try:
        with server.client.stream("GET", "/events") as taken:
            assert taken.status_code == 200
            page = visit(at=server, tolerated=("status of 429",))
            banner = page.locator(".banner.connection")
            expect(banner).to_contain_text("Too many requests")
            expect(banner).to_contain_text("[server] max_streams")
        banner.get_by_role("button", name="Retry now").click()
        expect(banner).to_be_hidden()
        page.close()
    finally:
        server.close()
