"""Operators of ONNX on images and volumes: convolutions, pooling, normalization, resizing.

Definitions: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.networks.onnx.elementwise import Attributes, Inputs, Operator, numbers, unsupported

Functions = tuple[Callable[..., Tensor], ...]

_CONVOLUTIONS: Functions = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED: Functions = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MAX_POOLS: Functions = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEAN_POOLS: Functions = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pads(
    values: Tensor, kernel: Sequence[int], attributes: Attributes
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return strides, dilations, and pads before and after each spatial axis."""
    n_axes = len(kernel)
    strides = list(attributes.get("strides") or [1] * n_axes)
    dilations = list(attributes.get("dilations") or [1] * n_axes)
    automatic = attributes.get("auto_pad", "NOTSET")
    if automatic in ("NOTSET", ""):
        pads = list(attributes.get("pads") or [0] * (2 * n_axes))
        return strides, dilations, pads[:n_axes], pads[n_axes:]
    before, after = [0] * n_axes, [0] * n_axes
    if automatic.startswith("SAME"):
        for axis, (length, stride, dilation) in enumerate(
            zip(values.shape[2:], strides, dilations, strict=True)
        ):
            extent = (kernel[axis] - 1) * dilation + 1
            total = max(0, (math.ceil(length / stride) - 1) * stride + extent - length)
            smaller, larger = total // 2, total - total // 2
            is_upper = automatic == "SAME_UPPER"  # the odd pixel comes at the end
            before[axis], after[axis] = (smaller, larger) if is_upper else (larger, smaller)
    return strides, dilations, before, after


def _padded(values: Tensor, before: Sequence[int], after: Sequence[int], fill: float) -> Tensor:
    sides = [side for pair in zip(before[::-1], after[::-1], strict=True) for side in pair]
    return F.pad(values, sides, value=fill)


def convolution(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Convolve; uneven pads are added before."""
    values, weights = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else None
    strides, dilations, before, after = _pads(values, weights.shape[2:], attributes)
    if before != after:
        values, before = _padded(values, before, after, 0.0), [0] * len(before)
    function = _CONVOLUTIONS[weights.ndim - 3]
    groups = attributes.get("group", 1)
    return function(values, weights, bias, strides, before, dilations, groups)


def transposed_convolution(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Convolve backward; uneven pads are cut off."""
    values, weights = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else None
    strides, dilations, before, after = _pads(values, weights.shape[2:], attributes)
    if (
        attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        or "output_shape" in attributes
    ):
        raise unsupported("ConvTranspose with automatic pads")
    extra = list(attributes.get("output_padding") or [0] * len(strides))
    function, groups = _TRANSPOSED[weights.ndim - 3], attributes.get("group", 1)
    if before == after:
        return function(values, weights, bias, strides, before, extra, groups, dilations)
    zeros = [0] * len(strides)
    full = function(values, weights, bias, strides, zeros, extra, groups, dilations)
    for axis, (start, end) in enumerate(zip(before, after, strict=True)):
        full = full.narrow(axis + 2, start, full.shape[axis + 2] - start - end)
    return full


def _fits(before: Sequence[int], after: Sequence[int], kernel: Sequence[int]) -> bool:
    """Tell pads that pooling of torch takes: even, and at most half of the window."""
    halves = all(pad <= size // 2 for pad, size in zip(before, kernel, strict=True))
    return before == after and halves


def max_pool(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Take the largest value in a window."""
    values, kernel = inputs[0], list(attributes["kernel_shape"])
    strides, dilations, before, after = _pads(values, kernel, attributes)
    if not _fits(before, after, kernel):
        values, before = _padded(values, before, after, -math.inf), [0] * len(kernel)
    function = _MAX_POOLS[len(kernel) - 1]
    ceil_mode = bool(attributes.get("ceil_mode", 0))
    return function(values, kernel, strides, before, dilations, ceil_mode)


def mean_pool(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Average in a window, with or without the pads."""
    values, kernel = inputs[0], list(attributes["kernel_shape"])
    strides, dilations, before, after = _pads(values, kernel, attributes)
    if set(dilations) != {1} or (attributes.get("ceil_mode", 0) and any([*before, *after])):
        raise unsupported("AveragePool with dilations, or with pads and rounding up")
    function = _MEAN_POOLS[len(kernel) - 1]
    ceil_mode, with_pads = (bool(attributes.get(k, 0)) for k in ("ceil_mode", "count_include_pad"))
    if _fits(before, after, kernel):
        return function(values, kernel, strides, before, ceil_mode, with_pads)
    total = function(_padded(values, before, after, 0.0), kernel, strides, 0, ceil_mode)
    if with_pads:
        return total
    share = _padded(torch.ones_like(values[:1, :1]), before, after, 0.0)
    return total / function(share, kernel, strides, 0, ceil_mode)


def _spatial_axes(values: Tensor) -> tuple[int, ...]:
    return tuple(range(2, values.ndim))


def global_mean_pool(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Average over all pixels."""
    return inputs[0].mean(dim=_spatial_axes(inputs[0]), keepdim=True)


def global_max_pool(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Take the largest value of all pixels."""
    return inputs[0].amax(dim=_spatial_axes(inputs[0]), keepdim=True)


def batch_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Normalize with stored means and variances."""
    values, scale, bias, mean, variance = inputs
    epsilon = attributes.get("epsilon", 1e-5)
    return F.batch_norm(values, mean, variance, scale, bias, False, 0.0, epsilon)


def instance_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Normalize each channel of each image."""
    values, scale, bias = inputs
    epsilon = attributes.get("epsilon", 1e-5)
    return F.instance_norm(values, weight=scale, bias=bias, eps=epsilon)


def layer_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Normalize over the last axes."""
    values, scale = inputs[:2]
    axis = attributes.get("axis", -1) % values.ndim
    shape = values.shape[axis:]
    bias = inputs[2].expand(shape) if len(inputs) > 2 else None
    return F.layer_norm(values, shape, scale.expand(shape), bias, attributes.get("epsilon", 1e-5))


def root_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Divide by the root of the mean square over the last axes."""
    values, scale = inputs
    axis = attributes.get("axis", -1) % values.ndim
    square = values.square().mean(dim=tuple(range(axis, values.ndim)), keepdim=True)
    return values * torch.rsqrt(square + attributes.get("epsilon", 1e-5)) * scale


def group_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Normalize over groups of channels."""
    values, scale, bias = inputs
    if opset < 21:  # one scale per group
        repeats = values.shape[1] // len(scale)
        scale, bias = scale.repeat_interleave(repeats), bias.repeat_interleave(repeats)
    epsilon = attributes.get("epsilon", 1e-5)
    return F.group_norm(values, attributes["num_groups"], scale, bias, epsilon)


def local_response_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Normalize over neighboring channels."""
    alpha, beta = attributes.get("alpha", 1e-4), attributes.get("beta", 0.75)
    return F.local_response_norm(
        inputs[0], attributes["size"], alpha, beta, attributes.get("bias", 1.0)
    )


def length_norm(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Divide by the length along an axis."""
    axis, power = attributes.get("axis", -1), attributes.get("p", 2)
    return F.normalize(inputs[0], p=power, dim=axis)


def pad(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Pad with a value or with values of the image."""
    values = inputs[0]
    pads = numbers(inputs[1]) if len(inputs) > 1 else list(attributes["pads"])
    has_fill = len(inputs) > 2 and inputs[2] is not None
    fill = float(inputs[2].item()) if has_fill else attributes.get("value", 0.0)
    axes = list(range(values.ndim))
    if len(inputs) > 3:
        axes = [axis % values.ndim for axis in numbers(inputs[3])]
    before, after = [0] * values.ndim, [0] * values.ndim
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(pads) // 2]
    sides = [side for pair in zip(before[::-1], after[::-1], strict=True) for side in pair]
    mode = _PAD_MODES[attributes.get("mode", "constant")]
    if mode == "constant":
        return F.pad(values, sides, value=fill)
    return F.pad(values, sides[: 2 * (values.ndim - 2)], mode=mode)


def resize(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Resize, as far as torch's ``interpolate`` does the same."""
    values, mode = inputs[0], attributes.get("mode", "nearest")
    usual = "half_pixel" if opset > 10 else "asymmetric"
    place = attributes.get("coordinate_transformation_mode", usual)
    size = _new_size(inputs, attributes, opset)
    if mode == "nearest":
        _check_nearest(values, size, place, attributes, opset)
        return F.interpolate(values, size=size, mode="nearest")
    aligned = place == "align_corners"
    is_half = place == "half_pixel" or (place == "pytorch_half_pixel" and min(size) > 1)
    if not aligned and not is_half:
        raise unsupported(f"Resize, {mode}, {place}")
    if mode == "cubic" and abs(attributes.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise unsupported("Resize, cubic, with another coefficient")
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}
    kind = linear[len(size)] if mode == "linear" else "bicubic"
    return F.interpolate(values, size=size, mode=kind, align_corners=aligned)


def _new_size(inputs: Inputs, attributes: Attributes, opset: int) -> list[int]:
    """Return the spatial size after resizing, from a size or from factors."""
    values = inputs[0]
    scales = inputs[-1] if opset < 11 else (inputs[2] if len(inputs) > 2 else None)
    if "axes" in attributes or attributes.get("antialias", 0):
        raise unsupported("Resize with axes or antialiasing")
    if len(inputs) > 3 and inputs[3] is not None:
        size = numbers(inputs[3])[2:]
        if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise unsupported("Resize with a fixed aspect ratio")
    else:
        factors = attributes["scales"] if scales is None else scales.reshape(-1).tolist()
        exact = [n * f for n, f in zip(values.shape[2:], factors[2:], strict=True)]
        size = [round(length) for length in exact]
        if any(abs(a - b) > 1e-4 for a, b in zip(exact, size, strict=True)):
            raise unsupported("Resize by a factor that gives no whole size")
    return size


def _check_nearest(
    values: Tensor, size: Sequence[int], place: str, attributes: Attributes, opset: int
) -> None:
    """Refuse choices of the nearest pixel that differ from torch's."""
    rounding = attributes.get("nearest_mode", "round_prefer_floor")
    if place == "asymmetric" and (rounding == "floor" or opset < 11):
        return
    is_whole = all(new % old == 0 for new, old in zip(size, values.shape[2:], strict=True))
    if not is_whole or place != "half_pixel" or not rounding.startswith("round"):
        raise unsupported(f"Resize, nearest, {place}, {rounding}")


def depth_to_space(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Move channels into blocks of pixels."""
    values, size = inputs[0], attributes["blocksize"]
    n, c, h, w = values.shape
    if attributes.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(values, size)
    blocks = values.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c // size**2, h * size, w * size)


def space_to_depth(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Move blocks of pixels into channels."""
    if attributes.get("mode", "DCR") != "DCR":
        raise unsupported("SpaceToDepth in another order")
    values, size = inputs[0], attributes["blocksize"]
    n, c, h, w = values.shape
    blocks = values.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * size**2, h // size, w // size)


def attention(inputs: Inputs, attributes: Attributes, opset: int) -> Tensor:
    """Scaled dot-product attention of query, key and value (N, heads, L, E)."""
    mask = inputs[3] if len(inputs) > 3 else None
    causal = bool(attributes.get("is_causal", 0))
    is_usual = inputs[0].ndim == 4 and inputs[0].shape[1] == inputs[1].shape[1]
    if not is_usual or len(inputs) > 4 or (causal and mask is not None):
        raise unsupported("Attention with packed or shared heads, a cache or two masks")
    scale = attributes.get("scale")
    query, key, value = inputs[:3]
    return F.scaled_dot_product_attention(query, key, value, mask, 0.0, causal, scale=scale)


OPERATORS: Mapping[str, Operator] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": max_pool,
    "AveragePool": mean_pool,
    "GlobalAveragePool": global_mean_pool,
    "GlobalMaxPool": global_max_pool,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": root_norm,
    "GroupNormalization": group_norm,
    "LRN": local_response_norm,
    "LpNormalization": length_norm,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Attention": attention,
}
