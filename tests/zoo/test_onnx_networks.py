"""ONNX files of both exporters, and the test cases of the onnx package for each operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_quac.errors import NetworkError
from napari_quac.networks.onnx.comparison import compare_outputs
from napari_quac.networks.onnx.graph import TYPES, read_model
from napari_quac.networks.onnx.network import _CONTROL, OPERATORS, REFUSED, _Run, load_onnx

for _library in ("onnx", "onnxruntime", "onnxscript", "torchvision", "timm"):
    pytest.importorskip(_library, reason=f"the environment 'zoo' has {_library}")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

NETWORKS = ("resnet18", "mobilenet_v3_small", "densenet121", "efficientnet_b0", "convnext_tiny",
            "shufflenet_v2_x0_5", "regnet_y_400mf", "timm vit_tiny_patch16_224")  # fmt: skip
# outputs that no classifier uses, training, and operators of text, sequences or windows
UNUSED_CASES = ("training", "dropout", "mask", "argmax_2d", "qk_matmul", "seq", "opt", "string",
                "empty_set", "bfloat16", "expanded", "window", "softcap", "gqa")  # fmt: skip

PLAIN = ("float16", "float32", "float64", "bool", *(f"{kind}{bits}" for kind in ("int", "uint")
         for bits in (8, 16, 32, 64)))  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True], ids=["dynamo", "legacy"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_original_and_onnxruntime(
    name: str, legacy: bool, tmp_path: Path
) -> None:
    import timm
    import torchvision

    torch.manual_seed(0)
    size = 224 if "vit" in name else 64
    if name.startswith("timm"):
        network: nn.Module = timm.create_model(name.split()[1], num_classes=3).eval()
    else:
        network = torchvision.models.get_model(name, num_classes=3).eval()
    images = torch.randn(2, 3, size, size)
    path = tmp_path / "network.onnx"
    settings: dict[str, Any] = {"dynamo": not legacy}
    settings |= {"opset_version": 17} if legacy else {}
    torch.onnx.export(network, (images,), str(path), **settings)
    converted, _ = load_onnx(path)
    inputs = images.clone().requires_grad_()
    outputs = converted(inputs)
    (gradient,) = torch.autograd.grad(outputs[:, 0].sum(), inputs)
    assert torch.isfinite(gradient).all()
    expected = network(images).softmax(1)
    torch.testing.assert_close(outputs.softmax(1), expected, rtol=0, atol=1e-5)
    assert "onnxruntime" in compare_outputs(path, converted, 3, (size, size))


def test_operators_give_the_results_of_the_onnx_package(tmp_path: Path) -> None:
    import onnx
    from onnx.backend.test.case.node import collect_testcases

    path = tmp_path / "operator.onnx"
    n_equal, different = 0, []
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        kinds = {node.op_type for node in nodes}
        attributes = {(node.op_type, entry.name) for node in nodes for entry in node.attribute}
        refused = any((kind, name) in attributes for kind in REFUSED for name in REFUSED[kind])
        if not kinds <= {*OPERATORS, *_CONTROL} or refused:
            continue
        if any(word in case.name for word in UNUSED_CASES):
            continue
        arrays = [np.asarray(entry) for pair in case.data_sets for part in pair for entry in part]
        if any(array.dtype.name not in PLAIN for array in arrays):
            continue
        onnx.save(case.model, path)
        try:
            n_equal += _is_equal(path, case)
        except (NetworkError, KeyError):  # refused with a sentence; a second output is not used
            continue
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            different.append((case.name, str(error)[:80]))
    assert n_equal > 600
    assert different == []


def _is_equal(path: Path, case: Any) -> bool:
    model = read_model(path)
    for inputs, outputs in case.data_sets:
        arrays = [np.asarray(entry) for entry in inputs]
        tensors = [torch.from_numpy(np.array(array, _readable(array))) for array in arrays]
        names = [entry.name for entry in case.model.graph.input]
        values = {**model.graph.weights, **dict(zip(names, tensors, strict=True))}
        floating = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
        working = floating[0] if floating else TYPES[1]
        _Run(model.functions, model.opset, working).nodes(model.graph.nodes, values)
        tolerance = 2e-3 if working == torch.float16 else 1e-4
        for name, expected in zip(model.graph.outputs, outputs, strict=True):
            actual = values[name].double().numpy()
            expected = np.asarray(expected, np.float64)
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=1e-5)
    return True


def _readable(array: np.ndarray) -> Any:
    is_wide = array.dtype.kind == "u" and array.dtype.itemsize > 1
    return np.int64 if is_wide else array.dtype
