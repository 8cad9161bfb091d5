"""The faster version of a classifier: the same numbers, or not taken."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.resnet import ResNet
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.fast_inference import fast_version
from rounding import F32


class ViewHead(nn.Module):
    """A head behind ``.view``, which channels-last activations do not survive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4 * 256, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.norm(self.conv(images)))
        return self.fc(maps.view(maps.shape[0], -1))


class Decides(nn.Module):
    """What it computes depends on the values, which a trace cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(256, 3)

    def forward(self, images: Tensor) -> Tensor:
        if images.mean() > 0.9:
            return -self.fc(images.flatten(1))
        return self.fc(images.flatten(1))


class FixedBatch(nn.Module):
    """A number of images is part of the program."""

    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(int(images.shape[0]), 4, -1).mean(2)


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "vgg": Vgg(1, [(4, 4), (8, 8)], [16, 3], (16, 16)),
        "view": ViewHead(),
        "resnet": ResNet(1, 3, [1, 1], [8, 16], [8, 16], "basic", 8, 3),
    }


@pytest.mark.parametrize("name", list(networks()))
@pytest.mark.parametrize("kind", ["eager", "torchscript"])
def test_probabilities_are_the_same_for_every_batch_size(name: str, kind: str) -> None:
    module = networks()[name].eval()
    if kind == "torchscript":
        module = torch.jit.script(module)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    fast = fast_version(module, kind, torch.rand(3, 1, 16, 16))
    assert fast is not module
    with torch.inference_mode():
        for n in (1, 2, 3, 8, 5, 13):
            images = torch.rand(n, 1, 16, 16)
            expected = module(images)
            torch.testing.assert_close(fast(images), expected, atol=F32, rtol=F32)
            difference = fast(images).softmax(1) - expected.softmax(1)
            assert float(difference.abs().max()) <= F32
    after = module.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_original_keeps_its_gradients_and_its_hooks() -> None:
    module = networks()["vgg"].eval()
    calls = []
    module.features[0].register_forward_hook(lambda *_: calls.append(1))  # type: ignore[index,union-attr]
    fast_version(module, "eager", torch.rand(3, 1, 16, 16))
    calls.clear()
    images = torch.rand(2, 1, 16, 16, requires_grad=True)
    module(images).sum().backward()
    assert images.grad is not None
    assert calls == [1]


def test_works_in_inference_mode_and_in_another_thread() -> None:
    module = networks()["vgg"].eval()
    results: list[Tensor] = []

    def work() -> None:
        with torch.inference_mode():
            fast = fast_version(module, "eager", torch.rand(3, 1, 16, 16))
            results.append(fast(torch.zeros(1, 1, 16, 16)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with torch.no_grad():
        torch.testing.assert_close(results[0].clone(), module(torch.zeros(1, 1, 16, 16)))


@pytest.mark.parametrize("module", [Decides(), FixedBatch()])
def test_network_that_cannot_be_traced_stays_as_it_is(module: nn.Module) -> None:
    module.eval()
    assert fast_version(module, "eager", torch.rand(3, 1, 16, 16)) is module


def test_no_probe_training_mode_or_another_kind_give_the_original() -> None:
    module = networks()["vgg"].eval()
    probe = torch.rand(3, 1, 16, 16)
    assert fast_version(module, "eager", None) is module
    assert fast_version(module, "exported", probe) is module
    assert fast_version(module.train(), "eager", probe) is module


def test_classifier_of_any_size_is_fast_for_each_size() -> None:
    module = networks()["resnet"].eval()
    classifier = Classifier(module, ("a", "b", "c"))
    for size in (16, 24, 16, 32, 40, 48):
        images = torch.rand(3, 1, size, size)
        with torch.no_grad():
            expected = module(images * 2 - 1).softmax(1)
        torch.testing.assert_close(classifier.predict(images), expected, atol=F32, rtol=0)
