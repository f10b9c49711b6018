"""A real `headway serve` for the browser, on one port through all its kills and restarts."""

import shutil
import signal
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.gate import Gate
from tests.server_process import HEADWAY, ServerProcess, serve_arguments

# Chromium without its windows, where it is there: the same engine for half the CPU time.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))),
    None,
)
DEADLINE_S = 20.0
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CONFIG = r"""
[server]
shutdown_grace_s = 0

[scheduler]
concurrency = 2

[job_types.story]
description = "Write short horror stories"
command = ["{python}", "-m", "pipelines.story"]
env.PIPELINES_LIBRARY = "{data_dir}/library"
params.max_stories = { description = "How many to write", type = "integer", minimum = 1, maximum = 200, default = 1, arg = "--max-stories" }
params.topic = { description = "What the stories are to touch upon", type = "string", maxLength = 200, arg = "--topic" }
params.seed = { description = "The same seed makes the same stories", type = "integer", minimum = 0, arg = "--seed" }

[job_types.ok]
description = "Do nothing, well"
command = ["true"]

[job_types.fail]
description = "Print a reason, and fail"
command = ["/bin/sh", "-c", 'echo "connecting"; echo "refused" >&2; exit 3']

# Prints what is written into the named pipe, until that is closed.
[job_types.gate]
description = "Wait for a named pipe"
command = ["/bin/sh", "-c", 'echo "waiting"; cat "$2"; echo "gate closed"', "gate"]
kill_grace_s = 0.5
params.path = { type = "string", positional = true }
required = ["path"]

[job_types.reports]
description = "Report progress, wait for a named pipe, leave files"
command = ["/bin/sh", "-c", '''
echo '{"progress": 0.4, "message": "four of ten"}' >> "$HEADWAY_REPORT"
cat "$2"
echo '{"result": {"answer": 42}}' >> "$HEADWAY_REPORT"
cd "$HEADWAY_ARTIFACTS"
printf '<script>document.title = "owned"</script>' > '<img src=x onerror=alert(1)>.html'
printf 'It was a dark night.\n' > story.txt
printf 'bytes' > data.bin
''', "reports"]
kill_grace_s = 0.5
params.path = { type = "string", positional = true }

[job_types.leaves]
description = "Leave more files than are kept, wait for a named pipe"
command = ["/bin/sh", "-c", 'cd "$HEADWAY_ARTIFACTS"; echo a > a.txt; echo b > b.txt; cat "$2"', "leaves"]
artifact_limit_files = 1
kill_grace_s = 0.5
params.path = { type = "string", positional = true }

[job_types.every]
description = "One parameter of each kind"
command = ["true"]
params.text = { type = "string", minLength = 3, maxLength = 40, arg = "--text", description = "Some words" }
params.count = { type = "integer", minimum = 1, maximum = 9, default = 4, arg = "--count" }
params.ratio = { type = "number", exclusiveMinimum = 0, maximum = 1, arg = "--ratio" }
params.flag = { type = "boolean", default = false, arg = "--flag" }
params.colour = { enum = ["red", "green"], arg = "--colour" }
params.tags = { type = "array", items = { type = "string" }, arg = "--tag" }
params.table = { type = "object", arg = "--table" }
required = ["text"]
"""  # noqa: E501 - a parameter in short form is one line of TOML

Json = dict[str, Any]


class Pipe(Gate):
    """A named pipe that holds a program until it is closed."""

    def close(self) -> None:
        """Let the program continue."""
        self.open()


class BrowserServer:
    """One data directory, one port, and the process that serves them now."""

    def __init__(self, directory: Path, config: str = CONFIG) -> None:
        self.directory = directory
        (directory / "headway.toml").write_text(config)
        self._log = directory / "stderr"
        self._bind = "127.0.0.1:0"
        self.url = ""
        self.start()

    def start(self) -> None:
        """Serve; return when it listens. The port stays the same from the first time on."""
        arguments = serve_arguments(
            self.directory / "data", self.directory / "headway.toml", bind=self._bind
        )
        process = ServerProcess.execute([HEADWAY, *arguments], self._log, directory=self.directory)
        self._process = process.await_ready()
        self.url = process.url
        self._bind = self.url.removeprefix("http://")
        self.client = process.client(timeout=DEADLINE_S)

    def reload(self) -> None:
        """Make it read its configuration again."""
        self._process.send(signal.SIGHUP)

    def kill(self) -> None:
        """Kill it, as the kernel does when memory is exhausted."""
        self._process.kill()
        self.client.close()

    def close(self) -> None:
        """Stop it and its programs."""
        for job in self.get("/jobs?status=RUNNING")["jobs"]:
            self.client.post(f"/jobs/{job['job_id']}/cancel")
        self.client.close()
        assert self._process.stop(DEADLINE_S) == 0, self._log.read_text()

    def get(self, path: str) -> Json:
        """The JSON of a GET."""
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        value: Json = response.json()
        return value

    def submit(self, type: str, params: Json | None = None, **fields: Any) -> str:
        """Submit a Job; return its id."""
        response = self.client.post("/jobs", json={"type": type, "params": params or {}, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["job_id"])

    def until(self, job_id: str, status: str) -> None:
        """Return when the Job is in this status."""
        eventually(lambda: self.get(f"/jobs/{job_id}")["status"] == status, f"{job_id} {status}")
