"""Networks of a store of explanations, found again by the hash of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import QuacError
from napari_quac.generators.opening import RecognizedNetwork, Role, recognize_network
from napari_quac.reading import is_regular_file, path_exists

if TYPE_CHECKING:
    from napari_quac.reports.store import ExplanationStore
    from napari_quac.reports.store_info import NetworkIdentity

MOST_CANDIDATES = 60
MOST_BYTES = 1 << 31
"""Larger files are hashed only where their name is that of the network."""
SUFFIXES = frozenset({
    ".pt", ".pth", ".ts", ".safetensors", ".ckpt", ".pt2", ".jit", ".onnx", ".bin", ".pkl",
})  # fmt: skip


@dataclass(frozen=True)
class StoreNetworks:
    """Networks of a store.

    Attributes
    ----------
    classifier, generator : RecognizedNetwork or None
        None for one that was not found.
    class_map : dict from str to str
        As in :class:`~napari_quac.reports.store_info.StoreInfo`.
    """

    classifier: RecognizedNetwork | None
    generator: RecognizedNetwork | None
    class_map: dict[str, str]


def find_networks(store: ExplanationStore, recent: Sequence[Path] = ()) -> StoreNetworks:
    """Find the networks of a store in its record, among recent files and in its folders.

    A file counts only if its hash is that of the store.

    Parameters
    ----------
    store : ExplanationStore
        Its folder and the two above are searched.
    recent : sequence of Path
        Files that were opened lately.
    """
    info = store.info
    networks = {role: _find(role, store, recent) for role in ("classifier", "generator")}
    classifier = networks["classifier"]
    if classifier is not None and hasattr(classifier.recipe, "class_names"):
        recipe = replace(classifier.recipe, class_names=info.class_names)
        networks["classifier"] = classifier.with_recipe(recipe)
    return StoreNetworks(**networks, class_map=dict(info.class_map))


def _find(role: Role, store: ExplanationStore, recent: Sequence[Path]) -> RecognizedNetwork | None:
    from napari_quac.networks.formats.containers import network_hash

    identity: NetworkIdentity = getattr(store.info, role)
    recorded = _recorded_recipe(role, store)
    if recorded is not None and (not identity.sha256 or _is_identical(recorded, identity)):
        return _recognized(role, recorded)
    wanted = identity.sha256.get("path", "")
    if not wanted:
        return None
    for path in _candidates(identity.name, store.folder, recent):
        try:
            if network_hash(path) != wanted:
                continue
            network = recognize_network(path, role=role)
        except (OSError, QuacError):
            continue
        if network.role != role:
            continue
        if type(recorded) is type(network.recipe):
            network = network.with_recipe(replace(recorded, path=path))
        return network
    return None


def _recorded_recipe(role: Role, store: ExplanationStore) -> Any:
    """Return the recipe in the plan of a store, whose files may have been moved."""
    from napari_quac.batch.plan import build_classifier, build_recipe
    from napari_quac.generators import GENERATORS

    values = (store.info.plan or {}).get(role)
    if not isinstance(values, dict):
        return None
    try:
        if role == "classifier":
            return build_classifier(values, store.folder)
        return build_recipe(GENERATORS, values, role, store.folder)
    except QuacError:  # of another version, or of a package that is not installed
        return None


def _is_identical(recipe: Any, identity: NetworkIdentity) -> bool:
    from napari_quac.reports.store_info import identify

    try:
        return dict(identify(recipe).sha256) == dict(identity.sha256)
    except (OSError, QuacError):
        return False


def _recognized(role: Role, recipe: Any) -> RecognizedNetwork | None:
    """Return a recorded recipe with the programs in its files."""
    path = next(iter(recipe.paths()), None)
    if path is None:
        return RecognizedNetwork.of(role, recipe)
    if not path_exists(path):
        return None
    try:
        network = recognize_network(path, role=role)
    except QuacError:
        return None
    return network.with_recipe(recipe) if network.role == role else None


def _candidates(name: str, folder: Path, recent: Sequence[Path]) -> Iterator[Path]:
    """Yield files that may be a network: of its name first, then recent ones, then others."""
    folders = (folder, *folder.parents[:2])
    named = [path for path in recent if path.name == name]
    named += [place / name for place in folders if name and not Path(name).is_absolute()]
    others = [*recent, *_files_in(folders)]
    seen: set[Path] = set()
    for path in (*named, *islice(others, MOST_CANDIDATES)):
        is_named = path.name == name
        if path in seen or not is_regular_file(path):
            continue
        seen.add(path)
        if is_named or path.stat().st_size <= MOST_BYTES:
            yield path


def _files_in(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        try:
            entries = sorted(islice(folder.iterdir(), 2000))
        except OSError:
            continue
        yield from (path for path in entries if path.suffix.lower() in SUFFIXES)
