"""A plan: everything that a run needs to know, as one value and as one YAML file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from napari_quac.batch.plan_values import (
    build,
    build_recipe,
    checked,
    plain_recipe,
    plain_values,
    rebased,
    shown,
)
from napari_quac.data import DATASETS
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.data.recipes import PreprocessedRecipe
from napari_quac.errors import DataError, QuacError
from napari_quac.explain.mask import Masking
from napari_quac.explain.method_parameters import MethodParameters, build_method
from napari_quac.explain.procedure import Grid
from napari_quac.explain.settings import (
    ALL,
    AUTO,
    DEFAULT_METHODS,
    ExplainSettings,
    SearchSettings,
    SourceBasis,
)
from napari_quac.generators import GENERATORS
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.registry import unknown_name

SCHEMA = 1
RECIPES = ("samples", "classifier", "generator")


@dataclass(frozen=True)
class BatchPlan:
    """What is explained, by which networks, how, and where the results go.

    Attributes
    ----------
    samples : recipe
        One of the kinds in :data:`napari_quac.data.DATASETS`, or one of them with ``fit``.
    classifier : ClassifierRecipe
    generator : recipe
        One of the kinds in :data:`napari_quac.generators.GENERATORS`.
    targets : "auto", "all", or class names
        The most useful question about each sample, every other class, or the named ones.
    source_basis : "prediction", "label" or None
        Where the source comes from; None for the label where images were generated earlier, whose
        folders the label names, and for the prediction otherwise.
    methods : tuple of str
    parameters : mapping
        Of methods, where they differ from the defaults.
    masking : Masking
    grid : "quac_0_2" or "corrected"
    search : SearchSettings
    seed : int
        Of the whole; each sample and target derives its own, whatever the order of the work.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ...
    output : Path
        Folder of the results.
    only : tuple of str
        Ids of the samples that are explained; empty for all of them.
    filter : str
        How these were chosen in the dock, for people; the dock shows it again.

    Raises
    ------
    DataError, UnknownNameError
        If a value is impossible.
    """

    samples: Any
    classifier: ClassifierRecipe
    generator: Any
    targets: str | tuple[str, ...] = AUTO
    source_basis: SourceBasis | None = None
    methods: tuple[str, ...] = DEFAULT_METHODS
    parameters: MethodParameters = field(default_factory=dict)
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    search: SearchSettings = field(default_factory=SearchSettings)
    seed: int = 0
    device: str = "auto"
    output: Path = Path("explanations")
    only: tuple[str, ...] = ()
    filter: str = ""

    def __post_init__(self) -> None:
        targets = self.targets
        if isinstance(targets, str) and targets not in (AUTO, ALL):
            targets = (targets,)
        if not targets:
            raise DataError("'targets' is empty. Choose auto, all, or names of classes.")
        object.__setattr__(self, "targets", targets if isinstance(targets, str) else tuple(targets))
        object.__setattr__(self, "methods", tuple(self.methods))
        object.__setattr__(self, "output", Path(self.output))
        if not self.methods:
            raise DataError("'methods' is empty. 'napari-quac methods' lists what there is.")
        for key in ("methods", "targets", "only"):
            refuse_twice(key, getattr(self, key))
        for name in self.methods:
            build_method(name, self.parameters)
        for name in self.parameters:
            if name not in self.methods:
                raise unknown_name("method with parameters called", name, list(self.methods))
        for name in ("max_tries", "block"):
            if getattr(self.search, name) < 1:
                raise DataError(
                    f"'search.{name}' is {getattr(self.search, name)}; at least 1 is needed."
                )

    @property
    def settings(self) -> ExplainSettings:
        """Settings of the explanations."""
        return ExplainSettings(
            self.methods,
            self.masking,
            self.grid,
            self.search,
            self.parameters,
            source_basis=self.source_basis or "auto",
            targets=self.targets,
            seed=self.seed,
        )

    @classmethod
    def read(cls, path: str | Path) -> BatchPlan:
        """Read a plan; relative paths in it start at its own folder.

        Raises
        ------
        DataError
            If it cannot be read, or a value in it is impossible.
        UnknownNameError
            If there is no such setting, kind, class or method; the nearest one is named.
        """
        path = Path(path)
        try:
            values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
        except OSError as error:
            raise DataError(f"The plan '{path}' cannot be read ({error.strerror}).") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"The plan '{path}' is no YAML file: {reason}.") from error
        try:
            return cls.from_plain(values, path.parent)
        except QuacError as error:
            raise type(error)(f"The plan '{path}' cannot be used. {error}") from error

    @classmethod
    def from_plain(cls, values: Any, base: str | Path = ".") -> BatchPlan:
        """Return the plan of plain values, as in a plan file.

        Parameters
        ----------
        values : mapping
            What the file holds.
        base : path
            Folder at which relative paths start.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"A plan consists of settings with values, got {shown(values)}.")
        values, base = dict(values), Path(base)
        schema = values.pop("schema", SCHEMA)
        if schema != SCHEMA:
            raise DataError(
                f"It is of format {shown(schema)}; this version of napari-quac knows {SCHEMA}. "
                "Update napari-quac."
            )
        known = [entry.name for entry in fields(cls) if entry.name != "parameters"]
        for key in values:
            if key not in known:
                raise unknown_name("setting called", str(key), known)
        for name in RECIPES:
            if name not in values:
                raise DataError(f"'{name}' is missing.")
        samples = _samples(values.pop("samples"), base)
        generator = build_recipe(GENERATORS, values.pop("generator"), "generator", base)
        classifier = rebased(build(ClassifierRecipe, values.pop("classifier"), "classifier"), base)
        methods, parameters = _methods(values.pop("methods", list(DEFAULT_METHODS)))
        given = {
            "masking": build(Masking, values.pop("masking", {}), "masking"),
            "search": build(SearchSettings, values.pop("search", {}), "search"),
        }
        output = checked(Path, values.pop("output", "explanations"), "output").expanduser()
        given |= {key: checked(_TYPES[key], value, key) for key, value in values.items()}
        output = Path(os.path.abspath(base / output))
        return cls(
            samples, classifier, generator, methods=methods, parameters=parameters,
            output=output, **given,
        )  # fmt: skip

    def write(self, path: str | Path) -> None:
        """Write the plan; paths below its folder become relative to it.

        Raises
        ------
        DataError
            If samples or networks exist in memory only, or the file cannot be written.
        """
        path = Path(path)
        text = yaml.safe_dump(
            self.plain(Path(os.path.abspath(path.parent))), sort_keys=False, allow_unicode=True
        )
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(f"'{path}' cannot be written ({error.strerror}).") from error

    def plain(self, base: Path | None = None) -> dict[str, Any]:
        """Return it as the plain values of a plan file.

        Parameters
        ----------
        base : Path, optional
            Folder at which paths start that lie below it.
        """
        values = plain_values(self, base)
        values["samples"] = _plain_samples(self.samples, base)
        values["generator"] = plain_recipe(GENERATORS, self.generator, base, "generator")
        values["classifier"] = plain_values(self.classifier, base)
        parameters = values.pop("parameters", {})
        values["methods"] = [
            {name: dict(parameters[name])} if parameters.get(name) else name
            for name in self.methods
        ]
        values["seed"] = self.seed
        values["output"] = plain_values(_Output(self.output), base)["path"]
        order = [entry.name for entry in fields(self)]
        return {"schema": SCHEMA, **{key: values[key] for key in order if key in values}}


@dataclass(frozen=True)
class _Output:
    path: Path


_TYPES: dict[str, Any] = {
    "targets": str | tuple[str, ...],
    "source_basis": Literal["prediction", "label"] | None,
    "grid": Grid,
    "seed": int,
    "device": str,
    "only": tuple[str, ...],
    "filter": str,
}


_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, if there


class _Loader(_BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads plain values alone, and refuses a key that is given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping after a look at its keys."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _samples(values: Any, base: Path) -> Any:
    """Return the recipe of samples, with or without ``preprocessing`` (earlier called ``fit``)."""
    if isinstance(values, Mapping) and "fit" in values:
        values = {"preprocessing" if key == "fit" else key: value for key, value in values.items()}
    if not isinstance(values, Mapping) or "preprocessing" not in values:
        return build_recipe(DATASETS, values, "samples", base)
    changes = values["preprocessing"]
    if isinstance(changes, Mapping) and "how" in changes:
        changes = {"mode" if key == "how" else key: value for key, value in changes.items()}
    preprocessing = build(Preprocessing, changes, "samples.preprocessing")
    rest = {key: value for key, value in values.items() if key != "preprocessing"}
    return PreprocessedRecipe(build_recipe(DATASETS, rest, "samples", base), preprocessing)


def _plain_samples(samples: Any, base: Path | None) -> dict[str, Any]:
    if isinstance(samples, PreprocessedRecipe):
        source = _plain_samples(samples.source, base)
        if "preprocessing" in source:
            raise DataError("The samples are preprocessed twice. Undo one preprocessing.")
        return {**source, "preprocessing": plain_values(samples.preprocessing)}
    return plain_recipe(DATASETS, samples, base, "samples")


def refuse_twice(key: str, values: str | tuple[str, ...]) -> None:
    """Refuse a list that names something twice."""
    if isinstance(values, tuple) and len(set(values)) < len(values):
        again = next(value for value, n in Counter(values).items() if n > 1)
        raise DataError(f"'{key}' names '{again}' twice. Name it once.")


def _methods(values: Any) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """Return names and parameters of ``[a, {b: {n_steps: 20}}]`` or ``{a: , b: {n_steps: 20}}``."""
    if isinstance(values, str):
        values = [values]
    items = [values] if isinstance(values, Mapping) else values
    if not isinstance(items, list):
        raise DataError(f"'methods' is {shown(values)}: a list of names is needed.")
    names: list[str] = []
    parameters: dict[str, dict[str, Any]] = {}
    for item in items:
        given = item if isinstance(item, Mapping) else {item: None}
        for name, settings in given.items():
            names.append(str(name))
            if settings is not None and not isinstance(settings, Mapping):
                raise DataError(f"'methods.{name}' needs parameters, got {shown(settings)}.")
            if settings:
                parameters[str(name)] = dict(settings)
    return tuple(names), parameters
