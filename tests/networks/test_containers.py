"""Folders and archives with a description: classes, size and preprocessing come from it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from napari_quac.data.preprocessing import preprocessing_from_metadata
from napari_quac.errors import CheckpointError
from napari_quac.generators.opening import inspect_network, is_network_folder, recognize_network
from napari_quac.networks.architectures.resnet import recognize_resnet
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.formats.containers import find_container
from napari_quac.networks.formats.hugging_face import names_by_index, processor_metadata
from napari_quac.networks.tensor_file import file_hash
from napari_quac.reports.store_info import identify


def resnet_state(channels: int = 3, n_classes: int = 3) -> dict[str, torch.Tensor]:
    """Return random weights of a residual network of two blocks, with torchvision's names."""
    generator = torch.Generator().manual_seed(0)

    def norm(name: str, width: int) -> dict[str, torch.Tensor]:
        state = {f"{name}.{part}": torch.ones(width) for part in ("weight", "running_var")}
        return state | {f"{name}.{part}": torch.zeros(width) for part in ("bias", "running_mean")}

    state = {"conv1.weight": torch.randn(8, channels, 7, 7, generator=generator), **norm("bn1", 8)}
    widths = (8, 8, 16, 16, 16)
    for level in range(1, 5):
        before, after = widths[level - 1], widths[level]
        for index in (1, 2):
            shape = (after, before if index == 1 else after, 3, 3)
            name = f"layer{level}.0."
            state[f"{name}conv{index}.weight"] = torch.randn(shape, generator=generator) / 10
            state |= norm(f"{name}bn{index}", after)
        if before != after or level > 1:
            shape = (after, before, 1, 1)
            state[f"layer{level}.0.downsample.0.weight"] = torch.randn(shape, generator=generator)
            state |= norm(f"layer{level}.0.downsample.1", after)
    state["fc.weight"] = torch.randn(n_classes, 16, generator=generator)
    state["fc.bias"] = torch.zeros(n_classes)
    return state


def script_bytes(channels: int = 1, n_axes: int = 2) -> bytes:
    torch.manual_seed(0)
    convolution = (nn.Conv2d, nn.Conv3d)[n_axes - 2]
    pool = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[n_axes - 2]
    network = nn.Sequential(convolution(channels, 4, 3), pool(1), nn.Flatten(), nn.Linear(4, 3))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(network.eval()), buffer)
    return buffer.getvalue()


TIMM = {
    "architecture": "resnet10t",
    "num_classes": 3,
    "num_features": 16,
    "label_names": ["ACh", "GABA", "Glu"],
    "pretrained_cfg": {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.25, 0.3],
        "input_size": [3, 96, 96],
        "crop_pct": 0.75,
        "interpolation": "bicubic",
    },
}
TRANSFORMERS = {
    "architectures": ["ResNetForImageClassification"],
    "model_type": "resnet",
    "num_channels": 3,
    "id2label": {"0": "ACh", "2": "Glu", "1": "GABA"},
}
PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 128},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 96, "width": 96},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}


def folder_of(tmp_path: Path, configuration: dict[str, Any], **others: Any) -> Path:
    folder = tmp_path / "network"
    folder.mkdir()
    save_file(resnet_state(), folder / "model.safetensors")
    for name, content in {"config": configuration, **others}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("kind", ["timm", "Hugging Face"])
def test_a_folder_gives_classes_and_preprocessing(kind: str, tmp_path: Path) -> None:
    if kind == "timm":
        folder = folder_of(tmp_path, TIMM)
    else:
        folder = folder_of(tmp_path, TRANSFORMERS, preprocessor_config=PROCESSOR)
    assert is_network_folder(folder)
    inspection = inspect_network(folder)
    assert inspection.role == "classifier" and not inspection.problem
    assert inspection.class_names == ("ACh", "GABA", "Glu")
    facts = inspection.metadata
    assert json.loads(facts["mean"]) == [0.5, 0.4, 0.3] and facts["resize"] == "128"
    assert json.loads(facts["crop"]) == [96, 96] and facts["interpolation"] == "bicubic"
    assert json.loads(facts["value_range"]) == [0, 1] and facts["eight_bit"] == "true"
    classifier = ClassifierRecipe(folder).load("cpu")
    assert kind in classifier.description["Kind"]
    used = classifier.preprocessing
    assert (used.resize, used.crop, used.eight_bit) == (128, (96, 96), True)
    assert used.interpolation == "bicubic" and used.mean == (0.5, 0.4, 0.3)
    assert classifier.image_size is None  # images of any size are resized
    assert not [entry for entry in classifier.assumptions if entry.kind == "input range"]
    module = recognize_resnet(resnet_state(), None)
    assert module is not None
    expected = module.build()
    expected.load_state_dict(resnet_state(), strict=False)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        difference = classifier.module(images) - expected.eval()(images)
    assert float(difference.abs().max()) < 1e-5
    assert classifier.sha256 == file_hash(folder / "model.safetensors")
    identity = identify(ClassifierRecipe(folder))
    assert identity.sha256 == {"path": classifier.sha256} and identity.name == "network"
    for file in ("model.safetensors", "config.json"):  # a file in it is the same classifier
        assert ClassifierRecipe(folder / file).load("cpu").class_names == ("ACh", "GABA", "Glu")


def test_another_interpolation_is_stated(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TRANSFORMERS, preprocessor_config={**PROCESSOR, "resample": 1})
    classifier = ClassifierRecipe(folder).load("cpu")
    assert any("'lanczos'" in str(entry) for entry in classifier.assumptions)


def test_a_folder_without_weights_or_with_others_says_so(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TRANSFORMERS)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="without weights"):
        ClassifierRecipe(folder).load("cpu")
    (folder / "tf_model.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(CheckpointError, match="TensorFlow only"):
        recognize_network(folder)
    (folder / "config.json").write_text("{")
    assert find_container(folder) is None  # a configuration of other software
    (folder / "model.safetensors").write_bytes(b"0")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        ClassifierRecipe(folder).load("cpu")
    assert names_by_index({"0": "LABEL_0", "1": "LABEL_1"}) == []


def test_image_processors_of_several_networks() -> None:
    square = processor_metadata({"size": {"height": 224, "width": 224}, "image_mean": [0.5],
                                 "image_std": [0.5], "do_normalize": True})  # fmt: skip
    assert square["resize"] == "[224, 224]" and "crop" not in square
    small = processor_metadata({"size": {"shortest_edge": 224}, "crop_pct": 0.875})
    used = preprocessing_from_metadata({**small, "crop": "[2, 2]", "resize": "[5, 5]"})
    assert used is not None and used.floor_crop
    pixels = torch.arange(25.0).reshape(1, 1, 5, 5) / 25
    assert used.to_network(pixels)[0, 0, 0, 0] == pixels[0, 0, 1, 1]  # torchvision starts at 2
    assert replace(used, floor_crop=False).to_network(pixels)[0, 0, 0, 0] == pixels[0, 0, 2, 2]
    assert small["resize"] == "256" and small["crop"] == "[224, 224]"
    large = processor_metadata({"size": {"shortest_edge": 384}, "crop_pct": 0.875})
    assert large["resize"] == "[384, 384]" and "crop" not in large
    raw = processor_metadata({"do_rescale": False, "do_resize": False})
    assert json.loads(raw["value_range"]) == [0, 255] and "mean" not in raw
    signed = processor_metadata({"rescale_factor": 2 / 255, "rescale_offset": True})
    assert json.loads(signed["value_range"]) == [-1, 1]


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


OLD = {
    "format_version": "0.4.10",
    "type": "model",
    "inputs": [
        {"name": "raw", "axes": "bcyx", "data_type": "uint8", "shape": [1, 1, 48, 64],
         "preprocessing": [{"name": "scale_linear", "kwargs": {"gain": 1 / 255, "offset": -0.5}}]}
    ],
    "weights": {"torchscript": {"source": "weights.pt", "sha256": "x"}},
}  # fmt: skip
NEW = {
    "format_version": "0.5.3",
    "type": "model",
    "inputs": [
        {
            "id": "raw",
            "axes": [
                {"type": "batch"},
                {"type": "channel", "channel_names": ["gray"]},
                {"type": "space", "id": "y", "size": 48},
                {"type": "space", "id": "x", "size": 64},
            ],
            "data": {"type": "float32"},
            "preprocessing": [
                {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}},
            ],
        }
    ],
    "outputs": [
        {"axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["a", "b", "c"]}]}
    ],
    "weights": {"torchscript": {"source": "weights.pt"}},
}


def package(path: Path, description: dict[str, Any], prefix: str = "") -> Path:
    members = {"rdf.yaml": yaml.safe_dump(description).encode(), "weights.pt": script_bytes(),
               "test_input.npy": b"\x93NUMPY"}  # fmt: skip
    return zipped(path, {prefix + name: content for name, content in members.items()})


@pytest.mark.parametrize("prefix", ["", "my_model/"])
def test_bioimage_packages_of_both_specifications(prefix: str, tmp_path: Path) -> None:
    old = package(tmp_path / "old.zip", OLD, prefix)
    container = find_container(old)
    assert container is not None and container.kind == "bioimage.io package"
    assert json.loads(container.metadata["value_range"]) == pytest.approx([-0.5, 0.5])
    assert json.loads(container.metadata["image_size"]) == [48, 64]
    new = ClassifierRecipe(package(tmp_path / "new.zip", NEW, prefix)).load("cpu")
    assert new.class_names == ("a", "b", "c") and "bioimage.io" in new.description["Kind"]
    container = find_container(tmp_path / "new.zip")
    assert container is not None and container.metadata["standardize"] == "zscore"
    assert "value_range" not in container.metadata
    network = recognize_network(old)
    assert network.is_program and network.role == "classifier"  # a program: consent is needed


def step(name: str, **settings: Any) -> dict[str, Any]:
    changed = json.loads(json.dumps(NEW))
    changed["inputs"][0]["preprocessing"] = [{"id": name, "kwargs": settings}]
    return dict(changed)


def test_preprocessing_of_bioimage_packages(tmp_path: Path) -> None:
    def facts(description: dict[str, Any]) -> dict[str, str]:
        container = find_container(package(tmp_path / "p.zip", description))
        assert container is not None
        return dict(container.metadata)

    percentiles = facts(step("scale_range", min_percentile=1, max_percentile=99.8))
    assert percentiles["standardize"] == "[1, 99.8]" and percentiles["value_range"] == "[0, 1]"
    fixed = facts(step("fixed_zero_mean_unit_variance", mean=[10.5], std=[50.1]))
    assert fixed["mean"] == "[10.5]" and fixed["value_range"] == "[0, 255]"
    with pytest.raises(CheckpointError, match="'binarize' has no counterpart"):
        facts(step("binarize", threshold=0.5))
    keras = {**NEW, "weights": {"keras_hdf5": {"source": "weights.h5"}}}
    with pytest.raises(CheckpointError, match="Keras or TensorFlow only"):
        facts(keras)
    remote = {**NEW, "weights": {"onnx": {"source": "https://example.org/weights.onnx"}}}
    with pytest.raises(CheckpointError, match="without its weights"):
        facts(remote)


def test_a_bundle_of_monai(tmp_path: Path) -> None:
    description = {
        "network_data_format": {
            "inputs": {"image": {"num_channels": 1, "spatial_shape": [24, 32, 32],
                                 "value_range": [0, 1]}},
            "outputs": {"pred": {"channel_def": {"0": "benign", "1": "other", "2": "cancer"}}},
        }
    }  # fmt: skip
    inference = {
        "network_def": {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1},
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged"},
            {"_target_": "ScaleIntensityRanged", "a_min": -1000, "a_max": 500, "b_min": -1,
             "b_max": 1},
            {"_target_": "Orientationd"},
        ]},
    }  # fmt: skip
    folder = tmp_path / "bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(description))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    (folder / "models" / "model.ts").write_bytes(script_bytes(n_axes=3))
    classifier = ClassifierRecipe(folder).load("cpu")
    assert classifier.class_names == ("benign", "other", "cancer")
    assert classifier.image_size == (24, 32, 32) and classifier.n_axes == 3
    assert "Orientation" in classifier.description["Notes"]
    container = find_container(folder)
    assert container is not None and container.metadata["value_range"] == "[-1, 1]"
    assert container.metadata["architecture"] == "DenseNet121"
