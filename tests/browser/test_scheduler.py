"""The scheduler's view: stop and start, limits, reservations, a direct run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import CONFIG, BrowserServer, Pipe


@pytest.fixture
def running(server: BrowserServer) -> Iterator[None]:
    """Start the scheduler and reset its limits after the test."""
    yield
    server.client.post("/scheduler/start")
    server.client.patch("/scheduler/config", json={"concurrency": None, "types": {"ok": None}})


@pytest.fixture
def greedy(tmp_path: Path) -> Iterator[BrowserServer]:
    """A server that wants more space to be free than any disk has."""
    free = f"[scheduler]\nfree_space_bytes = {1 << 50}\n"
    server = BrowserServer(tmp_path, CONFIG.replace("[scheduler]\n", free))
    yield server
    server.close()


def test_it_is_stopped_and_started(
    visit: Callable[..., Page], server: BrowserServer, running: None
) -> None:
    page = visit("#/scheduler")
    expect(page.get_by_text("The scheduler is running")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No further jobs start until the scheduler is started again")
    expect(dialog).to_contain_text("No job is running.")
    dialog.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The scheduler is stopped", exact=True)).to_be_visible()
    expect(page.locator(".state-pill")).to_have_text("Scheduler stopped")
    job_id = server.submit("ok", name="Held back")
    page.goto(f"{server.url}/#/jobs/{job_id}")
    expect(page.locator("explain-box")).to_contain_text("The scheduler is stopped.")
    page.locator("explain-box a").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("The scheduler is running")).to_be_visible()
    server.until(job_id, "COMPLETED")


def test_another_client_stops_it(
    visit: Callable[..., Page], server: BrowserServer, running: None
) -> None:
    page = visit("#/scheduler")
    expect(page.get_by_text("The scheduler is running")).to_be_visible()
    server.client.post("/scheduler/stop")
    expect(page.get_by_text("The scheduler is stopped", exact=True)).to_be_visible()


def test_limits_are_changed_and_reset(
    visit: Callable[..., Page], server: BrowserServer, running: None
) -> None:
    page = visit("#/scheduler")
    everything = page.get_by_label("All types")
    expect(everything).to_have_value("2")
    everything.fill("5")
    page.locator(".limit", has_text="All types").get_by_role("button").click()
    expect(page.get_by_role("button", name="Reset to configuration")).to_be_visible()
    assert server.get("/scheduler/config")["concurrency"] == 5
    page.get_by_label("ok", exact=True).fill("3")
    page.get_by_label("ok", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Reset to configuration")).to_have_count(2)
    assert server.get("/scheduler/config")["types"]["ok"] == 3
    page.get_by_role("button", name="Reset to configuration").first.click()
    expect(everything).to_have_value("2")
    assert server.get("/scheduler/config")["concurrency"] == 2


def test_a_slot_is_reserved_and_released(visit: Callable[..., Page], server: BrowserServer) -> None:
    page = visit("#/scheduler")
    page.get_by_label("Minutes").fill("5")
    page.get_by_role("button", name="Reserve").click()
    held = page.locator("reservation-list li", has_text="holds a slot, ends in")
    expect(held).to_be_visible()
    held.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The slot becomes free")
    dialog.get_by_role("button", name="Release").click()
    expect(held).to_have_count(0)
    assert server.get("/scheduler/reservations")["reservations"] == []


def test_all_slots_are_released_at_once(visit: Callable[..., Page], server: BrowserServer) -> None:
    page = visit("#/scheduler")
    everything = page.get_by_role("button", name="Release all")
    expect(everything).to_be_hidden()
    for _ in range(2):
        page.get_by_role("button", name="Reserve").click()
    everything.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Direct runs are not affected")
    dialog.get_by_role("button", name="Release all").click()
    expect(page.locator("reservation-list li")).to_have_text(["None."])
    assert server.get("/scheduler/reservations")["reservations"] == []


def test_a_direct_run_shows_its_output_and_outlives_the_view(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    page = visit("#/scheduler")
    page.get_by_label("Type", exact=True).select_option("gate")
    page.locator("direct-run").get_by_label("path").fill(pipe.path)
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("gate is running or waiting for a slot")).to_be_visible()
    page.get_by_role("link", name="Charts").click()
    page.go_back()
    expect(page.get_by_text("gate is running or waiting for a slot")).to_be_visible()
    pipe.write("printed directly\n")
    pipe.close()
    output = page.locator(".direct-state pre")
    expect(output).to_contain_text("printed directly")
    expect(page.locator(".direct-state .status")).to_have_text("Completed")
    assert server.get("/scheduler/status")["running_job_ids"] == []


def test_a_direct_run_is_stopped(
    visit: Callable[..., Page], server: BrowserServer, pipe: Pipe
) -> None:
    page = visit("#/scheduler")
    page.get_by_label("Type", exact=True).select_option("gate")
    page.locator("direct-run").get_by_label("path").fill(pipe.path)
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("button", name="Stop run").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("a running program is terminated")
    dialog.get_by_role("button", name="Stop run").click()
    expect(page.locator(".direct-state")).to_contain_text("Run stopped.")


@pytest.mark.parametrize(
    ("locale", "text", "pill"),
    [
        ("en-GB", "No job can start: less than", "Waiting for the host"),
        ("ko-KR", "Job을 시작할 수 없습니다: less than", "호스트를 기다리는 중"),
    ],
)
def test_a_condition_of_the_host_is_shown(
    greedy: BrowserServer, visit: Callable[..., Page], locale: str, text: str, pill: str
) -> None:
    job_id = greedy.submit("ok")
    for path in ("", "#/scheduler", f"#/jobs/{job_id}"):
        page = visit(path, at=greedy, locale=locale)
        expect(page.locator(".banner", has_text=text)).to_be_visible()
        expect(page.locator(".state-pill")).to_have_text(pill)
    expect(page.locator("explain-box")).to_contain_text("the host lets nothing start")


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[BrowserServer]:
    """A server whose configuration a test may change."""
    server = BrowserServer(tmp_path)
    yield server
    server.close()


def test_another_configuration_is_shown_at_once(
    reloaded: BrowserServer, visit: Callable[..., Page]
) -> None:
    page = visit("#/scheduler", at=reloaded)
    expect(page.locator(".limit")).not_to_have_count(0)
    expect(page.get_by_label("added", exact=True)).to_have_count(0)
    path = reloaded.directory / "headway.toml"
    path.write_text(path.read_text() + '[job_types.added]\ncommand = ["/bin/true"]\n')
    reloaded.reload()
    expect(page.get_by_label("added", exact=True)).not_to_have_count(0)
    page.goto(f"{reloaded.url}/#/new")
    expect(page.get_by_text("added", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "text", "heading"),
    [
        ("en-GB", "1 queued job waits for a type that is not configured: fail.", "Warnings"),
        ("ko-KR", "대기 중인 Job 1개의 유형이 설정에 없습니다: fail.", "경고"),
    ],
)
def test_jobs_of_a_removed_type_are_named(
    reloaded: BrowserServer, visit: Callable[..., Page], locale: str, text: str, heading: str
) -> None:
    reloaded.client.post("/scheduler/stop")
    job_id = reloaded.submit("fail")
    page = visit(at=reloaded, locale=locale)
    banner = page.locator(".banner", has_text="SIGHUP")
    expect(banner).to_have_count(0)
    path = reloaded.directory / "headway.toml"
    config = path.read_text()
    path.write_text(config.replace("[job_types.fail]", "[job_types.leap]"))
    reloaded.reload()
    expect(banner).to_contain_text(text)
    page.goto(f"{reloaded.url}/#/jobs/{job_id}")
    expect(page.locator("explain-box")).to_contain_text("SIGHUP")
    page.goto(f"{reloaded.url}/#/scheduler")
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.locator("server-warnings li")).to_contain_text(["the type fail"])
    path.write_text(config)
    reloaded.reload()
    expect(banner).to_be_hidden()
    expect(page.locator("server-warnings")).to_be_hidden()
