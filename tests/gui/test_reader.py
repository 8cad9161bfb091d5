"""Explanations opened by napari itself, without the dock, and the preferences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManager

from napari_quac.batch.tasks import Task, explain_tasks
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.gui import plugin_settings
from napari_quac.gui.reader import get_reader, read_explanations
from napari_quac.reports.opening import INDEXES
from napari_quac.reports.store import INFO, ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator

sys.path.insert(0, str(Path(__file__).parents[1]))
from shared_data import shared_data


@pytest.fixture
def store(tmp_path: Path) -> ExplanationStore:
    settings = ExplainSettings(("residual", "random"), search=SearchSettings(max_tries=2))
    dataset, classifier = CornerSamples(), corner_classifier()
    info = StoreInfo(classifier.class_names, *(NetworkIdentity("corners"),) * 2, settings)
    made = ExplanationStore.create(tmp_path / "corners", info)
    tasks = [Task(index, dataset.sample_id(index)) for index in range(3)]
    explain_tasks(tasks, dataset, classifier, corner_generator(), settings, made).result()
    return made


def test_a_store_opens_as_lazy_stacks(store: ExplanationStore) -> None:
    assert get_reader(str(store.folder)) is read_explanations
    layers = read_explanations(str(store.folder))
    names = [kwargs["name"].split(" ·")[0] for _, kwargs, _ in layers]
    assert names == ["query", "generated", "counterfactual", "attribution", "mask"]
    data, kwargs, kind = layers[3]
    assert kind == "image" and data.shape == (2, 3, 32, 32)
    assert kwargs["axis_labels"] == ("method", "sample", "y", "x")
    metadata = kwargs["metadata"]
    assert metadata["samples"] == ["corner/0", "corner/1", "corner/2"]
    assert metadata["methods"] == ["residual", "random"]
    entries = [entry for entry in store.entries() if entry.method == "random"]  # type: ignore[union-attr]
    np.testing.assert_array_equal(np.asarray(data[1, 2]), entries[2].array("attribution")[0])  # type: ignore[union-attr]
    query = np.asarray(layers[0][0][1, 1])
    np.testing.assert_array_equal(query, CornerSamples()[1].image[0].numpy())


def test_nothing_is_read_before_it_is_shown(
    store: ExplanationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    before = ExplanationStore.image

    def noted(self: ExplanationStore, key: str, name: str) -> Any:
        read.append(name)
        return before(self, key, name)

    monkeypatch.setattr(ExplanationStore, "image", noted)
    layers = read_explanations(str(store.folder))
    assert read == ["query"], "one image, for its shape"
    np.asarray(layers[1][0][0, 2])
    assert read == ["query", "generated"]


def test_a_report_of_the_quac_library_opens(tmp_path: Path) -> None:
    folder = shared_data("quac_reference", "pipeline")
    assert get_reader(str(folder)) is read_explanations
    layers = {
        kwargs["name"].split(" ·")[0]: data for data, kwargs, _ in read_explanations(str(folder))
    }
    assert layers["query"].shape == layers["mask"].shape
    image = np.asarray(layers["counterfactual"][0, 0])
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("content", ["", "{}", '{"results": []}', "[1, 2]"])
def test_other_files_and_folders_are_left_to_others(tmp_path: Path, content: str) -> None:
    (tmp_path / "some.json").write_text(content)
    assert get_reader(str(tmp_path / "some.json")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "missing")) is None
    assert get_reader([str(tmp_path)]) is None


def test_recognising_is_light_and_knows_the_index_of_a_store() -> None:
    assert INFO in INDEXES
    code = (
        "import sys, napari_quac.gui.reader, napari_quac.reports.opening; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'zarr', 'qtpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_napari_opens_a_store_by_itself(store: ExplanationStore, make_napari_viewer: Any) -> None:
    manager = PluginManager.instance()
    if "napari-quac" not in manager:
        manager.register(
            __import__("npe2").PluginManifest.from_file(
                Path(plugin_settings.__file__).parents[1] / "napari.yaml"
            )
        )
    viewer = make_napari_viewer()
    layers = viewer.open(str(store.folder), plugin="napari-quac")
    assert [layer.name.split(" ·")[0] for layer in layers] == [
        "query", "generated", "counterfactual", "attribution", "mask",
    ]  # fmt: skip
    viewer.dims.set_current_step(1, 2)
    assert viewer.dims.axis_labels[:2] == ("method", "sample")


def test_preferences_are_what_the_dock_begins_with(
    make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_quac.gui.dock import QuacDock

    class Settings:
        class defaults:
            device, methods, max_tries = "cpu", "random; residual, no-such", 7
            seed, predict_up_to, store_folder = 3, 11, "/somewhere"

    monkeypatch.setattr("napari.settings.get_plugin_settings", lambda name: Settings)
    dock = QuacDock(make_napari_viewer())
    try:
        choices = dock.choices
        assert (choices.device, choices.settings.search.max_tries, choices.settings.seed) == (
            "cpu",
            7,
            3,
        )
        assert (
            choices.settings.methods == ("random", "residual") and choices.shown_method == "random"
        )
        assert choices.predict_up_to == 11 and dock.defaults.store_folder == "/somewhere"
        assert dock.search.tries.value() == 7
        assert dock.methods.checks["random"].isChecked()
        assert not dock.methods.checks["d-ig"].isChecked()
    finally:
        dock.shut_down()
        dock.deleteLater()


def test_manifest_offers_the_preferences() -> None:
    from napari_quac.gui.plugin_settings import Defaults, read_defaults

    found = read_defaults()
    try:
        get_plugin_settings("napari-quac")
    except KeyError:
        assert found == Defaults()
    else:
        assert found.max_tries == 100 and "d-ig" in found.methods and found.device == "auto"
