"""Panels of the dock and the docks below, built and laid out."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QWidget

from napari_quac.gui.closing import CloseGuard
from napari_quac.gui.comparison_dock import ComparisonDock
from napari_quac.gui.curve_dock import CurveDock
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.panels.agreement_panel import AgreementPanel
from napari_quac.gui.panels.exaggeration_panel import ExaggerationLayers, ExaggerationPanel
from napari_quac.gui.panels.methods_panel import MethodsPanel
from napari_quac.gui.panels.morphometry_panel import MorphometryPanel
from napari_quac.gui.panels.networks_panel import NetworksPanel
from napari_quac.gui.panels.points_panel import PointsPanel
from napari_quac.gui.panels.prediction_panel import PredictionPanel
from napari_quac.gui.panels.preprocessing_panel import PreprocessingPanel
from napari_quac.gui.panels.regions_panel import RegionsPanel
from napari_quac.gui.panels.sample_navigator import SampleNavigator
from napari_quac.gui.panels.samples_panel import SamplesPanel
from napari_quac.gui.panels.search_panel import SearchPanel
from napari_quac.gui.panels.start_panel import StartPanel
from napari_quac.gui.panels.status_panel import StatusPanel
from napari_quac.gui.panels.study_panel import StudyPanel
from napari_quac.gui.panels.threshold_panel import ThresholdPanel
from napari_quac.gui.panels.train_panel import TrainPanel
from napari_quac.gui.panels.verdict_panel import VerdictPanel
from napari_quac.gui.panels.warp_panel import WarpLayers, WarpPanel
from napari_quac.gui.panels.without_generator import WithoutGeneratorBox
from napari_quac.gui.plugin_settings import Defaults
from napari_quac.gui.points_sync import PointsSync
from napari_quac.gui.region_view import RegionView
from napari_quac.gui.samples.samples_dock import SamplesDock
from napari_quac.gui.save_figure import FigureSaving
from napari_quac.gui.stages import Stages
from napari_quac.gui.widgets import button, column
from napari_quac.gui.window import BottomDocks
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results
from napari_quac.live.save_explanations import ExplanationSaver
from napari_quac.live.session import Session
from napari_quac.live.training import Training


class DockPanels(QWidget):
    """Panels on three stages, and the docks below the canvas.

    A subclass sets the attributes below before it calls :meth:`build_panels`, and connects the
    panels with each other.
    """

    viewer: Any
    session: Session
    choices: Choices
    results: Results
    controller: Controller
    training: Training
    layer_stack: LayerStack
    warp_layers: WarpLayers
    points: PointsSync
    settings: QSettings
    defaults: Defaults

    def build_panels(self) -> None:
        """Build all panels and lay them out."""
        viewer, stack = self.viewer, self.layer_stack
        choices, results, controller = self.choices, self.results, self.controller
        self.status = StatusPanel(controller)
        self.start = StartPanel()
        self.networks = NetworksPanel(
            choices, results, controller, self.settings, self.session.history
        )
        self.samples = SamplesPanel(viewer, choices, results, controller)
        self.navigator = SampleNavigator(choices, results)
        self.agreement = AgreementPanel(choices, results, controller, self.session.history)
        self.points_panel = PointsPanel(viewer, self.points, choices, results, controller)
        self.preprocessing = PreprocessingPanel(choices, results, controller)
        self.train = TrainPanel(choices, results, self.training)
        session = self.session
        self.without_generator = WithoutGeneratorBox(
            choices, results, controller, session.without_generator,
            lambda: (self.train.settings.value, self.train.settings.pair),
        )  # fmt: skip
        self.search = SearchPanel(
            choices, results, controller, session.neighbor_query, session.speeds
        )
        self.threshold = ThresholdPanel(choices, results, session.history)
        self.figure_saving = FigureSaving(self.threshold, session, self)
        self.regions = RegionsPanel(results, controller)
        self.region_view = RegionView(viewer, stack, self.regions)
        self.morphometry = MorphometryPanel(viewer, stack, choices, results, controller)
        self.predictions = PredictionPanel(results)
        self.methods = MethodsPanel(choices, results, session.speeds)
        self.verdict = VerdictPanel(choices, results)
        self.deformation = WarpPanel(results, self.warp_layers)
        self.exaggeration = ExaggerationPanel(
            ExaggerationLayers(stack, viewer), choices, results, controller, session.speeds
        )
        self.study = StudyPanel(viewer, choices, results, controller)
        self.explore_button = button(
            "Explore samples", "explore_button", primary=True,
            clicked=lambda: self.stages.show_stage("explore"),
        )  # fmt: skip
        self.stages = Stages({
            "setup": (self.start, self.networks, self.samples, self.agreement, self.points_panel,
                      self.preprocessing, self.without_generator, self.train, self.explore_button),
            "explore": (self.navigator, self.search, self.threshold, self.predictions,
                        self.verdict, self.regions, self.methods),
            "study": (self.exaggeration, self.deformation, self.morphometry, self.study),
        })  # fmt: skip
        column(self.stages, 1, self.status, spacing=0, parent=self)
        self.all_samples = SamplesDock(
            choices,
            results,
            controller,
            session.speeds,
            self.defaults.store_folder,
            session.history,
        )
        self.curve_dock = CurveDock(choices, results)
        self.methods_compared = ComparisonDock(choices, results, session.speeds)
        self.bottom_docks = BottomDocks(
            viewer, self.all_samples, self.curve_dock, self.methods_compared, self
        )
        saver = ExplanationSaver(self.session, self.all_samples.many_card.output_folder)
        self.close_guard = CloseGuard(self, self.session, self.training, saver)
