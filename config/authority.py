"""The syntax of a Host header, in requests and in the configuration."""

import re
from functools import lru_cache

_AUTHORITY = re.compile(
    r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE
)


@lru_cache(maxsize=128)
def host_name(authority: str) -> str | None:
    """The host of `uri-host [":" port]` (RFC 9110, 7.2; RFC 3986, 3.2), in lower case.

    None for what no client should send: userinfo, percent-encoding, a trailing dot, which DNS would
    ignore, an IPv6 address without brackets, an invalid port.
    """
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not 0 < int(found[2] or 80) <= 65_535:
        return None
    return found[1].lower()
