"""A field for a path: typed, chosen in a dialog, or dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_quac.gui.control_names import name_after
from napari_quac.gui.section import caption
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import button, line_edit, row


@slots
class PathField(QWidget):
    """A line with a label, a path and a button.

    Parameters
    ----------
    label : str
    name : str
        The field is named ``<name>_path``, the button ``<name>_choose``.
    hint : str
        Placeholder of the empty field.
    file_filter : str
        Filter of the file dialog; empty if only folders can be chosen.
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
        self.setAcceptDrops(True)
        self.edit = line_edit(
            f"{name}_path", "Type a path and press Enter, or drop a file here.", hint
        )
        name_after(f"{label} path".strip().capitalize(), self.edit)
        self.edit.setMinimumWidth(60)
        self.edit.setAcceptDrops(False)  # the whole line accepts drops
        self.button = button("Choose…", f"{name}_choose", f"Choose the {label.lower() or 'file'}.")
        row(caption(label), self.edit, 1, self.button, parent=self)
        if file_filter and folders:
            self._menu = QMenu(self.button)
            self._menu.setObjectName(f"{name}_choose_menu")
            self._menu.addAction("File…", self.choose_file)
            self._menu.addAction("Folder…", self.choose_folder)
            self.button.setMenu(self._menu)
        else:
            self.button.clicked.connect(self.choose_file if file_filter else self.choose_folder)
        self.edit.returnPressed.connect(self._on_entered)

    def offer(self, names: Callable[[], Sequence[str]], picked: Callable[[str], None]) -> None:
        """Add a menu *Without a file*, which is filled when it opens."""
        submenu = self.add_menu("Without a file")
        if submenu is None:
            return

        def fill() -> None:
            submenu.clear()
            for name in names():
                submenu.addAction(name, lambda name=name: picked(name))

        submenu.aboutToShow.connect(slot(fill))

    def add_menu(self, title: str) -> QMenu | None:
        """Add a menu to that of the button; None if the button has none."""
        if self._menu is None:
            return None
        submenu = self._menu.addMenu(title)
        name = title.lower().replace(" a ", " ").replace(" ", "_")
        submenu.setObjectName(f"{self.button.objectName()}_{name}")
        return submenu

    def show_path(self, path: Path | str | None, text: str = "") -> None:
        """Show a path, or a text in its place, without a signal."""
        self.edit.setText(text or (str(path) if path else ""))
        self.edit.setCursorPosition(0 if text else len(self.edit.text()))
        self.edit.setToolTip(plain(self.edit.text()))

    @slot
    def choose_file(self) -> None:
        """Open a dialog for a file."""
        path, _ = QFileDialog.getOpenFileName(self, self._title, self._folder(), self._file_filter)
        if path:
            self._take(path)

    @slot
    def choose_folder(self) -> None:
        """Open a dialog for a folder."""
        path = QFileDialog.getExistingDirectory(self, self._title, self._folder())
        if path:
            self._take(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Use the first dropped file."""
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
