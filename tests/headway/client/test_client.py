"""What the documentation says of the client; that its examples work is tested in `tests/docs`."""

import re
from pathlib import Path

from headway.client.client import Client

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"


def test_the_documentation_lists_every_method() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").rpartition("## Methods")[2]
    listed = set(re.findall(r"`(\w+)\([^`]*\)`", table))
    methods = {name for name in dir(Client) if not name.startswith("_")}
    assert listed == methods
