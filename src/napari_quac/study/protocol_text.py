"""Methods text of a study: the questions that a reviewer asks, answered from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isnan

from napari_quac.errors import DataError
from napari_quac.study.analysis import analyze_study
from napari_quac.study.answers import CANNOT_TELL, INVALID
from napari_quac.study.folder import Study
from napari_quac.study.key import Key
from napari_quac.study.ratings import Rating, rater_progress, read_ratings
from napari_quac.study.states import read_changes
from napari_quac.study.statistics.power import detectable_share

_KINDS = {
    "compare": "compared two images A and B: −1, 0 or +1 for each feature, about B relative to A",
    "tag": "marked for each feature whether it is there",
    "classify": "assigned one image at a time to a class",
    "measure": "measured one image at a time",
}
_HIDDEN = (
    "class names, labels, predictions, probabilities and scores; which of A and B is the query; "
    "method, generator, threshold and mask; names and ids of the samples, and their order on disk"
)


def protocol_text(study: Study, key: Key, ratings: Sequence[Rating] | None = None) -> str:
    """Return the protocol of a study in Markdown, with classes and direction.

    Parameters
    ----------
    study : Study
        A sealed study.
    key : Key
        Its key.
    ratings : sequence of Rating, optional
        By default those in the folder.
    """
    ratings = read_ratings(study) if ratings is None else ratings
    sections = {
        "Question": _question(study),
        "Raters": _raters(study),
        "Images": _selection(study, key),
        "Presentation": _presentation(study, key),
        "Blinding": _blinding(study, key),
        "Differences of the images themselves": _differences(key),
        "Declared before the first answer": _declared(study),
        "Answers and exclusions": _exclusions(study, ratings),
        "Independence": _clusters(key),
        "Statistical power": _power(key),
        "Results": _results(study, key, ratings),
        "Confirmation on original images": [
            "Ratings of pairs describe what the generator changes. A feature is confirmed by a "
            "measurement on original images of both classes (a study of the kind 'measure')."
            if study.protocol.kind in ("compare", "tag")
            else "The images of this study are "
            + ("originals and generated ones." if key.sampling.origin else "originals."),
        ],
        "Chronology": _chronology(study),
        "Raw ratings": [
            "All answers are in `ratings.csv`, with sample, classes and direction in "
            "`unblinded.csv`; changed answers are lines of the files in `raters/`."
        ],
    }
    title = study.protocol.title or "Rating study"
    parts = [f"# {title}", *(f"## {name}\n\n" + _list(text) for name, text in sections.items())]
    return "\n\n".join(parts) + "\n"


def _list(lines: Iterable[str]) -> str:
    """Return lines as a list; tables, and the empty line before them, stay as they are."""
    return "\n".join(f"- {line}" if line and not line.startswith("|") else line for line in lines)


def _question(study: Study) -> list[str]:
    protocol = study.protocol
    lines = [f"Raters {_KINDS[protocol.kind]}."]
    for feature in protocol.features:
        marks = " (primary)" if feature.name in protocol.primary else ""
        lines.append(f"**{feature.name}**{marks}: {feature.definition or 'no definition'}")
    if protocol.kind == "measure":
        sizes = " × ".join(f"{size:g}" for size in protocol.pixel_size)
        lines.append(f"Pixel size: {sizes} {protocol.unit}." if sizes else "Measured in pixels.")
    if protocol.choices:
        lines.append(f"Answers: {', '.join(protocol.choices)}.")
    return lines


def _raters(study: Study) -> list[str]:
    protocol = study.protocol
    lines = [f"Number of raters: {len(protocol.raters)}."]
    lines += [f"{r.name}: {r.expertise or 'expertise not stated'}." for r in protocol.raters]
    lines.append(
        f"Each rater began with a training block of {protocol.n_training} trials of other samples, "
        "which are not counted. No feedback was displayed."
    )
    lines.append("Raters worked alone; no rater's file was opened in another rater's session.")
    return lines


def _selection(study: Study, key: Key) -> list[str]:
    sampling = key.sampling
    if sampling.selection == "random":
        selection = f"{sampling.n_per_stratum} per stratum at random (seed {sampling.seed})"
    else:
        selection = (
            f"the {sampling.n_per_stratum} with the highest QuAC score per stratum. **This is "
            "cherry-picking**: shares and effects hold for the best explanations only"
        )
    what = f"query and {sampling.partner} image" if study.protocol.paired else "single images"
    if sampling.origin:
        what = f"single images, half of them queries and half {sampling.partner} images"
    counts = Counter(trial.stratum for trial in key.trials if trial.is_counted)
    lines = [
        f"Source: `{sampling.source.name}`; presented: {what}.",
        f"Method: {sampling.method or 'the one with the best score for each pair'}."
        if study.protocol.paired or sampling.origin
        else f"Classes: {', '.join(key.classes)}.",
        f"Selection: {selection}.",
    ]
    if sampling.sample_ids:
        by_filter = f", by the filter `{sampling.filter_text}`" if sampling.filter_text else ""
        lines.append(f"Selected among {len(sampling.sample_ids)} samples in view{by_filter}.")
    rows = [f"| {name} | {counts[name]} | {n} |" for name, n in key.n_candidates.items()]
    return [*lines, "", "| stratum | rated | available |", "|---|---|---|", *rows]


def _presentation(study: Study, key: Key) -> list[str]:
    kinds = Counter(trial.kind for trial in key.trials)
    lines = [
        "One random order for all raters, drawn from the seed; no trial could be passed over.",
    ]
    if study.protocol.paired:
        first = sum(trial.a == "query" for trial in key.trials if trial.is_counted)
        n = sum(trial.is_counted for trial in key.trials)
        lines.append(f"The query was A in {first} of {n} pairs, at random.")
        lines.append(f"Controls with A = B: {kinds['control']}.")
    lines.append(
        f"Repetitions, for the agreement of each rater with earlier answers: {kinds['repeat']}"
        f"{', sides drawn again' if study.protocol.paired else ''}."
    )
    return lines


def _blinding(study: Study, key: Key) -> list[str]:
    processing = key.image_processing
    seal = study.require_seal()
    return [
        f"Hidden until the end of the study: {_HIDDEN}.",
        "All images were copied before the first answer, as uncompressed float32 arrays with one "
        f"header and size, on one grid of {processing.get('gray_levels')} gray values (rounded "
        f"after the addition of uniform noise of {processing.get('dither_width')}/255), and "
        f"displayed with the same contrast limits ({seal.limits[0]:.3f} to {seal.limits[1]:.3f}).",
        "The key was a separate file that the rating process did not load; its SHA-256, "
        f"`{seal.key_sha256}`, was sealed with the study and verified at unblinding.",
    ]


def _differences(key: Key) -> list[str]:
    if not key.image_differences:
        return ["Not measured."]
    has_partners = any(role == "partner" for t in key.trials for role in (t.a, t.b))
    groups = (
        f"query and {key.sampling.partner} images" if has_partners else "the first class and others"
    )
    lines = [
        f"Simple properties that tell {groups} apart (area under the ROC curve with 95 % interval; "
        "0.5: not at all). An attentive rater may use them, and they limit the blinding.",
        "",
        "| measure | AUC | interval | n |",
        "|---|---|---|---|",
    ]
    for row in key.image_differences:
        first, second = row["n"]
        numbers = f"{row['auc']:.2f} | {row['low']:.2f} to {row['high']:.2f} | {first} + {second}"
        lines.append(f"| {row['measure']} ({row['text']}) | {numbers} |")
    return lines


def _declared(study: Study) -> list[str]:
    protocol, seal = study.protocol, study.require_seal()
    others = [f.name for f in protocol.features if f.name not in protocol.primary]
    return [
        f"Sealed on {seal.at} by {seal.who}, with napari-quac {seal.version}.",
        f"Primary features: {', '.join(protocol.primary)}.",
        f"Exploratory: {', '.join(others) or 'none'}.",
        *(f"Test: {text}." for text in protocol.tests),
    ]


def _exclusions(study: Study, ratings: Sequence[Rating]) -> list[str]:
    lines = []
    for row in rater_progress(study):
        own = [r for r in ratings if r.answer.rater == row.rater and not r.answer.training]
        counts = Counter(r.answer.answer for r in own if isinstance(r.answer.answer, str))
        changed = sum(rating.n_changes > 0 for rating in own)
        lines.append(
            f"{row.rater}: {row.n_complete} of {row.n_trials} trials complete; {len(own)} answers, "
            f"{counts[INVALID]} invalid, {counts[CANNOT_TELL]} 'cannot tell', {changed} changed"
            + (f"; {row.n_damaged} damaged lines left out" if row.n_damaged else "")
            + "."
        )
    lines.append("Invalid answers and 'cannot tell' are left out of the tests, and counted here.")
    return lines


def _clusters(key: Key) -> list[str]:
    counted = [trial for trial in key.trials if trial.is_counted]
    clusters = {trial.cluster for trial in counted if trial.cluster}
    if not clusters:
        samples = len({trial.sample_id for trial in counted})
        return [
            f"{len(counted)} trials of {samples} samples; samples were taken as independent. "
            "Synapses of one neuron or section are not: state a cluster if there is one."
        ]
    return [f"{len(counted)} trials in {len(clusters)} clusters ({key.sampling.cluster})."]


def _power(key: Key) -> list[str]:
    n = sum(trial.is_counted for trial in key.trials)
    share = detectable_share(n) if n else float("nan")
    if isnan(share):
        return [f"With n = {n}, an exact sign test has no power of 80 % for any share."]
    return [
        f"With n = {n} answers other than 0 of one rater, an exact two-sided sign test at 5 % has "
        f"80 % power for a share of one direction of {share:.2f} or more, before any correction."
    ]


def _results(study: Study, key: Key, ratings: Sequence[Rating]) -> list[str]:
    if not ratings:
        return ["No answers yet."]
    try:
        return analyze_study(study, key).lines("###")
    except DataError as error:
        return [str(error)]


def _chronology(study: Study) -> list[str]:
    changes = read_changes(study.folder)
    lines = [
        f"{change.at}: {change.state} ({change.who})"
        + (f", {change.note}" if change.note and change.state != "sealed" else "")
        for change in changes
    ]
    return [*lines, "Unblinding is final; later answers are in files named after it."]
