"""Results of an unblinded study: a table of the features, and the statements as text."""

from __future__ import annotations

import math
import re
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QTextBrowser, QWidget

from napari_quac.gui.control_names import prepare
from napari_quac.gui.panels.on_demand_section import NumberRow, NumberTable
from napari_quac.gui.slots import slots
from napari_quac.gui.widgets import button, column, row

if TYPE_CHECKING:
    from napari_quac.study.statements import Analysis, Statement

COLUMNS = ("feature", "estimate (95%)", "p")
TEXT_HEIGHT = 220


class StatementText(QTextBrowser):
    """The statements, to read and to copy; nothing in them is a link."""

    def __init__(self) -> None:
        super().__init__()
        prepare(self, "study_results_text")
        self.setOpenLinks(False)

    def sizeHint(self) -> QSize:
        """Return the height of some sentences."""
        return QSize(300, TEXT_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
        return QSize(200, TEXT_HEIGHT)


@slots
class StudyResults(QWidget):
    """Table and statements of an analysis."""

    save_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = NumberTable("study_results_table", COLUMNS, 0, 12, 16)
        self.text = StatementText()
        self.save_button = button(
            "Save results…", "study_save_results_button", clicked=self.save_requested
        )
        column(self.table, self.text, row(None, self.save_button), parent=self)

    def show_analysis(self, analysis: Analysis | None) -> None:
        """Show an analysis, or nothing."""
        self.setVisible(analysis is not None)
        self.table.clear()
        if analysis is None:
            self.text.clear()
            return
        for statement in analysis.statements:
            item = NumberRow(_cells(statement))
            for number in range(len(COLUMNS)):
                item.setToolTip(number, statement.sentence().replace("**", ""))
            self.table.addTopLevelItem(item)
        self.table.updateGeometry()
        _, _, text = analysis.text().partition("\n")  # without its title
        self.text.setHtml("".join(map(_as_html, filter(None, text.splitlines()))))


def _as_html(line: str) -> str:
    """Return a line of the statements as HTML; names that look like markup stay as they are."""
    text = re.sub(
        r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(line.removeprefix("## ").removeprefix("- "))
    )
    return f"<h4>{text}</h4>" if line.startswith("## ") else f"<p>{text}</p>"


def _cells(statement: Statement) -> tuple[str, ...]:
    """Return name, estimate, interval and the corrected p-value."""
    estimate = statement.estimate
    numbers = [_number(x, 2) for x in (estimate.estimate, estimate.low, estimate.high)]
    corrected = statement.p_holm if math.isfinite(statement.p_holm) else statement.p_fdr
    p_value = corrected if math.isfinite(corrected) else statement.p_value
    star = "★ " if statement.primary else ""
    interval = f" ({numbers[1]}–{numbers[2]})" if math.isfinite(estimate.low) else ""
    return f"{star}{statement.feature}", f"{numbers[0]}{interval}", _p(p_value)


def _number(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if math.isfinite(number) else "–"


def _p(p_value: float) -> str:
    if not math.isfinite(p_value):
        return "–"
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.0e}"
