"""Images that training and test share, found by their pixels."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_quac.data.image_datasets import ImageFolder
from napari_quac.data.overlap import Overlap, find_overlap, pixel_hash


@pytest.fixture
def folders(tmp_path):
    """Three training images and three test images, of which two are copies in other formats."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (8, 8), np.uint8) for _ in range(5)]
    for folder in ("train/a", "test/a"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(images[number]).save(tmp_path / f"train/a/{number}.png")
    Image.fromarray(images[0]).save(tmp_path / "test/a/copy.png")
    tifffile.imwrite(tmp_path / "test/a/float.tif", images[1].astype(np.float32) / 255)
    Image.fromarray(np.repeat(images[2][..., None], 3, axis=2)).save(tmp_path / "test/a/rgb.png")
    Image.fromarray(images[3]).save(tmp_path / "test/a/new.png")
    changed = images[0].copy()
    changed[4, 4] ^= 1
    Image.fromarray(changed).save(tmp_path / "test/a/one_pixel.png")
    (tmp_path / "test/a/zz.png").write_bytes(b"broken")
    return ImageFolder(tmp_path / "train"), ImageFolder(tmp_path / "test")


def test_equal_pixels_are_found_whatever_the_file(folders) -> None:
    train, test = folders
    overlap = find_overlap(test, train).result()
    assert overlap.ids == ("a/copy.png", "a/float.tif", "a/rgb.png")
    assert overlap.other_ids == ("a/0.png", "a/1.png", "a/2.png")
    assert (len(overlap), overlap.n_samples) == (3, 6)
    assert "3 of 6 samples are also among the training images (a/copy.png" in overlap.sentence(
        "samples", "training images"
    )
    assert Overlap.from_json(overlap.to_json()).ids == overlap.ids


def test_different_images_do_not_overlap(folders) -> None:
    train, _ = folders
    other = find_overlap(train, train).result()
    assert len(other) == 3
    none = Overlap((), (), (), 4)
    assert none.sentence("samples", "training images") == ""
    assert not none


def test_shape_counts() -> None:
    image = np.zeros((1, 4, 9), np.float32)
    assert pixel_hash(image) != pixel_hash(image.reshape(1, 6, 6))
    assert pixel_hash(image) == pixel_hash(np.zeros((1, 4, 9), np.uint16))
