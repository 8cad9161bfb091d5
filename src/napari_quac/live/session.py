"""State and actions of the dock without a window, for tests and scripts as well."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_quac import large_files
from napari_quac.errors import QuacError
from napari_quac.explain.methods import METHODS
from napari_quac.live.choices import Choices, ReadySamples, ReportFolder
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.edit_history import EditHistory
from napari_quac.live.explanation_cache import ExplanationCache
from napari_quac.live.failure import Note, failure
from napari_quac.live.lane import Deliver, Lane
from napari_quac.live.neighbor_query import NeighborQuery
from napari_quac.live.network_opener import NetworkOpener, TrustedNetworks
from napari_quac.live.next_samples import NextSamples
from napari_quac.live.path_kind import kind_of_path
from napari_quac.live.plans import OpenedPlan, apply_plan, open_plan, plan_from, unsupported_by_dock
from napari_quac.live.prediction import next_misprediction
from napari_quac.live.recall import ExplanationKeeper
from napari_quac.live.results import Results
from napari_quac.live.sample_order import step_sample
from napari_quac.live.speeds import Speeds
from napari_quac.live.without_generator import WithoutGenerator

if TYPE_CHECKING:
    from napari_quac.example import Example
    from napari_quac.live.closed_session import ClosedSession


class Session:
    """Choices, results and the actions of keys and buttons.

    Parameters
    ----------
    deliver : callable
        Runs a function without arguments in this thread, now or later; see
        :class:`~napari_quac.live.lane.Lane`.
    prepare_lane : callable, optional
        Runs first in the thread of the lane.
    choices : Choices, optional
        Initial choices.
    cache : ExplanationCache, optional
        Explanations that come back when their sample is selected again.
    previous : ClosedSession, optional
        Session to continue, in place of ``choices`` and ``cache``; call
        :meth:`~.controller.Controller.announce` after all listeners are connected.

    Attributes
    ----------
    networks : NetworkOpener
        A window replaces it by one that asks the user.
    """

    noted = Signal(Note)
    """A message for the status line."""
    requested = Signal()
    """The user has asked for something else, so that earlier failures are obsolete."""
    explanation_requested = Signal()
    """The user has asked for an explanation of the selected sample."""
    explained = Signal()
    """All chosen methods have explained the pair, or failed."""
    plan_opened = Signal(Path, Path)
    """A plan was opened; its output folder and its file."""
    layer_requested = Signal(str, Path)
    """A ``"volume"`` or a ``"table"`` of points is to be opened, which needs a window."""

    def __init__(
        self,
        deliver: Deliver,
        prepare_lane: Callable[[], None] | None = None,
        choices: Choices | None = None,
        cache: ExplanationCache | None = None,
        previous: ClosedSession | None = None,
    ) -> None:
        if previous is not None:
            self.choices, self.results = previous.new_choices(), previous.new_results()
        else:
            self.choices = choices or Choices()
            self.results = Results(explanation_cache=cache or ExplanationCache())
        self.lane = Lane(deliver, prepare_lane, after=previous.lane if previous else None)
        self.controller = Controller(self.choices, self.results, self.lane, previous)
        self.history = EditHistory(self.choices)
        self.neighbor_query = NeighborQuery(self.choices, self.results)
        self.without_generator = WithoutGenerator(self.choices, self.results, self.controller)
        self.keeper = ExplanationKeeper(self.choices, self.results, self.lane)
        self.speeds = Speeds(self.choices, self.results, self.controller)
        self.next_samples = NextSamples(self.choices, self.results, self.controller)
        self.keeper.failed.connect(lambda text: self.noted.emit(Note(text)))
        self.networks: NetworkOpener = TrustedNetworks(self.controller)
        self._sample_to_explain: int | None = None
        self._connections = Connections(
            (self.results.events.prediction, self._on_prediction),
            (self.results.events.explanations, self._on_explanations),
            (self.results.events.report, self._on_report),
        )

    def close(self, timeout: float = 10.0) -> bool:
        """Disconnect all signals and end the thread of the lane; see :meth:`Lane.close`."""
        self._connections.close()
        for signal in (
            self.noted,
            self.requested,
            self.explanation_requested,
            self.explained,
            self.plan_opened,
            self.layer_requested,
        ):
            signal.disconnect()
        self.neighbor_query.close()
        self.without_generator.close()
        self.speeds.close()
        self.next_samples.close()
        self.keeper.close()
        is_closed = self.controller.close(timeout)
        # psygnal holds all callbacks for good if one of them refers to choices or results
        for events in (self.choices.events, self.results.events):
            events.disconnect()
            for changed in events.signals.values():
                changed.disconnect()
        return is_closed

    @property
    def cache(self) -> ExplanationCache:
        """Explanations that come back when their sample is selected again."""
        cache = self.results.explanation_cache
        assert cache is not None  # noqa: S101 - set in the beginning
        return cache

    @property
    def next_step(self) -> str:
        """One sentence on what is needed next."""
        results = self.results
        if results.loaded_classifier is None:
            return "Choose a classifier, or try the example."
        if results.loaded_samples is None:
            return "Choose samples: a folder or a layer."
        if results.loaded_generator is None:
            return "Choose a generator, or explain without one."
        return f"Ready, on {results.loaded_classifier.device}"

    def perform(self, action: str) -> None:
        """Perform an action that a message suggests; see :data:`~.failure.ACTIONS`."""
        settings = self.choices.settings
        if action == "explain":
            self.explain()
        elif action == "predict_all":
            self.requested.emit()
            self.controller.request("predictions")
        elif action == "resume":
            self.controller.resume()
        elif action == large_files.ACTION:
            self.controller.read_large()
        elif action == "other_question":
            from napari_quac.explain.question import resolve_source_basis

            generator = self.results.loaded_generator
            basis = resolve_source_basis(settings.source_basis, generator)
            other = "label" if basis == "prediction" else "prediction"
            self.choices.update_settings(source_basis=other)
            self.explain()

    # edits

    def undo(self) -> None:
        """Undo the last edit of names, values, filter or threshold."""
        self._note_edit(self.history.undo)

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        self._note_edit(self.history.redo)

    def _note_edit(self, move: Callable[[], str]) -> None:
        """Undo or redo an edit; a classifier that is loaded again does not end the note."""
        before = self.choices.classifier
        text = move()
        self.noted.emit(Note(text, is_lasting=self.choices.classifier is not before))

    # samples

    def select_sample(self, index: int, explain: bool = False) -> None:
        """Select a sample, and explain it once it has been predicted.

        Parameters
        ----------
        index : int
            Position in the dataset.
        explain : bool
            Whether to explain it.
        """
        self._sample_to_explain = index if explain else None
        is_selected = index == self.choices.sample_index
        self.choices.sample_index = index
        if is_selected and "sample" not in self.controller.running:
            self._on_prediction()

    def step(self, by: int) -> None:
        """Select the sample some rows further, in the order of the table."""
        step_sample(self.choices, self.results, by)

    def next_misprediction(self) -> None:
        """Select the next misprediction among the samples in view."""
        dataset, classifier = self.results.loaded_samples, self.results.loaded_classifier
        if dataset is None or classifier is None:
            self.noted.emit(Note("Mispredictions need a classifier and samples with labels."))
            return
        order, table = self.results.order, self.results.predictions
        rows = order.indices.tolist() if order is not None else None
        start = self.choices.sample_index

        def select(index: int | None) -> None:
            if index is None:
                scope = "in view " if self.choices.filter_text else ""
                self.noted.emit(Note(f"No sample {scope}is mispredicted."))
            else:
                self.choices.sample_index = index
                self.noted.emit(Note(f"Sample {index + 1} is mispredicted."))

        self.requested.emit()
        search = partial(next_misprediction, dataset, classifier, start, rows, table)
        self.controller.run(
            "scan", "searching for mispredictions", search, select,
            inputs=("loaded_samples", "loaded_classifier", "filter_text", "sample_index"),
        )  # fmt: skip

    # explanations

    def explain(self) -> None:
        """Search for a generated image, or without a generator use an infill, and explain it."""
        self.requested.emit()
        if self._waits_for_prediction:
            self._sample_to_explain = self.choices.sample_index
            return
        self.explanation_requested.emit()
        if self.without_generator.is_offered:
            self.without_generator.explain()
        elif self.neighbor_query.is_needed:
            self.explain_neighbor(0)
        else:
            self.controller.request("searched_pair")

    def measure(self) -> None:
        """Explain the selected sample if it is in view, else the first sample in view."""
        order = self.results.order
        if order is None or not len(order) or order.row_of(self.choices.sample_index) is not None:
            self.explain()
            return
        self.requested.emit()
        self.select_sample(int(order.indices[0]), explain=True)

    @property
    def _waits_for_prediction(self) -> bool:
        """True if the selected sample was not predicted yet, as after two quick keys."""
        results = self.results
        if results.loaded_samples is None or results.loaded_classifier is None:
            return False
        is_running = any(slot in self.controller.running for slot in ("sample", "prediction"))
        return is_running or (self.choices.sample_index is not None and results.prediction is None)

    def explain_neighbor(self, number: int) -> None:
        """Ask a neighbor of the misprediction what makes it look like the predicted class."""
        if self.neighbor_query.go_to(number):
            self._sample_to_explain = self.choices.sample_index
        else:
            text = (
                "This question is about a correctly classified neighbor of the sample. Predict all "
                "samples first to find the neighbors."
            )
            self.noted.emit(Note(text, "predict_all"))

    def pick_neighbor(self, number: int) -> None:
        """Explain a neighbor if the question is about neighbors, else select it."""
        neighbors = self.results.neighbors
        if self.choices.settings.source_basis == "label":
            self.explain_neighbor(number)
        elif neighbors is not None:
            self.choices.sample_index = neighbors.indices[number]

    def show_method(self, name: str) -> None:
        """Display a method, which is added to the chosen ones if it is not among them."""
        methods = self.choices.settings.methods
        if name not in methods:
            self.choices.update_settings(
                methods=[other for other in METHODS if other in methods or other == name]
            )
        self.choices.shown_method = name

    def compare_methods(self, n_samples: int = 0) -> None:
        """Compare all methods on the displayed pair, or on a number of samples."""
        self.requested.emit()
        self.choices.compared_samples = n_samples
        self.controller.request("comparison")

    @property
    def is_explained(self) -> bool:
        """True if every chosen method has explained the pair, or failed."""
        explanations = self.results.explanations
        return explanations is not None and (explanations.is_restored or explanations.is_complete)

    # files

    def open_path(self, path: Path) -> None:
        """Open a plan, a network, samples, generated images, explanations, a volume or a table."""
        self.requested.emit()
        kind = kind_of_path(path)
        if kind == "plan":
            self.open_plan(path)
        elif kind == "explanations":
            self.open_explanations(path)
        elif kind == "samples":
            self.open_samples(path)
        elif kind in ("volume", "table"):
            self.layer_requested.emit(kind, path)
        else:
            self.networks.open_path(path)

    def open_samples(self, folder: Path) -> None:
        """Use the images of a folder, or of a stack with labels, as samples."""
        from napari_quac.data.image_sources import recipe_of

        self.choices.samples = recipe_of(folder.expanduser())

    def open_explanations(self, folder: Path) -> None:
        """Show the explanations of a folder; nothing is computed."""
        self.requested.emit()
        self.choices.report_source = ReportFolder(folder)

    def save_plan(self, path: Path, output: Path) -> None:
        """Write the choices as a plan for ``napari-quac run``.

        Parameters
        ----------
        path : Path
            File of the plan.
        output : Path
            Folder for the results of the run.
        """
        self.requested.emit()
        try:
            plan = plan_from(self.choices, self.results, output)
            plan.write(path)
        except QuacError as error:
            self.controller.failed.emit(failure("plan", "saving the plan", error))
            return
        number = f"{len(plan.only):,}".replace(",", "\u2009")
        scope = f"the {number} samples in view" if plan.only else "all samples"
        self.noted.emit(Note(f"Saved '{path.name}', about {scope}."))

    def open_plan(self, path: Path) -> None:
        """Use samples, networks and settings of a plan."""
        self.requested.emit()

        def use_plan(plan: OpenedPlan) -> None:
            self.networks.use_network(plan.classifier)
            self.networks.use_network(plan.generator)
            apply_plan(plan.plan, self.choices, tuple(plan.plan.classifier.class_names or ()))
            self.plan_opened.emit(plan.plan.output, path)
            self.noted.emit(Note(unsupported_by_dock(plan.plan), is_lasting=True))

        def use(plan: OpenedPlan) -> None:
            origin = f"the plan '{path.name}'"
            self.networks.with_consent(origin, plan.programs, partial(use_plan, plan))

        self.controller.run("plan", f"opening '{path.name}'", partial(open_plan, path), use)

    def open_example(self) -> None:
        """Open the patches and networks of the example."""
        self.requested.emit()

        def load() -> Example:
            from napari_quac.example import load_example

            return load_example()

        def use(example: Example) -> None:
            self.use_example_networks(example)
            self.choices.samples = ReadySamples(example.dataset)

        self.controller.run("example", "opening the example", load, use)

    def use_example_networks(self, example: Example) -> None:
        """Use the classifier and the generator of the example."""
        from napari_quac.generators.stargan.recipe import StarGANRecipe
        from napari_quac.networks.classifier_recipe import ClassifierRecipe

        self.choices.classifier = ClassifierRecipe(example.classifier_path)
        self.choices.generator = StarGANRecipe(example.generator_path)

    # events of the results

    def _on_prediction(self) -> None:
        """Explain a sample that was selected for it, as soon as it has been predicted."""
        prediction, index = self.results.prediction, self._sample_to_explain
        if index is None or prediction is None or self.results.sample is not prediction.sample:
            return
        self._sample_to_explain = None
        if index == self.choices.sample_index:
            self.explain()

    def _on_explanations(self) -> None:
        explanations = self.results.explanations
        if explanations is None or not self.is_explained:
            return
        if explanations.failures:
            name, error = next(iter(explanations.failures.items()))
            self.controller.failed.emit(failure("explanations", f"explaining by {name}", error))
        self.explained.emit()

    def _on_report(self) -> None:
        report: Any = self.results.report
        if report is not None and report.report.notes:
            self.noted.emit(Note(" ".join(report.report.notes), is_lasting=True))
