"""Files and folders of other software: a sentence that names them and what to do instead."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier_recipe import ClassifierRecipe

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(200)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


FILES = {
    "weights.h5": (HDF5 + b"keras_version" + bytes(50), "Keras", "model.export"),
    "other.h5": (HDF5, "HDF5 file", "model.export"),
    "net.keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "Keras", "onnx"),
    "saved.zip": (zipped("m/saved_model.pb", "m/variables/variables.index"), "SavedModel", "onnx"),
    "saved_model.pb": (b"\x08\x01\x12\xd0\x0a\x09serve", "TensorFlow", "model.export"),
    "small.tflite": (b"\x20\x00\x00\x00TFL3" + bytes(40), "TensorFlow Lite", "model.export"),
    "cells.ilp": (HDF5 + b"ilastikVersion" + bytes(9), "ilastik", "label images"),
    "net.mat": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "MATLAB", "exportONNX"),
    "net73.mat": (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(90), "MATLAB", "exportONNX"),
    "net.mlmodel": (b"\x08\x04\x12\x10" + bytes(40), "Core ML", "export_classifier"),
    "flax.msgpack": (b"\x81\xa6params\x82\xa5Dense", "Flax", "ONNX"),
    "flax_params": (b"\x81\xa6params\x82\xa5Dense", "Flax", "ONNX"),
    "events.out.tfevents.17": (b"\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7fK", "log", "checkpoint"),
    "boost.json": (b'{"learner":{"attributes":{}}}', "XGBoost", "load_classifier"),
    "boost.ubj": (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "XGBoost", "load_classifier"),
    "light.txt": (b"tree\nversion=v4\nnum_class=3\n", "LightGBM", "load_classifier"),
    "forest.joblib": (b"\x78\x9c" + bytes(40), "scikit-learn", "load_classifier"),
    "net.xml": (b'<?xml version="1.0"?>\n<net name="m" version="11">', "OpenVINO", "ONNX"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_other_software_is_named_with_what_to_do(name: str, tmp_path: Path) -> None:
    content, software, advice = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        ClassifierRecipe(path).load("cpu")
    assert all(part in str(error.value) for part in (name, software, advice))


def test_a_pickled_forest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "forest.pkl"
    path.write_bytes(
        b"\x80\x04\x95\x40\x00\x00\x00\x00\x00\x00\x00\x8c\x18sklearn.ensemble._forest\x94"
        b"\x8c\x16RandomForestClassifier\x94\x93\x94)\x81\x94."
    )
    with pytest.raises(CheckpointError, match=r"scikit-learn \(RandomForestClassifier\)"):
        ClassifierRecipe(path).load("cpu")


def test_folders_of_other_software_are_named(tmp_path: Path) -> None:
    saved, package, run = (tmp_path / name for name in ("saved", "net.mlpackage", "version_0"))
    for folder in (saved, package, run / "checkpoints"):
        folder.mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(b"\x08\x01")
    (package / "Manifest.json").write_text("{}")
    (run / "hparams.yaml").write_text("lr: 1")
    (run / "checkpoints" / "epoch=1.ckpt").write_bytes(b"0")
    expected = {saved: "model.export", package: "Core ML", run: "'checkpoints/epoch=1.ckpt'"}
    for folder, text in expected.items():
        with pytest.raises(CheckpointError, match=text):
            ClassifierRecipe(folder).load("cpu")
