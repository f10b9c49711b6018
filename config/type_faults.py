"""Faults in the definition of a job type that lie between its fields."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from config.command_line import Template
from config.parameter import Parameter, Path, Trouble, nearest

_SCALARS = ("string", "integer", "number", "boolean", "object")


def env_troubles(env: dict[Any, Any]) -> Iterator[Trouble]:
    """The faults of a table of environment variables."""
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            yield (str(name),), "name a variable with letters, digits and _ only"
        elif name.startswith("HEADWAY_"):
            yield (name,), "remove it: headway itself sets the names that begin with HEADWAY_"
        elif value is not True and (not isinstance(value, str) or "\0" in value):
            yield (name,), "give text without NUL, or true to pass it through from the server"


def troubles_between(given: dict[str, Any]) -> Iterator[Trouble]:
    """The faults between fields; a field that is wrong itself is skipped."""
    params, required = given.get("params", {}), given.get("required", [])
    if not isinstance(params, dict) or not isinstance(required, list | tuple):
        return
    tables = {name: table for name in params if (table := _table(params[name])) is not None}
    yield from _directory_troubles(given.get("directory"))
    placed = dict(_placed(given))
    yield from _ways_troubles(tables, placed.values(), is_json=given.get("input") == "json")
    for key, template in placed.items():
        yield from _template_troubles(key, template, tables, required)
    positionals = [name for name, table in tables.items() if table.get("positional") is True]
    for name in positionals[:-1]:
        is_always_there = name in required or "default" in tables[name]
        if not is_always_there or tables[name].get("type") not in _SCALARS:
            yield (
                ("params", name, "positional"),
                "use arg: only the last positional one may be left out, null or an array, "
                "or a value could slip into another's place",
            )
    for index, name in enumerate(required):
        if isinstance(name, str) and name not in params:
            yield ("required", index), f"remove it: there is no such name{nearest(name, params)}"


def _placed(given: dict[str, Any]) -> Iterator[tuple[Path, Template]]:
    """Each text that may hold placeholders, by its key."""
    command, env = given.get("command"), given.get("env")
    texts: list[tuple[Path, Any]] = []
    if isinstance(command, list | tuple):
        texts += [(("command", index), word) for index, word in enumerate(command)]
    if isinstance(env, dict):
        texts += [(("env", name), value) for name, value in env.items()]
    texts.append((("directory",), given.get("directory")))
    for key, text in texts:
        if isinstance(text, str):
            yield key, Template.parse(text)


def _ways_troubles(
    tables: dict[str, dict[str, Any]], placed: Iterable[Template], is_json: bool
) -> Iterator[Trouble]:
    """Parameters without a way to the program, and flags that two share."""
    owners: dict[str, str] = {}
    named = {name for template in placed for name in template.params}
    for name, table in tables.items():
        arg, is_positional = table.get("arg"), table.get("positional") is True
        if arg is not None and is_positional:
            yield ("params", name, "positional"), "keep either arg or positional, not both"
        elif arg is None and not is_positional and not is_json and name not in named:
            flag = "--" + str(name).replace("_", "-")
            yield ("params", name), f'add arg = "{flag}" or positional = true'
        if isinstance(arg, str) and owners.setdefault(arg, name) != name:
            yield ("params", name, "arg"), f'choose another: it belongs to "{owners[arg]}"'


def _template_troubles(
    key: Path, template: Template, tables: dict[str, dict[str, Any]], required: Collection[Any]
) -> Iterator[Trouble]:
    """Parameters in a text that may lack a value, or whose value could change the text around
    it.
    """
    for name in template.params:
        if name not in tables:
            yield key, f"there is no parameter {name}{nearest(name, tables)}"
            continue
        table = tables[name]
        if name not in required and table.get("default") is None:
            yield key, f'add "{name}" to required, or give it a default: it stands in this text'
        if not _is_scalar(table):
            yield key, f'give "{name}" a type of string, integer, number or boolean'
        elif not template.is_whole and not _is_bounded(table):
            yield (
                key,
                f'give "{name}" a pattern or an enum, or an argument of its own:'
                " any text could change the meaning of what is around it",
            )


def _directory_troubles(directory: Any) -> Iterator[Trouble]:
    if not isinstance(directory, str):
        return
    if not directory.startswith(("/", "{config_dir}", "{data_dir}")):
        yield ("directory",), "give it in full, or begin with {config_dir} or {data_dir}"
    if "{work}" in directory:
        yield ("directory",), "remove {work}: it is this directory"


def _is_scalar(table: dict[str, Any]) -> bool:
    values = table.get("enum", [table["const"]] if "const" in table else None)
    if isinstance(values, list):
        return all(isinstance(value, str | int | float) for value in values)
    return table.get("type") in ("string", "integer", "number", "boolean")


def _is_bounded(table: dict[str, Any]) -> bool:
    """Whether the operator has chosen the form of its values."""
    return table.get("type") != "string" or bool({"enum", "const", "pattern"} & table.keys())


def _table(param: Any) -> dict[str, Any] | None:
    if isinstance(param, Parameter):
        return param.model_dump(exclude_unset=True)
    return param if isinstance(param, dict) else None
