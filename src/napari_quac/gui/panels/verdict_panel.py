"""Checks of the displayed explanation, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_quac.gui.section import Section
from napari_quac.gui.slots import slots
from napari_quac.gui.text import MARKS, WrappedLabel, set_tone, threshold_name
from napari_quac.gui.widgets import button, connect, debouncer, grid, muted
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.curve import Hybrid
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.verdict import Finding

MAX_SENTENCES = 10
AFTER_THE_CURVES_MS = 60  # drawn in a turn of the event loop of its own
DOUBLING = "until_complete"
PRELIMINARY = "The mask is preliminary. The verdict is about the exact one."
FINDING_MARKS = {**MARKS, "note": "•"}


@slots
class VerdictPanel(Section):
    """One sentence for each finding, with its tone."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__("Verdict", "verdict")
        self._choices, self._results = choices, results
        self.threshold_line = WrappedLabel("", "verdict_threshold", role="muted")
        cells = grid(1, 2, 5)
        self.sentences: list[WrappedLabel] = []
        self._marks: list[QLabel] = []
        for row in range(MAX_SENTENCES):
            mark, label = QLabel(), WrappedLabel("", f"verdict_{row}")
            mark.setMinimumWidth(18)
            cells.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            cells.addWidget(label, row, 1)
            self._marks.append(mark)
            self.sentences.append(label)
        self._empty = muted("No explanation yet.")
        self.add(self._empty, self.threshold_line, cells)
        self.more_points_button = button(
            "Use more points", "more_points_button", clicked=self._on_more_points, hidden=True
        )
        self.body_layout.addWidget(self.more_points_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._later = debouncer(self, AFTER_THE_CURVES_MS, self._show)
        events = results.events
        connect(self._on_explanations, events.explanations, events.baseline_tests,
                events.generator_evaluation)  # fmt: skip
        connect(self._show, choices.events.shown_method)
        connect(self._show_threshold, events.displayed_hybrid)
        self._show()

    @property
    def _explanation(self) -> Explanation | None:
        explanations = self._results.explanations
        return explanations.by_method.get(self._choices.shown_method) if explanations else None

    def _on_explanations(self) -> None:
        self._later.throttle()

    def _findings(self) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        """Return the checks of the explanation, and what is known beyond it."""
        explanations, classifier = self._results.explanations, self._results.loaded_classifier
        explanation = self._explanation
        if explanations is None or explanation is None or classifier is None:
            return (), ()
        from napari_quac.explain.verdict import Finding, verdict

        if explanation.is_preliminary:
            return (), (Finding(PRELIMINARY, "note"),)
        others = [e for e in explanations.exact().values() if e is not explanation]
        checks = verdict(explanation, others, classifier.class_names)
        tests = [test for test in self._results.baseline_tests or () if test.n > 1]
        over_all = tuple(
            Finding(f"Over the samples in view, {test.sentence}", test.tone)
            for test in tests
            if test.method == explanation.method
        )
        evaluation = self._results.generator_evaluation
        return checks, (*over_all, *((evaluation,) if evaluation is not None else ()))

    def _show(self) -> None:
        explanation, (checks, remarks) = self._explanation, self._findings()
        findings = (*checks, *remarks)[:MAX_SENTENCES]
        for row, (mark, label) in enumerate(zip(self._marks, self.sentences, strict=True)):
            finding = findings[row] if row < len(findings) else None
            tone = finding.tone if finding is not None else ""
            mark.setVisible(finding is not None)
            mark.setText(FINDING_MARKS.get(tone, ""))
            set_tone(mark, tone)
            label.setVisible(finding is not None)
            label.setText(finding.text if finding is not None else "")
            label.setProperty("finding", tone)
        self._empty.setVisible(not findings)
        self.more_points_button.setVisible(
            explanation is not None and self._needs_more_points(explanation)
        )
        is_preliminary = explanation is not None and explanation.is_preliminary
        summary = summary_of([check.tone for check in checks])
        self.set_summary("preliminary" if is_preliminary else summary)
        self._show_threshold()

    def _show_threshold(self) -> None:
        """Name the threshold of the verdict, and that of the slider where it differs."""
        explanation, displayed = self._explanation, self._results.displayed_hybrid
        if explanation is None or explanation.is_preliminary:
            self.threshold_line.show_message("")
            return
        hybrid = displayed.hybrid if displayed and displayed.explanation is explanation else None
        self.threshold_line.show_message(threshold_text(explanation, hybrid))

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


def summary_of(tones: Sequence[str]) -> str:
    """Return the numbers of passed and failed checks in words; empty without any."""
    if not tones:
        return ""
    n_passed, n_failed = tones.count("good"), tones.count("bad")
    return f"{n_passed} {'check' if n_passed == 1 else 'checks'} passed, {n_failed} failed"


def threshold_text(explanation: Explanation, hybrid: Hybrid | None) -> str:
    """Return the threshold of the verdict, and what the hybrid of the slider is classified as.

    Parameters
    ----------
    explanation : Explanation
        The explanation of the verdict.
    hybrid : Hybrid or None
        The hybrid at the slider.
    """
    optimum, pair = explanation.counterfactual, explanation.pair
    size = f"mask {optimum.mask_size:.1%}"
    text = f"At the optimum: {threshold_name(optimum.threshold)}, {size}."
    if hybrid is None or hybrid.threshold == optimum.threshold:
        return text
    predicted = pair.class_name(int(hybrid.prediction.argmax()))
    p = float(hybrid.prediction[pair.scored_class])
    return (
        f"{text} The slider is elsewhere: {threshold_name(hybrid.threshold)}, mask "
        f"{hybrid.mask_size:.1%}, classified as {predicted}, "
        f"p({pair.class_name(pair.scored_class)}) = {p:.2f}."
    )
