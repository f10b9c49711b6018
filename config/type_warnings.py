"""Likely mistakes in job types, which `headway check` and the start of a server report."""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from config.command_line import Template, unknown_placeholders
from config.job_type import JobType
from config.parameter import Parameter, Trouble

HEAD_BYTES = 256


def type_warnings(job_type: JobType, server_env: Mapping[str, str]) -> Iterator[Trouble]:
    """Each likely mistake, and what to do about it. `server_env` is the server's environment."""
    yield from _program_warnings(job_type, server_env)
    for index, word in enumerate(job_type.command):
        for found in unknown_placeholders(word):
            yield (
                ("command", index),
                f"{found} is no placeholder, and stays as it is ({{{{ is a literal brace)",
            )
        is_path = index > 0 and "/" in word and not word.startswith(("/", "-", "{"))
        if is_path and Path(word).exists():
            yield (
                ("command", index),
                f'give "{word}" in full, or as {{config_dir}}/{word}:'
                " a program starts in a directory of its own",
            )
    yield from _directory_warnings(job_type)
    for variable, value in job_type.env.items():
        for found in unknown_placeholders(value) if isinstance(value, str) else ():
            yield ("env", variable), f"{found} is no placeholder, and stays as it is"
    for name, param in job_type.params.items():
        yield from _param_warnings(job_type, name, param)


def _directory_warnings(job_type: JobType) -> Iterator[Trouble]:
    if (given := job_type.directory) is None:
        return
    for found in unknown_placeholders(given):
        yield ("directory",), f"{found} is no placeholder, and stays as it is"
    directory = job_type.places("{run_id}", "{job_id}", {})["work"]
    is_fixed = "{" not in directory and not Template.parse(given).params
    if is_fixed and not Path(directory).is_dir():
        yield (
            ("directory",),
            f"make it, or programs cannot start: mkdir -p {shlex.quote(directory)}",
        )


def _program_warnings(job_type: JobType, server_env: Mapping[str, str]) -> Iterator[Trouble]:
    program = job_type.argv({})[0]
    if "/" in program and not program.startswith("/"):
        yield ("command",), f'give "{program}" in full: a program starts in a directory of its own'
        return
    path = shutil.which(program, path=job_type.environment(server_env)["PATH"])
    if path is not None and _has_crlf(path):
        yield (
            ("command",),
            f'give "{program}" Unix line ends (sed -i "s/\\r$//"): its first line ends with a'
            " carriage return, so its interpreter is not found",
        )
    elif path is None and program.startswith("/") and Path(program).is_file():
        yield ("command",), f'make "{program}" executable: chmod +x {program}'
    elif path is None:
        yield ("command",), f'install "{program}" or correct its name: PATH has no such program'


def _param_warnings(job_type: JobType, name: str, param: Parameter) -> Iterator[Trouble]:
    has_way = param.arg is not None or param.positional
    if has_way and job_type.input == "json":
        yield ("params", name), 'remove arg and positional: input = "json" does not use them'
    elif has_way and param.secret:
        yield (
            ("params", name),
            'use input = "json": while the program runs, other users of this machine '
            "can read its arguments",
        )
    if param.style == "joined" and not (param.arg or "--").startswith("--"):
        yield (
            ("params", name, "style"),
            f'few programs read "{param.arg}=value": use "separate" ({param.arg} value)',
        )


def _has_crlf(path: str) -> bool:
    """Whether a script's first line, which names its interpreter, ends with CR LF."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        head = os.read(descriptor, HEAD_BYTES)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return head.startswith(b"#!") and head.partition(b"\n")[0].endswith(b"\r")
