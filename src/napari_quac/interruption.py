"""Control-C and SIGTERM, with which clusters end jobs: both stop a command in the same way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
stop_requested = threading.Event()
"""Set when a signal has asked the process to end: an error that follows is no failure of a sample.

Libraries can turn the ``KeyboardInterrupt`` of a signal handler into an error of their own.
"""
REPETITION = 2.0
"""Seconds in which the same signal counts once: ``timeout`` sends it to process and group."""
_latest: signal.Signals = signal.SIGINT
_latest_at = -REPETITION


def raise_on_signals() -> None:
    """Let both signals raise a ``KeyboardInterrupt`` until the process ends."""
    for number in SIGNALS:
        # a process in the background of a shell ignores Control-C
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise_interrupt)


def restore_default() -> None:
    """Let both signals end the process at once, without a traceback."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let both signals raise a ``KeyboardInterrupt`` in a block; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    check_stopped()
    _forget()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    raise_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop_requested.clear()


@contextmanager
def postponed() -> Iterator[None]:
    """Let a signal take effect at the end of a block that must not end halfway.

    A later one takes effect at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, float]] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}

    def note(number: int, frame: Any) -> None:
        if not received:
            received.append((number, time.monotonic()))
        elif time.monotonic() - received[0][1] > REPETITION:
            before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for postponed_number, _ in received:
        before[signal.Signals(postponed_number)](postponed_number, None)


@contextmanager
def calling(function: Callable[[], object]) -> Iterator[None]:
    """Let both signals call a function in a block, which an event loop runs.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if a signal came.
    """

    def call(number: int, _: Any) -> None:
        _note(number)
        function()

    before = {number: signal.signal(number, call) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop_requested.is_set():
        stop_requested.clear()
        raise KeyboardInterrupt


def check_stopped() -> None:
    """Raise the KeyboardInterrupt of a signal once more, which a library may have dropped."""
    if stop_requested.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def exit_code() -> int:
    """Return the exit code of a stopped process: 130 after Control-C, 143 after SIGTERM."""
    return 128 + _latest


def _note(number: int) -> None:
    global _latest, _latest_at
    _latest, _latest_at = signal.Signals(number), time.monotonic()
    stop_requested.set()


def _forget() -> None:
    global _latest, _latest_at
    _latest, _latest_at = signal.SIGINT, -REPETITION
    stop_requested.clear()


def _raise_interrupt(number: int, _: Any) -> None:
    if number == _latest and time.monotonic() - _latest_at < REPETITION:
        return
    _note(number)
    raise KeyboardInterrupt
