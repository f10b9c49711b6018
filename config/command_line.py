"""The command line of a job type: fixed words, placeholders in them, and parameters.

Invariant: only the operator decides how a value affects the command line. It is a slot of its own
or a part of one, it is never split, and where a program could take it for an option it must not
begin with "-", unless the parameter has `allow_dash`.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from config.parameter import Parameter, text_of

PLACES = ("python", "config_dir", "data_dir", "artifacts", "work", "job_id", "run_id")
"""The placeholders that are not parameters."""

_PLACEHOLDER = re.compile(
    r"\{\{|\{(?P<place>" + "|".join(PLACES) + r")\}|\{params\.(?P<param>[A-Za-z_][A-Za-z0-9_.-]*)\}"
)
_LOOKS_LIKE_ONE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
DASH = 'begin it with something else than "-": the program would take it for an option'


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders. `{{` is a literal brace; other text in braces stays as it is."""

    parts: tuple[tuple[str, str], ...]
    """(kind, text) with the kinds "text", "place" and "param"."""

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Divide a text into its parts."""
        parts: list[tuple[str, str]] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            parts.append(("text", text[end : found.start()]))
            if found["place"]:
                parts.append(("place", found["place"]))
            elif found["param"]:
                parts.append(("param", found["param"]))
            else:
                parts.append(("text", "{"))
            end = found.end()
        parts.append(("text", text[end:]))
        return cls(tuple(part for part in parts if part != ("text", "")))

    @property
    def params(self) -> list[str]:
        """The parameters in it, in order."""
        return [text for kind, text in self.parts if kind == "param"]

    @property
    def is_whole(self) -> bool:
        """Whether it is one parameter and nothing else."""
        return len(self.parts) == 1 and self.parts[0][0] == "param"

    @property
    def leader(self) -> str | None:
        """The parameter that it begins with."""
        kind, text = self.parts[0] if self.parts else ("text", "")
        return text if kind == "param" else None

    def fill(self, params: Mapping[str, Any], places: Mapping[str, str]) -> str:
        """The text; a placeholder without a value yet stays as it is written."""
        filled: list[str] = []
        for kind, text in self.parts:
            if kind == "place":
                filled.append(places.get(text, f"{{{text}}}"))
            elif kind == "param":
                value = params.get(text)
                filled.append("" if value is None else text_of(value))
            else:
                filled.append(text)
        return "".join(filled)


def unknown_placeholders(text: str) -> list[str]:
    """Text in it that looks like a placeholder and is not one."""
    rest = _PLACEHOLDER.sub("", text)
    return [found[0] for found in _LOOKS_LIKE_ONE.finditer(rest)]


@dataclass(frozen=True)
class CommandLine:
    """How the accepted params of one type become slots.

    `has_arguments` false: they go to standard input, and only placeholders use them. `separator`: a
    "--" precedes the positional ones.
    """

    command: tuple[str, ...]
    params: Mapping[str, Parameter]
    has_arguments: bool = True
    separator: bool = True

    def argv(self, params: Mapping[str, Any], places: Mapping[str, str]) -> list[str]:
        """The whole command line, in the order in which the parameters are defined."""
        slots = [
            word if isinstance(word, str) else word.fill(params, places) for word in self._words
        ]
        for name, param in self._options:
            if name in params:
                slots += param.options(params[name])
        after: list[str] = []
        for name, param in self._positionals:
            if name in params:
                after += param.texts(params[name])
        if after and self.separator:
            slots.append("--")
        return slots + after

    def slots_of(self, name: str, params: Mapping[str, Any]) -> list[str]:
        """The slots that contain one parameter, without their placeholders for places."""
        param, value = self.params[name], params[name]
        slots = [word.fill(params, {}) for word in self.templates if name in word.params]
        if self.has_arguments and param.arg:
            slots += param.options(value)
        if self.has_arguments and param.positional:
            slots += param.texts(value)
        return slots

    def dashes(self, params: Mapping[str, Any]) -> Iterator[str]:
        """The names of params whose values would be taken for options."""
        for name in self._guarded:
            texts = self.params[name].texts(params.get(name))
            if any(text.startswith("-") for text in texts):
                yield name

    @cached_property
    def templates(self) -> list[Template]:
        """The words that have placeholders."""
        words = map(Template.parse, self.command)
        return [word for word in words if any(kind != "text" for kind, _ in word.parts)]

    @cached_property
    def _words(self) -> list[str | Template]:
        """Each word: as text, if it is always the same."""
        made: list[str | Template] = []
        for word in map(Template.parse, self.command):
            kinds = {part for part in word.parts if part[0] != "text"}
            is_fixed = kinds <= {("place", "python")}
            made.append(word.fill({}, {"python": sys.executable}) if is_fixed else word)
        return made

    @cached_property
    def _options(self) -> list[tuple[str, Parameter]]:
        arguments = self.params.items() if self.has_arguments else ()
        return [(name, param) for name, param in arguments if param.arg]

    @cached_property
    def _positionals(self) -> list[tuple[str, Parameter]]:
        arguments = self.params.items() if self.has_arguments else ()
        return [(name, param) for name, param in arguments if param.positional]

    @cached_property
    def _guarded(self) -> tuple[str, ...]:
        """The params whose values must not begin with "-"."""
        leaders = {word.leader for word in self.templates}
        return tuple(
            name
            for name, param in self.params.items()
            if not param.allow_dash
            and (
                name in leaders
                or (self.has_arguments and param.arg is not None and param.stands_alone)
                or (self.has_arguments and param.positional and not self.separator)
            )
        )
