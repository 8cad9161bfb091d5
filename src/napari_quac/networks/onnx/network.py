"""An ONNX graph as a torch module, through which gradients pass."""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.onnx import elementwise, spatial
from napari_quac.networks.onnx.elementwise import convert, unsupported
from napari_quac.networks.onnx.graph import TYPES, Graph, Model, Node, Reference, read_model
from napari_quac.networks.tensor_file import METADATA_KEYS
from napari_quac.reading import reading_errors

OPERATORS = {**elementwise.OPERATORS, **spatial.OPERATORS}
_CONTROL = ("Constant", "Cast", "CastLike", "If")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger")
REFUSED = {  # attributes that change the meaning of an operator, unless they are 0 or empty
    "CumSum": ("exclusive", "reverse"),
    "ArgMax": ("select_last_index",),
    "ArgMin": ("select_last_index",),
    "BatchNormalization": ("training_mode",),
    "Attention": (
        "softcap", "qk_matmul_output_mode", "softmax_precision", "left_window_size",
        "right_window_size",
    ),
}  # fmt: skip
_COLORS = (1, 3, 4)


class OnnxNetwork(nn.Module):
    """The computation of an ONNX file.

    Parameters
    ----------
    model : Model
        Content of the file.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If it has an operator that is unknown here, or another number of inputs than one.
    NetworkError
        If an operator has attributes without a counterpart in torch.

    Attributes
    ----------
    bounds : list of (smallest, largest)
        Allowed length of each axis (N, C, *S); None without a limit.
    channels_last : bool
        The file takes (N, *S, C), as of Keras; ``forward`` takes (N, C, *S).
    """

    def __init__(self, model: Model, name: str) -> None:
        super().__init__()
        self.functions, self.opset = model.functions, model.opset
        self.graph = model.graph
        _check(model, name)
        self.input_name, shape = next(iter(model.graph.inputs.items()))
        self.channels_last = len(shape) in (4, 5) and _is_channels_last(shape)
        if self.channels_last:
            shape = (shape[0], shape[-1], *shape[1:-1])
        self.bounds: list[tuple[int, int | None]] = [
            (1, None) if length is None else (length, length) for length in shape
        ]
        self.constants: dict[str, Tensor] = {}
        self.weight_names: dict[str, str] = {}
        self.layers, self.layer_names = _convolutions(model.graph)
        needed = _needed_weights(model.graph, self.layer_names)
        for key, tensor in model.graph.weights.items():
            if key not in needed:
                continue
            if tensor.is_floating_point():
                attribute = f"{key.replace('.', '_')}_"
                self.weight_names[key] = attribute
                self.register_buffer(attribute, tensor.float())
            else:
                self.constants[key] = tensor
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        """Return the first output for images (N, C, *S)."""
        if self.channels_last:
            images = images.movedim(1, -1)
        values = dict(self.constants)
        values |= {key: getattr(self, attribute) for key, attribute in self.weight_names.items()}
        values[self.input_name] = images
        layers = {output: self.layers[name] for output, name in self.layer_names.items()}
        run = _Run(self.functions, self.opset, images.dtype, layers)
        run.nodes(self.graph.nodes, values, _last_uses(self.graph))
        return values[self.graph.outputs[0]]


def _convolutions(graph: Graph) -> tuple[nn.ModuleDict, dict[str, str]]:
    """Return convolutions as layers, which Grad-CAM finds, and their names by output."""
    layers, names = nn.ModuleDict(), {}
    for node in graph.nodes:
        weights = [graph.weights.get(name) for name in node.inputs[1:] if name]
        layer = _convolution(node, weights) if node.kind == "Conv" else None
        if layer is not None:
            name = node.inputs[1].removesuffix(".weight").replace(".", "_") or "conv"
            while name in layers or hasattr(layers, name):
                name += "_"
            layers[name], names[node.outputs[0]] = layer, name
    return layers, names


def _convolution(node: Node, weights: Sequence[Tensor | None]) -> nn.Module | None:
    """Return a layer for a convolution with stored weights and even pads; None for another."""
    kernel, *rest = weights
    if kernel is None or kernel.ndim not in (4, 5) or any(entry is None for entry in rest):
        return None
    bias = rest[0] if rest else None
    n_axes, attributes = kernel.ndim - 2, node.attributes
    pads = list(attributes.get("pads") or [0] * (2 * n_axes))
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "") or pads[:n_axes] != pads[n_axes:]:
        return None
    groups = attributes.get("group", 1)
    kind: Any = (nn.Conv2d, nn.Conv3d)[n_axes - 2]
    layer: nn.Module = kind(
        kernel.shape[1] * groups,
        kernel.shape[0],
        tuple(kernel.shape[2:]),
        tuple(attributes.get("strides") or [1] * n_axes),
        tuple(pads[:n_axes]),
        tuple(attributes.get("dilations") or [1] * n_axes),
        groups,
        bias is not None,
        device="meta",
    )
    layer.weight = nn.Parameter(kernel.float(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.float(), requires_grad=False)
    return layer.eval()


def _needed_weights(graph: Graph, layer_names: Mapping[str, str]) -> set[str]:
    """Return the names of weights outside of layers."""
    needed = set(graph.outputs)
    for node in graph.nodes:
        if node.outputs[0] not in layer_names:
            needed |= set(node.inputs)
        if any(isinstance(entry, Graph) for entry in node.attributes.values()):
            return set(graph.weights)  # branches use names of the graph around them
    return needed


class _Run:
    """One computation."""

    def __init__(
        self,
        functions: Mapping[str, Graph],
        opset: int,
        dtype: torch.dtype,
        layers: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.functions, self.opset, self.dtype = functions, opset, dtype
        self.layers = layers or {}

    def nodes(
        self,
        nodes: Sequence[Node],
        values: dict[str, Tensor],
        last_uses: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        """Compute nodes in their order; ``values`` holds the tensors by name."""
        for number, node in enumerate(nodes):
            outputs = self.node(node, values)
            for name, output in zip(node.outputs, outputs, strict=False):
                if name:
                    values[name] = output
            for name in (last_uses or {}).get(number, ()):
                values.pop(name, None)  # the weights of layers are not there

    def node(self, node: Node, values: dict[str, Tensor]) -> Sequence[Tensor]:
        if layer := self.layers.get(node.outputs[0]):
            return [layer(values[node.inputs[0]])]
        if node.kind in self.functions:
            return self.function(node, values)
        if node.kind == "If":
            condition = bool(values[node.inputs[0]].item())
            branch = node.attributes["then_branch" if condition else "else_branch"]
            inside = {**values, **branch.weights}
            self.nodes(branch.nodes, inside)
            return [inside[name] for name in branch.outputs]
        inputs: list[Any] = [values[name] if name else None for name in node.inputs]
        while inputs and inputs[-1] is None:
            inputs.pop()
        if node.kind == "Constant":
            return [torch.as_tensor(next(iter(node.attributes.values())))]
        if node.kind == "Cast":
            return [convert(node.attributes["to"], inputs[0], self.dtype)]
        if node.kind == "CastLike":
            return [inputs[0].to(inputs[1].dtype)]
        attributes = node.attributes
        if node.kind == "Split":
            attributes = {**attributes, "number of outputs": len(node.outputs)}
        outputs = OPERATORS[node.kind](inputs, attributes, self.opset)
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    def function(self, node: Node, values: dict[str, Tensor]) -> Sequence[Tensor]:
        body = self.functions[node.kind]
        inside = {
            name: values[source]
            for name, source in zip(body.inputs, node.inputs, strict=False)
            if source
        }
        nodes = [_with_attributes(entry, node.attributes) for entry in body.nodes]
        self.nodes(nodes, inside)
        return [inside[name] for name in body.outputs]


def _with_attributes(node: Node, attributes: Mapping[str, Any]) -> Node:
    """Replace references of a function by the attributes of the node that uses it."""
    pairs = {
        key: attributes.get(entry.name) if isinstance(entry, Reference) else entry
        for key, entry in node.attributes.items()
    }
    defined = {key: entry for key, entry in pairs.items() if entry is not None}
    return Node(node.kind, node.inputs, node.outputs, defined)


def _last_uses(graph: Graph) -> dict[int, list[str]]:
    """Return the names that no later node needs, so that their memory is freed."""
    if any(node.kind == "If" for node in graph.nodes):
        return {}
    last = {name: number for number, node in enumerate(graph.nodes) for name in node.inputs if name}
    uses: dict[int, list[str]] = {}
    for name, number in last.items():
        if name not in graph.outputs:
            uses.setdefault(number, []).append(name)
    return uses


def load_onnx(path: Path) -> tuple[OnnxNetwork, Model]:
    """Read an ONNX file as a torch module.

    Raises
    ------
    CheckpointError
        If it is damaged, incomplete, or has operators that are unknown here.
    """
    model = read_model(path)
    with reading_errors(path.name, "Export it again.", CheckpointError):
        return OnnxNetwork(model, path.name).eval(), model


def onnx_metadata(model: Model) -> dict[str, str]:
    """Return the facts that an ONNX file states, under the keys of a file's metadata."""
    metadata = {key: text for key, text in model.metadata.items() if key in METADATA_KEYS}
    if "names" in model.metadata and "class_names" not in metadata:
        with contextlib.suppress(ValueError, SyntaxError, TypeError):
            names = ast.literal_eval(model.metadata["names"])  # as Ultralytics writes them
            ordered = [names[key] for key in sorted(names)] if isinstance(names, dict) else names
            metadata["class_names"] = json.dumps([str(name) for name in ordered])
    if model.graph.input_type == 2:
        metadata.setdefault("value_range", "[0, 255]")
    return metadata


def _check(model: Model, name: str) -> None:
    graph = model.graph
    kinds = sorted(set(_kinds(graph.nodes, model.functions)))
    if any(kind.startswith("ai.onnx.ml.") for kind in kinds):
        raise CheckpointError(
            f"'{name}' holds a model of scikit-learn or similar software as ONNX, which has no "
            "gradients. In Python, pass a function from images to class probabilities: "
            "napari_quac.load_classifier(function, classes=[…])."
        )
    if any(kind in _QUANTIZED for kind in kinds):
        raise CheckpointError(
            f"'{name}' holds a quantized ONNX network, which has no gradients. Export the network "
            "before its quantization."
        )
    unknown = [kind for kind in kinds if kind not in (*OPERATORS, *_CONTROL, *model.functions)]
    if unknown:
        raise CheckpointError(
            f"'{name}' holds an ONNX network with operators that are unknown here "
            f"({', '.join(unknown)}). Export the original network with "
            "napari_quac.export_classifier, or as TorchScript."
        )
    for node in graph.nodes:
        for key in REFUSED.get(node.kind, ()):
            if node.attributes.get(key):
                raise unsupported(f"{node.kind} with {key}")
    if len(graph.inputs) != 1 or not graph.outputs:
        names = ", ".join(graph.inputs) or "none"
        raise CheckpointError(
            f"'{name}' takes {len(graph.inputs)} inputs ({names}), but one batch of images is "
            "needed. Export such a network."
        )
    if graph.input_type not in TYPES:
        raise CheckpointError(f"'{name}' does not take numbers. Export a network for images.")


def _kinds(nodes: Sequence[Node], functions: Mapping[str, Graph]) -> Iterator[str]:
    for node in nodes:
        yield node.kind
        for entry in node.attributes.values():
            if isinstance(entry, Graph):
                yield from _kinds(entry.nodes, functions)
    if nodes:
        for function in functions.values():
            yield from _kinds(function.nodes, {})


def _is_channels_last(shape: Sequence[int | None]) -> bool:
    """Tell (N, *S, C) from (N, C, *S): only the last axis is as short as colors."""
    return shape[-1] in _COLORS and shape[1] not in _COLORS
