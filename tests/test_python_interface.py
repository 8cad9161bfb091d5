"""Each wish of a notebook user takes at most two lines of Python, and the notebooks run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import napari_quac as nq
from napari_quac.example import load_example
from napari_quac.generators.infill.recipe import INFILL_METHODS
from napari_quac.networks.tensor_file import file_hash
from napari_quac.reports.store import ExplanationStore
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator, corner_image

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
image = corner_image(0)
classifier, generator = corner_classifier(), corner_generator()


def wish_1_explain_an_image() -> object:
    explanations = nq.explain_image(image, classifier, generator, target="right")
    return explanations["d-ig"].quac_score


def wish_2_torch_module_as_classifier() -> object:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    return nq.load_classifier(module, classes=["ACh", "GABA"], image_size=8, value_range=(0, 1))


def wish_3_load_any_file() -> object:
    network = nq.load_classifier(load_example().classifier_path)
    return network, nq.load_generator(load_example().generator_path)


def wish_4_one_attribution() -> object:
    return nq.attribute_image(image, corner_image(1), classifier, "d-ig", n_steps=20).values


def wish_5_look_at_it() -> object:
    explanation = nq.explain_image(image, classifier, generator, methods=["d-ig"])["d-ig"]
    return explanation.plot()


def wish_6_hybrid_at_a_threshold() -> object:
    explanation = nq.explain_image(image, classifier, generator, methods=["d-ig"])["d-ig"]
    return explanation.at(0.3).image


def wish_7_by_method() -> object:
    explanations = nq.explain_image(image, classifier, generator, methods=["d-ig", "residual"])
    return {method: explanation.quac_score for method, explanation in explanations.items()}


def wish_8_progress_in_a_notebook() -> object:
    pair = nq.make_pair(CornerSamples()[0], corner_image(1), 0, 1, classifier)
    return nq.explain_pair(pair, classifier).result(progress=True)


def wish_9_many_samples(folder: Path) -> object:
    settings = nq.ExplainSettings(methods=("d-ig",))
    return nq.explain_folder(CornerSamples(), classifier, generator, folder, settings=settings)


def wish_10_table_of_scores(folder: Path) -> object:
    nq.explain_folder(CornerSamples(n=2), classifier, generator, folder, methods=["d-ig"])
    return nq.open_report(folder).to_frame()["quac_score"]


def wish_11_show_it_in_napari(viewer: object) -> object:
    explanations = nq.explain_image(image, classifier, generator, methods=["d-ig"])
    return nq.view(explanations["d-ig"], viewer)


def wish_12_own_generator() -> object:
    invert = nq.FunctionGenerator(lambda query, source, target, seed: 1 - query)
    return nq.explain_image(image, classifier, invert, methods=["residual"], max_tries=1)


WISHES = [
    pytest.param(wish, marks=[pytest.mark.needs_qt] if "napari" in name else [], id=name)
    for name, wish in list(globals().items())
    if name.startswith("wish_")
]


@pytest.mark.parametrize("wish", WISHES)
def test_wish_takes_at_most_two_lines(
    wish: Callable[..., object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    body = inspect.getsource(wish).splitlines()[1:]
    assert len(body) <= 2
    parameters = inspect.signature(wish).parameters
    arguments = {}
    if "folder" in parameters:
        arguments["folder"] = tmp_path / "explanations"
    if "viewer" in parameters:
        arguments["viewer"] = request.getfixturevalue("make_napari_viewer")()
    assert wish(**arguments) is not None


def test_arrays_and_tensors_of_any_layout_give_the_same_explanation() -> None:
    gray = image[0].numpy()
    scores = {
        nq.explain_image(query, classifier, generator, "right", methods=["d-ig"])["d-ig"].quac_score
        for query in (image, gray, gray[None], torch.from_numpy(gray), image[0].double())
    }
    assert len(scores) == 1
    assert np.asarray(wish_6_hybrid_at_a_threshold()).shape == (1, 32, 32)


def test_generated_image_may_be_given_instead_of_a_generator() -> None:
    explanations = nq.explain_image(image, classifier, corner_image(1), "right", methods=["d-ig"])
    assert torch.equal(explanations.pair.generated, corner_image(1))


def test_interrupted_folder_is_continued(tmp_path: Path) -> None:
    samples, output = CornerSamples(n=3), tmp_path / "out"
    options = {"methods": ["d-ig"], "seed": 1}
    nq.explain_folder(CornerSamples(n=1), classifier, generator, output, **options)
    report = nq.explain_folder(samples, classifier, generator, output, **options)
    whole = nq.explain_folder(samples, classifier, generator, tmp_path / "whole", **options)
    columns = ["sample", "source", "target", "method", "quac_score"]
    assert report.to_frame()[columns].equals(whole.to_frame()[columns])


def test_folder_of_a_generator_file_belongs_to_a_run_of_the_same_file(tmp_path: Path) -> None:
    example = load_example(1)
    paths = example.classifier_path, example.generator_path
    nq.explain_folder(example.dataset, *paths, tmp_path / "out", methods=["residual"], max_tries=1)
    info = ExplanationStore.open(tmp_path / "out").info
    assert dict(info.generator.sha256) == {"path": file_hash(example.generator_path)}
    assert dict(info.classifier.sha256) == {"path": file_hash(example.classifier_path)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros((3, 4, 5, 6)), classifier, generator), "has shape (3, 4, 5, 6)"),
        ((np.full((32, 32), 7.0), classifier, generator), "range of the images"),
        ((np.zeros((32, 32), np.uint16), classifier, generator), "range"),
        ((image, nn.Linear(2, 2), generator), "load_classifier(module"),
        ((image, classifier, 3), "generator is of type int"),
        ((image, classifier, generator, "rihgt"), "right"),
        ((image, classifier, generator, 9), "9"),
        ((image, classifier, generator, "left"), "left"),
    ],
)
def test_wrong_input_gets_a_sentence(arguments: tuple, words: str) -> None:
    with pytest.raises(nq.QuacError) as error:
        nq.explain_image(*arguments, methods=["residual"])
    assert words in str(error.value)


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(nq.__file__).parents[1])]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs and not any(output.output_type == "error" for output in outputs)
    assert not any(cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 2


def test_explain_image_without_a_generator() -> None:
    explanations = nq.explain_image(corner_image(0), corner_classifier())
    assert explanations.pair.infill == "a blurred copy"
    assert tuple(explanations) == INFILL_METHODS
    same = nq.explain_image(corner_image(0), corner_classifier(), "infill", methods=["d-ig"])
    assert same["d-ig"].quac_score == explanations["d-ig"].quac_score
