"""Identities of samples and networks: hashes of all that determines a result, and its origin."""

from __future__ import annotations

import hashlib
import json
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import QuacError

if TYPE_CHECKING:
    from napari_quac.live.choices import SampleSource
    from napari_quac.live.sample_columns import SampleIndex
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator
    from napari_quac.reports.store_info import StoreInfo

CLASSIFIER_PARTS = ("architecture", "channels", "image_size", "pools", "variant")
"""Fields of a recipe that change the network, beside its file, classes, input and output."""
LENGTH = 20
"""Hexadecimal digits of an identity."""


@dataclass(frozen=True)
class ResultOrigin:
    """Identities of the inputs of a result.

    Equal origins give equal results.

    Attributes
    ----------
    classifier, generator, samples : str
        Empty if there was none.
    """

    classifier: str
    generator: str
    samples: str


def classifier_identity(classifier: Classifier, recipe: Any = None) -> str:
    """Return the identity of a classifier: weights, class names, preprocessing, output, variant.

    Parameters
    ----------
    classifier : Classifier
        The loaded network.
    recipe : ClassifierRecipe, optional
        The recipe that it was loaded from.
    """
    parts = {name: getattr(recipe, name, None) for name in CLASSIFIER_PARTS}
    return _digest(
        classifier.sha256 or _token(classifier.module),
        classifier.class_names,
        classifier.preprocessing,
        classifier.output,
        parts,
    )


def generator_identity(generator: Generator | None, recipe: Any = None) -> str:
    """Return the identity of a generator: its files, its settings and how its classes are matched.

    A generator without a recipe, such as a function of a notebook, is identified by itself for the
    time of the process. A folder of images is identified by its path.

    Parameters
    ----------
    generator : Generator or None
        The loaded generator.
    recipe : recipe, optional
        The recipe that it was loaded from.
    """
    if generator is None:
        return ""
    if recipe is None:
        return _digest(_token(generator))
    hashes, class_map = _hashes(recipe), dict(getattr(generator, "class_map", {}))
    return _digest(type(recipe).__qualname__, _without(recipe, hashes), hashes, class_map)


def samples_identity(index: SampleIndex, source: Any = None) -> str:
    """Return the identity of samples: their source, ids and labels, without reading the images.

    Parameters
    ----------
    index : SampleIndex
        Ids and labels.
    source : SampleSource, optional
        A recipe or a dataset in memory; a dataset without a recipe is identified by itself.
    """
    return _digest(
        type(source).__qualname__,
        _source_of(source),
        index.classes,
        hashlib.sha256(index.ids.tobytes()).hexdigest(),
        hashlib.sha256(index.labels.tobytes()).hexdigest(),
    )


def find_origin(
    loaded_classifier: Classifier, sample_list: SampleIndex,
    loaded_generator: Generator | None = None,
    *, classifier: Any, generator: Any = None, samples: SampleSource | None = None,
) -> ResultOrigin:  # fmt: skip
    """Return the origin of results of the loaded samples and networks."""
    return ResultOrigin(
        classifier_identity(loaded_classifier, classifier),
        generator_identity(loaded_generator, generator),
        samples_identity(sample_list, samples),
    )


def other_networks(
    info: StoreInfo, classifier: Classifier, generator: Any = None
) -> tuple[str, ...]:
    """Return the differences between the networks of a store and those in use, as phrases.

    What a store does not state, such as an older one its preprocessing, makes no difference.

    Parameters
    ----------
    info : StoreInfo
        Description of the store.
    classifier : Classifier
        The classifier in use.
    generator : recipe, optional
        Recipe of the generator in use; without one, generators are not compared.
    """
    recorded = info.classifier.sha256.get("path", "")
    reasons = []
    if recorded and classifier.sha256 and recorded != classifier.sha256:
        reasons.append(f"classifier '{info.classifier.name}', not '{classifier.name}'")
    if info.class_names != classifier.class_names:
        reasons.append(f"classes {', '.join(info.class_names)}")
    if info.preprocessing and info.preprocessing != str(classifier.preprocessing):
        reasons.append(f"preprocessing {info.preprocessing}")
    if generator is not None and info.generator.sha256:
        hashes = _hashes(generator)
        if hashes and hashes != dict(info.generator.sha256):
            reasons.append(f"generator '{info.generator.name}'")
    return tuple(reasons)


def _hashes(recipe: Any) -> dict[str, str]:
    """Return the hash of each file of a recipe, by field."""
    from napari_quac.reports.store_info import identify

    if not is_dataclass(recipe):
        return {}
    try:
        return dict(identify(recipe).sha256)
    except (OSError, QuacError):  # a file that was loaded is out of reach now; its path remains
        return {}


def _source_of(source: Any) -> Any:
    """Return the recipe or the dataset of a source; drawn samples follow from three numbers."""
    from napari_quac.data.synthetic import SyntheticShapes, SyntheticSynapses

    dataset = getattr(source, "dataset", source)
    if isinstance(dataset, SyntheticSynapses | SyntheticShapes):
        return type(dataset).__qualname__, len(dataset), dataset.split, dataset.seed
    return dataset


def _without(recipe: Any, hashes: Mapping[str, str]) -> dict[str, Any]:
    names = [entry.name for entry in fields(recipe)] if is_dataclass(recipe) else []
    return {name: getattr(recipe, name) for name in names if name not in hashes} or {
        "object": _token(recipe)
    }


def _digest(*parts: Any) -> str:
    text = json.dumps([_plain(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH]


def _plain(part: Any) -> Any:
    """Return JSON-ready values; objects without such values are represented by a token."""
    if part is None or isinstance(part, str | int | float | bool):
        return part
    if isinstance(part, Path):
        return part.expanduser().absolute().as_posix()
    if isinstance(part, Mapping):
        return {str(key): _plain(entry) for key, entry in part.items()}
    if isinstance(part, list | tuple):
        return [_plain(entry) for entry in part]
    if is_dataclass(part) and not isinstance(part, type) and type(part).__eq__ is not object.__eq__:
        values = {entry.name: _plain(getattr(part, entry.name)) for entry in fields(part)}
        return [type(part).__qualname__, values]
    return _token(part)


_TOKENS: dict[int, tuple[weakref.ref[Any], str]] = {}


def _token(resource: Any) -> str:
    """Return a text that stands for an object as long as it lives."""
    key = id(resource)
    entry = _TOKENS.get(key)
    if entry is not None and entry[0]() is resource:
        return entry[1]
    token = uuid.uuid4().hex
    try:
        _TOKENS[key] = weakref.ref(resource, lambda _: _TOKENS.pop(key, None)), token
    except TypeError:  # such as a bound method, which is another object at each access
        return repr(resource)
    return token
