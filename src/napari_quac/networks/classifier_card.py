"""What is said about a classifier: its card, its class names, and what it returns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from napari_quac.data.place import short_extent
from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.trial import Trial

OutputChoice = Literal[
    "auto", "logits", "probabilities", "log-probabilities", "binary logit", "binary probability"
]
KIND_NAMES = {
    "eager": "PyTorch module",
    "torchscript": "TorchScript",
    "exported": "torch.export program",
    "callable": "function",
}


def describe(
    classifier: Classifier, what: str, range_source: str, notes: Sequence[str], trial: Trial
) -> dict[str, str]:
    """Return what the card says about a classifier, label to value."""
    size = classifier.image_size
    gradients = ["D-IG", "D-InGrad", "IG"] if trial.has_gradients else []
    missing = "" if trial.has_gradients else "IG and D-InGrad: no gradients reach its input. "
    if not trial.has_gradients:
        missing += "DeepLIFT: the same."
    elif classifier.form == "eager" and what == KIND_NAMES["eager"]:
        missing += "DeepLIFT: only if all its activations are modules, which shows when it is used."
    elif classifier.form == "eager":
        gradients += ["D-DeepLIFT", "DeepLIFT"]
    elif classifier.form == "callable":
        missing += "DeepLIFT: it needs a module whose activations are modules."
    else:
        missing += (
            f"DeepLIFT: the activations of a {KIND_NAMES[classifier.form]} network cannot be "
            "replaced."
        )
        if classifier.form == "torchscript":
            missing += " Gradient × difference is given instead, under its own name."
    description = {
        "Kind": what,
        "Classes": ", ".join(classifier.class_names),
        "Image size": ("any" if trial.n_axes == 2 else "any volume")
        if size is None
        else short_extent(size) + (" (by trying)" if trial.size_was_guessed else ""),
        "Channels": str(classifier.channels),
        "Value range": f"{classifier.value_range} ({range_source})",
        "Output": classifier.output,
        "Can compute": ", ".join([*gradients, "residual", "random"]),
    }
    if missing:
        description["Cannot compute"] = missing.strip()
    if notes:
        description["Notes"] = " ".join(notes)
    return description


def with_output(trial: Trial, chosen: str, in_file: str | None, name: str) -> Trial:
    """Replace what was guessed by what was chosen, or else by what the file says.

    Raises
    ------
    CheckpointError
        If the network cannot return that.
    """
    output = in_file if chosen == "auto" else chosen
    known = ("logits", "probabilities", "log-probabilities", "binary logit", "binary probability")
    if output is None or (chosen == "auto" and output not in known):
        return trial
    if output not in known:
        raise CheckpointError(
            f"'{name}' cannot return '{output}'. Choose one of: auto, {', '.join(known)}."
        )
    one_output = trial.output.startswith("binary")
    if one_output != output.startswith("binary"):
        count = "one output" if one_output else f"{trial.n_outputs} outputs"
        fitting = [word for word in known if word.startswith("binary") == one_output]
        raise CheckpointError(
            f"'{name}' has {count}, so they cannot be '{output}'. Choose {' or '.join(fitting)}."
        )
    return replace(trial, output=output)  # type: ignore[arg-type]  # checked above


def checked_class_names(names: Sequence[str], n_outputs: int, name: str) -> tuple[str, ...]:
    """Return the class names, or ``class 0``, ``class 1``, ... where there are none.

    Raises
    ------
    CheckpointError
        If there are not as many as outputs, or two are equal.
    """
    names = tuple(names)
    if not names:
        return tuple(f"class {index}" for index in range(n_outputs))
    if len(names) != n_outputs:
        raise CheckpointError(
            f"'{name}' has {n_outputs} outputs, but {len(names)} class "
            f"name{'s were' if len(names) != 1 else ' was'} given ({', '.join(names)}). Give "
            f"{n_outputs} names, in the order of the outputs."
        )
    if len(set(names)) < len(names):
        raise CheckpointError(
            f"Two classes of '{name}' have the same name ({', '.join(names)}). Give each its own."
        )
    return names


def names_from_text(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names that a file's metadata hold, in JSON or between commas."""
    for key in ("class_names", "classes"):
        text = metadata.get(key, "").strip()
        if not text:
            continue
        if text[0] not in "[{":
            return tuple(part.strip() for part in text.split(","))
        with contextlib.suppress(ValueError, TypeError):
            names = json.loads(text)
            return tuple(map(str, names.values() if isinstance(names, dict) else names))
    return ()
