from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.explain.curve import blend
from rounding import F32
from strategies import images, quick


@quick
@given(images(2))
def test_mask_0_gives_the_query_and_mask_1_the_generated_image(
    pair: tuple[Tensor, Tensor],
) -> None:
    query, generated = pair
    assert torch.equal(blend(query, generated, torch.zeros_like(query)), query)
    assert torch.equal(blend(query, generated, torch.ones_like(query)), generated)


@quick
@given(images(3))
def test_hybrid_lies_between_query_and_generated_image(drawn: tuple[Tensor, ...]) -> None:
    query, generated, mask = drawn
    hybrid = blend(query, generated, mask)
    assert hybrid.shape == query.shape
    assert hybrid.dtype == torch.float32
    assert (hybrid >= torch.minimum(query, generated) - 1e-6).all()
    assert (hybrid <= torch.maximum(query, generated) + 1e-6).all()


@quick
@given(images(3))
def test_inverse_hybrid_is_the_hybrid_of_the_inverse_mask(drawn: tuple[Tensor, ...]) -> None:
    query, generated, mask = drawn
    inverse = blend(generated, query, mask)
    torch.testing.assert_close(inverse, blend(query, generated, 1 - mask), rtol=0, atol=F32)


def test_the_generated_image_is_pasted_into_the_query() -> None:
    query, generated = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    mask = torch.tensor([[[1.0, 0.0], [0.5, 0.0]]])
    assert blend(query, generated, mask).tolist() == [[[1.0, 0.0], [0.5, 0.0]]]
    assert blend(generated, query, mask).tolist() == [[[0.0, 1.0], [0.5, 1.0]]]


def test_one_mask_counts_for_all_channels() -> None:
    query, generated = torch.zeros(3, 2, 5), torch.ones(3, 2, 5)
    mask = torch.rand(1, 2, 5)
    assert torch.equal(blend(query, generated, mask), mask.expand(3, 2, 5))
    assert torch.equal(blend(query, generated, mask[0]), mask.expand(3, 2, 5))


def test_many_masks_give_many_hybrids() -> None:
    query, generated = torch.rand(2, 3, 2, 4, 5)
    masks = torch.rand(7, 3, 2, 4, 5)
    hybrids = blend(query, generated, masks)
    assert hybrids.shape == masks.shape
    assert torch.equal(hybrids[4], blend(query, generated, masks[4]))


@pytest.mark.parametrize(
    ("query", "generated", "mask"),
    [
        ((1, 4, 4), (1, 4, 5), (1, 4, 4)),
        ((1, 4, 4), (3, 4, 4), (1, 4, 4)),
        ((1, 4, 4), (1, 4, 4), (1, 5, 4)),
        ((1, 4, 4), (1, 4, 4), (1, 1, 1)),
        ((3, 4, 4), (3, 4, 4), (2, 4, 4)),
        ((1, 4, 4), (1, 4, 4), (3, 4, 4)),
    ],
)
def test_images_that_do_not_fit_are_refused_with_their_shapes(
    query: tuple[int, ...], generated: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError) as caught:
        blend(torch.zeros(query), torch.zeros(generated), torch.zeros(mask))
    for shape in (query, generated, mask):
        assert str(shape) in str(caught.value)
