"""One parameter of a job type: the JSON Schema of its value, and its way to the command line.

A value becomes slots by the parameter's style (`--name=value`, `-n value`, `-nvalue`, or a slot of
its own); none is ever split or interpreted. What a value may be at all (text without NUL or lone
surrogates, finite numbers, integers that SQLite can hold, bounded nesting) is decided here by
`inspect`; the whole command line is in `command_line.py`.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, Self

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from headway.model.field import MAX_INT

NESTING_MAX = 64
FAULTS_MAX = 100
"""A refusal names at most this many faults: enough for an array of a million wrong items."""
NAME_CHARS_MAX = 200
"""How much of an unknown name a refusal repeats."""

NAMES_MAX = 20
"""How many correct names a refusal lists for an unknown one."""

Path = tuple[str | int, ...]
Trouble = tuple[Path, str]
"""Where something is wrong, and what to do about it."""

DIALECT = "https://json-schema.org/draft/2020-12/"
_VOCABULARIES = (
    *("applicator", "unevaluated", "validation"),
    *("meta-data", "format-annotation", "content"),
)
# JSON Schema lets unknown keywords pass, so that `maxLenght` would check nothing. This schema of
# schemas closes the set, at every depth ($dynamicAnchor); "x-" stays free. Without the core
# vocabulary there is no $ref: the schema stands alone wherever it is put.
_SCHEMA_OF_SCHEMAS = {
    "$schema": DIALECT + "schema",
    "$id": "urn:headway:parameter",
    "$dynamicAnchor": "meta",
    "type": ["object", "boolean"],
    "allOf": [{"$ref": f"{DIALECT}meta/{name}"} for name in _VOCABULARIES],
    "patternProperties": {"^x-": True},
    "unevaluatedProperties": False,
}
_KEYWORDS = (
    *(
        "arg",
        "positional",
        "style",
        "allow_dash",
        "single_line",
        "secret",
        "type",
        "default",
        "description",
        "title",
        "enum",
        "const",
    ),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern"),
    *("minLength", "maxLength", "format", "items", "minItems", "maxItems", "uniqueItems"),
    *("properties", "required", "additionalProperties", "anyOf", "oneOf", "allOf", "not", "if"),
    *("then", "else", "examples", "deprecated", "readOnly", "writeOnly", "prefixItems"),
    *("contains", "minContains", "maxContains", "minProperties", "maxProperties"),
    *("patternProperties", "propertyNames", "dependentSchemas", "dependentRequired"),
    *("unevaluatedItems", "unevaluatedProperties"),
    *("contentEncoding", "contentMediaType", "contentSchema"),
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_REGEX_ADVICE = "give a regular expression without look-around and back-references"
_PUBLIC = ("default", "const", "enum", "examples")
_ADVICE = {
    "minimum": "give {} or more",
    "maximum": "give {} or less",
    "exclusiveMinimum": "give more than {}",
    "exclusiveMaximum": "give less than {}",
    "multipleOf": "give a multiple of {}",
    "minLength": "give at least {} characters",
    "maxLength": "give at most {} characters",
    "minItems": "give at least {} items",
    "maxItems": "give at most {} items",
    "uniqueItems": "give each item once",
    "pattern": "give text that matches {}",
    "format": "give a valid {}",
}


Style = Literal["joined", "separate", "attached", "spread", "repeated"]
"""How a value follows its flag: `--n=5`, `-n 5`, `-n5`; `--tags a b`, `--tag=a --tag=b`."""


class Parameter(BaseModel):
    """How a parameter reaches the command line, and the JSON Schema of its value.

    `arg`, `positional`, `style`, `allow_dash`, `single_line` and `secret` are headway's; every
    other key is a keyword of JSON Schema draft 2020-12. Without a `style` a flag of two dashes is
    joined to its value, and one of a single dash stands before it. Refused are misspelt keywords,
    unknown formats (formats are checked), `$ref` and its kin, and patterns that need backtracking,
    with which one value could hold up the server.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    arg: str | None = None
    positional: bool = False
    style: Style | None = None
    allow_dash: bool = False
    single_line: bool = False
    secret: bool = False

    @cached_property
    def value_schema(self) -> dict[str, Any]:
        """The JSON Schema of the value alone. Shared: do not change it."""
        return dict(self.model_extra or {})

    @cached_property
    def wants_integers(self) -> bool:
        """Whether the value, or each item of the array, is an integer."""
        items = self.value_schema.get("items")
        return _is_integer(self.value_schema) or (isinstance(items, dict) and _is_integer(items))

    @cached_property
    def stands_alone(self) -> bool:
        """Whether a value after `arg` is an argument of its own."""
        return self.style == "spread" or self._way == "separate"

    @cached_property
    def _way(self) -> str:
        """How one value follows its flag."""
        if self.style in ("joined", "separate", "attached"):
            return self.style
        return "joined" if (self.arg or "").startswith("--") else "separate"

    def options(self, value: Any) -> list[str]:
        """The slots of an accepted value after `arg`, for each item of an array.

        True is the bare flag; false, null and the empty array are nothing.
        """
        if value is None or value is False:
            return []
        arg = f"{self.arg}"
        if value is True:
            return [arg]
        texts = self.texts(value)
        if self.style == "spread":
            return [arg, *texts] if texts else []
        match self._way:
            case "joined":
                return [f"{arg}={text}" for text in texts]
            case "attached":
                return [arg + text for text in texts]
            case _:
                return [slot for text in texts for slot in (arg, text)]

    def texts(self, value: Any) -> list[str]:
        """An accepted value as text, each item of an array by itself; null is nothing."""
        if value is None:
            return []
        return list(map(text_of, value)) if type(value) is list else [text_of(value)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        raise_all("Parameter", [*self._troubles()])
        return self

    def _troubles(self) -> Iterator[Trouble]:
        if self.arg is not None and not re.fullmatch(r"--?[^\s=\x00-][^\s=\x00]*", self.arg):
            yield ("arg",), 'write it as "--name" or "-n", with neither "=" nor spaces in it'
        yield from self._style_troubles()
        if self.secret:
            for key in [key for key in _PUBLIC if key in self.value_schema]:
                yield (key,), "remove it: the schema of a secret can be read by all; use env"
        wrong = list(_schema_troubles(self.value_schema))
        yield from wrong
        if not wrong and "default" in self.value_schema:
            yield from self._default_troubles(self.value_schema["default"])

    def _style_troubles(self) -> Iterator[Trouble]:
        kind = self.value_schema.get("type")
        if self.style is not None and self.arg is None:
            yield ("style",), "remove it, or add arg: it says how a value follows its flag"
        elif self.style == "attached" and (self.arg or "").startswith("--"):
            yield ("style",), "give arg one dash: a value is attached to a flag like -n"
        elif self.style == "spread" and kind not in ("array", ["array", "null"]):
            yield ("style",), 'add type = "array": only the items of an array can be spread'
        if self.single_line and kind not in ("string", ["string", "null"]):
            yield ("single_line",), 'add type = "string": only text has lines'

    def _default_troubles(self, default: Any) -> Iterator[Trouble]:
        found: list[Trouble] = []
        inspect(default, (), found)
        for error in () if found else compile_schema(self.value_schema).iter_errors(default):
            found += advice(error)
        for path, message in found:
            yield ("default", *path), f"{message}: a default must fit its own schema"


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Formats are checked, patterns run in linear time, messages never repeat the value."""
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="the value",
        offline=True,
    )


def inspect(value: Any, path: Path, unfit: list[Trouble]) -> None:
    """Add to `unfit` each part of a value that is not JSON as headway stores it."""
    kind = type(value)
    if kind is str:
        if "\0" in value:
            unfit.append((path, "remove the NUL character: no argument can hold it"))
        elif not value.isascii() and not _is_unicode(value):
            unfit.append((path, "remove the lone surrogate: it is not a character"))
    elif kind is int:
        if not -MAX_INT <= value <= MAX_INT:
            unfit.append((path, f"give an integer from -{MAX_INT} to {MAX_INT}"))
    elif kind is float:
        if not math.isfinite(value):
            unfit.append((path, "give a finite number"))
    elif kind is dict or kind is list:
        _inspect_within(value, path, unfit)
    elif value is not None and kind is not bool:
        unfit.append((path, "give text, a number, a boolean, an array or a table"))


def _inspect_within(value: dict[Any, Any] | list[Any], path: Path, unfit: list[Trouble]) -> None:
    if len(path) > NESTING_MAX:
        unfit.append((path[:1], f"nest values at most {NESTING_MAX} deep"))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if len(unfit) >= FAULTS_MAX:
                break
            inspect(item, (*path, index), unfit)
    else:
        for key, item in value.items():
            if len(unfit) >= FAULTS_MAX:
                break
            if type(key) is not str or "\0" in key or not _is_unicode(key):
                unfit.append(((*path, key), "use text without NUL and lone surrogates as a name"))
            else:
                inspect(item, (*path, key), unfit)


def advice(error: jsonschema_rs.ValidationError) -> Iterator[Trouble]:
    """How to correct what the validator rejected, and where. The value is not repeated."""
    path, kind = tuple(error.instance_path), error.kind
    match kind:
        case Kind.Required(property=name):
            yield (*path, name), "give it: it is required"
        case Kind.AdditionalProperties(unexpected=names):
            for name in names:
                yield (*path, name), "remove it: there is no such name"
        case Kind.Type(types=types):
            yield path, f"give {' or '.join(map(_with_article, types))}"
        case Kind.Enum(options=options):
            yield path, f"give one of {', '.join(map(to_json, options[:50]))}"
        case Kind.Constant(expected_value=value):
            yield path, f"give {to_json(value)}"
        case _ if kind.name in _ADVICE:
            yield path, _ADVICE[kind.name].format(kind.value)
        case _:
            yield path, error.message


def pointer(path: Path) -> str:
    """The JSON Pointer (RFC 6901) of a path: valid Unicode, each name of bounded length."""
    return "".join(
        "/" + printable(str(step)).replace("~", "~0").replace("/", "~1") for step in path
    )


def printable(text: str) -> str:
    """A name as a refusal repeats it: encodable, and of bounded length."""
    if len(text) > NAME_CHARS_MAX:
        text = text[:NAME_CHARS_MAX] + "…"
    return text.encode("utf-8", "replace").decode()


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of "there is no such name": the nearest known one, or all if they are few."""
    known = list(names)
    if near := difflib.get_close_matches(name[:NAME_CHARS_MAX], known, n=1):
        return f'; did you mean "{near[0]}"?'
    return f"; there are {', '.join(known)}" if 0 < len(known) <= NAMES_MAX else ""


def to_json(value: Any) -> str:
    """Compact JSON, its text unescaped."""
    return _ENCODER.encode(value)


def raise_all(
    title: str, troubles: Iterable[Trouble], error: ValidationError | None = None
) -> None:
    """Raise one ValidationError with all troubles and those of `error`; return if there are
    none.
    """
    details = [
        InitErrorDetails(
            type=PydanticCustomError(one["type"], one["msg"]), loc=one["loc"], input=one["input"]
        )
        for one in (error.errors(include_url=False) if error else ())
    ]
    details += [
        InitErrorDetails(type=PydanticCustomError("headway", message), loc=path, input=None)
        for path, message in troubles
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def _schema_troubles(schema: dict[str, Any]) -> Iterator[Trouble]:
    unfit: list[Trouble] = []
    inspect(schema, (), unfit)
    if unfit:  # a date, which TOML has and JSON has not; infinity; nesting without end
        yield from unfit
        return
    errors = list(compile_schema(_SCHEMA_OF_SCHEMAS).iter_errors(schema))
    for error in errors:
        path, kind = tuple(error.instance_path), error.kind
        if isinstance(kind, Kind.UnevaluatedProperties):
            # Beside a wrong value the right keywords count as unevaluated too: they are known.
            for name in [name for name in kind.unexpected if name not in _KEYWORDS]:
                message = "remove it: this keyword means nothing here"
                yield (*path, name), message + nearest(name, _KEYWORDS)
        elif isinstance(kind, Kind.AnyOf) and path[-1:] == ("type",):
            yield path, "give string, integer, number, boolean, array, object or null"
        elif isinstance(kind, Kind.Format):
            yield path, _REGEX_ADVICE
        else:
            yield from advice(error)
    if not errors:
        yield from _compile_troubles(schema)


def _compile_troubles(schema: dict[str, Any]) -> Iterator[Trouble]:
    """Faults that the schema of schemas cannot find: patterns and names of formats."""
    try:
        compile_schema(schema)
    except jsonschema_rs.ValidationError as error:
        path = tuple(error.instance_path)
        if path[-1:] == ("pattern",):
            yield path, _REGEX_ADVICE
        elif path[-1:] == ("format",):
            yield path, "give a format of JSON Schema, such as date, email, uri or uuid"
        else:
            yield path, error.message


def text_of(value: Any) -> str:
    """A value as an argument: text unchanged, anything else as JSON."""
    if type(value) is str:
        return value
    # What the encoder writes for these two, without the 2 µs that starting it costs.
    return repr(value) if type(value) in (int, float) else to_json(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_integer(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("integer", ["integer", "null"], ["null", "integer"])


def _with_article(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}"
