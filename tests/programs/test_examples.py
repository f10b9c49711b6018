"""The programs of examples/, as they are on this machine, run by a server with those files."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.client.client import Client
from headway.model.job import JobStatus
from headway.model.run import JobRun
from tests.server_process import HEADWAY, ROOT, ServerProcess, environment, serve_arguments

Run = Callable[..., tuple[JobRun, str]]


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    """Runs a type of the example that the test's parameter names: its run and its output."""
    example, program = request.param
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    shutil.copytree(ROOT / "examples" / example, tmp_path / "config")
    if example == "restic":
        secret = tmp_path / "config" / "restic.env"
        secret.write_text("RESTIC_PASSWORD='correct horse'\n")
        secret.chmod(0o600)
    arguments = serve_arguments(tmp_path / "data", tmp_path / "config" / "headway.toml")
    server = ServerProcess.execute(
        [HEADWAY, *arguments], tmp_path / "log", directory=tmp_path, environ=environment()
    ).await_ready()

    def end(type: str, **params: Any) -> tuple[JobRun, str]:
        job = client.submit(type, params)
        *_, ended = client.watch(job.job_id)
        (run,) = client.runs(job.job_id)
        output = b"".join(client.log(job.job_id)).decode()
        assert ended.status is JobStatus.COMPLETED, (run, output)
        return run, output

    try:
        with Client(server.url) as client:
            yield end
    finally:
        server.stop()


def program(example: str, name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("run", [(example, name)], indirect=True, ids=[example])


def artifact(tmp_path: Path, run: JobRun, name: str) -> Path:
    """A file that a run has left."""
    return tmp_path / "data" / "runs" / run.run_id / "artifacts" / name


@program("ffmpeg", "ffmpeg")
def test_ffmpeg_makes_a_smaller_video_and_a_picture_of_it(run: Run, tmp_path: Path) -> None:
    video = tmp_path / "a film; $(x).mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=10:duration=1", str(video)]
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *source], check=True)
    made, _ = run("transcode", input=str(video), width=64, quality=40)
    assert made.argv[6:12] == ["-i", str(video), "-vf", "scale=64:-2", "-crf", "40"]
    small = artifact(tmp_path, made, "video.mp4")
    assert 0 < small.stat().st_size < video.stat().st_size
    made, _ = run("thumbnail", input=str(small), at_s=0.5, format="png")
    assert artifact(tmp_path, made, "thumbnail.png").read_bytes().startswith(b"\x89PNG")


@program("imagemagick", "convert")
def test_imagemagick_draws_and_resizes(run: Run, tmp_path: Path) -> None:
    made, _ = run("canvas", width=30, height=20, colour="blue", border=5)
    canvas = artifact(tmp_path, made, "canvas.png")
    made, _ = run("resize", input=str(canvas), size="80x")
    small = artifact(tmp_path, made, "picture.png")
    shown = subprocess.run(
        ["identify", "-format", "%wx%h", small], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "80x60"


@program("pandoc", "pandoc")
def test_pandoc_joins_documents(run: Run, tmp_path: Path) -> None:
    for name in ("one", "두번째"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nSome text.\n")
    inputs = [str(tmp_path / "one.md"), str(tmp_path / "두번째.md")]
    made, _ = run("convert", inputs=inputs, toc=True, toc_depth=1, metadata=["title=A -- B"])
    page = artifact(tmp_path, made, "document.html").read_text()
    assert '<h1 id="one">one</h1>' in page
    assert ">두번째</h1>" in page
    assert "A – B" in page or "A -- B" in page


@program("restic", "restic")
def test_restic_backs_up_with_a_password_that_no_one_sees(run: Run, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("text")
    repository = str(tmp_path / "repository")
    run("backup_init", repository=repository)
    made, output = run(
        "backup", repository=repository, tags=["a", "b"], paths=[str(tmp_path / "files")]
    )
    summary = json.loads(output.splitlines()[-1])
    assert (summary["message_type"], summary["files_new"]) == ("summary", 1)
    assert made.argv[-4:] == ["--tag=a", "--tag=b", "--", str(tmp_path / "files")]
    everything = made.model_dump_json() + output + (tmp_path / "log").read_text()
    assert "correct horse" not in everything


@program("sqlite", "sqlite3")
def test_sqlite_answers_a_statement(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a, b)")
        database.execute("INSERT INTO t VALUES (1, 'x y')")
    database.close()
    _, output = run("query", database=str(path), sql="SELECT a, b FROM t; -- all of it")
    assert output.split() == ["a,b", '1,"x', 'y"']
    _, output = run("query", database=str(path), sql="SELECT a FROM t", mode="json")
    assert json.loads(output) == [{"a": 1}]


@program("node", "node")
def test_node_reads_its_options(run: Run) -> None:
    made, output = run("greet", greeting="Guten Tag", times=2, names=["Ann", "--help"])
    assert output == "Guten Tag, Ann!\nGuten Tag, --help!\n" * 2
    assert made.result == ["Ann", "--help"]


@program("shell", "sh")
def test_scripts_and_small_tools(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"{n}\n" for n in range(20)))
    _, output = run("count", files=[str(file), str(file)])
    assert output.split() == ["first:", str(file), "20", "20"]
    assert run("head", file=str(file), lines=5)[1] == "0\n1\n2\n3\n4\n"
    made, output = run("research", topic="--help", tags=["urban", "iso lation"])
    assert output == "--help: urban, iso lation\n"
    assert Path(made.argv[0]).parent == Path(sys.executable).parent
    made, _ = run("archive", folder=str(tmp_path / "config"), name="config-1")
    with tarfile.open(artifact(tmp_path, made, "config-1.tar.gz")) as archive:
        assert "./count.sh" in archive.getnames()
