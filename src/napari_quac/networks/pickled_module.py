"""Whole networks that were pickled: records of their modules, and networks built from them.

A pickled network names its classes but does not contain their code. Layers of ``torch.nn`` and a
few blocks of libraries are known; a network that consists of them is built again, with the strides,
activations and other properties that the file states.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.networks.checkpoint_content import MAX_DEPTH, MAX_MODULES, is_module
from napari_quac.networks.checkpoint_facts import as_plain
from napari_quac.networks.inert_values import StandIn

MAX_PADDING = 1024  # pixels; more is a trap that fills the memory
LAYERS = frozenset(
    "Conv1d Conv2d Conv3d ConvTranspose2d ConvTranspose3d Linear Bilinear Identity Flatten "
    "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm2d InstanceNorm3d GroupNorm "
    "LayerNorm LocalResponseNorm RMSNorm "
    "ReLU ReLU6 LeakyReLU PReLU RReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh "
    "Sigmoid LogSigmoid Tanh Softplus Softsign Softshrink Hardshrink Threshold Softmax LogSoftmax "
    "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool2d "
    "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d "
    "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
    "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout "
    "ZeroPad2d ZeroPad3d ConstantPad2d ConstantPad3d ReflectionPad2d ReflectionPad3d "
    "ReplicationPad2d ReplicationPad3d PixelUnshuffle ChannelShuffle".split()
)
"""Names of the layers of ``torch.nn`` that are built as a pickle describes them."""
SEQUENTIAL = frozenset((
    "torch.nn.modules.container.Sequential",
    "torchvision.ops.misc.ConvNormActivation",
    "torchvision.ops.misc.Conv2dNormActivation",
    "torchvision.models.mobilenetv2.ConvBNReLU",
    "torchvision.models.mobilenet.ConvBNReLU",
    "fastai.layers.ConvLayer",
    "fastai.layers.LinBnDrop",
))  # fmt: skip
WRAPPERS: Mapping[str, str] = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.optim.swa_utils.AveragedModel": "module",
}
"""Class of a wrapper to the name of the network inside."""
_ACTIVATIONS = ("ReLU", "Sigmoid", "Softmax", "LogSoftmax", "Identity")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
_MACHINERY = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")


class RebuildError(Exception):
    """A network that cannot be built from its record; the text is the class that is unknown."""


@dataclass(frozen=True, eq=False)
class ModuleRecord:
    """A pickled module.

    Attributes
    ----------
    class_path : str
        Module and name of its class.
    attributes : Mapping[str, object]
        Its plain attributes: numbers, texts, tuples.
    children : Mapping[str, ModuleRecord]
        In the order of the file.
    tensors : tuple of str
        Names of its own parameters and buffers that exist.
    is_altered : bool
        True if hooks or an own function replace the forward pass of its class.
    """

    class_path: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    children: Mapping[str, ModuleRecord] = field(default_factory=dict)
    tensors: tuple[str, ...] = ()
    is_altered: bool = False

    @property
    def class_name(self) -> str:
        """Name of its class, without the module."""
        return self.class_path.rpartition(".")[2]

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, ModuleRecord]]:
        """Yield the start of the names of its tensors, and itself; then all modules inside."""
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_modules(f"{prefix}{name}.")

    def modules(self) -> Iterator[ModuleRecord]:
        """Yield it and all modules inside."""
        yield self
        for child in self.children.values():
            yield from child.modules()


def record_module(module: StandIn) -> ModuleRecord:
    """Return the record of a pickled module.

    Parameters
    ----------
    module : StandIn
        Of a torch module.

    Raises
    ------
    RebuildError
        If it is nested too deeply, or has too many modules.
    """
    return _record(module, [0], 0)


def _record(module: StandIn, count: list[int], depth: int) -> ModuleRecord:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_MODULES:
        raise RebuildError(module.path)
    state = module.attributes()
    children = {
        str(name): _record(child, count, depth + 1)
        for name, child in state["_modules"].items()
        if is_module(child)
    }
    tensors = tuple(
        str(name)
        for kind in ("_parameters", "_buffers")
        if isinstance(state.get(kind), dict)
        for name, tensor in state[kind].items()
        if tensor is not None
    )
    hooks = any(isinstance(state.get(name), dict) and state[name] for name in _HOOKS)
    attributes = {
        name: _as_tuples(as_plain(value))
        for name, value in state.items()
        if isinstance(name, str) and name not in (*_MACHINERY, *_HOOKS)
    }
    altered = hooks or "forward" in state or "parametrizations" in children
    return ModuleRecord(module.path, attributes, children, tensors, altered)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def rebuild_module(record: ModuleRecord) -> nn.Module:
    """Build the network that a record describes; its weights have yet to be loaded.

    Parameters
    ----------
    record : ModuleRecord
        Of a network of known layers.

    Raises
    ------
    RebuildError
        If it contains a module whose forward pass is unknown.
    """
    with torch.device("meta"):
        return _rebuild(record)


def _rebuild(record: ModuleRecord) -> nn.Module:
    if record.is_altered:
        raise RebuildError(record.class_path)
    if record.class_path in WRAPPERS:
        child = record.children.get(WRAPPERS[record.class_path])
        if child is None:
            raise RebuildError(record.class_path)
        return _rebuild(child)
    if record.class_path in SEQUENTIAL:
        return nn.Sequential(_children(record))
    if record.class_path in BLOCKS:
        return BLOCKS[record.class_path](record)
    return _layer(record)


def _children(record: ModuleRecord) -> OrderedDict[str, nn.Module]:
    return OrderedDict((name, _rebuild(child)) for name, child in record.children.items())


def _layer(record: ModuleRecord) -> nn.Module:
    """Build one layer of ``torch.nn``, whose arguments are the attributes of the same names."""
    name = record.class_name
    is_layer = name in LAYERS and record.class_path.startswith("torch.nn.modules.")
    if not is_layer or record.children:
        raise RebuildError(record.class_path)
    kind = nn.BatchNorm2d if name == "SyncBatchNorm" else getattr(nn, name)
    settings: dict[str, Any] = {}
    for parameter in inspect.signature(kind.__init__).parameters.values():
        if parameter.name == "bias" and "bias" not in record.attributes:
            settings["bias"] = "bias" in record.tensors
        elif parameter.name in record.attributes and parameter.name not in ("device", "dtype"):
            settings[parameter.name] = record.attributes[parameter.name]
    padding = settings.get("padding", 0)
    widths = padding if isinstance(padding, tuple) else (padding,)
    if any(isinstance(width, int | float) and abs(width) > MAX_PADDING for width in widths):
        raise RebuildError(record.class_path)
    try:
        layer: nn.Module = kind(**settings)
    except (TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
        raise RebuildError(record.class_path) from error
    return layer


class _Chain(nn.Module):
    """Named parts, applied in turn; maps become vectors before one of them."""

    def __init__(self, record: ModuleRecord, order: tuple[str, ...], flat_before: str) -> None:
        super().__init__()
        for name in order:
            if name not in record.children:
                raise RebuildError(record.class_path)
            self.add_module(name, _rebuild(record.children[name]))
        if set(record.children) - set(order):
            raise RebuildError(record.class_path)
        self.flat_before = flat_before

    def forward(self, maps: Tensor) -> Tensor:
        """Apply all parts."""
        for name, part in self.named_children():
            maps = part(torch.flatten(maps, 1) if name == self.flat_before else maps)
        return maps


class _Residual(nn.Module):
    """Convolutions with normalization beside a shortcut."""

    def __init__(self, record: ModuleRecord, n_convolutions: int) -> None:
        super().__init__()
        self.n_convolutions = n_convolutions
        needed = [f"{kind}{n + 1}" for n in range(n_convolutions) for kind in ("conv", "bn")]
        if set(needed) - set(record.children):
            raise RebuildError(record.class_path)
        for name, child in record.children.items():
            if name not in (*needed, "downsample", "relu"):
                raise RebuildError(record.class_path)
            if name != "relu":
                self.add_module(name, _rebuild(child))
        # one module for each activation, as DeepLIFT needs it
        for n in range(n_convolutions):
            self.add_module(f"relu{n + 1}", nn.ReLU())

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of both branches, after the activation."""
        parts, inner = dict(self.named_children()), maps
        for n in range(1, self.n_convolutions + 1):
            inner = parts[f"bn{n}"](parts[f"conv{n}"](inner))
            if n < self.n_convolutions:
                inner = parts[f"relu{n}"](inner)
        shortcut = parts["downsample"](maps) if "downsample" in parts else maps
        return parts[f"relu{self.n_convolutions}"](inner + shortcut)  # type: ignore[no-any-return]


class _InvertedResidual(nn.Module):
    """Convolutions, with a shortcut if the size stays."""

    def __init__(self, record: ModuleRecord) -> None:
        super().__init__()
        if set(record.children) != {"conv"}:
            raise RebuildError(record.class_path)
        self.conv = _rebuild(record.children["conv"])
        self.has_shortcut = record.attributes.get("use_res_connect") is True

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of the next block."""
        inner: Tensor = self.conv(maps)
        return maps + inner if self.has_shortcut else inner


class _ConcatPool(nn.Module):
    """Maximum and average over positions, one after the other along the channels."""

    def __init__(self, record: ModuleRecord) -> None:
        super().__init__()
        if set(record.children) != {"ap", "mp"}:
            raise RebuildError(record.class_path)
        self.ap, self.mp = _rebuild(record.children["ap"]), _rebuild(record.children["mp"])

    def forward(self, maps: Tensor) -> Tensor:
        """Return both."""
        return torch.cat([self.mp(maps), self.ap(maps)], dim=1)


def _fastai_flatten(record: ModuleRecord) -> nn.Module:
    if record.attributes.get("full") or record.children:
        raise RebuildError(record.class_path)
    return nn.Flatten()


def _resnet(record: ModuleRecord) -> nn.Module:
    stages = ("layer1", "layer2", "layer3", "layer4")
    return _Chain(record, ("conv1", "bn1", "relu", "maxpool", *stages, "avgpool", "fc"), "fc")


def _features(record: ModuleRecord) -> nn.Module:
    return _Chain(record, ("features", "avgpool", "classifier"), "classifier")


BLOCKS: Mapping[str, Callable[[ModuleRecord], nn.Module]] = {
    "torchvision.models.resnet.ResNet": _resnet,
    "torchvision.models.resnet.BasicBlock": lambda record: _Residual(record, 2),
    "torchvision.models.resnet.Bottleneck": lambda record: _Residual(record, 3),
    "torchvision.models.vgg.VGG": _features,
    "torchvision.models.alexnet.AlexNet": _features,
    "torchvision.models.mobilenetv2.InvertedResidual": _InvertedResidual,
    "fastai.layers.AdaptiveConcatPool2d": _ConcatPool,
    "fastai.layers.Flatten": _fastai_flatten,
}
"""Class of a block of a library to the function that builds it."""


def find_rebuildable(record: ModuleRecord) -> tuple[str, nn.Module, bool] | None:
    """Return the network that can be built: the module itself, or the only part with weights.

    Parameters
    ----------
    record : ModuleRecord
        Of a pickled network.

    Returns
    -------
    prefix : str
        Start of the names of its tensors, such as ``"model."``.
    module : torch module
        Its weights have yet to be loaded.
    is_part : bool
        True if it is part of a module whose forward pass is unknown.
    """
    prefix, is_part = "", False
    while True:
        if record.class_path in WRAPPERS:
            name = WRAPPERS[record.class_path]
            if name not in record.children:
                return None
            record, prefix = record.children[name], f"{prefix}{name}."
            continue
        try:
            module = rebuild_module(record)
        except RebuildError:
            parts = [name for name, child in record.children.items() if _has_weights(child)]
            if len(parts) != 1 or record.class_path in BLOCKS or record.class_path in SEQUENTIAL:
                return None
            record, prefix = record.children[parts[0]], f"{prefix}{parts[0]}."
            is_part = True
            continue
        return (prefix, module, is_part) if not is_part or _returns_rows(record) else None


def _returns_rows(record: ModuleRecord) -> bool:
    """Tell whether the last layer seems to return one row for each image."""
    last = list(record.modules())[-1]
    return last.class_name in ("Linear", "Flatten", "BatchNorm1d", "Dropout", *_ACTIVATIONS)


def _has_weights(record: ModuleRecord) -> bool:
    training = ("torch.nn.modules.loss.", "torchmetrics.")
    if record.class_path.startswith(training):
        return False
    return any(module.tensors for module in record.modules())
