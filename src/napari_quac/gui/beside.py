"""Work that a function has to wait for, done beside the window so that it stays alive."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from napari.utils import progress
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.stepwise import Steps

T = TypeVar("T")
LOOK_MS = 30


def beside_the_window(steps: Steps[T]) -> T:
    """Run steps in a thread and return their result; the window goes on meanwhile.

    For functions that napari calls and that have to return something, such as sample data. Progress
    is shown in napari's activity dock.

    Parameters
    ----------
    steps : Steps
        Long work, which does not touch the window.

    Raises
    ------
    Exception
        What the steps raise.
    """
    if QApplication.instance() is None:
        return steps.result()
    ended: dict[str, Any] = {}
    seen: list[Any] = []

    def work() -> None:
        try:
            iterator = iter(steps)
            while True:
                seen.append(next(iterator))
        except StopIteration as stop:
            ended["value"] = stop.value
        except BaseException as error:  # noqa: BLE001 - raised again in the window's thread
            ended["error"] = error

    thread = threading.Thread(target=work, name="quac-beside", daemon=True)
    loop, look = QEventLoop(), QTimer()
    bar = progress(total=None, desc="fetching")

    def check() -> None:
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
    if "error" in ended:
        raise ended["error"]
    value: T = ended["value"]
    return value
