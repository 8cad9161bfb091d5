"""Colors of the dock for napari's theme, and the style sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    good, bad, note : str
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
        note="#a3a9b3" if dark else "#5f6166",
        query="#9aa3ad" if dark else "#7b838c",
        generated="#c792ea" if dark else "#8e4ec6",
        hybrid="#5b7cf0" if dark else "#3457d5",
        font_points=float(str(theme.font_size).removesuffix("pt")),
    )


def _hex(color: Any) -> str:
    red, green, blue = color.as_rgb_tuple(alpha=False)
    return f"#{red:02x}{green:02x}{blue:02x}"


def style_sheet(colors: Palette) -> str:
    """Return the style sheet of the docks, which extends that of napari."""
    return f"""
QWidget#quac_dock, QWidget#quac_scroll_body, QWidget#quac_curve_dock,
QWidget#quac_comparison_dock, QWidget#comparison_tiles, QWidget#quac_samples_dock {{
    background: {colors.background};
}}
QScrollArea#quac_scroll {{ border: none; background: {colors.background}; }}
QFrame[card="true"] {{ background: {colors.surface}; border: none; border-radius: 6px; }}
QFrame[card="true"] QLabel, QFrame[card="true"] QWidget[plain="true"] {{ background: transparent; }}
QFrame[card="true"][tone="bad"] {{ border-left: 3px solid {colors.bad}; border-radius: 3px; }}
QLabel {{ background: transparent; color: {colors.text}; }}
QLabel[role="muted"] {{ color: {colors.muted}; }}
QLabel[role="mark"] {{ color: {colors.muted}; padding: 0px; margin: 0px; }}
QLabel[role="title"] {{ font-weight: 600; }}
QLabel[tone="good"] {{ color: {colors.good}; }}
QLabel[tone="bad"] {{ color: {colors.bad}; }}
QLabel[tone="note"] {{ color: {colors.note}; }}
QToolButton[role="section"] {{
    background: transparent; border: none; padding: 5px 2px; text-align: left; font-weight: 600;
    color: {colors.text};
}}
QToolButton[role="section"]:hover {{ color: {colors.accent}; }}
QToolButton[role="group"] {{
    background: transparent; border: none; padding: 4px 0px 0px 0px; color: {colors.muted};
    text-align: left;
}}
QToolButton[role="group"][checkable="true"]:hover {{ color: {colors.text}; }}
QToolButton[role="link"] {{
    background: transparent; border: none; padding: 1px 2px; color: {colors.muted};
}}
QToolButton[role="link"]:hover, QToolButton[role="link"]:checked {{ color: {colors.text}; }}
QToolButton[role="legend"] {{
    background: transparent; border: none; padding: 2px 3px; color: {colors.muted};
    text-align: left;
}}
QToolButton[role="legend"]:checked {{ color: {colors.text}; font-weight: 600; }}
QToolButton[role="legend"]:hover {{ color: {colors.accent}; }}
QToolButton[role="tile"] {{
    background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 2px;
    color: {colors.text};
}}
QToolButton[role="tile"]:hover {{ border-color: {colors.line}; }}
QToolButton[role="tile"]:checked {{ border-color: {colors.accent}; background: {colors.surface}; }}
QScrollArea#comparison_scroll {{ border: none; background: {colors.background}; }}
QTableWidget#comparison_table {{
    background: {colors.background}; border: none; color: {colors.text};
    selection-background-color: {colors.line}; selection-color: {colors.text};
}}
QTableWidget#comparison_table QHeaderView::section {{
    background: {colors.background}; border: none; color: {colors.muted}; padding: 2px 6px;
}}
QFrame[role="rule"] {{ background: {colors.line}; border: none; padding: 0; margin: 0; }}
QPushButton {{
    background: {colors.surface}; border: 1px solid {colors.line}; border-radius: 4px;
    padding: 4px 10px; color: {colors.text};
}}
QFrame[card="true"] QPushButton {{ background: {colors.background}; }}
QPushButton[narrow="true"] {{ padding: 4px 0px; }}
QPushButton:hover {{ border-color: {colors.accent}; }}
QPushButton:pressed, QPushButton:checked {{ background: {colors.line}; }}
QPushButton:disabled {{ color: {colors.muted}; border-color: {colors.surface}; }}
QPushButton[primary="true"], QFrame[card="true"] QPushButton[primary="true"] {{
    background: {colors.accent}; border: 1px solid {colors.accent}; color: {colors.on_accent};
    font-weight: 600; padding: 5px 14px;
}}
QPushButton[primary="true"]:hover {{ border-color: {colors.text}; }}
QPushButton[primary="true"]:disabled {{
    background: {colors.surface}; border-color: {colors.surface}; color: {colors.muted};
}}
QLineEdit, QAbstractSpinBox, QComboBox {{
    background: {colors.surface}; border: 1px solid {colors.line}; border-radius: 4px;
    padding: 2px 6px; min-height: 20px; color: {colors.text};
}}
QSpinBox[narrow="true"], QDoubleSpinBox[narrow="true"], QComboBox[narrow="true"] {{
    min-width: 34px;
}}
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{
    border-color: {colors.accent};
}}
QLineEdit[tone="bad"] {{ border-color: {colors.bad}; }}
QFrame[card="true"] QLineEdit {{ background: {colors.background}; }}
QProgressBar {{
    background: {colors.surface}; border: none; border-radius: 2px; max-height: 4px;
    min-height: 4px;
}}
QProgressBar::chunk {{ background: {colors.accent}; border-radius: 2px; }}
QTableView {{
    background: {colors.background}; alternate-background-color: {colors.surface};
    border: none; color: {colors.text}; selection-background-color: {colors.accent};
    selection-color: {colors.on_accent}; gridline-color: {colors.surface};
}}
QTableView::item {{ padding: 0px 4px; border: none; }}
QTableView::item:selected {{ background: {colors.accent}; color: {colors.on_accent}; }}
QHeaderView, QTableCornerButton::section {{ background: {colors.background}; border: none; }}
QHeaderView::section {{
    background: {colors.background}; color: {colors.muted}; border: none;
    border-bottom: 1px solid {colors.line}; padding: 2px 4px;
}}
QToolButton[role="chip"], QToolButton[role="tab"] {{
    background: {colors.surface}; border: 1px solid {colors.surface}; border-radius: 9px;
    padding: 1px 7px; color: {colors.text};
}}
QToolButton[role="tab"] {{
    border-radius: 4px; padding: 3px 8px; background: transparent; color: {colors.muted};
}}
QToolButton[role="chip"]:hover, QToolButton[role="tab"]:hover {{ border-color: {colors.accent}; }}
QToolButton[role="chip"]:checked {{
    background: {colors.accent}; border-color: {colors.accent}; color: {colors.on_accent};
}}
QToolButton[role="tab"]:checked {{
    background: {colors.surface}; color: {colors.text}; font-weight: 600;
}}
QToolButton[role="proposal"] {{
    background: transparent; border: 2px solid transparent; border-radius: 3px; padding: 0px;
}}
QToolButton[role="proposal"]:hover {{ border-color: {colors.line}; }}
QToolButton[role="proposal"]:checked {{ border-color: {colors.accent}; }}
QLineEdit[tone="bad"] {{ border-color: {colors.bad}; }}
QSlider::groove:horizontal {{ background: {colors.line}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {colors.accent}; border-radius: 2px; }}
QSlider::handle:horizontal {{
    background: {colors.text}; width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
}}
QSlider::handle:horizontal:hover {{ background: {colors.accent}; }}
"""
