"""Environment variables from a file that only its owner can read: keys, passwords, addresses.

One `NAME=value` a line, as Docker and systemd read them; empty lines and lines that begin with `#`
are ignored, and quotes around a whole value are removed. Its values are never shown.
"""

import os
import re
import stat
from pathlib import Path

SIZE_BYTES_MAX = 256 * 1024
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class UnusableEnvFile(ValueError):
    """The file cannot be used; the message says what to do."""


def read_env_file(path: Path) -> dict[str, str]:
    """The variables, in the order of the file.

    Raises:
        UnusableEnvFile: it cannot be read, others may read it, or a line is wrong.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode):
                raise UnusableEnvFile(f"{path} is no regular file")
            if seen.st_mode & 0o077:
                raise UnusableEnvFile(f"others may read it: chmod 600 {path}")
            data = file.read(SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise UnusableEnvFile(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > SIZE_BYTES_MAX:
        raise UnusableEnvFile(f"{path} has more than {SIZE_BYTES_MAX} bytes")
    return _variables(path, data)


def _variables(path: Path, data: bytes) -> dict[str, str]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UnusableEnvFile(f"{path} is not UTF-8") from error
    made: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        # The line itself is not shown: it may hold a password.
        if (found := _LINE.fullmatch(line)) is None or "\0" in line:
            raise UnusableEnvFile(f"write line {number} of {path} as NAME=value")
        if found[1].startswith("HEADWAY_"):
            raise UnusableEnvFile(f"remove {found[1]} from {path}: headway itself sets HEADWAY_*")
        made[found[1]] = _unquoted(found[2])
    return made


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value
