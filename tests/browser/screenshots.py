"""Make the pictures of the README again: `python -m tests.browser.screenshots`.

A server with Jobs of every kind, in both themes. The pictures go to docs/. The Korean
one needs a font: `apt-get install fonts-nanum`.
"""

import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.server import CHROMIUM, FLAGS, BrowserServer

DOCS = Path(__file__).parents[2] / "docs"
DESKTOP: ViewportSize = {"width": 1200, "height": 750}
PHONE: ViewportSize = {"width": 390, "height": 780}
CONFIG = r"""
[server]
shutdown_grace_s = 0

[job_types.story]
description = "Write short horror stories"
command = ["python", "-m", "pipelines.story"]
env.PIPELINES_LIBRARY = "{data_dir}/library"
params.max_stories = { description = "How many to write", type = "integer", minimum = 1, maximum = 200, default = 1, arg = "--max-stories" }
params.topic = { description = "What the stories are to touch upon", type = "string", maxLength = 200, arg = "--topic" }
params.enable_dedup = { description = "Do not write what is there already", type = "boolean", default = false, arg = "--enable-dedup" }

[job_types.thumbnails]
description = "Make thumbnails of one folder"
command = ["python", "-uc", '''
import json, os, sys, time
first, seconds = int(sys.argv[1].partition("=")[2]), float(sys.argv[-1])
for n in range(40):
    time.sleep(seconds / 40 if n >= first else 0)
    mark = "\x1b[33mskipped, no picture\x1b[0m" if n % 11 == 6 else f"\x1b[32mok\x1b[0m {40 + n * 7 % 23} ms"
    print(f"IMG_{2400 + n}.jpg  {mark}")
    with open(os.environ["HEADWAY_REPORT"], "a") as report:
        print(json.dumps({"progress": (n + 1) / 40, "message": f"{n + 1} of 40"}), file=report)
''']
params.first = { type = "integer", default = 0, arg = "--first" }
params.seconds = { type = "number", default = 0.2, positional = true }

[job_types.import]
description = "Import the orders of a day"
command = ["/bin/sh", "-c", 'sleep "$2"; test "$2" != 0.3 || { echo "orders.csv: not found" >&2; exit 3; }', "import"]
params.seconds = { type = "number", default = 0.1, positional = true }
"""  # noqa: E501 - a parameter in short form is one line of TOML


def main() -> None:
    """Fill a server and take every picture."""
    assert CHROMIUM is not None, "there is no chromium: apt-get install chromium-headless-shell"
    DOCS.mkdir(exist_ok=True)
    # So that no picture shows where this machine keeps its Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as started:
        server = BrowserServer(Path(directory), CONFIG)
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            views = fill(server)
            for scheme in ("light", "dark"):
                for name, path in views.items():
                    take(browser, server, path, f"{name}-{scheme}", color_scheme=scheme)
            options: dict[str, Any] = {
                "viewport": PHONE,
                "device_scale_factor": 1.5,
                "locale": "ko-KR",
            }
            take(browser, server, views["queue"], "phone-ko", color_scheme="light", **options)
        finally:
            browser.close()
            server.close()


def fill(server: BrowserServer) -> dict[str, str]:
    """Submit Jobs of every kind. Return the address of each view."""
    for day in range(1, 9):
        seconds = 0.3 if day == 5 else 0.1
        server.submit("import", {"seconds": seconds}, name=f"Orders of {day} November",
                      labels={"team": "sales"})  # fmt: skip
    for n in range(4):
        server.submit("thumbnails", {"seconds": 0.4 + n / 5}, name=f"Holiday pictures {n + 1}",
                      labels={"album": "holiday"})  # fmt: skip
    story = server.submit("story", {"topic": "the sea"}, name="A story for Friday")
    server.until(story, "COMPLETED")
    running = server.submit("thumbnails", {"seconds": 400, "first": 17}, name="The whole archive",
                            labels={"album": "archive"})  # fmt: skip
    waiting = server.submit("story", {"max_stories": 3}, name="Three for the weekend", priority=10)
    for name in ("Orders of 9 November", "Orders of 10 November", "Orders of 11 November"):
        server.submit("import", name=name, labels={"team": "sales"})
    night = datetime.now(UTC) + timedelta(hours=5, minutes=12)
    server.submit("import", name="Month's end", run_at=night.isoformat(), labels={"team": "sales"})
    gone = server.submit("import", name="Orders, twice by mistake")
    server.client.post(f"/jobs/{gone}/cancel")
    server.until(running, "RUNNING")
    return {
        "queue": "",
        "new": "#/new?type=story",
        "job": f"#/jobs/{story}",
        "waiting": f"#/jobs/{waiting}",
        "scheduler": "#/scheduler",
        "charts": "#/charts",
    }


def take(browser: Browser, server: BrowserServer, path: str, name: str, **options: Any) -> None:
    """Take one picture when the view has settled."""
    settings: dict[str, Any] = {"viewport": DESKTOP, "locale": "en-US", "reduced_motion": "reduce"}
    context = browser.new_context(**(settings | options))
    page: Page = context.new_page()
    page.goto(f"{server.url}/{path}")
    page.locator("main > * > *").first.wait_for()
    page.wait_for_timeout(1_500)
    page.screenshot(path=DOCS / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()
