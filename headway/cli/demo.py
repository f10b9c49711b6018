"""`headway demo`: start a server, and run `demonstration.py` on it."""

import os
import subprocess
import sys
from pathlib import Path

import cyclopts

from headway.cli.admin_commands import DataDirOption, fail


def register(app: cyclopts.App) -> None:
    """Add `demo` to `app`."""
    app.command(demo)


def demo(*, data_dir: DataDirOption = None) -> int:
    """Start a server on a free port, run a research Job and stories, show their results."""
    # Imported here: they would cost `serve` a tenth of a second at its start, and 10 MB.
    import rich.console

    from headway.cli.demonstration import demo as run_demo
    from web.process.ready_line import ready_url

    directory = (data_dir or Path("headway-demo")).absolute()
    command = [sys.executable, "-m", "headway", "serve", "--bind", "127.0.0.1:0"]
    environ = {**os.environ, "HEADWAY_SERVER__LOG_LEVEL": "error"}
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with subprocess.Popen(
        [*command, "--data-dir", str(directory)],
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=directory,  # not where a headway.toml with other job types may lie
    ) as server:
        assert server.stderr is not None
        try:
            line = server.stderr.readline()
            if (url := ready_url(line)) is None:
                fail(f"the server did not start: {line}{server.stderr.read()}")
            return run_demo(url, rich.console.Console(), directory)
        finally:
            server.terminate()
