"""/jobs/{id}/log: byte for byte, from anywhere, live, and without its middle if it is too long."""

import re
from functools import partial
from typing import Any

import pytest

from tests.contract.server import Server


def follow(server: Server, job_id: str, **headers: str) -> list[tuple[str, str | None, Any]]:
    """Every event of the live log to its end."""
    headers = {"Accept": "text/event-stream", **headers}
    with server.client.stream("GET", f"/jobs/{job_id}/log", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        return list(server.read_events(stream.iter_lines()))


def text_of(events: list[tuple[str, str | None, Any]]) -> str:
    return "".join(data["text"] for name, _, data in events if name == "log")


def test_the_output_is_kept_byte_for_byte(server: Server) -> None:
    job = server.run("raw")
    answer = server.client.get(f"/jobs/{job['job_id']}/log")
    assert answer.content == bytes(range(256)) + b"\xff"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["accept-ranges"] == "bytes"
    assert server.run_of(job["job_id"])["log"] == {"bytes": 257, "truncated": False}


def test_both_streams_go_to_one_file_in_their_order(server: Server) -> None:
    job = server.run("bytes", {"count": 200_000})
    output = server.output(job["job_id"])
    assert len(output) == 200_000
    assert output == b"".join(b"%015d\n" % n for n in range(12_500))


def test_an_offset_begins_later(server: Server) -> None:
    job_id = server.run("bytes", {"count": 1000})["job_id"]
    whole = server.output(job_id)

    def at(offset: int | str) -> Any:
        return server.client.get(f"/jobs/{job_id}/log", params={"offset": offset})

    for offset in (0, 1, 999, 1000, 5000, 2**63 - 1):
        answer = at(offset)
        assert (answer.status_code, answer.content) == (200, whole[offset:])
    for nonsense in (-1, "x", "1.5", ""):
        assert at(nonsense).status_code == 422


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-9", 0, 9), ("bytes=10-", 10, 999), ("bytes=-5", 995, 999), ("bytes=0-0", 0, 0),
        ("bytes=990-5000", 990, 999), ("bytes=-5000", 0, 999), ("bytes=999-999", 999, 999),
    ],
)  # fmt: skip
def test_a_range_is_honoured(server: Server, header: str, first: int, last: int) -> None:
    job_id = server.run("bytes", {"count": 1000})["job_id"]
    answer = server.client.get(f"/jobs/{job_id}/log", headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == server.output(job_id)[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1000"


def test_a_range_outside_is_refused_and_an_odd_one_ignored(server: Server) -> None:
    job_id = server.run("bytes", {"count": 1000})["job_id"]
    for header in ("bytes=1000-", "bytes=5000-6000", "bytes=-0"):
        answer = server.client.get(f"/jobs/{job_id}/log", headers={"Range": header})
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    for header in ("bytes=5-2", "lines=1-2", "bytes=x", "bytes=-", "bytes=" + "9" * 30 + "-"):
        answer = server.client.get(f"/jobs/{job_id}/log", headers={"Range": header})
        assert (answer.status_code, len(answer.content)) == (200, 1000), header


def test_a_job_that_has_not_run_has_an_empty_log(server: Server) -> None:
    job_id = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    answer = server.client.get(f"/jobs/{job_id}/log")
    assert (answer.status_code, answer.content) == (200, b"")


def test_it_is_followed_live_to_its_end(server: Server, gate: Any) -> None:
    job_id = server.hold(gate)["job_id"]
    headers = {"Accept": "text/event-stream"}
    text = ""
    with server.client.stream("GET", f"/jobs/{job_id}/log", headers=headers) as stream:
        events = server.read_events(stream.iter_lines())
        for piece in ("", "one\n", "two\n", "이야기\n"):
            gate.write(piece.encode())
            expected = text + piece if text else "opened\n"
            while text != expected:
                name, _, data = next(events)
                assert name == "log"
                text += data["text"]
        gate.open()
        rest = list(events)
    assert text + text_of(rest) == "opened\none\ntwo\n이야기\nclosed\n"
    assert rest[-1][0] == "end"
    assert rest[-1][2] == {"status": "COMPLETED"}


def test_a_character_that_is_written_in_pieces_is_not_torn(server: Server, gate: Any) -> None:
    job_id = server.hold(gate)["job_id"]
    call = server.background(follow, server, job_id)

    def is_longer_than(size: int) -> bool:
        return len(server.output(job_id)) > size

    for byte in "é€🪨".encode():
        size = len(server.output(job_id))
        gate.write(bytes([byte]))
        server.eventually(partial(is_longer_than, size), "the byte is there")
    gate.open()
    assert text_of(call.result()) == "opened\né€🪨closed\n"


def test_following_resumes_where_it_was(server: Server) -> None:
    job_id = server.run("bytes", {"count": 300_000})["job_id"]
    events = follow(server, job_id)
    whole = server.output(job_id).decode()
    assert text_of(events) == whole
    numbers = [int(number) for name, number, _ in events if name == "log" and number]
    assert numbers == sorted(numbers)
    assert len(numbers) > 1
    again = follow(server, job_id, **{"Last-Event-ID": str(numbers[0])})
    assert text_of(again) == whole[numbers[0] :]


def test_following_a_job_that_waits_and_is_cancelled_ends(server: Server) -> None:
    job_id = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    call = server.background(follow, server, job_id)
    server.client.delete(f"/jobs/{job_id}")
    assert call.result()[-1][0] == "end"
    assert call.result()[-1][2] == {"status": "CANCELLED"}


def test_following_begins_before_the_run_does(server: Server, gate: Any) -> None:
    server.hold(gate)
    job_id = server.submit("echo", {"name": "later"})["job_id"]
    call = server.background(follow, server, job_id)
    gate.open()
    assert "later" in text_of(call.result())


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 25, str(2**63), "-1", "x", "²"])
def test_an_odd_place_to_resume_is_no_accident(server: Server, number: str) -> None:
    """A stream that has begun cannot say 500 any more: it must end well."""
    job_id = server.run("raw")["job_id"]
    for path in (f"/jobs/{job_id}/log", "/events"):
        headers = {b"Accept": b"text/event-stream", b"Last-Event-ID": number.encode()}
        with server.client.stream("GET", path, headers=headers) as stream:
            assert stream.status_code in (200, 422), path
            if path != "/events":
                assert list(stream.iter_bytes())


@pytest.mark.parametrize("offset", ["9" * 25, str(2**63)])
def test_an_offset_beyond_every_file_is_no_accident(server: Server, offset: str) -> None:
    job_id = server.run("raw")["job_id"]
    path = f"/jobs/{job_id}/log?offset={offset}"
    assert server.client.get(path).status_code in (200, 422)
    with server.client.stream("GET", path, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status_code in (200, 422)
        list(stream.iter_bytes())


@pytest.mark.parametrize("offset", [10**6, 2**63 - 65_536, 2**63 - 1])
def test_the_end_of_a_log_is_followed_from_any_offset_beyond_it(
    server: Server, offset: int
) -> None:
    job_id = server.run("bytes", {"count": 1000})["job_id"]
    path, headers = f"/jobs/{job_id}/log?offset={offset}", {"Accept": "text/event-stream"}
    with server.client.stream("GET", path, headers=headers) as stream:
        assert stream.status_code == 200
        received = b"".join(stream.iter_bytes()).decode()
    assert [line for line in received.splitlines() if line.startswith("event:")] == ["event: end"]


def test_a_long_output_loses_its_middle_only(server: Server) -> None:
    job_id = server.run("dropping", {"count": 500_000})["job_id"]
    run = server.run_of(job_id)
    assert run["status"] == "COMPLETED"
    assert run["log"]["truncated"] is True
    output = server.output(job_id)
    assert len(output) < 65_536 + 2 * 4096 + 100
    assert output.startswith(b"begin\nxxxx")
    assert output.endswith(b"xxxx\nend\n")
    (marker,) = re.findall(rb"\n\[headway: (\d+) bytes dropped here\]\n", output)
    shown = len(output) - len(b"\n[headway:  bytes dropped here]\n") - len(marker)
    assert shown + int(marker) == len(b"begin\nend\n\n") + 500_000
    blocks = (server.data_dir / "runs" / run["run_id"] / "log").stat().st_blocks * 512
    assert blocks <= 65_536 + 2 * 4096, "what was dropped has left the disk"
    part = server.client.get(f"/jobs/{job_id}/log", headers={"Range": "bytes=-10"})
    assert part.content == output[-10:]
    assert text_of(follow(server, job_id)) == output.decode()
    middle = server.client.get(f"/jobs/{job_id}/log", params={"offset": 30_000}).content
    assert middle == output[30_000:]


def test_an_output_at_the_limit_is_whole(server: Server) -> None:
    count = 65_536 - len(b"begin\n\nend\n")
    job_id = server.run("dropping", {"count": count})["job_id"]
    assert server.run_of(job_id)["log"] == {"bytes": 65_536, "truncated": False}
    assert len(server.output(job_id)) == 65_536


def test_a_tail_begins_with_a_line_near_the_end(server: Server) -> None:
    job_id = server.run("bytes", {"count": 300_000})["job_id"]
    whole = server.output(job_id)
    answer = server.client.get(f"/jobs/{job_id}/log", params={"tail": 40})
    assert answer.content == whole[-32:]
    assert answer.headers["log-offset"] == str(len(whole) - 32)
    path = f"/jobs/{job_id}/log?tail=40"
    with server.client.stream("GET", path, headers={"Accept": "text/event-stream"}) as stream:
        (name, number, piece), *_ = server.read_events(stream.iter_lines())
    assert (name, piece["text"].encode()) == ("log", whole[-32:])
    assert (piece["offset"], number) == (len(whole) - 32, str(len(whole)))
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(len(whole) - 16)}
    with server.client.stream("GET", path, headers=headers) as stream:
        _, _, piece = next(server.read_events(stream.iter_lines()))
    assert piece["text"].encode() == whole[-16:], "a resume goes on where it was"
    both = server.client.get(f"/jobs/{job_id}/log", params={"tail": 40, "offset": 1})
    assert (both.status_code, both.json()["code"]) == (422, "invalid")
    all_of_it = server.client.get(f"/jobs/{job_id}/log", params={"tail": 2**63 - 1})
    assert (all_of_it.content, all_of_it.headers["log-offset"]) == (whole, "0")


def test_the_times_say_when_each_line_was_written(server: Server, gate: Any) -> None:
    job_id = server.hold(gate)["job_id"]
    path = f"/jobs/{job_id}/log/times"
    first = server.eventually(lambda: server.get(path)["times"], "the run is watched")
    assert first[0]["offset"] == 0
    gate.write(b"a line\n")
    server.until_printed(job_id, b"a line")
    times = server.eventually(lambda: server.get(path)["times"][1:], "it is seen")
    assert times[0]["offset"] == len(b"opened\n")
    assert times[0]["at"] > first[0]["at"]
    gate.open()
    server.until(job_id)
    ended = server.get(path)["times"]
    assert ended[:2] == [*first, *times]
    assert ended[-1]["offset"] <= len(server.output(job_id)) - len(b"closed\n")
    events = follow(server, job_id)
    assert events[0][2]["at"] == first[0]["at"]


def test_the_times_of_a_short_run_are_its_end(server: Server) -> None:
    job_id = server.run("raw")["job_id"]
    times = server.get(f"/jobs/{job_id}/log/times")["times"]
    assert [entry["offset"] for entry in times] == [0]
    waiting = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    assert server.get(f"/jobs/{waiting}/log/times") == {"times": []}
    assert server.client.get("/jobs/job-none/log/times").status_code == 404


def test_colours_survive(server: Server) -> None:
    script = "printf '\\033[31mred\\033[0m\\n'"
    job_id = server.run("shell", {"script": script})["job_id"]
    assert server.output(job_id) == b"\x1b[31mred\x1b[0m\n"
    assert text_of(follow(server, job_id)) == "\x1b[31mred\x1b[0m\n"
