"""The table of keys over the window, which Esc closes."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDialog, QLabel, QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.keys import KEYS
from napari_quac.gui.palette import Palette, style_sheet

NOTE = (
    "Keys act while the focus is in a QuAC dock or in the canvas. Keys of the active layer come "
    "first in the canvas, and text is typed as usual. Alt and the underlined letter press a button."
)


class KeysOverlay(QDialog):
    """The keys in groups; Esc, ``?`` or *Close* closes it.

    Parameters
    ----------
    parent : QWidget
        The window that it covers.
    colors : Palette
    """

    def __init__(self, parent: QWidget, colors: Palette) -> None:
        super().__init__(parent)
        self.setObjectName("keys_overlay")
        self.setWindowTitle("Keys of QuAC")
        self.setAccessibleName("Keys of QuAC")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setStyleSheet(style_sheet(colors))
        content = QWidget()
        table = ui.grid(1, 14, 4, parent=content)
        for group in dict.fromkeys(key.group for key in KEYS):
            title = QLabel(group)
            title.setProperty("role", "title")
            table.addWidget(title, table.rowCount(), 0, 1, 2)
            for key in (key for key in KEYS if key.group == group):
                cap = QLabel(key.sequence)
                cap.setProperty("role", "key")
                cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
                row = table.rowCount()
                table.addWidget(cap, row, 0)
                table.addWidget(QLabel(key.text), row, 1)
        note = ui.muted(NOTE)
        note.setWordWrap(True)
        close = ui.button(
            "Close", "keys_close_button", "Close the table of keys (Esc).", self.close
        )
        # with a large font the table is higher than the window
        area = ui.scroll_area("keys_scroll", content)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = ui.column(area, 1, note, ui.row(None, close), spacing=10, parent=self)
        layout.setContentsMargins(18, 14, 18, 14)
        margins = 36 + area.verticalScrollBar().sizeHint().width()
        content.ensurePolished()
        width = content.sizeHint().width() + margins
        height = content.sizeHint().height() + note.heightForWidth(width) + 90
        self.resize(
            min(width, round(0.95 * parent.width())), min(height, round(0.9 * parent.height()))
        )
        for sequence in ("?", "Shift+?"):
            shortcut = QShortcut(QKeySequence(sequence), self)
            ui.connect(self.close, shortcut.activated, shortcut.activatedAmbiguously)


def show_keys(dock: QWidget, colors: Palette) -> None:
    """Show the keys over the window of a dock, or close them."""
    window = dock.window()
    overlay = window.findChild(KeysOverlay)
    if overlay is not None and overlay.isVisible():
        overlay.close()
        return
    overlay = KeysOverlay(window, colors)
    place = overlay.rect()
    place.moveCenter(window.geometry().center())
    overlay.move(place.topLeft())
    overlay.show()
    overlay.activateWindow()  # the key that closes it goes to the active window
