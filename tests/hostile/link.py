"""Deeds with what is no plain file: links, pipes, sockets, devices, in any place."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from tests.hostile.scene import Scene, remove

DATABASE_FILES = ("headway.db", "headway.db-wal", "headway.db-shm", "headway.reserve")
OUTPUT_FILES = ("log", "output", "stdout", "stderr")


def some_target(scene: Scene) -> Path:
    """What a link may point at: nothing, itself, something of the host, of headway, of others."""
    data_dir = scene.root.parent.parent
    host = [Path("/"), Path("/proc/self/root")] if os.geteuid() else []  # root could harm it
    others = [path / name for path in scene.all_runs()[:20] for name in ("log", "exit", "")]
    return scene.rng.choice(
        (
            Path("nothing/there"),
            Path("loop"),
            Path(".."),
            Path("/proc/version"),
            Path("/dev/zero"),
            Path("/dev/full"),
            Path("/dev/tty"),
            Path("/proc/self/fd/0"),
            scene.root,
            scene.root.parent,
            *host,
            data_dir / scene.rng.choice(DATABASE_FILES),
            *sorted(scene.victims.iterdir()),
            *scene.rng.sample(others, min(4, len(others))),
        )
    )


def symlinks(scene: Scene) -> None:
    """Symbolic links among what is collected."""
    for _ in range(scene.rng.randint(1, 12)):
        scene.fresh().symlink_to(some_target(scene))
    loop = scene.fresh(scene.artifacts)
    loop.symlink_to(loop.name)
    first, second = scene.fresh(scene.artifacts), scene.fresh(scene.artifacts)
    first.symlink_to(second.name)
    second.symlink_to(first.name)


def hard_links(scene: Scene) -> None:
    """A second name, among what is collected, for a file that is not the run's."""
    data_dir = scene.root.parent.parent
    targets = [data_dir / name for name in DATABASE_FILES]
    targets += [path for path in scene.victims.iterdir() if path.is_file()]
    for run in scene.all_runs()[:20]:
        targets += [run / "log", run / "exit", run / "report"]
    for target in scene.rng.sample(targets, min(6, len(targets))):
        with suppress(OSError):
            os.link(target, scene.fresh(scene.artifacts), follow_symlinks=False)


def special(scene: Scene) -> None:
    """Pipes, sockets and devices among what is collected."""
    for _ in range(scene.rng.randint(1, 5)):
        put_special(scene, scene.fresh())


def put_special(scene: Scene, path: Path) -> None:
    """Something at `path` at which an open may block, or a read never ends."""
    match scene.rng.choice(("fifo", "fifo", "socket", "zero", "full")):
        case "fifo":
            os.mkfifo(path)
        case "socket":
            listener = socket.socket(socket.AF_UNIX)
            # The path of a socket may be 107 bytes.
            os.chdir(path.parent)
            listener.bind(path.name)
            listener.listen()
            listener.detach()
        case "zero":
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        case "full":
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))


def replaced(scene: Scene) -> None:
    """Something else in place of what headway keeps in the run directory."""
    for name in scene.rng.sample(scene.standard(), scene.rng.randint(1, 3)):
        with suppress(OSError):
            replace(scene, name)


def replace(scene: Scene, name: str) -> None:
    """Something else in place of this one."""
    if name == "exit":
        scene.spoil("end")
    if name in OUTPUT_FILES:
        scene.spoil("output")
    path = scene.root / name
    if scene.rng.random() < 0.3:
        with suppress(OSError):
            path.rename(scene.fresh(scene.root))
    remove(path)
    match scene.rng.choice(("symlink", "symlink", "hard", "special", "directory", "full", "none")):
        case "symlink":
            path.symlink_to(some_target(scene))
        case "hard":
            plain = [victim for victim in scene.victims.iterdir() if victim.is_file()]
            os.link(scene.rng.choice(sorted(plain)), path)
        case "special":
            put_special(scene, path)
        case "directory":
            path.mkdir()
        case "full":
            path.mkdir()
            for number in range(scene.rng.randint(1, 30)):
                (path / f"{number}").write_text("inside")
        case "none":
            pass


def swapped(scene: Scene) -> None:
    """The run's directories in each other's place, or links to another run's."""
    others = [path for path in scene.others() if path.is_dir()]
    match scene.rng.choice(("exchange", "link", "victims")):
        case "exchange":
            away = scene.fresh(scene.root)
            scene.work.rename(away)
            scene.artifacts.rename(scene.work)
            away.rename(scene.artifacts)
        case "link" if others:
            other = scene.rng.choice(others)
            remove(scene.artifacts)
            scene.artifacts.symlink_to(other / "artifacts")
            remove(scene.work)
            scene.work.symlink_to(other / "work")
        case _:
            remove(scene.work)
            scene.work.symlink_to(scene.victims)
            remove(scene.artifacts)
            scene.artifacts.symlink_to(scene.victims)


def vast_log_link(scene: Scene) -> None:
    """The log is another name for a victim, and then the output exceeds its limit."""
    scene.spoil("output", "middle")
    for name in OUTPUT_FILES:
        path = scene.root / name
        if path.is_file() and not path.is_symlink():
            remove(path)
            os.link(scene.victims / "big", path)
    for _ in range(24):
        os.write(1, b"x" * (1 << 19) + b"\n")
