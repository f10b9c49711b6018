"""The line that a server prints when it listens, with its address: made and parsed here.

A log can be read while a line of it is being written (ext4 shows a write that crosses a page in two
steps), so an address may lack its end until the newline is there.
"""

import re

_READY = re.compile(r"^\S+ listening on (http\S+)\n", re.M)


def ready_line(url: str) -> str:
    """The line of a server at this address, with its newline."""
    return f"headway listening on {url}\n"


def ready_url(text: str) -> str | None:
    """The address in the first whole ready line of a log; None until there is one."""
    found = _READY.search(text)
    return found and found[1]
