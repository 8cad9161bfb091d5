"""Stacks of images with labels in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_quac.data import DATASETS
from napari_quac.data.dataset import Dataset
from napari_quac.data.image_layout import SplitsError
from napari_quac.data.labeled_stack import LabeledStackRecipe, is_labeled_stack, stack_in
from napari_quac.errors import DataError, ShapeError, ValueRangeError

IMAGES = (np.arange(4 * 6 * 5) % 256).astype(np.uint8).reshape(4, 6, 5)


def names(dataset) -> list[str | None]:
    labels = (dataset.label(index) for index in range(len(dataset)))
    return [None if label is None else dataset.classes[label] for label in labels]


@pytest.mark.parametrize(
    ("text", "n_assumptions"),
    [
        ("label\nx\ny\nx\ny\n", 1),
        ("index,label\n0,x\n1,y\n2,x\n3,y\n", 2),
        ("slice;class;size\n4;y;1,5\n3;x;1,5\n2;y;2,5\n1;x;2,5\n", 2),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_stack_with_a_table_beside_it(tmp_path: Path, suffix, text, n_assumptions) -> None:
    path = tmp_path / f"stack{suffix}"
    np.save(path, IMAGES) if suffix == ".npy" else tifffile.imwrite(
        path, IMAGES, photometric="minisblack"
    )
    (tmp_path / "labels.csv").write_text(text)
    assert is_labeled_stack(path)
    assert stack_in(tmp_path) == path
    dataset = LabeledStackRecipe(path).load()
    assert isinstance(dataset, Dataset)
    assert names(dataset) == ["x", "y", "x", "y"]
    assert dataset[1].label == 1
    np.testing.assert_allclose(dataset[1].image[0], IMAGES[1] / 255, atol=1e-6)
    kinds = [a.kind for a in dataset.assumptions]
    assert kinds == ["labels"] * n_assumptions + ["image range"]


def test_npy_of_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", IMAGES)
    np.save(tmp_path / "y.npy", np.array([1, 0, 10, 2]))
    assert stack_in(tmp_path) == tmp_path / "X.npy"
    dataset = LabeledStackRecipe(tmp_path / "X.npy").load()
    assert dataset.classes == ("0", "1", "2", "10")
    assert names(dataset) == ["1", "0", "10", "2"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": IMAGES, "labels": np.array(["x", "y", "x", "y"])},
        {"X": IMAGES, "y": np.array([0, 1, 0, 1]), "class_names": np.array(["x", "y"])},
        {"data": IMAGES / 255, "targets": np.array([[0.0], [1], [0], [1]]), "classes": ["x", "y"]},
    ],
)
def test_archive(tmp_path: Path, arrays) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    dataset = LabeledStackRecipe(tmp_path / "a.npz").load()
    assert names(dataset) == ["x", "y", "x", "y"]
    np.testing.assert_allclose(dataset[3].image[0], IMAGES[3] / 255, atol=1e-6)


@pytest.mark.parametrize("form", ["{split}_{key}", "{short}_{split}"])
def test_archive_of_splits_needs_a_choice(tmp_path: Path, form: str) -> None:
    rgb = np.repeat(IMAGES[..., None], 3, axis=-1)
    arrays = {}
    for number, split in enumerate(("train", "val", "test")):
        for key, short, array in (("images", "x", rgb + number), ("labels", "y", [[0]] * 4)):
            arrays[form.format(split=split, key=key, short=short)] = np.asarray(array)
    np.savez(tmp_path / "mnist.npz", **arrays)
    recipe = LabeledStackRecipe(tmp_path / "mnist.npz")
    with pytest.raises(SplitsError, match="train, val, test") as raised:
        recipe.load()
    assert raised.value.splits == ("train", "val", "test")
    dataset = LabeledStackRecipe(recipe.path, split="val").load()
    assert (len(dataset), dataset.classes, dataset[0].image.shape) == (4, ("0",), (3, 6, 5))
    np.testing.assert_allclose(dataset[0].image[0], (IMAGES[0] + 1) / 255, atol=1e-6)
    assert len(LabeledStackRecipe(recipe.path, split="all").load()) == 12
    with pytest.raises(SplitsError, match="no split 'dev'"):
        LabeledStackRecipe(recipe.path, split="dev").load()


def test_wrong_stacks_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", IMAGES)
    (tmp_path / "few.csv").write_text("label\nx\ny\n")
    with pytest.raises(DataError, match=r"4 images, but there are 2 labels"):
        LabeledStackRecipe(tmp_path / "s.npy", tmp_path / "few.csv").load()
    np.save(tmp_path / "flat.npy", IMAGES[0])
    with pytest.raises(ShapeError, match="expected a stack"):
        LabeledStackRecipe(tmp_path / "flat.npy", tmp_path / "few.csv").load()
    np.savez(tmp_path / "w.npz", weights=IMAGES)
    with pytest.raises(DataError, match="no array 'images', but weights"):
        LabeledStackRecipe(tmp_path / "w.npz").load()
    np.savez(tmp_path / "o.npz", images=np.array([None, {}], dtype=object), labels=[0, 1])
    with pytest.raises(DataError, match="cannot be read"):
        LabeledStackRecipe(tmp_path / "o.npz").load()
    (tmp_path / "b.npz").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        LabeledStackRecipe(tmp_path / "b.npz").load()
    np.save(tmp_path / "four.npy", np.arange(4))
    np.save(tmp_path / "u16.npy", IMAGES.astype(np.uint16))
    with pytest.raises(ValueRangeError, match="--image-range"):
        LabeledStackRecipe(tmp_path / "u16.npy", tmp_path / "four.npy").load()


def test_single_images_are_no_stacks(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES[0])
    np.save(tmp_path / "b.npy", IMAGES[0])
    assert not is_labeled_stack(tmp_path / "a.npy")
    assert stack_in(tmp_path) is None
    (tmp_path / "labels.csv").write_text("file,label\na,x\nb,y\n")
    assert stack_in(tmp_path) is None
    (tmp_path / "b.npy").unlink()
    assert stack_in(tmp_path) is None


def test_plans_know_the_kind() -> None:
    assert DATASETS["stack"] is LabeledStackRecipe


@pytest.mark.parametrize("images", [IMAGES[..., None], IMAGES[:, None]], ids=["last", "first"])
def test_one_channel_of_an_archive(tmp_path: Path, images: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", images=images, labels=np.eye(2, dtype=np.float32)[[0, 1, 1, 0]])
    dataset = LabeledStackRecipe(tmp_path / "a.npz").load()
    assert names(dataset) == ["0", "1", "1", "0"]
    np.testing.assert_allclose(dataset[1].image[0], IMAGES[1] / 255, atol=1e-6)


def test_rows_of_labels_need_one_class_each(tmp_path: Path) -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=labels)
    with pytest.raises(DataError, match="several classes"):
        LabeledStackRecipe(tmp_path / "a.npz").load()
