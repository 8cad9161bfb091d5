"""What a mask is optimised for: a score of the classifier and the price of a pixel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from napari_quac.errors import UnknownNameError
from napari_quac.registry import unknown_name

Objective = Literal["conversion", "ssr", "sdr"]
OBJECTIVES: tuple[Objective, ...] = ("conversion", "ssr", "sdr")


def log_odds(logits: Tensor, class_index: int) -> Tensor:
    r"""Return the log-odds of a class.

    .. math:: s_c = \log f_c - \log(1 - f_c) = \ell_c - \log \sum_{k \ne c} e^{\ell_k}

    Parameters
    ----------
    logits : (N, K) Tensor
        Two classes or more; probabilities near 0 and 1 lose nothing in this form.
    class_index : int
        The class :math:`c`.

    Returns
    -------
    (N,) Tensor
    """
    others = torch.cat([logits[:, :class_index], logits[:, class_index + 1 :]], dim=1)
    return logits[:, class_index] - others.logsumexp(dim=1)


def class_of(objective: Objective, source: int, target: int) -> int:
    """Return the class whose log-odds an objective is about."""
    check_objective(objective)
    return target if objective == "conversion" else source


def score_loss(objective: Objective, scores: Tensor) -> Tensor:
    """Return what is to fall: the mean log-odds of the source (*sdr*), else its negative."""
    return scores.mean() if objective == "sdr" else -scores.mean()


def priced(objective: Objective, drop: Tensor) -> Tensor:
    """Return the probability that costs: of keeping a pixel for *ssr*, else of dropping it."""
    return 1 - drop if objective == "ssr" else drop


def total_variation(probability: Tensor) -> Tensor:
    """Return the sum of squared differences of neighbours along each spatial axis."""
    total = probability.new_zeros(())
    for axis in range(1, probability.ndim):
        total = total + probability.diff(dim=axis).square().sum()
    return total


def check_objective(objective: str) -> None:
    """Refuse a word that is no objective.

    Raises
    ------
    UnknownNameError
        With those that there are.
    """
    if objective not in OBJECTIVES:
        error: UnknownNameError = unknown_name("objective", objective, list(OBJECTIVES))
        raise error
