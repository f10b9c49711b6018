"""A table of job types."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from headway.cli.table import add_row, duration_text, new_table
from headway.model.job_type import JobTypeView


def types_table(types: Iterable[JobTypeView]) -> Table:
    """One job type per line, with its parameters."""
    table = new_table("TYPE", "TIMEOUT", "PARAMETERS", "DESCRIPTION", fluid=2)
    for kind in types:
        timeout, params = duration_text(kind.timeout_s), _params(kind.params_schema)
        add_row(table, kind.name, timeout, params, kind.description)
    return table


def _params(schema: dict[str, Any]) -> str:
    """Such as `topic (string), max_stories (integer, 1 if not given)`."""
    required = schema.get("required", [])
    named = []
    for name, rule in schema.get("properties", {}).items():
        kind = rule.get("type", "any") if isinstance(rule, dict) else "any"
        text = "|".join(kind) if isinstance(kind, list) else str(kind)
        if name in required:
            text += ", required"
        elif isinstance(rule, dict) and "default" in rule:
            text += f", {json.dumps(rule['default'], ensure_ascii=False)} if not given"
        named.append(f"{name} ({text})")
    return ", ".join(named)
