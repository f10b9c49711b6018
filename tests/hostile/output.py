"""Deeds with standard output and error. What is said must arrive, however it is written."""

import fcntl
import os
import subprocess
import time
from contextlib import suppress

from tests.hostile.scene import Scene, chunks, write_all

F_SETPIPE_SZ = 1031
OWN_OUTPUT = ("/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/fd/1")


def line(scene: Scene) -> bytes:
    """Something to say."""
    return b"line %d\n" % scene.rng.getrandbits(60)


def plain(scene: Scene) -> None:
    """Lines on both, in turn."""
    for _ in range(scene.size(0, 2.5)):
        scene.say(line(scene), scene.rng.choice((1, 2)))


def reopened(scene: Scene) -> None:
    """Opened anew by name, also with O_TRUNC, as `> /dev/stderr` does."""
    scene.say(line(scene))
    for _ in range(scene.rng.randint(1, 6)):
        truncate = scene.rng.choice((0, os.O_TRUNC, os.O_APPEND))
        path = scene.rng.choice(OWN_OUTPUT)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | truncate, 0o644)
        scene.say(line(scene), descriptor)
        os.close(descriptor)
        scene.say(line(scene), scene.rng.choice((1, 2)))


def shell_reopened(scene: Scene) -> None:
    """The same in the words of a shell."""
    script = "echo one; echo two >/dev/stderr; echo three >/proc/self/fd/1; echo four >>/dev/stdout"
    scene.will_say(b"one\ntwo\nthree\nfour\n")
    subprocess.run(["/bin/sh", "-c", script], check=False)


def cut(scene: Scene) -> None:
    """ftruncate(2) and lseek(2) on the output, which is no file and has no position."""
    scene.say(line(scene))
    for descriptor in (1, 2):
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
        with suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
    scene.say(line(scene))


def long_line(scene: Scene) -> None:
    """Without a newline for long."""
    scene.say(b"l" * scene.size(3, 6.3))
    scene.say(b"\n")


def binary(scene: Scene) -> None:
    """Bytes of all kinds, and what a terminal would obey."""
    scene.say(scene.rng.randbytes(scene.size(1, 5)))
    scene.say(b"\x1b]52;c;aGk=\x07\x1b[2J\r\x08\x00")


def drop_by_drop(scene: Scene) -> None:
    """Byte by byte."""
    data = line(scene) * 30
    scene.will_say(data)
    for number in range(len(data)):
        os.write(1, data[number : number + 1])


def without_blocking(scene: Scene) -> None:
    """The flags of the open file, which others share, say O_NONBLOCK; the pipe is tiny."""
    flags = [fcntl.fcntl(descriptor, fcntl.F_GETFL) for descriptor in (1, 2)]
    for descriptor in (1, 2):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags[descriptor - 1] | os.O_NONBLOCK)
        with suppress(OSError):
            fcntl.fcntl(descriptor, F_SETPIPE_SZ, 4096)
    for _ in range(scene.rng.randint(1, 20)):
        scene.say(b"n" * scene.size(2, 5) + b"\n", scene.rng.choice((1, 2)))
    for descriptor in (1, 2):  # a later shell would lose what it cannot write at once
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags[descriptor - 1])


def closed(scene: Scene) -> None:
    """Both closed long before the end. Later deeds have no output."""
    plain(scene)
    scene.spoil("tail")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if scene.rng.random() < 0.5:
            os.dup2(null, descriptor)
        else:
            os.close(descriptor)


def from_children(scene: Scene) -> None:
    """Processes that end one after the other, each with its own descriptor."""
    for _ in range(scene.rng.randint(1, 4)):
        text = line(scene)
        scene.will_say(text)
        if (pid := os.fork()) == 0:
            descriptor = os.open(scene.rng.choice(OWN_OUTPUT[:2]), os.O_WRONLY)
            write_all(descriptor, text)
            os._exit(0)
        os.waitpid(pid, 0)


def read_back(scene: Scene) -> None:
    """Reads from its own output."""
    scene.spoil("output")
    plain(scene)
    with suppress(OSError):
        descriptor = os.open("/proc/self/fd/1", os.O_RDWR | os.O_NONBLOCK)
        for _ in range(20):
            with suppress(BlockingIOError):
                os.read(descriptor, 1 << 16)
            time.sleep(0.001)


def log_at_its_end(scene: Scene) -> None:
    """The log is made as long as a file can be, and then there is more output (EFBIG)."""
    scene.spoil("output")
    scene.say(line(scene))
    for bits in (63, 60, 48, 44):
        with suppress(OSError):
            os.truncate(scene.root / "log", (1 << bits) - 4096)
            break
    for _ in range(3):
        os.write(1, b"e" * 4_000)


def flood(scene: Scene) -> None:
    """More than its limit."""
    scene.spoil("middle")
    for piece in chunks((200 << 20) if scene.heavy else scene.size(7, 7.7)):
        scene.say(b"f" * (piece - 1) + b"\n")
