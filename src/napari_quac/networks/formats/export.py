"""Export a classifier from the notebook that trained it, into one file that opens anywhere."""

from __future__ import annotations

import copy
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_quac.data.preprocessing import PRESETS, Preprocessing
from napari_quac.errors import CheckpointError, DataError
from napari_quac.networks.formats.transforms import metadata_of_numbers, metadata_of_transform
from napari_quac.networks.programs import load_exported, load_torchscript
from napari_quac.reading import parse_json
from napari_quac.registry import unknown_name
from napari_quac.serialize import to_plain
from napari_quac.storage import write_file

LARGEST_DIFFERENCE = 1e-4  # of probabilities, between the network and its file
MOST_IMAGES = 4096  # in one batch of an exported program

_FORM_NAMES = {".pt2": "torch.export program", ".pt": "TorchScript"}


def export_classifier(
    model: nn.Module,
    path: str | Path,
    classes: Sequence[str] | Mapping[Any, Any] | None = None,
    preprocessing: Any = None,
    example: Any = None,
    output: str | None = None,
    **numbers: Any,
) -> str:
    """Write a classifier with class names, image size and preprocessing into one file.

    Parameters
    ----------
    model : torch module
        Any network from images (N, C, *S) to one row of class values per image. It is exported in
        eval mode, on the CPU and in float32; ``model`` itself stays as it is.
    path : path
        Of the new file; ``.pt2`` or ``.pt`` is added.
    classes : sequence of str, or mapping, optional
        Class names in output order; or ``class_to_idx`` of a torchvision dataset, or ``id2label``.
    preprocessing : optional
        The transform of torchvision or timm that was used for validation, an id of
        :data:`napari_quac.data.preprocessing.PRESETS` such as ``"imagenet"``, or a
        ``Preprocessing``.
    example : (C, *S) or (N, C, *S) Tensor or array, optional
        One image or one batch as the network receives it. Without it, ``crop`` or ``resize`` of the
        preprocessing gives the size.
    output : str, optional
        ``"logits"``, ``"probabilities"``, ``"log-probabilities"``, ``"binary logit"`` or
        ``"binary probability"``; a trial decides when the file is opened.
    **numbers
        In place of ``preprocessing``: ``mean=[…]``, ``std=[…]``, ``value_range=(0, 1)``,
        ``standardize="zscore"``, ``resize=256``, ``crop=224``.

    Returns
    -------
    message : str
        File, form, and the largest difference from the network.

    Raises
    ------
    CheckpointError
        If the network cannot be exported, or the file does not return what the network returns.
    DataError
        If there is no example, or the preprocessing is unknown.

    Examples
    --------
    >>> export_classifier(model, "classifier.pt2", ["ACh", "GABA"], transform)  # doctest: +SKIP
    """
    metadata = _preprocessing_metadata(preprocessing) | metadata_of_numbers(numbers)
    network = _ready(model)
    images = _batch(example, metadata, network)
    expected = _run(network, images)
    names = class_names_of(classes)
    n_outputs = expected.shape[1]
    if names and len(names) != n_outputs and (len(names), n_outputs) != (2, 1):
        raise DataError(
            f"The network has {n_outputs} outputs, but there are {len(names)} class names. Pass "
            "one for each output."
        )
    facts = {
        "class_names": json.dumps(names) if names else "",
        "channels": str(images.shape[1]),
        "image_size": json.dumps(list(images.shape[2:])),
        "architecture": _class_name(network),
        "output": output or "",
        **metadata,
    }
    metadata = {key: text for key, text in facts.items() if text}
    content, suffix, difference = _exported_bytes(network, images, expected, metadata)
    path = Path(path)
    if not path.suffix or (path.suffix in _FORM_NAMES and path.suffix != suffix):
        path = path.with_suffix(suffix)
    write_file(path, content)
    return (
        f"'{path}' was written as {_FORM_NAMES[suffix]} and read again: the probabilities of "
        f"{len(images)} images differ by at most {difference:.1g}. Open it in napari-quac."
    )


def class_names_of(classes: Sequence[str] | Mapping[Any, Any] | None) -> list[str]:
    """Return class names in output order.

    Parameters
    ----------
    classes : sequence of str, or mapping, optional
        Names, or ``class_to_idx`` (name to index), or ``id2label`` (index to name).
    """
    if not isinstance(classes, Mapping):
        return [str(name) for name in classes] if classes is not None else []
    if all(isinstance(entry, int) for entry in classes.values()):
        return [str(name) for name, _ in sorted(classes.items(), key=lambda pair: pair[1])]
    return [str(name) for _, name in sorted(classes.items(), key=lambda pair: int(pair[0]))]


def _preprocessing_metadata(preprocessing: Any) -> dict[str, str]:
    if preprocessing is None:
        return {}
    if isinstance(preprocessing, str):
        if preprocessing not in PRESETS:
            raise unknown_name("preprocessing", preprocessing, list(PRESETS))
        preprocessing = PRESETS[preprocessing]
    if isinstance(preprocessing, Preprocessing):
        return {"preprocessing": json.dumps(to_plain(preprocessing))}
    return metadata_of_transform(preprocessing)


def _ready(model: nn.Module) -> nn.Module:
    """Return a copy of the network on the CPU, in eval mode and float32."""
    if isinstance(model, torch.jit.ScriptModule):
        buffer = io.BytesIO()
        torch.jit.save(model, buffer)
        buffer.seek(0)
        script: nn.Module = torch.jit.load(buffer, map_location="cpu")
        return script.eval()
    model = getattr(model, "_orig_mod", model)  # torch.compile
    if isinstance(model, nn.DataParallel):
        model = model.module
    network = copy.deepcopy(model).cpu().float().eval()
    return network.requires_grad_(False)


def _class_name(network: nn.Module) -> str:
    return str(getattr(network, "original_name", type(network).__name__))


class _Rows(nn.Module):
    """A network that returns its logits alone: of an object with ``logits``, or of a tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the rows of class values."""
        return _logits_of(self.network(images))


def _logits_of(outputs: Any) -> Tensor:
    outputs = getattr(outputs, "logits", outputs)
    if isinstance(outputs, Mapping):
        outputs = outputs["logits"] if "logits" in outputs else next(iter(outputs.values()))
    # not tuple | list, which the tracer of PyTorch 2.6 refuses
    if isinstance(outputs, tuple) or isinstance(outputs, list):
        outputs = outputs[0] if outputs else outputs
    return outputs  # type: ignore[no-any-return]


def _run(network: nn.Module, images: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            outputs = _logits_of(network(images))
    except (RuntimeError, ValueError, TypeError, LookupError) as error:
        raise CheckpointError(
            f"The network fails on the example {tuple(images.shape)}: {error}. Pass one image as "
            "the network receives it, example=…."
        ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(images):
        shape = getattr(outputs, "shape", type(outputs).__name__)
        raise CheckpointError(
            f"The network returns {shape} for {len(images)} images, not one row of class values "
            "per image. Export the classifier itself."
        )
    return outputs.float()


def _batch(example: Any, metadata: Mapping[str, str], network: nn.Module) -> Tensor:
    """Return three images for the network; noise of the size of the preprocessing without one."""
    if example is None:
        size = parse_json(metadata.get("crop") or metadata.get("resize") or "null")
        if "preprocessing" in metadata:
            fields = parse_json(metadata["preprocessing"])
            size = fields.get("crop") or fields.get("resize")
        if size is None:
            raise DataError("Pass one image as the network receives it, example=….")
        filters = [p for p in network.parameters() if p.ndim >= 4]
        size = [size, size] if isinstance(size, int) else size
        channels = filters[0].shape[1] if filters else len(parse_json(metadata.get("mean", "[0]")))
        generator = torch.Generator().manual_seed(0)
        return torch.randn((3, channels, *size), generator=generator)
    images = torch.as_tensor(np.asarray(example.cpu() if isinstance(example, Tensor) else example))
    if images.dtype == torch.uint8:
        images = images / 255
    images = images.float()
    filters = [p for p in network.parameters() if p.ndim >= 4]
    n_axes = filters[0].ndim - 2 if filters else 2
    if images.ndim == n_axes:
        images = images[None]
    if images.ndim == n_axes + 1:
        images = images[None]
    if images.ndim != n_axes + 2:
        raise DataError(
            f"The example has shape {tuple(images.shape)}, not (C, Y, X) or (N, C, Y, X). Pass one "
            "image as the network receives it."
        )
    images = images[:3]
    # a program that was written for one image only is detected by several
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((3, *images.shape[1:]), generator=generator)
    low, high = images.min(), images.max()
    return torch.cat([images, low + noise * (high - low)])[:3]


def _exported_bytes(
    network: nn.Module, images: Tensor, expected: Tensor, metadata: Mapping[str, str]
) -> tuple[bytes, str, float]:
    """Return the content of the file, its extension, and its largest difference from the network.

    Raises
    ------
    CheckpointError
        If no form works.
    """
    problems = []
    for suffix, write in _forms(network, images, metadata):
        try:
            with warnings.catch_warnings(), _without_log():
                warnings.simplefilter("ignore")
                content = write()
                difference = _difference(content, suffix, images, expected)
        except Exception as error:  # noqa: BLE001  # exporters fail in any way; the next one follows
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            problems.append(f"{_FORM_NAMES[suffix]}: {reason}")
            continue
        if difference <= LARGEST_DIFFERENCE:
            return content, suffix, difference
        problems.append(f"{_FORM_NAMES[suffix]}: its probabilities differ by {difference:.2g}")
    raise CheckpointError(
        f"{_class_name(network)} cannot be exported ({'; '.join(problems)}). Use it in this "
        "notebook with load_classifier(model, classes=[…])."
    )


@contextmanager
def _without_log() -> Iterator[None]:
    """Hide the log of PyTorch, which prints a page for each attempt that fails."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _forms(
    network: nn.Module, images: Tensor, metadata: Mapping[str, str]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield forms of the file, the most useful first."""
    rows = _Rows(network).eval()
    if not isinstance(network, torch.jit.ScriptModule):
        batch = torch.export.Dim("batch", min=1, max=MOST_IMAGES)
        # None before PyTorch 2.6. The guards of free sizes make a deep network slow to
        # open (33 s for a DenseNet), so a size that the preprocessing fixes stays fixed.
        any_length = getattr(torch.export.Dim, "AUTO", None)
        stated = parse_json(metadata.get("preprocessing", "{}")) or metadata
        is_fixed = bool(stated.get("crop") or stated.get("resize"))
        free = range(2, images.ndim) if any_length is not None and not is_fixed else ()
        sizes = dict.fromkeys(free, any_length)
        for lengths in ({0: batch, **sizes}, {0: batch}, None):
            yield ".pt2", partial(_write_program, rows, images, lengths, metadata)
    # before a trace, which records only the branches that the example takes
    script = network if _returns_rows(network, images) else rows
    yield ".pt", lambda: _write_script(torch.jit.script(script), metadata)
    if not isinstance(network, torch.jit.ScriptModule):
        yield ".pt", lambda: _write_script(torch.jit.trace(rows, images), metadata)


def _returns_rows(network: nn.Module, images: Tensor) -> bool:
    with torch.no_grad():
        return isinstance(network(images), Tensor)


def _write_program(
    network: nn.Module,
    images: Tensor,
    lengths: Mapping[int, Any] | None,
    metadata: Mapping[str, str],
) -> bytes:
    dynamic = None if lengths is None else (dict(lengths),)
    program = torch.export.export(network, (images,), dynamic_shapes=dynamic)
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=dict(metadata))
    return buffer.getvalue()


def _write_script(script: torch.jit.ScriptModule, metadata: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(script, buffer, _extra_files=dict(metadata))
    return buffer.getvalue()


def _difference(content: bytes, suffix: str, images: Tensor, expected: Tensor) -> float:
    """Return the largest difference of the probabilities after reading the content again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"classifier{suffix}"
        path.write_bytes(content)
        network: nn.Module = load_exported(path) if suffix == ".pt2" else load_torchscript(path)
        with torch.no_grad():
            batch = network(images).float()
            single = torch.cat([network(image[None]).float() for image in images])
    differences = [
        (outputs.softmax(dim=1) - expected.softmax(dim=1)).abs().max()
        if expected.shape[1] > 1
        else (outputs.sigmoid() - expected.sigmoid()).abs().max()
        for outputs in (batch, single)
    ]
    return float(max(differences))
