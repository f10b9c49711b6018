"""What lies outside the run directories and must stay as it is: files, directories, a process."""

import os
import random
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

PAST_S = 1_600_000_000
VICTIM_BYTES_MAX = 3 << 20


class Victims:
    """Planted beside a data directory, and in it."""

    def __init__(self, directory: Path, rng: random.Random) -> None:
        self._directory = directory
        self._places = (directory / "victims", directory / "data" / "notes-of-the-operator")
        (directory / "data").mkdir(mode=0o700)
        for place in self._places:
            self._plant(place, rng)
        self._process = subprocess.Popen(["sleep", "100000"], start_new_session=True)
        (directory / "victim.pid").write_text(str(self._process.pid))
        self._before = self._fingerprints()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _plant(self, place: Path, rng: random.Random) -> None:
        (place / "directory" / "inner").mkdir(parents=True)
        files = {"plain": 5_000, "secret": 100, "big": VICTIM_BYTES_MAX, "empty": 0}
        files |= {"directory/file": 10_000, "directory/inner/log": 70_000}
        for name, size in files.items():
            path = place / name
            path.write_bytes(rng.randbytes(size))
            path.chmod(0o600 if name == "secret" else 0o640)
            os.utime(path, (PAST_S, PAST_S))
        # What a later server's run directory must not become: it looks like one.
        (place / "directory" / "exit").write_text("started 1\n")

    def changes(self) -> list[str]:
        """What is different now."""
        after = self._fingerprints()
        found = [
            f"{path} was {self._before.get(path)}, and is {after.get(path)}"
            for path in sorted(self._before.keys() | after.keys())
            if self._before.get(path) != after.get(path)
        ]
        if self._process.poll() is not None:
            found.append(f"the process ended with {self._process.returncode}")
        return found

    def end(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def _fingerprints(self) -> dict[str, tuple[object, ...]]:
        paths = [self._directory / "headway.toml"]
        for place in self._places:
            paths += [place, *walk(place)]
        return {str(path.relative_to(self._directory)): fingerprint(path) for path in paths}


def walk(place: Path) -> Iterator[Path]:
    """All below it."""
    for path in place.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


def fingerprint(path: Path) -> tuple[object, ...]:
    """What must stay. A hard link changes the number of links, and that is all."""
    seen = path.lstat()
    kind, mode = stat.S_IFMT(seen.st_mode), oct(stat.S_IMODE(seen.st_mode))
    if not path.is_file():
        return kind, mode
    digest = "" if seen.st_size > VICTIM_BYTES_MAX else sha256(path.read_bytes()).hexdigest()
    return kind, mode, seen.st_size, seen.st_blocks, seen.st_mtime_ns, digest


def remove_tree(path: Path) -> None:
    """Take away what hostile programs have left, however deep or locked it is."""
    subprocess.run(["chmod", "-R", "u+rwx", str(path)], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)
