"""Question and target class, settings of the search, and the button that starts it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_quac.explain.settings import AUTO
from napari_quac.generators.infill.recipe import InfillRecipe
from napari_quac.gui import widgets as ui
from napari_quac.gui.binding import bind
from napari_quac.gui.control_names import TOOLTIPS
from napari_quac.gui.message import Message
from napari_quac.gui.picture_strip import PictureStrip
from napari_quac.gui.pictures import Difference
from napari_quac.gui.section import Section, caption
from napari_quac.gui.slots import slots
from napari_quac.gui.text import WrappedLabel, estimated, plain
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.neighbor_query import NeighborQuery
from napari_quac.live.prediction import Prediction
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair


@slots
class QuestionBox(QWidget):
    """Choice of the question; hidden unless the sample is a misprediction or a neighbor of one."""

    neighbor_picked = Signal(int)

    def __init__(self, choices: Choices, results: Results, query: NeighborQuery) -> None:
        super().__init__()
        self._choices, self._results, self._query = choices, results, query
        self.menu = ui.menu("question_menu", n_characters=12, picked=self._on_question)
        self.basis_line = WrappedLabel("", "source_basis_line", role="muted")
        self.strip = PictureStrip("neighbor")
        self.strip.picked.connect(self.neighbor_picked)
        self.message = Message("no_neighbors", "muted")
        self.styles = ui.check_box("Use the styles of these neighbors", "neighbor_styles_check")
        self.back_button = ui.button(
            "‹ Back to the misprediction", "back_to_misprediction_button", clicked=query.go_back
        )
        neighbors = QWidget()
        ui.column(self.message, self.strip, self.styles, spacing=5, parent=neighbors)
        self.neighbors_button = ui.disclosure_button("Neighbors", "neighbors_button", neighbors)
        self._about_misprediction = QWidget()
        line = ui.row(self.basis_line, 1, self.neighbors_button)
        line.setAlignment(self.basis_line, Qt.AlignmentFlag.AlignVCenter)
        ui.column(self.menu, line, neighbors, spacing=3, parent=self._about_misprediction)
        ui.column(self._about_misprediction, self.back_button, spacing=3, parent=self)
        bind(choices, "neighbor_styles", self.styles)
        ui.connect(self._show, results.events.prediction, results.events.loaded_generator,
                results.events.neighbors, results.events.predictions,
                choices.events.settings, query.changed)  # fmt: skip
        self._show()

    def _on_question(self, row: int) -> None:
        basis = self.menu.itemData(row)
        if basis and basis != self._basis():
            self._choices.update_settings(source_basis=basis)

    def _basis(self) -> str:
        from napari_quac.explain.question import resolve_source_basis

        settings, generator = self._choices.settings, self._results.loaded_generator
        return resolve_source_basis(settings.source_basis, generator)

    def _show_basis(self) -> None:
        """Show the origin of the source class."""
        is_fixed = getattr(self._results.loaded_generator, "source_basis", "") == "label"
        if self._basis() == "prediction":
            text = "The source is the predicted class."
        elif is_fixed:
            text = "The source is the label, which names the folder of the generated images."
        else:
            text = "The source is the label: the question is about a neighbor."
        self.basis_line.setText(text)

    def _show(self) -> None:
        prediction, classifier = self._results.prediction, self._results.loaded_classifier
        is_wrong = prediction is not None and prediction.is_mispredicted and classifier is not None
        is_neighbor = self._query.misprediction is not None
        self.back_button.setVisible(is_neighbor)
        self.setVisible(is_wrong or is_neighbor)
        self._about_misprediction.setVisible(is_wrong)
        if prediction is None or classifier is None or prediction.truth is None or not is_wrong:
            return
        label = prediction.class_names[prediction.truth]
        predicted = prediction.class_names[prediction.predicted]
        questions = {
            "prediction": f"What would make it look like {label}?",
            "label": f"What makes it look like {predicted}?",
        }
        ui.fill_menu(self.menu, questions)
        ui.choose_entry(self.menu, self._basis())
        self._show_basis()
        self._show_neighbors(label)

    def _show_neighbors(self, label: str) -> None:
        neighbors, prediction = self._results.neighbors, self._results.prediction
        fits = (
            neighbors is not None
            and prediction is not None
            and neighbors.query is prediction.sample
            and bool(neighbors.indices)
        )
        generator = self._results.loaded_generator
        can_take = generator is not None and generator.takes_references
        first_question = self._basis() == "prediction"
        self.styles.setVisible(fits and can_take and first_question)
        if neighbors is None or not fits:
            table = self._results.predictions
            if table is None or not table.is_complete:
                text = "Predict all samples to see the nearest neighbors."
            elif neighbors is None:
                text = f"No correctly classified {label} was found yet."
            else:
                text = ""
            self.strip.show_pictures("", (), ())
            is_action = text.startswith("Predict all")
            self.message.show_message(text, "", "predict_all" if is_action else "")
            return
        self.message.show_message("")
        verb = "Nearest" if first_question else "Explains the nearest"
        title = f"{verb} correctly classified {label}, {neighbors.basis_text}"
        tooltips = [
            f"{sample.id} · distance {distance:.3g}"
            for sample, distance in zip(neighbors.samples, neighbors.distances, strict=True)
        ]
        images = [sample.image for sample in neighbors.samples]
        self.strip.show_pictures(title, images, tooltips, -1 if first_question else 0)


def describe_infill(pair: Pair, name: str, probability: float) -> tuple[str, str]:
    """Return a sentence about the infill of a pair, and its tone."""
    if pair.switches:
        return f"✓ against {pair.infill}, which is not {name}: p = {probability:.2f}", "good"
    return f"against {pair.infill}, which is still {name}: p = {probability:.2f}", "note"


MISSING = {
    "loaded_classifier": "a classifier",
    "loaded_generator": "a generator",
    "sample": "a sample",
    "prediction": "a prediction of the sample",
}


@slots
class SearchPanel(Section):
    """Searches for a generated image of the target class and explains the difference."""

    explain_requested = Signal()

    def __init__(
        self,
        choices: Choices,
        results: Results,
        controller: Controller,
        query: NeighborQuery,
        speeds: Speeds,
    ) -> None:
        super().__init__("Explain", "explain")
        self._speeds = speeds
        self.question = QuestionBox(choices, results, query)
        self._choices, self._results, self._controller = choices, results, controller
        self.target_menu = ui.menu("target_menu", n_characters=6, picked=self._on_target_picked)
        self.tries = ui.spin_box("tries_spin", 1, 10000)
        self.seed = ui.spin_box("seed_spin", 0, 2**31 - 1)
        self.explain_button = ui.button(
            "Explain", "explain_button", clicked=self.explain_requested, primary=True
        )
        self.badge = WrappedLabel("", "search_badge", n_lines=1)
        self.proposals = PictureStrip("proposal")
        self.proposals.picked.connect(self._on_proposal_picked)
        self._search_details = QWidget()
        self._search_details.setLayout(
            WrappingRow(caption("Tries"), self.tries, 1, ui.muted("Seed"), self.seed, 1)
        )
        self.settings_button = ui.disclosure_button(
            "", "search_settings_button", self._search_details
        )
        self._target_label = ui.muted("Target")
        target_row = ui.row(self._target_label, self.target_menu, 1, self.settings_button)
        search_row = ui.row(self.explain_button, self.badge, 1, spacing=8)
        search_row.setAlignment(self.badge, Qt.AlignmentFlag.AlignVCenter)
        self.add(
            self.question,
            target_row,
            self._search_details,
            search_row,
            self.proposals,
        )
        bind(choices, "settings.search.max_tries", self.tries)
        bind(choices, "settings.seed", self.seed)
        ui.connect(self._show_targets, results.events.loaded_classifier,
                results.events.prediction, results.events.target,
                results.events.loaded_generator, choices.events.settings)  # fmt: skip
        ui.connect(self._show_badge, results.events.pair, results.events.partial_pair)
        results.events.pair.connect(self._show_proposals)
        ui.connect(self._show_ready, choices.events.generator, results.events.loaded_generator,
                results.events.loaded_classifier, results.events.sample,
                results.events.prediction, controller.running_changed,
                choices.events.settings, speeds.changed)  # fmt: skip
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
        ui.fill_menu(self.target_menu, {None: default, **{name: name for name in names}})
        target = self._results.target  # found after a new classifier is set
        has_target = target is not None and target < len(names)
        ui.choose_entry(self.target_menu, names[target or 0] if has_target else None)
        self._show_ready()

    def _automatic_target(self, prediction: Prediction) -> str:
        classifier = self._results.loaded_classifier
        if classifier is None:
            return ""
        settings = replace(self._choices.settings, targets=AUTO)
        question = prediction.choose_question(settings, classifier, self._results.loaded_generator)
        name = classifier.class_names[question.targets[0]] if question.targets else "none"
        if not prediction.is_mispredicted:
            return f"{name} (second)"
        return f"{name} ({'label' if question.basis == 'prediction' else 'prediction'})"

    def _show_ready(self) -> None:
        missing = self._controller.missing_for("searched_pair")
        busy = "searched_pair" in self._controller.running
        recipe = self._choices.generator
        if recipe is None:  # an infill takes the place of the generator
            missing = tuple(name for name in missing if name != "loaded_generator")
        text = "Explain" if recipe else "Explain without a generator"
        self.explain_button.setText(estimated(text, self._speeds.explanation()))
        is_search = recipe is not None and not isinstance(recipe, InfillRecipe)
        for widget in (self._target_label, self.target_menu, self.settings_button):
            widget.setVisible(is_search)
        self._search_details.setVisible(is_search and self.settings_button.isChecked())
        self.explain_button.setEnabled(not missing and not busy)
        if missing:
            needed = ", ".join(dict.fromkeys(MISSING[name] for name in missing))
            self.explain_button.setToolTip(plain(f"Explaining requires {needed}."))
        elif recipe is None:
            self.explain_button.setToolTip(plain(TOOLTIPS["explain_without_generator_button"]))
        else:
            self.explain_button.setToolTip("Generate a counterfactual image and explain it (U).")

    def _show_proposals(self) -> None:
        pair, classifier = self._results.pair, self._results.loaded_classifier
        proposals = pair.proposals if pair is not None else ()
        if pair is None or classifier is None or len(proposals) < 2:
            self.proposals.show_pictures("", (), ())
            return
        name = pair.class_name(pair.target)
        chosen = [proposal.generated is pair.generated for proposal in proposals].index(True)
        images = [proposal.generated for proposal in proposals]
        difference = Difference(pair.query.image, tuple(images))
        tooltips = [
            f"Proposal {number} of the best {len(proposals)} of {pair.n_tried}: "
            f"p({name}) {float(proposal.generated_prediction[pair.target]):.2f}"
            + ("" if proposal.switches else ", does not switch to the target class")
            + f". {difference.describe(number - 1)} Click to explain it."
            for number, proposal in enumerate(proposals, 1)
        ]
        self.proposals.show_pictures("", images, tooltips, chosen, difference.draw)

    def _show_badge(self) -> None:
        pair = self._results.pair or self._results.partial_pair
        classifier = self._results.loaded_classifier
        text, tone = "", "note"
        if pair is not None and classifier is not None:
            name = pair.class_name(pair.scored_class)
            probability = float(pair.generated_prediction[pair.scored_class])
            tries = "1 try" if pair.n_tried == 1 else f"{pair.n_tried} tries"
            if pair.infill:
                text, tone = describe_infill(pair, name, probability)
            elif pair.switches:
                text, tone = f"✓ switches to {name}: {probability:.2f} ({tries})", "good"
            elif self._results.pair is None:
                text = f"best so far for {name}: {probability:.2f}"
            else:
                text = f"✗ does not switch to {name}: best {probability:.2f} in {tries}"
                tone = "bad"
        self.set_summary(text, folded_only=True)
        if pair is not None and text:
            from napari_quac.networks.generator import describe_center_slice

            text = f"{text}\n{describe_center_slice(pair.origin)}".strip()
        self.badge.setText(text, tone)
