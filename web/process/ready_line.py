"""The line with which a server says where it listens: composed here, and read here.

A reader of a log sees a line while it is still being written (ext4 shows a write that crosses a
page in two steps), so that an address may lack its end until the newline is there.
"""

import re

_READY = re.compile(r"^\S+ listening on (http\S+)\n", re.M)


def ready_line(url: str) -> str:
    """The whole line of a headway, with its newline."""
    return f"headway listening on {url}\n"


def ready_url(text: str) -> str | None:
    """The address in the first whole ready line of a log; None until there is one."""
    found = _READY.search(text)
    return found and found[1]
