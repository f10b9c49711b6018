"""The programs that the servers run, and the tally of their starts and ends.

Each appends `RUN_ID start JOB_ID` when it starts and `RUN_ID end -` when it ends, in one write with
O_APPEND, to a file that no server reads. So the tally records what really ran, and how often.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CONFIG = """\
[server]
shutdown_grace_s = 20
log_format = "json"
legacy_triggers = "subprocess"

[scheduler]
concurrency = 8

# $2 seconds, $3 exit status
[job_types.work]
command = ["/bin/sh", "-c", '''{work}''', "work"]
skip_exit_codes = [75]
kill_grace_s = 0.3
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0, positional = true }}
params.code = {{ type = "integer", default = 0, positional = true }}

[job_types.single]
command = ["/bin/sh", "-c", '''{work}''', "single"]
skip_exit_codes = [75]
concurrency = 1
kill_grace_s = 0.3
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0, positional = true }}
params.code = {{ type = "integer", default = 0, positional = true }}

# Leaves a process in a session of its own, which must not outlive the run.
[job_types.leaver]
command = ["/bin/sh", "-c", '''setsid sleep 30 >/dev/null &\n{work}''', "leaver"]
skip_exit_codes = [75]
kill_grace_s = 0.3
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0, positional = true }}
params.code = {{ type = "integer", default = 0, positional = true }}

[job_types.late]
command = ["/bin/sh", "-c", '''{work}''', "late"]
timeout_s = 0.2
kill_grace_s = 0.2
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0, positional = true }}
params.code = {{ type = "integer", default = 0, positional = true }}

# Started without a shim: a killed server takes its running ones along.
[job_types.bare]
command = ["/bin/sh", "-c", '''setsid sleep 30 >/dev/null &\n{work}''', "bare"]
adopt = false
skip_exit_codes = [75]
kill_grace_s = 0.3
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0, positional = true }}
params.code = {{ type = "integer", default = 0, positional = true }}

[job_types.python]
command = ["{python}", "-ISc", '''{script}''']
skip_exit_codes = [75]
input = "json"
kill_grace_s = 0.3
env.TALLY = "{tally}"
params.seconds = {{ type = "number", default = 0 }}
params.code = {{ type = "integer", default = 0 }}
"""
WORK = """\
echo "$HEADWAY_RUN_ID start ${HEADWAY_JOB_ID:--}" >> "$TALLY"
echo "output of $HEADWAY_RUN_ID"
[ "$2" = 0 ] || sleep "$2"
echo "{\\"result\\": \\"$HEADWAY_RUN_ID\\"}" >> "$HEADWAY_REPORT"
echo "$HEADWAY_RUN_ID end -" >> "$TALLY"
exit "$3"
"""
SCRIPT = """\
import json, os, sys, time
run_id, params = os.environ["HEADWAY_RUN_ID"], json.load(sys.stdin)
tally = os.open(os.environ["TALLY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(tally, f"{run_id} start {os.environ.get('HEADWAY_JOB_ID', '-')}\\n".encode())
print("output of", run_id, flush=True)
time.sleep(params["seconds"])
with open(os.environ["HEADWAY_REPORT"], "a") as report:
    print(json.dumps({"result": run_id}), file=report)
os.write(tally, f"{run_id} end -\\n".encode())
sys.exit(params["code"])
"""
TYPES = ("work", "work", "work", "work", "single", "leaver", "late", "bare", "python")
SKIP_CODE = 75


def write_config(directory: Path, python: str) -> None:
    """Write headway.toml, and the log of all lives, into a new directory."""
    directory.mkdir(parents=True)
    text = CONFIG.format(
        work=WORK, script=SCRIPT, tally=directory / "tally", python=os.path.realpath(python)
    )
    # In a literal string of TOML nothing is escaped.
    (directory / "headway.toml").write_text(text)
    (directory / "stderr").touch()


@dataclass(slots=True)
class Tally:
    """What has run, by run id. Read again and again while programs append to it."""

    path: Path
    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, str] = field(default_factory=dict)
    _offset: int = 0

    def read(self) -> None:
        """Read what was appended."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            run_id, what, job_id = line.split(" ")
            if what == "start":
                self.starts[run_id] += 1
                self.jobs[run_id] = job_id
            else:
                self.ends[run_id] += 1
