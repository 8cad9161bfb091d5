"""The only dock of the measuring window: feature, tools, the measurement so far, progress."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QPushButton, QWidget

from napari_quac.errors import QuacError, one_line
from napari_quac.gui.measuring.mark_layers import TOOLS, MarkLayers
from napari_quac.gui.palette import palette_of, style_sheet
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import add_report, remove_report, slot, slots
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, column, flow, row, spin_box
from napari_quac.study.answers import CANNOT_TELL, INVALID
from napari_quac.study.measuring_session import KINDS_OF_MARKS, Marking, MeasuringSession

TOOL_TITLES = {
    "points": "Points",
    "path": "Line",
    "polygon": "Polygon",
    "labels": "Labels",
    "move": "Move",
}
HINTS = {
    "points": "Click on each structure.",
    "path": "Press at one end, drag to the other, release.",
    "polygon": "Click along the outline; double-click to close it.",
    "labels": "Paint over the structure; each one with a label of its own.",
    "move": "Drag to move the image, turn the wheel to zoom.",
}
WIDTH = 340
COMPLETE = "All images are measured. You can close the window, or undo the last measurement."
PAUSED = "Paused. All measurements up to the last one are saved."
TRAINED = "The training block is complete: measurements count from now on."


@slots
class MeasuringDock(QWidget):
    """Controls of the measuring window.

    Parameters
    ----------
    viewer : napari viewer
        Without other layers.
    session : MeasuringSession
        Closed by :meth:`close_dock`.
    """

    def __init__(self, viewer: Any, session: MeasuringSession) -> None:
        super().__init__()
        self.setObjectName("measuring_dock")
        self.setProperty("role", "page")
        self.viewer, self.session = viewer, session
        self.layers = MarkLayers(viewer)
        self._position = -1
        self._was_training = not session.is_complete and session.slot.training
        self._build()
        self.setStyleSheet(style_sheet(palette_of(viewer.theme)))
        self.layers.changed.connect(self._show_measurement)
        add_report(self._report)
        self._show_trial()

    def sizeHint(self) -> QSize:
        """Return a width that fits all buttons."""
        return QSize(WIDTH, 600)

    def bind_keys(self) -> None:
        """Bind the keys in the whole window, once the dock is in it."""
        keys = (("N", self.save_button.click), ("Ctrl+Z", self.undo_button.click))
        for sequence, action in keys:
            shortcut = QShortcut(QKeySequence(sequence), self.window())
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(slot(action))

    def close_dock(self) -> None:
        """Pause the session; all saved measurements are on the disk."""
        remove_report(self._report)
        self.session.close()

    def _build(self) -> None:
        self.progress = WrappedLabel("", "measuring_progress", "muted")
        self.feature = WrappedLabel("", "measuring_feature", "title")
        self.definition = WrappedLabel("", "measuring_definition")
        self.quantity = WrappedLabel("", "measuring_quantity", "muted")
        self.hint = WrappedLabel("", "measuring_hint", "muted", 2)
        self.tool_buttons = {kind: self._tool_button(kind) for kind in TOOL_TITLES}
        self.brush = spin_box("measuring_brush", 1, 200)
        self.brush.valueChanged.connect(self._on_brush)
        self.label_button = button("New label", "measuring_new_label", clicked=self._on_label)
        self.painting = QWidget()
        row(
            labeled_row("Brush", self.brush), 1, self.label_button, parent=self.painting
        )  # a row of its own, hidden with the tool
        self.measurement = WrappedLabel("", "measuring_measurement", "title")
        self.save_button = button(
            "Save and next  (N)", "measuring_save", clicked=self._on_save, primary=True
        )
        self.undo_button = button("Undo  (Ctrl+Z)", "measuring_undo", clicked=self._on_undo)
        self.cannot_tell = button(
            "Cannot tell", "measuring_cannot_tell", clicked=self._on_cannot_tell
        )
        self.invalid = button("Invalid", "measuring_invalid", clicked=self._on_invalid)
        self.fit_button = button("Fit", "measuring_fit", clicked=self._on_fit)
        self.pause_button = button("Pause", "measuring_pause", clicked=self._on_pause)
        self.note = WrappedLabel("", "measuring_note", "note")
        self.trial = QWidget()
        column(
            self.feature,
            self.definition,
            self.quantity,
            row(*self.tool_buttons.values(), None, spacing=4),
            self.hint,
            self.painting,
            self.measurement,
            self.save_button,
            flow(self.cannot_tell, self.invalid, self.fit_button),
            spacing=8,
            parent=self.trial,
        )
        others = row(self.undo_button, self.pause_button, None)
        parts = (self.progress, self.trial, others, self.note, None)
        layout = column(*parts, spacing=10, parent=self)
        layout.setContentsMargins(12, 10, 12, 12)

    def _tool_button(self, kind: str) -> QPushButton:
        def pick() -> None:
            self._pick_tool(kind)

        return button(TOOL_TITLES[kind], f"measuring_tool_{kind}", clicked=pick, checkable=True)

    def _pick_tool(self, kind: str) -> None:
        for name, tool_button in self.tool_buttons.items():
            tool_button.setChecked(name == kind)
        self.hint.setText(HINTS[kind])
        self.painting.setVisible(kind == "labels")
        self.layers.set_tool(kind if kind in TOOLS else "")

    def _show_trial(self) -> None:
        """Show the image of the present trial."""
        session = self.session
        if not session.is_complete and session.position != self._position:
            self._position = session.position
            limits = session.study.require_seal().limits
            unit = session.study.protocol.unit
            self.layers.start(session.images()[0], limits, session.scale(), unit)
            self.brush.setValue(self.layers.brush)
            if self._was_training and not session.slot.training:
                self._say(TRAINED)
            self._was_training = session.slot.training
        self._show_feature()

    def _show_feature(self) -> None:
        """Show the present feature, or the end."""
        session = self.session
        saved = f" · saved {session.saved_at:%H:%M:%S}" if session.saved_at else ""
        self.progress.setText(f"{session.progress}{saved}")
        is_closed = session.is_paused or session.is_complete
        self.trial.setVisible(not is_closed)
        self.pause_button.setText("Resume" if session.is_paused else "Pause")
        self.pause_button.setVisible(not session.is_complete)
        self.undo_button.setEnabled(not session.is_paused)
        if is_closed:
            self.layers.hide()
            self._say(PAUSED if session.is_paused else COMPLETE)
            return
        self.layers.show()
        feature, n = session.feature, len(session.features)
        number = f"  ({session.feature_number + 1} of {n})" if n > 1 else ""
        self.feature.setText(f"{feature.name}{number}")
        self.definition.setText(feature.definition)
        self.definition.setVisible(bool(feature.definition))
        kinds = KINDS_OF_MARKS[session.quantity]
        unit = session.study.protocol.unit if session.scale() else "pixels"
        in_unit = f" in {unit}" if session.quantity in ("length", "distance") else ""
        if session.quantity == "area":
            in_unit = f" in {unit}²" if session.scale() else " in pixels"
        self.quantity.setText(f"Measure the {session.quantity}{in_unit}.")
        for kind, tool_button in self.tool_buttons.items():
            tool_button.setVisible(kind in kinds or kind == "move")
        self._pick_tool(kinds[0])
        self._show_measurement()

    def _show_measurement(self) -> None:
        session = self.session
        if session.is_complete:
            return
        measurement = session.measure(self.layers.marking())
        self.measurement.setText(f"{session.quantity.capitalize()}: {measurement.text()}")

    def _on_save(self) -> None:
        if not self._is_open():
            return
        self._say("")
        try:
            self.session.save(self.layers.finish(), self._view())
        except QuacError as error:
            self._report(error)
            return
        self._advance()

    def _on_cannot_tell(self) -> None:
        self._answer(CANNOT_TELL)

    def _on_invalid(self) -> None:
        self._answer(INVALID)

    def _answer(self, answer: str) -> None:
        if not self._is_open():
            return
        self._say("")
        self.session.answer_and_advance(answer, self._view())
        self._advance()

    def _advance(self) -> None:
        """Show the next feature without marks."""
        self._show_trial()
        if not self.session.is_complete and self.session.position == self._position:
            self.layers.fill(Marking())

    def _on_undo(self) -> None:
        """Remove the last mark, or return to the last saved measurement."""
        if self.session.is_paused:
            return
        self._say("")
        if not self.session.is_complete and self.layers.remove_last():
            return
        marking = self.session.withdraw()
        if marking is None:
            return
        self._show_trial()
        self.layers.fill(marking)
        self._say(f"The measurement of '{self.session.feature.name}' is open again.")

    def _on_pause(self) -> None:
        session = self.session
        if session.is_paused:
            session.resume()
            self._say("")
        else:
            session.pause()
        self._show_feature()

    def _on_fit(self) -> None:
        self.viewer.reset_view()

    def _on_brush(self, size: int) -> None:
        self.layers.set_brush(size)

    def _on_label(self) -> None:
        self.layers.start_label()

    def _is_open(self) -> bool:
        return not (self.session.is_paused or self.session.is_complete)

    def _view(self) -> dict[str, Any]:
        return {"mode": "measuring", "zoom": round(float(self.viewer.scene.camera.zoom), 3)}

    def _say(self, text: str) -> None:
        self.note.setText(text)
        set_tone(self.note, "note")

    def _report(self, error: BaseException) -> None:
        """Show an error below the buttons."""
        self.note.setText(one_line(error, 300))
        set_tone(self.note, "bad")
