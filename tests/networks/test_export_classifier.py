"""A network of a notebook in one file: class names, size and preprocessing come from the file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import napari_quac
from napari_quac.cli import main
from napari_quac.data.preprocessing import PRESETS, Preprocessing
from napari_quac.errors import CheckpointError, DataError
from napari_quac.generators.opening import recognize_network
from napari_quac.networks.classifier_file import open_classifier_file
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.formats.export import class_names_of, export_classifier
from napari_quac.networks.formats.notebook_cell import export_cell, keras_cell
from napari_quac.networks.formats.transforms import metadata_of_transform
from rounding import F32

PREPROCESSING = Preprocessing(
    resize=32, eight_bit=True, crop=24, standardize=(0.5, 99.5), value_range=(-1, 1)
)


class AnySize(nn.Module):
    """Forward passes that no state dict shows: a skip and a global average."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        images = torch.relu(self.norm(self.first(images)))
        return self.head((images + self.second(images)).mean((2, 3)))  # type: ignore[no-any-return]


class FixedSize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12 * 12, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.view(images.shape[0], -1))  # type: ignore[no-any-return]


class Branches(nn.Module):
    """A branch that depends on the values, which torch.export refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12 * 12, 3)

    def forward(self, images: Tensor) -> Tensor:
        if float(images.mean()) > 0.5:
            images = 1 - images
        return self.head(images.flatten(1))  # type: ignore[no-any-return]


class WithAuxiliary(AnySize):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        rows = super().forward(images)
        return rows, rows * 2


@pytest.mark.parametrize(
    ("network", "suffix", "size"),
    [
        (AnySize, ".pt2", (20, 28)),
        (FixedSize, ".pt2", (12, 12)),
        (Branches, ".pt", (12, 12)),
        (WithAuxiliary, ".pt2", (12, 12)),
    ],
)
def test_a_network_of_any_kind_returns_from_its_file_what_it_returns(
    network: type[nn.Module], suffix: str, size: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = network()
    message = napari_quac.export_classifier(
        model, tmp_path / "net", {"b": 1, "a": 0, "c": 2}, mean=[0.4], std=[0.2],
        example=torch.rand(1, *size),
    )  # fmt: skip
    path = (tmp_path / "net").with_suffix(suffix)
    assert str(path) in message and model.training  # the model itself stays as it was
    opened = open_classifier_file(path)
    facts = dict(opened.metadata)
    assert json.loads(facts["class_names"]) == ["a", "b", "c"]
    assert json.loads(facts["mean"]) == [0.4] and json.loads(facts["std"]) == [0.2]
    assert json.loads(facts["image_size"]) == list(size) and facts["channels"] == "1"
    images = torch.rand(5, 1, *size)
    with torch.no_grad():
        expected = model.eval()(images)
        expected = expected[0] if isinstance(expected, tuple) else expected
        assert torch.allclose(opened.module(images), expected, atol=F32)
        dark = torch.zeros(2, 1, *size)
        assert opened.module(dark).shape == (2, 3)
    if network is AnySize:
        assert opened.image_size is None  # images of other sizes are accepted, too


def test_a_network_that_cannot_be_exported_says_so(tmp_path: Path) -> None:
    class Python(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            rows = [[len(image.numpy().tobytes().strip(b"?")), 0.0] for image in images]
            return torch.tensor(rows)

    with pytest.raises(CheckpointError, match="load_classifier"):
        export_classifier(Python(), tmp_path / "net.pt2", ["a", "b"], example=torch.rand(1, 9, 9))
    with pytest.raises(DataError, match="3 outputs, but there are 2"):
        export_classifier(AnySize(), tmp_path / "n", ["a", "b"], example=torch.rand(1, 9, 9))
    with pytest.raises(DataError, match="example="):
        export_classifier(AnySize(), tmp_path / "n", ["a", "b", "c"])
    with pytest.raises(CheckpointError, match="fails on the example"):
        export_classifier(FixedSize(), tmp_path / "n", example=torch.rand(1, 9, 9))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preprocessing", ["imagenet-gray", PREPROCESSING])
def test_a_preprocessing_of_ours_comes_back(preprocessing: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    export_classifier(
        AnySize(), path, ["a", "b", "c"], preprocessing, example=torch.rand(1, 24, 24)
    )
    classifier = ClassifierRecipe(path).load("cpu")
    expected = PRESETS.get(preprocessing, preprocessing) if isinstance(preprocessing, str) else None
    assert classifier.preprocessing == (expected or preprocessing)
    assert classifier.class_names == ("a", "b", "c")
    assert not [entry for entry in classifier.assumptions if entry.kind == "input range"]


def transform(name: str, **attributes: object) -> object:
    part = type(name, (), {})()
    vars(part).update(attributes)
    return part


def test_the_preprocessing_is_read_off_a_transform() -> None:
    compose = transform(
        "Compose",
        transforms=[
            transform("Resize", size=[256], interpolation=SimpleNamespace(value="bilinear")),
            transform("CenterCrop", size=(224, 224)),
            transform("Grayscale", num_output_channels=3),
            transform("ToTensor"),
            transform("Normalize", mean=torch.tensor([0.485, 0.4]), std=[0.2, 0.3]),
        ],
    )
    facts = metadata_of_transform(compose)
    assert facts == {
        "value_range": "[0, 1]", "resize": "256", "crop": "[224, 224]", "eight_bit": "true",
        "interpolation": "bilinear", "gray_to_rgb": "true", "std": "[0.2, 0.3]",
        "mean": facts["mean"],
    }  # fmt: skip
    assert json.loads(facts["mean"]) == pytest.approx([0.485, 0.4])
    after = [transform("ToTensor"), transform("Resize", size=64, interpolation=2)]
    assert metadata_of_transform(after)["eight_bit"] == "false"
    with pytest.raises(DataError, match="at random"):
        metadata_of_transform([transform("RandomResizedCrop", size=224)])
    with pytest.raises(DataError, match="'Sharpen' is unknown"):
        metadata_of_transform([transform("Sharpen")])


def test_class_names_of_data_sets_and_configurations() -> None:
    assert class_names_of({"cat": 1, "ant": 0}) == ["ant", "cat"]
    assert class_names_of({"0": "ant", "1": "cat", "10": "x"}) == ["ant", "cat", "x"]
    assert class_names_of(("ant", "cat")) == ["ant", "cat"]
    assert class_names_of(None) == []


def test_the_cell_is_valid_python_with_the_name_of_the_class() -> None:
    cell = export_cell("notebook.SmallNet", "best model.pth")
    compile(cell, "cell", "exec")
    assert "SmallNet()" in cell and "'best model.pth'" in cell and "'best model.pt2'" in cell
    compile(export_cell("odd name\nimport os", "it's.pth"), "cell", "exec")
    assert "import os" not in export_cell("odd name\nimport os", "it's.pth")
    compile(keras_cell("it's.h5"), "cell", "exec")


def test_a_refused_file_offers_the_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notebook.pth"
    torch.save(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict(), path)
    for refuse in (lambda: ClassifierRecipe(path).load("cpu"), lambda: recognize_network(path)):
        with pytest.raises(CheckpointError, match="export_classifier") as error:
            refuse()
        assert "load_state_dict" in error.value.cell and "notebook.pth" in error.value.cell
    assert main(["inspect", str(path)]) == 2
    assert "export_classifier(\n" in capsys.readouterr().err
    keras = tmp_path / "net.keras"
    with zipfile.ZipFile(keras, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    with pytest.raises(CheckpointError) as error:
        recognize_network(keras)
    assert "keras.models.load_model('net.keras')" in error.value.cell
