"""Whether the params of a Job fit its type, and what is wrong with them.

A check answers quickly; a list of faults takes much longer and is made only for a refusal.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import jsonschema_rs
import pydantic_core

from config.command_line import DASH, CommandLine, Template
from config.parameter import FAULTS_MAX, Parameter, Trouble, compile_schema, inspect, nearest
from config.schema_faults import faults_in
from config.slots import (
    ARGUMENT_BYTES_MAX,
    ARGV_BYTES_MAX,
    STDIN_BYTES_MAX,
    are_small,
    are_terse,
    argv_bytes,
    is_small,
    slot_bytes,
)

Params = Mapping[str, Any]
Places = Mapping[str, str]


class ParamsCheck:
    """The check of one job type. `env_templates`: the variables that contain parameters."""

    def __init__(
        self,
        *,
        params: Mapping[str, Parameter],
        required: list[str],
        schema: dict[str, Any],
        command_line: CommandLine,
        env_templates: Mapping[str, Template],
        is_json: bool,
    ) -> None:
        self._params = params
        self._required = required
        self._command_line = command_line
        self._env_templates = env_templates
        self._is_json = is_json
        self._validator = compile_schema(schema)
        schemas = {name: param.value_schema for name, param in params.items()}
        self._defaults = {name: s["default"] for name, s in schemas.items() if "default" in s}
        self._integers = [name for name, param in params.items() if param.wants_integers]
        self._single_lines = [name for name, param in params.items() if param.single_line]
        # Small values, one for each parameter, then stay far below both limits.
        words = [*command_line.command, *(param.arg or "" for param in params.values())]
        self._is_terse = are_terse(words)

    def accepted(self, params: Params, places: Places) -> dict[str, Any] | None:
        """The params with defaults filled in; None: something is wrong with them."""
        given, unfit = self._completed(params), list[Trouble]()
        inspect(given, (), unfit)
        if unfit or not self._validator.is_valid(given) or not self._is_spawnable(given, places):
            return None
        return None if any(self._text_troubles(given)) else given

    def faults(self, params: Params, places: Places) -> list[Trouble]:
        """All faults, at most FAULTS_MAX. The validators receive only what is JSON."""
        given, found = self._completed(params), list[Trouble]()
        inspect(given, (), found)
        spoilt = {path[0] for path, _ in found}
        missing = (name for name in self._required if name not in given)
        found += [((name,), "give it: it is required") for name in missing]
        unknown = (name for name in given if name not in self._params and name not in spoilt)
        for name in islice(unknown, FAULTS_MAX):
            nearby = nearest(str(name), self._params)
            found.append(((name,), f"remove it: there is no such name{nearby}"))
        sound = {name: given[name] for name in self._params if name in given and name not in spoilt}
        for name, value in sound.items():
            schema, validator = self._params[name].value_schema, self._validators[name]
            inner = islice(faults_in(value, schema, validator), FAULTS_MAX)
            found += [((name, *path), message) for path, message in inner]
        found += self._text_troubles(sound)
        found += self._size_troubles(sound, places)
        return list(dict.fromkeys(found))[:FAULTS_MAX]

    @cached_property
    def _validators(self) -> dict[str, jsonschema_rs.Validator]:
        return {name: compile_schema(param.value_schema) for name, param in self._params.items()}

    def _completed(self, params: Params) -> dict[str, Any]:
        given = {**self._defaults, **params}
        for name in self._integers:
            if name in given:
                given[name] = _whole(given[name])
        return given

    def _is_spawnable(self, given: dict[str, Any], places: Places) -> bool:
        if self._is_terse and all(map(is_small, given.values())):
            return True
        has_argv_only = not self._is_json and not self._env_templates
        if has_argv_only and are_small(self._command_line.argv(given, places)):
            return True
        return not list(self._size_troubles(given, places))

    def _text_troubles(self, given: Params) -> Iterator[Trouble]:
        """Texts that the schema permits, and that the program or the page would misinterpret."""
        for name in self._command_line.dashes(given):
            yield (name,), DASH
        for name in self._single_lines:
            value = given.get(name)
            if isinstance(value, str) and len(value.splitlines()) + value.endswith("\n") > 1:
                yield (name,), "give it on one line"

    def _size_troubles(self, given: dict[str, Any], places: Places) -> Iterator[Trouble]:
        if self._is_json and len(pydantic_core.to_json(given)) >= STDIN_BYTES_MAX:
            yield (), f"shorten them: as JSON they must stay below {STDIN_BYTES_MAX} bytes"
        for name in self._params:
            own = self._command_line.slots_of(name, given) if name in given else []
            own += [
                f"{variable}={value.fill(given, {})}"
                for variable, value in self._env_templates.items()
                if name in value.params
            ]
            if any(slot_bytes(slot) >= ARGUMENT_BYTES_MAX for slot in own):
                yield (name,), f"shorten it: an argument must stay below {ARGUMENT_BYTES_MAX} bytes"
        slots = self._command_line.argv(given, places)
        slots += [text.fill(given, {}) for text in self._env_templates.values()]
        if argv_bytes(slots) >= ARGV_BYTES_MAX:
            yield (), f"shorten them: a command line must stay below {ARGV_BYTES_MAX} bytes"


def _whole(value: Any) -> Any:
    """JSON Schema accepts 3.0 as an integer; the parsers of most programs do not."""
    if type(value) is float and value.is_integer():
        return int(value)
    return [_whole(item) for item in value] if type(value) is list else value
