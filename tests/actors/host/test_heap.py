"""Memory goes back to the system."""

import subprocess
import sys

PROGRAM = """
from pathlib import Path
from actors.host.heap import return_large_blocks

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


def test_large_blocks_are_given_back_one_by_one() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert all(int(line) < 5_000 for line in done.stdout.split())
