"""The copied script and command compute the displayed explanation again, to the last digit."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_quac.cli import build_parser
from napari_quac.commands import explain as explain_command
from napari_quac.commands import sample_options
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.image_file import write_image
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.errors import DataError
from napari_quac.example import load_example
from napari_quac.explain.mask import Masking
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.live.choices import ReadySamples
from napari_quac.live.command_text import command_text
from napari_quac.live.explanation_recipe import ExplanationRecipe, displayed_recipe
from napari_quac.live.python_text import python_text
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import CornerSamples

from .test_session import Driver

METHODS = ("d-ig", "residual")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of several threads may differ in the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def driver(one_thread: None) -> Iterator[Driver]:
    driver = Driver()
    yield driver
    assert driver.session.close()


def image_folder(folder: Path, n: int = 6) -> Path:
    """Write patches of the example as 8-bit images, in a folder with a space in its name."""
    dataset = load_example().dataset
    for index in range(n):
        sample = dataset[index]
        path = folder / "my patches" / dataset.classes[sample.label or 0] / f"it's {index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, sample.image)
    return folder / "my patches"


def explain(driver: Driver, samples: Any, index: int = 1, **settings: Any) -> dict[str, float]:
    """Explain a sample with the networks of the example; return the scores of all methods."""
    session = driver.session
    session.choices.update_settings(methods=METHODS, max_tries=3, **settings)
    session.use_example_networks(load_example())
    session.choices.samples = samples
    driver.wait()
    session.choices.sample_index = index
    driver.wait()
    session.explain()
    driver.wait(lambda: driver.explained or driver.failures)
    driver.wait()
    assert not driver.failures
    explanations = session.results.explanations
    assert explanations is not None and explanations.is_complete
    return {name: explanations[name].quac_score for name in METHODS}


def run(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def score_of_script(recipe: ExplanationRecipe, folder: Path) -> float:
    script = folder / "copied.py"
    script.write_text(python_text(recipe), encoding="utf-8")
    return float(run([sys.executable, str(script)], folder).splitlines()[-1])


def scores_of_command(recipe: ExplanationRecipe, folder: Path) -> dict[str, float]:
    words = shlex.split(command_text(recipe))
    assert words.pop(0) == "napari-quac"
    text = run([sys.executable, "-m", "napari_quac", *words, "--json"], folder)
    (record,) = json.loads(text)["explanations"]
    assert record["id"] == recipe.sample_id
    return {name: numbers["quac_score"] for name, numbers in record["methods"].items()}


@pytest.mark.long
@pytest.mark.parametrize("masking", ["default", "other"])
@pytest.mark.parametrize("source", ["example", "folder"])
def test_copied_code_gives_the_same_score(driver, tmp_path, source: str, masking: str) -> None:
    changes: dict[str, Any] = {}
    if masking == "other":
        changes = {"masking": Masking(closing=4, blur=5), "grid": "corrected", "seed": 7}
    samples: Any = ReadySamples(load_example().dataset)
    if source == "folder":
        samples = ImageFolderRecipe(image_folder(tmp_path))
    scores = explain(driver, samples, **changes)
    choices, results = driver.session.choices, driver.session.results
    for method in METHODS:
        choices.shown_method = method
        if masking == "other":
            choices.threshold = 0.3  # the script looks up its hybrid as well
        recipe = displayed_recipe(choices, results)
        assert score_of_script(recipe, tmp_path) == scores[method]
    assert scores_of_command(recipe, tmp_path) == scores


@pytest.mark.long
def test_settings_of_before_the_explanation_are_copied(driver, tmp_path) -> None:
    explain(driver, ReadySamples(load_example().dataset), seed=3)
    choices, results = driver.session.choices, driver.session.results
    choices.update_settings(seed=4, max_tries=9)  # for the next search
    settings = displayed_recipe(choices, results).settings
    assert (settings.seed, settings.search.max_tries) == (3, 3)


@pytest.mark.long
def test_what_cannot_be_copied_says_why(driver: Driver) -> None:
    choices, results = driver.session.choices, driver.session.results
    with pytest.raises(DataError, match="Explain a sample first"):
        displayed_recipe(choices, results)
    explain(driver, ReadySamples(load_example().dataset))
    recipe = displayed_recipe(choices, results)
    proposals = results.pair.proposals
    if len(proposals) > 1:
        choices.proposal_index = 1
        driver.wait()
        with pytest.raises(DataError, match="Another proposal"):
            displayed_recipe(choices, results)
    with pytest.raises(DataError, match="settings of 'masking'"):
        settings = replace(recipe.settings, masking=replace(recipe.settings.masking, centered=True))
        command_text(replace(recipe, settings=settings))
    with pytest.raises(DataError, match="neither the predicted class nor the label"):
        command_text(replace(recipe, basis=""))
    choices.samples = ReadySamples(CornerSamples())
    driver.wait()
    with pytest.raises(DataError):
        displayed_recipe(choices, results)


def test_samples_in_memory_are_refused(driver: Driver) -> None:
    driver.load()
    driver.session.explain()
    driver.wait(lambda: driver.explained)
    driver.wait()
    with pytest.raises(DataError, match="exist in this window only"):
        displayed_recipe(driver.session.choices, driver.session.results)


def full_recipe() -> ExplanationRecipe:
    """Return a recipe with as many options as possible; its files need not exist."""
    settings = ExplainSettings.from_preset("dapi").with_methods(
        ("d-ig", "residual"), {"d-ig": {"n_steps": 12}}
    )
    return ExplanationRecipe(
        samples=ImageFolderRecipe(Path("/data/a b"), pattern="{label}_*.tif", pixel_nm=(4.0, 4.0)),
        classifier=ClassifierRecipe(
            Path("/data/net.pt"),
            class_names=("a,b", "c"),
            preprocessing=Preprocessing(channels="repeat", resize=64, mean=(0.5,), std=(0.25,)),
            image_size=(64, 64),
            output="logits",
        ),
        generator=StarGANRecipe(Path("/data/gan.ckpt"), "reference", Path("/data/references")),
        class_names=(),
        class_map={"A": "a,b", "C": ""},
        device="cpu",
        settings=replace(settings, targets=("c",), source_basis="label", seed=5),
        index=3,
        sample_id="c/-x.tif",
        source="a,b",
        target="c",
        basis="label",
        method="d-ig",
    )


def test_script_of_many_options_builds_the_same_recipes() -> None:
    recipe = full_recipe()
    text = python_text(recipe)
    lines = text.split("samples = ")[0]
    settings = text.split("settings = ")[1].split("\n\nsample = ")[0]
    names: dict[str, Any] = {}
    exec(f"{lines}\nresult = {settings}", names)
    expected = replace(recipe.settings, targets="auto", source_basis="auto")
    assert names["result"] == expected
    samples = text.split("samples = ")[1].split(".load()")[0]
    exec(f"{lines}\nresult = {samples}", names)
    assert names["result"] == recipe.samples


def test_command_of_many_options_describes_the_same_plan(monkeypatch) -> None:
    recipe = full_recipe()
    words = shlex.split(command_text(recipe, is_windows=False))[1:]
    options = build_parser().parse_args(words)
    monkeypatch.setattr(explain_command.shared, "generator_recipe", lambda _: recipe.generator)
    monkeypatch.setattr(explain_command.shared, "require_trust", lambda *_: None)
    plan = explain_command.plan_from(options)
    assert plan.classifier == recipe.classifier
    assert plan.settings == recipe.settings
    assert plan.class_map == recipe.class_map
    assert plan.only == (recipe.sample_id,)
    assert sample_options.samples_recipe(options) == recipe.samples
