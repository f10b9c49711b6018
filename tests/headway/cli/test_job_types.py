"""`headway types` against an imagined server."""

import json

import pytest

from tests.headway.cli.imagined_server import (
    OTHER_TYPE,
    STORY,
    Server,
    headway,
)


def test_types_are_listed_with_their_parameters(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["GET /job-types"] = {"job_types": [STORY, OTHER_TYPE]}
    assert headway("types") == 0
    out = capsys.readouterr().out
    assert "topic (string, required), max_stories (integer, 1 if not given)" in out
    assert "15 min 0 s" in out
    assert headway("types", "--json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["story", "echo"]
