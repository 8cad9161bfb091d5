"""Colors of the dock for napari's theme, and the style sheet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template
from typing import Any

from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt

from napari_quac.explain.method_parameters import method_info

MASK_COLOR = "#ffd60a"
SIGNED_COLORS = ("#2f9bff", "#ff7a1a")  # of the target class, of the source class
_MORE_COLORS = (("#d4e157", "#7a8500"), ("#4dd0c8", "#00807a"), ("#ff8a65", "#b5431c"))
BASELINES = ("residual", "random")


def line_style(method: str) -> Qt.PenStyle:
    """Return the line style of a method's curve; baselines are dashed and dotted."""
    styles = {"random": Qt.PenStyle.DotLine, "residual": Qt.PenStyle.DashLine}
    return styles.get(method, Qt.PenStyle.SolidLine)


@dataclass(frozen=True)
class Palette:
    """Colors as ``#rrggbb``.

    Attributes
    ----------
    dark : bool
    background, surface, line : str
        Of the dock, of fields and cards, of borders.
    text, muted : str
    accent, on_accent : str
        Of the primary button and selections, and of text on them.
    good, bad, warning, note : str
        Of messages and verdicts.
    query, generated, hybrid : str
        The three images, in bars and legends.
    font_points : float
        Font size of napari.
    """

    dark: bool
    background: str
    surface: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    good: str
    bad: str
    warning: str
    note: str
    query: str
    generated: str
    hybrid: str
    font_points: float

    def method(self, name: str) -> str:
        """Return the color of a method's curve."""
        dark, light = (
            method_info(name).colors or _MORE_COLORS[sum(name.encode()) % len(_MORE_COLORS)]
        )
        return dark if self.dark else light


def palette_of(theme_id: str) -> Palette:
    """Return the colors for a theme of napari."""
    theme: Any = get_theme(theme_id)
    dark = theme.type == "dark"
    return Palette(
        dark=dark,
        background=_hex(theme.background),
        surface=_hex(theme.foreground),
        line=_hex(theme.primary),
        text=_hex(theme.text),
        muted="#a3a9b3" if dark else "#5f6166",
        accent="#5b7cf0" if dark else "#3457d5",
        on_accent="#ffffff",
        good="#4cc38a" if dark else "#12794a",
        bad="#ff6b6b" if dark else "#c62828",
        warning="#e3ad45" if dark else "#875700",
        note="#a3a9b3" if dark else "#5f6166",
        query="#9aa3ad" if dark else "#7b838c",
        generated="#c792ea" if dark else "#8e4ec6",
        hybrid="#5b7cf0" if dark else "#3457d5",
        font_points=float(get_settings().appearance.font_size),
    )


def _hex(color: Any) -> str:
    red, green, blue = color.as_rgb_tuple(alpha=False)
    return f"#{red:02x}{green:02x}{blue:02x}"


def style_sheet(colors: Palette) -> str:
    """Return the style sheet of the docks, which extends that of napari."""
    template = Template((files(__package__) / "style.qss").read_text("utf-8"))
    return template.substitute(asdict(colors))
