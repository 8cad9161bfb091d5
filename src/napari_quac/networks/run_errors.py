"""The reason why a network cannot run, in words: its size is only one of several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from napari_quac.errors import NetworkError, is_out_of_memory

Cause = Literal["size", "number type", "device", "operator", "whole numbers", "check", "other"]

# in the words of PyTorch 2; the first pattern that fits decides
_CAUSES: tuple[tuple[Cause, str], ...] = (
    ("device", r"\bcuda\b|NVIDIA|same device|\bmps\b|torch_cuda"),
    ("operator", r"Could not run '|No such operator|Unknown builtin op|does not exist|no kernel"),
    ("whole numbers", r"(types?|Expected): (Long|Int|Byte|Short)|used as indices must be"),
    ("number type", r"\bdtype\b|scalar type|\b(Half|Double|BFloat16)\b|(weight|bias) type|c10::"),
    ("size", r"shape|size|dimension|channel|\binput\b.*\b(small|larger|smaller)\b|out of bounds"
             r"|out of range|must match|padding|kernel|numel|elements|\bdim\b|at least|expand"),
    ("check", r"^AssertionError|^Exception|^ValueError"),
)  # fmt: skip


@dataclass(frozen=True)
class RunError:
    """An error that a network raises.

    Attributes
    ----------
    cause : str
        ``"size"`` if another size or number of channels may work.
    text : str
        In the words of PyTorch, or of a check in the network.
    """

    cause: Cause
    text: str


def read_run_error(error: Exception) -> RunError:
    """Find cause and text of an error; those of TorchScript hold a traceback before it.

    Parameters
    ----------
    error : Exception
        Raised by a network.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if re.match(r"(RuntimeError|builtins\.\w+): ", line)), "")
    text = re.sub(r"^(RuntimeError|builtins\.\w+): ?", "", text) or (lines[0] if lines else "")
    if isinstance(error, AssertionError) and not text.startswith("AssertionError"):
        text = f"AssertionError: {text}"
    if (
        text.startswith("AssertionError") and "CUDA" not in text
    ):  # the network's own words; most checks are of shapes
        return RunError("check" if text.removeprefix("AssertionError:").strip() else "size", text)
    for cause, pattern in _CAUSES:
        if re.search(pattern, text):
            return RunError(cause, text)
    return RunError("other", text or type(error).__name__)


@contextmanager
def network_errors(title: str) -> Iterator[None]:
    """Raise a NetworkError for the RuntimeError of a block that runs networks.

    Parameters
    ----------
    title : str
        Subject of the sentence, with a capital letter.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise NetworkError(f"{title} failed: {short_text(read_run_error(error).text)}.") from error


def explain_run_errors(name: str, errors: Sequence[RunError]) -> str | None:
    """Return the sentence about errors that no other size cures; None if the size may be wrong.

    Parameters
    ----------
    name : str
        File name.
    errors : sequence of RunError
        Distinct ones, in order.
    """
    others = [error for error in errors if error.cause != "size"]
    if not others:
        return None
    error = min(others, key=lambda error: _ORDER.index(error.cause))
    text = short_text(error.text)
    match error.cause:
        case "device":
            device = re.search(r"\b(cuda|mps)(:\d+)?", error.text)
            return (
                f"'{name}' runs on the device '{device[0] if device else 'cuda'}', which is "
                "written into its program and which this machine lacks. Export it again after "
                "model.cpu().eval()."
            )
        case "number type":
            return (
                f"'{name}' computes with numbers of another type than its images or weights have "
                f"({text}). Export it again after model.float().eval()."
            )
        case "whole numbers":
            return (
                f"'{name}' takes images of whole numbers ({text}), through which no gradients "
                "pass. Export it with an input of 32-bit floats."
            )
        case "operator":
            return (
                f"'{name}' uses an operation that cannot run here ({text}). Export it again with "
                "this version of PyTorch, from the CPU."
            )
        case "check":
            reason = error.text.partition(":")[2].strip() or error.text
            return (
                f"'{name}' stops with its own error '{short_text(reason)}' for all usual images. "
                "Give the size and channels of its training, or export it without this check."
            )
    return f"'{name}' fails when it runs: {text}. Check the program that was exported."


_ORDER: tuple[Cause, ...] = ("device", "operator", "whole numbers", "number type", "check", "other")


def short_text(text: str, length: int = 160) -> str:
    """Return the first words of an error, without a period."""
    text = " ".join(text.split())
    return (text if len(text) <= length else text[: length - 1].rstrip() + "…").rstrip(".")
