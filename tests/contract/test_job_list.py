"""GET /jobs: filters, order, pages, counts."""

from typing import Any

import pytest

from tests.contract.server import Server


def test_a_list_is_filtered_by_status_type_label_and_text(stopped: Server) -> None:
    mark = f"filter-{stopped.last_seq()}"
    wanted = [
        stopped.submit("ok", name=f"{mark} Alpha", labels={"m": mark, "x": "1"}),
        stopped.submit("echo", name=f"{mark} beta", labels={"m": mark, "x": "2"}),
        stopped.submit("stdin", name="other", labels={"m": mark, "x": "1"}),
    ]
    cancelled = stopped.client.delete(f"/jobs/{wanted[0]['job_id']}").json()
    alpha, beta, other = (job["job_id"] for job in wanted)

    def listed(**query: Any) -> set[str]:
        return {job["job_id"] for job in stopped.get("/jobs", limit=500, **query)["jobs"]}

    assert listed(label=f"m={mark}") == {alpha, beta, other}
    assert listed(label=[f"m={mark}", "x=1"]) == {alpha, other}
    assert listed(label=f"m={mark}", status="QUEUED") == {beta, other}
    assert listed(label=f"m={mark}", status=["QUEUED", "CANCELLED"]) == {alpha, beta, other}
    assert listed(label=f"m={mark}", type=["ok", "echo"]) == {alpha, beta}
    assert listed(label=f"m={mark}", type="echo", status="CANCELLED") == set()
    assert listed(label=f"m={mark[:-1]}") & {alpha, beta, other} == set()
    assert listed(q=mark) == {alpha, beta}
    assert listed(q=f"{mark} ALPHA") == {alpha}
    assert listed(q=other) == {other}
    assert listed(q=f"{mark}%") == set()
    (found,) = stopped.get("/jobs", q=alpha)["jobs"]
    assert found == cancelled


def test_a_text_is_found_whatever_its_alphabet(stopped: Server) -> None:
    job_id = stopped.submit("ok", name="Ünïque ÉCOLE 이야기")["job_id"]
    for text in ("이야기", "ÉCOLE", "Ünïque", "école"):
        assert [job["job_id"] for job in stopped.get("/jobs", q=text)["jobs"]] == [job_id], text


def test_the_order_of_a_list_is_that_of_arrival(stopped: Server) -> None:
    label = f"o={stopped.last_seq()}"
    key, _, value = label.partition("=")
    ids = [stopped.submit("ok", labels={key: value}, priority=p)["job_id"] for p in (1, 100, 50)]
    for order, expected in (("asc", ids), ("desc", ids[::-1])):
        jobs = stopped.get("/jobs", label=label, order=order)["jobs"]
        assert [job["job_id"] for job in jobs] == expected
    assert stopped.get("/jobs", label=label) == stopped.get("/jobs", label=label, order="desc")


def test_the_limit_is_50_by_default_and_500_at_most(stopped: Server) -> None:
    stopped.post("/jobs/batch", {"jobs": [{"type": "ok"}] * 60}, status=201)
    page = stopped.get("/jobs")
    assert len(page["jobs"]) == 50
    assert page["next_cursor"] is not None
    assert len(stopped.get("/jobs", limit=1)["jobs"]) == 1
    assert stopped.client.get("/jobs", params={"limit": 500}).status_code == 200
    for limit in ("0", "501", "-1", "x", "1.5", str(2**70), ""):
        assert stopped.client.get("/jobs", params={"limit": limit}).status_code == 422


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_walk_meets_every_job_once_while_others_come_and_go(stopped: Server, order: str) -> None:
    key, value = "walk", f"{order}-{stopped.last_seq()}"
    batch = [{"type": "ok", "labels": {key: value}} for _ in range(40)]
    items = stopped.post("/jobs/batch", {"jobs": batch}, status=201)["jobs"]
    there = {item["job_id"] for item in items}
    met: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = stopped.get("/jobs", label=f"{key}={value}", limit=7, order=order, **cursor)
        met += [job["job_id"] for job in page["jobs"]]
        stopped.post("/jobs/batch", {"jobs": batch[:3]}, status=201)
        stopped.client.delete(f"/jobs/{items[len(met) % 40]['job_id']}")
        if page["next_cursor"] is None or len(met) > 200:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(met) == len(set(met)), "a Job was met twice"
    assert there <= set(met), "a Job was not met"


def test_counts_are_of_all_jobs_by_status(stopped: Server) -> None:
    before = stopped.get("/jobs", limit=1)["counts"]
    assert set(before) == {"QUEUED", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"}
    stopped.submit("ok")
    stopped.client.delete(f"/jobs/{stopped.submit('ok')['job_id']}")
    after = stopped.get("/jobs", limit=1, status="FAILED", type="echo")["counts"]
    change = {status: after[status] - before[status] for status in after if after != before}
    assert {status: n for status, n in change.items() if n} == {"QUEUED": 1, "CANCELLED": 1}
    recount = dict(stopped.rows("SELECT status, count(*) FROM jobs GROUP BY status"))
    assert {status: n for status, n in after.items() if n} == recount


def test_a_list_leaves_long_params_out_and_says_so(stopped: Server) -> None:
    label = {"labels": {"long": "params"}}
    short = stopped.submit("stdin", {"text": "x" * 4_000}, **label)
    long = stopped.submit("stdin", {"text": "x" * 4_100}, **label)
    listed = stopped.get("/jobs", label="long=params")["jobs"]
    assert listed == [{**long, "params": {}, "params_elided": True}, short]
    assert stopped.job(long["job_id"])["params"] == {"text": "x" * 4_100}
    assert "params_elided" not in stopped.job(long["job_id"])


def test_a_page_of_long_jobs_ends_early_and_leads_on(stopped: Server) -> None:
    long = {"type": "stdin", "params": {"text": "x" * 4_000}, "labels": {"walk": "long"}}
    items = stopped.post("/jobs/batch", {"jobs": [long] * 400}, status=201)["jobs"]
    met, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        given: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        answer = stopped.client.get("/jobs", params={"label": "walk=long", "limit": 500, **given})
        assert len(answer.content) < 2_000_000
        page = answer.json()
        met += [job["job_id"] for job in page["jobs"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert pages > 1
    assert met == [item["job_id"] for item in reversed(items)]
