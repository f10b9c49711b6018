"""The shim by hand, in every shell that is here: what it says where it cannot start its program."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actors.host.shim import SEAL_FD, SHIM, SHIM_NAME, ExitRecord, parse_exit_file
from storage.intents import digest_of

DEADLINE_S = 30
SEAL = "seal-1"
SHELLS = [
    [name, *more]
    for name, *more in (("dash",), ("bash", "--posix"), ("busybox", "sh"))
    if shutil.which(name)
]


def run_shim(shell: list[str], work: Path, exit_file: Path, *prefix: str) -> int:
    """The shim by hand, with a program that makes a file; its exit status."""
    seal = exit_file.with_name("seal")
    seal.write_text(f"{SEAL}\n")
    given = ["/bin/sh", "-c", f'exec {SEAL_FD}<"$1"; shift; exec "$@"', "sh", str(seal)]
    arguments = ["", str(work), "/bin/touch", str(exit_file) + ".ran"]
    with exit_file.open("ab") as stderr:
        command = [*given, *prefix, *shell, "-c", SHIM, SHIM_NAME, *arguments]
        return subprocess.run(command, stderr=stderr, timeout=DEADLINE_S).returncode


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_no_program_starts_without_the_word_of_the_shim(shell: list[str], tmp_path: Path) -> None:
    """After a crash at this moment the next server would start it again."""
    full = tmp_path / "exit"
    full.symlink_to("/dev/full")
    assert run_shim(shell, tmp_path, full) == -signal.SIGKILL
    assert not (tmp_path / "exit.ran").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_shim_without_its_directory_says_that_nothing_has_begun(
    shell: list[str], tmp_path: Path
) -> None:
    exit_file = tmp_path / "exit"
    assert run_shim(shell, tmp_path / "gone", exit_file) == -signal.SIGKILL
    record = parse_exit_file(exit_file.read_text(), {digest_of(SEAL)})
    assert (record.unstarted, record.started, record.ended) == (True, False, False)
    assert not (tmp_path / "exit.ran").exists()
    forged = parse_exit_file(exit_file.read_text(), {digest_of("another")})
    assert not forged.unstarted


@pytest.mark.skipif(os.getuid() != 0, reason="limits of another account")
@pytest.mark.parametrize(
    "shell", [shell for shell in SHELLS if shell[0] != "bash"], ids=lambda shell: shell[0]
)  # bash tries for 15 seconds
def test_a_shim_that_cannot_fork_says_that_nothing_has_begun(
    shell: list[str], tmp_path: Path
) -> None:
    exit_file = tmp_path / "exit"
    poor = ["setpriv", "--reuid=65534", "--clear-groups", "prlimit", "--nproc=1"]
    assert run_shim(shell, Path("/"), exit_file, *poor) == -signal.SIGKILL
    assert parse_exit_file(exit_file.read_text(), {digest_of(SEAL)}).unstarted


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_shim_whose_program_ends_says_nothing_else(shell: list[str], tmp_path: Path) -> None:
    exit_file = tmp_path / "exit"
    assert run_shim(shell, tmp_path, exit_file) == 0
    record = parse_exit_file(exit_file.read_text(), {digest_of(SEAL)})
    assert (record.unstarted, record.started, record.exit_code) == (False, True, 0)
    assert "unstarted" not in exit_file.read_text()


STARTED = "started 7\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("started 7", {}),
        ("started 7 x\n", {}),
        ("exit 0\n", {}),  # of what?
        (STARTED, {"pid": 7}),
        (STARTED + "exit 0", {"pid": 7}),
        (STARTED + "exit 0\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "exit 3\nmore\n", {"pid": 7, "exit_code": 3}),
        (STARTED + "exit 0\nexit 1\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "exit 137\n", {"pid": 7, "exit_code": 137}),
        (STARTED + "Killed\nexit 137\n", {"pid": 7, "signal": 9}),
        (STARTED + "Killed\nexit 0\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "Segmentation fault (core dumped)\nexit 139\n",
         {"pid": 7, "signal": 11}),
        (STARTED + "exit 130\n", {"pid": 7, "exit_code": 130}),
        (STARTED + "exit 141\n", {"pid": 7, "exit_code": 141}),
        (STARTED + "exit 128\n", {"pid": 7, "exit_code": 128}),
        ("sh: a word before\n" + STARTED + "exit 137\n",
         {"pid": 7, "exit_code": 137}),
        (STARTED + "\nexit 137\n", {"pid": 7, "signal": 9}),
        (STARTED + "exit -1\n", {"pid": 7}),
        (STARTED + "started 8\nexit 1\n", {"pid": 7, "exit_code": 1}),
    ],
)  # fmt: skip
def test_only_what_the_shim_finished_writing_happened(text: str, expected: dict[str, Any]) -> None:
    record = parse_exit_file(text)
    assert record == ExitRecord(**expected)
    assert record.started == ("pid" in expected)
    assert record.ended == ("exit_code" in expected or "signal" in expected)
