"""A signal asks; a wait gives up, and work is finished."""

import signal

import pytest

from pipelines.stop import Stop, Stopped


def test_a_signal_during_work_only_asks() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        assert stop.exit_code == 143


def test_a_signal_during_a_wait_ends_it() -> None:
    with Stop() as stop:
        with pytest.raises(Stopped):
            stop.during(lambda: signal.raise_signal(signal.SIGINT))
        assert stop.exit_code == 130


def test_after_a_signal_nothing_is_waited_for() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            stop.during(pytest.fail)


def test_without_a_signal_a_wait_gives_what_it_waited_for() -> None:
    with Stop() as stop:
        assert stop.during(lambda: 7) == 7
        assert not stop.requested


def test_a_second_signal_has_its_default_effect() -> None:
    with Stop():
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_former_handlers_come_back_and_an_ignored_signal_stays_ignored() -> None:
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        before = signal.getsignal(signal.SIGINT)
        with Stop() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert not stop.requested
            assert signal.getsignal(signal.SIGINT) is not before
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGTERM, former)
