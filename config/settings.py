"""The configuration: headway.toml, overrides by the environment, and their faults.

Invariant: `load` returns settings without a fault, or raises ConfigurationError with all faults.
`config/job_type.py` validates job types; `toml_file.py` finds the line of a key; `template.py`
defines the job types that exist without a file.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from config.authority import host_name
from config.env_file import UnusableEnvFile
from config.job_type import JobType
from config.limits import Limits
from config.parameter import nearest, raise_all
from config.setup import Setup
from config.template import TEMPLATE
from config.toml_file import KeyPath, UnusableFile, find_lines, line_of, parse, read_text
from config.type_warnings import type_warnings
from storage import data_directory

SHOWN_CHARS_MAX = 60
"""How much of a wrong value a fault shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFault:
    """One thing to correct: its file or variable, the line, the key, the advice.

    `file` is empty if there is none; `line` counts from 1 and is None outside a file.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigurationError(Exception):
    """The configuration cannot be used; `faults` holds all of its faults."""

    def __init__(self, faults: Iterable[ConfigurationFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ServerSettings(_Section):
    """[server]. `load` makes `data_dir` absolute. `sunset` is the day the legacy triggers end.

    `max_streams`, `max_streams_per_address`: by default, a share of what `capacity.py` permits.
    """

    bind: str = "127.0.0.1:8787"
    data_dir: Annotated[Path, Field(strict=False)] = Path("headway-data")
    shutdown_grace_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    legacy_triggers: Literal["subprocess", "scheduler", "off"] = "subprocess"
    sunset: date | None = None
    allowed_hosts: list[str] = []
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = 16 * 1024 * 1024
    max_streams: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_streams_per_address: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    read_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def host(self) -> str:
        """The address to listen on; an IPv6 address has no brackets here."""
        return _split_bind(self.bind)[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 takes a free one."""
        return _split_bind(self.bind)[1]

    @field_validator("bind")
    @classmethod
    def _bind(cls, bind: str) -> str:
        host, _ = _split_bind(bind)
        if not _is_loopback(host):
            raise PydanticCustomError(
                "headway",
                "give 127.0.0.1, [::1] or localhost as the host: "
                "headway listens on loopback only until it has keys",
            )
        return bind

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: list[str]) -> list[str]:
        message = "give what clients send as Host: a name, or a name and :PORT"
        wrong = [index for index, host in enumerate(hosts) if host_name(host) is None]
        raise_all("allowed_hosts", [((index,), message) for index in wrong])
        return hosts

    @field_validator("data_dir", mode="before")
    @classmethod
    def _data_dir(cls, given: object) -> object:
        text = str(given) if isinstance(given, str | Path) else ""
        if not text or "\0" in text or text.startswith("~"):
            raise PydanticCustomError("headway", "give the path of a directory; ~ is not expanded")
        return given


class SchedulerSettings(_Section):
    """[scheduler]: the slots, the limits on what clients may have open, and the space that stays
    free.

    `free_space_bytes`: with less on the disk of the data directory nothing starts; 0: no limit.
    """

    concurrency: Annotated[int, Field(ge=1, le=1024)] = 1
    max_queued: Annotated[int, Field(ge=1, le=1_000_000_000)] = Limits().max_queued
    max_triggered: Annotated[int, Field(ge=1, le=100_000)] = Limits().max_triggered
    max_direct: Annotated[int, Field(ge=1, le=100_000)] = Limits().max_direct
    max_reservations: Annotated[int, Field(ge=1, le=100_000)] = Limits().max_reservations
    max_reservation_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = Limits().max_reservation_s
    free_space_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 64 << 20

    @property
    def limits(self) -> Limits:
        """The limits that the core checks."""
        return Limits(**self.model_dump(exclude={"concurrency", "free_space_bytes"}))


class Settings(_Section):
    """The whole configuration. The built-in job types exist unless a file defines its own."""

    server: ServerSettings = ServerSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    job_types: dict[str, JobType] = Field(default_factory=lambda: built_in_types())

    @property
    def setup(self) -> Setup:
        """The part that the core uses."""
        return Setup(
            job_types=self.job_types,
            concurrency=self.scheduler.concurrency,
            limits=self.scheduler.limits,
            free_space_bytes=self.scheduler.free_space_bytes,
        )

    @field_validator("job_types", mode="wrap")
    @classmethod
    def _job_types(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """The name of a table is the name of its type."""
        if not isinstance(given, dict):
            return handler(given)
        troubles = [
            ((name, "name"), "remove it: the name of the table is the name of the type")
            for name, table in given.items()
            if isinstance(table, dict) and table.get("name", name) != name
        ]
        named = {
            name: {**table, "name": name} if isinstance(table, dict) else table
            for name, table in given.items()
        }
        try:
            made = handler(named)
        except ValidationError as error:
            raise_all("job_types", troubles, error)
            raise
        raise_all("job_types", troubles)
        return made


_TABLES: dict[str, type[_Section]] = {"server": ServerSettings, "scheduler": SchedulerSettings}


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    directory: Path | None = None,
    again: bool = False,
) -> Settings:
    """The configuration of a file (None: without one), overridden by the environment.

    Relative paths start at `directory`, by default the current one. `again`: see `read_text`.
    Raises ConfigurationError.
    """
    directory = directory or Path()
    text, data, faults = "", dict[str, Any](), list[ConfigurationFault]()
    file = "" if path is None else str(path)
    if path is not None:
        try:
            text = read_text(directory / path, again=again)
            data = parse(text)
        except UnusableFile as error:
            faults.append(_fault(file, error.line, (), error.message))
    variables = _override(data, environ, faults)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        lines = find_lines(text)
        for detail in error.errors(include_url=False):
            key, message = _advice(detail)
            variable = variables.get(key[:2])
            line = None if variable else line_of(lines, key)
            faults.append(_fault(variable or file, line, key, message))
    if faults:
        raise ConfigurationError(sorted(faults, key=lambda fault: fault.line or 0))
    located = _locate(settings, directory, path, text, faults)
    if faults:
        raise ConfigurationError(faults)
    return located


def built_in_types() -> dict[str, JobType]:
    """The job types that exist without a file, `{data_dir}` not yet replaced."""
    tables = tomllib.loads(TEMPLATE)["job_types"]
    return {name: JobType.model_validate({**table, "name": name}) for name, table in tables.items()}


def warnings(
    settings: Settings, environ: Mapping[str, str] | None = None
) -> list[ConfigurationFault]:
    """Likely mistakes that are permitted. `environ` is the server's environment."""
    server_env = os.environ if environ is None else environ
    found: list[tuple[KeyPath, str]] = []
    for message in data_directory.warnings(settings.server.data_dir):
        found.append((("server", "data_dir"), message))
    if not settings.job_types:
        found.append((("job_types",), "add a job type: without one, nothing can be run"))
    for name, job_type in settings.job_types.items():
        for key, message in type_warnings(job_type, server_env):
            found.append((("job_types", name, *key), message))
    return [_fault("", None, key, message) for key, message in found]


def _override(
    data: dict[str, Any], environ: Mapping[str, str], faults: list[ConfigurationFault]
) -> dict[KeyPath, str]:
    """Store the variables' values in `data`; returns which variable set which key."""
    known = {
        f"HEADWAY_{table}__{key}".upper(): (table, key)
        for table, section in _TABLES.items()
        for key in section.model_fields
    }
    variables: dict[KeyPath, str] = {}
    for variable in sorted(name for name in environ if re.match("HEADWAY_.*__", name)):
        if variable not in known:
            message = "unset it: there is no such key" + nearest(variable, known)
            faults.append(_fault(variable, None, (), message))
            continue
        table, key = known[variable]
        if isinstance(data.setdefault(table, {}), dict):
            is_text = _TABLES[table].model_fields[key].annotation in (str, Path)
            data[table][key] = _literal(environ[variable], is_text)
            variables[table, key] = variable
    return variables


def _literal(text: str, is_text: bool) -> Any:
    """The value of a TOML literal; anything else, or where text is expected, the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    if parsed.keys() != {"value"} or (is_text and not isinstance(parsed["value"], str)):
        return text
    return parsed["value"]


def _fault(file: str, line: int | None, key: KeyPath, message: str) -> ConfigurationFault:
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in key)
    return ConfigurationFault(file=file, line=line, key=dotted.lstrip("."), message=message)


def _advice(detail: ErrorDetails) -> tuple[KeyPath, str]:
    """The key that an error of pydantic concerns, and how to correct it."""
    key, kind, message = detail["loc"], detail["type"], detail["msg"]
    if key[-1:] == ("[key]",):
        return key[:-1], "name a parameter with letters, digits and _ . -, a letter or _ first"
    if kind == "missing":
        return key, "add it: it is required"
    if kind == "extra_forbidden":
        return key, "remove it: there is no such key" + nearest(str(key[-1]), _names_in(key[:-1]))
    if len(key) == 3 and key[0] == "job_types" and key[2] == "name" and kind != "headway":
        return key[:2], "name a job type with a-z, 0-9, _ and -, a letter first, 63 at most"
    said = re.sub(r"^\w+ should", "must", message)
    if kind == "headway" or said == message:
        return key, message
    shown = repr(detail["input"])
    shown = shown if len(shown) <= SHOWN_CHARS_MAX else shown[:SHOWN_CHARS_MAX] + "…"
    return key, f"change it: it {said}; it is {shown}"


def _names_in(table: KeyPath) -> list[str]:
    if table[:1] == ("job_types",):
        return [name for name in JobType.model_fields if name != "name"]
    if table and isinstance(table[0], str) and table[0] in _TABLES:
        return list(_TABLES[table[0]].model_fields)
    return list(Settings.model_fields)


def _locate(
    settings: Settings,
    directory: Path,
    path: Path | None,
    text: str,
    faults: list[ConfigurationFault],
) -> Settings:
    """Make data_dir absolute, and let the job types know it and the directory of the file."""
    config_dir = os.path.abspath(directory if path is None else (directory / path).parent)
    data_dir = Path(os.path.abspath(directory / settings.server.data_dir))
    job_types: dict[str, JobType] = {}
    for name, job_type in settings.job_types.items():
        try:
            job_types[name] = job_type.located(config_dir=config_dir, data_dir=str(data_dir))
        except UnusableEnvFile as error:
            key = ("job_types", name, "env_file")
            faults.append(_fault(str(path or ""), line_of(find_lines(text), key), key, str(error)))
    server = settings.server.model_copy(update={"data_dir": data_dir})
    return settings.model_copy(update={"server": server, "job_types": job_types})


def _split_bind(bind: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\[\]]*:[^\[\]]*)\]|([^:\[\]]+)):([0-9]{1,5})", bind)
    if found is None or int(found[3]) > 65_535:
        raise PydanticCustomError(
            "headway", "write it as HOST:PORT, such as 127.0.0.1:8787, the port from 0 to 65535"
        )
    return found[1] or found[2], int(found[3])


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.ip_network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")
