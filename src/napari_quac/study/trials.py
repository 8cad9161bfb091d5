"""Trials of a study: selection within strata, controls, repeats, order and sides, from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_quac.errors import DataError
from napari_quac.study.key import PARTNER, QUERY, Trial, TrialKind
from napari_quac.study.protocol import Protocol, Sampling
from napari_quac.study.sources import Candidate

MIN_GAP = 3
"""Trials between a trial and its repetition, where the study is long enough."""


@dataclass(frozen=True)
class TrialPlan:
    """Trials in the order of presentation.

    Attributes
    ----------
    trials : tuple of Trial
        The training block first.
    candidates : tuple of Candidate
        The candidate of each trial.
    n_candidates : dict of str to int
        By stratum.
    notes : tuple of str
        Strata with too few candidates.
    """

    trials: tuple[Trial, ...]
    candidates: tuple[Candidate, ...]
    n_candidates: dict[str, int]
    notes: tuple[str, ...]


def plan_trials(
    candidates: Sequence[Candidate], protocol: Protocol, sampling: Sampling
) -> TrialPlan:
    """Choose candidates, add controls and repeats, and draw order and sides.

    The same candidates, plan and seed give the same trials.

    Parameters
    ----------
    candidates : sequence of Candidate
        In any order.
    protocol : Protocol
        Shares of controls and repeats, training block.
    sampling : Sampling
        Selection and seed.

    Raises
    ------
    DataError
        If there are too few candidates for the training block.
    """
    rng = np.random.default_rng([sampling.seed, 1])
    ordered = sorted(candidates, key=lambda c: (c.stratum, c.sample_id, c.target, c.method))
    chosen, n_candidates, notes = _choose(ordered, sampling, rng)
    free = _unused(ordered, {candidate.sample_id for candidate in chosen}, rng)
    if len(free) < protocol.n_training:
        raise DataError(
            f"The source has {len(ordered)} candidates, of which the study uses {len(chosen)}; the "
            f"training block needs {protocol.n_training} others. Choose fewer per stratum, or more "
            "explanations."
        )
    training, free = free[: protocol.n_training], free[protocol.n_training :]

    kind: TrialKind = "pair" if protocol.paired else "image"
    shares_sides = protocol.paired or sampling.origin
    trials = [*_counted(kind, chosen, protocol, shares_sides, rng)]
    if protocol.paired:
        n_controls = _number(protocol.control_share, len(chosen))
        pool = [*free, *(chosen[int(index)] for index in rng.permutation(len(chosen)))]
        for control in pool[:n_controls]:  # of either image: one that occurs twice tells nothing
            role = QUERY if rng.integers(2) else PARTNER
            trials.append((_trial("control", control, role, role), control))
    trials = [trials[int(index)] for index in rng.permutation(len(trials))]
    trials = _with_repeats(trials, _number(protocol.repeat_share, len(chosen)), rng)
    block = [*_counted("training", training, protocol, shares_sides, rng)]
    everything = [*block, *trials]
    ids = _opaque_ids(len(everything), rng)
    by_number = dict(enumerate(ids))
    numbered = [
        (replace(trial, trial_id=by_number[number]), candidate)
        for number, (trial, candidate) in enumerate(everything)
    ]
    numbered = _link_repeats(numbered)
    return TrialPlan(
        tuple(trial for trial, _ in numbered),
        tuple(candidate for _, candidate in numbered),
        n_candidates,
        tuple(notes),
    )


def _choose(
    ordered: Sequence[Candidate], sampling: Sampling, rng: np.random.Generator
) -> tuple[list[Candidate], dict[str, int], list[str]]:
    strata: dict[str, list[Candidate]] = {}
    for candidate in ordered:
        strata.setdefault(candidate.stratum, []).append(candidate)
    chosen: list[Candidate] = []
    notes = []
    for name, stratum in sorted(strata.items()):
        # a query in two pairs, with two targets, would be recognized as the query
        members = _unused(stratum, {candidate.sample_id for candidate in chosen}, rng)
        n = min(sampling.n_per_stratum, len(members))
        if n < sampling.n_per_stratum:
            notes.append(f"{name}: {n} of the requested {sampling.n_per_stratum}")
        if sampling.selection == "top":
            if any(member.score is None for member in members):
                raise DataError(
                    "Some candidates have no QuAC score to select the highest ones. Select at "
                    "random instead."
                )
            picked = sorted(members, key=lambda c: (-(c.score or 0.0), c.sample_id))[:n]
        else:
            picked = members[:n]
        chosen += picked
    return chosen, {name: len(members) for name, members in sorted(strata.items())}, notes


def _unused(
    candidates: Sequence[Candidate], used: set[str], rng: np.random.Generator
) -> list[Candidate]:
    """Return candidates of unused samples in random order, one for each sample."""
    first: dict[str, Candidate] = {}
    for index in rng.permutation(len(candidates)):
        candidate = candidates[int(index)]
        if candidate.sample_id not in used:
            first.setdefault(candidate.sample_id, candidate)
    return list(first.values())


def _counted(
    kind: TrialKind,
    candidates: Sequence[Candidate],
    protocol: Protocol,
    shares_sides: bool,
    rng: np.random.Generator,
) -> list[tuple[Trial, Candidate]]:
    """Return trials of which half have the query as A, or as their only image."""
    is_first = rng.permutation(np.arange(len(candidates)) % 2 == 0)
    if not shares_sides:
        is_first[:] = True
    trials = []
    for candidate, query_first in zip(candidates, is_first, strict=True):
        a, b = (QUERY, PARTNER) if query_first else (PARTNER, QUERY)
        trials.append((_trial(kind, candidate, a, b if protocol.paired else ""), candidate))
    return trials


def _trial(kind: TrialKind, candidate: Candidate, a: str, b: str) -> Trial:
    return Trial(
        "",
        kind,
        candidate.sample_id,
        candidate.stratum,
        a,
        b,
        candidate.source,
        candidate.target,
        candidate.label,
        candidate.predicted,
        candidate.correctness,
        candidate.score,
        candidate.method,
        candidate.cluster,
    )


def _with_repeats(
    trials: list[tuple[Trial, Candidate]], n: int, rng: np.random.Generator
) -> list[tuple[Trial, Candidate]]:
    """Repeat trials of the first half somewhere in the second half, with sides drawn again."""
    half = max(1, len(trials) // 2)
    counted = [number for number in range(half) if trials[number][0].is_counted]
    originals = [counted[int(i)] for i in rng.permutation(len(counted))[:n]]
    repeated = list(trials)
    for original in originals:
        trial, candidate = trials[original]
        swap = bool(trial.b) and bool(rng.integers(2))
        a, b = (trial.b, trial.a) if swap else (trial.a, trial.b)
        repeat = replace(trial, kind="repeat", a=a, b=b, repeats="pending")
        first = min(max(half, original + 1 + MIN_GAP), len(repeated))
        repeated.insert(int(rng.integers(first, len(repeated) + 1)), (repeat, candidate))
    return repeated


def _link_repeats(trials: list[tuple[Trial, Candidate]]) -> list[tuple[Trial, Candidate]]:
    """Give each repeat the id of the trial that it repeats."""
    originals = {id(c): trial.trial_id for trial, c in trials if trial.is_counted}
    return [
        (replace(trial, repeats=originals[id(c)]) if trial.kind == "repeat" else trial, c)
        for trial, c in trials
    ]


def _number(share: float, n: int) -> int:
    """Return the number of controls or repeats: at least one for a share above 0."""
    return max(1, round(share * n)) if share > 0 and n > 0 else 0


def _opaque_ids(n: int, rng: np.random.Generator) -> list[str]:
    ids: dict[str, None] = {}
    while len(ids) < n:
        ids[rng.bytes(6).hex()] = None
    return list(ids)
