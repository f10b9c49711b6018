"""The template of headway.toml: it loads, and states every default."""

from datetime import date
from pathlib import Path

import pytest

from config.settings import (
    Settings,
    load,
)
from config.template import TEMPLATE
from headway.model.problem import Refusal


def write(directory: Path, text: str) -> Path:
    path = directory / "headway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_says_what_the_defaults_are(tmp_path: Path) -> None:
    path = write(tmp_path, TEMPLATE)
    assert load(path, {}).model_dump() == load(None, {}).model_dump()
    assert "#" in TEMPLATE


def test_every_line_that_the_template_leaves_out_could_be_put_in(tmp_path: Path) -> None:
    edited = TEMPLATE.replace("# sunset", "sunset").replace("# concurrency", "concurrency")
    edited = edited.replace("# output_limit_bytes", "output_limit_bytes")
    edited = edited.replace("# on_output_limit", "on_output_limit")
    settings = load(write(tmp_path, edited), {})
    assert settings.server.sunset == date(2030, 1, 1)
    story = settings.job_types["story"]
    assert story.concurrency == 1
    changed = {"concurrency": None}
    usual = load(None, {}).job_types["story"]
    assert story.model_copy(update=changed).model_dump() == usual.model_dump()


def test_every_key_of_the_server_and_the_scheduler_stands_in_the_template() -> None:
    for name in ("server", "scheduler"):
        section = getattr(Settings(), name)
        for key in type(section).model_fields:
            assert f"\n{key} = " in TEMPLATE or f"\n# {key} = " in TEMPLATE, key


def test_the_story_takes_its_parameters() -> None:
    story = load(None, {}).job_types["story"]
    assert (story.timeout_s, story.skip_exit_codes) == (900, (77,))
    params = story.accept(
        {
            "max_stories": 200,
            "duration_seconds": 1.5,
            "interval_seconds": 0,
            "enable_dedup": True,
            "topic": "--help",
            "seed": 0,
            "model": "m",
        }
    )
    assert story.argv(params)[1:] == [
        *("-m", "pipelines.story", "--max-stories=200", "--duration-seconds=1.5"),
        *("--interval-seconds=0", "--enable-dedup", "--topic=--help", "--seed=0", "--model=m"),
    ]
    for wrong in ({"max_stories": 201}, {"seed": -1}, {"topic": "a" * 201}, {"words": "a"}):
        with pytest.raises(Refusal):
            story.accept(wrong)
