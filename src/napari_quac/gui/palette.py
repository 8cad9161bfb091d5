"""Colors of the dock for napari's theme, and the style sheet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template
from typing import Any

from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt

MASK_COLOR = "#ffd60a"
SIGNED_COLORS = ("#2f9bff", "#ff7a1a")  # of the target class, of the source class
_MORE_COLORS = (("#e9912e", "#995d08"), ("#457ec2", "#0a2e60"), ("#b6f8bc", "#058b57"))
_GROUP_STYLES = {
    "vanilla": Qt.PenStyle.DashDotLine,
    "optimized": Qt.PenStyle.DashDotLine,
    "gradients": Qt.PenStyle.DashDotDotLine,
    "others": Qt.PenStyle.DashLine,
}
BASELINES = ("residual", "random")


def line_style(method: str) -> Qt.PenStyle:
    """Return the line style of a method's curve.

    There are more methods than colors that remain different for color-blind people, so that
    methods of one color differ in style: by their group, and the gray baselines by name.
    """
    styles = {"random": Qt.PenStyle.DotLine, "residual": Qt.PenStyle.DashLine}
    group = _info(method).group
    return styles.get(method, _GROUP_STYLES.get(group, Qt.PenStyle.SolidLine))


def _info(method: str) -> Any:
    # imported late: the measuring window needs colors, but no network
    from napari_quac.explain.method_parameters import method_info

    return method_info(method)


@dataclass(frozen=True)
class Palette:
    """Colors as ``#rrggbb``.

    Attributes
    ----------
    dark : bool
    background, surface, line : str
        Of the dock, of fields and cards, of separators.
    outline, focus : str
        Of the borders of controls and of axes, and of the control with the focus.
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
    outline: str
    focus: str
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
        dark, light = _info(name).colors or _MORE_COLORS[sum(name.encode()) % len(_MORE_COLORS)]
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
        outline="#848d99" if dark else "#74767b",
        focus="#ffffff" if dark else "#101218",
        text=_hex(theme.text),
        muted="#aeb4be" if dark else "#55575c",
        accent="#7c9bff" if dark else "#2745b5",
        on_accent="#101218" if dark else "#ffffff",
        good="#3fd0a0" if dark else "#005f46",
        bad="#ff8080" if dark else "#a8003c",
        warning="#f0c35a" if dark else "#7a5200",
        note="#aeb4be" if dark else "#55575c",
        query="#9aa3ad" if dark else "#6b737b",
        generated="#f0a050" if dark else "#8a5200",
        hybrid="#7c9bff" if dark else "#2745b5",
        font_points=float(get_settings().appearance.font_size),
    )


def _hex(color: Any) -> str:
    red, green, blue = color.as_rgb_tuple(alpha=False)
    return f"#{red:02x}{green:02x}{blue:02x}"


def style_sheet(colors: Palette) -> str:
    """Return the style sheet of the docks, which extends that of napari."""
    template = Template((files(__package__) / "style.qss").read_text("utf-8"))
    return template.substitute(asdict(colors))
