import numpy as np
import pytest
import torch

from napari_quac.example import example_volume, load_example
from napari_quac.explain.exaggeration import traverse_bins
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.opening import recognize_generator
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe


@pytest.fixture(scope="module")
def classifier():
    return ClassifierRecipe(load_example().classifier_path).load("cpu")


def test_networks_are_small_enough_to_ship():
    example = load_example()
    paths = (
        example.classifier_path,
        example.generator_path,
        example.exaggeration_path,
        *example.cyclegan_paths,
    )
    assert sum(path.stat().st_size for path in paths) <= 10_000_000


def test_networks_describe_themselves(classifier):
    example = load_example()
    assert classifier.class_names == example.dataset.classes
    assert classifier.image_size == example.dataset.image_size
    assert classifier.channels == 1
    generator = StarGANRecipe(example.generator_path).load()
    assert generator.class_names == example.dataset.classes
    assert generator.query_size == 128


def test_classifier_is_good_but_not_perfect_on_held_back_samples(classifier):
    example = load_example()
    wrong = example.mispredicted(classifier)
    assert 1 <= len(wrong) <= 0.1 * len(example.dataset)
    for index in wrong:
        prediction = classifier.predict(example.dataset[index].image[None])[0]
        assert int(prediction.argmax()) != example.dataset.label(index)


def test_classifier_follows_the_ideal_counterfactual(classifier):
    dataset = load_example().dataset
    images, targets = [], []
    for index in range(0, 30):
        for target in range(3):
            images.append(dataset.counterfactual(index, target))
            targets.append(target)
    predicted = classifier.predict(torch.stack(images)).argmax(dim=1)
    assert (predicted == torch.tensor(targets)).float().mean() > 0.85


def test_probability_rises_with_the_bins_of_the_explainer(classifier):
    example = load_example(36)
    explainer = ExaggerationRecipe(example.exaggeration_path).load()
    assert (explainer.layout.negative, explainer.layout.positive) == ("plain", "T-bar")
    ranks, flipped = [], []
    for index in range(len(example.dataset)):
        query = example.dataset[index]
        called = int(classifier.predict(query.image[None]).argmax())
        if classifier.class_names[called] == "PSD":
            continue
        found = traverse_bins(query, explainer, classifier).result()
        ranks.append(found.monotonicity)
        flipped.append(found.pair.switches)
    assert len(ranks) >= 20
    assert np.median(ranks) >= 0.95
    assert np.mean(flipped) > 0.6


def test_volume_is_classified_at_its_points(classifier):
    image, points, voxel_size = example_volume((4, 512, 512))
    assert image.dtype == np.uint8
    assert voxel_size == (40.0, 4.0, 4.0)
    assert list(points.columns) == ["z", "y", "x", "class", "id"]
    assert points["id"].is_unique
    patches, labels = [], []
    for row in points.itertuples():
        patch = image[row.z, row.y - 64 : row.y + 64, row.x - 64 : row.x + 64]
        if patch.shape == (128, 128):
            patches.append(torch.from_numpy(patch.astype(np.float32) / 255)[None])
            labels.append(classifier.class_index(row[4]))
    assert len(patches) >= 4
    right = classifier.predict(torch.stack(patches)).argmax(dim=1) == torch.tensor(labels)
    assert right.float().mean() >= 0.7


def test_cyclegan_takes_t_bars_away_and_puts_them_in(classifier):
    """On held-back samples, judged by the classifier, and by where the true difference is."""
    from napari_quac.networks.generator import ConversionRequest

    example = load_example()
    generator = recognize_generator([str(path) for path in example.cyclegan_paths]).recipe.load(
        "cpu"
    )
    assert sorted(generator.pairs) == ["T-bar → plain", "plain → T-bar"]
    dataset, converted, contrast = example.dataset, [], []
    for index in range(0, 24):
        source = dataset.label(index)
        if dataset.classes[source] == "PSD":
            continue
        target = dataset.classes.index("plain" if dataset.classes[source] == "T-bar" else "T-bar")
        names = [classifier.class_names.index(dataset.classes[i]) for i in (source, target)]
        query = dataset[index].image
        image = generator.propose(ConversionRequest(query, *names, classifier), 0, 1).images[0]
        converted.append(int(classifier.predict(image[None])[0].argmax()) == names[1])
        change = (image - query).abs()[0].numpy()
        where = dataset.difference_mask(index, target)
        contrast.append(change[where].mean() / change[~where].mean())
    assert sum(converted) >= 0.75 * len(converted)
    assert float(np.median(contrast)) > 5
