"""Files and folders of other software: one sentence that names them and what to do instead."""

from __future__ import annotations

import contextlib
import mmap
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from napari_quac.data.file_walk import files_below
from napari_quac.networks.formats.notebook_cell import export_cell, keras_cell
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.reading import path_exists

_FRAMEWORKS = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "imblearn": "imbalanced-learn",
    "joblib": "scikit-learn",
}
_LOG_FILES = ("events.out.tfevents*", "hparams.yaml", "wandb-metadata.json", "wandb-summary.json")
_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".pt2", ".safetensors", ".onnx", ".bin")


def foreign_sentence(path: Path, head: bytes) -> str:
    """Return the error about a file of other software; empty for any other file.

    Parameters
    ----------
    path : Path
        The file.
    head : bytes
        Its first bytes, up to 4096.
    """
    name = path.name
    if head.startswith(b"PK\x03\x04"):
        return _archive_sentence(path)
    if head.startswith(b"\x89HDF\r\n"):
        return _hdf5_sentence(path)
    if head.startswith((b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")):
        return (
            f"'{name}' holds data of MATLAB. In MATLAB, export the network with "
            "exportONNXNetwork(net, 'network.onnx'), then open that file."
        )
    if head[4:8] == b"TFL3":
        return keras_sentence(name, "a TensorFlow Lite network, without gradients")
    if _is_saved_model(path, head):
        return keras_sentence(name, "a TensorFlow graph")
    if path.suffix == ".mlmodel":
        return (
            f"'{name}' holds a Core ML network, which has no gradients. Export the original "
            "network as ONNX or with napari_quac.export_classifier, then open that file."
        )
    if name.startswith("events.out.tfevents"):
        return f"'{name}' holds the log of a training, not a network. Choose its checkpoint."
    if head.startswith(b"GGUF"):
        return f"'{name}' holds a language model in the GGUF format. Choose an image classifier."
    if path.suffix == ".msgpack" or _looks_like_flax(head):
        return (
            f"'{name}' holds weights of JAX or Flax, without the network. Convert it to ONNX with "
            "jax2tf and tf2onnx, then open that file."
        )
    if b"<net name=" in head[:500]:
        return (
            f"'{name}' holds an OpenVINO network, without gradients. Open the network from which "
            "it was converted: PyTorch or ONNX."
        )
    return _trees_sentence(path, head)


def foreign_folder_sentence(path: Path) -> str:
    """Return the error about a folder that is no classifier; empty for any other folder."""
    name = path.name
    if path_exists(path / "saved_model.pb") or path_exists(path / "keras_metadata.pb"):
        return keras_sentence(name, "a SavedModel of TensorFlow")
    if path_exists(path / "Manifest.json") and path.suffix == ".mlpackage":
        return (
            f"'{name}' holds a Core ML network, which has no gradients. Export the original "
            "network as ONNX or with napari_quac.export_classifier, then open that file."
        )
    if any(next(path.glob(pattern), None) for pattern in _LOG_FILES):
        checkpoints = sorted(files_below(path, _CHECKPOINTS), key=lambda file: file.stat().st_mtime)
        if checkpoints:
            advice = f"Choose its newest checkpoint, '{checkpoints[-1].relative_to(path)}'."
            return f"'{name}' is the folder of a training. {advice}"
        return f"'{name}' holds the log of a training. Choose the checkpoint that belongs to it."
    return ""


def foreign_cell(path: Path, sentence: str) -> str:
    """Return the notebook cell that belongs to a sentence of this module; empty without one."""
    if "model.export(" in sentence:
        return keras_cell(path.name)
    return export_cell("", path.name) if "export_classifier" in sentence else ""


def keras_sentence(name: str, content: str = "a Keras network") -> str:
    """Return the error about a network of Keras or TensorFlow."""
    return (
        f"'{name}' holds {content}. In Python, load it with Keras and export it: "
        'model.export("model.onnx", format="onnx"). Then open that file.'
    )


def trees_sentence(name: str, framework: str, model: str = "") -> str:
    """Return the error about a model that is no network, such as a random forest."""
    kind = f" ({model})" if model else ""
    return (
        f"'{name}' holds a model of {framework}{kind}, which has no gradients and is no network. "
        "In Python, pass a function from images to class probabilities: "
        "napari_quac.load_classifier(function, classes=[…])."
    )


def _archive_sentence(path: Path) -> str:
    with contextlib.suppress(*ZIP_ERRORS), zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if {"metadata.json", "config.json"} <= names and "model.weights.h5" in names:
            return keras_sentence(path.name)
        folders = {name.rpartition("/")[0] for name in names if name.endswith("saved_model.pb")}
        if folders:
            return keras_sentence(path.name, "a SavedModel of TensorFlow")
    return ""


def _hdf5_sentence(path: Path) -> str:
    content = _first_of(
        path, (b"ilastikVersion", b"keras_version", b"model_weights", b"layer_names")
    )
    if content == b"ilastikVersion":
        return (
            f"'{path.name}' holds a project of ilastik, whose random forest classifies pixels, not "
            "images. Export its classes as label images and train a classifier on them."
        )
    if content:
        return keras_sentence(path.name)
    return (
        f"'{path.name}' holds an HDF5 file, not a network that is known here. If it is a Keras "
        'network, load it with Keras and export it: model.export("model.onnx", format="onnx").'
    )


def _trees_sentence(path: Path, head: bytes) -> str:
    name = path.name
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        match = re.search(rb"\b(%s)[\w.]*" % "|".join(_FRAMEWORKS).encode(), head)
        if match is not None:
            framework = _FRAMEWORKS[match[1].decode()]
            model = re.search(rb"[A-Z]\w*(Classifier|Regressor|Pipeline|SVC|CV)\b|Pipeline", head)
            return trees_sentence(name, framework, model[0].decode() if model else "")
    if re.match(rb"\s*\{\s*\"learner\"", head) or re.match(rb"\{[LliU].{1,8}learner", head):
        return trees_sentence(name, "XGBoost")
    if head.startswith(b"tree\nversion="):
        return trees_sentence(name, "LightGBM")
    if head.startswith(b"CBM1"):
        return trees_sentence(name, "CatBoost")
    # joblib compresses with zlib, gzip, bz2 or xz
    if path.suffix in (".joblib", ".jl") and not head.startswith(b"\x80"):
        return trees_sentence(name, "scikit-learn")
    return ""


def _is_saved_model(path: Path, head: bytes) -> bool:
    if path.name in ("saved_model.pb", "keras_metadata.pb", "frozen_graph.pb"):
        return True
    return path.suffix == ".pb" and not head.startswith(b"\x08\x07") and b"onnx" not in head


def _looks_like_flax(head: bytes) -> bool:
    """Tell a MessagePack map whose first key is one of Flax."""
    return (
        0x81 <= head[0] <= 0x8F
        and re.match(rb"[\xa0-\xbf](params|step|model|opt)", head[1:]) is not None
    )


def _first_of(path: Path, words: Iterable[bytes]) -> bytes:
    """Return the first of some words that a file holds; empty if it holds none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return next((word for word in words if content.find(word) >= 0), b"")
