"""What the explanation means, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton

from napari_quac.gui.section import Section
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.explanation import Explanation

MAX_SENTENCES = 8
AFTER_THE_CURVES_MS = 60  # drawn in a turn of the event loop of its own
DOUBLING = "until_complete"
MARKS = {"good": "✓", "bad": "✗", "note": "•"}


class VerdictPanel(Section):
    """One sentence for each finding, with its tone."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__("Verdict", "verdict")
        self._choices, self._results = choices, results
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(1, 1)
        self.sentences: list[WrappedLabel] = []
        self._marks: list[QLabel] = []
        for row in range(MAX_SENTENCES):
            mark, label = QLabel(), WrappedLabel("", f"verdict_{row}")
            mark.setFixedWidth(18)
            grid.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(label, row, 1)
            self._marks.append(mark)
            self.sentences.append(label)
        self._empty = QLabel("No explanation yet.")
        self._empty.setProperty("role", "muted")
        self.body_layout.addWidget(self._empty)
        self.body_layout.addLayout(grid)
        self.more_points_button = QPushButton("Use more points")
        self.more_points_button.setObjectName("more_points_button")
        self.more_points_button.setToolTip(
            "Double the points along the path until the attribution adds up (at most 400)"
        )
        self.more_points_button.clicked.connect(self._on_more_points)
        self.more_points_button.hide()
        self.body_layout.addWidget(self.more_points_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(AFTER_THE_CURVES_MS)
        self._later.timeout.connect(self._show)
        results.events.explanations.connect(self._on_explanations)
        choices.events.shown_method.connect(self._show)
        self._show()

    def _on_explanations(self) -> None:
        self._later.start()

    def _show(self) -> None:
        explanations, classifier = self._results.explanations, self._results.loaded_classifier
        explanation = (
            explanations.by_method.get(self._choices.shown_method) if explanations else None
        )
        findings: tuple[tuple[str, str], ...] = ()
        if explanations is not None and explanation is not None and classifier is not None:
            from napari_quac.explain.verdict import verdict

            others = [e for e in explanations.by_method.values() if e is not explanation]
            found = verdict(explanation, others, classifier.class_names)
            findings = tuple((finding.tone, finding.text) for finding in found)
        for row, (mark, label) in enumerate(zip(self._marks, self.sentences, strict=True)):
            there = row < len(findings)
            mark.setVisible(there)
            label.setVisible(there)
            if there:
                tone, text = findings[row]
                mark.setText(MARKS[tone])
                set_tone(mark, tone)
                label.setText(text)
                label.setProperty("finding", tone)
            else:
                label.setText("")
        self._empty.setVisible(not findings)
        self.more_points_button.setVisible(explanation is not None and self._misses(explanation))
        bad = sum(tone == "bad" for tone, _ in findings)
        good = sum(tone == "good" for tone, _ in findings)
        self.set_summary(f"{good} for it · {bad} against" if findings else "")

    def _misses(self, explanation: Explanation) -> bool:
        """Tell whether the attribution does not add up, and more points would help."""
        from napari_quac.explain.methods import METHODS
        from napari_quac.explain.parameter import parameters_of
        from napari_quac.explain.verdict import COMPLETENESS_LIMIT

        missing, name = explanation.attribution.completeness, explanation.method
        if missing is None or missing <= COMPLETENESS_LIMIT or self._doubles(name):
            return False
        return any(parameter.name == DOUBLING for parameter in parameters_of(METHODS[name]))

    def _doubles(self, name: str) -> bool:
        return bool(self._choices.settings.parameters.get(name, {}).get(DOUBLING))

    def _on_more_points(self) -> None:
        name, parameters = self._choices.shown_method, self._choices.settings.parameters
        changed = {**parameters.get(name, {}), DOUBLING: True}
        self._choices.update_settings(parameters={**parameters, name: changed})
