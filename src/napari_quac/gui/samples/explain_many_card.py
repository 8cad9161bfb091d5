"""What *Explain these* will take, how far it is, and how to stop it and go on."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QStandardPaths, Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_quac.gui.text import WrappedLabel, duration, grouped, set_tone
from napari_quac.live.explain_many import Estimate, ExplainMany

CARD_WIDTH = 290
PLANS = "Plans (*.yaml *.yml)"
MISSING = {
    "loaded_samples": "samples",
    "loaded_classifier": "a classifier",
    "loaded_generator": "a generator",
    "order": "samples",
}


class ExplainManyCard(QFrame):
    """Confirms, starts, shows and stops; lies beside the table while it is open."""

    measure_requested = Signal()
    save_plan_requested = Signal(Path)
    open_plan_requested = Signal(Path)

    def __init__(self, work: ExplainMany, settings_folder: str = "") -> None:
        super().__init__()
        self._work = work
        self._settings_folder = settings_folder
        self.setObjectName("explain_many_card")
        self.setProperty("card", "true")
        self.setFixedWidth(CARD_WIDTH)
        self.title = WrappedLabel("", "explain_many_title", role="title")
        self.close_button = QToolButton()
        self.close_button.setObjectName("explain_many_close")
        self.close_button.setProperty("role", "link")
        self.close_button.setText("✕")
        self.close_button.setToolTip("Close this card; work that runs goes on")
        self.close_button.clicked.connect(self.hide)
        self.line = WrappedLabel("", "explain_many_line")
        self.folder = QLineEdit()
        self.folder.setObjectName("explain_many_folder")
        self.folder.setToolTip("Folder for the explanations; work that began there goes on")
        self.folder.textChanged.connect(self._show)
        self.choose_button = QPushButton("…")
        self.choose_button.setObjectName("explain_many_choose")
        self.choose_button.setToolTip("Choose the folder for the explanations")
        self.choose_button.setFixedWidth(28)
        self.choose_button.setProperty("narrow", "true")
        self.choose_button.clicked.connect(self._choose_folder)
        self.progress = QProgressBar()
        self.progress.setObjectName("explain_many_progress")
        self.progress.setTextVisible(False)
        self.start_button = self._button("Start", "explain_many_start", self._on_start)
        self.start_button.setProperty("primary", "true")
        self.measure_button = self._button(
            "Measure", "explain_many_measure", self.measure_requested
        )
        self.measure_button.setToolTip("Explain one of them, to see how long it takes")
        self.cancel_button = self._button("Cancel", "explain_many_cancel", work.cancel)
        self.cancel_button.setToolTip("Stop within one step; what is finished is kept")
        self.resume_button = self._button("Resume", "explain_many_resume", work.resume)
        self.resume_button.setProperty("primary", "true")
        self.plan_button = QToolButton()
        self.plan_button.setObjectName("plan_button")
        self.plan_button.setProperty("role", "link")
        self.plan_button.setText("Plan")
        self.plan_button.setToolTip(
            "The samples in view, networks and settings as a file for 'napari-quac run', here or "
            "on a cluster"
        )
        self.plan_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.plan_button)
        menu.setObjectName("plan_menu")
        menu.addAction("Save plan…", self._save_plan)
        menu.addAction("Open plan…", self._open_plan)
        self.plan_button.setMenu(menu)
        self._lay_out()
        work.changed.connect(self._show)
        self.hide()

    def open(self) -> None:
        """Show what the samples in view will take."""
        if self._work.state in ("ready", "done") or not self.folder.text():
            self.renew_folder()
        self.show()
        self._show()

    def renew_folder(self) -> None:
        """Propose a folder that is not taken."""
        user = self._settings_folder or QStandardPaths.writableLocation(
            QStandardPaths.StandardLocation.AppDataLocation
        )
        self.folder.setText(str(self._work.default_folder(Path(user).expanduser())))

    def _button(self, text: str, name: str, action: object) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.clicked.connect(action)
        return button

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        place = QHBoxLayout()
        place.setSpacing(4)
        place.addWidget(self.folder, 1)
        place.addWidget(self.choose_button)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.start_button, self.resume_button, self.cancel_button,
                       self.measure_button):  # fmt: skip
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.plan_button)
        inner = QWidget()
        inner.setProperty("plain", "true")
        column = QVBoxLayout(inner)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.line)
        column.addLayout(place)
        column.addWidget(self.progress)
        column.addLayout(buttons)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("explain_many_scroll")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

    def _on_start(self) -> None:
        self._work.start(Path(self.folder.text()).expanduser())

    def _choose_folder(self) -> None:
        start = Path(self.folder.text()).expanduser().parent
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the explanations", str(start))
        if chosen:
            self.folder.setText(chosen)

    def _save_plan(self) -> None:
        start = Path(self.folder.text()).expanduser().parent / "plan.yaml"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save plan", str(start), PLANS)
        if chosen:
            self.save_plan_requested.emit(Path(chosen))

    def _open_plan(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open plan", "", PLANS)
        if chosen:
            self.open_plan_requested.emit(Path(chosen))

    def _show(self) -> None:
        if self.isHidden():
            return
        state = self._work.state
        running, stopped = state == "running", state == "stopped"
        self.start_button.setVisible(not running and not stopped)
        self.cancel_button.setVisible(running)
        self.resume_button.setVisible(stopped)
        self.progress.setVisible(running or stopped)
        self.folder.setReadOnly(running or stopped)
        self.choose_button.setEnabled(not running and not stopped)
        self.measure_button.setVisible(False)
        self.progress.setRange(0, max(1, self._work.n_total))
        self.progress.setValue(self._work.n_done)
        if state == "ready":
            self._show_estimate()
        elif running:
            self._show_running()
        else:
            self._show_end(stopped)

    def _show_estimate(self) -> None:
        missing = self._work.missing()
        if missing:
            self.title.setText("Explain these")
            needed = ", ".join(dict.fromkeys(MISSING[name] for name in missing))
            self._say(f"Needs {needed}.", "note")
            self.start_button.setEnabled(False)
            return
        estimate = self._work.estimate(Path(self.folder.text()).expanduser())
        self.title.setText(f"Explain {grouped(estimate.n_samples)} samples")
        parts = []
        if estimate.seconds is None:
            parts.append("How long it takes is not known yet: Measure explains one of them.")
            self.measure_button.setVisible(True)
        else:
            parts.append(f"Takes {duration(estimate.seconds)}.")
        if estimate.n_bytes is not None:
            parts.append(f"{_disk(estimate)}.")
        self._say(" ".join(parts), "" if estimate.fits else "bad")
        self.start_button.setEnabled(estimate.n_samples > 0 and estimate.fits)

    def _show_running(self) -> None:
        work = self._work
        self.title.setText(f"{grouped(work.n_done)} of {grouped(work.n_total)} samples explained")
        parts = []
        left = work.seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        parts += self._counts()
        self._say(" · ".join(parts) or "The first one is being explained.", "note")

    def _show_end(self, stopped: bool) -> None:
        work = self._work
        done, total = grouped(work.n_done), grouped(work.n_total)
        if stopped:
            self.title.setText(f"Stopped after {done} of {total} samples")
            told = work.problem or " · ".join([*self._counts(), "what is finished is kept"])
            self._say(told, "bad" if work.problem else "note")
            return
        self.title.setText(f"{done} samples explained")
        self._say(" · ".join(self._counts()), "good")
        self.start_button.setEnabled(not work.missing())

    def _counts(self) -> list[str]:
        summary = self._work.summary
        if summary is None:
            return []
        parts = [f"{grouped(summary.n_switched)} switch"]
        if summary.n_existing:
            parts.append(f"{grouped(summary.n_existing)} were there already")
        if summary.n_failed:
            parts.append(f"{grouped(summary.n_failed)} failed: {summary.first_failure}")
        for name, why in summary.unavailable.items():
            parts.append(f"{name} is not available: {why}")
        return parts

    def _say(self, text: str, tone: str) -> None:
        self.line.setText(text)
        set_tone(self.line, tone)


def _disk(estimate: Estimate) -> str:
    text = f"At most {_size(estimate.n_bytes or 0)} on disk"
    if not estimate.fits and estimate.n_free is not None:
        text += f", but only {_size(estimate.n_free)} are free there"
    return text


def _size(n_bytes: int) -> str:
    for unit in ("kB", "MB", "GB"):
        n_bytes_in = n_bytes / 1000 ** (("kB", "MB", "GB").index(unit) + 1)
        if n_bytes_in < 1000:
            return f"{n_bytes_in:.3g} {unit}"
    return f"{n_bytes / 1e12:.3g} TB"
