"""Everything that opens files: the menu *Open*, drops, recent files, and the last session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSettings, Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_quac.errors import DataError, StorageError
from napari_quac.gui.layout_state import read_layout, restore_layout
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import debouncer
from napari_quac.live.choices import ReportFolder
from napari_quac.live.connections import Connections
from napari_quac.live.failure import failure
from napari_quac.live.network_search import StoreNetworks, find_networks
from napari_quac.live.plans import ROLES, inspect_recipe
from napari_quac.live.recent import KINDS, RecentFile, RecentWork
from napari_quac.live.session_state import SampleView, SessionState
from napari_quac.networks.consent import Request, hosts_in, programs_in
from napari_quac.reading import path_exists

if TYPE_CHECKING:
    from napari_quac.generators.opening import RecognizedNetwork
    from napari_quac.gui.dock import QuacDock
    from napari_quac.live.open_report import OpenReport

SAVE_AFTER_MS = 1500
MAX_ENTRIES, MENU_LENGTH = 10, 60
OF_ONE_PATH = ("folder", "files", "stack")
"""Kinds of samples that are opened again by their path alone."""
PLANS = "Plans (*.yaml *.yml);;All files (*)"
Restored = tuple[dict[str, Any], Mapping[Any, "RecognizedNetwork"], tuple[Request, ...]]
KEPT = ("samples", "classifier", "generator", "settings", "sample_index", "filter_text", "sort_by",
        "sort_ascending", "shown_method", "threshold", "report_source", "class_map")  # fmt: skip


@slots
class Opening(QObject):
    """Opens files for a dock, and remembers them.

    Parameters
    ----------
    dock : QuacDock
        With its session and panels.
    settings : QSettings
        Recent files and sessions are in its entry ``recent``.
    """

    def __init__(self, dock: QuacDock, settings: QSettings) -> None:
        super().__init__(dock)
        self._dock, self._settings = dock, settings
        session, results, choices = dock.session, dock.results, dock.choices
        self.recent, self._writes_settings = self._read(), True
        self._view: SampleView | None = None
        self._displayed: SampleView | None = None
        self._save_later = debouncer(self, SAVE_AFTER_MS, self.save)
        self._connections = Connections(
            *((getattr(choices.events, name), self._on_change) for name in KEPT),
            (results.events.loaded_samples, partial(self._note_file, "samples")),
            (results.events.loaded_classifier, partial(self._note_file, "classifier")),
            (results.events.loaded_generator, partial(self._note_file, "generator")),
            (results.events.sample_list, self._show_view),
            (results.events.displayed_hybrid, self._show_threshold),
            (results.events.report, self._on_report),
            (session.plan_opened, self._on_plan),
            (session.layer_requested, self._open_layer),
            (dock.networks.asked, dock.stages.reveal),
        )
        dock.stages.stage_changed.connect(self._on_change)

    def close(self) -> None:
        """Write the state, and disconnect all signals."""
        self.save()
        self._save_later.cancel()
        self._connections.close()

    # menus

    def show_menu(self, button: QWidget) -> None:
        """Show everything that can be opened below a button."""
        dock = self._dock
        menu = QMenu(button)
        menu.setObjectName("open_menu")
        menu.setToolTipsVisible(True)
        self._add_recent(menu)
        networks, samples = dock.networks.fields, dock.samples.field
        points = dock.points_panel
        self._add(menu, "Plan…", "open_plan", self.choose_plan)
        menu.addAction("Folder of explanations…", dock.all_samples.choose_report)
        menu.addSeparator()
        menu.addAction("Classifier…", networks["classifier"].choose_file)
        menu.addAction("Folder of a classifier…", networks["classifier"].choose_folder)
        menu.addAction("Generator…", networks["generator"].choose_file)
        menu.addAction("Folder of generated images…", networks["generator"].choose_folder)
        menu.addSeparator()
        menu.addAction("Folder of samples…", samples.choose_folder)
        menu.addAction("Volume…", points.volume_field.choose_file)
        menu.addAction("Table of points…", points.table_field.choose_file)
        menu.addSeparator()
        self._add(menu, "Example", "open_example", dock.try_example)
        self._add(menu, "Example in a volume", "open_example_volume", dock.try_example_volume)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def show_recent(self, button: QWidget) -> None:
        """Show recent files and sessions below a button."""
        menu = QMenu(button)
        menu.setToolTipsVisible(True)
        self._fill_recent(menu)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _add_recent(self, menu: QMenu) -> None:
        if not (self.recent.sessions or self.recent.existing_files):
            return
        submenu = menu.addMenu("Open recent")
        submenu.setToolTipsVisible(True)
        self._fill_recent(submenu)
        menu.addSeparator()

    def _fill_recent(self, menu: QMenu) -> None:
        menu.setObjectName("recent_menu")
        for number, state in enumerate(self.recent.sessions):
            name, text = f"recent_session_{number}", f"Continue with {state.title}"
            self._add(menu, _short(text), name, partial(self.restore, state), text)
        menu.addSeparator()
        for number, file in enumerate(self.recent.existing_files[:MAX_ENTRIES]):
            text = f"{KINDS.get(file.kind, 'File')}: {Path(file.path).name}"
            open_file = partial(self.open_recent, file)
            self._add(menu, _short(text), f"recent_file_{number}", open_file, file.path)
        if menu.isEmpty():
            menu.addAction("Nothing was opened yet").setEnabled(False)

    def _add(
        self, menu: QMenu, text: str, name: str, action: Callable[[], Any], tooltip: str = ""
    ) -> None:
        entry = menu.addAction(text.replace("&", "&&"))
        entry.setObjectName(name)
        entry.setToolTip(plain(tooltip or text))
        entry.triggered.connect(slot(lambda _=False: action()))

    # opening

    @slot
    def choose_plan(self) -> None:
        """Open a dialog for a plan."""
        path, _ = QFileDialog.getOpenFileName(self._dock, "Open a plan", "", PLANS)
        if path:
            self._dock.session.open_plan(Path(path))

    def open_paths(self, paths: Iterable[Path]) -> None:
        """Open files and folders, each as what it is."""
        for path in paths:
            self._dock.open_path(path)

    @slot
    def open_recent(self, file: RecentFile) -> None:
        """Open a recent file, with the view of its samples."""
        path, dock = Path(file.path), self._dock
        if file.kind == "samples":
            dock.samples.open_folder(path)
            self._return_to_samples()
        elif file.kind in ("classifier", "generator"):
            dock.networks.open_path(path, file.kind)
        else:
            dock.open_path(path)

    @slot
    def restore(self, state: SessionState) -> None:
        """Open samples, networks and explanations of a session, with its view and layout."""
        dock = self._dock
        dock.session.requested.emit()

        def work() -> Restored:
            recipes, settings = state.build_recipes(), state.build_settings()
            networks = {r: inspect_recipe(r, recipes[r]) for r in ROLES if r in recipes}
            programs = programs_in(*(recipes[r] for r in networks), settings)
            return recipes, networks, (*programs, *hosts_in(recipes.get("samples")))

        def ask(loaded: Restored) -> None:
            title = f"the session with {state.title}"
            dock.networks.with_consent(title, loaded[2], partial(use, loaded))

        def use(loaded: Restored) -> None:
            recipes, networks, _ = loaded
            for network in networks.values():
                dock.networks.use_network(network)
            choices = dock.choices
            choices.use_settings(state.build_settings(), state.view.shown_method)
            choices.device = state.device
            choices.class_map = dict(state.class_map)
            self._view = state.view
            if "samples" in recipes:
                choices.samples = recipes["samples"]
            if state.report:
                choices.report_source = ReportFolder(Path(state.report))
            restore_layout(dock, state.layout)

        dock.controller.run("session", f"opening {state.title}", work, ask)

    @slot
    def _open_layer(self, kind: str, path: Path) -> None:
        panel = self._dock.points_panel
        self._dock.stages.reveal(panel)
        if kind == "volume":
            panel.volume_field.show_path(path)
            panel.open_volume(path)
        else:
            panel.table_field.show_path(path)
            panel.open_table(path)
        self._remember(kind, path)

    # explanations find their networks

    def _on_report(self) -> None:
        report, choices = self._dock.results.report, self._dock.choices
        if report is None or not isinstance(choices.report_source, ReportFolder):
            return
        self._remember("explanations", report.folder)
        state = self.recent.session_of_report(report.folder)
        if state is not None and self._view is None:
            self._view = state.view
            self._show_view()
        store = report.store
        if store is None or (choices.classifier is not None and choices.generator is not None):
            return
        recent = (*self.recent.paths("classifier"), *self.recent.paths("generator"))
        self._dock.controller.run(
            "store networks",
            f"looking for the networks of '{report.folder.name}'",
            partial(find_networks, store, recent),
            partial(self._ask_about_networks, report),
        )

    @slot
    def _ask_about_networks(self, report: OpenReport, networks: StoreNetworks) -> None:
        """Use the networks of explanations once their programs are trusted."""
        choices = self._dock.choices
        used = [n for n in (networks.classifier, networks.generator)
                if n is not None and getattr(choices, n.role) is None]  # fmt: skip
        programs = [program for network in used for program in network.programs]
        origin = f"the folder of explanations '{report.folder.name}'"
        use = partial(self._use_networks, report, networks)
        self._dock.networks.with_consent(origin, programs, use)

    @slot
    def _use_networks(self, report: OpenReport, networks: StoreNetworks) -> None:
        dock, store = self._dock, report.store
        if dock.results.report is not report or store is None:
            return
        for role in ("classifier", "generator"):
            if getattr(dock.choices, role) is not None:
                continue
            network = getattr(networks, role)
            if network is not None:
                dock.networks.use_network(network)
            else:
                self._ask_for(role, getattr(store.info, role).name, report.folder)
        if networks.generator is not None and not dock.choices.class_map:
            dock.choices.class_map = {
                name: partner for name, partner in networks.class_map.items() if name != partner
            }

    def _ask_for(self, role: str, name: str, folder: Path) -> None:
        """Ask for a network that was not found, once for each folder of explanations."""
        key = f"asked/{role}-{_key_of(folder)}"
        if not name or self._settings.value(key, False, bool):
            return
        self._settings.setValue(key, True)
        self._dock.networks.ask_for_file(
            role,
            f"The explanations in '{folder.name}' were made with the {role} '{name}', which was "
            "not found. Choose its file to explain further samples.",
        )

    # view and layout

    def _on_plan(self, output: Path, path: Path) -> None:
        del output
        self._remember("plan", path)
        plan_filter = self._dock.choices.filter_text
        self._return_to_samples()
        if self._view is not None and plan_filter:
            self._view = replace(self._view, filter_text=plan_filter)

    def _return_to_samples(self) -> None:
        """Return to the last view of the chosen samples, as soon as they are listed."""
        state = SessionState.of(self._dock.choices, self._dock.results)
        session = self.recent.session_of_samples(state.samples)
        self._view = session.view if session is not None else None
        if session is not None:
            restore_layout(self._dock, session.layout)

    def _show_view(self) -> None:
        """Choose filter, order and sample of a view."""
        listed, view, choices = self._dock.results.sample_list, self._view, self._dock.choices
        if view is None or listed is None:
            return
        self._view = None
        view.apply_order(choices)
        index = listed.index_of.get(view.sample_id)
        if index is not None:
            choices.sample_index = index
            self._displayed = view

    def _show_threshold(self) -> None:
        """Choose method and threshold of a view when an explanation of its sample is displayed."""
        view, displayed = self._displayed, self._dock.results.displayed_hybrid
        sample = self._dock.results.sample
        if view is None or displayed is None or sample is None:
            return
        if sample.id != view.sample_id:
            return
        self._displayed = None
        # the rules are still being evaluated, and would return to the optimum
        QTimer.singleShot(0, partial(self._use_view, view))

    @slot
    def _use_view(self, view: SampleView) -> None:
        explanations, choices = self._dock.results.explanations, self._dock.choices
        if self._dock.is_closed or explanations is None:
            return
        if explanations.pair.query.id != view.sample_id:
            return
        if view.shown_method in explanations:
            choices.shown_method = view.shown_method
        if view.threshold is not None:
            choices.threshold = view.threshold

    # memory

    @slot
    def save(self) -> None:
        """Write the state of the session."""
        if self._view is None:  # else it is being restored
            dock = self._dock
            state = SessionState.of(dock.choices, dock.results, read_layout(dock))
            self._write(self._read().with_session(state))

    def _on_change(self, *_: object) -> None:
        self._save_later.throttle()

    @slot
    def _note_file(self, kind: str) -> None:
        """Remember the file of samples or of a network that was loaded."""
        if getattr(self._dock.results, f"loaded_{kind}") is None:
            return
        state = SessionState.of(self._dock.choices, self._dock.results)
        file = Path(state.files[("samples", *ROLES).index(kind)])
        is_folder = kind != "samples" or (state.samples or {}).get("kind") in OF_ONE_PATH
        if file.is_absolute() and path_exists(file) and is_folder:
            self._remember(kind, file)

    def _remember(self, kind: str, path: Path) -> None:
        self._write(self._read().with_file(kind, path))
        self._save_later.throttle()

    def _read(self) -> RecentWork:
        """Read the recent work, to which other windows may have added; empty if it is damaged."""
        text = str(self._settings.value("recent", "") or "")
        try:
            return RecentWork.from_json(text) if text else RecentWork()
        except DataError:
            return RecentWork()

    def _write(self, recent: RecentWork) -> None:
        self.recent = recent
        self._settings.setValue("recent", recent.to_json())
        self._settings.sync()
        is_written = self._settings.status() == QSettings.Status.NoError
        if not is_written and self._writes_settings:
            error = StorageError(
                f"'{self._settings.fileName()}' cannot be written, so recent files and the view of "
                "the samples will not be there next time. Make room on the disk, or make the file "
                "writable."
            )
            fault = failure("settings", "remembering recent files", error)
            self._dock.controller.failed.emit(fault)
        self._writes_settings = is_written  # said once


def _short(text: str) -> str:
    """Return a text for a menu; the tooltip has the whole of it."""
    return text if len(text) <= MENU_LENGTH else f"{text[: MENU_LENGTH - 1]}…"


def _key_of(folder: Path) -> str:
    return hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
