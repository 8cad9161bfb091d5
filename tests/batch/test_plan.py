"""A plan is read and written without a change, and a mistake in it is named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from napari_quac.batch.plan import BatchPlan, absolute, map_paths
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.labeled_stack import LabeledStackRecipe
from napari_quac.data.synthetic import SyntheticRecipe
from napari_quac.errors import DataError, QuacError, UnknownNameError
from napari_quac.explain.mask import Masking
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators import GENERATORS
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.value_range import ValueRange
from napari_quac.testing import CornerSamples


def some_plan(folder: Path, **changes) -> BatchPlan:
    values = {
        "samples": ImageFolderRecipe(folder / "images", (0.0, 1.0)),
        "classifier": ClassifierRecipe(Path("/networks/c.pt"), class_names=("a", "b")),
        "generator": StarGANRecipe(folder / "g.ckpt", value_range=ValueRange(0, 1)),
        "settings": ExplainSettings(
            ("d-ig", "residual"),
            Masking(closing=4, blur=1),
            "corrected",
            SearchSettings(max_tries=7, keep="first"),
            {"d-ig": {"n_steps": 20}},
            source_basis="label",
            targets=("b",),
            seed=5,
        ),
        "device": "cpu",
        "output": folder / "results",
    }
    return BatchPlan(**(values | changes))


def test_what_is_written_is_read_again(tmp_path):
    plan = some_plan(tmp_path)
    plan.write(tmp_path / "plan.yaml")
    assert BatchPlan.read(tmp_path / "plan.yaml") == plan
    plain = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    assert plain["samples"]["directory"] == "images"
    assert plain["classifier"]["path"] == "/networks/c.pt"
    assert plain["settings"] == plan.settings.to_dict()
    assert plain["settings"]["parameters"] == {"d-ig": {"n_steps": 20}}


@pytest.mark.parametrize("preset", ["quac", "dapi"])
def test_every_preset_is_written_and_read(tmp_path, preset):
    plan = some_plan(tmp_path, settings=ExplainSettings.from_preset(preset))
    plan.write(tmp_path / "plan.yaml")
    assert BatchPlan.read(tmp_path / "plan.yaml") == plan


def test_a_preset_is_named_and_changed(tmp_path):
    values = yaml.safe_load(
        """
        samples: {kind: synthetic}
        classifier: {path: c.pt}
        generator: {kind: stargan, checkpoint: g.ckpt}
        settings: {preset: dapi, methods: [d-ingrad, d-ig], masking: {blur: 1}, targets: a}
        """
    )
    settings = BatchPlan.from_plain(values, tmp_path).settings
    dapi = ExplainSettings.from_preset("dapi")
    assert settings.procedure == dapi.procedure
    assert settings.masking == replace(dapi.masking, blur=1)
    assert settings.parameters == {"d-ingrad": {"absolute": True}}
    assert settings.targets == ("a",)


def test_relative_paths_start_at_the_plans_folder(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    some_plan(tmp_path).write(tmp_path / "plan.yaml")
    monkeypatch.chdir(tmp_path / "deep")
    plan = BatchPlan.read("../plan.yaml")
    assert plan.samples.directory == tmp_path / "images"
    assert plan.output == tmp_path / "results"


def test_defaults_need_not_be_written(tmp_path):
    plan = BatchPlan.from_plain(
        {
            "samples": {"kind": "synthetic", "n_samples": 3},
            "classifier": {"path": "c.pt"},
            "generator": {"kind": "from-folder", "directory": "made"},
        },
        tmp_path,
    )
    assert plan.samples == SyntheticRecipe(3)
    assert plan.generator == GeneratedRecipe(tmp_path / "made")
    assert plan.settings == ExplainSettings()


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ("sead: 3", UnknownNameError, "Did you mean 'seed'"),
        ("settings: {sead: 3}", UnknownNameError, "Did you mean 'seed'"),
        ("schema: 2\nseed: 3", DataError, "Move it below 'settings'"),
        ("settings: {seed: 3}\nseed: 3", DataError, "Move it below 'settings'"),
        ("settings: {preset: dapy}", UnknownNameError, "Did you mean 'dapi'"),
        ("settings: {methods: [ig], parameters: {d-ig: {n_steps: 3}}}", UnknownNameError, "d-ig"),
        ("settings: [a]", DataError, "mapping"),
        ("device: 3", DataError, "'device' is '3'"),
        ("seed: many", DataError, "seed' is 'many'"),
        ("search: {max_trys: 3}", UnknownNameError, "Did you mean 'max_tries'"),
        ("search: {max_tries: 0}", DataError, "at least 1"),
        ("search: {keep: best}", DataError, "search.keep"),
        ("masking: {blur: 4}", DataError, "odd"),
        ("masking: 4", DataError, "masking' is '4'"),
        ("methods: [d-igg]", UnknownNameError, "Did you mean 'd-ig'"),
        ("methods: [{d-ig: {steps: 3}}]", UnknownNameError, "n_steps"),
        ("methods: [d-ig, d-ig]", DataError, "twice"),
        ("methods: []", DataError, "empty"),
        ("targets: []", DataError, "empty"),
        ("grid: fine", DataError, "grid"),
        ("schema: 9", DataError, "Update"),
        ("seed: 1\nseed: 2", DataError, "twice"),
        ("samples: {kind: foldr, directory: x}", UnknownNameError, "Did you mean 'folder'"),
        ("samples: {directory: x}", DataError, "samples.kind"),
        ("samples: {kind: folder}", DataError, "'samples.directory' is missing"),
        ("samples: images", DataError, "samples"),
        ("classifier: {path: c.pt, classes: [a]}", UnknownNameError, "class_names"),
        ("generator: {kind: stargan, checkpoint: g, value_range: {lo: 1}}", UnknownNameError,
         "low"),
        ("generator: {kind: stargan, checkpoint: g, value_range: {low: 1, high: 0}}",
         QuacError, "value range"),
        ("[1, 2]", DataError, "YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path, change, error, told):
    lines = {
        "samples": "samples: {kind: folder, directory: x}",
        "classifier": "classifier: {path: c.pt}",
        "generator": "generator: {kind: stargan, checkpoint: g.ckpt}",
    }
    lines.pop(change.split(":")[0], None)
    path = tmp_path / "plan.yaml"
    path.write_text("\n".join([*lines.values(), change]))
    with pytest.raises(error, match=told) as caught:
        BatchPlan.read(path)
    assert "plan.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a", "samples: {kind: folder, directory: x}", "\x00"])
def test_what_is_no_plan_is_refused(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(DataError):
        BatchPlan.read(path)
    with pytest.raises(DataError, match="does not exist"):
        BatchPlan.read(tmp_path / "absent.yaml")


def test_samples_in_memory_cannot_be_written_into_a_plan(tmp_path):
    plan = some_plan(tmp_path, samples=ReadySamples(CornerSamples()))
    with pytest.raises(DataError, match="in memory only"):
        plan.write(tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()


def test_samples_that_are_changed_to_fit_are_written_and_read(tmp_path):
    from napari_quac.data.preprocessed import PreprocessedRecipe
    from napari_quac.data.preprocessing import Preprocessing

    folder = ImageFolderRecipe(tmp_path / "images")
    for preprocessing in (
        Preprocessing(channels="average", resize=(32, 32)),
        Preprocessing(channels=1, crop=(8, 8)),
    ):
        plan = some_plan(tmp_path, samples=PreprocessedRecipe(folder, preprocessing))
        plan.write(tmp_path / "plan.yaml")
        assert BatchPlan.read(tmp_path / "plan.yaml") == plan
    twice = PreprocessedRecipe(
        PreprocessedRecipe(folder, Preprocessing(resize=(9, 9))), Preprocessing(resize=(8, 8))
    )
    with pytest.raises(DataError, match="preprocessed twice"):
        some_plan(tmp_path, samples=twice).write(tmp_path / "plan.yaml")


def test_a_plan_with_the_former_key_of_preprocessing_is_read(tmp_path):
    from napari_quac.data.preprocessed import PreprocessedRecipe
    from napari_quac.data.preprocessing import Preprocessing

    preprocessing = Preprocessing(channels=1, crop=(8, 8))
    folder = ImageFolderRecipe(tmp_path / "images")
    plan = some_plan(tmp_path, samples=PreprocessedRecipe(folder, preprocessing))
    path = tmp_path / "plan.yaml"
    plan.write(path)
    text = path.read_text()
    assert "preprocessing:" in text and "crop:" in text
    former = text.replace("preprocessing:", "fit:").replace("crop:", "how: crop\n    size:")
    path.write_text(former)
    assert BatchPlan.read(path) == plan


def test_a_sample_that_is_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'only' contains 'a\.png' twice"):
        some_plan(tmp_path, only=("a.png", "a.png"))


def test_a_parameter_of_another_type_is_refused_before_the_run(tmp_path):
    for wrong in ("many", True, 2.5):
        settings = ExplainSettings(("d-ig",), parameters={"d-ig": {"n_steps": wrong}})
        with pytest.raises(DataError, match="'n_steps' must be a whole number"):
            some_plan(tmp_path, settings=settings)


@dataclass(frozen=True)
class RecipeOfAPackage:
    """A recipe that does not say that it refuses unknown keys."""

    step: float = 0.1
    range: ValueRange = field(default_factory=ValueRange)

    def load(self, device: str = "auto") -> None:
        """Load nothing."""


def test_unknown_keys_of_recipes_of_other_packages_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(GENERATORS._classes, "fade", RecipeOfAPackage)
    values = {"samples": {"kind": "synthetic"}, "classifier": {"path": "c.pt"}}
    plan = BatchPlan.from_plain(
        {**values, "generator": {"kind": "fade", "step": 1, "range": {"low": 0}}}
    )
    assert plan.generator == RecipeOfAPackage(1.0, ValueRange(0, 1))
    for generator in ({"kind": "fade", "stp": 1}, {"kind": "fade", "range": {"lo": 0}}):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            BatchPlan.from_plain({**values, "generator": generator})


@pytest.mark.parametrize(
    "samples",
    [
        ImageFolderRecipe(Path("images"), split="test"),
        ImageFolderRecipe(Path("images"), None, "", Path("tables/labels.csv"), "nt", "id"),
        ImageFolderRecipe(Path("images"), pattern="{label}_*.tif"),
        LabeledStackRecipe(Path("images/stack.npz"), Path("labels.npy"), split="val"),
    ],
)
def test_plan_holds_splits_and_labels(tmp_path, samples):
    samples = map_paths(samples, lambda path: absolute(path, tmp_path))
    recipes = ClassifierRecipe(tmp_path / "net.pt"), GENERATORS["generated"](tmp_path / "made")
    BatchPlan(samples, *recipes).write(tmp_path / "plan.yaml")
    assert str(tmp_path) not in (tmp_path / "plan.yaml").read_text()
    assert BatchPlan.read(tmp_path / "plan.yaml").samples == samples
