"""Three pages of the dock, in the order of the work: set up, explore, study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QStackedWidget, QTabBar, QWidget

from napari_quac.gui.control_names import TOOLTIPS
from napari_quac.gui.section import Section
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import column, debouncer, fill, link_button, row

STAGES: Mapping[str, str] = {"setup": "Set up", "explore": "Explore", "study": "Study"}
AFTER_LAYOUT_MS = 30


@slots
class Stages(QWidget):
    """A tab bar with one scrolling page for each stage.

    Controls that are used together stand on one page, so that the loop over samples needs no
    scrolling: sample, *Explain*, threshold and predictions are all on *Explore*.

    Parameters
    ----------
    parts : mapping of str to sequence of QWidget
        Contents of each stage, from top to bottom; its keys are those of ``STAGES``.
    """

    stage_changed = Signal(str)
    """Another stage is in front; its name."""

    def __init__(self, parts: Mapping[str, Sequence[QWidget]]) -> None:
        super().__init__()
        self._names = tuple(STAGES)
        self.bar = QTabBar()
        self.bar.setObjectName("stage_bar")
        self.bar.setAccessibleName("Stage of the work")
        self.bar.setExpanding(True)
        self.bar.setDrawBase(False)
        self.bar.setUsesScrollButtons(False)
        self.bar.setElideMode(Qt.TextElideMode.ElideNone)
        self._pages = QStackedWidget()
        self.areas: dict[str, QScrollArea] = {}
        for name, title in STAGES.items():
            index = self.bar.addTab(title)
            self.bar.setTabToolTip(index, TOOLTIPS[f"stage_{name}"])
            self.areas[name] = _page(name, parts[name])
            self._pages.addWidget(self.areas[name])
        self.bar.currentChanged.connect(self._on_tab)
        self._revealed: QWidget | None = None
        self._scroll_later = debouncer(self, AFTER_LAYOUT_MS, self._scroll)
        self.keys_button = link_button("?", "keys_button")
        self.open_button = link_button("≡", "file_menu_button")
        column(
            row(self.open_button, self.bar, 1, self.keys_button),
            self._pages,
            1,
            spacing=0,
            parent=self,
        )

    @property
    def current(self) -> str:
        """Name of the stage in front: ``"setup"``, ``"explore"`` or ``"study"``."""
        name: str = self._names[self.bar.currentIndex()]
        return name

    @property
    def area(self) -> QScrollArea:
        """Scroll area of the stage in front."""
        return self.areas[self.current]

    def show_stage(self, name: str) -> None:
        """Bring a stage to the front; its page stays scrolled as it was."""
        self.bar.setCurrentIndex(self._names.index(name))

    def focus_stage(self, name: str, *controls: QWidget) -> None:
        """Bring a stage to the front, and focus the first usable control or section title."""
        self.show_stage(name)
        titles = (section.button for section in self._sections())
        usable = (w for w in (*controls, *titles) if w.isVisible() and w.isEnabled())
        self._focus(next(usable, self.bar))

    def step_section(self, by: int) -> None:
        """Move the focus to the title of the next section of the stage, or of one before it."""
        sections = self._sections()
        focus = QApplication.focusWidget()
        if not sections:
            return
        current = [i for i, s in enumerate(sections) if focus and s.isAncestorOf(focus)]
        start = current[0] if current else (-1 if by > 0 else 0)
        self._focus(sections[(start + by) % len(sections)].button)

    def _sections(self) -> list[Section]:
        """Return the visible sections of the stage in front from top to bottom."""
        sections = [s for s in self.area.findChildren(Section) if s.isVisible()]
        return sorted(sections, key=lambda section: section.mapTo(self, QPoint(0, 0)).y())

    def _focus(self, widget: QWidget) -> None:
        widget.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.area.ensureWidgetVisible(widget)

    def stage_of(self, widget: QWidget) -> str | None:
        """Return the name of the stage that contains a widget; None for other widgets."""
        return next((n for n, area in self.areas.items() if area.isAncestorOf(widget)), None)

    def reveal(self, widget: QWidget) -> None:
        """Bring the stage of a widget to the front, unfold its section and scroll to it."""
        name = self.stage_of(widget)
        if name is None:
            return
        self.show_stage(name)
        parent: QWidget | None = widget
        while parent is not None and parent is not self:
            if isinstance(parent, Section):
                parent.set_open(True)
            parent = parent.parentWidget()
        self._revealed = widget
        self._scroll_later.throttle()

    @slot
    def _scroll(self) -> None:
        """Scroll to a part after the layout has placed what was folded."""
        revealed, self._revealed = self._revealed, None
        name = self.stage_of(revealed) if revealed is not None else None
        if revealed is not None and name is not None:
            self.areas[name].ensureWidgetVisible(revealed)
            self.areas[name].horizontalScrollBar().setValue(0)

    def _on_tab(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        self.stage_changed.emit(self._names[index])


def _page(name: str, parts: Sequence[QWidget]) -> QScrollArea:
    body = QWidget()
    body.setProperty("role", "page")
    layout = column(spacing=2, parent=body)
    layout.setContentsMargins(6, 6, 6, 6)
    fill(layout, (*parts, None))
    area = QScrollArea()
    area.setObjectName(f"stage_{name}")
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidgetResizable(True)
    area.setWidget(body)
    return area
