"""/events: every committed event, in order, without loss or repeat."""

from typing import Any

from tests.contract.server import Server


def numbers(events: list[Any]) -> list[int]:
    return [event["seq"] for event in events]


def test_every_event_of_a_job_comes_once_and_in_order(server: Server) -> None:
    seq = server.last_seq()
    job = server.run("exit", {"code": 4})
    events = server.events(lambda event: event["kind"] == "run.finished", seq)
    assert numbers(events) == list(range(seq + 1, seq + 1 + len(events)))
    assert {event["job_id"] for event in events} == {job["job_id"]}
    kinds = [event["kind"] for event in events if event["kind"] != "run.process"]
    assert kinds == ["job.submitted", "run.started", "run.finished"]
    assert events[-1]["data"]["status"] == "FAILED"
    assert {event["actor"] for event in events} == {"system"}
    assert all(event["at"].endswith("Z") for event in events)


def test_a_stream_resumes_behind_the_last_id_without_loss_or_repeat(server: Server) -> None:
    seq = server.last_seq()
    for _ in range(5):
        server.run("ok")
    last = server.last_seq()
    whole = server.events(lambda event: event["seq"] == last, seq)
    for resume in (whole[0]["seq"], whole[4]["seq"]):
        headers = {"Last-Event-ID": str(resume)}
        rest = []
        with server.client.stream("GET", "/events", headers=headers) as stream:
            for name, number, event in server.read_events(stream.iter_lines()):
                assert (name, number) == (event["kind"], str(event["seq"]))
                rest.append(event)
                if event["seq"] == last:
                    break
        assert rest == [event for event in whole if event["seq"] > resume]


def test_a_stream_begins_now_and_is_live(server: Server) -> None:
    server.run("ok")
    with server.client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(lines)  # it greets when it listens
        job = server.submit("ok", run_at="2126-01-01T00:00:00Z")
        _, _, event = next(server.read_events(lines))
    assert (event["kind"], event["job_id"]) == ("job.submitted", job["job_id"])


def test_a_stream_of_one_job_has_no_other(server: Server) -> None:
    server.post("/scheduler/stop")
    ids = [server.submit("ok")["job_id"] for _ in range(3)]
    for job_id in ids:
        server.client.delete(f"/jobs/{job_id}")
    seen = []
    query = {"job_id": ids[1], "after": 0}
    with server.client.stream("GET", "/events", params=query) as stream:
        for _, _, event in server.read_events(stream.iter_lines()):
            seen.append((event["kind"], event["job_id"]))
            if len(seen) == 2:
                break
    assert seen == [("job.submitted", ids[1]), ("job.cancelled", ids[1])]


def test_many_streams_see_the_same(server: Server) -> None:
    seq = server.last_seq()
    mark = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]

    def is_last(event: Any) -> bool:
        return (event["kind"], event["job_id"]) == ("job.cancelled", mark)

    calls = [server.background(server.events, is_last, seq) for _ in range(8)]
    for _ in range(10):
        server.submit("ok")
    server.client.delete(f"/jobs/{mark}")
    found = [call.result() for call in calls]
    assert all(events == found[0] for events in found)
    assert numbers(found[0]) == list(range(seq + 1, found[0][-1]["seq"] + 1))


def test_a_stream_tells_only_what_is_asked_for(server: Server) -> None:
    seq = server.last_seq()
    server.run("ok")
    job = server.run("exit", {"code": 1})
    mark = server.submit("exit", {"code": 0}, run_at="2126-01-01T00:00:00Z")["job_id"]
    server.client.delete(f"/jobs/{mark}")

    def received(**query: Any) -> list[tuple[str, str]]:
        with server.client.stream("GET", "/events", params={"after": seq, **query}) as stream:
            found = []
            for name, _, event in server.read_events(stream.iter_lines()):
                found.append((name, event["job_id"]))
                if name == "job.cancelled":
                    return found
        raise AssertionError("the stream ended before its time")

    kinds = ["run.started", "job.cancelled"]
    assert received(kind=kinds, type="exit") == [
        ("run.started", job["job_id"]), ("job.cancelled", mark),
    ]  # fmt: skip
    assert {name.partition(".")[0] for name, _ in received(kind=["job."])} == {"job"}
    assert {job_id for _, job_id in received(type=["exit", "none"])} == {job["job_id"], mark}
    wrong = server.client.get("/events", params={"kind": "run"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    assert "run.started" in wrong.json()["errors"][0]["message"]


def test_a_place_that_was_never_reached_is_reset(server: Server) -> None:
    now = server.last_seq()
    headers = {"Last-Event-ID": str(now + 1000)}
    with server.client.stream("GET", "/events", headers=headers) as stream:
        events = server.read_events(stream.iter_lines())
        assert next(events) == ("reset", str(now), {"seq": now})
        server.submit("ok", run_at="2126-01-01T00:00:00Z")
        assert next(events)[1] == str(now + 1)


def test_a_filtered_stream_tells_where_it_stands(server: Server) -> None:
    with server.client.stream("GET", "/events", params={"kind": "reservation."}) as stream:
        lines = stream.iter_lines()
        greeting = [next(lines) for _ in range(4)]
    assert greeting[0] == ": welcome"
    assert f"id: {server.last_seq()}" in greeting


def test_a_stream_goes_on_across_a_restart_without_loss_or_repeat(server: Server) -> None:
    seq = server.last_seq()
    server.run("ok")
    first = server.events(lambda event: event["kind"] == "run.finished", seq)
    server.restart()
    server.run("ok")
    last = server.last_seq()
    headers = {"Last-Event-ID": str(first[-1]["seq"])}
    rest = []
    with server.client.stream("GET", "/events", headers=headers) as stream:
        for _, _, event in server.read_events(stream.iter_lines()):
            rest.append(event)
            if event["seq"] == last:
                break
    assert numbers([*first, *rest]) == list(range(seq + 1, last + 1))
    assert "server.started" in [event["kind"] for event in rest]


def test_events_tell_a_legal_story_of_every_job(server: Server) -> None:
    """At the end of the module: what its Jobs went through, folded from the stream."""
    after = {
        "QUEUED": {"RUNNING", "SKIPPED", "CANCELLED"},
        "RUNNING": {"COMPLETED", "FAILED", "SKIPPED", "CANCELLED"},
    }
    last = server.last_seq()
    state: dict[str, str] = {}
    for event in server.events(lambda event: event["seq"] == last, 0):
        job_id, kind = event["job_id"], event["kind"]
        if kind == "job.submitted":
            assert job_id not in state
            state[job_id] = "QUEUED"
            continue
        new = {"run.started": "RUNNING", "job.cancelled": "CANCELLED", "job.skipped": "SKIPPED"}
        status = event["data"]["status"] if kind == "run.finished" else new.get(kind)
        if job_id is not None and status is not None:
            assert status in after[state[job_id]]
            state[job_id] = status
    assert state == dict(server.rows("SELECT job_id, status FROM jobs"))
