"""Each thing that a host may lack × each moment: the server waits for it, and no Job fails for it.

In every cell: what was accepted is not lost and does not fail, the server lives on or ends with the
reason (where that is documented), `/ready` names the reason, the work goes on by itself as soon as
the host has what it lacked, and nothing runs twice. What cannot occur is left out, with its reason.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server
from tests.faults.host import CONDITIONS, WITNESS, Condition, not_ready

OUTPUT = b"".join(b"%015d\n" % number for number in range(3_000))
NOT_THERE = {
    ("Descriptors", "log"): "what a program writes needs no descriptor of the server",
    ("NoRunsDirectory", "log"): "the log is gone with the directory",
}


class House:
    """A server, what its host lacks, and the Jobs that were accepted."""

    def __init__(self, server: Server, condition: Condition, tally: Path, new_gate: Any) -> None:
        self.server = server
        self.condition = condition
        self.accepted: list[str] = []
        self.gate = new_gate()
        self._tally = tally

    def submit(self, gate: str = "", **fields: Any) -> str:
        """A Job that must end COMPLETED."""
        job_id: str = self.server.submit("witness", {"gate": gate}, **fields)["job_id"]
        self.accepted.append(job_id)
        return job_id

    def hold(self) -> str:
        """A Job that runs until the gate is opened, and one that waits behind it."""
        job_id = self.submit(self.gate.path)
        self.server.until_printed(job_id, b"begun")
        self.server.eventually(lambda: self.server.run_of(job_id)["pid"], "the run is shown")
        self.submit()
        return job_id

    def try_to_submit(self) -> bool:
        """Whether a Job was accepted. A refusal is one of those that say to come again."""
        answer = self.server.client.post("/jobs", json={"type": "witness", "priority": 9})
        if answer.status_code == 201:
            self.accepted.append(answer.json()["job_id"])
            return True
        assert answer.status_code in (503, 507), answer.text
        assert int(answer.headers["retry-after"]) > 0
        return False

    def is_known(self) -> None:
        """Wait until `/ready` names what is lacking; so far no Job has failed."""
        if reason := self.condition.reason:
            self.server.eventually(lambda: not_ready(self.server, reason), "/ready names it")
        assert self.server.get("/health")["status"] == "ok"
        self.has_failed_none()

    def has_failed_none(self) -> None:
        """No Job has failed."""
        for job_id in self.accepted:
            job = self.server.job(job_id)
            assert job["status"] in ("QUEUED", "RUNNING", "COMPLETED"), self.server.run_of(job_id)

    def all_complete(self) -> None:
        """Everything that was accepted completes by itself, each having run once."""
        for job_id in self.accepted:
            assert self.server.until(job_id)["status"] == "COMPLETED", self.server.run_of(job_id)
        self.server.eventually(
            lambda: self.server.client.get("/ready").status_code == 200, "it is ready again"
        )
        runs = [self.server.run_of(job_id)["run_id"] for job_id in self.accepted]
        assert self.starts() == dict.fromkeys(runs, 1)

    def starts(self) -> Counter[str]:
        """How often each run was started, in the programs' own words."""
        return Counter(self._tally.read_text().split() if self._tally.exists() else ())

    def restart(self) -> None:
        """A new server where the last one has ended."""
        self.server.prefix = []
        self.start()

    def start(self) -> None:
        """A server that leaves its programs to the next one."""
        self.server.start("--detach", environ=self.condition.environ)
        self.server.get("/openapi.json")  # which takes all of the app: a part is made last


@pytest.fixture(params=CONDITIONS, ids=lambda condition: condition.__name__)
def house(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    small_disk: Any,
    strace: Any,
    launch: Callable[..., Any],
    new_gate: Any,
) -> Iterator[House]:
    moment = request.node.originalname.removeprefix("test_").partition("_")[0]
    if reason := NOT_THERE.get((request.param.__name__, moment)):
        pytest.skip(reason)
    tally = tmp_path / "tally"
    server = launch("", WITNESS.format(tally=tally), start=False)
    condition = request.param(server, small_disk, strace)
    condition.prepare()
    house = House(server, condition, tally, new_gate)
    house.start()
    yield house
    condition.end()
    if server.process is None:
        house.restart()


def test_create_while_the_host_lacks_it(house: House) -> None:
    house.hold()
    house.condition.begin()
    house.try_to_submit()
    house.has_failed_none()
    house.condition.end()
    house.server.eventually(house.try_to_submit, "Jobs are accepted again")
    house.gate.open()
    house.all_complete()


def test_spawn_while_the_host_lacks_it(house: House) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    for _ in range(3):
        house.submit(run_at=soon)
    house.condition.begin()
    house.is_known()
    assert not house.starts()
    house.condition.end()
    house.all_complete()


def test_collect_while_the_host_lacks_it(house: House) -> None:
    job_id = house.hold()
    house.condition.begin()
    house.gate.open()
    house.is_known()
    house.condition.end()
    house.all_complete()
    run = house.server.eventually(lambda: collected(house.server, job_id), "it is collected")
    if house.condition.takes_files_away:
        assert run["collection"]["reason"]
    else:
        assert [(one["name"], one["size_bytes"]) for one in run["artifacts"]] == [("kept", 5)]
        assert run["artifacts"][0]["sha256"]
        reason = house.condition.keeps
        assert run["collection"] == {"complete": reason is None, "reason": reason}


def collected(server: Server, job_id: str) -> Any:
    run = server.run_of(job_id)
    return run if run["collection"]["complete"] or run["collection"]["reason"] else None


def test_log_while_the_host_lacks_it(house: House) -> None:
    job_id = house.hold()
    house.condition.begin()
    house.gate.write(OUTPUT)
    house.gate.open()
    house.is_known()
    house.condition.end()
    house.all_complete()
    assert house.server.output(job_id) == b"begun\n" + OUTPUT


def test_commit_while_the_host_lacks_it(house: House) -> None:
    job_id = house.hold()
    house.condition.begin()
    house.gate.open()
    house.server.eventually(lambda: not house.server.processes(), "the program has ended")
    ended_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    house.is_known()
    house.condition.end()
    house.all_complete()
    assert house.server.run_of(job_id)["finished_at"] < ended_at


def test_start_while_the_host_lacks_it(house: House) -> None:
    house.hold()
    house.server.kill()
    house.condition.begin_before_start()
    house.server.prefix = house.condition.prefix()
    said = len(house.server.log())
    house.server.spawn("--detach", environ=house.condition.environ)
    if listens(house.server, said):
        house.gate.open()
        house.is_known()
        house.condition.end()
    else:
        assert house.server.wait() == 1
        assert "headway: " in house.server.log()
        house.condition.end()
        house.restart()
        house.gate.open()
    house.all_complete()


def listens(server: Server, said: int) -> bool:
    """Whether a server comes to listen; False if it ends before."""
    process = server.process
    assert process is not None
    outcome = server.eventually(
        lambda: "listening on" in server.log()[said:] or process.ended,
        "it listens or ends",
    )
    if outcome and not process.ended:
        server.await_ready()
        return True
    return False


def test_shutdown_while_the_host_lacks_it(house: House) -> None:
    house.hold()
    house.condition.begin()
    house.server.signal(signal.SIGTERM)
    assert house.server.wait() == 0, house.server.log()
    house.condition.end()
    house.restart()
    house.gate.open()
    house.all_complete()


def test_output_that_finds_no_space_delays_no_end(
    small_disk: Any, launch: Callable[..., Any], gate: Any
) -> None:
    """Neither of the server whose program has ended, nor of the next one."""
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m")
    server.start()
    job_id = server.hold(gate)["job_id"]
    server.eventually(lambda: server.run_of(job_id)["pid"], "the run is shown")
    disk.fill()
    gate.write(OUTPUT)
    gate.open()
    server.eventually(lambda: not server.processes(), "the program has ended")
    for _ in range(2):
        server.stop()
        server.start()
    disk.free()
    assert server.until(job_id)["status"] == "COMPLETED"
    output = b"opened\n" + OUTPUT + b"closed\n"
    server.eventually(lambda: server.output(job_id) == output, "its output is there")
