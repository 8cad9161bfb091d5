"""Architectures that torchvision and timm build by name, where they are installed.

No weights are downloaded: the network is built without, and takes those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.layout import Layout, architecture_assumption
from napari_quac.reading import parse_json

SMALLEST_SIZE = 96  # pixels; more than the strides of any of them
_FINGERPRINTS = {
    "inception4a.branch1.conv.weight": "googlenet",
    "Mixed_5b.branch1x1.conv.weight": "inception_v3",
}
_TORCHVISION = re.compile(
    r"(googlenet|inception_v3|mnasnet\d|maxvit_t)|(shufflenet_v2|regnet_[xy])_\w+|swin_(v2_)?[tsb]"
)
_HEADS = ("fc", "head", "head.fc", "head.l", "classifier", "heads.head", "last_linear")
# other parameters could read files, or download weights
_PARAMETERS = frozenset(
    "img_size global_pool depth embed_dim num_heads patch_size window_size class_token reg_tokens "
    "fc_norm init_values".split()
)


def stated_architecture(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the name of the architecture that a file states or its tensors show, or ''."""
    name = metadata.get("architecture", "").strip().rpartition("/")[2].partition(".")[0]
    if re.fullmatch(r"[a-z][a-z0-9_]{2,80}", name):
        return name
    return next((name for marker, name in _FINGERPRINTS.items() if marker in tensors), "")


def missing_library_sentence(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return what to install for the architecture that a file states; empty if that is no help."""
    name = stated_architecture(tensors, metadata)
    library = "torchvision" if _TORCHVISION.fullmatch(name) else "timm"
    if not name or _import(library) is not None:
        return ""
    return f'Its architecture, {name}, needs {library}: pip install "napari-quac[{library}]".'


def library_layout(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Layout | None:
    """Let torchvision or timm build the architecture that a file states.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    metadata : Mapping[str, str]
        Its ``architecture``, such as ``swin_t``, and ``architecture_parameters``.

    Returns
    -------
    layout : Layout or None
        None if no library knows the name, or the network has other tensors.
    """
    name, config = stated_architecture(tensors, metadata), _config(metadata)
    n_classes = _n_classes(tensors, config)
    stem = next((tensor for tensor in tensors.values() if tensor.ndim == 4), None)
    if not name or n_classes is None or stem is None:
        return None
    channels = int(stem.shape[1])
    for library, make in (("torchvision", _of_torchvision), ("timm", _of_timm)):
        imported = _import(library)
        if imported is None:
            continue
        with torch.device("cpu"), torch.random.fork_rng(devices=()):
            module = make(imported, name, n_classes, channels, config, tensors)
        if module is None or not _fits(module, tensors):
            continue
        size = _fixed_size(module)
        sentence = f"The network is built by {library} as {name}, which the file states."
        if not metadata.get("architecture"):
            sentence = f"The network is built by {library} as {name}, which its tensors show."
        return Layout(
            f"{name} of {library}", partial(_unchanged, module), channels, n_classes, size,
            assumptions=(architecture_assumption(sentence),),
            smallest_size=SMALLEST_SIZE, size_is_exact=size is not None,
        )  # fmt: skip
    return None


def _unchanged(module: nn.Module) -> nn.Module:
    return module


def _import(library: str) -> Any:
    try:
        if library == "timm":
            import timm

            return timm
        from torchvision import models

        return models
    except (ImportError, RuntimeError):  # torchvision of another version of torch raises the latter
        return None


def _of_torchvision(
    models: Any, name: str, n_classes: int, channels: int, config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> nn.Module | None:  # fmt: skip
    del config
    if name not in models.list_models() or channels != 3:
        return None
    settings: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        auxiliary = any(key.lower().startswith("aux") for key in tensors)
        settings = {"aux_logits": auxiliary, "init_weights": False}
    module: nn.Module = models.get_model(name, weights=None, num_classes=n_classes, **settings)
    return module


def _of_timm(
    timm: Any, name: str, n_classes: int, channels: int, config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> nn.Module | None:  # fmt: skip
    del tensors
    if not timm.is_model(name):
        return None
    settings = {key: entry for key, entry in config.items() if key in _PARAMETERS}
    try:
        module: nn.Module = timm.create_model(
            name, pretrained=False, num_classes=n_classes, in_chans=channels, **settings
        )
    except (TypeError, ValueError, AssertionError):  # parameters of another version
        return None
    return module


def _fits(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    return expected == {name: tensor.shape for name, tensor in tensors.items()}


def _fixed_size(module: nn.Module) -> tuple[int, ...] | None:
    config = getattr(module, "pretrained_cfg", None) or {}
    size = getattr(getattr(module, "patch_embed", None), "img_size", None)
    if not config.get("fixed_input_size") or size is None:
        return None
    return tuple(map(int, size))


def _n_classes(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> int | None:
    heads = (tensors.get(f"{name}.weight") for name in _HEADS)
    head = next((tensor for tensor in heads if tensor is not None and tensor.ndim >= 2), None)
    if head is not None:
        return int(head.shape[0])
    stated = config.get("num_classes")
    return stated if isinstance(stated, int) and stated > 0 else None


def _config(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        config = parse_json(metadata.get("architecture_parameters", "{}"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}
