"""A signal asks; a wait is given up, and work is finished."""

import signal
import threading

import pytest

from pipelines.stop import Stop, StopRequested

TOO_LONG_S = 20.0


def test_a_signal_during_work_only_asks() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.exit_code == 143
        with pytest.raises(StopRequested):
            stop.check()


def test_without_a_signal_nothing_is_stopped() -> None:
    with Stop() as stop:
        stop.wait(0.0)
        stop.check()
        assert stop.during(lambda: 7) == 7
        assert not stop.requested


def test_a_signal_before_a_wait_is_not_missed() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        stop.signum = None  # as if its handler had not had its turn yet
        with pytest.raises(StopRequested):
            stop.wait(TOO_LONG_S)
        assert stop.exit_code == 130


def test_a_signal_ends_a_wait_for_an_answer() -> None:
    never = threading.Event()
    with Stop() as stop:
        threading.Timer(0.01, signal.raise_signal, [signal.SIGTERM]).start()
        with pytest.raises(StopRequested):
            stop.during(lambda: never.wait(TOO_LONG_S))
    never.set()


def test_what_fails_during_a_wait_fails_here() -> None:
    with Stop() as stop, pytest.raises(ZeroDivisionError):
        stop.during(lambda: 1 // 0)


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
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, former)
