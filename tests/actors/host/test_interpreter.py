"""Tuning of the interpreter, in processes of its own: it holds for the whole process."""

import subprocess
import sys

LARGE_BLOCKS = """
from pathlib import Path
from actors.host.interpreter import return_large_blocks

def resident_kib():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])

return_large_blocks()
for _ in range(3):  # each would raise the threshold
    before = resident_kib()
    blocks = [bytearray(b"x") * 2**20 for _ in range(30)]
    barrier = bytearray(10)
    assert resident_kib() - before > 25_000
    last = blocks.pop()
    del blocks
    print(resident_kib() - before)
    del last
"""

LIFE = """
import gc, sys
from actors.host import interpreter

interpreter.prepare_imports()
assert not gc.isenabled()
interpreter.switch_threads_often()
assert sys.getswitchinterval() < 0.001
interpreter.keep_what_is_loaded()
assert gc.isenabled()
assert gc.get_freeze_count() > 1_000
young, *_ = gc.get_threshold()
assert young > 2_000
"""


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_large_blocks_are_returned_one_by_one() -> None:
    assert all(int(line) < 5_000 for line in run(LARGE_BLOCKS).split())


def test_garbage_is_collected_only_after_the_start_and_not_among_what_was_loaded() -> None:
    run(LIFE)
