"""The dock: builds state, lane, layers and panels for one viewer, and ends them together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from napari.settings import get_settings
from qtpy.QtCore import QSettings, QSize, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_quac.gui.closing import keep_closed_session, take_closed_session
from napari_quac.gui.compare import Comparison
from napari_quac.gui.dock_panels import DockPanels
from napari_quac.gui.garbage import ShortCollections
from napari_quac.gui.gradual_style import GradualStyle
from napari_quac.gui.keys import KeyBindings
from napari_quac.gui.keys_overlay import show_keys
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.layout_state import read_layout, restore_layout
from napari_quac.gui.message import Message
from napari_quac.gui.mixed_units import MixedUnits
from napari_quac.gui.opening import Opening
from napari_quac.gui.palette import palette_of, style_sheet
from napari_quac.gui.panels.warp_panel import WarpLayers
from napari_quac.gui.patch_view import PatchView
from napari_quac.gui.plugin_settings import read_defaults, remember_size_axis
from napari_quac.gui.points_sync import PointsSync
from napari_quac.gui.sample_data import open_example_volume
from napari_quac.gui.scale_bar import ScaleBar
from napari_quac.gui.slots import add_report, remove_report, slot, slots
from napari_quac.gui.source_layers import SourceLayers
from napari_quac.gui.stack_slider import StackSlider
from napari_quac.gui.widgets import connect, debouncer
from napari_quac.gui.window import MainThread, WindowWatch
from napari_quac.gui.world_units import load_unit_registry
from napari_quac.live.closed_session import ClosedSession
from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import prepare_lane
from napari_quac.live.session import Session
from napari_quac.live.training import Training

DOCK_WIDTH = 356
BASE_POINTS = 9.0  # font size for which this width was chosen
WIDTH_PER_POINT = 15  # pixels; napari's own docks grow as well and leave less room
AFTER_LAYERS_MS = 30  # each layer is drawn in its own turn of the event loop
AFTER_VERDICT_MS = 60


@slots
class QuacDock(DockPanels):
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
        self.viewer = napari_viewer
        self._is_closed = self._shows_first_curve = False
        self._draw_curves = debouncer(self, AFTER_LAYERS_MS, self._show_curves)
        self._announce_explained = debouncer(self, AFTER_VERDICT_MS, self._on_explained)
        self._scroll_to_preprocessing = debouncer(self, AFTER_LAYERS_MS, self._show_preprocessing)
        self._scroll_to_training = debouncer(
            self, AFTER_LAYERS_MS, lambda: self.stages.reveal(self.train.train_button)
        )
        self._window_watch = WindowWatch(self, self.sizeHint().width())
        self._collections = ShortCollections()
        self._main_thread = MainThread(self)
        self.defaults = read_defaults()
        previous = take_closed_session(napari_viewer)
        choices = self.defaults.to_choices()
        self.session = Session(
            self._main_thread.call, self._prepare_lane(), choices, previous=previous
        )
        self.choices, self.results = self.session.choices, self.session.results
        self.controller, self.lane = self.session.controller, self.session.lane
        self.training = Training(self._main_thread.call, prepare_lane)
        choices, results = self.choices, self.results
        self.layer_stack = LayerStack(napari_viewer, self)
        self.layers = LayerSync(self.layer_stack, napari_viewer, choices, results, self)
        self.patch_view = PatchView(napari_viewer, self.layer_stack, results, self)
        self.warp_layers = WarpLayers(self.layer_stack, results, self)
        self.points = PointsSync(napari_viewer, choices, results, self)
        self.sources = SourceLayers(napari_viewer, results, self)
        self.stack_slider = StackSlider(napari_viewer, choices, results, self)
        self.comparison = Comparison(napari_viewer, self.layers, results, self)
        self.settings = QSettings("napari-quac", "napari-quac")
        remember_size_axis(self.choices, self.settings)
        self.scale_bar = ScaleBar(napari_viewer, self.results)
        self.mixed_units = MixedUnits(napari_viewer, self.results, self)
        self.build_panels()
        for section in (self.regions, self.verdict, self.methods):
            section.set_open(False)
        self._bind_actions()
        self._connect()
        self.setAcceptDrops(True)
        self._style = GradualStyle(self, self.curve_dock, self.methods_compared, self.all_samples)
        self._on_theme()
        self.bottom_docks.show()
        docks = (self, self.all_samples, self.curve_dock, self.methods_compared)
        self.keys = KeyBindings(napari_viewer, self, docks)
        # the last resort, without a reference to this object, if it is destroyed without shut_down
        parts = (self._main_thread, self.lane, self.training, self._collections)
        self.destroyed.connect(slot(partial(_close, parts)))
        self._show_next_step()
        add_report(self._report)
        if previous is not None:
            self.controller.announce()
            restore_layout(self, previous.layout)
            self.all_samples.many_card.folder.setText(previous.layout["output"])

    def _prepare_lane(self) -> Callable[[], None]:
        """Return what the compute thread does first, without a reference to this object."""
        call = self._main_thread.call

        def prepare() -> None:
            load_unit_registry(call)
            prepare_lane()

        return prepare

    def sizeHint(self) -> QSize:
        """Return a width that fits everything."""
        points = palette_of(self.viewer.theme).font_points
        return QSize(DOCK_WIDTH + max(0, round(WIDTH_PER_POINT * (points - BASE_POINTS))), 640)

    def minimumSizeHint(self) -> QSize:
        """Return a size that leaves space for the canvas."""
        return QSize(320, 240)

    def _bind_actions(self) -> None:
        """Name the actions of keys, of other windows and of scripts."""
        session, threshold = self.session, self.threshold
        self.blink, self.next_mode = self.comparison.blink, self.comparison.show_next_mode
        self.explain, self.open_path = session.explain, session.open_path
        self.next_misprediction = session.next_misprediction
        self.back_to_patch = self.patch_view.go_back
        self.previous_sample, self.next_sample = partial(session.step, -1), partial(session.step, 1)
        self.go_to_optimum = threshold.go_to_optimum
        self.larger_mask = partial(threshold.step, -1)
        self.smaller_mask = partial(threshold.step, 1)
        self.undo, self.redo = session.undo, session.redo
        self.type_filter = self.bottom_docks.type_filter
        self.next_section = partial(self.stages.step_section, 1)
        self.previous_section = partial(self.stages.step_section, -1)
        focus = self.stages.focus_stage
        self.show_setup = partial(focus, "setup")
        self.show_explore = partial(focus, "explore", threshold.slider, self.search.explain_button)
        self.show_study = partial(focus, "study")

    @slot
    def try_example(self) -> None:
        """Open the example with its networks."""
        self.session.open_example()
        self.stages.show_stage("explore")
        self.networks.set_open(False)

    @slot
    def try_example_volume(self) -> None:
        """Open the volume of the example with its synapses as points, and its networks."""
        self.status.forget_failure()
        open_example_volume(self.viewer, self.session, self.networks, self.points_panel)

    def toggle_side_by_side(self) -> None:
        """Show all images side by side, or as a stack."""
        self.comparison.set_side_by_side(not self.comparison.is_side_by_side)

    @slot
    def show_keys(self) -> None:
        """Show the table of keys over the window, or close it."""
        show_keys(self, palette_of(self.viewer.theme))

    @slot
    def show_layers(self) -> None:
        """Restore layers and docks that were closed."""
        self.layers.show_layers()
        self.patch_view.restore()
        self.bottom_docks.show()
        self._show_missing()

    @slot
    def compare_methods(self, n_samples: int = 0) -> None:
        """Compare all methods on the displayed pair, or on a number of samples."""
        self.bottom_docks.show_comparison()
        self.session.compare_methods(int(n_samples))

    @slot
    def _save_plan(self, path: Path) -> None:
        self.session.save_plan(path, Path(self.all_samples.many_card.folder.text()).expanduser())

    def _show_plan_output(self, folder: Path) -> None:
        self.all_samples.many_card.folder.setText(str(folder))

    @slot
    def _use_trained_generator(self, path: Path, is_path: bool) -> None:
        """Open a trained generator in *Exaggerate* if it produces paths, else as generator."""
        if is_path:
            self.exaggeration.use_bin_generator(path)
        else:
            self.networks.open_path(path, "generator")

    def _on_point_picked(self, index: int) -> None:
        if self.points_panel.explains_on_click and self.results.loaded_generator is not None:
            self.session.select_sample(index, explain=True)

    def _on_samples_loaded(self) -> None:
        """Show the table of new samples, until the first one is explained."""
        if self.results.loaded_samples is not None and self.results.explanations is None:
            self.bottom_docks.raise_samples()
            self._shows_first_curve = True

    @property
    def scroll(self) -> QScrollArea:
        """Scroll area of the stage in front."""
        return self.stages.area

    @property
    def is_closed(self) -> bool:
        """True if the dock was closed; its threads end after their current step."""
        return self._is_closed

    @slot
    def shut_down(self, window_closes: bool = False) -> None:
        """Stop all work without waiting for it, and release the viewer; the layers stay."""
        if self._is_closed:
            return
        self._is_closed = True
        for step in self._closing_steps(window_closes):
            slot(step)()  # one that fails keeps no other from closing
        remove_report(self._report)

    def _closing_steps(self, window_closes: bool) -> Iterator[Callable[[], Any]]:
        """Return what closes the parts of the dock, in their order."""
        yield from (self._draw_curves.cancel, self._announce_explained.cancel,
                    self._scroll_to_preprocessing.cancel,
                    self._scroll_to_training.cancel)  # fmt: skip
        yield self.opening.close
        yield self.session.cache.close if window_closes else self._keep_session
        yield from (self._main_thread.close, self._collections.close, self._style.close)
        yield partial(self.training.close, timeout=0)
        yield partial(self.session.close, timeout=0)
        yield from (self.points.close, self.scale_bar.close, self.mixed_units.close)
        yield from (partial(signal.disconnect, self._on_theme) for signal in self._theme_signals())
        yield from (
            panel.close_panel
            for panel in (self.samples, self.points_panel, self.regions, self.morphometry,
                          self.deformation, self.exaggeration, self.study)
        )  # fmt: skip
        yield partial(self.region_view.close, window_closes)
        yield self.patch_view.close
        yield partial(self.keys.close, window_closes)
        yield self.all_samples.close_dock
        yield partial(self.comparison.close, window_closes)
        yield from (self.layers.close, self.warp_layers.close, self.stack_slider.close,
                    self.sources.close, self.layer_stack.close)  # fmt: skip
        yield partial(self._window_watch.end, window_closes)
        yield self.close_guard.end
        yield partial(self.bottom_docks.close, window_closes)

    def _keep_session(self) -> None:
        output = self.all_samples.many_card.folder.text()
        layout = {**read_layout(self), "output": output}
        keep_closed_session(self.viewer, ClosedSession.of(self.controller, layout))

    def _report(self, error: BaseException) -> None:
        """Show what went wrong in a slot."""
        self.controller.failed.emit(failure("window", "updating the window", error))

    def _on_window_closed(self) -> None:
        self.shut_down(window_closes=True)

    def setParent(self, parent: QWidget | None, *flags: Any) -> None:
        """Change the parent; a dock that is taken out of its window is closed and deleted.

        Qt would first give its thousand widgets the look they have outside of the window: 0.2 s.
        """
        if parent is not None or not self._window_watch.is_docked:
            super().setParent(parent, *flags)
            return
        self.shut_down()
        self.hide()
        self.deleteLater()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped, as what it is."""
        event.acceptProposedAction()
        urls = [url for url in event.mimeData().urls() if url.isLocalFile()]
        self.opening.open_paths(Path(url.toLocalFile()) for url in urls)

    def _connect(self) -> None:
        session, results, status = self.session, self.results, self.status
        session.networks = self.networks
        self.stages.keys_button.clicked.connect(self.show_keys)
        session.noted.connect(status.show_note)
        self.controller.failed.connect(self._on_failed)
        session.requested.connect(status.forget_failure)
        session.explanation_requested.connect(slot(partial(self.stages.show_stage, "explore")))
        session.explained.connect(self._announce_explained.throttle)
        session.plan_opened.connect(self._show_plan_output)
        status.sections = {
            "loaded_classifier": self.networks, "loaded_generator": self.networks,
            "look into classifier": self.networks, "look into generator": self.networks,
            "look into file": self.networks, "loaded_samples": self.samples,
            "sample": self.samples, "prediction": self.samples, "points": self.points_panel,
            "explain_many": self.all_samples.many_card, "rating_study": self.study,
        }  # fmt: skip
        status.section_requested.connect(self._show_section)
        for message in self.findChildren(Message):
            message.requested.connect(slot(session.perform))
        self.start.example_requested.connect(self.try_example)
        self.start.volume_requested.connect(self.try_example_volume)
        self.opening = Opening(self, self.settings)
        self.start.open_requested.connect(slot(self.opening.show_menu))
        self.start.recent_requested.connect(slot(self.opening.show_recent))
        self.stages.open_button.clicked.connect(
            slot(lambda: self.opening.show_menu(self.stages.open_button))
        )
        self.search.explain_requested.connect(slot(session.explain))
        self.search.question.neighbor_picked.connect(slot(session.pick_neighbor))
        self.without_generator.explain_requested.connect(slot(session.explain))
        self.without_generator.train_requested.connect(self._show_training)
        self.train.use_requested.connect(self._use_trained_generator)
        self.samples.layer_used.connect(self.sources.use)
        self.mixed_units.found.connect(self.samples.show_mixed_units)
        self.points_panel.layers_used.connect(self.sources.use)
        self.preprocessing.explained.connect(self._on_shape_mismatch)
        self.points.picked.connect(self._on_point_picked)
        self.points.is_region = lambda position: self.region_view.number_at(position) > 0
        self.navigator.next_misprediction_requested.connect(slot(session.next_misprediction))
        self.threshold.blink_held.connect(self.comparison.blink)
        self.threshold.compare.connect_to(self.comparison)
        self.threshold.show_layers_requested.connect(self.show_layers)
        self.threshold.attribution_mode_picked.connect(self.layers.set_attribution_mode)
        self.threshold.mask_style_picked.connect(self.layers.set_mask_style)
        for view in (self.region_view, self.patch_view):
            self.comparison.side_by_side_changed.connect(view.set_side_by_side)
        self.regions.back_requested.connect(self.back_to_patch)
        self.layers.layers_changed.connect(self._show_missing)
        self.all_samples.measure_requested.connect(slot(session.measure))
        self.all_samples.many.begun.connect(status.forget_failure)
        self.all_samples.open_requested.connect(slot(session.open_explanations))
        self.all_samples.dropped.connect(slot(session.open_path))
        self.all_samples.many_card.save_plan_requested.connect(self._save_plan)
        self.all_samples.many_card.open_plan_requested.connect(slot(session.open_plan))
        self.methods.compare_requested.connect(self.compare_methods)
        self.methods_compared.pair_requested.connect(self.compare_methods)
        self.methods_compared.samples_requested.connect(self.compare_methods)
        self.methods_compared.method_picked.connect(slot(session.show_method))
        self.curve_dock.threshold_picked.connect(self.threshold.pick)
        self.curve_dock.method_picked.connect(slot(session.show_method))
        self.bottom_docks.changed.connect(self._show_missing)
        connect(self._on_theme, *self._theme_signals())
        self._window_watch.closing.connect(self.layers.pause)
        self._window_watch.closing.connect(self.patch_view.pause)
        self._window_watch.closed.connect(self._on_window_closed)
        self._window_watch.docked.connect(self.close_guard.watch)
        self._window_watch.removed.connect(self.shut_down)
        results.events.explanations.connect(self._draw_curves.throttle)
        results.events.loaded_samples.connect(self._on_samples_loaded)
        for name in ("loaded_classifier", "loaded_generator", "loaded_samples", "pair"):
            getattr(results.events, name).connect(self._show_next_step)

    def _theme_signals(self) -> tuple[Any, Any]:
        """Return the signals of the theme and of the size of text."""
        return self.viewer.events.theme, get_settings().appearance.events.font_size

    def _on_theme(self) -> None:
        colors = palette_of(self.viewer.theme)
        self._style.set_sheet(style_sheet(colors))
        for panel in (self.agreement, self.methods, self.predictions, self.deformation,
                      self.exaggeration, self.curve_dock, self.methods_compared,
                      self.all_samples):  # fmt: skip
            panel.set_palette_of(colors)

    def _on_shape_mismatch(self, fault: Failure) -> None:
        """Scroll to the shape-mismatch card, which describes the error better."""
        self.samples.problem.hide()
        self._scroll_to_preprocessing.throttle()

    def _on_failed(self, fault: Failure) -> None:
        """Show the card of the classes after a search without any class in common."""
        match = self.results.class_match
        if fault.slot == "searched_pair" and match is not None and not match.is_usable:
            self.stages.reveal(self.networks.class_match)

    def _show_section(self, section: QWidget) -> None:
        """Lead to a section that describes a failure."""
        if section is self.all_samples.many_card:
            self.bottom_docks.raise_samples()
            section.show()
            return
        self.stages.reveal(section)

    def _show_training(self) -> None:
        self.train.set_open(True)
        self._scroll_to_training.throttle()

    def _show_preprocessing(self) -> None:
        self.stages.reveal(self.preprocessing)

    def _show_curves(self) -> None:
        """Draw new curves after the layers; show the first curve for each set of samples."""
        self.curve_dock.show_curves()
        explanations = self.results.explanations
        if not self._shows_first_curve or explanations is None or not self.session.is_explained:
            return
        if self.all_samples.many_card.isHidden() and not explanations.is_restored:
            self._shows_first_curve = False
            self.bottom_docks.raise_curve()

    def _on_explained(self) -> None:
        if self.session.is_explained:  # else something was chosen meanwhile
            self.start.hide()
            self.explained.emit()

    def _show_next_step(self) -> None:
        results = self.results
        self.start.set_done("networks", results.loaded_classifier is not None)
        self.start.set_done("samples", results.loaded_samples is not None)
        self.start.set_done("explain", results.pair is not None)
        self.explore_button.setEnabled(
            results.loaded_classifier is not None and results.loaded_samples is not None
        )
        self.status.set_idle(self.session.next_step)

    def _show_missing(self) -> None:
        self.threshold.show_missing(bool(self.layers.missing) or self.bottom_docks.is_one_missing)


def _close(parts: tuple[Any, ...], *_: object) -> None:
    for part in parts:
        part.close()
