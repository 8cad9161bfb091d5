"""A plan: everything that a run needs to know, as one value and as one YAML file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from napari_quac.batch.experiment import experiment_values, is_experiment
from napari_quac.data import DATASETS
from napari_quac.data.links import is_elsewhere
from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.errors import DataError, QuacError
from napari_quac.explain.method_parameters import check_methods
from napari_quac.explain.settings import ExplainSettings, refuse_repetition
from napari_quac.generators import GENERATORS
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reading import read_yaml, reading_errors
from napari_quac.registry import Registry, unknown_name
from napari_quac.reports.store_info import SETTING_NAMES, migrate_settings
from napari_quac.serialize import abbreviated, from_plain, to_plain
from napari_quac.storage import write_file

SCHEMA = 2
KIND = "kind"
RECIPES = ("samples", "classifier", "generator")


@dataclass(frozen=True)
class BatchPlan:
    """Samples, networks and settings of a run, and the folder of its results.

    Attributes
    ----------
    samples : recipe
        One of the kinds in :data:`napari_quac.data.DATASETS`, with or without ``preprocessing``.
    classifier : ClassifierRecipe
    generator : recipe
        One of the kinds in :data:`napari_quac.generators.GENERATORS`.
    settings : ExplainSettings
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ...
    output : Path
        Folder of the results.
    only : tuple of str
        Ids of the samples to explain; empty for all of them.
    filter : str
        Filter of the dock that selected these samples, for people and for the dock.
    class_map : mapping of str to str
        Class of the classifier for classes of the generator; empty for one that is not used. The
        others are matched by name.
    notes : tuple of str
        Sentences about parts of an experiment of the QuAC library; not part of a plan file.

    Raises
    ------
    DataError, UnknownNameError
        If a method or one of its parameters is unknown or impossible, or a sample is repeated.
    """

    samples: Any
    classifier: ClassifierRecipe
    generator: Any
    settings: ExplainSettings = field(default_factory=ExplainSettings)
    device: str = "auto"
    output: Path = Path("explanations")
    only: tuple[str, ...] = ()
    filter: str = ""
    class_map: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", Path(self.output))
        object.__setattr__(self, "only", tuple(self.only))
        refuse_repetition("only", self.only)
        check_methods(self.settings)

    @classmethod
    def read(cls, path: str | Path) -> BatchPlan:
        """Read a plan; relative paths in it start at its own folder.

        Raises
        ------
        DataError
            If it cannot be read, or a value in it is impossible.
        UnknownNameError
            If a key, kind, class or method is unknown; the message names the nearest one.
        """
        path = Path(path)
        values = read_yaml(path)
        try:
            with reading_errors(path.name, "Correct it."):
                return cls.from_plain(values, path.parent)
        except QuacError as error:
            raise type(error)(f"The plan '{path}' cannot be used. {error}") from error

    @classmethod
    def from_plain(cls, values: Any, base: str | Path = ".") -> BatchPlan:
        """Build a plan from plain values, as in a plan file of this or an earlier schema.

        An experiment of the QuAC library (``ExperimentConfig``) becomes a plan, too.

        Parameters
        ----------
        values : mapping
            Content of the file. Without ``schema``, settings at the top are those of schema 1.
        base : path
            Folder at which relative paths start.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"A plan consists of settings with values, got {abbreviated(values)}.")
        values, base = dict(values), Path(base)
        if is_experiment(values):
            entries, notes = experiment_values(values, base)
            return cls(**entries, notes=notes)
        is_flat = "settings" not in values and any(name in values for name in SETTING_NAMES)
        schema = values.pop("schema", 1 if is_flat else SCHEMA)
        if schema == 1:
            values = migrate_settings(values)
        elif schema != SCHEMA:
            message = f"It has schema {abbreviated(schema)}, not 1 to {SCHEMA}. Update napari-quac."
            raise DataError(message)
        types = {key: kind for key, kind in get_type_hints(cls).items() if key != "notes"}
        for key in values:
            if key in SETTING_NAMES:
                raise DataError(f"'{key}' stands at the top of the plan. Move it below 'settings'.")
            if key not in types:
                raise unknown_name("setting", str(key), [*types, *SETTING_NAMES])
        for name in RECIPES:
            if name not in values:
                raise DataError(f"'{name}' is missing.")
        samples = build_samples(values.pop("samples"), base)
        generator = build_recipe(GENERATORS, values.pop("generator"), "generator", base)
        classifier = build_classifier(values.pop("classifier"), base)
        settings = ExplainSettings.from_dict(values.pop("settings", {}))
        options = {key: from_plain(types[key], entry, key) for key, entry in values.items()}
        output = absolute(options.pop("output", cls.output), base)
        return cls(samples, classifier, generator, settings, output=output, **options)

    def write(self, path: str | Path) -> None:
        """Write the plan; paths below its folder become relative to it.

        Raises
        ------
        DataError
            If samples or networks exist in memory only, or the file cannot be written.
        """
        path = Path(path)
        values = self.plain(Path(os.path.abspath(path.parent)))
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        write_file(path, text.encode())

    def plain(self, base: Path | None = None) -> dict[str, Any]:
        """Return the plan as the plain values of a plan file.

        Parameters
        ----------
        base : Path, optional
            Paths below this folder become relative to it.

        Raises
        ------
        DataError
            If samples or networks exist in memory only.
        """
        if not isinstance(self.classifier, ClassifierRecipe):
            raise DataError("The classifier exists in memory only; a plan needs its file.")
        return {
            "schema": SCHEMA,
            "samples": plain_samples(self.samples, base),
            "classifier": plain_values(self.classifier, base),
            "generator": plain_recipe(GENERATORS, self.generator, base, "generator"),
            "settings": self.settings.to_dict(),
            **({"class_map": dict(self.class_map)} if self.class_map else {}),
            "device": self.device,
            "output": relative(self.output, base).as_posix(),
            **({"only": list(self.only)} if self.only else {}),
            **({"filter": self.filter} if self.filter else {}),
        }


def build_classifier(values: Any, base: Path) -> ClassifierRecipe:
    """Build the recipe of the classifier; ``value_range`` is short for a preprocessing."""
    if isinstance(values, Mapping) and values.get("value_range") is not None:
        steps = {"value_range": values["value_range"], **(values.get("preprocessing") or {})}
        values = {**values, "preprocessing": steps}
        del values["value_range"]
    recipe: ClassifierRecipe = build(ClassifierRecipe, values, "classifier", base)
    return recipe


def build_samples(values: Any, base: Path) -> Any:
    """Build the recipe of samples, with or without ``preprocessing`` (``fit`` in schema 1)."""
    if not isinstance(values, Mapping) or not {"preprocessing", "fit"} & set(values):
        return build_recipe(DATASETS, values, "samples", base)
    source = dict(values)
    changes = next(source.pop(key) for key in ("preprocessing", "fit") if key in source)
    if isinstance(changes, Mapping) and "size" in changes:  # as before schema 2 was extended
        changes = dict(changes)
        mode = changes.pop("mode", changes.pop("how", "resize"))
        changes["crop" if mode == "crop" else "resize"] = changes.pop("size")
    preprocessing = build(Preprocessing, changes, "samples.preprocessing", base)
    return PreprocessedRecipe(build_recipe(DATASETS, source, "samples", base), preprocessing)


def plain_samples(samples: Any, base: Path | None) -> dict[str, Any]:
    """Return a recipe of samples as plain values; see :func:`plain_recipe`."""
    if not isinstance(samples, PreprocessedRecipe):
        return plain_recipe(DATASETS, samples, base, "samples")
    source = plain_samples(samples.source, base)
    if "preprocessing" in source:
        raise DataError("The samples are preprocessed twice. Undo one preprocessing.")
    return {**source, "preprocessing": plain_values(samples.preprocessing)}


def build(cls: type, values: Any, place: str, base: Path) -> Any:
    """Build a recipe from plain values.

    Parameters
    ----------
    cls : type
        A dataclass whose field types can be read at run time.
    values : mapping
        Field to value, as in a plan file.
    place : str
        Position in the file for error messages, such as ``"classifier"``.
    base : Path
        Folder at which relative paths start.

    Raises
    ------
    DataError
        If a value is missing or has the wrong type.
    UnknownNameError
        If a key is unknown; the message names the nearest one.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"'{place}' needs settings below it, got {abbreviated(values)}.")
    _refuse_unknown(cls, values, place)
    return map_paths(from_plain(cls, values, place), lambda path: absolute(path, base))


def build_recipe(registry: Registry, values: Any, place: str, base: Path) -> Any:
    """Build the recipe that ``kind`` names.

    Raises
    ------
    DataError, UnknownNameError
        As for :func:`build`; also if the kind is missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"'{place}' needs a '{KIND}' and settings, got {abbreviated(values)}.")
    if KIND not in values:
        kinds = ", ".join(registry.names())
        raise DataError(f"'{place}.{KIND}' is missing. Choose one of: {kinds}.")
    recipe = registry[str(values[KIND])]
    settings = {key: entry for key, entry in values.items() if key != KIND}
    settings = _with_current_names(settings, getattr(recipe, "former_fields", {}))
    return build(recipe, settings, place, base)


def _with_current_names(values: Any, former: Mapping[str, str]) -> Any:
    if isinstance(values, Mapping):
        entries = values.items()
        return {former.get(key, key): _with_current_names(entry, former) for key, entry in entries}
    if isinstance(values, list | tuple):
        return [_with_current_names(entry, former) for entry in values]
    return values


def plain_recipe(registry: Registry, recipe: Any, base: Path | None, place: str) -> dict[str, Any]:
    """Return a recipe as plain values, with its kind.

    Raises
    ------
    DataError
        If no kind of the registry describes it, such as images of a layer in memory.
    """
    for kind in registry:
        if registry[kind] is type(recipe):
            return {KIND: kind, **plain_values(recipe, base)}
    raise DataError(
        f"The {place} cannot be written into a plan: they exist in memory only "
        f"({type(recipe).__name__}). Choose files or a folder."
    )


def plain_values(recipe: Any, base: Path | None = None) -> dict[str, Any]:
    """Return the fields that differ from their defaults; paths below ``base`` become relative.

    A recipe can name fields that are always stated, as ``explicit``.
    """
    explicit = getattr(recipe, "explicit", ())
    plain = to_plain(map_paths(recipe, lambda path: relative(path, base)))
    return {
        entry.name: plain[entry.name]
        for entry in fields(recipe)
        if entry.name in explicit or getattr(recipe, entry.name) != _default(entry)
    }


def map_paths(node: Any, change: Callable[[Path], Path]) -> Any:
    """Return a recipe with each of its paths changed."""
    if isinstance(node, Path):
        return change(node)
    if isinstance(node, tuple):
        return tuple(map_paths(entry, change) for entry in node)
    if is_dataclass(node) and not isinstance(node, type):
        names = [entry.name for entry in fields(node) if entry.init]
        return replace(node, **{name: map_paths(getattr(node, name), change) for name in names})
    return node


def absolute(path: Path, base: Path) -> Path:
    """Return a path that starts at a folder, without ``..`` and ``~``.

    Raises
    ------
    DataError
        If a file in this folder names another machine, which is not contacted.
    """
    if base != Path() and is_elsewhere(path, base):
        raise DataError(
            f"'{path}' is on another machine, which was not contacted. Assign a drive letter to "
            "it, and write that into the file."
        )
    return Path(os.path.abspath(base / path.expanduser()))


def relative(path: Path, base: Path | None) -> Path:
    """Return a path below a folder as relative to it, and any other path unchanged."""
    is_inside = base is not None and path.is_absolute() and path.is_relative_to(base)
    return path.relative_to(base) if is_inside and base is not None else path


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _refuse_unknown(cls: type, values: Mapping[str, Any], place: str) -> None:
    """Refuse keys that are not fields, for recipes of packages that do not refuse them."""
    names, types = [entry.name for entry in fields(cls)], get_type_hints(cls)
    for key, entry in values.items():
        if key not in names:
            raise unknown_name(f"setting of '{place}'", str(key), names)
        for kind in (types[key], *get_args(types[key])):
            if isinstance(kind, type) and is_dataclass(kind) and isinstance(entry, Mapping):
                _refuse_unknown(kind, entry, f"{place}.{key}")
