"""The host that a Host header or the configuration names."""

import pytest

from config.authority import host_name


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("Box.LAN:80", "box.lan"),
        ("[FD00::1]:80", "[fd00::1]"),
        ("a_b-c", "a_b-c"),
        ("127.0.0.1:65535", "127.0.0.1"),
        *((wrong, None) for wrong in ("a.", ".a", "a..b", "a:", "a:0", "a:65536", "a:1:2", "a b")),
        *((wrong, None) for wrong in ("u@a", "[a]x", "[]", "a%2e", "\u0661", "a\n", "http://a")),
    ],
)
def test_a_host_is_a_name_and_a_port(authority: str, name: str | None) -> None:
    assert host_name(authority) == name
