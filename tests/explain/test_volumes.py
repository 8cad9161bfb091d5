"""The whole method on volumes (C, D, H, W)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explain.small_networks import classifier_of, random_pair
from napari_quac.data.dataset import Sample
from napari_quac.explain.attribution import attribute
from napari_quac.explain.curve import hybrid_at, make_hybrid, trace_curve
from napari_quac.explain.mask import Masking
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import make_pair
from napari_quac.explain.pipeline import explain, explain_pair
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.explain.verdict import verdict
from napari_quac.networks.generator import FunctionGenerator
from rounding import F32

SHAPE = (1, 4, 24, 24)


def vgg_like(pooling: type[nn.Module], depth: int = 4, side: int = 24) -> nn.Module:
    """Return a small 3-D network with batch norm and pooling whose statistics are those of use."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), pooling((1, 2, 2)),
        nn.Conv3d(4, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), pooling((2, 2, 2)),
        nn.Flatten(), nn.Linear(6 * (depth // 2) * (side // 4) ** 2, 8), nn.ReLU(),
        nn.Linear(8, 3),
    )  # fmt: skip
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("pooling", [nn.MaxPool3d, nn.AvgPool3d])
@pytest.mark.parametrize(
    ("name", "limit"), [("d-ig", 0.02), ("ig", 0.02), ("d-deeplift", 1e-5), ("deeplift", 1e-5)]
)
def test_maps_of_volumes_add_up(pooling: type[nn.Module], name: str, limit: float) -> None:
    classifier = classifier_of(vgg_like(pooling), 3, SHAPE, (-1, 1))
    pair = random_pair(classifier)
    found = attribute(pair, name, METHODS[name](), classifier).result()
    assert not found.is_fallback
    assert found.values.shape == SHAPE
    assert found.completeness is not None
    assert found.completeness < limit


def test_maps_in_small_steps_are_those_in_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    # not through max pooling, where the last bit decides which voxel is credited at a tie
    classifier = classifier_of(vgg_like(nn.AvgPool3d), 3, SHAPE)
    pair = random_pair(classifier)
    first = attribute(pair, "d-ig", METHODS["d-ig"](), classifier).result()
    monkeypatch.setattr(type(classifier), "batch_for", lambda *_: 1)
    second = attribute(pair, "d-ig", METHODS["d-ig"](), classifier).result()
    gap = (first.signed - second.signed).abs().max()
    assert gap < 1e-4 * first.signed.abs().max()


class OfOneSlice(nn.Module):
    """Looks at a volume of one slice as at an image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        return self.network(volumes[:, :, 0])


@pytest.mark.parametrize(
    "masking", [Masking(), Masking(centered=True), Masking(channel_wise=False)]
)
def test_volume_of_one_slice_has_the_score_of_the_image(masking: Masking) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 28**2, 2))
    flat = classifier_of(network, 2, (2, 32, 32))
    deep = classifier_of(OfOneSlice(network), 2, (2, 1, 32, 32))
    image_pair = random_pair(flat)
    volume = Sample("noise", image_pair.query.image[:, None])
    volume_pair = make_pair(volume, image_pair.generated[:, None], 0, 1, deep)
    settings = ExplainSettings(("d-ig", "d-deeplift", "residual"), masking)
    images = explain_pair(image_pair, flat, settings).result()
    volumes = explain_pair(volume_pair, deep, settings).result()
    for one, other in zip(images.values(), volumes.values(), strict=True):
        assert one.quac_score == other.quac_score
        np.testing.assert_array_equal(one.curve.mask_sizes, other.curve.mask_sizes)
        np.testing.assert_array_equal(one.curve.predictions, other.curve.predictions)
        assert torch.equal(one.counterfactual.mask, other.counterfactual.mask[:, 0])
        assert torch.equal(one.counterfactual.image, other.counterfactual.image[:, 0])


def test_masks_are_closed_and_softened_slice_by_slice() -> None:
    values = np.random.default_rng(0).random((2, 3, 30, 30), dtype=np.float32)
    masking = Masking()
    mask, size = masking.mask(values, 0.97)
    by_slice = [masking.mask(values[:, z], 0.97) for z in range(3)]
    np.testing.assert_array_equal(mask, np.stack([m for m, _ in by_slice], axis=1))
    assert size == pytest.approx(np.mean([s for _, s in by_slice]))


def test_size_counts_all_voxels_and_the_marker_lies_on_the_curve() -> None:
    classifier = classifier_of(vgg_like(nn.MaxPool3d), 3, SHAPE)
    pair = random_pair(classifier)
    attribution = attribute(pair, "residual", METHODS["residual"](), classifier).result()
    curve = trace_curve(pair, attribution, classifier, Masking(closing=1)).result()
    assert curve.mask_sizes[0] == 1
    index = 150
    hybrid = hybrid_at(pair, curve, index)
    assert hybrid.mask_size == hybrid.n_pixels / np.prod(SHAPE)
    again = make_hybrid(
        pair, attribution, classifier, float(curve.thresholds[index]), Masking(closing=1)
    )
    torch.testing.assert_close(hybrid.prediction, again.prediction, rtol=0, atol=F32)


def brighter_image(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    return (query + 0.2 + 0.1 * (seed % 7) / 7).clamp(0, 1)


def mean_of_centre(images: Tensor) -> Tensor:
    value = 20 * (images[:, 0, 2].mean(dim=(1, 2)) - 0.5)
    return torch.stack([-value, value], dim=1)


@pytest.mark.parametrize("n_axes", [2, 3, None])
def test_generator_of_images_changes_the_centre_slice_and_says_so(n_axes: int | None) -> None:
    classifier = classifier_of(mean_of_centre, 2, SHAPE, form="callable")
    generator = FunctionGenerator(brighter_image, "brighter")
    generator.n_axes = n_axes
    query = Sample("dark", torch.full(SHAPE, 0.4))
    pair = search(query, 1, classifier, generator, SearchSettings(max_tries=4, block=2)).result()
    changed = (pair.generated != query.image).flatten(2).any(dim=2)[0]
    assert changed.tolist() == ([False, False, True, False] if n_axes == 2 else [True] * 4)
    explanations = explain_pair(pair, classifier, ExplainSettings(("residual",))).result()
    said = [
        finding.text for finding in verdict(explanations["residual"], (), classifier.class_names)
    ]
    assert any("only slice 3 of 4 (the center) was changed" in text for text in said) == (
        n_axes == 2
    )
    assert (pair.origin.get("applied_to") == {"slice": 2, "of": 4}) == (n_axes == 2)


def test_volume_is_explained_from_search_to_counterfactual() -> None:
    classifier = classifier_of(mean_of_centre, 2, SHAPE, form="callable")
    query = Sample("dark", torch.full(SHAPE, 0.4))

    def bright_spot(image: Tensor, source: int, target: int, seed: int) -> Tensor:
        image = image.clone()
        image[:, 2] = 1
        image[:, 0, :4, :4] = 0  # nobody looks there
        return image

    settings = ExplainSettings(("d-ig",), Masking(closing=1, blur=1))
    (found,) = (
        explain(query, 1, classifier, FunctionGenerator(bright_spot), settings).result().values()
    )
    mask = found.counterfactual.mask[0]
    assert mask[2].all()
    assert not mask[[0, 1, 3]].any()
    assert found.counterfactual.mask_size == 1 / 4
    assert int(found.counterfactual.prediction.argmax()) == 1
