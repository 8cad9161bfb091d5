"""Groups of methods in the list, their titles and check boxes, and the presets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QToolButton, QWidget

from napari_quac.explain.method_parameters import method_info
from napari_quac.gui.control_names import prepare
from napari_quac.gui.slots import slots


class Group(NamedTuple):
    """A group of methods in the list.

    Attributes
    ----------
    name : str
        As in :class:`~napari_quac.explain.method_parameters.MethodInfo`; the title has the object
        name ``method_group_<name>``.
    title : str
    folds : bool
        Folded until one of its methods is chosen.
    """

    name: str
    title: str
    folds: bool = False


GROUPS = (
    Group("discriminative", "Both images compared"),
    Group("vanilla", "Query alone"),
    Group("baselines", "Baselines"),
    Group("gradients", "Grad-CAM and gradients", folds=True),
    Group("perturbation", "Occlusion and superpixels", folds=True),
    Group("optimized", "Masks by optimization", folds=True),
    Group("others", "Other packages"),
)


def grouped_methods(names: list[str]) -> list[tuple[Group, tuple[str, ...]]]:
    """Return the groups that are not empty, with their methods; the last takes all others."""
    group_ids = {group.name for group in GROUPS}
    group_of = {name: method_info(name).group for name in names}
    group_of = {name: id_ if id_ in group_ids else "others" for name, id_ in group_of.items()}
    members = [(group, tuple(n for n in names if group_of[n] == group.name)) for group in GROUPS]
    return [(group, methods) for group, methods in members if methods]


PRESET_TEXTS = {
    "quac": (
        "QuAC: generated into query",
        "Which pixels of the generated image turn the query into the target when copied?",
    ),
    "dapi": (
        "DAPI: query into generated",
        "Which pixels of the query turn the generated image back into the source when copied? Maps "
        "keep their sign, and a pixel counts in all channels.",
    ),
}


class MethodCheck(QCheckBox):
    """A check box that accepts clicks over its whole width, and not only on its name."""

    def hitButton(self, pos: QPoint) -> bool:
        """Return True: the whole widget is clickable."""
        return bool(self.rect().contains(pos))


@slots
class MethodGroup(QToolButton):
    """A title above the lines of its methods; some groups fold.

    Parameters
    ----------
    group : Group
        Title and methods.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        prepare(self, f"method_group_{group.name}")
        self.setProperty("role", "group")
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
        """True if the lines of its methods are visible."""
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
