"""Colors of the rating window, which does not load napari and its themes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template


@dataclass(frozen=True)
class Colors:
    """Colors as ``#rrggbb``.

    Attributes
    ----------
    background, surface, line, outline : str
        Of the window, of cards, of pressed buttons, of borders.
    text, muted : str
    accent, on_accent, chosen : str
        Of the primary button, of its text, and of the chosen answer.
    bad : str
        Of errors.
    """

    background: str
    surface: str
    line: str
    outline: str
    text: str
    muted: str
    accent: str
    on_accent: str
    chosen: str
    bad: str


THEMES = {
    "dark": Colors(
        "#1d2026", "#2a2e36", "#3c424d", "#848d99", "#f0f1f3", "#aeb4be", "#7c9bff", "#101218",
        "#303a57", "#ff8080",
    ),
    "light": Colors(
        "#f1f1f2", "#ffffff", "#d5d7db", "#74767b", "#17181a", "#55575c", "#2745b5", "#ffffff",
        "#dfe5fb", "#a8003c",
    ),
}  # fmt: skip


def style_sheet(colors: Colors) -> str:
    """Return the style sheet of the rating window."""
    template = Template((files(__package__) / "rating.qss").read_text("utf-8"))
    return template.substitute(asdict(colors))
