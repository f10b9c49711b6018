"""Both themes, both languages, a phone, and the accessibility of each view (axe-core)."""

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.server import BrowserServer

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")
PHONE: Any = {"width": 390, "height": 844}
ENGLISH = ("Queue", "Running", "Completed", "Cancel", "Priority", "Search", "waiting", "Log")
VIEWS = ["queue", "new", "job", "waiting", "scheduler", "charts", "dialog", "empty"]


@pytest.fixture(scope="module")
def addresses(server: BrowserServer) -> dict[str, str]:
    """The address of each view, with something to show."""
    failed = server.submit("fail", name="Failing", labels={"team": "web"})
    story = server.submit("story", {"seed": 1}, name="A dark and stormy night")
    later = server.submit("ok", name="Later", run_at="2099-01-01T00:00:00Z")
    server.until(story, "COMPLETED")
    server.until(failed, "FAILED")
    return {
        "queue": "",
        "new": "#/new?type=every",
        "job": f"#/jobs/{story}",
        "waiting": f"#/jobs/{later}",
        "scheduler": "#/scheduler",
        "charts": "#/charts",
        "dialog": "",
        "empty": "#/?q=no-such-job",
    }


def settle(page: Page, view: str) -> None:
    """Wait until the view shows its content."""
    wanted = {
        "queue": ".rows .row",
        "new": ".job-form .field",
        "job": ".artifact-text",
        "waiting": "explain-box li",
        "scheduler": ".figures dd",
        "charts": "figure svg",
        "dialog": ".rows .row",
        "empty": ".empty-title",
    }[view]
    expect(page.locator(wanted).first).to_be_visible()
    if view == "dialog":
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
    if view == "job":
        expect(page.locator(".log-line").first).to_be_visible()
        switch = page.locator(".log-times")
        if switch.get_attribute("aria-pressed") == "false":
            switch.click()
        expect(page.locator(".log-line[data-at]").first).to_be_visible()
    page.evaluate("document.fonts.ready.then(() => true)")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_narrow_and_korean(
    visit: Callable[..., Page], addresses: dict[str, str], view: str
) -> None:
    # axe itself needs what the policy forbids; that the page does not is seen in all other tests.
    page = visit(addresses[view], color_scheme="light", reduced_motion="reduce", bypass_csp=True)
    settle(page, view)
    page.evaluate(AXE)
    assert serious_faults(page) == []
    page.emulate_media(color_scheme="dark")
    assert serious_faults(page, "color-contrast") == []
    page.set_viewport_size(PHONE)
    assert is_narrow(page)
    assert serious_faults(page, "color-contrast", "target-size") == []
    if view == "dialog":
        page.keyboard.press("Escape")
    page.get_by_role("button", name="한국어").click()
    settle(page, view)
    assert is_narrow(page)
    shown = page.locator("body").inner_text()
    assert [word for word in ENGLISH if word in shown] == []


def serious_faults(page: Page, *rules: str) -> list[str]:
    """The findings of axe-core, by all rules or only these."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found: Any = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{fault['id']}: {fault['help']}: {[node['target'] for node in fault['nodes'][:5]]}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
    ]


def is_narrow(page: Page) -> bool:
    """Whether nothing must be scrolled sideways, and the navigation is in the thumb's reach."""
    widths = page.evaluate(
        "[document.scrollingElement, document.querySelector('main')].map(e => e.scrollWidth)"
    )
    top = page.evaluate("document.querySelector('.nav').getBoundingClientRect().top")
    assert max(widths) <= PHONE["width"], widths
    return bool(top > PHONE["height"] * 0.8)


def test_korean_by_the_browser_and_english_by_choice(
    visit: Callable[..., Page], addresses: dict[str, str]
) -> None:
    page = visit(locale="ko-KR")
    expect(page.get_by_role("link", name="스케줄러").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator(".rows .status").first).not_to_have_text("Completed")
    page.get_by_role("link", name="새 Job").first.click()
    expect(page.get_by_role("button", name="Job 제출")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Submit job")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Submit job")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_dark_by_the_system_and_by_choice(visit: Callable[..., Page]) -> None:
    def brightness(page: Page) -> float:
        colour = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        return float(page.evaluate(f"{colour}.reduce((a, b) => a + b)"))

    assert brightness(visit(color_scheme="light")) > 600
    page = visit(color_scheme="dark")
    assert brightness(page) < 150
    page.get_by_role("button", name="Theme: system").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert brightness(page) > 600
    page.reload()
    assert brightness(page) > 600
    page.get_by_role("button", name="Theme: light").click()
    assert brightness(page) < 150


def test_charts_have_a_summary_in_words(
    visit: Callable[..., Page], addresses: dict[str, str]
) -> None:
    page = visit("#/charts")
    expect(page.get_by_role("img", name="Finished jobs")).to_be_visible()
    expect(page.locator("figure svg")).to_have_count(4)
    page.get_by_role("button", name="Week").click()
    expect(page.get_by_role("button", name="Week")).to_have_attribute("aria-pressed", "true")
    assert "span=week" in page.url
    expect(page.locator(".charts[data-span=week]")).to_be_visible()
    chart = page.get_by_role("img", name="Finished jobs")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-tip:visible")).to_contain_text("Completed:")
    page.locator(".chart-table summary").nth(1).click()
    expect(page.get_by_role("columnheader", name="Failed").first).to_be_visible()


def test_a_chart_that_is_read_stays_when_newer_figures_come(visit: Callable[..., Page]) -> None:
    page = visit("#/charts")
    chart = page.get_by_role("img", name="Finished jobs")
    expect(chart).to_be_visible()
    requests: list[Route] = []
    page.route("**/scheduler/history*", lambda route: requests.append(route))
    with page.expect_request("**/scheduler/history*"):
        page.evaluate("window.dispatchEvent(new HashChangeEvent('hashchange'))")
    chart.focus()
    with page.expect_response("**/scheduler/history*"):
        points = [{"at": "2031-01-01T00:00:00Z", "queue_length": 99}]
        requests[0].fulfill(json={"points": points, "step_s": 60})
    page.wait_for_function("new Promise(resolve => setTimeout(() => resolve(true)))")
    expect(chart).to_be_focused()
    expect(page.get_by_text("99 now")).to_have_count(0)


def test_the_focus_goes_with_the_view(visit: Callable[..., Page]) -> None:
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Scheduler").first.click()
    expect(page.locator("main")).to_be_focused()
    assert page.title() == "Scheduler · headway"
