"""The descriptors of a run: its input, its log, and its exit file, which no program can forge."""

import os

import pytest

from storage.intents import digest_of
from tests.actors.host.workshop import RUN_1, SEAL, Workshop


async def test_output_goes_to_the_log_byte_for_byte(shop: Workshop) -> None:
    await shop.end(shop.shell(r"printf 'a\000b\377'; printf err >&2; printf '\nlast'"))
    assert shop.files(RUN_1).log.read_bytes() == b"a\0b\xfferr\nlast"


async def test_its_input_is_in_no_file(shop: Workshop) -> None:
    given = b"a secret\n" * 100_000
    await shop.end(shop.shell("cat; cat /dev/stdin", stdin=given))
    assert shop.files(RUN_1).log.read_bytes() == given * 2
    assert sorted(os.listdir(shop.files(RUN_1).root)) == ["artifacts", "exit", "log", "work"]


FORGERIES = {
    "a line": "echo 'exit 0' >> ../exit; exit 3",
    "a line with another seal": "echo 'exit 0 seal-2' >> ../exit; exit 3",
    "nothing left of it": ": > ../exit; exit 3",
    "no file": "rm ../exit; exit 3",
    "another file": "echo 'started 1' > ../new; echo 'exit 0' >> ../new; mv ../new ../exit; exit 3",
    "a directory": "rm ../exit; mkdir ../exit; exit 3",
    "a link": "ln -sf /etc/passwd ../exit; exit 3",
    "a large file": "head -c 1000000 /dev/zero >> ../exit; exit 3",
    "no directory": "cd /; rm -r $(dirname $OLDPWD); exit 3",
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("adopted", [False, True])
async def test_no_program_can_write_its_own_end(
    shop: Workshop, forgery: str, adopted: bool
) -> None:
    shop.files(RUN_1).create()
    os.mkfifo(shop.root / "go")
    gate = os.open(shop.root / "go", os.O_RDWR)
    process = shop.shell(f"read -r x < {shop.root}/go; cd . ; {FORGERIES[forgery]}")
    await shop.begun()
    if adopted:
        shop.host.children.leaders.clear()
        found = shop.another_host().adopt(RUN_1, shop.record(), (digest_of(SEAL),))
        assert found is not None
        process = found
    os.write(gate, b"go\n")
    await shop.end(process)
    os.close(gate)
    assert process.exit_record().exit_code == 3


async def test_a_shim_that_is_killed_leaves_no_end_that_a_program_could_write(
    shop: Workshop,
) -> None:
    process = shop.shell("kill -KILL $PPID; sleep 0.01; echo 'exit 0' >> ../exit; exec sleep 60")
    await shop.end(process)
    assert not process.exit_record().ended
    assert not shop.record().ended
