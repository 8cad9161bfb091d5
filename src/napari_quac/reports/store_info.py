"""What holds for a whole store: whose explanations they are, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from napari_quac import __version__
from napari_quac.errors import DataError
from napari_quac.explain.mask import Masking
from napari_quac.explain.procedure import Grid
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.file_kind import file_hash
from napari_quac.reports.record import plain

FORMAT = "napari-quac explanations"
DECISIVE = (
    "class_names",
    "methods",
    "parameters",
    "masking",
    "grid",
    "search",
    "seed",
    "source_basis",
)
SCHEMA = 1


@dataclass(frozen=True)
class NetworkIdentity:
    """Which network it was.

    Attributes
    ----------
    name : str
    sha256 : mapping of str to str
        Hash of each file it was loaded from, by the field of its recipe that names the file.
    """

    name: str
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreInfo:
    """What holds for all explanations of a store.

    Attributes
    ----------
    class_names : tuple of str
        Of the classifier.
    classifier, generator : NetworkIdentity
    methods : tuple of str
    parameters : mapping
        Of the methods, where they differ from the defaults.
    masking : Masking
    grid : "quac_0_2" or "corrected"
    search : mapping
        Settings of the search.
    seed : int
    targets : str or list of str
        ``"auto"``, ``"all"``, class names, or ``"chosen"`` where samples were picked by hand.
    source_basis : str
    samples : str
        Where the samples are from, for people.
    plan : mapping or None
        The plan, where there was one.
    version : str
        Of the package that wrote it.
    schema : int
    """

    class_names: tuple[str, ...]
    classifier: NetworkIdentity
    generator: NetworkIdentity
    methods: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    search: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    targets: str | tuple[str, ...] = "chosen"
    source_basis: str = "prediction"
    samples: str = ""
    plan: Mapping[str, Any] | None = None
    version: str = __version__
    schema: int = SCHEMA

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        generator: NetworkIdentity,
        settings: ExplainSettings,
        seed: int,
        **more: Any,
    ) -> StoreInfo:
        """Return what holds for explanations that are made with live networks.

        Parameters
        ----------
        classifier : Classifier
            The classifier under study.
        generator : NetworkIdentity
            See :func:`identify`.
        settings : ExplainSettings
            What is computed.
        seed : int
            Of the whole piece of work.
        **more
            ``targets``, ``source_basis``, ``samples``, ``plan``.
        """
        sha256 = {"path": classifier.sha256} if classifier.sha256 else {}
        return cls(
            class_names=tuple(classifier.class_names),
            classifier=NetworkIdentity(classifier.name, sha256),
            generator=generator,
            methods=settings.methods,
            parameters={name: dict(given) for name, given in settings.parameters.items() if given},
            masking=settings.masking,
            grid=settings.grid,
            search=asdict(settings.search),
            seed=seed,
            **more,
        )

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        values: dict[str, Any] = plain({"format": FORMAT, **asdict(self)})
        return values

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> StoreInfo:
        """Return what :meth:`plain` was made from; keys of a newer version are left aside.

        Raises
        ------
        DataError
            If it is not the description of a store.
        """
        if values.get("format") != FORMAT:
            raise DataError("it does not describe explanations of napari-quac")
        known = {entry.name for entry in fields(cls)}
        given = {key: value for key, value in values.items() if key in known}
        try:
            given["class_names"] = tuple(given["class_names"])
            given["methods"] = tuple(given["methods"])
            given["classifier"] = NetworkIdentity(**given["classifier"])
            given["generator"] = NetworkIdentity(**given["generator"])
            names = {entry.name for entry in fields(Masking)}
            masking = given.get("masking", {})
            given["masking"] = Masking(**{k: v for k, v in masking.items() if k in names})
            if isinstance(given.get("targets"), list):
                given["targets"] = tuple(given["targets"])
            return cls(**given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"its description lacks something ({error!r})") from error

    def differences(self, other: StoreInfo) -> list[str]:
        """Return what would make explanations differ, in words: ``seed 0, not 1``.

        Names and places of files do not count where their hashes are equal.
        """
        found = []
        for role in ("classifier", "generator"):
            mine, theirs = getattr(self, role), getattr(other, role)
            if dict(mine.sha256) != dict(theirs.sha256):
                found.append(f"the {role} is another file ('{mine.name}', not '{theirs.name}')")
        mine, theirs = self.plain(), other.plain()
        found += [
            f"{key.replace('_', ' ')} {_shown(mine[key])}, not {_shown(theirs[key])}"
            for key in DECISIVE
            if mine[key] != theirs[key]
        ]
        return found


def identify(recipe: Any, name: str = "") -> NetworkIdentity:
    """Return the name and the hashes of the files that a recipe names.

    A folder, such as one of images that were generated earlier, has no hash of its own; the hash
    of each generated image is part of its record.
    """
    files = {
        entry.name: value
        for entry in fields(recipe)
        if isinstance(value := getattr(recipe, entry.name), Path)
    }
    names = [path.name for path in files.values()]
    hashes = {key: file_hash(path) for key, path in files.items() if path.is_file()}
    return NetworkIdentity(name or (names[0] if names else type(recipe).__name__), hashes)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "defaults"
    return str(value)
