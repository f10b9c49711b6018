"""Jobs: transitions, valid and invalid fields, and how times are stored."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from headway.model.field import MAX_INT, from_us, to_us
from headway.model.job import TERMINAL, TRANSITIONS, JobPatch, JobStatus, NewJob

# The table of the contract, written out a second time on purpose.
LEGAL = {
    ("QUEUED", "RUNNING"),
    ("QUEUED", "SKIPPED"),
    ("QUEUED", "CANCELLED"),
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "SKIPPED"),
    ("RUNNING", "CANCELLED"),
}


@pytest.mark.parametrize(("before", "after"), list(product(JobStatus, JobStatus)))
def test_the_table_is_that_of_the_contract(before: JobStatus, after: JobStatus) -> None:
    assert (after in TRANSITIONS[before]) == ((before.value, after.value) in LEGAL)


def test_nothing_leaves_a_terminal_status() -> None:
    assert set(JobStatus) - {JobStatus.QUEUED, JobStatus.RUNNING} == TERMINAL


def test_a_moment_is_stored_in_utc() -> None:
    seoul = datetime(2030, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert to_us(seoul) == to_us(datetime(2030, 1, 1, tzinfo=UTC))
    assert from_us(to_us(seoul)).utcoffset() == timedelta(0)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)))
@example(datetime(9000, 1, 1, microsecond=1, tzinfo=UTC))
def test_any_moment_is_stored_to_the_microsecond(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("9999-12-31T23:59:59.999999Z", True),
        ("9999-12-31T23:59:59-23:59", False),
        ("1970-01-01T00:00:00Z", True),
        ("1970-01-01T00:00:00+00:01", False),
        ("0001-01-01T00:00:00+23:59", False),
    ],
)
def test_a_time_at_the_edge_is_kept_or_rejected(time: str, good: bool) -> None:
    if good:
        new = NewJob.model_validate({"type": "story", "run_at": time})
        assert new.run_at is not None
        assert from_us(to_us(new.run_at)) == new.run_at
    else:
        with pytest.raises(ValidationError, match="from 1970 to 9999"):
            NewJob.model_validate({"type": "story", "run_at": time})


def test_a_job_needs_its_type_only() -> None:
    new = NewJob.model_validate({"type": "story"})
    assert (new.params, new.priority, new.run_at, new.labels) == ({}, 0, None, {})


def test_time_is_the_old_name_of_run_at() -> None:
    old = NewJob.model_validate({"type": "story", "time": "2031-05-01T08:00:00Z"})
    assert old == NewJob.model_validate({"type": "story", "run_at": "2031-05-01T08:00:00Z"})


def test_the_alias_time_does_not_change_its_input() -> None:
    given = {"type": "story", "time": None}
    NewJob.model_validate(given)
    assert given == {"type": "story", "time": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unknown", 1),
        ("priority", -1),
        ("priority", 101),
        ("priority", "5"),
        ("priority", True),
        ("priority", 1.5),
        ("priority", MAX_INT + 1),
        ("timeout_s", 0),
        ("timeout_s", float("inf")),
        ("timeout_s", "60"),
        ("run_at", 1_800_000_000),
        ("run_at", "2031-05-01T08:00:00"),
        ("run_at", "20270101"),
        ("run_at", "1800000000"),
        ("run_at", "20270101120000"),
        ("run_at", "2027-01-01"),
        ("run_at", "2027-01-01T12:00Z"),
        ("run_at", "2027-01-01 12:00:00Z"),
        ("run_at", "2027-01-01T12:00:00+0900"),
        ("run_at", "2027-01-01T12:00:00,5Z"),
        ("run_at", "2027-01-01T12:00:00\N{MINUS SIGN}09:00"),
        ("run_at", "\N{FULLWIDTH DIGIT TWO}027-01-01T12:00:00Z"),
        ("expires_at", "tomorrow"),
        ("expires_at", "20270101"),
        ("time", "2031-05-01T08:00:00"),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("labels", {"-dash": "x"}),
        ("labels", {"a b": "x"}),
        ("labels", {"a": "x\x7f"}),
        ("labels", {"a": "x" * 101}),
        ("labels", {f"k{i}": "x" for i in range(33)}),
        ("params", []),
        ("type", "x" * 101),
    ],
)
def test_invalid_fields_are_rejected(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        NewJob.model_validate({"type": "story", field: value})
    assert len(caught.value.errors()) == 1


def test_run_at_and_its_old_name_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="not both"):
        NewJob.model_validate({"type": "story", "run_at": None, "time": None})


@pytest.mark.parametrize(
    "text",
    ["2031-05-01T08:00:00Z", "2031-05-01t08:00:00.0z", "2031-05-01T17:00:00.000000000+09:00"],
)
def test_every_form_of_rfc_3339_is_a_time(text: str) -> None:
    new = NewJob.model_validate({"type": "story", "run_at": text})
    assert new.run_at == datetime(2031, 5, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("run_at", ["2031-05-01T08:00:00Z", "2031-05-01T08:00:01Z"])
def test_a_job_expires_after_the_time_at_which_it_may_run(run_at: str) -> None:
    expires_at = "2031-05-01T08:00:00Z"
    with pytest.raises(ValidationError, match="after run_at") as caught:
        NewJob.model_validate({"type": "story", "expires_at": expires_at, "run_at": run_at})
    assert caught.value.errors()[0]["loc"] == ("expires_at",)
    early = NewJob.model_validate(
        {"type": "story", "expires_at": expires_at, "run_at": "2031-05-01T07:59:59.999999Z"}
    )
    assert NewJob.model_validate(early.model_dump()) == early


@pytest.mark.parametrize("field", ["type", "params", "expires_at", "timeout_s"])
def test_what_never_changes_is_no_field_of_a_patch(field: str) -> None:
    with pytest.raises(ValidationError):
        JobPatch.model_validate({field: None})
