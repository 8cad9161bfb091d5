"""A plan: everything that a run needs to know, as one value and as one YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from napari_quac.batch.plan_values import (
    absolute,
    build,
    build_recipe,
    plain_recipe,
    plain_values,
    relative,
)
from napari_quac.data import DATASETS
from napari_quac.data.preprocessing import PreprocessedRecipe, Preprocessing
from napari_quac.errors import DataError, QuacError
from napari_quac.explain.method_parameters import check_methods
from napari_quac.explain.settings import ExplainSettings, refuse_repetition
from napari_quac.generators import GENERATORS
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.registry import unknown_name
from napari_quac.reports.store_info import SETTING_NAMES, migrate_settings
from napari_quac.serialize import abbreviated, from_plain

SCHEMA = 2
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
        try:
            values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
        except OSError as error:
            raise DataError(f"The plan '{path}' cannot be read ({error.strerror}).") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"The plan '{path}' is not a YAML file: {reason}.") from error
        try:
            return cls.from_plain(values, path.parent)
        except QuacError as error:
            raise type(error)(f"The plan '{path}' cannot be used. {error}") from error

    @classmethod
    def from_plain(cls, values: Any, base: str | Path = ".") -> BatchPlan:
        """Build a plan from plain values, as in a plan file of this or an earlier schema.

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
        is_flat = "settings" not in values and any(name in values for name in SETTING_NAMES)
        schema = values.pop("schema", 1 if is_flat else SCHEMA)
        if schema == 1:
            values = migrate_settings(values)
        elif schema != SCHEMA:
            raise DataError(
                f"It has schema {abbreviated(schema)}; this version of napari-quac reads schemas "
                f"up to {SCHEMA}. Update napari-quac."
            )
        types = get_type_hints(cls)
        for key in values:
            if key in SETTING_NAMES:
                raise DataError(f"'{key}' stands at the top of the plan. Move it below 'settings'.")
            if key not in types:
                raise unknown_name("setting", str(key), [*types, *SETTING_NAMES])
        for name in RECIPES:
            if name not in values:
                raise DataError(f"'{name}' is missing.")
        samples = _build_samples(values.pop("samples"), base)
        generator = build_recipe(GENERATORS, values.pop("generator"), "generator", base)
        classifier = build(ClassifierRecipe, values.pop("classifier"), "classifier", base)
        settings = ExplainSettings.from_dict(values.pop("settings", {}))
        options = {key: from_plain(types[key], value, key) for key, value in values.items()}
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
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(f"'{path}' cannot be written ({error.strerror}).") from error

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
            "samples": _plain_samples(self.samples, base),
            "classifier": plain_values(self.classifier, base),
            "generator": plain_recipe(GENERATORS, self.generator, base, "generator"),
            "settings": self.settings.to_dict(),
            "device": self.device,
            "output": relative(self.output, base).as_posix(),
            **({"only": list(self.only)} if self.only else {}),
            **({"filter": self.filter} if self.filter else {}),
        }


_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if installed


class _Loader(_BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML loader of plain values that refuses repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping after a check of its keys."""
        keys = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' is there twice", key.start_mark
                )
            keys.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _build_samples(values: Any, base: Path) -> Any:
    """Build the recipe of samples, with or without ``preprocessing`` (``fit`` in schema 1)."""
    if not isinstance(values, Mapping) or not {"preprocessing", "fit"} & set(values):
        return build_recipe(DATASETS, values, "samples", base)
    source = dict(values)
    changes = next(source.pop(key) for key in ("preprocessing", "fit") if key in source)
    if isinstance(changes, Mapping):
        changes = {"mode" if key == "how" else key: value for key, value in changes.items()}
    preprocessing = build(Preprocessing, changes, "samples.preprocessing", base)
    return PreprocessedRecipe(build_recipe(DATASETS, source, "samples", base), preprocessing)


def _plain_samples(samples: Any, base: Path | None) -> dict[str, Any]:
    if not isinstance(samples, PreprocessedRecipe):
        return plain_recipe(DATASETS, samples, base, "samples")
    source = _plain_samples(samples.source, base)
    if "preprocessing" in source:
        raise DataError("The samples are preprocessed twice. Undo one preprocessing.")
    return {**source, "preprocessing": plain_values(samples.preprocessing)}
