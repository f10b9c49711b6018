"""Deeds with processes, with the record of the run's own end, and with its own directory."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress

from tests.hostile.scene import Scene, remove

FORKS_MAX = 25
STUBBORN = "trap '' TERM HUP INT; sleep 60 || sleep 60"
YES = "exec timeout 60 yes"
CHATTY = "i=0; while [ $i -lt 3000 ]; do echo still here; sleep 0.02; i=$((i+1)); done"


def left(scene: Scene) -> None:
    """Processes that go on after the program's end."""
    scene.spoil("tail")
    for _ in range(scene.rng.randint(1, 3)):
        script = scene.rng.choice(("sleep 60", STUBBORN, CHATTY, YES))
        if script == YES:
            scene.spoil("middle")
        own = scene.rng.random() < 0.5
        environment = {} if scene.rng.random() < 0.15 else dict(os.environ)
        subprocess.Popen(["/bin/sh", "-c", script], start_new_session=own, env=environment)


def changing_on(scene: Scene) -> None:
    """One of them changes what is collected until it is ended."""
    scene.spoil("tail")
    if os.fork():
        time.sleep(scene.rng.uniform(0, 0.4))
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.monotonic() + 20
    path = scene.fresh(scene.artifacts)
    while time.monotonic() < end:
        with suppress(OSError):
            # Never through a link: it may lead out of the run, and the campaign runs as root.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
            os.write(descriptor, b"c" * scene.rng.randrange(100_000))
            os.ftruncate(descriptor, scene.rng.randrange(10**9))
            os.close(descriptor)
            path.rename(scene.fresh(scene.artifacts))
            remove(scene.rng.choice(sorted(scene.artifacts.iterdir())))
    os._exit(0)


def forks(scene: Scene) -> None:
    """Many short ones, each a child of the one before."""
    fork_chain(scene.rng.randint(2, FORKS_MAX), scene.rng.random())


def fork_chain(length: int, seconds: float) -> None:
    """So many processes, each the parent of the next, in a session of its own."""
    if length == 0 or os.fork():
        return
    with suppress(OSError):
        os.setsid()
        fork_chain(length - 1, seconds)
        time.sleep(seconds)
    os._exit(0)


def end_record(scene: Scene) -> None:
    """Forges what headway keeps about the start and the end."""
    scene.spoil("end")
    pid = int((scene.victims.parent / "victim.pid").read_text())
    forged = (
        b"exit 0\n",
        b"exit 9\n",
        b"exit 0",
        b"exit 99999999999999999999\n",
        b"started %d\n" % pid,
        b"started 1\n",
        b"started 0\n",
        b"started -1\nexit -1\n",
        b"signal 9\n",
        b"Killed\nexit 137\n",
        b"\x00" * 70_000,
        b"\xff\xfe\n" * 1_000,
        b"\n" * 100_000,
    )
    path = scene.root / "exit"
    match scene.rng.choice(("append", "append", "replace", "cut", "remove")):
        case "append":
            with path.open("ab") as file:
                file.write(scene.rng.choice(forged))
        case "replace":
            remove(path)
            path.write_bytes(b"started %d\n" % pid + scene.rng.choice(forged))
        case "cut":
            os.truncate(path, scene.rng.choice((0, 5)))
        case "remove":
            remove(path)


def own_directory(scene: Scene) -> None:
    """Its own run directory goes, as a whole or in part, or lies elsewhere."""
    scene.spoil("end", "output")
    match scene.rng.choice(("whole", "whole", "part", "renamed", "file", "link", "anew")):
        case "whole":
            shutil.rmtree(scene.root, ignore_errors=True)
        case "part":
            for name in scene.standard():
                if scene.rng.random() < 0.6:
                    remove(scene.root / name)
        case "renamed":
            scene.root.rename(scene.root.parent / f"away-{scene.root.name}")
        case "file":
            shutil.rmtree(scene.root, ignore_errors=True)
            scene.root.write_text("a file")
        case "link":
            others = [path for path in scene.others() if path.is_dir()]
            shutil.rmtree(scene.root, ignore_errors=True)
            scene.root.symlink_to(scene.rng.choice([*others, scene.victims]))
        case "anew":
            shutil.rmtree(scene.root, ignore_errors=True)
            for path in (scene.root, scene.artifacts, scene.work):
                path.mkdir()


def all_runs(scene: Scene) -> None:
    """`rm -rf` of all runs' directories, as by a wrong path in a script."""
    scene.spoil("end", "output")
    scene.note_razing()
    for path in scene.root.parent.iterdir():
        with suppress(OSError, RecursionError):
            shutil.rmtree(path, ignore_errors=True)
    scene.note_razing()


def places_gone(scene: Scene) -> None:
    """The directories that are collected and removed are gone already."""
    for path in (scene.artifacts, scene.work):
        if scene.rng.random() < 0.7:
            shutil.rmtree(path, ignore_errors=True)
        if scene.rng.random() < 0.3:
            path.write_text("a file")


def leader_killed(scene: Scene) -> None:
    """KILL to the process that leads the run."""
    scene.spoil("end", "tail")
    os.kill(os.getsid(0), signal.SIGKILL)


def signalled_group(scene: Scene) -> None:
    """Signals to its own group, which the leader of the run is in too."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
        os.killpg(0, number)


def slow(scene: Scene) -> None:
    """Longer than it may, and deaf to TERM."""
    scene.spoil("end", "tail")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def pause(scene: Scene) -> None:
    """So long that its files are watched."""
    time.sleep(scene.rng.uniform(0.05, 0.6))
