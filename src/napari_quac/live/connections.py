"""Connections of signals that end together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Connections:
    """Connections between signals and slots.

    Parameters
    ----------
    *pairs : (signal, callable)
        Each slot is connected to its signal.
    """

    def __init__(self, *pairs: tuple[Any, Callable[..., Any]]) -> None:
        self._pairs = pairs
        for signal, slot in pairs:
            signal.connect(slot)

    def close(self) -> None:
        """Disconnect all signals."""
        for signal, slot in self._pairs:
            signal.disconnect(slot)
        self._pairs = ()
