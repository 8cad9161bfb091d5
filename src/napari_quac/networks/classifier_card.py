"""The card of a classifier: its facts, and what was assumed about it."""

from __future__ import annotations

from collections.abc import Sequence

from napari_quac.data.assumptions import Assumption
from napari_quac.data.place import short_extent
from napari_quac.networks.class_naming import NUMBERED
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.trial import Trial

KIND_NAMES = {
    "eager": "PyTorch module",
    "torchscript": "TorchScript",
    "exported": "torch.export program",
    "callable": "function",
}


def describe(
    classifier: Classifier, kind: str, source: str, notes: Sequence[str], trial: Trial
) -> dict[str, str]:
    """Return the entries of the card of a classifier, label to text."""
    size = classifier.image_size
    gradients = ["D-IG", "D-InGrad", "IG"] if trial.has_gradients else []
    missing = "" if trial.has_gradients else "IG and D-InGrad: no gradients reach its input. "
    if not trial.has_gradients:
        missing += "DeepLIFT: the same."
    elif classifier.form == "eager" and kind == KIND_NAMES["eager"]:
        missing += "DeepLIFT: only if all its activations are modules, which shows when it is used."
    elif classifier.form == "eager":
        gradients += ["D-DeepLIFT", "DeepLIFT"]
    elif classifier.form == "callable":
        missing += "DeepLIFT: it needs a module whose activations are modules."
    else:
        missing += f"DeepLIFT: a {KIND_NAMES[classifier.form]} has fixed activations."
        if classifier.form == "torchscript":
            missing += " Gradient × difference is given instead, under its own name."
    size_text = "any" if trial.n_axes == 2 else "any volume"
    if size is not None:
        size_text = short_extent(size) + (" (by trying)" if trial.size_was_guessed else "")
    description = {
        "Kind": kind,
        "Classes": ", ".join(classifier.class_names),
        "Image size": size_text,
        "Channels": str(classifier.channels),
        "Preprocessing": f"{classifier.preprocessing or '0 to 1'} ({source})",
        "Output": classifier.output,
        "Can compute": ", ".join([*gradients, "residual", "random"]),
    }
    if missing:
        description["Cannot compute"] = missing.strip()
    if classifier.assumptions:
        description["Assumed"] = " ".join(map(str, classifier.assumptions))
    if notes:
        description["Notes"] = " ".join(notes)
    return description


def input_range_assumption() -> Assumption:
    """Return the assumption about a classifier whose normalization is unknown."""
    return Assumption(
        "input range",
        "The input range is -1 to 1, as in the QuAC library; the file states none (--value-range, "
        "or --mean and --std).",
    )


def assumptions_about(
    classifier: Classifier, source: str, has_names: bool, is_automatic: bool
) -> tuple[Assumption, ...]:
    """Return what is assumed because neither the file nor the user states it.

    Parameters
    ----------
    classifier : Classifier
        The loaded network.
    source : str
        Origin of its preprocessing, as on the card.
    has_names : bool
        The classes have names.
    is_automatic : bool
        Its output follows from its values.
    """
    assumptions = [input_range_assumption()] if source.startswith("assumed") else []
    if not has_names:
        assumptions.append(NUMBERED)
    if classifier.size_was_guessed and classifier.image_size is not None:
        assumptions.append(
            Assumption(
                "image size",
                f"Images have {short_extent(classifier.image_size)}, from the weights or a trial; "
                "the first images may correct it (--image-size).",
            )
        )
    if classifier.network_channels == 3 and classifier.preprocessing.channels is None:
        assumptions.append(Assumption("channels", "Gray images are repeated in its 3 channels."))
    if is_automatic:
        is_single = classifier.output.startswith("binary")
        verb = "output is a" if is_single else "outputs are"
        assumptions.append(
            Assumption(
                "output",
                f"The {verb} {classifier.output}, from values for noise and blank images "
                "(--output).",
            )
        )
    return tuple(assumptions)
