"""The first answer again, for the same key and the same request, for 24 hours."""

from typing import Any

import apsw
import pytest

from headway.model.problem import Refusal
from storage.idempotency import KEPT_US, PRUNED_PER_WRITE_MAX, Key, keep, replay

KEY = Key(key="k", request=b"\x01" * 32)


def test_a_new_key_has_no_answer(write: Any) -> None:
    with write() as tx:
        assert replay(tx, KEY) is None


def test_the_first_answer_again(write: Any) -> None:
    with write() as tx:
        keep(tx, KEY, b'{"job_id":"job-1"}', "/jobs/job-1")
    with write() as tx:
        assert replay(tx, KEY) == (b'{"job_id":"job-1"}', "/jobs/job-1")


def test_another_request_under_the_same_key_is_refused(write: Any) -> None:
    with write() as tx:
        keep(tx, KEY, b"{}", None)
        with pytest.raises(Refusal) as caught:
            replay(tx, Key(key="k", request=b"\x02" * 32))
    assert caught.value.code == "idempotency_mismatch"


def test_after_24_hours_the_key_is_free(write: Any, now: int) -> None:
    with write() as tx:
        keep(tx, KEY, b"{}", None)
    with write(now + KEPT_US - 1) as tx:
        assert replay(tx, KEY) is not None
    other = Key(key="k", request=b"\x02" * 32)
    with write(now + KEPT_US) as tx:
        assert replay(tx, other) is None
        keep(tx, other, b"[]", None)
        assert replay(tx, other) == (b"[]", None)


def test_old_answers_go_a_few_at_a_time(connection: apsw.Connection, write: Any, now: int) -> None:
    with write() as tx:
        for n in range(PRUNED_PER_WRITE_MAX + 5):
            keep(tx, Key(key=f"old-{n}", request=b""), b"{}", None)
    with write(now + KEPT_US) as tx:
        keep(tx, KEY, b"{}", None)
    assert connection.execute("SELECT count(*) FROM idempotency").get == 5 + 1
