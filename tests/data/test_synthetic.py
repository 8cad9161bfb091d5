import numpy as np
import pytest
import torch

from napari_quac.data.dataset import Dataset
from napari_quac.data.synthetic import CLASSES, SPLITS, SyntheticSynapses
from napari_quac.data.synthetic_em.scene import draw_scene, draw_volume
from napari_quac.data.synthetic_em.section import REACH
from napari_quac.data.synthetic_em.tissue import Cells, bend, cut, scatter_cells
from napari_quac.errors import DataError

T_BAR, PSD, PLAIN = range(3)


@pytest.fixture(scope="module")
def synapses() -> SyntheticSynapses:
    return SyntheticSynapses(30)


def test_is_a_dataset_of_images_in_range(synapses):
    assert isinstance(synapses, Dataset)
    sample = synapses[4]
    assert sample.image.shape == (1, 128, 128)
    assert sample.image.dtype == torch.float32
    assert 0 <= sample.image.min() < 0.3
    assert 0.6 < sample.image.max() <= 1
    assert sample.id == synapses.sample_id(4) == "PSD/held-back-0004"
    assert sample.label == synapses.label(4) == PSD
    assert (sample.scale, sample.unit) == ((4.0, 4.0), "nm")


def test_ids_are_unique_and_classes_balanced(synapses):
    assert len({synapses.sample_id(index) for index in range(30)}) == 30
    assert np.bincount([synapses.label(index) for index in range(30)]).tolist() == [10, 10, 10]


def test_same_seed_gives_same_image(synapses):
    again = SyntheticSynapses(5)
    assert torch.equal(synapses[3].image, again[3].image)
    assert not torch.equal(synapses[3].image, SyntheticSynapses(5, seed=1)[3].image)


def test_a_larger_dataset_begins_with_the_smaller_one(synapses):
    assert torch.equal(SyntheticSynapses(3)[2].image, synapses[2].image)


def test_splits_share_no_scene():
    first = [SyntheticSynapses(3, split)[0].image for split in SPLITS]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


def test_ideal_counterfactual_differs_exactly_near_the_synapse(synapses):
    for index in range(12):
        scene = synapses.scene(index)
        row, column = scene.site
        for target in range(3):
            change = (synapses.counterfactual(index, target) - synapses[index].image).abs()[0]
            rows, columns = np.nonzero(change.numpy() > 1e-6)
            if target == synapses.label(index):
                assert len(rows) == 0
            else:
                assert np.abs(rows - row).max() <= REACH + 3
                assert np.abs(columns - column).max() <= REACH + 3


def test_difference_mask_is_compact_and_symmetric(synapses):
    for index in range(12):
        own = synapses.label(index)
        for target in range(3):
            mask = synapses.difference_mask(index, target)
            assert mask.shape == (128, 128)
            assert mask.dtype == bool
            if target != own:
                assert 20 < mask.sum() < 0.12 * mask.size
            else:
                assert not mask.any()
            assert (mask == synapses.scene(index).difference(target, own)).all()


def test_densities_lie_on_their_own_sides_of_the_cleft():
    for seed in range(12):
        scene = draw_scene((9, seed))
        if scene.synapse.strength < 0.5:
            continue
        rows, columns = np.indices((128, 128))
        normal = np.cos(scene.synapse.angle), np.sin(scene.synapse.angle)
        towards_pre = (rows - scene.site[0]) * normal[0] + (columns - scene.site[1]) * normal[1]
        for label, side in ((T_BAR, 1), (PSD, -1)):
            weight = scene.darkness[label]
            assert side * (towards_pre * weight).sum() / weight.sum() > 3
        assert not scene.darkness[PLAIN].any()


def test_densities_are_darker_than_their_surroundings():
    scene = draw_scene((9, 1))
    for label in (T_BAR, PSD):
        where = scene.difference(label, PLAIN)
        assert scene.render(label)[where].mean() < scene.render(PLAIN)[where].mean() - 0.05


def test_the_rest_of_the_image_does_not_tell_the_class():
    """Brightness outside of the difference is the same in all classes: same scene, same noise."""
    scene = draw_scene((9, 2))
    rest = ~(scene.difference(T_BAR, PLAIN) | scene.difference(PSD, PLAIN))
    images = [scene.render(label)[rest].mean() for label in range(len(CLASSES))]
    assert np.ptp(images) < 1e-3


def test_some_densities_are_faint():
    strengths = [draw_scene((10, seed)).synapse.strength for seed in range(60)]
    assert 1 <= sum(strength < 0.36 for strength in strengths) <= 20


def test_unknown_split_names_the_known_ones():
    with pytest.raises(DataError, match="held back"):
        SyntheticSynapses(3, "test")


def test_no_samples_are_refused():
    with pytest.raises(DataError, match="at least one"):
        SyntheticSynapses(0)


def test_index_out_of_range_ends_iteration(synapses):
    with pytest.raises(IndexError):
        synapses[30]
    assert len(list(SyntheticSynapses(2))) == 2


def test_volume_marks_its_synapses():
    volume = draw_volume(1, (3, 360, 400)).result()
    assert volume.image.shape == (3, 360, 400)
    assert volume.image.dtype == np.uint8
    assert len(volume.points) == len(volume.labels) >= 3
    z, y, x = volume.points.T
    assert (z >= 0).all()
    assert (z < 3).all()
    assert (y >= 64).all()
    assert (x >= 64).all()
    assert (y <= 360 - 64).all()
    assert (x <= 400 - 64).all()
    assert set(volume.labels) <= {0, 1, 2}


def test_neighboring_sections_show_the_same_cells():
    image = draw_volume(1, (6, 300, 300)).result().image.astype(float)
    near = np.corrcoef(image[1].ravel(), image[2].ravel())[0, 1]
    far = np.corrcoef(image[0].ravel(), image[5].ravel())[0, 1]
    assert near > far
    assert near > 0.2


def test_every_pixel_belongs_to_its_nearest_cell():
    rng = np.random.default_rng(3)
    centers = scatter_cells(rng, (128, 128), 36.0, np.empty((0, 2)))
    cells = Cells(centers, rng.uniform(-8, 20, len(centers)).astype(np.float32))
    tissue = cut(cells, bend(rng, (128, 128)))
    window = (slice(None), slice(None))
    distances = np.stack([tissue.distance(cell, window) for cell in range(len(centers))])
    assert (distances.argmin(axis=0) == tissue.first).all()
    lowest = np.sort(distances, axis=0)
    np.testing.assert_allclose(tissue.depth, (lowest[1] - lowest[0]) / 2, atol=1e-4)
