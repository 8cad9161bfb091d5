"""A field for a path: typed, chosen in a dialog, or dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QMenu, QPushButton, QWidget

from napari_quac.gui.section import caption


class PathField(QWidget):
    """A line with a label, a path and a button.

    Parameters
    ----------
    label : str
    name : str
        The field is called ``<name>_path``, the button ``<name>_choose``.
    hint : str
        Shown while the field is empty.
    file_filter : str
        For the dialog that chooses a file; empty where only folders make sense.
    folders : bool
        Whether a folder can be chosen.
    """

    picked = Signal(str)

    def __init__(
        self, label: str, name: str, hint: str, file_filter: str = "", folders: bool = False
    ) -> None:
        super().__init__()
        self._file_filter, self._title = file_filter, label
        self._menu: QMenu | None = None
        self._offered: QMenu | None = None
        self.setAcceptDrops(True)
        self.edit = QLineEdit()
        self.edit.setObjectName(f"{name}_path")
        self.edit.setPlaceholderText(hint)
        self.edit.setToolTip("Type a path and press Enter, or drop a file here")
        self.edit.setMinimumWidth(60)
        self.edit.setAcceptDrops(False)  # the whole line takes drops
        self.button = QPushButton("Choose…")
        self.button.setObjectName(f"{name}_choose")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(caption(label))
        row.addWidget(self.edit, 1)
        row.addWidget(self.button)
        if file_filter and folders:
            self._menu = menu = QMenu(self.button)
            menu.setObjectName(f"{name}_choose_menu")
            menu.addAction("File…", self.choose_file)
            menu.addAction("Folder…", self.choose_folder)
            self.button.setMenu(menu)
        else:
            self.button.clicked.connect(self.choose_file if file_filter else self.choose_folder)
        self.edit.returnPressed.connect(self._on_entered)

    def offer(self, names: Callable[[], Sequence[str]], chosen: Callable[[str], None]) -> None:
        """Offer what needs no path in a menu *Without a file*, which is filled when it opens."""
        if self._menu is None:
            return
        self._offered = offered = self._menu.addMenu("Without a file")

        def fill() -> None:
            offered.clear()
            for name in names():
                offered.addAction(name, lambda name=name: chosen(name))

        offered.aboutToShow.connect(fill)

    def show_path(self, path: Path | str | None, text: str = "") -> None:
        """Show a path that was chosen elsewhere, without announcing it."""
        self.edit.setText(text or (str(path) if path else ""))
        self.edit.setCursorPosition(0 if text else len(self.edit.text()))
        self.edit.setToolTip(self.edit.text())

    def choose_file(self) -> None:
        """Ask for a file."""
        path, _ = QFileDialog.getOpenFileName(self, self._title, self._folder(), self._file_filter)
        if path:
            self._take(path)

    def choose_folder(self) -> None:
        """Ask for a folder."""
        path = QFileDialog.getExistingDirectory(self, self._title, self._folder())
        if path:
            self._take(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the first file that was dropped."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self._take(paths[0])

    def _folder(self) -> str:
        text = self.edit.text().strip()
        return str(Path(text).expanduser().parent) if text else ""

    def _take(self, path: str) -> None:
        self.edit.setText(path)
        self._on_entered()

    def _on_entered(self) -> None:
        text = self.edit.text().strip().strip("'\"")
        if text:
            self.picked.emit(text.removeprefix("file://"))
