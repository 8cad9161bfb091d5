"""The description of a store: networks, classes and settings of all its explanations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_quac import __version__
from napari_quac.data.assumptions import assumptions_of
from napari_quac.errors import DataError, QuacError
from napari_quac.explain.procedure import Grid
from napari_quac.explain.settings import AUTO, ExplainSettings
from napari_quac.reading import WRONG_KINDS, as_mapping, is_regular_file, read_json
from napari_quac.serialize import to_plain

if TYPE_CHECKING:
    from torch import nn

    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator

FORMAT = "napari-quac explanations"
INFO = "store.json"
"""File name of the description."""
SCHEMA = 2
SETTING_NAMES = tuple(entry.name for entry in fields(ExplainSettings))
DEFAULT_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random")
"""Methods of a plan of schema 1 that names none."""


@dataclass(frozen=True)
class NetworkIdentity:
    """Name and hashes of a network.

    Attributes
    ----------
    name : str
    sha256 : mapping of str to str
        Hash of each file of the network, by the field of its recipe that names the file.
    """

    name: str
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreInfo:
    """Networks, classes and settings of all explanations of a store.

    Attributes
    ----------
    class_names : tuple of str
        Of the classifier.
    classifier, generator : NetworkIdentity
    settings : ExplainSettings
        The source basis is ``"prediction"`` or ``"label"``.
    samples : str
        Name of the dataset, for people.
    plan : mapping or None
        The plan, where there was one.
    preprocessing : str
        From the images to the classifier, in words.
    assumptions : tuple of str
        Sentences about what neither the files nor the user state.
    class_map : mapping of str to str
        Class of the classifier for each class of the generator; empty for one that is not used.
    agreement : mapping or None
        Agreement of the classifier with the labels of the samples; see
        :func:`~napari_quac.explain.agreement_text.summarize`.
    version : str
        Version of the package that created the store.
    schema : int
        Of the description on disk.
    """

    class_names: tuple[str, ...]
    classifier: NetworkIdentity
    generator: NetworkIdentity
    settings: ExplainSettings = field(default_factory=ExplainSettings)
    samples: str = ""
    plan: Mapping[str, Any] | None = None
    preprocessing: str = ""
    assumptions: tuple[str, ...] = ()
    class_map: Mapping[str, str] = field(default_factory=dict)
    agreement: Mapping[str, Any] | None = None
    version: str = __version__
    schema: int = SCHEMA

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        generator: Generator | None,
        recipe: Any,
        settings: ExplainSettings,
        samples: str = "",
        plan: Mapping[str, Any] | None = None,
        dataset: Any = None,
    ) -> StoreInfo:
        """Describe explanations that live networks will make.

        Parameters
        ----------
        classifier : Classifier
            The classifier under study.
        generator : Generator or None
            Its name is that of the description.
        recipe : recipe
            Of the generator; its files are hashed.
        settings : ExplainSettings
            Its source basis is resolved for the generator.
        samples : str
            Name of the dataset.
        plan : mapping, optional
            The plan as plain values.
        dataset : Dataset, optional
            The assumptions about it and its labels stand beside those about the networks.
        """
        from napari_quac.explain.labels import match_labels
        from napari_quac.explain.question import resolve_source_basis
        from napari_quac.networks.class_match import match_classes

        basis = resolve_source_basis(settings.source_basis, generator or recipe)
        hashes = {"path": classifier.sha256} if classifier.sha256 else {}
        labels = match_labels(dataset.classes, classifier) if dataset is not None else None
        match = match_classes(generator, classifier.class_names) if generator is not None else None
        sources = (classifier, generator, dataset, labels, match)
        assumptions = [entry for source in sources for entry in assumptions_of(source)]
        return cls(
            class_names=tuple(classifier.class_names),
            classifier=NetworkIdentity(classifier.name, hashes),
            generator=identify(recipe, getattr(generator, "name", "")),
            settings=replace(settings, source_basis=basis),
            samples=samples,
            plan=plan,
            preprocessing=str(classifier.preprocessing),
            assumptions=tuple(dict.fromkeys(map(str, assumptions))),
            class_map=match.as_map if match is not None else {},
        )

    def plain(self) -> dict[str, Any]:
        """Return the description as JSON-ready values."""
        return {"format": FORMAT, **to_plain(self)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> StoreInfo:
        """Read plain values of this or an earlier schema; unknown keys of a later one are ignored.

        Raises
        ------
        DataError
            If they do not describe a store.
        """
        if as_mapping(values).get("format") != FORMAT:
            raise DataError("it does not describe explanations of napari-quac")
        try:
            schema = int(values.get("schema", 1))
            values = migrate_settings(values) if schema == 1 else values
            settings = values["settings"]
            if schema > SCHEMA:
                settings = _without_unknown_keys(settings, ExplainSettings().to_dict())
            _check_kinds(values)
            return cls(
                class_names=tuple(values["class_names"]),
                classifier=NetworkIdentity(**values["classifier"]),
                generator=_generator_identity(**values["generator"]),
                settings=ExplainSettings.from_dict(settings),
                samples=values.get("samples", ""),
                plan=values.get("plan"),
                preprocessing=values.get("preprocessing", ""),
                assumptions=tuple(values.get("assumptions", ())),
                class_map=dict(values.get("class_map") or {}),
                agreement=values.get("agreement"),
                version=values.get("version", ""),
                schema=schema,
            )
        except (*WRONG_KINDS, QuacError) as error:
            raise DataError(f"its description lacks something ({error!r})") from error

    def differences(self, other: StoreInfo) -> list[str]:
        """Return the reasons why explanations would differ, such as ``seed 0, not 1``.

        Names and folders of network files do not count where their hashes are equal, nor do
        targets: one store may hold explanations towards several.
        """
        reasons = []
        for role in ("classifier", "generator"):
            network, other_network = getattr(self, role), getattr(other, role)
            if dict(network.sha256) != dict(other_network.sha256):
                names = f"'{network.name}', not '{other_network.name}'"
                reasons.append(f"the {role} is another file ({names})")
        if self.class_names != other.class_names:
            classes, other_classes = _text([*self.class_names]), _text([*other.class_names])
            reasons.append(f"class names {classes}, not {other_classes}")
        maps = (self.class_map, other.class_map)
        if all(maps) and dict(maps[0]) != dict(maps[1]):
            reasons.append("classes of the generator {}, not {}".format(*map(_map_text, maps)))
        stated = {self.preprocessing, other.preprocessing} - {""}  # older stores state none
        if len(stated) > 1:
            reasons.append(f"preprocessing {self.preprocessing}, not {other.preprocessing}")
        settings, other_settings = (replace(info.settings, targets=AUTO) for info in (self, other))
        if settings != other_settings:
            plain, other_plain = settings.to_dict(), other_settings.to_dict()
            reasons += [
                f"{key.replace('_', ' ')} {_text(plain[key])}, not {_text(other_plain[key])}"
                for key in plain
                if plain[key] != other_plain[key]
            ]
        return reasons


def identify(recipe: Any, name: str = "") -> NetworkIdentity:
    """Return the name and the hashes of a network.

    Parameters
    ----------
    recipe : recipe or generator
        The files of a recipe are hashed, or the weights of a generator without a recipe. A folder,
        such as one of previously generated images, has no hash; the hash of each generated image is
        part of its record.
    name : str
        By default the name of the first file.
    """
    # slow to import, and not needed to recognize a store
    from torch import nn

    from napari_quac.networks.formats.containers import network_hash, weights_path

    keys = [f.name for f in fields(recipe)] if is_dataclass(recipe) else []
    files = {key: path for key in keys if isinstance(path := getattr(recipe, key), Path)}
    hashes = {
        key: network_hash(path)
        for key, path in files.items()
        if is_regular_file(weights_path(path))
    }
    if not files:
        parts = getattr(recipe, "__dict__", {}).items()
        hashes = {key: _weights_hash(part) for key, part in parts if isinstance(part, nn.Module)}
    first = next((path.name for path in files.values()), type(recipe).__name__)
    return NetworkIdentity(name or first, hashes)


def _check_kinds(values: Mapping[str, Any]) -> None:
    """Refuse a description with a part of another kind."""
    names = values["class_names"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("class_names is no list of names")
    for key in ("samples", "preprocessing", "version"):
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"{key} is no text")
    for key in ("plan", "agreement", "class_map"):
        if not isinstance(values.get(key), Mapping | None):
            raise ValueError(f"{key} is no mapping")
    if not all(isinstance(text, str) for text in values.get("assumptions", ())):
        raise ValueError("assumptions are no sentences")
    for role in ("classifier", "generator"):
        network = values[role]
        hashes = as_mapping(network.get("sha256", {}))
        texts = (network["name"], *hashes, *hashes.values())
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{role} names no file")


def _generator_identity(name: str, sha256: Mapping[str, str]) -> NetworkIdentity:
    """Return the identity in a store; recipes of schema 1 named their file ``checkpoint``."""
    hashes = {"path" if key == "checkpoint" else key: text for key, text in sha256.items()}
    return NetworkIdentity(name, hashes)


def _weights_hash(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def migrate_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Move the flat settings of schema 1, of a plan or a store, below ``settings``.

    Parameters
    ----------
    values : mapping
        Content of the file. Methods are ``[a, {b: {n_steps: 20}}]`` or
        ``{a: , b: {n_steps: 20}}``.

    Raises
    ------
    DataError
        If methods are neither a list nor a mapping.
    """
    flat = {name: values[name] for name in SETTING_NAMES if values.get(name) is not None}
    methods, parameters = _split_methods(flat.get("methods", DEFAULT_METHODS))
    parameters = {**flat.get("parameters", {}), **{k: v for k, v in parameters.items() if v}}
    flat["parameters"] = {name: parameters[name] for name in methods if parameters.get(name)}
    if flat.get("targets") == "chosen":  # samples that were selected by hand, each with a target
        flat["targets"] = list(values["class_names"])
    others = {key: value for key, value in values.items() if key not in SETTING_NAMES}
    return {**others, "settings": {**flat, "methods": methods}}


def _split_methods(methods: Any) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    """Return the names of methods, and their parameters."""
    entries = [methods] if isinstance(methods, str | Mapping) else methods
    if not isinstance(entries, list | tuple):
        raise DataError(f"'methods' is '{entries}': a list of names is needed.")
    names: list[str] = []
    parameters: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        for name, values in (entry if isinstance(entry, Mapping) else {entry: None}).items():
            names.append(str(name))
            if values is not None and not isinstance(values, Mapping):
                raise DataError(f"'methods.{name}' needs parameters, got '{values}'.")
            parameters[str(name)] = values or {}
    return names, parameters


def rescue_info(records: Path) -> StoreInfo | None:
    """Describe a store, whose description is damaged, by its records; None if all are damaged.

    Classes, methods, seed and grid are those of the first record; the networks are unknown.
    """
    from napari_quac.explain.curve import threshold_grid

    for path in sorted(records.glob("*.json")):
        try:
            record = read_json(path)
            lengths = {numbers["curve"]["n_thresholds"] for numbers in record["methods"].values()}
            grids = [g for g in get_args(Grid) if {len(threshold_grid(g))} == lengths]
            preset = ExplainSettings.from_preset(record.get("preset") or "quac")
            settings = replace(
                preset.with_methods(tuple(record["methods"])),
                grid=grids[0] if grids else preset.grid,
                seed=int(record["seed"]),
            )
            unknown = NetworkIdentity("unknown")
            return StoreInfo(tuple(map(str, record["classes"])), unknown, unknown, settings)
        except (*WRONG_KINDS, QuacError):
            continue
    return None


def _without_unknown_keys(values: Any, template: Any) -> Any:
    if not template or not isinstance(values, Mapping) or not isinstance(template, Mapping):
        return values
    keys = [key for key in values if key in template]
    return {key: _without_unknown_keys(values[key], template[key]) for key in keys}


def _map_text(class_map: Mapping[str, str]) -> str:
    return ", ".join(f"{name} → {partner or 'not used'}" for name, partner in class_map.items())


def _text(setting: Any) -> str:
    if isinstance(setting, list):
        return ", ".join(map(str, setting)) or "none"
    if isinstance(setting, dict):
        return ", ".join(f"{key} {entry}" for key, entry in setting.items()) or "defaults"
    return str(setting)
