"""Messages in the window name its controls in the place of options of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari_quac
from napari_quac.gui.message import DetailsWindow, Message
from napari_quac.gui.option_names import CONTROLS, with_controls
from napari_quac.gui.text import ElidedLabel, WrappedLabel

PACKAGE = Path(napari_quac.__file__).parent
BELOW_THE_WINDOW = (
    "batch",
    "data",
    "explain",
    "generators",
    "live",
    "networks",
    "reports",
    "train",
)
OPTION = re.compile(r"--[a-z][a-z-]*")
OF_DASK = "dask worker"
"""Of a message about workers on other machines, which no window starts."""


def messages() -> Iterator[tuple[str, str]]:
    """Yield place and text of all strings that mention an option, except docstrings."""
    for folder in BELOW_THE_WINDOW:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            inner = {
                id(p) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for p in n.values
            }
            docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
            for node in ast.walk(tree):
                if id(node) in inner or id(node) in docs:
                    continue
                text = text_of(node)
                is_option = text.startswith("--")  # a word of a command, not a message
                if OPTION.search(text) and not is_option and OF_DASK not in text:
                    yield f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}", text


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        return "".join(map(str, parts))
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""  # type: ignore[attr-defined, no-any-return]


def test_no_message_shows_an_option_in_the_window() -> None:
    found = list(messages())
    assert len(found) > 30
    assert [entry for entry in found if OPTION.search(with_controls(entry[1]))] == []


def test_controls_stand_for_options_that_exist() -> None:
    sources = [path.read_text("utf-8") for path in (PACKAGE / "commands").rglob("*.py")]
    options = {option for text in sources for option in OPTION.findall(text)}
    missing = [name for name in CONTROLS if name not in options]
    assert missing == []


def test_options_become_controls() -> None:
    assert with_controls("Choose one (--split NAME or --split all).") == "Choose one (Split)."
    assert with_controls("Replace it (--re-root OLD NEW).") == "Replace it (on the command line)."
    assert with_controls("An a -- b (c) stays.") == "An a -- b (c) stays."


def test_labels_and_details_show_controls(qtbot: Any) -> None:
    text = "Enter the range of the images (--image-range), or rescale them."
    shown = "Enter the range of the images (Range), or rescale them."
    wrapped, elided, message = WrappedLabel(), ElidedLabel(), Message("message")
    for label in (wrapped, elided, message):
        qtbot.addWidget(label)
        label.setText(text)
        assert label.text() == shown
    window = DetailsWindow(text, message)
    qtbot.addWidget(window)
    assert window.text_field.toPlainText() == shown
