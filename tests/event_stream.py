"""Server-sent events, as a client reads them."""

import json
from collections.abc import Iterator
from typing import Any


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, str | None, Any]]:
    """(name, id, data) of each server-sent event."""
    name, number, data = "message", None, ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            number = line[4:]
        elif line.startswith("data: "):
            data += line[6:]
        elif not line and data:
            yield name, number, json.loads(data)
            name, number, data = "message", None, ""
