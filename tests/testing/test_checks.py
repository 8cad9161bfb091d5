"""The checks for third parties: ours pass, and each fault is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import (
    ConversionRequest,
    FunctionGenerator,
    Generator,
    Proposals,
)
from napari_quac.testing import (
    CornerSamples,
    check_dataset,
    check_generator,
    check_method,
    corner_generator,
)

OPTIMISING = {"fido", "fido-ssr", "fido-sdr", "bbmp"}  # a few steps are enough to be asked
COUNTER = count()


@pytest.mark.parametrize("name", list(METHODS))
def test_our_methods_pass(name: str) -> None:
    method = METHODS[name](n_steps=12) if name in OPTIMISING else METHODS[name]()
    compares_both = False if name == "random" or name in OPTIMISING else None
    answered = check_method(method, compares_both)
    assert "network, images and random numbers are left as they were" in answered


@dataclass(frozen=True)
class Theirs:
    """A method with a fault to choose."""

    label: ClassVar[str] = "theirs"
    fault: str = ""

    def attribute(self, pair: Pair, classifier: Classifier) -> Tensor | SignedMap:
        difference = pair.query.image - pair.generated
        parameter = next(iter(classifier.module.parameters()))
        if self.fault == "random":
            own = torch.Generator().manual_seed(next(COUNTER))
            return difference * torch.rand(difference.shape, generator=own)
        if self.fault == "global random":
            return difference * (0 * torch.rand(1) + 1)
        if self.fault == "query":
            pair.query.image.mul_(0.5)
        if self.fault == "weights":
            parameter.mul_(1.001)
        if self.fault == "gradient":
            parameter.requires_grad_(True)
        if self.fault == "hook":
            next(classifier.module.children()).register_forward_hook(lambda *_: None)
        if self.fault == "training":
            classifier.module.train()
        if self.fault == "not zero":
            return pair.query.image
        if self.fault == "sum":
            return SignedMap(difference, logit_difference=1000.0)
        return difference


def test_a_good_one_passes() -> None:
    assert len(check_method(Theirs())) == 7


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("random", "another map for the same pair"),
        ("global random", "has changed torch's random numbers"),
        ("query", "has changed query"),
        ("weights", "has changed network"),
        ("gradient", "left gradients"),
        ("hook", "left hooks"),
        ("training", "training mode"),
        ("not zero", "two images that are the same"),
        ("sum", "misses 1"),
    ],
)
def test_each_fault_of_a_method_is_found(fault: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_method(Theirs(fault))


def test_method_that_is_no_value_is_found() -> None:
    @dataclass
    class Loose:
        label: ClassVar[str] = "loose"

    with pytest.raises(AssertionError, match="frozen dataclass"):
        check_method(Loose())  # type: ignore[arg-type]


def test_our_generator_passes() -> None:
    assert len(check_generator(corner_generator())) == 5


class TheirGenerator(Generator):
    """A generator with a fault to choose."""

    name = "theirs"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.description: Mapping[str, Any] = {"Kind": 1 if fault == "description" else "test"}
        self.calls = 0

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        self.calls += 1
        images = torch.stack([request.query * (1 - 0.1 * i) for i in range(first, first + n)])
        if self.fault == "range":
            images = images + 1
        if self.fault == "order":
            images = images * (1 - 0.01 * self.calls)
        if self.fault == "shape":
            images = images[..., :-1]
        if self.fault == "type":
            images = images.double()
        if self.fault == "nan":
            images[:, 0, 0, 0] = torch.nan
        if self.fault == "query":
            request.query.mul_(0.9)
        origin: Any = {"i": torch.zeros(1)} if self.fault == "origin" else {"i": 1}
        return Proposals(images, (origin,) * (n - (self.fault == "origins")))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("description", "map text to text"),
        ("range", "leave the range"),
        ("order", "one by one"),
        ("shape", "images like the query"),
        ("type", "float32"),
        ("nan", "NaN"),
        ("query", "changed the query|one by one"),
        ("origin", "JSON"),
        ("origins", "where they are from"),
    ],
)
def test_each_fault_of_a_generator_is_found(fault: str, said: str) -> None:
    check_generator(TheirGenerator())
    with pytest.raises(AssertionError, match=said):
        check_generator(TheirGenerator(fault))


def test_what_is_no_generator_is_found() -> None:
    with pytest.raises(AssertionError, match="no generator"):
        check_generator(object())
    with pytest.raises(AssertionError, match="leave the range"):
        check_generator(FunctionGenerator(lambda x, s, t, seed: x - 1, "dark"))


def test_our_datasets_pass() -> None:
    assert len(check_dataset(CornerSamples())) == 4
    check_dataset(SyntheticSynapses(3), max_samples=2)


@dataclass
class TheirSamples:
    """A dataset with a fault to choose."""

    fault: str = ""
    name: str = "theirs"
    classes: tuple[str, ...] = ("a", "b")
    reads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return 0 if self.fault == "empty" else 3

    def __getitem__(self, index: int) -> Sample:
        if index >= 3 and self.fault != "endless":
            raise IndexError(index)
        self.reads.append(index)
        image = torch.full((1, 4, 4), 0.5)
        if self.fault == "range":
            image = image * 255
        if self.fault == "changes":
            image = image / len(self.reads)
        if self.fault == "type":
            image = image.double()
        return Sample(f"s{index}", image, 5 if self.fault == "label" else self.label(index))

    def sample_id(self, index: int) -> str:
        return "s" if self.fault == "ids" else f"s{index + (self.fault == 'other id')}"

    def label(self, index: int) -> int | None:
        return index % 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("empty", "no samples"),
        ("range", "leaves the range"),
        ("changes", "another image when read again"),
        ("type", "float64"),
        ("label", "another id or label"),
        ("ids", "same id"),
        ("other id", "another id or label"),
        ("endless", "gives one, too"),
    ],
)
def test_each_fault_of_a_dataset_is_found(fault: str, said: str) -> None:
    check_dataset(TheirSamples())
    with pytest.raises(AssertionError, match=said):
        check_dataset(TheirSamples(fault))


@dataclass(frozen=True)
class Fails:
    label: ClassVar[str] = "fails"
    returned: str = "raise"

    def attribute(self, pair: Pair, classifier: Classifier) -> Any:
        if self.returned == "raise":
            raise KeyError("weights")
        return pair.generated.numpy() if self.returned == "numpy" else None


@pytest.mark.parametrize(
    ("returned", "said"),
    [("raise", "failed: KeyError: 'weights'"), ("numpy", "returned ndarray"),
     ("none", "returned NoneType")],
)  # fmt: skip
def test_a_method_that_fails_is_told_by_what_it_did(returned: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_method(Fails(returned))


@pytest.mark.parametrize(
    ("function", "said"),
    [(lambda x, s, t, seed: 1 / 0, "failed: ZeroDivisionError"),
     (lambda x, s, t, seed: x.numpy(), "returned ndarray")],
)  # fmt: skip
def test_a_generator_that_fails_is_told_by_what_it_did(function: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_generator(FunctionGenerator(function, "own"))
