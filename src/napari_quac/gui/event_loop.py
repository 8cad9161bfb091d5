"""Blocking work in a thread while the event loop of the window keeps running."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from napari.utils import cancelable_progress
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.errors import CancelledError
from napari_quac.stepwise import Steps

T = TypeVar("T")
POLL_MS = 30


def run_with_event_loop(steps: Steps[T]) -> T:
    """Run steps in a thread and return their result while the window stays responsive.

    For functions that napari calls for a return value, such as sample data. napari's activity dock
    displays the progress and can cancel the work; the current step, such as a download in a slow
    network, is then abandoned.

    Parameters
    ----------
    steps : Steps
        Long work that does not access the window.

    Raises
    ------
    CancelledError
        If the user canceled the work or closed napari.
    Exception
        Errors of the steps.
    """
    if QApplication.instance() is None:
        return steps.result()
    outcome: dict[str, Any] = {}
    progress: list[Any] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            iterator = iter(steps)
            while not stopped.is_set():
                progress.append(next(iterator))
        except StopIteration as stop:
            outcome["value"] = stop.value
        except BaseException as error:  # noqa: BLE001 - raised again in the window's thread
            outcome["error"] = error

    thread = threading.Thread(target=work, name="quac-event-loop", daemon=True)
    loop, poll = QEventLoop(), QTimer()
    bar = cancelable_progress(total=None, desc="downloading")

    def check() -> None:
        if bar.is_canceled:
            loop.quit()
            return
        if progress:
            step = progress[-1]
            bar.total = step.total
            bar.set_description(step.text)
            bar.update(step.done - bar.n)
        if not thread.is_alive():
            loop.quit()

    poll.timeout.connect(check)
    poll.start(POLL_MS)
    thread.start()
    loop.exec()
    poll.stop()
    bar.close()
    stopped.set()
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        place = f" at {progress[-1].text}" if progress else ""
        raise CancelledError(f"Canceled{place}. Downloaded files are kept for the next time.")
    value: T = outcome["value"]
    return value
