"""Job types: a command line, and the parameters that complete it.

Invariant: params that `accept` has returned make a command line (or a standard input) with which a
process can be spawned, and their values cannot change what is run. `parameter.py` and
`command_line.py` define how values reach the command line, `type_faults.py` finds faults of a
definition, and `linux_host.py` starts the process.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from config.command_line import CommandLine, Template
from config.env_file import read_env_file
from config.parameter import (
    DIALECT,
    Parameter,
    pointer,
    raise_all,
    to_json,
)
from config.params_check import ParamsCheck
from config.run_limits import (
    ARTIFACT_LIMIT_BYTES,
    ARTIFACT_LIMIT_FILES,
    REPORT_LIMIT_BYTES,
    KeepLimits,
)
from config.type_faults import env_troubles, troubles_between
from headway.model.field import MAX_INT, Seconds
from headway.model.problem import Fault, Refusal

OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024
"""The default limit of a run's output."""

_REDACTED = "***"
_INHERITED = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", "TZ": None}
"""What programs have of the server's environment, or this; without TZ the host's zone counts."""

TypeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
ExitCode = Annotated[int, Field(ge=1, le=255)]


class JobType(BaseModel):
    """A job type. Only the operator defines one; nothing that a client sends can change it.

    `env` is given as a list of names, passed through from the server's environment, or as a table
    of values in which `true` passes the name through; it is kept as the table. `command` and `env`
    may hold placeholders (see `command_line.py`); `env_file` is read when the configuration is, and
    what `env` says goes before it. With a `directory` programs do not start in a fresh one, but
    there. `separator` false: no "--" stands before the
    positional parameters. With `adopt = false` its programs start without the
    shim: sooner, but a server that crashes takes them along. Times are in seconds, sizes in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: TypeName
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    command: Annotated[tuple[Word, ...], Field(strict=False, min_length=1)]
    timeout_s: Seconds = 3600.0
    kill_grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    adopt: bool = True
    input: Literal["arguments", "json"] = "arguments"
    separator: bool = True
    env: dict[str, str | Literal[True]] = {}
    env_file: Word | None = None
    directory: Word | None = None
    skip_exit_codes: Annotated[tuple[ExitCode, ...], Field(strict=False)] = (77,)
    output: Literal["pipe", "file"] = "pipe"
    output_limit_bytes: Annotated[int, Field(ge=4096, le=MAX_INT)] = OUTPUT_LIMIT_BYTES
    on_output_limit: Literal["drop", "fail"] = "drop"
    artifact_limit_bytes: Annotated[int, Field(ge=0, le=MAX_INT)] = ARTIFACT_LIMIT_BYTES
    artifact_limit_files: Annotated[int, Field(ge=0, le=1_000_000)] = ARTIFACT_LIMIT_FILES
    report_limit_bytes: Annotated[int, Field(ge=4096, le=MAX_INT)] = REPORT_LIMIT_BYTES
    on_artifact_limit: Literal["drop", "fail"] = "drop"
    params: dict[ParameterName, Parameter] = {}
    required: list[str] = []
    _places: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _env_values: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, command: Any) -> Any:
        """Reject a command line as one text, which a shell would take: no shell is started."""
        if isinstance(command, str):
            words = ", ".join(map(to_json, command.split()))
            raise PydanticCustomError("headway", f"use a list: command = [{words}]")
        return command

    @field_validator("command")
    @classmethod
    def _command(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not command[0]:
            raise PydanticCustomError("headway", "begin with the program to run")
        return command

    @field_validator("env", mode="before")
    @classmethod
    def _env(cls, given: Any) -> Any:
        if isinstance(given, list) and all(isinstance(name, str) for name in given):
            given = dict.fromkeys(given, True)
        if not isinstance(given, dict):
            raise PydanticCustomError("headway", "give a list of names, or a table of values")
        raise_all("env", env_troubles(given))
        return given

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, given: Any, handler: ModelWrapValidatorHandler["JobType"]) -> "JobType":
        """Report faults between fields together with those within them."""
        between = list(troubles_between(given)) if isinstance(given, dict) else []
        try:
            made = handler(given)
        except ValidationError as error:
            raise_all("JobType", between, error)
            raise
        raise_all("JobType", between)
        return made

    @cached_property
    def schema(self) -> dict[str, Any]:  # type: ignore[override]  # pydantic's own is deprecated
        """The JSON Schema (draft 2020-12) of the params object. Shared: do not change it."""
        schema: dict[str, Any] = {
            "$schema": DIALECT + "schema",
            "type": "object",
            "properties": {name: param.value_schema for name, param in self.params.items()},
            "additionalProperties": False,
        }
        return schema | ({"required": self.required} if self.required else {})

    def accept(self, params: Mapping[str, Any], at: str = "/params") -> dict[str, Any]:
        """The params with defaults filled in, ready for `argv` or `stdin`.

        Raises Refusal("invalid") with every fault; `at` is the JSON Pointer of the params object.
        A number without a fraction becomes an integer where the schema asks for integers.
        """
        if (given := self.fit(params)) is not None:
            return given
        raise Refusal(
            "invalid",
            f'The params do not fit the job type "{self.name}": correct what errors names.',
            tuple(
                Fault(at + pointer(path), text)
                for path, text in self._params_check.faults(params, self._places)
            ),
        )

    def fit(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The accepted params, or None: finding faults takes much longer than detecting that there
        are some.
        """
        return self._params_check.accepted(params, self._places)

    def is_exceeded_by(self, timeout_s: float | None) -> bool:
        """Whether a timeout is longer than the type permits."""
        return timeout_s is not None and timeout_s > self.timeout_s

    def located(self, *, config_dir: str, data_dir: str) -> "JobType":
        """The same type, which knows where its configuration and its runs are.

        Raises:
            UnusableEnvFile: its `env_file` cannot be used.
        """
        made = self.model_copy()
        made._places = {"config_dir": config_dir, "data_dir": data_dir}
        if self.env_file is not None:
            path = Template.parse(self.env_file).fill({}, made._places)
            made._env_values = read_env_file(Path(config_dir, path))
        return made

    def places(self, run_id: str, job_id: str | None, params: Mapping[str, Any]) -> dict[str, str]:
        """The values of the placeholders of one run. `job_id` is empty for a direct run."""
        run = f"{self._places.get('data_dir', '')}/runs/{run_id}"
        places = {
            **self._places,
            "run_id": run_id,
            "job_id": job_id or "",
            "artifacts": f"{run}/artifacts",
            "work": f"{run}/work",
        }
        if self.directory is not None:
            places["work"] = Template.parse(self.directory).fill(params, places)
        return places

    def argv(self, params: Mapping[str, Any], places: Mapping[str, str] | None = None) -> list[str]:
        """The whole command line of accepted params; without `places` as far as it is known."""
        return self._command_line.argv(params, self._places if places is None else places)

    def stdin(self, params: Mapping[str, Any]) -> bytes | None:
        """The accepted params as one JSON object; None where they are arguments."""
        # The standard library takes 70 times as long for numbers, and holds the interpreter's lock.
        return pydantic_core.to_json(params) if self.input == "json" else None

    def redact(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The params with *** in place of each secret value.

        The same object, if it holds no secret.
        """
        if self._secrets.isdisjoint(params):
            return params
        return {name: _REDACTED if name in self._secrets else params[name] for name in params}

    def display_argv(
        self, params: Mapping[str, Any], run_id: str = "{run_id}", job_id: str | None = "{job_id}"
    ) -> list[str]:
        """The command line without secrets, of one run or of any."""
        shown = self.redact(params)
        if not self._command_line.templates:
            return self.argv(shown)
        return self.argv(shown, self.places(run_id, job_id, shown))

    def environment(
        self,
        server_env: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The program's environment, without the HEADWAY_* variables that the executor adds."""
        made = {"PYTHONUNBUFFERED": "1"}  # so that a log shows a line when it is printed
        for name, fallback in _INHERITED.items():
            if (inherited := server_env.get(name, fallback)) is not None:
                made[name] = inherited
        made |= self._env_values
        for name, value in self._env_templates.items():
            if value is not None:
                made[name] = value.fill(params or {}, self._places if places is None else places)
            elif name in server_env:
                made[name] = server_env[name]
        return made

    @property
    def keep_limits(self) -> KeepLimits:
        """The limits on what is kept of a run."""
        return KeepLimits(bytes=self.artifact_limit_bytes, files=self.artifact_limit_files)

    @cached_property
    def _command_line(self) -> CommandLine:
        return CommandLine(
            self.command,
            self.params,
            has_arguments=self.input == "arguments",
            separator=self.separator,
        )

    @cached_property
    def _env_templates(self) -> dict[str, Template | None]:
        """None: passed through from the server."""
        return {
            name: None if value is True else Template.parse(value)
            for name, value in self.env.items()
        }

    @cached_property
    def _env_params(self) -> dict[str, Template]:
        """The environment variables in which parameters stand."""
        templates = self._env_templates.items()
        return {name: text for name, text in templates if text is not None and text.params}

    @cached_property
    def _params_check(self) -> ParamsCheck:
        return ParamsCheck(
            params=self.params,
            required=self.required,
            schema=self.schema,
            command_line=self._command_line,
            env_templates=self._env_params,
            is_json=self.input == "json",
        )

    @cached_property
    def _secrets(self) -> frozenset[str]:
        return frozenset(name for name, param in self.params.items() if param.secret)
