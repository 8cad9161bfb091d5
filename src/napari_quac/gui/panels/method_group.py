"""The check box of a method, and the title of a group of methods."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QToolButton, QWidget

from napari_quac.gui.panels.method_texts import Group


class MethodCheck(QCheckBox):
    """A check box that accepts clicks over its whole width, and not only on its name."""

    def hitButton(self, pos: QPoint) -> bool:
        """Return True: the whole widget is clickable."""
        return bool(self.rect().contains(pos))


class MethodGroup(QToolButton):
    """A title above the lines of its methods; some groups fold.

    Parameters
    ----------
    group : Group
        Title and methods.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.setObjectName(f"method_group_{group.name}")
        self.setProperty("role", "group")
        self.setToolTip(group.tip)
        self._title, self._folds = group.title, group.folds
        self._lines: dict[str, list[QWidget]] = {}
        self._forms: list[tuple[QWidget, QToolButton]] = []
        self._chosen: frozenset[str] = frozenset()
        self.setCheckable(group.folds)
        self.setText(group.title)
        if group.folds:
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            self.toggled.connect(self._on_toggled)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of its methods."""
        return tuple(self._lines)

    @property
    def is_open(self) -> bool:
        """Whether the lines of its methods are visible."""
        return not self._folds or bool(self.isChecked())

    def add(self, name: str, line: list[QWidget]) -> None:
        """Add the widgets of a method."""
        self._lines[name] = line
        if self._folds:
            self._on_toggled(self.isChecked())

    def add_form(self, form: QWidget, button: QToolButton) -> None:
        """Add the parameters of a method, which ``button`` unfolds."""
        self._forms.append((form, button))

    def show_chosen(self, methods: Sequence[str]) -> None:
        """Update the title, and unfold the group if one of its methods was just chosen."""
        chosen = frozenset(methods) & frozenset(self._lines)
        if self._folds and chosen - self._chosen:
            self.setChecked(True)
        self._chosen = chosen
        self._update_title()

    def _on_toggled(self, is_open: bool) -> None:
        for line in self._lines.values():
            for widget in line:
                widget.setVisible(is_open)
        for form, button in self._forms:
            form.setVisible(is_open and button.isChecked())
        self._update_title()

    def _update_title(self) -> None:
        if not self._folds:
            return
        self.setArrowType(Qt.ArrowType.DownArrow if self.is_open else Qt.ArrowType.RightArrow)
        count = "" if self.is_open else f" ({len(self._lines)})"
        if self._chosen and not self.is_open:
            count = f" ({len(self._chosen)} of {len(self._lines)} chosen)"
        self.setText(self._title + count)
