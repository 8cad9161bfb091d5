"""Work that a function has to wait for, done beside the window so that it stays alive."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from napari.utils import cancelable_progress
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.errors import CancelledError
from napari_quac.stepwise import Steps

T = TypeVar("T")
LOOK_MS = 30


def beside_the_window(steps: Steps[T]) -> T:
    """Run steps in a thread and return their result; the window goes on meanwhile.

    For functions that napari calls and that have to return something, such as sample data. Progress
    is shown in napari's activity dock, where it can be cancelled; a step that is under way, such as
    a file on its way through a slow network, is not waited for then.

    Parameters
    ----------
    steps : Steps
        Long work, which does not touch the window.

    Raises
    ------
    CancelledError
        If the user cancelled, or closed napari meanwhile.
    Exception
        What the steps raise.
    """
    if QApplication.instance() is None:
        return steps.result()
    ended: dict[str, Any] = {}
    seen: list[Any] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            iterator = iter(steps)
            while not stopped.is_set():
                seen.append(next(iterator))
        except StopIteration as stop:
            ended["value"] = stop.value
        except BaseException as error:  # noqa: BLE001 - raised again in the window's thread
            ended["error"] = error

    thread = threading.Thread(target=work, name="quac-beside", daemon=True)
    loop, look = QEventLoop(), QTimer()
    bar = cancelable_progress(total=None, desc="fetching")

    def check() -> None:
        if bar.is_canceled:
            loop.quit()
            return
        if seen:
            step = seen[-1]
            bar.total = step.total
            bar.set_description(step.text)
            bar.update(step.done - bar.n)
        if not thread.is_alive():
            loop.quit()

    look.timeout.connect(check)
    look.start(LOOK_MS)
    thread.start()
    loop.exec()
    look.stop()
    bar.close()
    stopped.set()
    if "error" in ended:
        raise ended["error"]
    if "value" not in ended:
        done = f" at {seen[-1].text}" if seen else ""
        raise CancelledError(f"Cancelled{done}. What had arrived is kept for the next time.")
    value: T = ended["value"]
    return value
