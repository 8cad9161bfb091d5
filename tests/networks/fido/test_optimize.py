"""The region is the one that can be worked out by hand, whatever the seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError, MethodUnavailableError, NotFiniteError, UnknownNameError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.fido.optimize import (
    concrete_drop,
    grid_size,
    log_odds,
    optimize_mask,
    total_variation,
    upsampled,
)
from napari_quac.networks.fido.settings import FidoSettings, InfillChoice, MaskState, make_infill


class FourPixels(nn.Module):
    """Logits (-v, v) with four pixels that count 1, 0.75, 0.5 and 0.25."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(1, 8, 8)
        weights[0, 2, 2], weights[0, 2, 3], weights[0, 3, 2], weights[0, 3, 3] = 1, 0.75, 0.5, 0.25
        self.register_buffer("weights", weights)

    def forward(self, images: Tensor) -> Tensor:
        value = (images * self.weights).flatten(1).sum(1) - 1.25
        return torch.stack([-value, value], dim=1)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(FourPixels().eval(), ("0", "1"), 1, (8, 8), PRESETS["unit"], name="four")


@pytest.fixture(scope="module")
def image(classifier: Classifier) -> Tensor:
    bright = (classifier.module.weights > 0).float()
    bright[0, 6, 5:8] = 1
    return bright


def found(classifier: Classifier, image: Tensor, settings: FidoSettings) -> MaskState:
    infill = make_infill(InfillChoice("mean", level=0.0), image)
    return optimize_mask(image, 1, 0, classifier, infill, settings).result()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("objective", ["ssr", "sdr"])
def test_exactly_the_pixels_that_are_worth_their_price_are_selected(
    classifier: Classifier, image: Tensor, objective: str, seed: int
) -> None:
    settings = FidoSettings(objective, penalty=0.7 * 64, seed=seed)
    state = found(classifier, image, settings)
    assert torch.equal(state.region, classifier.module.weights >= 0.5)
    assert state.converged
    assert state.kept_fraction == (3 / 64 if objective == "ssr" else 61 / 64)


def test_conversion_of_the_other_class_equals_destruction_of_two(
    classifier: Classifier, image: Tensor
) -> None:
    states = [
        found(classifier, image, FidoSettings(objective, penalty=0.7 * 64, n_steps=60))
        for objective in ("conversion", "sdr")
    ]
    torch.testing.assert_close(states[0].drop, states[1].drop)
    assert states[0].log_odds == pytest.approx(-states[1].log_odds, abs=1e-5)


def test_soft_mask_drops_what_is_worth_it(classifier: Classifier, image: Tensor) -> None:
    settings = FidoSettings("sdr", penalty=0.7 * 64, deterministic=True, tolerance=1e-5)
    state = found(classifier, image, settings)
    assert torch.equal(state.region, classifier.module.weights >= 0.5)
    assert state.agreement is None


def test_same_seed_gives_the_same_mask_and_another_seed_another(
    classifier: Classifier, image: Tensor
) -> None:
    one, same, other = (
        found(classifier, image, FidoSettings("sdr", n_steps=20, seed=seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one.drop, same.drop)
    assert not torch.equal(one.drop, other.drop)


def test_finish_keeps_what_there_is(classifier: Classifier, image: Tensor) -> None:
    infill = make_infill(InfillChoice("mean", level=0.0), image)
    steps = optimize_mask(image, 1, 0, classifier, infill, FidoSettings("sdr"))
    shown = []
    iterator = iter(steps)
    while True:
        try:
            progress = next(iterator)
        except StopIteration as end:
            state = end.value
            break
        if progress.partial is not None:
            shown.append(progress.partial)
        if progress.done == 25:
            progress.finish()
    assert state.step == 26
    assert not state.converged
    assert [partial.step for partial in shown] == [1, 10, 20, 26]
    assert state.agreement is not None


def test_work_goes_on_from_an_earlier_state(classifier: Classifier, image: Tensor) -> None:
    infill = make_infill(InfillChoice("mean", level=0.0), image)
    short = found(classifier, image, FidoSettings("sdr", penalty=0.7 * 64, n_steps=150))
    settings = FidoSettings("sdr", penalty=0.7 * 64, n_steps=300)
    state = optimize_mask(image, 1, 0, classifier, infill, settings, start=short).result()
    assert state.step > 150
    assert torch.equal(state.region, classifier.module.weights >= 0.5)


def test_relaxed_draws_have_the_known_values() -> None:
    logits = torch.tensor([0.0, 0.0, 1.0, -2.0])
    uniform = torch.tensor([0.5, 0.55, 0.3, 0.9])
    drawn = concrete_drop(logits.sigmoid(), uniform, 0.1)
    expected = torch.tensor([0.5, 0.8815, 0.8216, 0.8779])
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=0)
    extremes = concrete_drop(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]), 0.1)
    assert torch.isfinite(extremes).all()


def test_grid_has_a_quarter_of_the_pixels_but_eight_cells_and_no_more_than_pixels() -> None:
    assert grid_size((224, 224), 4) == (56, 56)
    assert grid_size((127, 20), 4) == (32, 8)
    assert grid_size((1, 6, 64), 4) == (1, 6, 16)
    grid = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    assert upsampled(grid, (3, 5))[0, 1].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_log_odds_keep_their_precision_where_probabilities_are_0_and_1() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    expected = torch.tensor([200 - torch.tensor(2.0).log(), -200.0])
    torch.testing.assert_close(log_odds(logits, 0), expected)


def test_total_variation_sums_the_squared_steps() -> None:
    assert float(total_variation(torch.tensor([[[0.0, 1.0], [0.0, 3.0]]]))) == 1 + 9 + 0 + 4


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no objective 'sds'"):
        FidoSettings("sds")
    with pytest.raises(DataError, match="n_samples of at least 1, got 0"):
        FidoSettings(n_samples=0)
    with pytest.raises(DataError, match="negative"):
        FidoSettings(penalty=-1)


def test_a_classifier_without_gradients_is_refused(image: Tensor) -> None:
    def detached(images: Tensor) -> Tensor:
        return FourPixels()(images).detach()

    frozen = Classifier(detached, ("0", "1"), 1, (8, 8), PRESETS["unit"], form="callable")
    with pytest.raises(MethodUnavailableError, match="no gradients"):
        found(frozen, image, FidoSettings())


@pytest.mark.parametrize("nan_call", range(5))
def test_nan_in_any_pass_is_an_error(image: Tensor, nan_call: int) -> None:
    class Failing(FourPixels):
        n_calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.n_calls += 1
            logits = super().forward(images)
            return logits * torch.nan if self.n_calls == nan_call + 1 else logits

    broken = Classifier(Failing().eval(), ("0", "1"), 1, (8, 8), PRESETS["unit"], name="broken")
    with pytest.raises(NotFiniteError, match="NaN"):
        found(broken, image, FidoSettings(n_steps=4))
    assert broken.module.n_calls == nan_call + 1
