"""Target class, settings of the search, and the button that starts it."""

from __future__ import annotations

from qtpy.QtCore import Signal

from napari_quac.gui.bind import bind
from napari_quac.gui.panels.question_box import QuestionBox
from napari_quac.gui.picture_strip import PictureStrip
from napari_quac.gui.section import Section, caption, labelled_row
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, choose_entry, fill_menu, menu, muted, row, spin_box
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.neighbor_query import NeighborQuery
from napari_quac.live.prediction import Prediction
from napari_quac.live.results import Results

MISSING = {
    "loaded_classifier": "a classifier",
    "loaded_generator": "a generator",
    "sample": "a sample",
    "prediction": "a prediction of the sample",
}


class SearchPanel(Section):
    """Searches for a generated image of the target class and explains the difference."""

    explain_requested = Signal()

    def __init__(
        self, choices: Choices, results: Results, controller: Controller, query: NeighborQuery
    ) -> None:
        super().__init__("Explain", "explain")
        self.question = QuestionBox(choices, results, query)
        self.body_layout.addWidget(self.question)
        self._choices, self._results, self._controller = choices, results, controller
        self.target_menu = menu("target_menu", n_characters=12, picked=self._on_target_picked)
        self.tries = spin_box("tries_spin", 1, 10000)
        self.seed = spin_box("seed_spin", 0, 2**31 - 1)
        self.explain_button = button(
            "Explain", "explain_button", clicked=self.explain_requested, primary=True
        )
        self.badge = WrappedLabel("", "search_badge")
        self.body_layout.addLayout(labelled_row("Target", self.target_menu))
        self.body_layout.addLayout(
            row(caption("Tries"), self.tries, 1, muted("Seed"), self.seed, 1)
        )
        self.body_layout.addWidget(self.explain_button)
        self.body_layout.addWidget(self.badge)
        self.proposals = PictureStrip("proposal")
        self.proposals.picked.connect(self._on_proposal_picked)
        self.body_layout.addWidget(self.proposals)
        bind(choices, "settings.search.max_tries", self.tries, self.tries.valueChanged,
             self.tries.value, self.tries.setValue)  # fmt: skip
        bind(choices, "settings.seed", self.seed, self.seed.valueChanged, self.seed.value,
             self.seed.setValue)  # fmt: skip
        for signal in (
            results.events.loaded_classifier,
            results.events.prediction,
            results.events.target,
            results.events.loaded_generator,
            choices.events.settings,
        ):
            signal.connect(self._show_targets)
        results.events.pair.connect(self._show_badge)
        results.events.partial_pair.connect(self._show_badge)
        results.events.pair.connect(self._show_proposals)
        results.events.loaded_generator.connect(self._show_ready)
        controller.running_changed.connect(self._show_ready)
        self._show_targets()
        self._show_badge()

    def _on_target_picked(self, row: int) -> None:
        self._choices.choose_target(self.target_menu.itemData(row))

    def _on_proposal_picked(self, number: int) -> None:
        self._choices.proposal_index = number

    def _show_targets(self) -> None:
        classifier, prediction = self._results.loaded_classifier, self._results.prediction
        names = classifier.class_names if classifier is not None else ()
        default = "Auto"
        if prediction is not None and len(prediction.probabilities) == len(names):
            default = f"Auto: {self._automatic_target(prediction)}"
        fill_menu(self.target_menu, {None: default, **{name: name for name in names}})
        target = self._results.target
        choose_entry(self.target_menu, None if target is None else names[target])
        self._show_ready()

    def _automatic_target(self, prediction: Prediction) -> str:
        classifier, settings = self._results.loaded_classifier, self._choices.settings
        if classifier is None:
            return ""
        generator = self._results.loaded_generator
        question = prediction.choose_automatic_question(settings, classifier, generator)
        name = classifier.class_names[question.targets[0]] if question.targets else "none"
        if not prediction.is_mispredicted:
            return f"{name} (second)"
        return f"{name} ({'label' if question.basis == 'prediction' else 'prediction'})"

    def _show_ready(self) -> None:
        missing = self._controller.missing_for("searched_pair")
        busy = "searched_pair" in self._controller.running
        self.explain_button.setEnabled(not missing and not busy)
        if missing:
            needed = ", ".join(dict.fromkeys(MISSING[name] for name in missing))
            self.explain_button.setToolTip(f"Explaining requires {needed}.")
        else:
            self.explain_button.setToolTip("Generate a counterfactual image and explain it (U).")

    def _show_proposals(self) -> None:
        pair, classifier = self._results.pair, self._results.loaded_classifier
        proposals = pair.proposals if pair is not None else ()
        if pair is None or classifier is None or len(proposals) < 2:
            self.proposals.show_pictures("", (), ())
            return
        name = classifier.class_names[pair.target]
        chosen = [proposal.generated is pair.generated for proposal in proposals].index(True)
        tooltips = [
            f"p({name}) {float(proposal.generated_prediction[pair.target]):.2f}"
            + ("" if proposal.switches else ", does not switch to the target class")
            for proposal in proposals
        ]
        self.proposals.show_pictures(
            f"The best {len(proposals)} of {pair.n_tried} proposals; click one to explain it",
            [proposal.generated for proposal in proposals],
            tooltips,
            chosen,
        )

    def _show_badge(self) -> None:
        pair = self._results.pair or self._results.partial_pair
        classifier = self._results.loaded_classifier
        text, tone = "", "note"
        if pair is not None and classifier is not None:
            name = classifier.class_names[pair.target]
            probability = float(pair.generated_prediction[pair.target])
            tries = "1 try" if pair.n_tried == 1 else f"{pair.n_tried} tries"
            if pair.switches:
                text, tone = f"✓ switches to {name}: {probability:.2f} ({tries})", "good"
            elif self._results.pair is None:
                text = f"best so far for {name}: {probability:.2f}"
            else:
                text, tone = (
                    f"✗ does not switch to {name}: best {probability:.2f} in {tries}",
                    "bad",
                )
        self.set_summary(text)
        if pair is not None and text:
            from napari_quac.networks.generator import describe_center_slice

            text = f"{text}\n{describe_center_slice(pair.origin)}".strip()
        self.badge.setVisible(bool(text))
        self.badge.setText(text)
        set_tone(self.badge, tone)
