"""The state of a window as plain values, so that the next day begins where the last one ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError, QuacError
from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.choices import Choices, ReportFolder
from napari_quac.live.plans import samples_recipe
from napari_quac.reading import parse_json
from napari_quac.serialize import from_plain, to_plain

if TYPE_CHECKING:
    from napari_quac.live.results import Results

SCHEMA = 1
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class SampleView:
    """View of the samples and of the explanation of one of them.

    Attributes
    ----------
    sample_id : str
        Id of the selected sample; empty if none is selected.
    filter_text, sort_by, sort_ascending
        As in :class:`~napari_quac.live.choices.Choices`.
    shown_method : str
        The displayed method; empty for any.
    threshold : float or None
        None for the optimum.
    """

    sample_id: str = ""
    filter_text: str = ""
    sort_by: str = "number"
    sort_ascending: bool = True
    shown_method: str = ""
    threshold: float | None = None

    @classmethod
    def of(cls, choices: Choices, results: Results) -> SampleView:
        """Return the current view."""
        names = ("filter_text", "sort_by", "sort_ascending", "shown_method", "threshold")
        return cls(_selected_id(choices, results), **{n: getattr(choices, n) for n in names})

    def apply_order(self, choices: Choices) -> None:
        """Choose the filter and the order of the table."""
        for name in ("filter_text", "sort_by", "sort_ascending"):
            setattr(choices, name, getattr(self, name))


@dataclass(frozen=True)
class SessionState:
    """Files, settings, view and layout of a window.

    It holds plain values only, so that :meth:`to_json` can write it. Samples and networks that
    exist in memory only are left out; within one process, :class:`~.choices.Choices` hold them.

    Attributes
    ----------
    samples, classifier, generator : mapping or None
        Recipes as in a plan file, with absolute paths; None without a choice, or without files.
    settings : mapping
        See :meth:`~napari_quac.explain.settings.ExplainSettings.to_dict`.
    class_map : mapping of str to str
    device : str
    report : str
        Folder of the open explanations; empty without one.
    view : SampleView
    layout : mapping
        Values that the window writes and reads: its stage, unfolded sections, columns, docks.
    """

    samples: Plain | None = None
    classifier: Plain | None = None
    generator: Plain | None = None
    settings: Plain = field(default_factory=dict)
    class_map: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    report: str = ""
    view: SampleView = field(default_factory=SampleView)
    layout: Plain = field(default_factory=dict)

    @classmethod
    def of(cls, choices: Choices, results: Results, layout: Plain | None = None) -> SessionState:
        """Return the current state.

        Parameters
        ----------
        choices : Choices
            Files, settings and view.
        results : Results
            Their samples name the selected one.
        layout : mapping, optional
            Plain values that describe the window.
        """
        source = choices.report_source
        report = str(source.folder.absolute()) if isinstance(source, ReportFolder) else ""
        return cls(
            samples=_plain_samples(choices.samples),
            classifier=_plain_classifier(choices.classifier),
            generator=_plain_generator(choices.generator),
            settings=choices.settings.to_dict(),
            class_map=dict(choices.class_map),
            device=choices.device,
            report=report,
            view=SampleView.of(choices, results),
            layout=dict(layout or {}),
        )

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to return to."""
        return not (self.samples or self.classifier or self.generator or self.report)

    @property
    def files(self) -> tuple[Any, ...]:
        """Samples, networks and explanations, without the ways of using them."""
        parts = (self.samples, self.classifier, self.generator)
        return (*(_file_of(part) for part in parts), self.report)

    @property
    def title(self) -> str:
        """Names of the files, for a menu, such as ``patches, classifier.pt, generator.ckpt``."""
        names = [_file_name(part) for part in (self.samples, self.classifier, self.generator)]
        if self.report:
            names.append(Path(self.report).name)
        return ", ".join(dict.fromkeys(filter(None, names)))

    def build_recipes(self) -> dict[str, Any]:
        """Return the recipes of samples, classifier and generator, where there are any.

        Raises
        ------
        DataError, UnknownNameError
            If a recipe was written by another version.
        """
        from napari_quac.batch.plan import build_classifier, build_recipe, build_samples
        from napari_quac.generators import GENERATORS

        here, recipes = Path(), {}
        if self.samples:
            recipes["samples"] = build_samples(dict(self.samples), here)
        if self.classifier:
            recipes["classifier"] = build_classifier(dict(self.classifier), here)
        if self.generator:
            recipes["generator"] = build_recipe(GENERATORS, self.generator, "generator", here)
        return recipes

    def build_settings(self) -> ExplainSettings:
        """Return the settings; the initial ones if none were written."""
        return ExplainSettings.from_dict(self.settings) if self.settings else ExplainSettings()

    def to_json(self) -> str:
        """Return the state as JSON."""
        return json.dumps({"schema": SCHEMA, **to_plain(self)})

    @classmethod
    def from_json(cls, text: str) -> SessionState:
        """Read a state; keys that are not known here are ignored.

        Raises
        ------
        DataError
            If the text is no state.
        """
        try:
            values = parse_json(text)
        except ValueError as error:
            raise DataError(f"The state of the session cannot be read ({error}).") from error
        if not isinstance(values, Mapping):
            raise DataError("The state of the session cannot be read: it is no mapping.")
        names = {entry.name for entry in fields(cls)}
        return from_plain(cls, {name: values[name] for name in values if name in names})


def _selected_id(choices: Choices, results: Results) -> str:
    dataset, index = results.loaded_samples, choices.sample_index
    if dataset is None or index is None or not 0 <= index < len(dataset):
        return ""
    return dataset.sample_id(index)


def _plain_samples(source: Any) -> Plain | None:
    from napari_quac.batch.plan import plain_samples

    if source is None:
        return None
    try:
        return plain_samples(_absolute(samples_recipe(source)), None)
    except QuacError:  # in memory only
        return None


def _plain_classifier(recipe: Any) -> Plain | None:
    from napari_quac.batch.plan import plain_values
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    return plain_values(_absolute(recipe)) if isinstance(recipe, ClassifierRecipe) else None


def _plain_generator(recipe: Any) -> Plain | None:
    from napari_quac.batch.plan import plain_recipe
    from napari_quac.generators import GENERATORS

    if recipe is None:
        return None
    try:
        return plain_recipe(GENERATORS, _absolute(recipe), None, "generator")
    except QuacError:  # in memory only
        return None


def _absolute(recipe: Any) -> Any:
    from napari_quac.batch.plan import absolute, map_paths

    return map_paths(recipe, lambda path: absolute(path, Path()))


def _file_of(values: Any) -> str:
    """Return the first file or folder of a plain recipe, or its kind."""
    if not values:
        return ""
    for name in ("directory", "path", "volume", "paths"):
        entry = values.get(name)
        if isinstance(entry, list) and entry:
            entry = entry[0]
        if isinstance(entry, str):
            return entry
    translations = values.get("translations")
    return _file_of(translations[0]) if translations else str(values.get("kind", ""))


def _file_name(values: Any) -> str:
    return Path(_file_of(values)).name
