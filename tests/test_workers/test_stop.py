"""Signals as requests: counted, and given back afterwards."""

from __future__ import annotations

import signal

import pytest

from workers.stop import stop_requests


def test_the_first_asks_the_second_insists_and_the_third_interrupts() -> None:
    with stop_requests() as stop:
        assert not stop.asked
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        assert not stop.at_once
        signal.raise_signal(signal.SIGTERM)
        assert stop.at_once
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests(), stop_requests():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_sigterm_sets_a_deadline() -> None:
    with stop_requests() as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.deadline_s < float("inf")
    assert not stop.at_once
