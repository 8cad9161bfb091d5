from __future__ import annotations

import numpy as np
import pytest
import torch
from listed import Listed
from torch import Tensor

from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.resizing import resize
from napari_quac.train.images import ImagePool, PoolDataset, load_pool, turn


def images(n: int, *shape: int) -> list[Tensor]:
    return [torch.rand(shape) for _ in range(n)]


def pool(n_each: tuple[int, ...] = (4, 6)) -> ImagePool:
    labels = [label for label, n in enumerate(n_each) for _ in range(n)]
    listed = Listed(images(len(labels), 1, 8, 8), list(labels), ("a", "b")[: len(n_each)])
    return load_pool(listed).result()


def test_sixteen_bit_values_are_kept_exactly() -> None:
    image = torch.tensor([[[0, 1], [65534, 65535]]]) / 65535
    loaded = load_pool(Listed([image] * 4, [0, 0, 1, 1], ("a", "b"))).result()
    torch.testing.assert_close(loaded.images(np.array([2]))[0], image, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "labels", "classes", "error", "words"),
    [
        (images(4, 1, 8, 8), [0, 0, 1, None], ("a", "b"), DataError, "image 3"),
        (images(4, 1, 8, 8), [0, 0, 0, 0], ("a",), DataError, "at least 2"),
        (images(4, 1, 8, 8), [0, 0, 0, 1], ("a", "b"), DataError, "'b'"),
        (images(4, 1, 8, 9), [0, 0, 1, 1], ("a", "b"), ShapeError, "square"),
        (
            [*images(3, 1, 8, 8), *images(1, 3, 8, 8)],
            [0, 0, 1, 1],
            ("a", "b"),
            ShapeError,
            r"image 3.*\(3, 8, 8\).*\(1, 8, 8\)",
        ),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(
    given: list[Tensor],
    labels: list[int | None],
    classes: tuple[str, ...],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        load_pool(Listed(given, labels, classes)).result()


def test_rare_classes_are_drawn_as_often_as_others() -> None:
    drawn = pool((2, 30)).draw(2000, np.random.default_rng(0))
    assert 0.45 < (drawn < 2).mean() < 0.55


def test_a_split_leaves_both_parts_every_class() -> None:
    first, second = pool((2, 10)).split(0.1, np.random.default_rng(0))
    for part in (first, second):
        assert set(part.labels) == {0, 1}
    assert sorted(first.ids + second.ids) == sorted(pool((2, 10)).ids)


def test_a_pool_is_a_dataset() -> None:
    known = pool()
    again = load_pool(PoolDataset(known)).result()
    assert np.array_equal(again.values, known.values)
    assert again.ids == known.ids


def test_images_shrink_by_averaging() -> None:
    checks = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]]).tile(1, 1, 4, 4)
    torch.testing.assert_close(resize(checks, 4), torch.full((1, 1, 4, 4), 0.5))


def test_the_eight_symmetries_differ() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert len({tuple(turn(image, which).flatten().tolist()) for which in range(8)}) == 8
