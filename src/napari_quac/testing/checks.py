"""The questions that we ask of our own methods, generators and datasets, for those of others."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.errors import MethodFailedError, MethodUnavailableError, QuacError
from napari_quac.explain.attribution import Attribution, AttributionMethod, attribute
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, ask_generator
from napari_quac.networks.value_range import ValueRange
from napari_quac.testing.corners import corner_classifier, corner_image

IMAGE_SHAPES = ((1, 12, 12), (3, 9, 13))
LARGEST_MISS = 0.05
BLOCKS = ((0, 4), (0, 1), (1, 2), (3, 1))


def check_method(method: AttributionMethod, compares_both: bool | None = None) -> tuple[str, ...]:
    """Ask an attribution method what we ask of our own.

    Parameters
    ----------
    method : AttributionMethod
        With its parameters.
    compares_both : bool, optional
        Whether the map tells what differs between query and generated image, so that it has to be
        zero where they are the same. By default yes, unless the class says ``of_query_alone``.

    Returns
    -------
    tuple of str
        What was asked and answered well.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.

    Examples
    --------
    >>> from napari_quac.explain.methods import METHODS
    >>> len(check_method(METHODS["d-ig"]()))
    7
    """
    answered = [*_check_value(method, "method")]
    _require(
        isinstance(getattr(method, "label", None), str) and bool(method.label),
        f"{method!r} has no label: a text, as a class attribute, that is shown to the user.",
    )
    answered.append("it has a label")
    if compares_both is None:
        compares_both = not getattr(method, "of_query_alone", False)
    n_computed = 0
    for shape in IMAGE_SHAPES:
        classifier = _small_classifier(shape)
        pair = _noise_pair(classifier)
        state = _state_of(classifier, pair)
        try:
            first = _map_of(method, pair, classifier)
            second = _map_of(method, pair, classifier)
        except MethodUnavailableError:
            continue
        finally:
            _check_untouched(method, state, classifier, pair)
        n_computed += 1
        _require(
            torch.equal(first.signed, second.signed),
            f"{method!r} gives another map for the same pair. Draw its random numbers from a "
            "generator with a seed of its own.",
        )
        if first.completeness is not None:
            _require(
                first.completeness <= LARGEST_MISS,
                f"{method!r} says that its map adds up, but it misses {first.completeness:.0%}.",
            )
        if compares_both:
            _check_identical(method, pair, classifier)
    _require(
        n_computed > 0,
        f"{method!r} could not be computed on any of the networks that it was tried on; they have "
        "a convolution, a ReLU and a linear layer.",
    )
    answered += [
        "its map has the shape of the image and finite values",
        "the same pair gives the same map",
        "network, images and random numbers are left as they were",
        "what it says about its sum is true",
    ]
    if compares_both:
        answered.append("equal images give zero")
    return tuple(answered)


def check_generator(
    generator: Any,
    query: Tensor | None = None,
    classifier: Classifier | None = None,
    source: int = 0,
    target: int = 1,
) -> tuple[str, ...]:
    """Ask a generator, or the recipe of one, what we ask of our own.

    Parameters
    ----------
    generator : Generator or recipe
        A recipe is a frozen dataclass with ``load(device)``.
    query : (C, *S) Tensor, float32 in [0, 1], optional
        An image that it can turn into another class; by default one of 1 × 32 × 32.
    classifier : Classifier, optional
        One that fits the query; by default it looks at two corners, see
        :func:`~napari_quac.testing.corner_classifier`.
    source, target : int
        Classes of the classifier that the generator knows.

    Returns
    -------
    tuple of str
        What was asked and answered well.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.
    """
    answered: list[str] = []
    if hasattr(generator, "load"):
        answered += _check_value(generator, "recipe")
        generator = generator.load(torch.device("cpu"))
    _require(
        isinstance(generator, Generator),
        f"{generator!r} is no generator: it needs name, description and propose().",
    )
    _require(
        all(isinstance(text, str) for pair in generator.description.items() for text in pair),
        f"The description of {generator.name} has to map text to text; it is shown on the card.",
    )
    answered.append("it has a name and a description")
    query = corner_image(source) if query is None else query
    classifier = classifier or corner_classifier(query.shape[-1])
    before = query.clone()
    request = ConversionRequest(query, source, target, classifier, 7, "query")
    blocks = {block: _proposals_of(generator, request, *block) for block in BLOCKS}
    for (first, n), proposals in blocks.items():
        _check_proposals(generator, proposals, query, first, n)
    answered.append("its images have the query's shape, float32 from 0 to 1, on the CPU")
    answered.append("where they are from can be written into a record")
    whole = blocks[0, 4].images
    pieces = torch.cat([blocks[block].images for block in BLOCKS[1:]])
    _require(
        len(whole) == len(pieces) and torch.equal(whole, pieces),
        f"{generator.name} gives other images when it is asked for them one by one. Proposal "
        "number i has to depend on query, source, target, seed and i alone.",
    )
    answered.append("proposal i is the same whatever was asked for with it or before")
    _require(torch.equal(query, before), f"{generator.name} has changed the query.")
    answered.append("the query is left as it was")
    return tuple(answered)


def check_dataset(dataset: Dataset, max_samples: int = 5) -> tuple[str, ...]:
    """Ask a dataset, or the recipe of one, what we ask of our own.

    Parameters
    ----------
    dataset : Dataset or recipe
        A recipe has ``load()``.
    max_samples : int
        So many samples are read.

    Returns
    -------
    tuple of str
        What was asked and answered well.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.
    """
    answered: list[str] = []
    loading = getattr(dataset, "load", None)
    if loading is not None:
        answered += _check_value(dataset, "recipe")
        dataset = loading()
    _require(
        isinstance(dataset, Dataset),
        f"{dataset!r} is no dataset: it needs name, classes, a length, [index], sample_id() and "
        "label().",
    )
    n = len(dataset)
    _require(n > 0, f"{dataset.name} has no samples.")
    _require(
        isinstance(dataset.classes, tuple) and len(set(dataset.classes)) == len(dataset.classes),
        f"The classes of {dataset.name} have to be a tuple of different names.",
    )
    ids = [dataset.sample_id(index) for index in range(n)]
    _require(len(set(ids)) == n, f"Two samples of {dataset.name} have the same id.")
    answered.append("ids are different")
    for index in sorted({round(i * (n - 1) / max(1, max_samples - 1)) for i in range(max_samples)}):
        if index < n:
            _check_sample(dataset, index)
    answered.append("id and label are those of the sample that is read")
    answered.append("images are (C, *S), float32 from 0 to 1, and the same when read again")
    try:
        dataset[n]
    except (IndexError, LookupError):
        answered.append("a number too large is an IndexError")
    else:
        raise AssertionError(f"{dataset.name} has {n} samples, but dataset[{n}] gives one, too.")
    return tuple(answered)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)


def _check_value(value: Any, kind: str) -> tuple[str, ...]:
    """Check that a method or recipe is a value: it goes into plans and to other processes."""
    parameters = getattr(value, "__dataclass_params__", None)  # of dataclasses alone
    _require(
        getattr(parameters, "frozen", False),
        f"{value!r} has to be a frozen dataclass: the fields of a {kind} are its parameters.",
    )
    again = pickle.loads(pickle.dumps(value))  # noqa: S301 - what was written one line before
    _require(again == value, f"{value!r} is not equal to its copy from another process.")
    return (f"the {kind} is a value",)


def _map_of(method: AttributionMethod, pair: Pair, classifier: Classifier) -> Attribution:
    try:
        return attribute(pair, "checked", method, classifier).result()
    except QuacError as error:
        unavailable = isinstance(error, MethodUnavailableError)
        if unavailable and not isinstance(error, MethodFailedError):
            raise
        raise AssertionError(str(error)) from error


def _check_identical(method: AttributionMethod, pair: Pair, classifier: Classifier) -> None:
    same = replace(
        pair, generated=pair.query.image.clone(), generated_prediction=pair.query_prediction
    )
    found = _map_of(method, same, classifier)
    largest = float(found.signed.abs().max())
    _require(
        found.degenerate,
        f"{method!r} finds differences (up to {largest:.2g}) between two images that are the same. "
        "If its map is of the query alone, say of_query_alone: ClassVar[bool] = True.",
    )


def _proposals_of(
    generator: Generator, request: ConversionRequest, first: int, n: int
) -> Proposals:
    try:
        return ask_generator(generator, request, first, n)
    except QuacError as error:
        raise AssertionError(str(error)) from error


def _state_of(classifier: Classifier, pair: Pair) -> dict[str, Tensor]:
    tensors = {f"network.{name}": t for name, t in classifier.module.state_dict().items()}
    tensors |= {"query": pair.query.image, "generated": pair.generated}
    return {"random": torch.random.get_rng_state()} | {k: v.clone() for k, v in tensors.items()}


def _check_untouched(
    method: AttributionMethod, before: dict[str, Tensor], classifier: Classifier, pair: Pair
) -> None:
    after = _state_of(classifier, pair)
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    names = ["torch's random numbers" if name == "random" else name for name in changed]
    _require(not changed, f"{method!r} has changed {', '.join(names)}.")
    module = classifier.module
    left = [m for m in module.modules() if m._forward_hooks or m._backward_hooks]
    _require(not left, f"{method!r} has left hooks on the network. Remove them, in a finally.")
    _require(
        not any(p.requires_grad or p.grad is not None for p in module.parameters()),
        f"{method!r} has left gradients on the network. Use torch.autograd.grad for the input.",
    )
    _require(not module.training, f"{method!r} has left the network in training mode.")
    _require(torch.is_grad_enabled(), f"{method!r} has left gradients switched off.")


def _check_proposals(
    generator: Generator, proposals: Proposals, query: Tensor, first: int, n: int
) -> None:
    images, name = proposals.images, generator.name
    _require(
        len(images) <= n and tuple(images.shape[1:]) == tuple(query.shape),
        f"{name} was asked for {n} images like the query, {tuple(query.shape)}, and gave "
        f"{tuple(images.shape)}.",
    )
    _require(
        images.dtype == torch.float32 and images.device.type == "cpu" and not images.requires_grad,
        f"The images of {name} have to be float32 on the CPU, without a gradient.",
    )
    _require(
        len(images) == 0 or bool(torch.isfinite(images).all()),
        f"{name} gives NaN or infinity.",
    )
    _require(
        len(images) == 0 or (float(images.min()) >= 0 and float(images.max()) <= 1),
        f"The images of {name} leave the range from 0 to 1. Map them back, and clamp them.",
    )
    _require(
        len(proposals.origins) == len(images),
        f"{name} tells of {len(proposals.origins)} images where they are from, and gave "
        f"{len(images)}.",
    )
    try:
        json.dumps([dict(origin) for origin in proposals.origins], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"An origin of {name} cannot be written as JSON: {error}.") from error


def _check_sample(dataset: Dataset, index: int) -> None:
    sample, again = dataset[index], dataset[index]
    _require(
        sample.id == dataset.sample_id(index) and sample.label == dataset.label(index),
        f"Sample {index} of {dataset.name} has another id or label than sample_id({index}) and "
        f"label({index}) say.",
    )
    _require(
        sample.label is None or 0 <= sample.label < len(dataset.classes),
        f"'{sample.id}' has label {sample.label}, and there are {len(dataset.classes)} classes.",
    )
    image = sample.image
    _require(
        image.ndim >= 3 and image.dtype == torch.float32,
        f"The image of '{sample.id}' is {image.dtype} {tuple(image.shape)}; float32 (C, *S) is "
        "needed.",
    )
    _require(
        bool(torch.isfinite(image).all()) and 0 <= float(image.min()) and float(image.max()) <= 1,
        f"The image of '{sample.id}' leaves the range from 0 to 1.",
    )
    _require(torch.equal(image, again.image), f"'{sample.id}' is another image when read again.")


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
    return Classifier(network, names, shape[0], shape[1:], ValueRange(-1, 1), name="checked")


def _noise_pair(classifier: Classifier) -> Pair:
    shape = (2, classifier.channels, *(classifier.image_size or ()))
    query, generated = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = classifier.logits(torch.stack([query, generated]))
    # the class that changes most: sums are compared with that change
    source = int((logits[0] - logits[1]).abs().argmax())
    return make_pair(Sample("noise", query), generated, source, (source + 1) % 3, classifier)
