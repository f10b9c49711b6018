"""Requests that Schemathesis must not generate; it loads this module by SCHEMATHESIS_HOOKS."""

from typing import Any

import schemathesis  # type: ignore[import-not-found,unused-ignore]


@schemathesis.hook  # type: ignore[untyped-decorator,unused-ignore]
def filter_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> bool:
    """Whether an invalid query is still invalid when it is sent.

    In a URL a list of one and its element look alike. Schemathesis knows that of a list in an
    element's place, of an element in a list's place, and of null and objects, which may look like
    an empty text; but it treats two of them together as invalid: `?retry_of=x&type=y`, made of
    `{"retry_of": ["x"], "type": "y"}`.
    """
    if query is None or context.operation is None:
        return True
    swapped = set[object]()
    for parameter in context.operation.query:
        if parameter.name not in query:
            continue
        value = query[parameter.name]
        takes_list = parameter.definition["schema"].get("type") == "array"
        if value is None or isinstance(value, dict):
            swapped.add("nothing")
        elif isinstance(value, list) != takes_list:
            swapped.add(takes_list)
    return len(swapped) < 2
