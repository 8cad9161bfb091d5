"""Choice of split and labels of a folder of samples, and remarks about its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.image_layout import ALL_SPLITS, SplitsError
from napari_quac.data.image_search import count_of
from napari_quac.data.image_sources import recipe_of
from napari_quac.gui.message import Message
from napari_quac.gui.section import caption
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import button, discard, fill_menu, flow, menu, row
from napari_quac.live.choices import Choices
from napari_quac.live.failure import Failure
from napari_quac.live.results import Results

TABLE_FILTER = "Tables (*.csv *.tsv *.txt)"
MAX_SPLITS = 12
FOLDERS, NONE, CHOOSE = "folders", "none", "choose"


@slots
class SampleLabels(QWidget):
    """Split buttons, a menu of the source of the labels, and a line of remarks.

    Parameters
    ----------
    choices : Choices
        Its samples are changed.
    results : Results
        Its loaded samples and classifier are shown.
    """

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("sample_labels")
        self._choices, self._results = choices, results
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.split_buttons: list[QWidget] = []
        self._refused: SplitsError | None = None
        self._splits = QWidget()
        self._split_layout = flow(caption("Split"))
        self._splits.setLayout(self._split_layout)
        self.labels_menu = menu("labels_menu", picked=self._on_labels, n_characters=10)
        self._labels = QWidget()
        row(caption("Labels"), self.labels_menu, 1, parent=self._labels)
        self.remarks_line = Message("samples_remarks", "muted")
        for widget in (self._splits, self._labels, self.remarks_line):
            layout.addWidget(widget)
        results.events.loaded_classifier.connect(self.show_remarks)
        self.show_dataset()

    def show_dataset(self) -> None:
        """Show splits, labels and remarks of the loaded samples."""
        layout = getattr(self._results.loaded_samples, "layout", None)
        source, self._refused = self._source(), None
        self._show_splits(layout.splits if layout is not None else ())
        self._labels.hide()
        if layout is not None and isinstance(source, ImageFolderRecipe):
            self._labels.show()
            entries, current = _label_entries(layout, source)
            fill_menu(self.labels_menu, entries, current)
            index = list(entries).index(current)
            self.labels_menu.blockSignals(True)
            self.labels_menu.setCurrentIndex(index)
            self.labels_menu.blockSignals(False)
        self.show_remarks()

    def show_failure(self, fault: Failure) -> None:
        """Offer the splits of a folder that needs a choice."""
        self._refused = fault.error if isinstance(fault.error, SplitsError) else None
        self._show_splits(self._refused.splits if self._refused is not None else ())
        if self._refused is not None:
            self._labels.hide()
            self.remarks_line.show_message("")

    @slot
    def show_remarks(self) -> None:
        """Show what was not read or assumed, and labels that name no class."""
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if dataset is None:
            self.remarks_line.show_message("")
            return
        layout = getattr(dataset, "layout", None)
        parts = [layout.summary] if layout is not None else []
        if layout is not None and layout.suggestions:
            parts.append("The file names may hold labels; choose them under Labels")
        assumptions, tone = assumptions_of(dataset), ""
        if classifier is not None and dataset.classes:
            from napari_quac.explain.labels import match_labels

            match = match_labels(dataset.classes, classifier)
            assumptions += match.assumptions
            if match.warning:
                parts.append(match.warning.rstrip("."))
                tone = "note"
        parts += [str(entry).rstrip(".") for entry in assumptions if entry.kind == "labels"]
        self.remarks_line.show_message("\n".join(f"{part}." for part in parts), tone)

    def _show_splits(self, splits: Sequence[str]) -> None:
        discard(self._split_layout, self.split_buttons)
        self.split_buttons = []
        chosen = "" if self._refused is not None else getattr(self._source(), "split", "")
        names = {name: name for name in splits[:MAX_SPLITS]} | {ALL_SPLITS: "All"}
        for name, text in names.items() if splits else ():
            tip = f"Use the samples of the split {name}." if name != ALL_SPLITS else "Use all."
            split_button = button(text, f"split_{name}", tip, partial(self._on_split, name))
            split_button.setEnabled(name != chosen)
            self._split_layout.addWidget(split_button)
            self.split_buttons.append(split_button)
        self._splits.setVisible(bool(splits))

    def _on_split(self, name: str) -> None:
        if self._refused is None:
            self._change(split=name)
        else:  # the refused samples are no choice any more
            self._choices.samples = recipe_of(self._refused.path, None, {"split": name})

    def _source(self) -> Any:
        """Return the recipe of the samples, without a preprocessing."""
        return getattr(self._choices.samples, "source", self._choices.samples)

    def _change(self, **changes: Any) -> None:
        samples: Any = self._choices.samples
        source = replace(self._source(), **changes)
        is_bare = samples is self._source()
        self._choices.samples = source if is_bare else replace(samples, source=source)

    def _on_labels(self) -> None:
        source, data = self._source(), self.labels_menu.currentData()
        if not isinstance(source, ImageFolderRecipe) or not data:
            return
        kind, _, text = str(data).partition(":")
        if kind == CHOOSE:
            path, _ = QFileDialog.getOpenFileName(
                self, "Table of labels", str(source.directory), TABLE_FILTER
            )
            if not path:
                self.show_dataset()
                return
            kind, text = "table", path
        table = Path(text) if kind == "table" else None
        pattern = text if kind == "pattern" else ""
        self._change(labels=table, pattern=pattern, label_column="", file_column="")


def _label_entries(layout: Any, source: ImageFolderRecipe) -> tuple[dict[str, str], str]:
    """Return the entries of the menu, and the data of the current one."""
    entries = {FOLDERS: "class folders" if layout.source == "folders" else "none"}
    current = FOLDERS
    tables = [*layout.tables, *([layout.table] if layout.table is not None else [])]
    for table in dict.fromkeys(tables):
        entries[f"table:{table}"] = table.name
    for suggestion in layout.suggestions:
        n = count_of(len(suggestion.classes), "class", "classes")
        entries[f"pattern:{suggestion.pattern}"] = f"{suggestion.pattern} · {n}"
    if layout.table is not None:
        current = f"table:{layout.table}"
    elif source.pattern:
        current = f"pattern:{source.pattern}"
        entries.setdefault(current, source.pattern)
    if layout.source in ("table", "file names"):
        entries[FOLDERS] = "folders"
        if source.labels is None and not source.pattern:
            del entries[FOLDERS]  # nothing else is there without the table
    entries[CHOOSE] = "Table…"
    return entries, current
