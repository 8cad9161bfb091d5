"""Networks of torchvision and timm with the transforms of torchvision, and captum on both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from napari_quac.data.image_file import read_image
from napari_quac.data.preprocessing import PRESETS
from napari_quac.explain.methods.gradients import integrated_gradients
from napari_quac.generators.opening import load_classifier

torchvision = pytest.importorskip("torchvision", reason="the environment 'zoo' has torchvision")
timm = pytest.importorskip("timm", reason="the environment 'zoo' has timm")
captum = pytest.importorskip("captum.attr")
v2 = pytest.importorskip("torchvision.transforms.v2")

CLASSES = ("a", "b", "c")
SIZE = (290, 310)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=3),
    "densenet121": lambda: torchvision.models.densenet121(num_classes=3),
    "vit_tiny_patch16_224": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=3),
    "convnext_atto": lambda: timm.create_model("convnext_atto", num_classes=3),
}
PREPROCESSING = replace(PRESETS["imagenet"], resize=256, crop=224)
NORMALIZE = v2.Normalize(PRESETS["imagenet"].mean, PRESETS["imagenet"].std)
ON_FLOATS = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224), NORMALIZE])
ON_PICTURES = v2.Compose([
    v2.Resize(256), v2.CenterCrop(224), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
    NORMALIZE,
])  # fmt: skip


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    module = NETWORKS[request.param]().eval().requires_grad_(False)
    if any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
        module.train()
        module(torch.randn(4, 3, 96, 96))  # fills the running statistics
        module.eval()
    module.file_name = request.param
    return module


def levels(highest: int) -> np.ndarray:
    random = np.random.default_rng(5)
    coarse = random.random((12, 13))
    fine = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize(SIZE[::-1]))
    return (fine * highest).round().clip(0, highest)


@pytest.mark.parametrize("bits", [8, 16])
def test_probabilities_and_maps_are_those_of_torchvision(
    network: nn.Module, bits: int, tmp_path: Path
) -> None:
    highest = 2**bits - 1
    values = levels(highest).astype(np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", None if bits == 8 else (0, highest))
    scaled = torch.from_numpy(values.astype(np.float32) / highest)[None]
    torch.save(network.state_dict(), tmp_path / f"{network.file_name}.pth")
    path = tmp_path / f"{network.file_name}.pth"
    classifier = load_classifier(path, CLASSES, "cpu", preprocessing=PREPROCESSING)

    def composed(images: Tensor) -> Tensor:
        return network(ON_FLOATS(images.expand(-1, 3, -1, -1)))

    expected = composed(scaled[None]).softmax(dim=1)
    assert expected.max() < 0.999
    assert float((classifier.predict(image[None]) - expected).abs().max()) <= 1e-4
    if bits == 8:
        rounded = classifier.with_preprocessing(replace(PREPROCESSING, eight_bit=True))
        picture = Image.fromarray(values).convert("RGB")
        by_pillow = network(ON_PICTURES(picture)[None]).softmax(dim=1)
        assert float((rounded.predict(image[None]) - by_pillow).abs().max()) <= 1e-3
        as_tensor = torch.from_numpy(values)[None].expand(3, -1, -1)
        by_torch = network(ON_PICTURES(as_tensor)[None]).softmax(dim=1)
        assert float((rounded.predict(image[None]) - by_torch).abs().max()) <= 1e-4
    baseline = torch.full_like(image, 0.5)
    reference = captum.IntegratedGradients(composed).attribute(
        image[None].clone(), baseline[None], target=1, n_steps=8, method="gausslegendre",
        internal_batch_size=1,
    )[0]  # fmt: skip
    signed = integrated_gradients(image, baseline, 1, classifier, 8).result().values
    assert signed.shape == image.shape
    spread = float(reference.max() - reference.min())
    assert float((signed - reference).abs().max()) <= 1e-5 * spread
