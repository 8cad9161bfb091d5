"""Table of all keys, which are bound while the dock is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """A key and its action.

    Attributes
    ----------
    key : str
        In the notation of napari.
    action : str
        Name of a method of the dock.
    text : str
        Description for the documentation.
    held : bool
        The action receives True when the key is pressed, and False when it is released.
    """

    key: str
    action: str
    text: str
    held: bool = False


KEYS = (
    Key("G", "blink", "Hold to show the query instead of the hybrid", held=True),
    Key("H", "toggle_side_by_side", "Show images side by side, each in its own panel"),
    Key("N", "next_misprediction", "Select the next misprediction in the table"),
    Key("J", "previous_sample", "Select the previous sample in the table"),
    Key("K", "next_sample", "Select the next sample in the table"),
    Key("U", "explain", "Explain the selected sample"),
    Key("W", "go_to_optimum", "Set the threshold to the optimum"),
    Key(",", "larger_mask", "Select the next larger mask"),
    Key(".", "smaller_mask", "Select the next smaller mask"),
)


def bind_keys(viewer: Any, dock: Any) -> None:
    """Bind the keys to the actions of a dock."""
    for key in KEYS:
        action = getattr(dock, key.action)
        viewer.bind_key(key.key, _held(action) if key.held else _pressed(action), overwrite=True)


def unbind_keys(viewer: Any) -> None:
    """Unbind the keys."""
    for key in KEYS:
        viewer.bind_key(key.key, None)


def _pressed(action: Callable[[], None]) -> Callable[[Any], None]:
    def press(viewer: Any) -> None:
        action()

    return press


def _held(action: Callable[[bool], None]) -> Callable[[Any], Iterator[None]]:
    def press(viewer: Any) -> Iterator[None]:
        action(True)
        yield
        action(False)

    return press
