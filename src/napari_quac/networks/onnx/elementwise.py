"""Operators of ONNX on single values, on axes and on shapes, as functions of torch.

Definitions: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.errors import NetworkError
from napari_quac.networks.onnx.graph import TYPES

Attributes = Mapping[str, Any]
Inputs = Sequence[Tensor]
Operator = Callable[[Inputs, Attributes, int], Any]


def unsupported(operation: str) -> NetworkError:
    """Return the error about an operator with attributes that have no counterpart in torch."""
    return NetworkError(
        f"The ONNX operation {operation} is unknown here. Export the original network with "
        "napari_quac.export_classifier, or as TorchScript."
    )


def numbers(tensor: Tensor) -> list[int]:
    """Return whole numbers, such as a shape or axes, that are stored as a tensor."""
    return [int(number) for number in tensor.reshape(-1).tolist()]


def unary(function: Callable[[Tensor], Tensor]) -> Operator:
    """Return an operator of one input without attributes."""
    return lambda inputs, attributes, opset: function(inputs[0])


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return an operator of two inputs, which may be on two devices."""

    def apply(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
        first, second = inputs
        if first.device != second.device:
            first, second = first.to(second.device), second.to(first.device)
            second = second.to(first.device)
        return function(first, second)

    return apply


def variadic(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return an operator that combines any number of inputs."""
    pair = binary(function)

    def apply(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
        total = inputs[0]
        for entry in inputs[1:]:
            total = pair((total, entry), attributes, opset)
        return total

    return apply


def divide(first: Tensor, second: Tensor) -> Tensor:
    """Divide; whole numbers are truncated."""
    if first.is_floating_point() or second.is_floating_point():
        return first / second
    return torch.div(first, second, rounding_mode="trunc")


def clip(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Limit values to a range, of attributes before opset 11 and of inputs since."""
    low = inputs[1] if len(inputs) > 1 else attributes.get("min")
    high = inputs[2] if len(inputs) > 2 else attributes.get("max")
    limits = [limit.item() if isinstance(limit, Tensor) else limit for limit in (low, high)]
    return inputs[0] if limits == [None, None] else inputs[0].clamp(*limits)


def softmax(function: Callable[..., Tensor]) -> Operator:
    """Return a softmax: over all axes from one on before opset 13, over one since."""

    def apply(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
        values = inputs[0]
        if opset >= 13:
            return function(values, dim=attributes.get("axis", -1))
        axis = attributes.get("axis", 1) % values.ndim
        flat = function(values.flatten(axis), dim=-1)
        return flat.reshape(values.shape)

    return apply


def gelu(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Gaussian error linear unit."""
    return F.gelu(inputs[0], approximate=attributes.get("approximate", "none"))


def selu(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Scaled exponential linear unit."""
    alpha = float(attributes.get("alpha", 1.6732632423543772))
    return F.elu(inputs[0], alpha) * float(attributes.get("gamma", 1.0507009873554805))


def prelu(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Linear unit with one slope per channel, or one for all, for negative values."""
    values, slope = inputs
    return torch.where(values < 0, values * slope, values)


def axes_of(inputs: Inputs, attributes: Attributes) -> list[int] | None:
    """Return axes, of an attribute in older opsets and of the second input in newer ones."""
    if len(inputs) > 1 and inputs[1] is not None:
        return numbers(inputs[1]) if inputs[1].numel() else None
    axes = attributes.get("axes")
    return list(axes) if axes is not None else None


def reduction(function: Callable[..., Tensor]) -> Operator:
    """Return a reduction over some axes, or over all."""

    def apply(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
        axes = axes_of(inputs, attributes)
        if axes is None and attributes.get("noop_with_empty_axes", 0):
            return inputs[0]
        if axes is None:
            axes = list(range(inputs[0].ndim))
        return function(inputs[0], dim=tuple(axes), keepdim=bool(attributes.get("keepdims", 1)))

    return apply


def product(values: Tensor, dim: Sequence[int], keepdim: bool) -> Tensor:
    """Multiply along axes."""
    for axis in sorted((axis % values.ndim for axis in dim), reverse=True):
        values = values.prod(dim=axis, keepdim=keepdim)
    return values


def extreme_index(function: Callable[..., Tensor]) -> Operator:
    """Return the operator of an index of the largest or smallest entry."""

    def apply(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
        keep = bool(attributes.get("keepdims", 1))
        return function(inputs[0], dim=attributes.get("axis", 0), keepdim=keep)

    return apply


def reshape(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Change the shape: 0 keeps a length, -1 follows from the others."""
    values, shape = inputs[0], numbers(inputs[1]) if len(inputs) > 1 else attributes["shape"]
    if not attributes.get("allowzero", 0):
        shape = [values.shape[i] if length == 0 else length for i, length in enumerate(shape)]
    return values.reshape(shape)


def flatten(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Flatten to two axes."""
    values, axis = inputs[0], attributes.get("axis", 1)
    axis += values.ndim if axis < 0 else 0
    return values.reshape(math.prod(values.shape[:axis]), -1)


def transpose(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Permute axes; reverse them without an order."""
    return inputs[0].permute(attributes.get("perm") or list(range(inputs[0].ndim))[::-1])


def squeeze(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Remove axes of length 1."""
    axes = axes_of(inputs, attributes)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def unsqueeze(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Insert axes of length 1."""
    values, axes = inputs[0], axes_of(inputs, attributes) or []
    n_axes = values.ndim + len(axes)
    for axis in sorted(axis % n_axes for axis in axes):
        values = values.unsqueeze(axis)
    return values


def concatenate(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Join along an axis."""
    return torch.cat(list(inputs), dim=attributes["axis"])


def split(inputs: Inputs, attributes: Attributes, opset: int) -> Sequence[Tensor]:
    """Split along an axis into stated lengths, or into equal parts."""
    values, axis = inputs[0], attributes.get("axis", 0)
    lengths = numbers(inputs[1]) if len(inputs) > 1 else attributes.get("split")
    if lengths is None:
        count = attributes.get("num_outputs") or attributes["number of outputs"]
        lengths = math.ceil(values.shape[axis] / count)
    parts: Sequence[Tensor] = values.split(lengths, dim=axis)
    return parts


def cut(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Cut out ranges, with steps; negative steps go backward."""
    values = inputs[0]
    if opset < 10:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes"), None
    else:
        starts, ends = numbers(inputs[1]), numbers(inputs[2])
        axes, steps = (
            numbers(inputs[i]) if len(inputs) > i and inputs[i] is not None else None
            for i in (3, 4)
        )
    axes = axes if axes is not None else range(len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        # a backward range that ends before the first entry has no end in Python
        is_open = step < 0 and end < -values.shape[axis]
        places = range(values.shape[axis])[slice(start, None if is_open else end, step)]
        if step == 1:
            values = values.narrow(axis, places.start if places else 0, len(places))
        else:
            indices = torch.tensor(list(places), dtype=torch.long, device=values.device)
            values = values.index_select(axis, indices)
    return values


def gather(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Take entries along an axis by their numbers, which may be negative."""
    values, indices = inputs
    axis = attributes.get("axis", 0) % values.ndim
    indices = indices.to(values.device).long()
    flat = torch.where(indices < 0, indices + values.shape[axis], indices).reshape(-1)
    shape = (*values.shape[:axis], *indices.shape, *values.shape[axis + 1 :])
    return values.index_select(axis, flat).reshape(shape)


def gather_elements(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Take one entry along an axis for each index."""
    values, indices = inputs
    axis = attributes.get("axis", 0)
    indices = indices.to(values.device).long()
    return values.gather(axis, torch.where(indices < 0, indices + values.shape[axis], indices))


def gather_nd(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Take entries, or parts, at indices along several axes."""
    if attributes.get("batch_dims", 0):
        raise unsupported("GatherND with batches")
    values, indices = inputs
    return values[tuple(indices.to(values.device).long().unbind(-1))]


def scatter_elements(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Replace one entry along an axis for each index; sums and products are refused."""
    if attributes.get("reduction", "none") != "none":
        raise unsupported("ScatterElements with a reduction")
    values, indices, updates = inputs
    axis = attributes.get("axis", 0)
    indices = indices.to(values.device).long()
    indices = torch.where(indices < 0, indices + values.shape[axis], indices)
    return values.scatter(axis, indices, updates)


def scatter_nd(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Replace entries at indices; sums and products are refused."""
    if attributes.get("reduction", "none") != "none":
        raise unsupported("ScatterND with a reduction")
    values, indices, updates = inputs
    return values.index_put(tuple(indices.to(values.device).unbind(-1)), updates)


def shape_of(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Return the shape, or a part of it."""
    lengths = inputs[0].shape[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(lengths, dtype=torch.int64)


def constant_of_shape(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Return a tensor of one value, 0 by default."""
    entry = attributes.get("value", torch.zeros(1))
    return torch.full(numbers(inputs[0]), entry.item(), dtype=entry.dtype)


def convert(kind: int, values: Tensor, working: torch.dtype) -> Tensor:
    """Convert to a type of ONNX; all floating types become the type of the computation."""
    target = TYPES[kind]
    return values.to(working if target.is_floating_point else target)


def expand(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Broadcast to a shape; lengths of 1 keep that of the input."""
    return inputs[0].expand(torch.broadcast_shapes(inputs[0].shape, tuple(numbers(inputs[1]))))


def where(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Choose between two tensors."""
    condition, first, second = inputs
    device = max((entry.device for entry in inputs), key=lambda device: device.type != "cpu")
    return torch.where(condition.to(device), first.to(device), second.to(device))


def number_range(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Return equally spaced numbers."""
    start, limit, step = (entry.item() for entry in inputs)
    return torch.arange(start, limit, step, dtype=inputs[0].dtype)


def einsum(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Multiply and sum by a formula."""
    return torch.einsum(attributes["equation"].replace(" ", ""), *inputs)


def triangle(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Keep the upper or lower triangle."""
    offset = int(inputs[1].item()) if len(inputs) > 1 else 0
    if attributes.get("upper", 1):
        return torch.triu(inputs[0], offset)
    return torch.tril(inputs[0], offset)


def matrix_product(first: Tensor, second: Tensor) -> Tensor:
    """Multiply matrices."""
    return first @ second


def linear(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Multiply matrices and add: ``Gemm``."""
    first, second = inputs[:2]
    first = first.T if attributes.get("transA", 0) else first
    second = second.T if attributes.get("transB", 0) else second
    total: Tensor = attributes.get("alpha", 1.0) * (first @ second)
    if len(inputs) > 2:
        total = total + attributes.get("beta", 1.0) * inputs[2]
    return total


def powered(first: Tensor, second: Tensor) -> Tensor:
    """Raise to a power, in the type of the base."""
    return first.pow(second).to(first.dtype)


def remainder(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Return the remainder with the sign of the divisor, or of the dividend with ``fmod``."""
    function = torch.fmod if attributes.get("fmod", 0) else torch.remainder
    return function(inputs[0], inputs[1])


def slope(name: str, default: float, function: Callable[..., Tensor]) -> Operator:
    """Return an activation with one parameter."""
    return lambda inputs, attributes, opset: function(inputs[0], attributes.get(name, default))


OPERATORS: Mapping[str, Operator] = {
    **{
        name: unary(getattr(torch, name.lower()))
        for name in (
            "Abs", "Sqrt", "Exp", "Log", "Erf", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos",
            "Tan", "Tanh", "Sigmoid", "Reciprocal", "Atan", "Relu", "IsNaN",
        )
    },
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Identity": unary(lambda values: values),
    "Dropout": unary(lambda values: values),
    "Softplus": unary(F.softplus),
    "Softsign": unary(F.softsign),
    "Mish": unary(F.mish),
    "HardSwish": unary(F.hardswish),
    "Size": unary(lambda values: torch.tensor(values.numel())),
    "Swish": slope("alpha", 1.0, lambda values, alpha: values * torch.sigmoid(alpha * values)),
    "LeakyRelu": slope("alpha", 0.01, F.leaky_relu),
    "Elu": slope("alpha", 1.0, F.elu),
    "Celu": slope("alpha", 1.0, F.celu),
    "ThresholdedRelu": slope("alpha", 1.0, lambda values, limit: values * (values > limit)),
    "HardSigmoid": lambda inputs, attributes, opset: (
        attributes.get("alpha", 0.2) * inputs[0] + attributes.get("beta", 0.5)
    ).clamp(0, 1),
    "Gelu": gelu,
    "Selu": selu,
    "PRelu": prelu,
    "Clip": clip,
    "Softmax": softmax(torch.softmax),
    "LogSoftmax": softmax(torch.log_softmax),
    "Add": binary(torch.add),
    "Sub": binary(torch.sub),
    "Mul": binary(torch.mul),
    "Div": binary(divide),
    "Pow": binary(powered),
    "MatMul": binary(matrix_product),
    "Equal": binary(torch.eq),
    "Greater": binary(torch.gt),
    "Less": binary(torch.lt),
    "GreaterOrEqual": binary(torch.ge),
    "LessOrEqual": binary(torch.le),
    "And": binary(torch.logical_and),
    "Or": binary(torch.logical_or),
    "Xor": binary(torch.logical_xor),
    "Mod": remainder,
    "Gemm": linear,
    "Einsum": einsum,
    "Sum": variadic(torch.add),
    "Max": variadic(torch.maximum),
    "Min": variadic(torch.minimum),
    "Mean": lambda inputs, attributes, opset: (
        variadic(torch.add)(inputs, attributes, opset) / len(inputs)
    ),
    "ReduceMean": reduction(torch.mean),
    "ReduceSum": reduction(torch.sum),
    "ReduceMax": reduction(torch.amax),
    "ReduceMin": reduction(torch.amin),
    "ReduceProd": reduction(product),
    "ReduceL1": reduction(lambda values, **axes: values.abs().sum(**axes)),
    "ReduceL2": reduction(lambda values, **axes: values.square().sum(**axes).sqrt()),
    "ReduceSumSquare": reduction(lambda values, **axes: values.square().sum(**axes)),
    "ReduceLogSumExp": reduction(torch.logsumexp),
    "ArgMax": extreme_index(torch.argmax),
    "ArgMin": extreme_index(torch.argmin),
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": concatenate,
    "Split": split,
    "Slice": cut,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Shape": shape_of,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Tile": lambda inputs, attributes, opset: inputs[0].repeat(numbers(inputs[1])),
    "Where": where,
    "Range": number_range,
    "Trilu": triangle,
    "CumSum": lambda inputs, attributes, opset: inputs[0].cumsum(int(inputs[1].item())),
}  # fmt: skip
