"""What went wrong, as a sentence for the status line and as details to copy."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from napari_quac.errors import QuacError


@dataclass(frozen=True, eq=False)
class Failure:
    """Something that did not work.

    Attributes
    ----------
    slot : str
        The piece of work, such as ``"pair"``.
    sentence : str
        Cause and way out, for people.
    error : BaseException
    """

    slot: str
    sentence: str
    error: BaseException

    @property
    def details(self) -> str:
        """The sentence with the traceback, to be copied into a report."""
        lines = traceback.format_exception(self.error)
        return self.sentence + "\n\n" + "".join(lines)


def failure(slot: str, doing: str, error: BaseException) -> Failure:
    """Put an exception into words.

    Parameters
    ----------
    slot : str
        The piece of work.
    doing : str
        What was being done, such as ``"searching a generated image"``.
    error : BaseException
        What was raised.
    """
    if isinstance(error, QuacError):
        return Failure(slot, str(error), error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        sentence = (
            f"Memory ran out while {doing}. Close other programs, choose smaller images or another "
            "device, and try again."
        )
        return Failure(slot, sentence, error)
    text = " ".join(str(error).split())
    cause = type(error).__name__ + (f": {text}" if text else "")
    if len(cause) > 160:
        cause = cause[:157] + "…"
    sentence = f"A fault stopped {doing} ({cause}). Nothing that was finished is lost; try again."
    return Failure(slot, sentence, error)
