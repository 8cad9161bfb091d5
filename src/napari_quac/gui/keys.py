"""All keys in one table; it binds them while the dock is open, and writes ``docs/keys.md``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes
    ----------
    key : str
        As napari writes it.
    action : str
        Name of a method of the dock.
    text : str
        What it does, for the table.
    held : bool
        The action is called with True when the key goes down, and with False when it comes up.
    """

    key: str
    action: str
    text: str
    held: bool = False


KEYS = (
    Key("G", "blink", "Hold: show the query instead of the hybrid", held=True),
    Key("H", "toggle_side_by_side", "Side by side: every image in a panel of its own"),
    Key("N", "next_misprediction", "Go to the next sample in the table that is predicted wrongly"),
    Key("J", "previous_sample", "Go to the previous sample in the table"),
    Key("K", "next_sample", "Go to the next sample in the table"),
    Key("U", "explain", "Explain the selected sample"),
    Key("W", "go_to_optimum", "Set the threshold to the optimum"),
    Key(",", "larger_mask", "Next larger mask"),
    Key(".", "smaller_mask", "Next smaller mask"),
)


def bind_keys(viewer: Any, dock: Any) -> None:
    """Let the keys act on a dock."""
    for key in KEYS:
        action = getattr(dock, key.action)
        viewer.bind_key(key.key, _held(action) if key.held else _pressed(action), overwrite=True)


def unbind_keys(viewer: Any) -> None:
    """Give the keys back."""
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


def keys_table() -> str:
    """Return the table as Markdown."""
    lines = ["| key | what it does |", "|---|---|"]
    lines += [f"| `{key.key}` | {key.text} |" for key in KEYS]
    return "\n".join(lines) + "\n"
