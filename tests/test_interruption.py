"""Signals end a command once, and never in the middle of what must not end halfway."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from napari_quac import interruption
from napari_quac.interruption import exit_code, interruptible, postponed, stop_requested
from napari_quac.stepwise import Progress, stepwise


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_repeated_signal_counts_once(number, code, monkeypatch):
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            send(number)
        send(number)  # as `timeout` does, which sends it to the process and to its group
        assert stop_requested.is_set()
        monkeypatch.setattr(interruption, "REPETITION", 0)
        with pytest.raises(KeyboardInterrupt):
            send(number)
        assert exit_code() == code
    assert not stop_requested.is_set()


def test_a_signal_that_a_library_drops_ends_the_next_step():
    @stepwise
    def work():
        for number in range(3):
            with suppress(KeyboardInterrupt):
                send(signal.SIGTERM)
            done.append(number)
            yield Progress(number, 3)

    done = []
    with interruptible(), pytest.raises(KeyboardInterrupt):
        work().result()
    assert done == [0]


def test_a_block_that_must_not_end_halfway_ends_first(monkeypatch):
    ends = []
    with interruptible():
        with pytest.raises(KeyboardInterrupt), postponed():
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            ends.append("first")
        assert exit_code() == 143
        monkeypatch.setattr(interruption, "REPETITION", 0)
        with pytest.raises(KeyboardInterrupt), postponed():
            send(signal.SIGINT)
            send(signal.SIGINT)  # somebody is impatient
            ends.append("second")
        assert exit_code() == 130
    assert ends == ["first"]
