"""ONNX networks: read without further packages, with gradients, equal to the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, NetworkError
from napari_quac.generators.opening import inspect_network, recognize_network
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.formats.containers import network_hash
from napari_quac.networks.onnx.comparison import compare_outputs
from napari_quac.networks.onnx.graph import read_model
from napari_quac.networks.onnx.network import OnnxNetwork, load_onnx
from networks.onnx_files import model, node, write
from rounding import F32


class Network(nn.Module):
    """Convolution, batch norm, a branch, pooling and a head, as in a residual network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)
        self.second, self.head = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Linear(4, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        images = torch.relu(self.norm(self.conv(images)))
        images = F.max_pool2d(images + self.second(images), 2)
        return self.head(images.mean((2, 3)))  # type: ignore[no-any-return]


NODES = [
    node("Conv", ["x", "conv.weight", "conv.bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
    node("BatchNormalization", ["a", *(f"norm.{part}" for part in (
        "weight", "bias", "running_mean", "running_var"))], ["b"]),
    node("Relu", ["b"], ["c"]),
    node("Conv", ["c", "second.weight", "second.bias"], ["d"], pads=[1, 1, 1, 1], group=2),
    node("Add", ["c", "d"], ["e"]),
    node("MaxPool", ["e"], ["f"], kernel_shape=[2, 2], strides=[2, 2]),
    node("GlobalAveragePool", ["f"], ["g"]),
    node("Flatten", ["g"], ["h"]),
    node("Gemm", ["h", "head.weight", "head.bias"], ["y"], transB=1),
]  # fmt: skip


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: entry for name, entry in network.state_dict().items() if entry.ndim}


def file_of(tmp_path: Path, shape: list[int | None], **changes: Any) -> Path:
    content = model(NODES, weights_of(Network()), shape, **changes)
    return write(tmp_path / "network.onnx", content)


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_a_network_returns_what_the_original_returns(batch: int | None, tmp_path: Path) -> None:
    names = {"class_names": json.dumps(["a", "b", "c"]), "mean": "[0.4]", "std": "[0.2]"}
    path = file_of(tmp_path, [batch, 1, 20, 24], metadata=names)
    classifier = ClassifierRecipe(path).load("cpu")
    assert classifier.class_names == ("a", "b", "c") and classifier.image_size == (20, 24)
    images = torch.rand(5, 1, 20, 24)
    inputs = images.clone().requires_grad_()
    expected = Network()(inputs)
    with torch.no_grad():
        assert torch.allclose(classifier.module(images), expected, atol=1e-5)
    same = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(classifier.module(same)[:, 1].sum(), same)
    (expected_gradient,) = torch.autograd.grad(expected[:, 1].sum(), inputs)
    assert torch.allclose(gradient, expected_gradient, atol=1e-5)
    assert "D-DeepLIFT" in classifier.description["Can compute"]
    layers = [m for m in classifier.module.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 2  # which Grad-CAM finds
    is_compared = "Compared" in classifier.description
    assert is_compared or any(entry.kind == "conversion" for entry in classifier.assumptions)
    assert classifier.preprocessing.mean == (0.4,)  # from the file
    precise = classifier.class_evidence(images.double(), precise=True)
    assert precise.dtype == torch.float64


def test_it_is_no_program_and_needs_no_consent(tmp_path: Path) -> None:
    path = file_of(tmp_path, [None, 1, None, None])
    network = recognize_network(path)
    assert network.role == "classifier" and not network.is_program
    inspection = inspect_network(path)
    assert inspection.kind == "onnx" and inspection.n_classes == 3 and not inspection.problem


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    path = file_of(tmp_path, [None, 1, 20, 24], location="network.onnx.data")
    with pytest.raises(CheckpointError, match=r"'network.onnx.data', which is missing"):
        load_onnx(path)
    weights = weights_of(Network())
    # both convolutions start at the same place: the first weights are those of the longer one
    (tmp_path / "network.onnx.data").write_bytes(weights["second.weight"].numpy().tobytes())
    network, content = load_onnx(path)
    assert network.layers["second"].weight.equal(weights["second.weight"])
    assert content.data_files == (tmp_path / "network.onnx.data",)
    before = network_hash(path)  # the weights beside the file are part of it
    (tmp_path / "network.onnx.data").write_bytes(b"1" * 288)
    assert network_hash(path) != before
    (tmp_path / "network.onnx.data").write_bytes(b"1" * 100)
    with pytest.raises(CheckpointError, match=r"'network.onnx.data' has 100 bytes, but"):
        load_onnx(path)
    outside = file_of(tmp_path, [None, 1, 20, 24], location="../network.onnx.data")
    with pytest.raises(CheckpointError, match="another folder"):
        load_onnx(outside)


def test_keras_takes_channels_last(tmp_path: Path) -> None:
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
             node("Conv", ["t", "conv.weight", "conv.bias"], ["a"], strides=[2, 2],
                  auto_pad="SAME_UPPER"),
             node("GlobalAveragePool", ["a"], ["g"]), node("Flatten", ["g"], ["h"]),
             node("Gemm", ["h", "head.weight", "head.bias"], ["z"], transB=1),
             node("Softmax", ["z"], ["y"])]  # fmt: skip
    original = Network()
    path = write(tmp_path / "keras.onnx", model(nodes, weights_of(original), [None, 20, 24, 1]))
    classifier = ClassifierRecipe(path).load("cpu")
    assert classifier.channels == 1 and classifier.image_size == (20, 24)
    assert classifier.output == "probabilities"
    images = torch.rand(2, 1, 20, 24)
    padded = F.pad(images, (0, 1, 0, 1))  # the odd pixel comes at the end
    features = F.conv2d(padded, original.conv.weight, original.conv.bias, 2).mean((2, 3))
    with torch.no_grad():
        expected = original.head(features).softmax(1)
        assert torch.allclose(classifier.module(images), expected, atol=F32)


def computed(kind: str, inputs: dict[str, Tensor], opset: int = 17, **attributes: Any) -> Tensor:
    """Return the output of one operator for constant inputs, and for ``x``."""
    first, *others = inputs
    nodes = [node(kind, ["x", *others], ["y"], **attributes)]
    rest = {name: inputs[name] for name in others}
    content = model(nodes, rest, list(inputs[first].shape), opset)
    path = Path(write(Path(_folder) / "operator.onnx", content))
    return OnnxNetwork(read_model(path), "operator")(inputs[first])


_folder = ""


@pytest.fixture(autouse=True)
def _operator_folder(tmp_path: Path) -> None:
    global _folder
    _folder = str(tmp_path)


X = torch.arange(48.0).reshape(2, 3, 2, 4) / 10 - 2
AXES = torch.tensor([2, 3])
OPERATIONS = {
    "Softmax of old opsets": (
        lambda: computed("Softmax", {"x": X}, 11), lambda: X.flatten(1).softmax(1).reshape(X.shape)
    ),
    "Softmax": (lambda: computed("Softmax", {"x": X}, 13, axis=1), lambda: X.softmax(1)),
    "mean, axes as input": (
        lambda: computed("ReduceMean", {"x": X, "axes": AXES}, 18, keepdims=0),
        lambda: X.mean((2, 3)),
    ),
    "mean, axes as attribute": (
        lambda: computed("ReduceMean", {"x": X}, 13, axes=[2, 3]), lambda: X.mean((2, 3), True)
    ),
    "reshape": (
        lambda: computed("Reshape", {"x": X, "s": torch.tensor([0, -1, 4])}),
        lambda: X.reshape(2, 6, 4),
    ),
    "slice backward": (
        lambda: computed("Slice", {"x": X, "a": torch.tensor([-1]), "b": torch.tensor([-99]),
                                   "c": torch.tensor([3]), "d": torch.tensor([-2])}),
        lambda: X.flip(3)[..., ::2],
    ),
    "gather": (
        lambda: computed("Gather", {"x": X, "i": torch.tensor([[0, -1]])}, axis=1),
        lambda: X[:, [0, -1]].unsqueeze(1),
    ),
    "uneven mean pooling": (
        lambda: computed("AveragePool", {"x": X}, kernel_shape=[2, 2], strides=[2, 2],
                         auto_pad="SAME_LOWER"),
        lambda: F.avg_pool2d(X, 2),
    ),
    "clip": (
        lambda: computed("Clip", {"x": X, "a": torch.tensor(-1.0), "b": torch.tensor(1.0)}),
        lambda: X.clamp(-1, 1),
    ),
    "layer norm": (
        lambda: computed("LayerNormalization", {"x": X, "w": torch.rand(4), "b": torch.ones(4)},
                         axis=-1, epsilon=1e-6) - 1,
        None,
    ),
    "whole division": (
        lambda: computed("Div", {"x": torch.tensor([[7, -7]]), "b": torch.tensor([2])}),
        lambda: torch.tensor([[3, -3]]),
    ),
    "resize": (
        lambda: computed("Resize", {"x": X, "r": torch.tensor([]), "s": torch.tensor([]),
                                    "n": torch.tensor([2, 3, 4, 8])}, mode="linear"),
        lambda: F.interpolate(X, size=(4, 8), mode="bilinear"),
    ),
    "pad": (
        lambda: computed("Pad", {"x": X, "p": torch.tensor([0, 0, 1, 0, 0, 0, 0, 2])}),
        lambda: F.pad(X, (0, 2, 1, 0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, pair in OPERATIONS.items() if pair[1]])
def test_operators_follow_their_definition(name: str) -> None:
    operation, expected = OPERATIONS[name]
    assert expected is not None
    assert torch.allclose(operation().float(), expected().float(), atol=F32)


def test_unusual_files_are_named(tmp_path: Path) -> None:
    weights = weights_of(Network())

    def refused(*nodes: bytes) -> str:
        path = write(tmp_path / "odd.onnx", model(nodes, weights, [None, 1, 20, 24]))
        with pytest.raises((CheckpointError, NetworkError)) as error:
            ClassifierRecipe(path).load("cpu")
        return str(error.value)

    assert "NonMaxSuppression" in refused(node("NonMaxSuppression", ["x"], ["y"]))
    assert "quantized" in refused(node("QuantizeLinear", ["x", "norm.bias"], ["y"]))
    assert "scikit-learn" in refused(
        node("TreeEnsembleClassifier", ["x"], ["y"]) + b"\x3a\x0aai.onnx.ml"
    )
    assert "CumSum with reverse" in refused(node("CumSum", ["x", "norm.bias"], ["y"], reverse=1))
    path = file_of(tmp_path, [None, 1, 20, 24])
    content = path.read_bytes()
    for length in (20, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load_onnx(path)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(place=st.integers(0, 299), byte=st.integers(0, 255))
@example(place=260, byte=107)  # channels that the groups do not divide
@example(place=269, byte=245)  # a node without an output
@example(place=116, byte=38)
@example(place=180, byte=240)
def test_altered_bytes_end_in_an_error_of_ours_or_a_network(place: int, byte: int) -> None:
    content = bytearray(model(NODES, weights_of(Network()), [None, 1, 20, 24]))
    content[place] = byte  # nodes and names, not the numbers of weights
    path = write(Path(_folder) / "altered.onnx", bytes(content))
    try:
        load_onnx(path)
    except (CheckpointError, NetworkError) as error:
        assert "altered.onnx" in str(error) or "ONNX" in str(error)


def test_another_program_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_quac.networks.onnx import comparison

    path = file_of(tmp_path, [2, 1, 20, 24])
    network, _ = load_onnx(path)
    original = Network()

    def run(rows: Any) -> Any:
        with torch.no_grad():
            return original(torch.from_numpy(rows)).numpy()

    monkeypatch.setattr(comparison, "_program", lambda *_: ("a program", run))
    assert "equal those of a program" in compare_outputs(path, network, 1, (20, 24))
    original.head.bias.data += 0.01
    with pytest.raises(CheckpointError, match="other values here than in a program"):
        compare_outputs(path, network, 1, (20, 24))
