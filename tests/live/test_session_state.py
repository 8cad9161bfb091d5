from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.errors import DataError
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.live.choices import Choices, ReadySamples, ReportFolder
from napari_quac.live.results import Results
from napari_quac.live.session_state import SampleView, SessionState
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier


def filled(tmp_path: Path) -> tuple[Choices, Any]:
    choices = Choices(
        samples=ImageFolderRecipe(tmp_path / "patches", (0, 255)),
        classifier=ClassifierRecipe(tmp_path / "classifier.pt", class_names=("b", "a, of c")),
        generator=StarGANRecipe(tmp_path / "generator.ckpt"),
        sample_index=2,
        filter_text="right",
        sort_by="p:1",
        sort_ascending=False,
        threshold=0.25,
        report_source=ReportFolder(tmp_path / "store"),
    )
    choices.update_settings(methods=("residual", "random"), max_tries=7)
    dataset = CornerSamples(size=16)
    results: Any = Results(loaded_samples=dataset)
    return choices, results


def test_a_state_survives_json(tmp_path: Path) -> None:
    choices, results = filled(tmp_path)
    layout = {"stage": "explore", "columns": ["score"]}
    state = SessionState.of(choices, results, layout)
    again = SessionState.from_json(state.to_json())
    assert again == state
    assert again.layout == layout
    assert again.view == SampleView(
        results.loaded_samples.sample_id(2), "right", "p:1", False, choices.shown_method, 0.25
    )
    assert again.build_recipes() == {
        "samples": choices.samples,
        "classifier": choices.classifier,
        "generator": choices.generator,
    }
    assert again.build_settings() == choices.settings
    assert again.report == str(tmp_path / "store")
    assert again.title == "patches, classifier.pt, generator.ckpt, store"


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = SessionState.of(Choices(classifier=ClassifierRecipe(Path("c.pt"))), Results())
    monkeypatch.chdir("/")
    assert state.build_recipes()["classifier"].path == tmp_path / "c.pt"


def test_what_exists_in_memory_only_is_left_out() -> None:
    choices = Choices(
        samples=ReadySamples(CornerSamples(size=16)),
        classifier=ReadyNetwork(corner_classifier(16)),
        generator=ReadyNetwork(corner_classifier(16)),
    )
    state = SessionState.of(choices, Results())
    assert state.is_empty
    assert state.build_recipes() == {}
    assert SessionState.from_json(state.to_json()) == state


def test_keys_of_later_versions_are_ignored(tmp_path: Path) -> None:
    assert SessionState.from_json('{"schema": 9, "tags": [], "device": "cpu"}').device == "cpu"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"view": 3}'])
def test_a_damaged_state_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        SessionState.from_json(text)
