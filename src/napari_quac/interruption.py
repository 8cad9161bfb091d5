"""Control-C and SIGTERM, with which clusters end jobs: both stop a command in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
stop_requested = threading.Event()
"""Set when a signal has asked the process to end: an error that follows is no failure of a sample.

Libraries can turn the ``KeyboardInterrupt`` of a signal handler into an error of their own.
"""
_latest: signal.Signals = signal.SIGINT


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
    _note(signal.SIGINT)
    stop_requested.clear()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    raise_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        raise KeyboardInterrupt


def exit_code() -> int:
    """Return the exit code of a stopped process: 130 after Control-C, 143 after SIGTERM."""
    return 128 + _latest


def _note(number: int) -> None:
    global _latest
    _latest = signal.Signals(number)
    stop_requested.set()


def _raise_interrupt(number: int, _: Any) -> None:
    _note(number)
    raise KeyboardInterrupt
