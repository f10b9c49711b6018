"""Whose fault it is that a program cannot be started: the command's, or the host's."""

import errno
import os

import pytest

from actors.host.launch import HostUnfit, SpawnFailed, spawn_fault


@pytest.mark.parametrize("shim", [True, False])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, HostUnfit) for number in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE)),
        *((number, HostUnfit) for number in (errno.ENFILE, errno.ENOSPC, errno.EIO)),
        (errno.E2BIG, SpawnFailed),
    ],
)
def test_what_the_host_lacks_is_not_the_fault_of_the_command(
    number: int, kind: type[Exception], shim: bool
) -> None:
    error = OSError(number, os.strerror(number))
    assert type(spawn_fault("a", error, shim=shim)) is kind


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ELOOP, errno.EPERM, errno.ETXTBSY]
)
def test_what_cannot_be_executed_is(number: int) -> None:
    error = OSError(number, os.strerror(number))
    assert type(spawn_fault("a", error, shim=False)) is SpawnFailed
    assert type(spawn_fault("a", error, shim=True)) is HostUnfit  # it is the shell
