"""Checks of methods, generators and datasets of other packages, which our own pass."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import MethodFailedError, MethodUnavailableError, QuacError
from napari_quac.explain.attribution import Attribution, AttributionMethod, attribute
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, ask_generator
from napari_quac.testing.corners import corner_classifier, corner_image

IMAGE_SHAPES = ((1, 12, 12), (3, 9, 13))
LARGEST_MISS = 0.05
BLOCKS = ((0, 4), (0, 1), (1, 2), (3, 1))


def check_method(method: AttributionMethod, compares_both: bool | None = None) -> tuple[str, ...]:
    """Check an attribution method.

    Parameters
    ----------
    method : AttributionMethod
        With its parameters.
    compares_both : bool, optional
        True for a map of the differences between query and generated image, which must be zero
        for equal images. By default true, unless the class sets ``of_query_alone``.

    Returns
    -------
    tuple of str
        The passed checks.

    Raises
    ------
    AssertionError
        With a sentence about the fault.

    Examples
    --------
    >>> from napari_quac.explain.methods import METHODS
    >>> len(check_method(METHODS["d-ig"]()))
    7
    """
    _check_value(method, "method")
    label = getattr(method, "label", None)
    _require(
        isinstance(label, str) and bool(label), f"{method!r} has no label as a class attribute."
    )
    if compares_both is None:
        compares_both = not getattr(method, "of_query_alone", False)
    n_computed = 0
    for shape in IMAGE_SHAPES:
        classifier = _small_classifier(shape)
        pair = _noise_pair(classifier)
        state = _state_of(classifier, pair)
        try:
            first, second = (_map_of(method, pair, classifier) for _ in range(2))
        except MethodUnavailableError:
            continue
        finally:
            _check_untouched(method, state, classifier, pair)
        n_computed += 1
        _require(
            torch.equal(first.signed, second.signed),
            f"{method!r} returns another map for the same pair. Seed its random numbers.",
        )
        _require(
            first.completeness is None or first.completeness <= LARGEST_MISS,
            f"{method!r} has an expected sum, but misses {first.completeness or 0:.0%} of it.",
        )
        if compares_both:
            _check_identical(method, pair, classifier)
    _require(
        n_computed > 0,
        f"{method!r} cannot be computed on networks of convolutions, ReLU and linear layers.",
    )
    return (
        "the method is a value",
        "it has a label",
        "its map has the shape of the image and finite values",
        "the same pair gives the same map",
        "network, images and random numbers are left as they were",
        "its expected sum is correct",
        *(["equal images give zero"] if compares_both else []),
    )


def check_generator(
    generator: Any,
    query: Tensor | None = None,
    classifier: Classifier | None = None,
    source: int = 0,
    target: int = 1,
) -> tuple[str, ...]:
    """Check a generator, or the recipe of one.

    Parameters
    ----------
    generator : Generator or recipe
        A recipe is a frozen dataclass with ``load(device)``.
    query : (C, *S) Tensor, float32 in [0, 1], optional
        An image that it can turn into another class; by default one of 1 × 32 × 32.
    classifier : Classifier, optional
        Classifier for the query; by default it depends on two corners, see
        :func:`~napari_quac.testing.corner_classifier`.
    source, target : int
        Classes of the classifier and of the generator.

    Returns
    -------
    tuple of str
        The passed checks.

    Raises
    ------
    AssertionError
        With a sentence about the fault.
    """
    passed = _check_recipe(generator)
    if passed:
        generator = generator.load(torch.device("cpu"))
    _require(
        isinstance(generator, Generator),
        f"{generator!r} is no generator: it needs name, description and propose().",
    )
    _require(
        all(isinstance(text, str) for pair in generator.description.items() for text in pair),
        f"The description of {generator.name} must map text to text.",
    )
    query = corner_image(source) if query is None else query
    classifier = classifier or corner_classifier(query.shape[-1])
    before = query.clone()
    request = ConversionRequest(query, source, target, classifier, 7, "query")
    blocks = {}
    for first, n in BLOCKS:
        with _errors_as_failures():
            blocks[first, n] = ask_generator(generator, request, first, n).result()
    for (_, n), proposals in blocks.items():
        _check_proposals(generator.name, proposals, query, n)
    whole = blocks[0, 4].images
    pieces = torch.cat([blocks[block].images for block in BLOCKS[1:]])
    _require(
        len(whole) == len(pieces) and torch.equal(whole, pieces),
        f"{generator.name} returns other images one by one. Proposal i must depend on query, "
        "source, target, seed and i alone.",
    )
    _require(torch.equal(query, before), f"{generator.name} has changed the query.")
    return (
        *passed,
        "it has a name and a description",
        "its images have the query's shape, float32 from 0 to 1, on the CPU",
        "their origins can be written into a record",
        "proposal i does not depend on the other requests",
        "the query is left as it was",
    )


def check_dataset(dataset: Dataset, max_samples: int = 5) -> tuple[str, ...]:
    """Check a dataset, or the recipe of one.

    Parameters
    ----------
    dataset : Dataset or recipe
        A recipe has ``load()``.
    max_samples : int
        Maximum number of samples to read.

    Returns
    -------
    tuple of str
        The passed checks.

    Raises
    ------
    AssertionError
        With a sentence about the fault.
    """
    passed = _check_recipe(dataset)
    if passed:
        dataset = dataset.load()  # type: ignore[attr-defined]
    _require(
        isinstance(dataset, Dataset),
        f"{dataset!r} is no dataset: it needs name, classes, a length, [index], sample_id() and "
        "label().",
    )
    n = len(dataset)
    _require(n > 0, f"{dataset.name} has no samples.")
    _require(
        isinstance(dataset.classes, tuple) and len(set(dataset.classes)) == len(dataset.classes),
        f"The classes of {dataset.name} must be a tuple of different names.",
    )
    ids = {dataset.sample_id(index) for index in range(n)}
    _require(len(ids) == n, f"Two samples of {dataset.name} have the same id.")
    for index in sorted({round(i * (n - 1) / max(1, max_samples - 1)) for i in range(max_samples)}):
        if index < n:
            _check_sample(dataset, index)
    try:
        dataset[n]
    except LookupError:
        return (
            *passed,
            "ids are different",
            "id and label are those of the sample",
            "images are (C, *S), float32 from 0 to 1, and the same when read again",
            "an index beyond the last sample is an IndexError",
        )
    raise AssertionError(f"{dataset.name} has {n} samples, but dataset[{n}] gives one, too.")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    try:
        yield
    except QuacError as error:
        unavailable = isinstance(error, MethodUnavailableError)
        if unavailable and not isinstance(error, MethodFailedError):
            raise
        raise AssertionError(str(error)) from error


def _check_recipe(network: Any) -> tuple[str, ...]:
    if not hasattr(network, "load"):
        return ()
    _check_value(network, "recipe")
    return ("the recipe is a value",)


def _check_value(recipe: Any, kind: str) -> None:
    """Check that a method or recipe is a value: it goes into plans and to other processes."""
    parameters = getattr(recipe, "__dataclass_params__", None)  # of dataclasses alone
    _require(
        getattr(parameters, "frozen", False),
        f"{recipe!r} must be a frozen dataclass: the fields of a {kind} are its parameters.",
    )
    copy = pickle.loads(pickle.dumps(recipe))  # noqa: S301 - written in the same line
    _require(copy == recipe, f"{recipe!r} is not equal to its copy from another process.")


def _map_of(method: AttributionMethod, pair: Pair, classifier: Classifier) -> Attribution:
    with _errors_as_failures():
        return attribute(pair, "checked", method, classifier).result()


def _check_identical(method: AttributionMethod, pair: Pair, classifier: Classifier) -> None:
    same = replace(
        pair, generated=pair.query.image.clone(), generated_prediction=pair.query_prediction
    )
    attribution = _map_of(method, same, classifier)
    largest = float(attribution.signed.abs().max())
    _require(
        attribution.degenerate,
        f"{method!r} finds differences (up to {largest:.2g}) between two images that are the same. "
        "If its map is of the query alone, set of_query_alone: ClassVar[bool] = True.",
    )


def _state_of(classifier: Classifier, pair: Pair) -> dict[str, Tensor]:
    tensors = {f"network.{name}": t for name, t in classifier.module.state_dict().items()}
    tensors |= {"query": pair.query.image, "generated": pair.generated}
    return {"random": torch.random.get_rng_state()} | {k: v.clone() for k, v in tensors.items()}


def _check_untouched(
    method: AttributionMethod, before: dict[str, Tensor], classifier: Classifier, pair: Pair
) -> None:
    after = _state_of(classifier, pair)
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    names = ["torch's random numbers" if name == "random" else name for name in changed]
    _require(not changed, f"{method!r} has changed {', '.join(names)}.")
    module = classifier.module
    has_hooks = any(m._forward_hooks or m._backward_hooks for m in module.modules())
    _require(not has_hooks, f"{method!r} has left hooks on the network. Remove them, in a finally.")
    _require(
        not any(p.requires_grad or p.grad is not None for p in module.parameters()),
        f"{method!r} has left gradients on the network. Use torch.autograd.grad for the input.",
    )
    _require(not module.training, f"{method!r} has left the network in training mode.")
    _require(torch.is_grad_enabled(), f"{method!r} has left gradients switched off.")


def _check_proposals(name: str, proposals: Proposals, query: Tensor, n: int) -> None:
    images = proposals.images
    shape, expected = tuple(images.shape), (n, *query.shape)
    _require(
        len(images) <= n and shape[1:] == expected[1:],
        f"{name} returned {shape}; {expected} is needed: images like the query.",
    )
    _require(
        images.dtype == torch.float32 and images.device.type == "cpu" and not images.requires_grad,
        f"The images of {name} must be float32 on the CPU, without a gradient.",
    )
    _require(bool(torch.isfinite(images).all()), f"{name} returns NaN or infinity.")
    _require(
        bool(((images >= 0) & (images <= 1)).all()),
        f"The images of {name} leave the range from 0 to 1. Map them back, and clamp them.",
    )
    _require(
        len(proposals.origins) == len(images),
        f"{name} returned {len(images)} images, but tells of {len(proposals.origins)} where they "
        "are from.",
    )
    try:
        json.dumps([dict(origin) for origin in proposals.origins], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"An origin of {name} cannot be written as JSON: {error}.") from error


def _check_sample(dataset: Dataset, index: int) -> None:
    sample, copy = dataset[index], dataset[index]
    image, n_classes = sample.image, len(dataset.classes)
    _require(
        sample.id == dataset.sample_id(index) and sample.label == dataset.label(index),
        f"Sample {index} of {dataset.name} has another id or label than sample_id() and label().",
    )
    _require(
        sample.label is None or 0 <= sample.label < n_classes,
        f"'{sample.id}' has label {sample.label}, and there are {n_classes} classes.",
    )
    _require(
        image.ndim >= 3 and image.dtype == torch.float32,
        f"'{sample.id}' is {image.dtype} {tuple(image.shape)}; float32 (C, *S) is needed.",
    )
    _require(
        bool(((image >= 0) & (image <= 1)).all()),
        f"The image of '{sample.id}' leaves the range from 0 to 1.",
    )
    _require(torch.equal(image, copy.image), f"'{sample.id}' is another image when read again.")


def _small_classifier(shape: tuple[int, ...]) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 3),
        )
    network.eval().requires_grad_(False)
    names = ("first", "second", "third")
    return Classifier(network, names, shape[0], shape[1:], PRESETS["quac"], name="checked")


def _noise_pair(classifier: Classifier) -> Pair:
    shape = (2, classifier.channels, *(classifier.image_size or ()))
    query, generated = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = classifier.logits(torch.stack([query, generated]))
    # the class that changes most: sums are compared with that change
    source = int((logits[0] - logits[1]).abs().argmax())
    return make_pair(Sample("noise", query), generated, source, (source + 1) % 3, classifier)
