"""Checks of the displayed explanation, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_quac.gui.section import Section
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, debouncer, grid, muted
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
        cells = grid(1, 2, 5)
        self.sentences: list[WrappedLabel] = []
        self._marks: list[QLabel] = []
        for row in range(MAX_SENTENCES):
            mark, label = QLabel(), WrappedLabel("", f"verdict_{row}")
            mark.setFixedWidth(18)
            cells.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            cells.addWidget(label, row, 1)
            self._marks.append(mark)
            self.sentences.append(label)
        self._empty = muted("No explanation yet.")
        self.add(self._empty, cells)
        self.more_points_button = button(
            "Use more points", "more_points_button", clicked=self._on_more_points, hidden=True
        )
        self.body_layout.addWidget(self.more_points_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._later = debouncer(self, AFTER_THE_CURVES_MS, self._show)
        results.events.explanations.connect(self._on_explanations)
        choices.events.shown_method.connect(self._show)
        self._show()

    def _on_explanations(self) -> None:
        self._later.throttle()

    def _show(self) -> None:
        explanations, classifier = self._results.explanations, self._results.loaded_classifier
        explanation = (
            explanations.by_method.get(self._choices.shown_method) if explanations else None
        )
        findings: tuple[tuple[str, str], ...] = ()
        is_preliminary = explanation is not None and explanation.is_preliminary
        if is_preliminary:
            findings = (("note", "The mask is preliminary. The verdict is about the exact one."),)
        elif explanations is not None and explanation is not None and classifier is not None:
            from napari_quac.explain.verdict import verdict

            others = [e for e in explanations.exact().values() if e is not explanation]
            findings = tuple(
                (finding.tone, finding.text)
                for finding in verdict(explanation, others, classifier.class_names)
            )
        for row, (mark, label) in enumerate(zip(self._marks, self.sentences, strict=True)):
            tone, text = findings[row] if row < len(findings) else ("", "")
            mark.setVisible(bool(tone))
            mark.setText(MARKS.get(tone, ""))
            set_tone(mark, tone)
            label.setVisible(bool(tone))
            label.setText(text)
            label.setProperty("finding", tone)
        self._empty.setVisible(not findings)
        self.more_points_button.setVisible(
            explanation is not None and self._needs_more_points(explanation)
        )
        n_passed = sum(tone == "good" for tone, _ in findings)
        n_failed = sum(tone == "bad" for tone, _ in findings)
        checks = "check" if n_passed == 1 else "checks"
        summary = f"{n_passed} {checks} passed, {n_failed} failed" if findings else ""
        summary = "preliminary" if is_preliminary else summary
        self.set_summary(summary)

    def _needs_more_points(self, explanation: Explanation) -> bool:
        """Return True if the attribution is incomplete and more points would help."""
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
