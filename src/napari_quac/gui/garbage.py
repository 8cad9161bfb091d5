"""Garbage collection in short pieces while a dock is open.

With napari and PyTorch imported, Python's collector walks through half a million objects: 0.2 s, in
whatever the window is doing, and again whenever napari removes a layer, which collects explicitly.
While a dock is open,

- what exists is left out of all collections (``gc.freeze``), so that each takes a few milliseconds,
- old objects are not collected automatically, but by a timer between two events.

Both concern the whole process. They end with the last dock, and do not begin where another program
has frozen objects itself or has turned the collector off. Reference cycles that are frozen are
freed after the last dock was closed.
"""

from __future__ import annotations

import gc
from contextlib import suppress

from qtpy.QtCore import QTimer

from napari_quac.gui.slots import slot

INTERVAL_MS = 1000
MOST_OBJECTS = 25_000
"""That many are walked through in about 10 ms, also when napari collects."""
NEVER = 2**31 - 1


class ShortCollections:
    """Mode of the garbage collector with short collections, until it is closed."""

    _n_open = 0
    _is_active = False
    _thresholds = (700, 10, 10)

    def __init__(self) -> None:
        cls = ShortCollections
        if cls._n_open == 0 and gc.isenabled() and gc.get_freeze_count() == 0:
            cls._thresholds, cls._is_active = gc.get_threshold(), True
            gc.set_threshold(*cls._thresholds[:2], NEVER)
            gc.freeze()
        cls._n_open += 1
        self._is_open = True
        self._timer = QTimer(interval=INTERVAL_MS)
        self._timer.timeout.connect(self.collect)
        if cls._is_active:
            self._timer.start()

    @slot
    def collect(self) -> None:
        """Collect what is there; leave out large numbers of objects, such as imported modules."""
        if len(gc.get_objects(generation=2)) > MOST_OBJECTS:
            gc.freeze()
        elif gc.get_count()[2]:
            gc.collect()

    def close(self) -> None:
        """Stop; with the last dock, the process collects as before."""
        cls = ShortCollections
        if not self._is_open:
            return
        self._is_open = False
        with suppress(RuntimeError):  # Qt is gone already while the interpreter ends
            self._timer.stop()
        cls._n_open -= 1
        if cls._n_open == 0 and cls._is_active:
            cls._is_active = False
            gc.set_threshold(*cls._thresholds)
            gc.unfreeze()
