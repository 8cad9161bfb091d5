"""Plans and stores of schema 1, whose settings were flat, are read, resumed and compared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from napari_quac.batch import run as batch
from napari_quac.batch.plan import BatchPlan
from napari_quac.cli import main
from napari_quac.errors import DataError, UnknownNameError
from napari_quac.explain.mask import Masking
from napari_quac.explain.procedure import Procedure
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.cyclegan.recipe import CycleGANRecipe, Translation
from napari_quac.generators.fido.recipe import FidoRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.tensor_file import file_hash
from napari_quac.reports.opening import open_report
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import (
    DEFAULT_METHODS,
    SCHEMA,
    StoreInfo,
    identify,
    migrate_settings,
)
from rounding import F32

FOLDER = Path(__file__).parent / "schema_1"
SETTINGS = ExplainSettings(
    ("d-ig", "residual"),
    Masking(4, 1),
    "corrected",
    SearchSettings(7, keep="first"),
    {"d-ig": {"n_steps": 20}},
    targets="all",
    seed=5,
)


def test_a_plan_of_schema_1_is_read_and_written_as_the_current_one(tmp_path):
    plan = BatchPlan.read(FOLDER / "plan.yaml")
    assert plan.settings == SETTINGS
    assert plan.settings.procedure == Procedure()
    assert plan.samples.directory == FOLDER / "samples"
    assert (plan.device, plan.output) == ("cpu", FOLDER / "out")
    plan.write(tmp_path / "plan.yaml")
    assert yaml.safe_load((tmp_path / "plan.yaml").read_text())["schema"] == 2
    assert BatchPlan.read(tmp_path / "plan.yaml") == plan


def test_a_plan_without_schema_and_settings_is_one_of_schema_1():
    plan = BatchPlan.read(FOLDER / "written_by_hand.yaml")
    assert plan.settings == ExplainSettings(
        ("d-ig", "residual"),
        parameters={"d-ig": {"n_steps": 20}},
        source_basis="prediction",
        targets=("right",),
    )


def test_a_plan_of_schema_1_without_methods_has_the_seven_of_before():
    values = yaml.safe_load((FOLDER / "plan.yaml").read_text())
    del values["methods"]
    assert BatchPlan.from_plain(values).settings.methods == DEFAULT_METHODS
    assert len(DEFAULT_METHODS) == 7
    assert BatchPlan.from_plain({**values, "source_basis": None}).settings.source_basis == "auto"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"methods": ["d-igg"]}, UnknownNameError, "Did you mean 'd-ig'"),
        ({"methods": [{"d-ig": 3}]}, DataError, "needs parameters"),
        ({"methods": 3}, DataError, "list of names"),
        ({"masking": {"blurr": 3}}, UnknownNameError, "Did you mean 'blur'"),
        ({"gird": "dapi"}, UnknownNameError, "Did you mean 'grid'"),
    ],
)
def test_a_mistake_in_a_plan_of_schema_1_is_named(change, error, text):
    values = yaml.safe_load((FOLDER / "plan.yaml").read_text())
    with pytest.raises(error, match=text):
        BatchPlan.from_plain({**values, **change})


def test_samples_that_were_selected_by_hand_are_not_taken_for_automatic_targets():
    flat = {"class_names": ["a", "b"], "targets": "chosen", "methods": ["ig"]}
    migrated = migrate_settings(flat)
    assert ExplainSettings.from_dict(migrated["settings"]).targets == ("a", "b")
    assert migrated["class_names"] == ["a", "b"]


def test_a_store_of_schema_1_opens_with_its_settings():
    store = ExplanationStore.open(FOLDER / "store")
    assert store.info.schema == 1 and not store.read_only and SCHEMA == 2
    assert store.info.settings == replace(SETTINGS, source_basis="label")
    assert len(store) == len(list(store.entries())) / 2 == 2
    assert store.finished("all") == {"left/0.npy": True}
    assert store.seconds(store.keys()[0])["d-ig"] == 0.2


@pytest.mark.parametrize(
    ("generator", "recipe"),
    [
        (
            {"kind": "stargan", "checkpoint": "net.pt", "references": "images"},
            StarGANRecipe(FOLDER / "net.pt", references=FOLDER / "images"),
        ),
        (
            {"kind": "cyclegan", "translations": [{"checkpoint": "a.pth", "source": "left"}]},
            CycleGANRecipe((Translation(FOLDER / "a.pth", "left"),)),
        ),
    ],
)
def test_a_plan_of_schema_1_names_the_file_of_a_generator_checkpoint(generator, recipe):
    values = yaml.safe_load((FOLDER / "plan.yaml").read_text())
    assert BatchPlan.from_plain({**values, "generator": generator}, FOLDER).generator == recipe


def test_the_generator_of_a_store_of_schema_1_is_recognized_by_its_files(tmp_path):
    for name in ("net.pt", "inpainter.pt", "other.pt"):
        (tmp_path / name).write_bytes(name.encode())
    values = json.loads((FOLDER / "store" / "store.json").read_text())
    values["generator"] = {
        "name": "net.pt",
        "sha256": {"checkpoint": file_hash(tmp_path / "net.pt")},
    }
    info = StoreInfo.from_plain(values)
    same = replace(info, generator=identify(StarGANRecipe(tmp_path / "net.pt")))
    assert info.differences(same) == []
    other = replace(info, generator=identify(StarGANRecipe(tmp_path / "other.pt")))
    assert info.differences(other) == ["the generator is another file ('net.pt', not 'other.pt')"]
    inpainter = identify(FidoRecipe(inpainter=tmp_path / "inpainter.pt"))
    values["generator"] = {"name": "inpainter.pt", "sha256": dict(inpainter.sha256)}
    assert StoreInfo.from_plain(values).differences(replace(info, generator=inpainter)) == []


@pytest.fixture
def resumable(corner_files, tmp_path) -> BatchPlan:
    """A plan of schema 1 and the store that it began, with the files of this machine."""
    for name in ("samples", "made", "classifier.pt"):
        (tmp_path / name).symlink_to(corner_files / name)
    shutil.copy(FOLDER / "plan.yaml", tmp_path / "plan.yaml")
    shutil.copytree(FOLDER / "store", tmp_path / "out")
    path = tmp_path / "out" / "store.json"
    values = json.loads(path.read_text())
    values["classifier"]["sha256"]["path"] = file_hash(tmp_path / "classifier.pt")
    path.write_text(json.dumps(values))
    return BatchPlan.read(tmp_path / "plan.yaml")


def test_a_store_of_schema_1_is_resumed(resumable):
    before = {path: path.read_bytes() for path in (resumable.output / "records").iterdir()}
    assert len(before) == 2
    summary = batch.run(resumable)
    assert (summary.n_existing, summary.n_samples, summary.n_failed) == (1, 8, 0)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(open_report(resumable.output)) == 2 * 18


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 6}, "seed 5, not 6"),
        ({"procedure": Procedure("generated")}, "into query"),
        ({"source_basis": "prediction"}, "source basis label, not prediction"),
        ({"parameters": {}}, "n_steps"),
    ],
)
def test_other_settings_are_not_mixed_into_a_store_of_schema_1(resumable, change, text):
    plan = replace(resumable, settings=replace(resumable.settings, **change))
    with pytest.raises(DataError, match=text):
        batch.run(plan)


def test_a_store_of_schema_1_is_replayed_with_the_same_numbers(resumable, capsys):
    plan = str(resumable.output.parent / "plan.yaml")
    assert main(["run", plan, "--trust", "--replay", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_compared"] == 2
    assert document["largest_probability_change"] < F32
    assert document["largest_image_change"] < 1e-5
