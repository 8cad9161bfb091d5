"""A path whose probabilities are known, and the numbers that are taken from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_quac.errors import NotFiniteError, StorageError
from napari_quac.example import load_example
from napari_quac.explain.exaggeration import (
    Exaggeration,
    bin_center,
    bin_of,
    consistency,
    exaggerate,
    smallest_alphas,
    validity,
)
from napari_quac.explain.pair import make_pair
from napari_quac.explain.prediction_table import penultimate_features
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.exaggeration_files import (
    ladder_metadata,
    write_exaggeration,
)
from rounding import F32


@pytest.fixture(scope="module")
def made():
    example = load_example(8)
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load("cpu")
    settings = SearchSettings(max_tries=4, block=4)
    pair = search(example.dataset[7], 0, classifier, generator, settings).result()
    found = exaggerate(pair, generator, classifier, n_grid=9).result()
    return classifier, generator, pair, found


def test_path_ends_at_the_generated_image_and_goes_beyond(made) -> None:
    classifier, _, pair, found = made
    at_one = int(np.argmin(np.abs(found.alphas - 1)))
    torch.testing.assert_close(found.images[at_one], pair.generated, atol=1e-5, rtol=0)
    reached = float(pair.generated_prediction[pair.target])
    assert found.posteriors[at_one] == pytest.approx(reached, abs=1e-4)
    assert found.alphas.tolist()[-2:] == [1.25, 1.5]
    expected = classifier.predict(found.images)[:, pair.target].numpy()
    np.testing.assert_allclose(found.posteriors, expected, atol=1e-5)
    assert found.reconstruction_error < 0.05
    assert found.change.max() > 0.1


def test_ladder_reaches_what_it_says_and_nothing_is_extrapolated(made) -> None:
    _, _, pair, found = made
    assert len(found.ladder) == 10
    assert found.reachable.any()
    assert np.all(np.diff(found.ladder_alphas[found.reachable]) > 0)
    assert np.isnan(found.achieved[~found.reachable]).all()
    for index in np.flatnonzero(~found.reachable):
        assert torch.equal(found.ladder[index], pair.query.image)


def test_anchored_path_begins_at_the_query(made) -> None:
    classifier, generator, pair, _ = made
    found = exaggerate(pair, generator, classifier, anchored=True, n_grid=5).result()
    torch.testing.assert_close(found.images[0], pair.query.image)
    assert found.posteriors[0] == pytest.approx(float(pair.query_prediction[pair.target]), abs=1e-4)


def test_nan_in_the_styles_for_comparison_is_an_error(made) -> None:
    classifier, generator, pair, _ = made

    def spoil(module, inputs, styles):
        return styles * float("nan") if len(styles) > 1 else styles

    hook = generator.network.mapping_network.register_forward_hook(spoil)
    try:
        with pytest.raises(NotFiniteError, match="returned NaN"):
            exaggerate(pair, generator, classifier, n_grid=3).result()
    finally:
        hook.remove()


def test_image_without_a_path_is_faded_as_a_baseline(made) -> None:
    classifier, generator, pair, _ = made
    other = make_pair(pair.query, pair.generated, pair.source, pair.target, classifier)
    found = exaggerate(other, generator, classifier, n_grid=5).result()
    assert found.kind == "fade"
    assert torch.equal(found.images[0], pair.query.image)
    torch.testing.assert_close(found.images[4], pair.generated, atol=F32, rtol=0)
    middle = (pair.query.image + pair.generated) / 2
    torch.testing.assert_close(found.images[2], middle, atol=F32, rtol=0)
    assert found.reconstruction_error == 0


def test_identity_falls_from_one_and_validity_is_of_sure_queries(made) -> None:
    classifier, _, pair, found = made
    assert found.similarity is not None
    features = penultimate_features(classifier, torch.stack([pair.query.image, found.images[8]]))
    first, last = features.numpy()
    cosine = first @ last / np.linalg.norm(first) / np.linalg.norm(last)
    assert found.identity == pytest.approx(cosine, abs=1e-5)
    before, after = float(pair.query_prediction[pair.target]), found.posteriors[8]
    assert found.is_valid is (None if 0.2 <= before <= 0.8 else bool(abs(after - before) > 0.8))


def test_smallest_alpha_is_taken_and_what_is_out_of_reach_is_not() -> None:
    alphas = np.array([0, 0.25, 0.5, 0.75, 1.0])
    posteriors = np.array([0.1, 0.3, 0.2, 0.6, 0.8])
    found = smallest_alphas(alphas, posteriors, np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.8, 0.9]))
    np.testing.assert_allclose(found, [np.nan, 0, 0.125, 0.25, 0.625, 1, np.nan])


def test_last_bin_takes_the_probability_of_one() -> None:
    assert [bin_of(q) for q in (0, 0.05, 0.1, 0.999, 1.0)] == [0, 0, 1, 9, 9]
    assert bin_center(9) == 0.95


def test_numbers_of_a_path_that_are_known_by_hand(made) -> None:
    _, _, _, found = made
    changes = {
        "alphas": np.array([0, 0.5, 1.0]),
        "posteriors": np.array([0.1, 0.6, 0.4]),
        "off_manifold": np.zeros(3, dtype=bool),
    }
    path = Exaggeration(**{**vars(found), **changes})
    assert path.monotonicity == pytest.approx(0.5)
    assert path.largest_drop == pytest.approx(0.2)
    assert "falls by 0.20" in path.warning


def test_consistency_and_validity_are_those_worked_out_by_hand() -> None:
    desired, achieved = np.array([0.2, 0.5, 0.8]), np.array([0.3, np.nan, 0.8])
    found = consistency(desired, achieved)
    divergence = (0.2 * np.log(0.2 / 0.3) + 0.8 * np.log(0.8 / 0.7)) / 2
    assert (found.n, found.mean_error) == (2, pytest.approx(0.05))
    assert found.correlation == pytest.approx(1)
    assert found.divergence == pytest.approx(divergence)
    share, n = validity(np.array([0.05, 0.5, 0.95, 0.1]), np.array([0.9, 0.9, 0.2, 0.5]))
    assert (share, n) == (pytest.approx(1 / 3), 3)
    assert np.isnan(validity(np.array([0.5]), np.array([0.9]))[0])


def test_stack_and_animation_hold_every_frame(made, tmp_path: Path) -> None:
    *_, found = made
    write_exaggeration(tmp_path, found)
    with tifffile.TiffFile(tmp_path / "path.tif") as file:
        assert file.asarray().reshape(found.images.shape).shape == found.images.shape
        frames = json.loads(file.shaped_metadata[0]["frames"])
    assert len(frames) == len(found.alphas)
    assert frames[0]["alpha"] == 0
    rungs = ladder_metadata(found)
    assert rungs[0]["desired"] == 0.05
    json.dumps(rungs, allow_nan=False)
    with Image.open(tmp_path / "path.gif") as animation:
        assert 2 <= animation.n_frames <= 2 * len(found.images) - 2
        assert animation.size == (128 + 8, 128)
        assert animation.info["duration"] == 100
    with pytest.raises(StorageError, match="cannot be written"):
        write_exaggeration(tmp_path / "path.gif" / "below", found)
    assert len(list(tmp_path.iterdir())) == 4
