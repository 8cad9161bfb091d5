"""The dock: builds state, lane, layers and panels for one viewer, and ends them together."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QSettings, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from qtpy.QtWidgets import QMenu, QScrollArea, QVBoxLayout, QWidget

from napari_quac.errors import QuacError
from napari_quac.explain.methods import METHODS
from napari_quac.generators.opening import is_generator_folder
from napari_quac.gui.bottom_docks import BottomDocks
from napari_quac.gui.compare import Comparison
from napari_quac.gui.comparison_dock import ComparisonDock
from napari_quac.gui.curve_dock import CurveDock
from napari_quac.gui.examples import open_example, open_example_volume
from napari_quac.gui.keys import KEYS, bind_keys, unbind_keys
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.main_thread import MainThread
from napari_quac.gui.palette import palette_of, style_sheet
from napari_quac.gui.panels.exaggeration_panel import ExaggerationPanel
from napari_quac.gui.panels.fit_panel import FitPanel
from napari_quac.gui.panels.methods_panel import MethodsPanel
from napari_quac.gui.panels.morphometry_panel import MorphometryPanel
from napari_quac.gui.panels.networks_panel import NetworksPanel
from napari_quac.gui.panels.points_panel import PointsPanel
from napari_quac.gui.panels.prediction_panel import PredictionPanel
from napari_quac.gui.panels.regions_panel import RegionsPanel
from napari_quac.gui.panels.samples_panel import SamplesPanel
from napari_quac.gui.panels.search_panel import SearchPanel
from napari_quac.gui.panels.start_panel import StartPanel
from napari_quac.gui.panels.status_panel import StatusPanel
from napari_quac.gui.panels.threshold_panel import ThresholdPanel
from napari_quac.gui.panels.train_panel import TrainPanel
from napari_quac.gui.panels.verdict_panel import VerdictPanel
from napari_quac.gui.panels.warp_panel import WarpPanel
from napari_quac.gui.plugin_settings import read_defaults
from napari_quac.gui.points_sync import PointsSync
from napari_quac.gui.region_view import RegionView
from napari_quac.gui.samples.samples_dock import SamplesDock
from napari_quac.gui.text import grouped
from napari_quac.gui.warp_layers import WarpLayers
from napari_quac.gui.window_watch import WindowWatch
from napari_quac.live.choices import DEFAULT_METHODS, Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Lane
from napari_quac.live.mispredictions import next_misprediction
from napari_quac.live.neighbour_query import NeighbourQuery
from napari_quac.live.plans import OpenedPlan, apply_plan, not_shown, open_plan, plan_of, write_plan
from napari_quac.live.results import Results
from napari_quac.live.training import Training
from napari_quac.reports.opening import holds_explanations

DOCK_WIDTH = 356
LANE_NICENESS = 10
AFTER_THE_LAYERS_MS = 30  # each is drawn in a turn of the event loop of its own
AFTER_THE_VERDICT_MS = 60


def give_way_to_the_window() -> None:
    """Let this thread wait when drawing needs the processor, where the system can do that.

    Measured on two cores without a GPU: the longest gap of the event loop during a search and an
    explanation falls from 150-290 to 90 ms, and the work takes as long as before.
    """
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LANE_NICENESS)


def prepare_lane() -> None:
    """Import torch and leave one core to the window; runs in the lane's thread."""
    import torch

    give_way_to_the_window()
    # OpenMP counts threads for each thread that calls it
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


class QuacDock(QWidget):
    """The widget that the plugin contributes.

    Parameters
    ----------
    napari_viewer : napari viewer
    """

    explained = Signal()
    """All chosen methods have explained a pair."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("quac_dock")
        self._viewer = napari_viewer
        self._is_closed = False
        self._curves_later = QTimer(self)
        self._curves_later.setSingleShot(True)
        self._curves_later.timeout.connect(self._show_explanations)
        self._all_later = QTimer(self)
        self._all_later.setSingleShot(True)
        self._all_later.timeout.connect(self._on_all_explained)
        self._look_there = QTimer(self)
        self._look_there.setSingleShot(True)
        self._look_there.setInterval(AFTER_THE_LAYERS_MS)
        self._look_there.timeout.connect(self._show_ways_out)
        self._was_docked = False
        self._explain_when_predicted: int | None = None
        self._seen_report: object = None
        self._first_curve_is_due = False
        self._window_watch = WindowWatch(self, DOCK_WIDTH)
        self._main_thread = MainThread(self)
        self.defaults = read_defaults()
        self.choices = self._first_choices()
        self.results = Results()
        self.lane = Lane(self._main_thread.call, prepare_lane)
        self.controller = Controller(self.choices, self.results, self.lane)
        self.training = Training(self._main_thread.call, prepare_lane)
        self.layers = LayerSync(napari_viewer, self.choices, self.results, self)
        self.warp_layers = WarpLayers(napari_viewer, self.results, self)
        self.points = PointsSync(napari_viewer, self.choices, self.results, self.layers, self)
        self.comparison = Comparison(napari_viewer, self.layers, self)
        self.settings = QSettings("napari-quac", "napari-quac")
        self._build_panels()
        self._connect()
        self.setAcceptDrops(True)
        self.all_samples = SamplesDock(
            self.choices, self.results, self.controller, self.defaults.store_folder
        )
        self.all_samples.letter_pressed.connect(self._on_letter)
        self.all_samples.measure_requested.connect(self.measure)
        self.all_samples.many.begun.connect(self.status.forget_failure)
        self.all_samples.open_requested.connect(self.open_explanations)
        self.all_samples.dropped.connect(self.open_path)
        card = self.all_samples.many_card
        card.save_plan_requested.connect(self.save_plan)
        card.open_plan_requested.connect(self.open_plan)
        self.curve_dock = CurveDock(self.choices, self.results)
        self.methods_compared = ComparisonDock(self.choices, self.results)
        self.methods.compare_requested.connect(self.compare_methods)
        self.methods_compared.pair_requested.connect(self.compare_methods)
        self.methods_compared.samples_requested.connect(self.compare_methods)
        self.methods_compared.method_picked.connect(self._on_compared_method_picked)
        self.curve_dock.position_picked.connect(self.threshold.pick)
        self.curve_dock.method_picked.connect(self._on_method_picked)
        self.bottom_docks = BottomDocks(
            napari_viewer, self.all_samples, self.curve_dock, self.methods_compared, self
        )
        self.bottom_docks.changed.connect(self._show_missing)
        self._on_theme()
        self.bottom_docks.show()
        self.results.events.loaded_samples.connect(self._raise_samples)
        bind_keys(napari_viewer, self)
        # the last resort, without a reference to this object, should nobody close it in order
        self.destroyed.connect(
            partial(_end, (self._main_thread.close, self.lane.close, self.training.close))
        )
        self._say_what_is_next()

    def _first_choices(self) -> Choices:
        """Return what napari's preferences say."""
        defaults = self.defaults
        methods = defaults.methods or DEFAULT_METHODS
        return Choices(
            device=defaults.device, max_tries=defaults.max_tries, seed=defaults.seed,
            methods=methods, shown_method=methods[0], predict_up_to=defaults.predict_up_to,
        )  # fmt: skip

    def sizeHint(self) -> QSize:
        """Return the width that is enough for everything."""
        return QSize(DOCK_WIDTH, 640)

    def minimumSizeHint(self) -> QSize:
        """Return a size that leaves room for the canvas."""
        return QSize(320, 240)

    # what keys and others can call

    def explain(self) -> None:
        """Search a generated image for the selected sample and explain it."""
        self.status.forget_failure()
        self.choices.threshold = None
        if self.neighbour_query.is_needed:
            self._explain_neighbour(0)
        else:
            self.controller.ask("pair")

    def measure(self) -> None:
        """Explain the selected sample if it is in view, else the first that is."""
        order = self.results.order
        if order is None or not len(order) or order.row_of(self.choices.sample_index) is not None:
            self.explain()
            return
        self.status.forget_failure()
        self.choices.threshold = None
        self._explain_when_predicted = int(order.indices[0])
        self.choices.sample_index = int(order.indices[0])

    def _explain_neighbour(self, number: int) -> None:
        """Ask the second question about a misprediction, of a neighbour of it."""
        if not self.neighbour_query.go_to(number):
            self.status.show_note(
                "That question is asked of a correctly classified neighbour. Predict all samples "
                "first, so that it can be found."
            )
            return
        self._explain_when_predicted = self.choices.sample_index

    def _on_neighbour_picked(self, number: int) -> None:
        if self.choices.source_basis == "label":
            self._explain_neighbour(number)
        else:
            neighbours = self.results.neighbours
            if neighbours is not None:
                self.choices.sample_index = neighbours.indices[number]

    def _on_predicted(self) -> None:
        """Explain a sample that was selected to be explained, once it is there."""
        prediction, wanted = self.results.prediction, self._explain_when_predicted
        if wanted is None or prediction is None or self.results.sample is not prediction.sample:
            return
        self._explain_when_predicted = None
        if wanted == self.choices.sample_index:
            QTimer.singleShot(0, self._ask_for_pair)

    def _on_generator_made(self, path: Path, kind: str) -> None:
        """Put what was made where it is used: an explainer is a path, all else a generator."""
        if kind == "exaggeration":
            self.exaggeration.use_explainer(path)
        else:
            self.networks.open_path(path, "generator")

    def _on_point_picked(self, index: int) -> None:
        """Explain what was clicked, if that was asked for."""
        if not self.points_panel.explains_on_click or self.results.loaded_generator is None:
            return
        prediction = self.results.prediction
        self.choices.threshold = None
        self._explain_when_predicted = index
        if prediction is not None and "sample" not in self.controller.running:
            self._on_predicted()

    def _ask_for_pair(self) -> None:
        if not self._is_closed:
            self.controller.ask("pair")

    def try_example(self) -> None:
        """Open the example with its networks."""
        self.status.forget_failure()
        open_example(self.choices, self.controller, self.networks)

    def try_example_volume(self) -> None:
        """Open the example's volume with its synapses as points, and its networks."""
        self.status.forget_failure()
        open_example_volume(self._viewer, self.controller, self.networks, self.points_panel)

    def open_path(self, path: Path) -> None:
        """Open a network, or a folder of samples, of generated images or of explanations."""
        self.status.forget_failure()
        if path.suffix in (".yaml", ".yml"):
            self.open_plan(path)
        elif holds_explanations(path):
            self.open_explanations(path)
        elif path.is_dir() and not is_generator_folder(path):
            self.samples.open_folder(path)
        else:
            self.networks.open_path(path)

    def open_explanations(self, folder: Path) -> None:
        """Show the explanations of a folder, without computing anything."""
        self.status.forget_failure()
        self.choices.report_folder = None
        self.choices.report_folder = folder

    def save_plan(self, path: Path) -> None:
        """Write what is chosen as a plan for ``napari-quac run``."""
        self.status.forget_failure()
        output = Path(self.all_samples.many_card.folder.text()).expanduser()
        try:
            plan = plan_of(self.choices, self.results, output)
            write_plan(plan, path)
        except QuacError as error:
            self.controller.failed.emit(failure("plan", "saving the plan", error))
            return
        about = f"the {grouped(len(plan.only))} samples in view" if plan.only else "all samples"
        self.status.show_note(f"Saved '{path.name}', about {about}.")

    def open_plan(self, path: Path) -> None:
        """Take samples, networks and settings of a plan."""
        self.status.forget_failure()

        def opened(found: OpenedPlan) -> None:
            names = found.plan.classifier.class_names or ()
            self.networks.use_network(found.classifier)
            self.networks.use_network(found.generator)
            apply_plan(found.plan, self.choices, tuple(names))
            self.all_samples.many_card.folder.setText(str(found.plan.output))
            self.status.show_note(not_shown(found.plan))

        self.controller.run("plan", f"opening '{path.name}'", lambda: open_plan(path), opened)

    def _on_report(self) -> None:
        """Take the samples of a report that was opened, if others or none are there."""
        opened, dataset = self.results.report, self.results.loaded_samples
        if opened is None or opened is self._seen_report:
            return
        self._seen_report = opened
        notes = " ".join(opened.report.notes)
        if notes:
            self.status.show_note(notes)
        if dataset is not None and any(
            dataset.sample_id(index) in opened.by_sample for index in range(len(dataset))
        ):
            return
        from napari_quac.reports.report_samples import ReportSamples

        try:
            self.choices.samples = ReadySamples(ReportSamples(opened.report))
        except QuacError as error:
            self.controller.failed.emit(failure("report", "opening the explanations", error))

    def next_misprediction(self) -> None:
        """Go to the next sample that is predicted wrongly."""
        dataset, classifier = self.results.loaded_samples, self.results.loaded_classifier
        if dataset is None or classifier is None:
            self.status.show_note("Mispredictions need a classifier and samples with labels.")
            return
        order, table = self.results.order, self.results.predictions
        rows = order.indices.tolist() if order is not None else None
        after = self.choices.sample_index

        def found(index: int | None) -> None:
            if index is None:
                filtered = " of those in view" if self.choices.filter_text else ""
                self.status.show_note(f"No sample{filtered} is predicted wrongly.")
            else:
                self.choices.sample_index = index
                self.status.show_note(f"Sample {index + 1} is predicted wrongly.")

        self.status.forget_failure()
        self.controller.run(
            "scan",
            "looking for mispredictions",
            lambda: next_misprediction(dataset, classifier, after, rows, table),
            found,
        )

    def previous_sample(self) -> None:
        """Go to the previous sample."""
        self.samples.step(-1)

    def next_sample(self) -> None:
        """Go to the next sample."""
        self.samples.step(1)

    def go_to_optimum(self) -> None:
        """Set the threshold to the optimum."""
        self.threshold.go_to_optimum()

    def larger_mask(self) -> None:
        """Take the next larger mask."""
        self.threshold.step(-1)

    def smaller_mask(self) -> None:
        """Take the next smaller mask."""
        self.threshold.step(1)

    def blink(self, held: bool) -> None:
        """Show the other image while a key or button is held."""
        if held:
            self.comparison.hold()
        else:
            self.comparison.release()

    def toggle_side_by_side(self) -> None:
        """Show all images side by side, or one above the other."""
        self.comparison.set_side_by_side(not self.comparison.is_side_by_side)

    def show_layers(self) -> None:
        """Bring back layers and curve that were closed."""
        self.layers.show_layers()
        self.bottom_docks.show()
        self._show_missing()

    def compare_methods(self, n_samples: int = 0) -> None:
        """Compare all methods on the pair on show, or over so many samples."""
        self.status.forget_failure()
        self.choices.compared_samples = int(n_samples)
        self.bottom_docks.show_comparison()
        self.controller.ask("comparison")

    def _on_compared_method_picked(self, name: str) -> None:
        """Show a method of the comparison, which may not be among those chosen so far."""
        if name == self.choices.shown_method:
            return
        self.choices.threshold = None
        if name not in self.choices.methods:
            self.choices.methods = tuple(
                method for method in METHODS if method in self.choices.methods or method == name
            )
        self.choices.shown_method = name

    def _raise_samples(self) -> None:
        """Show the table of new samples, until the first one is explained."""
        if self.results.loaded_samples is not None and self.results.explanations is None:
            self.bottom_docks.raise_samples()
            self._first_curve_is_due = True

    def _is_asked_here(self) -> bool:
        """Whether a single sample was asked about, and not from the dock of all samples."""
        explanations = self.results.explanations
        is_restored = explanations is not None and explanations.restored_for is not None
        return self.all_samples.many_card.isHidden() and not is_restored

    def _show_first_curve(self) -> None:
        """Bring curve and slider into sight, once for each set of samples."""
        self._first_curve_is_due = False
        self.bottom_docks.raise_curve()
        self.scroll.ensureWidgetVisible(self.threshold)

    @property
    def is_closed(self) -> bool:
        """Whether the dock was closed and its thread has ended."""
        return self._is_closed

    def shut_down(self, window_closes: bool = False) -> None:
        """End the thread and let go of the viewer; the layers stay."""
        if self._is_closed:
            return
        self._is_closed = True
        self._curves_later.stop()
        self._all_later.stop()
        self._look_there.stop()
        self._main_thread.close()
        self.training.close()
        self.controller.close()
        viewer_events = self._viewer.events.theme
        viewer_events.disconnect(self._on_theme)
        self.samples.close_panel()
        self.points_panel.close_panel()
        self.points.close()
        self.neighbour_query.close()
        self.region_view.close(window_closes)
        self.regions.close_panel()
        self.morphometry.close_panel()
        self.all_samples.close_dock()
        if not window_closes:
            self.comparison.close()
            unbind_keys(self._viewer)
        self.layers.close()
        self.warp_layers.close()
        self.deformation.close_panel()
        self.exaggeration.close_panel()
        self._window_watch.end(window_closes)
        self.bottom_docks.close(window_closes)

    def _on_window_closed(self) -> None:
        self.shut_down(window_closes=True)

    # Qt

    def event(self, event: QEvent) -> bool:
        """Notice that the dock was taken out of the window, which is how napari closes it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                QTimer.singleShot(0, self._window_watch.watch)
            elif self._was_docked:
                self.shut_down()
            self._was_docked = self._was_docked or self.parent() is not None
        return bool(super().event(event))

    def showEvent(self, event: QShowEvent) -> None:
        """Notice the window, to see it close."""
        super().showEvent(event)
        self._window_watch.watch()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped, as what it is."""
        event.acceptProposedAction()
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.open_path(Path(url.toLocalFile()))

    def _build_panels(self) -> None:
        choices, results, controller = self.choices, self.results, self.controller
        self.status = StatusPanel(controller)
        self.start = StartPanel()
        self.networks = NetworksPanel(choices, results, controller, self.settings)
        self.samples = SamplesPanel(self._viewer, self.layers.layers, choices, results, controller)
        self.points_panel = PointsPanel(
            self._viewer, self.points, self.layers.layers, choices, results, controller
        )
        self.fit = FitPanel(choices, results, controller)
        self.fit.explained.connect(self._on_ways_out)
        self.train = TrainPanel(choices, results, self.training)
        self.neighbour_query = NeighbourQuery(choices, results)
        self.search = SearchPanel(choices, results, controller, self.neighbour_query)
        self.threshold = ThresholdPanel(choices, results)
        self.regions = RegionsPanel(results, controller)
        self.region_view = RegionView(self._viewer, self.layers, self.regions)
        self.morphometry = MorphometryPanel(
            self._viewer, self.layers.layers, choices, results, controller
        )
        self.predictions = PredictionPanel(results)
        self.methods = MethodsPanel(choices, results)
        self.verdict = VerdictPanel(choices, results)
        self.deformation = WarpPanel(results, self.warp_layers)
        self.exaggeration = ExaggerationPanel(self._viewer, choices, results, controller)
        body = QWidget()
        body.setObjectName("quac_scroll_body")
        column = QVBoxLayout(body)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(2)
        for panel in (self.start, self.networks, self.samples, self.points_panel, self.fit,
                      self.train, self.search, self.threshold, self.regions, self.predictions,
                      self.methods, self.verdict, self.deformation, self.exaggeration,
                      self.morphometry):  # fmt: skip
            column.addWidget(panel)
        column.addStretch(1)
        self.scroll = QScrollArea()
        self.scroll.setObjectName("quac_scroll")
        self.scroll.setWidgetResizable(True)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.setWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.scroll, 1)
        layout.addWidget(self.status)
        self.setMaximumWidth(380)

    def _connect(self) -> None:
        results = self.results
        self.start.example_requested.connect(self.try_example)
        self.start.open_requested.connect(self._show_open_menu)
        self.search.explain_requested.connect(self.explain)
        self.train.use_wanted.connect(self._on_generator_made)
        self.search.question.neighbour_picked.connect(self._on_neighbour_picked)
        results.events.prediction.connect(self._on_predicted)
        self.points.picked.connect(self._on_point_picked)
        self.points.is_region = lambda position: self.region_view.number_at(position) > 0
        self.start.volume_requested.connect(self.try_example_volume)
        results.events.report.connect(self._on_report)
        self.samples.next_misprediction_requested.connect(self.next_misprediction)
        self.threshold.blink_held.connect(self.blink)
        self.threshold.side_by_side_requested.connect(self.comparison.set_side_by_side)
        self.comparison.side_by_side_changed.connect(self.threshold.show_side_by_side)
        self.comparison.side_by_side_changed.connect(self.region_view.set_side_by_side)
        self.threshold.show_layers_requested.connect(self.show_layers)
        self.threshold.attribution_mode_picked.connect(self.layers.set_attribution_mode)
        self.threshold.mask_style_picked.connect(self.layers.set_mask_style)
        self.layers.layers_changed.connect(self._show_missing)
        self._viewer.events.theme.connect(self._on_theme)
        results.events.explanations.connect(self._on_explanations)
        self._window_watch.closing.connect(self.layers.pause)
        self._window_watch.closed.connect(self._on_window_closed)
        for name in ("loaded_classifier", "loaded_generator", "loaded_samples", "pair"):
            getattr(results.events, name).connect(self._say_what_is_next)

    def _on_theme(self) -> None:
        colors = palette_of(self._viewer.theme)
        sheet = style_sheet(colors)
        self.setStyleSheet(sheet)
        self.methods.set_palette_of(colors)
        self.predictions.set_palette_of(colors)
        self.deformation.set_palette_of(colors)
        self.exaggeration.set_palette_of(colors)
        self.curve_dock.setStyleSheet(sheet)
        self.curve_dock.set_palette_of(colors)
        self.methods_compared.setStyleSheet(sheet)
        self.methods_compared.set_palette_of(colors)
        self.all_samples.setStyleSheet(sheet)
        self.all_samples.set_palette_of(colors)

    def _on_explanations(self) -> None:
        self._curves_later.start(AFTER_THE_LAYERS_MS)

    def _on_ways_out(self, fault: Failure) -> None:
        """Let the card with the ways out be seen, and say what it says nowhere else."""
        self.samples.problem.hide()
        self.status.show_failure(fault)
        self._look_there.start()

    def _show_ways_out(self) -> None:
        self.scroll.ensureWidgetVisible(self.fit)

    def _show_explanations(self) -> None:
        """Draw the curves that have come, after the layers were drawn."""
        self.curve_dock.show_curves()
        if self._has_finished():
            self._all_later.start(AFTER_THE_VERDICT_MS)
            if self._first_curve_is_due and self._is_asked_here():
                self._show_first_curve()

    def _has_finished(self) -> bool:
        """Tell whether every chosen method has explained the pair, or failed."""
        explanations = self.results.explanations
        if explanations is None:
            return False
        finished = {**explanations.by_method, **explanations.failures}
        is_whole = explanations.restored_for is not None
        return is_whole or all(name in finished for name in self.choices.methods)

    def _on_all_explained(self) -> None:
        explanations = self.results.explanations
        if explanations is None or not self._has_finished():
            return  # something was chosen meanwhile, and all begins anew
        if explanations.failures:
            name, error = next(iter(explanations.failures.items()))
            self.controller.failed.emit(_method_failure(name, error))
        if self.choices.shown_method not in explanations.by_method and explanations.by_method:
            self.choices.shown_method = next(iter(explanations.by_method))
        self.start.hide()
        self.explained.emit()

    def _on_letter(self, letter: str) -> None:
        """Do what a key does elsewhere, while the table has the focus."""
        for key in KEYS:
            if key.key == letter and not key.held:
                getattr(self, key.action)()

    def _on_method_picked(self, name: str) -> None:
        if name in self.choices.methods and name != self.choices.shown_method:
            self.choices.threshold = None
            self.choices.shown_method = name

    def _say_what_is_next(self) -> None:
        results = self.results
        self.start.set_done(
            "networks",
            results.loaded_classifier is not None and results.loaded_generator is not None,
        )
        self.start.set_done("samples", results.loaded_samples is not None)
        self.start.set_done("explain", results.pair is not None)
        if results.loaded_classifier is None:
            text = "Choose a classifier, or try the example."
        elif results.loaded_generator is None:
            text = "Choose a generator: a checkpoint, or a folder of generated images."
        elif results.loaded_samples is None:
            text = "Choose samples: a folder or a layer."
        else:
            text = f"Ready, on {results.loaded_classifier.device}"
        self.status.set_idle(text)

    def _show_missing(self) -> None:
        self.threshold.show_missing(bool(self.layers.missing) or self.bottom_docks.is_one_missing)

    def _show_open_menu(self, button: QWidget) -> None:
        menu = QMenu(self)
        menu.setObjectName("open_menu")
        networks, samples = self.networks.fields, self.samples.field
        for text, action in (
            ("Classifier…", networks["classifier"].choose_file),
            ("Generator…", networks["generator"].choose_file),
            ("Folder of generated images…", networks["generator"].choose_folder),
            ("Folder of samples…", samples.choose_folder),
            ("Folder of explanations…", self.all_samples.choose_report),
        ):
            menu.addAction(text, action)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))


def _method_failure(name: str, error: BaseException) -> Any:
    return failure("explanations", f"explaining by {name}", error)


def _end(closers: tuple[Callable[[], Any], ...], *_: object) -> None:
    for close in closers:
        close()
