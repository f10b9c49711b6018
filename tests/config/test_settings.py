"""The configuration: its defaults, its overrides, and all that is wrong with it at once."""

import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config.settings import (
    ConfigurationError,
    ConfigurationFault,
    built_in_types,
    load,
    warnings,
)
from headway.model.problem import Refusal

DEADLINE_S = 30


TYPE = '[job_types.x]\ncommand = ["true"]\n'


def write(directory: Path, text: str) -> Path:
    path = directory / "headway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path | None, environ: dict[str, str]) -> list[ConfigurationFault]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return list(caught.value.faults)


def places(path: Path, environ: dict[str, str] | None = None) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.key) for fault in faults_of(path, environ or {})]


# Defaults and the template
def test_without_a_file_headway_is_ready_to_run() -> None:
    settings = load(None, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8787)
    assert settings.server.data_dir == Path.cwd() / "headway-data"
    assert settings.server.legacy_triggers == "subprocess"
    assert settings.server.sunset is None
    assert settings.server.max_body_bytes == 16 * 1024 * 1024
    assert settings.scheduler.model_dump() == {
        "concurrency": 1,
        "max_queued": 1_000_000,
        "max_triggered": 32,
        "max_direct": 100,
        "max_reservations": 32,
        "max_reservation_s": 86_400,
        "free_space_bytes": 64 << 20,
    }
    assert list(settings.job_types) == ["story", "research"]
    assert warnings(settings) == []


def test_the_research_takes_its_parameters() -> None:
    research = load(None, {}).job_types["research"]
    params = research.accept({"topic": "-x", "sources": ["/a", "/b c"]})
    assert research.argv(params)[1:] == [
        *("-m", "pipelines.research", "run", "--sources=/a", "--sources=/b c", "--", "-x")
    ]
    for wrong in ({}, {"topic": ""}, {"topic": " \n"}):
        with pytest.raises(Refusal):
            research.accept(wrong)


def test_the_built_in_programs_get_what_they_need_from_the_environment() -> None:
    server = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://localhost", "OTHER": "o"}
    for job_type in load(None, {"HEADWAY_SERVER__DATA_DIR": "/data"}).job_types.values():
        made = job_type.environment(server)
        assert made["OPENAI_API_KEY"] == "k"
        assert made["PIPELINES_LIBRARY"] == "/data/library"
        assert "OTHER" not in made


@pytest.mark.parametrize(
    ("name", "params"),
    [("story", {"seed": 1, "topic": "숲"}), ("research", {"topic": "--help"})],
)
def test_the_built_in_programs_work_offline(
    name: str, params: dict[str, Any], tmp_path: Path
) -> None:
    job_type = load(None, {"HEADWAY_SERVER__DATA_DIR": str(tmp_path)}).job_types[name]
    root = Path(__file__).parents[2]  # found there unless headway is installed
    subprocess.run(
        job_type.argv(job_type.accept(params)),
        env={**job_type.environment({"PATH": os.defpath}), "PYTHONPATH": str(root)},
        cwd=tmp_path,
        timeout=DEADLINE_S,
        check=True,
        capture_output=True,
    )
    assert [path for path in (tmp_path / "library").rglob("*") if path.is_file()]


# The file
def test_a_file_with_job_types_has_only_those(tmp_path: Path) -> None:
    assert list(load(write(tmp_path, TYPE), {}).job_types) == ["x"]
    assert list(load(write(tmp_path, "[server]\n"), {}).job_types) == list(built_in_types())
    assert load(write(tmp_path, "[job_types]\n"), {}).job_types == {}


def test_the_placeholder_is_the_absolute_data_dir(tmp_path: Path) -> None:
    text = f'[server]\ndata_dir = "d/../e"\n{TYPE}env = {{ A = "{{data_dir}}/x", B = true }}'
    settings = load(write(tmp_path, text), {})
    assert settings.server.data_dir == Path.cwd() / "e"
    assert (
        settings.job_types["x"].environment({"B": "b"}).items()
        >= {
            "A": f"{Path.cwd()}/e/x",
            "B": "b",
        }.items()
    )


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
[server]
bind = "0.0.0.0:80"
shutdown_grace_s = nan
lgo_level = "info"
allowed_hosts = [
  "ok",
  "http://x",
]
[scheduler]
concurrency = 0
[job_types.a]
name = "b"
timeout_s = "900"
params.n = { type = "integer", default = "x", arg = "--n" }
params.topic = { type = "string", maxLenght = 200 }
[job_types.BAD]
command = ["x"]
env = { A = 3 }
required = ["nope"]
[job_types.c.params."a b"]
arg = "--x"
[web]
"""
    path = write(tmp_path, text)
    found = faults_of(path, {"HEADWAY_SCHEDULER__MAX_QUEUED": "many", "HEADWAY_X__Y": "1"})
    assert {(fault.file, fault.line, fault.key) for fault in found} == {
        ("HEADWAY_X__Y", None, ""),
        ("HEADWAY_SCHEDULER__MAX_QUEUED", None, "scheduler.max_queued"),
        *(
            (str(path), line, key)
            for line, key in [
                (2, "server.bind"),
                (3, "server.shutdown_grace_s"),
                (4, "server.lgo_level"),
                (5, "server.allowed_hosts[1]"),
                (10, "scheduler.concurrency"),
                (11, "job_types.a.command"),
                (12, "job_types.a.name"),
                (13, "job_types.a.timeout_s"),
                (14, "job_types.a.params.n.default"),
                (15, "job_types.a.params.topic"),
                (15, "job_types.a.params.topic.maxLenght"),
                (16, "job_types.BAD"),
                (18, "job_types.BAD.env.A"),
                (19, "job_types.BAD.required[0]"),
                (20, "job_types.c.command"),
                (20, "job_types.c.params.a b"),
                (22, "web"),
            ]
        ),
    }
    assert [fault.line or 0 for fault in found] == sorted(fault.line or 0 for fault in found)
    assert len(found) == 19


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[server]\nport = 1", 2, "remove it: there is no such key; there are bind"),
        ("[server]\nbnid = 1", 2, 'did you mean "bind"?'),
        ("[job_types.x]", 1, "add it: it is required"),
        (TYPE + "timeot_s = 1", 3, 'did you mean "timeout_s"?'),
        ("[scheduler]\nconcurrency = 1025", 2, "must be less than or equal to 1024; it is 1025"),
        ("[scheduler]\nconcurrency = true", 2, "must be a valid integer; it is True"),
        ("scheduler = 1", 1, "must be"),
        ("job_types = 1", 1, "must be a valid dictionary"),
        ("[server]\nlog_level = 'loud'", 2, "'debug', 'info'"),
        ("[server]\ndata_dir = '~/x'", 2, "~ is not expanded"),
        ("[server]\ndata_dir = ''", 2, "give the path"),
        ("[server]\nsunset = 'soon'", 2, "must be a valid date"),
        ("[server]\nmax_body_bytes = '" + "9" * 500 + "'", 2, "…"),
        (TYPE + "params.a.arg = '-a'\nparams.b.arg = '-a'", 4, 'it belongs to "a"'),
    ],
)
def test_a_fault_says_what_to_do(tmp_path: Path, text: str, line: int, said: str) -> None:
    (fault,) = faults_of(write(tmp_path, text), {})
    assert fault.line == line
    assert said in fault.message
    assert str(fault) == f"{tmp_path}/headway.toml:{line}: {fault.key}: {fault.message}"
    assert len(fault.message) < 300


def test_an_error_of_syntax_is_one_fault_beside_those_of_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nbind = \nlog_level = 1")
    assert places(path) == [(2, "")]
    assert places(path, {"HEADWAY_SERVER__BIND": "x"}) == [(None, "server.bind"), (2, "")]


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "gone.toml", {})
    assert (fault.file, fault.line) == (str(tmp_path / "gone.toml"), None)


@pytest.mark.parametrize(
    ("bind", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("127.9.9.9:65535", "127.9.9.9", 65535),
        ("localhost:8787", "localhost", 8787),
        ("[::1]:8787", "::1", 8787),
        ("[0:0::1]:80", "0:0::1", 80),
    ],
)
def test_a_loopback_address_is_taken(bind: str, host: str, port: int) -> None:
    server = load(None, {"HEADWAY_SERVER__BIND": bind}).server
    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize(
    "bind",
    [
        *("0.0.0.0:80", "[::]:80", "192.168.0.1:80", "example.org:80", "128.0.0.1:80", "[::2]:80"),
        *("[::ffff:127.0.0.1]:80", "127.0.0.1.example.org:80", "127.1:80", "0127.0.0.1:80"),
        *("127.0.0.1", "127.0.0.1:", ":80", "::1:80", "127.0.0.1:65536", "127.0.0.1:-1"),
        *("127.0.0.1:８０", "[127.0.0.1]:80", "127.0.0.1:80\n", " 127.0.0.1:80", "", "[::1%lo]:80"),
    ],
)
def test_any_other_address_is_a_fault(bind: str) -> None:
    (fault,) = faults_of(None, {"HEADWAY_SERVER__BIND": bind})
    assert "loopback" in fault.message or "HOST:PORT" in fault.message


# The environment
def test_the_environment_overrides_single_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nbind = '127.0.0.1:1'\nlog_level = 'error'\n")
    settings = load(
        path,
        {
            "HEADWAY_SERVER__BIND": "127.0.0.1:2",
            "HEADWAY_SERVER__SUNSET": "2031-02-03",
            "HEADWAY_SERVER__ALLOWED_HOSTS": '["a", "b:1"]',
            "HEADWAY_SERVER__SHUTDOWN_GRACE_S": "0.5",
            "HEADWAY_SERVER__DATA_DIR": "2031",
            "HEADWAY_SERVER__LEGACY_TRIGGERS": '"off"',
            "HEADWAY_SCHEDULER__CONCURRENCY": "4",
        },
    )
    assert settings.server.bind == "127.0.0.1:2"
    assert settings.server.sunset == date(2031, 2, 3)
    assert settings.server.allowed_hosts == ["a", "b:1"]
    assert settings.server.shutdown_grace_s == 0.5
    assert settings.server.data_dir == Path.cwd() / "2031"
    assert settings.server.legacy_triggers == "off"
    assert settings.server.log_level == "error"
    assert settings.scheduler.concurrency == 4


def test_an_override_puts_a_wrong_key_of_the_file_right(tmp_path: Path) -> None:
    path = write(tmp_path, "[scheduler]\nconcurrency = 0\n")
    assert load(path, {"HEADWAY_SCHEDULER__CONCURRENCY": "2"}).scheduler.concurrency == 2


def test_what_headway_says_to_its_programs_is_no_override() -> None:
    names = ["URL", "JOB_ID", "RUN_ID", "ARTIFACTS", "REPORT", "_", "ANYTHING"]
    load(None, {f"HEADWAY_{name}": "x" for name in names} | {"OTHER__KEY": "1"})


@pytest.mark.parametrize(
    "variable",
    ["HEADWAY_SERVER__BNID", "HEADWAY_JOB_TYPES__X__COMMAND", "HEADWAY_server__bind", "HEADWAY___"],
)
def test_a_variable_that_overrides_nothing_is_a_fault(variable: str) -> None:
    (fault,) = faults_of(None, {variable: "1"})
    assert (fault.file, fault.line) == (variable, None)
    assert fault.message.startswith("unset it")


@pytest.mark.parametrize("value", ["4\n[server]", "4\nx = 1", "", "\udcff", "[" * 100_000, "four"])
def test_a_value_is_a_literal_or_text_and_never_more(value: str) -> None:
    (fault,) = faults_of(None, {"HEADWAY_SCHEDULER__CONCURRENCY": value})
    assert fault.key == "scheduler.concurrency"


# Warnings
def test_what_is_hardly_meant_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    program = tmp_path / "there"
    program.touch(mode=0o755)
    text = """\
[job_types]
there = { command = ["there"] }
whole = { command = ["/there-is-no-such-program"] }
gone = { command = ["gone"] }
local = { command = ["./there"] }
python = { command = ["{python}"] }
secret = { command = ["there"], params.key = { arg = "--key", secret = true } }
json = { command = ["there"], input = "json", params.n.arg = "-n" }
"""
    found = warnings(load(write(tmp_path, text), {}), {"PATH": str(tmp_path)})
    assert [(fault.file, fault.line, fault.key) for fault in found] == [
        ("", None, "job_types.whole.command"),
        ("", None, "job_types.gone.command"),
        ("", None, "job_types.local.command"),
        ("", None, "job_types.secret.params.key"),
        ("", None, "job_types.json.params.n"),
    ]
    assert str(found[1]).startswith('job_types.gone.command: install "gone"')
    assert str(found[2]).startswith('job_types.local.command: give "./there" in full')


def test_no_job_types_at_all_is_a_warning(tmp_path: Path) -> None:
    (fault,) = warnings(load(write(tmp_path, "[job_types]\n"), {}), {})
    assert fault.key == "job_types"
