"""The fields of a draft: kind, features, samples, raters."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFileDialog, QTreeWidget, QTreeWidgetItem, QWidget

from napari_quac.gui.control_names import prepare
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.text import WrappedLabel, grouped, plain
from napari_quac.gui.widgets import (
    button,
    choose_entry,
    column,
    disclosure_button,
    fill_menu,
    line_edit,
    menu,
    spin_box,
)
from napari_quac.live.rating_study import RatingStudy, StudyInput

if TYPE_CHECKING:
    from napari_quac.study.features import Feature
    from napari_quac.study.protocol import Protocol, Sampling

KINDS = {
    "compare": "Compare A and B",
    "tag": "Tag pairs",
    "classify": "Classify images",
    "measure": "Measure original images",
}
PRESETS = {"drosophila-synapse": "Drosophila synapse"}
SELECTIONS = {"random": "At random", "top": "Highest scores (cherry-picking)"}
FILE = "Features (*.json)"
MAX_ROWS = 6
EMPTY = "Explain samples into a folder (Explain these…) or open explanations to draft a study."


class FeatureList(QTreeWidget):
    """Features of the study; those that are checked are primary."""

    def __init__(self) -> None:
        super().__init__()
        prepare(self, "study_features")
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)

    def sizeHint(self) -> QSize:
        """Return the height of the rows, up to a limit."""
        n_rows = max(1, min(self.topLevelItemCount(), MAX_ROWS))
        return QSize(240, n_rows * max(self.sizeHintForRow(0), 18) + 6)

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
        return QSize(120, self.sizeHint().height())

    def show_features(self, features: tuple[Feature, ...], primary: tuple[str, ...] = ()) -> None:
        """Replace the features."""
        self.clear()
        for feature in features:
            row = QTreeWidgetItem([feature.name])
            row.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            is_primary = feature.name in primary
            row.setCheckState(0, Qt.CheckState.Checked if is_primary else Qt.CheckState.Unchecked)
            row.setToolTip(0, plain(feature.definition))
            self.addTopLevelItem(row)
        self.updateGeometry()

    def primary(self) -> tuple[str, ...]:
        """Return the names of the checked features."""
        rows = (self.topLevelItem(number) for number in range(self.topLevelItemCount()))
        return tuple(r.text(0) for r in rows if r.checkState(0) == Qt.CheckState.Checked)


@slots
class StudyForm(QWidget):
    """Fields of a draft.

    Parameters
    ----------
    work : RatingStudy
        Read only; the panel writes the draft.
    """

    def __init__(self, work: RatingStudy) -> None:
        super().__init__()
        self._work = work
        self.features: tuple[Feature, ...] = ()
        self.source = WrappedLabel("", "study_source", "muted")
        self.kind = menu("study_kind", entries=KINDS)
        self.preset = menu("study_preset", entries=PRESETS, n_characters=10)
        self.file_button = button("File…", "study_features_choose", clicked=self._on_file)
        self.list = FeatureList()
        self.classes = menu("study_classes", n_characters=10)
        self.number = spin_box("study_number", 1, 10_000, 20)
        self.raters = line_edit("study_raters", placeholder="Ann: 8 years of EM; Bob")
        self.pixel_size = line_edit("study_pixel_size", placeholder="nm, such as 4 or 40, 4, 4")
        self.selection = menu("study_selection", entries=SELECTIONS, n_characters=10)
        self.cluster = line_edit("study_cluster", placeholder="{group}_* for NEURON_SYNAPSE")
        self.seed = line_edit("study_seed", placeholder="drawn")
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.preset.currentIndexChanged.connect(self._on_preset)
        self._from_file: tuple[Feature, ...] = ()
        self._on_kind()

    def _lay_out(self) -> None:
        self.size_row, self.feature_row = QWidget(), QWidget()
        column(labeled_row("Pixel size", self.pixel_size), parent=self.size_row)
        column(
            labeled_row("Features", self.preset, self.file_button),
            labeled_row("Primary", self.list),
            parent=self.feature_row,
        )
        more = QWidget()
        column(
            labeled_row("Selection", self.selection),
            labeled_row("Clusters", self.cluster),
            labeled_row("Seed", self.seed),
            parent=more,
        )
        self.more_button = disclosure_button("More", "study_more", more)
        column(
            self.source,
            labeled_row("Task", self.kind),
            self.feature_row,
            self.size_row,
            labeled_row("Classes", self.classes),
            labeled_row("Number", self.number),
            labeled_row("Raters", self.raters),
            self.more_button,
            more,
            parent=self,
        )

    def entries(self) -> StudyInput:
        """Return the fields."""
        names = {feature.name for feature in self.features}
        primary = tuple(name for name in self.list.primary() if name in names)
        pairs = self.classes.currentData()
        kind = self.kind.currentData()
        return StudyInput(
            kind=kind,
            features=self.features,
            primary=primary,
            raters=self.raters.text(),
            class_pairs=tuple(tuple(pair) for pair in pairs or ()),
            n_per_stratum=self.number.value(),
            selection=self.selection.currentData(),
            cluster=self.cluster.text(),
            seed=self.seed.text(),
            pixel_size=self.pixel_size.text(),
        )

    def show_source(self) -> None:
        """Show what the study is drafted from."""
        view = self._work.in_view()
        if view is None:
            self.source.setText(EMPTY)
            fill_menu(self.classes, {None: "All"})
            return
        by_filter = f" by the filter '{view.filter_text}'" if view.filter_text else ""
        self.source.setText(
            f"From {grouped(view.n)} explained samples in view{by_filter}, in '{view.folder.name}'."
        )
        is_single = self.kind.currentData() in ("classify", "measure")
        fill_menu(self.classes, class_entries(view.class_pairs, is_single))

    def show_draft(self, protocol: Protocol, sampling: Sampling | None) -> None:
        """Show the plan of a draft that was written or opened; its seed stays hidden."""
        if sampling is not None:
            self.number.setValue(sampling.n_per_stratum)
            choose_entry(self.selection, sampling.selection)
            self.cluster.setText(sampling.cluster)
        choose_entry(self.kind, protocol.kind)
        self._on_kind()
        self._set_features(protocol.features, protocol.primary)
        raters = (f"{r.name}: {r.expertise}" if r.expertise else r.name for r in protocol.raters)
        self.raters.setText("; ".join(raters))
        self.pixel_size.setText(", ".join(f"{size:g}" for size in protocol.pixel_size))

    def offer_pixel_size(self, sizes: tuple[float, ...]) -> None:
        """Fill in the pixel size of the samples where none was typed."""
        if not self.pixel_size.isModified() and sizes:
            texts = list(dict.fromkeys(f"{size:g}" for size in sizes))
            shown = texts if len(texts) == 1 else [f"{size:g}" for size in sizes]
            self.pixel_size.setText(", ".join(shown))

    def _on_kind(self) -> None:
        kind = self.kind.currentData()
        self.size_row.setVisible(kind == "measure")
        self.feature_row.setVisible(kind != "classify")
        self._on_preset()
        self.show_source()

    def _on_preset(self) -> None:
        from napari_quac.study.features import class_feature, preset

        name = self.preset.currentData()
        if self.kind.currentData() == "classify":
            features = class_feature(False)
            self._set_features(features, (features[0].name,))
        elif name in PRESETS:
            self._set_features(preset(name))
        else:
            self._set_features(self._from_file)

    def _on_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose the features", "", FILE)
        if path:
            self.read_features(Path(path))

    def read_features(self, path: Path) -> None:
        """Read features of a file, and offer them beside the presets.

        Raises
        ------
        DataError
            If the file lists none.
        """
        from napari_quac.study.exchange import read_features

        self._from_file = read_features(path)
        entries: dict[Any, str] = {**PRESETS, "file": path.name}
        fill_menu(self.preset, entries)
        choose_entry(self.preset, "file")
        self._on_preset()

    def _set_features(
        self, features: tuple[Feature, ...], primary: tuple[str, ...] | None = None
    ) -> None:
        self.features = features
        self.list.show_features(features, self.list.primary() if primary is None else primary)


def class_entries(
    pairs: tuple[tuple[str, str], ...], is_single: bool
) -> dict[tuple[tuple[str, str], ...] | None, str]:
    """Return the entries of the menu of classes; single images are chosen by two classes."""
    entries: dict[tuple[tuple[str, str], ...] | None, str] = {None: "All"}
    if not is_single:
        return entries | {(pair,): f"{pair[0]} → {pair[1]}" for pair in pairs}
    sources = sorted({source for source, _ in pairs})
    for two in combinations(sources, 2):
        entries[tuple(pair for pair in pairs if pair[0] in two)] = f"{two[0]} and {two[1]}"
    return entries
