"""Failures and notes: a sentence for the window, an action, and details to copy."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from napari_quac.errors import QuacError, is_out_of_memory

ACTIONS: Mapping[str, str] = {
    "explain": "Explain",
    "predict_all": "Predict all",
    "other_question": "Ask the other question",
    "new_folder": "Use a new folder",
    "use_samples": "Use",
    "use_points": "Use points",
    "use_own_points": "Use them",
    "resume": "Resume",
    "read_large": "Read it",
    "sign_in": "Sign in",
}
"""Buttons inside of messages; :meth:`napari_quac.live.session.Session.perform` performs them."""


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
    status_text : str
        Present participle phrase of the job, such as "searching for a generated image".
    """

    slot: str
    sentence: str
    error: BaseException
    status_text: str = ""

    @property
    def headline(self) -> str:
        """The failure in a few words, such as "Reading the samples failed."."""
        return f"{self.status_text[:1].upper()}{self.status_text[1:] or 'The work'} failed."

    @property
    def action(self) -> str:
        """Name of the action in :data:`ACTIONS` that the sentence suggests; empty for none."""
        return str(getattr(self.error, "action", ""))

    @property
    def details(self) -> str:
        """The sentence with the traceback, to be copied into a report."""
        return "\n\n".join((self.sentence, "".join(traceback.format_exception(self.error))))


@dataclass(frozen=True)
class Note:
    """A message for the status line that is no failure.

    Attributes
    ----------
    text : str
    action : str
        Name of the action in :data:`ACTIONS` that the text suggests; empty for none.
    is_lasting : bool
        Remain until the user requests something else, also while other work runs; otherwise until
        a sample, filter or question is chosen or other work starts.
    """

    text: str
    action: str = ""
    is_lasting: bool = False


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
        return Failure(slot, str(error), error, status_text)
    if is_out_of_memory(error):
        advice = "Close other programs, or choose smaller images or another device."
        sentence = f"Memory ran out while {status_text}. {advice}"
        return Failure(slot, sentence, error, status_text)
    text = " ".join(str(error).split())
    cause = type(error).__name__ + (f": {text}" if text else "")
    if len(cause) > 160:
        cause = cause[:157] + "…"
    sentence = f"An internal error stopped {status_text} ({cause}). Results are kept; try again."
    return Failure(slot, sentence, error, status_text)
