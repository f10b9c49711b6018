"""Deeds with the report file and the other files that are read while the program runs."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.hostile.link import put_special
from tests.hostile.scene import Scene, chunks, remove

DEEP = 200_000
HEAVY_LINES = 1_000_000

LINES: tuple[Callable[[Scene], bytes], ...] = (
    lambda scene: b'{"progress": %d.5, "message": "on"}' % scene.rng.getrandbits(4),
    lambda scene: b'{"progress": 1e999}',
    lambda scene: b'{"progress": NaN, "message": 5}',
    lambda scene: b'{"progress": %s}' % (b"9" * 5_000),
    lambda scene: b'{"progress": true}',
    lambda scene: b'{"message": "' + b"m" * scene.size(1, 6) + b'"}',
    lambda scene: b'{"message": "\\ud800"}',
    lambda scene: b'{"message": {"a": [1, 2, 3]}}',
    lambda scene: b'{"result": "' + b"r" * scene.size(1, 6) + b'"}',
    lambda scene: b'{"result": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    lambda scene: b'{"a":' * DEEP,
    lambda scene: b'{"result": %s}' % (b"7" * 50_000),
    lambda scene: b'{"result": null, "result": 1, "result": "\\u0000"}',
    lambda scene: b"null",
    lambda scene: b"[]",
    lambda scene: b"not JSON at all",
    lambda scene: b"\x00\xff\xfe",
    lambda scene: scene.rng.randbytes(300),
    lambda scene: b"",
    lambda scene: b"\r",
)


def odd_lines(scene: Scene) -> None:
    """Lines that are no report, or hardly one."""
    with scene.report.open("ab") as file:
        for _ in range(scene.size(0, 2)):
            file.write(scene.rng.choice(LINES)(scene) + b"\n")


def many_lines(scene: Scene) -> None:
    """As many lines as a loop without a sleep makes."""
    lines = HEAVY_LINES if scene.heavy else scene.size(2, 4.7)
    line = b'{"progress": 0.25, "message": "still at it"}\n'
    with scene.report.open("ab") as file:
        for piece in chunks(lines, 10_000):
            file.write(line * piece)


def endless_line(scene: Scene) -> None:
    """Megabytes without a newline."""
    total = (200 << 20) if scene.heavy else scene.size(4, 7.4)
    with scene.report.open("ab") as file:
        for piece in chunks(total):
            file.write(b"{" * piece)


def sparse_report(scene: Scene) -> None:
    """A report that is very long and holds almost nothing."""
    with scene.report.open("ab") as file:
        file.truncate(scene.size(7, 12.3))
    with scene.report.open("ab") as file:
        file.write(b'\n{"progress": 0.75}\n')


def sparse_standard(scene: Scene) -> None:
    """The same of the other files that headway keeps."""
    for name in scene.standard():
        path = scene.root / name
        if path.is_file() and not path.is_symlink() and scene.rng.random() < 0.4:
            scene.spoil("output" if name != "exit" else "end")
            os.truncate(path, scene.size(9, 12.3))


def restless(scene: Scene) -> None:
    """Progress without a pause, for a while."""
    end = time.monotonic() + scene.rng.uniform(0.1, 0.8)
    number = 0
    while time.monotonic() < end:
        with scene.report.open("ab") as file:
            file.write(json.dumps({"progress": number % 100 / 100}).encode() + b"\n")
        number += 1
        time.sleep(scene.rng.choice((0, 0, 0.001, 0.02)))


def storm(scene: Scene) -> None:
    """Changes of the watched directory without a pause, for a while."""
    end = time.monotonic() + scene.rng.uniform(0.1, 0.6)
    path = scene.fresh(scene.root)
    while time.monotonic() < end:
        for _ in range(200):
            path.touch()
            path.unlink()


def changing(scene: Scene) -> None:
    """The report is cut, replaced, removed and written again while it is read."""
    end = time.monotonic() + scene.rng.uniform(0.1, 0.6)
    while time.monotonic() < end:
        with suppress(OSError):
            change(scene)
    remove(scene.report)  # a later deed would wait at a pipe


def change(scene: Scene) -> None:
    """One such change."""
    match scene.rng.choice(("append", "append", "cut", "remove", "replace", "rename", "special")):
        case "append":
            line = b'{"progress": 0.5, "message": "%d"}\n' % scene.rng.getrandbits(30)
            append(scene.report, line)
        case "cut":
            os.truncate(scene.report, scene.rng.randrange(200))
        case "remove":
            remove(scene.report)
        case "replace":
            fresh = scene.fresh(scene.root)
            fresh.write_bytes(b'{"progress": 0.1}\n' * scene.rng.randrange(5_000))
            fresh.rename(scene.report)
        case "rename":
            scene.report.rename(scene.fresh(scene.artifacts))
        case "special":
            remove(scene.report)
            put_special(scene, scene.report)


def append(path: Path, data: bytes) -> None:
    """Append without waiting at a pipe."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def meddling(scene: Scene) -> None:
    """What another hostile run has left is changed while it may be collected or shown."""
    end = time.monotonic() + scene.rng.uniform(0.1, 0.7)
    others = scene.others()
    while others and time.monotonic() < end:
        with suppress(OSError):
            enter(scene.rng.choice(others), scene.rng.choice(("artifacts", "work")))
            meddle(scene)


def enter(root: Path, name: str) -> None:
    """Go there, but through no link: it could lead to what must not change."""
    directory = os.O_DIRECTORY | os.O_NOFOLLOW
    outer = os.open(root, directory)
    try:
        inner = os.open(name, directory, dir_fd=outer)
        os.fchdir(inner)
        os.close(inner)
    finally:
        os.close(outer)


def meddle(scene: Scene) -> None:
    """One change of an entry of the current directory."""
    entries = [entry.name for entry, _ in zip(os.scandir(), range(50), strict=False)]
    path = Path(f"m{scene.rng.getrandbits(40):x}")
    if entries and scene.rng.random() < 0.8:
        path = Path(scene.rng.choice(sorted(entries)))
    if path.is_symlink():
        path.unlink()
        return
    match scene.rng.choice(("cut", "grow", "special", "directory", "link", "remove", "mode")):
        case "cut" if path.is_file() and path.stat().st_nlink == 1:
            os.truncate(path, scene.rng.randrange(1_000))
        case "grow" if path.is_file() and path.stat().st_nlink == 1:
            os.truncate(path, scene.size(3, 11))
        case "special":
            remove(path)
            put_special(scene, path)
        case "directory":
            remove(path)
            path.mkdir()
        case "link":
            remove(path)
            path.symlink_to("/proc/version")
        case "remove":
            remove(path)
        case "mode" if path.stat().st_nlink == 1 or path.is_dir():
            path.chmod(0)
        case _:
            pass
