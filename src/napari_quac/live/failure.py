"""Failures as a sentence for the status line and as details to copy."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from napari_quac.errors import QuacError


@dataclass(frozen=True, eq=False)
class Failure:
    """A failure of an action or a job.

    Attributes
    ----------
    slot : str
        Name of the job, such as ``"searched_pair"``.
    sentence : str
        What happened, why, and what to do.
    error : BaseException
    """

    slot: str
    sentence: str
    error: BaseException

    @property
    def details(self) -> str:
        """The sentence with the traceback, to be copied into a report."""
        return "\n\n".join((self.sentence, "".join(traceback.format_exception(self.error))))


def failure(slot: str, status_text: str, error: BaseException) -> Failure:
    """Describe an exception.

    Parameters
    ----------
    slot : str
        Name of the job.
    status_text : str
        Present participle phrase, such as ``"searching for a generated image"``.
    error : BaseException
        The exception.
    """
    if isinstance(error, QuacError):
        return Failure(slot, str(error), error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        advice = "Close other programs, or choose smaller images or another device."
        return Failure(slot, f"Memory ran out while {status_text}. {advice}", error)
    text = " ".join(str(error).split())
    cause = type(error).__name__ + (f": {text}" if text else "")
    if len(cause) > 160:
        cause = cause[:157] + "…"
    sentence = f"An internal error stopped {status_text} ({cause}). Results are kept; try again."
    return Failure(slot, sentence, error)
