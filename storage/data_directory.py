"""The data directory: its owner, its modes, and the file system that it lies on.

The database holds the parameters of Jobs, secret ones too, since a Job that waits needs them. So
the directory must belong to the user that the server runs as, and be closed to all others.
"""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from shlex import quote

from storage.errors import ExposedDirectory

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
OWN_FILES = ("headway.db*", "headway.lock", "headway.reserve", "headway.writer", "runs")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOUNTS = Path("/proc/self/mountinfo")
NOT_LOCAL = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "9p": "9p",
    "virtiofs": "virtiofs",
    "fuse.sshfs": "SSHFS",
    "fuse.glusterfs": "GlusterFS",
    "ceph": "CephFS",
}
"""File systems by the kernel's name whose locks or shared memory SQLite cannot rely on."""


def make_private(data_dir: Path) -> None:
    """Make the directory if it is not there, and take the rights of others to its own files.

    An older headway made the directory private and its files readable.

    Raises:
        ExposedDirectory: others own it or may enter it; the message has the command that helps.
        OSError: it cannot be made, or cannot be looked at.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    if why := exposed(data_dir):
        raise ExposedDirectory(why)
    for path in _own_files(data_dir):
        # Where nothing can be written, opening the database fails with the reason.
        with suppress(OSError):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & OTHERS:
                path.chmod(mode & ~OTHERS)


def exposed(data_dir: Path) -> str | None:
    """Why a server must not use the directory, with the command that helps; None: it may.

    Raises OSError if it cannot be looked at, as when it is not there.
    """
    seen = data_dir.stat()
    me = os.geteuid()
    owners = [path.stat().st_uid for path in _own_files(data_dir)] if seen.st_uid == me else []
    strangers = [uid for uid in (seen.st_uid, *owners) if uid != me]
    where = quote(str(data_dir))
    commands, reasons = list[str](), list[str]()
    if strangers:
        what = "it belongs" if seen.st_uid != me else "files in it belong"
        reasons.append(f"{what} to {_user(strangers[0])}, and this server runs as {_user(me)}")
        commands.append(f"chown -R {me} {where}")
    if seen.st_mode & OTHERS:
        mode = stat.S_IMODE(seen.st_mode)
        reasons.append(f"other users may look into it (mode {mode:04o}), and it holds secrets")
        commands.append(f"chmod 700 {where}")
    if not commands:
        return None
    return f"{data_dir} cannot be used: {'; '.join(reasons)}. Run: {' && '.join(commands)}"


def warnings(data_dir: Path) -> list[str]:
    """What is wrong with the directory, for the operator; one that does not exist will be made."""
    try:
        why = exposed(data_dir)
    except FileNotFoundError:
        why = None
    except OSError as error:
        why = f"{data_dir} cannot be used: {error.strerror}"
    return [warning for warning in (why, not_local(data_dir)) if warning is not None]


def not_local(path: Path) -> str | None:
    """A warning if the path is, or will be, on a file system that is not of this machine."""
    kind = file_system(path)
    if (name := NOT_LOCAL.get(kind or "")) is None:
        return None
    return (
        f"{path} is on {name}: locks and shared memory are not reliable there, which can damage "
        "the database. Move it to a disk of this machine"
    )


def file_system(path: Path) -> str | None:
    """The kernel's name of the file system of the path, or of its nearest directory that exists.

    None if /proc does not show it: see proc_pid_mountinfo(5).
    """
    real = os.fsencode(os.path.realpath(path))
    found, longest = None, -1
    with suppress(OSError):
        for line in MOUNTS.read_bytes().splitlines():
            before, _, after = line.partition(b" - ")
            mount = _unescape(before.split()[4])
            # Of two mounts on one point the later one is seen.
            if _is_below(real, mount) and len(mount) >= longest:
                found, longest = after.split()[0].decode(), len(mount)
    return found


def _own_files(data_dir: Path) -> list[Path]:
    """What a server itself keeps there, as far as it is there; not what programs wrote."""
    return [path for pattern in OWN_FILES for path in data_dir.glob(pattern)]


def _is_below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def _unescape(path: bytes) -> bytes:
    """Blanks, tabs, line breaks and backslashes are written as octal numbers."""
    head, *rest = path.split(b"\\")
    return head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
