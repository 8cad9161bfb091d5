"""``napari-quac figure``: figures, animations and their data from explanations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands import arguments, report, shared
from napari_quac.commands.output import notify, print_json
from napari_quac.errors import DataError
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.reports.figures.output import PublishedFigure
    from napari_quac.reports.figures.subject import Subject
    from napari_quac.reports.report import Report

KINDS = ("pair", "gallery", "curves")
OPTIONS = """
    --kind pair|gallery|curves   one sample with all methods; several samples with their best
                                 method; curves of all, one panel per class pair (default: pair
                                 with --sample, otherwise gallery)
    --sample ID                  only this sample
    --methods A,B                only these methods, in this order
    --threshold X                threshold of the hybrids of a pair (default: the optimum)
    --limits LO HI               values that are black and white in all images, from 0 to 1
                                 (default: 0 1)
    --size-axis linear|square-root|logarithmic   axis of mask sizes [default: linear]
    --output FILE                .svg, .pdf or .png; of a pair also .gif or .mp4, which blinks
                                 between query and hybrid
    --format A,B                 several formats, such as svg,png; replaces the extension of FILE
    --morph                      cross-fade instead of blinking in a .gif or .mp4
    """
MAX_GALLERY = 12


def add_parser(commands: Any) -> None:
    """Add the command."""
    about = (
        "Draw explanations of a folder for print. Images keep their own pixels, query, generated "
        "image and hybrid have equal limits, and the text of a legend and the data as CSV lie "
        "beside the figure."
    )
    parser = shared.add_command(commands, run, "figure", "draw figures of explanations", about)
    parser.add_argument(
        "folder", type=arguments.path, metavar="DIR", help="a folder, or one JSON file"
    )
    shared.add_options(parser, OPTIONS, output=shared.REQUIRED)
    filters = parser.add_argument_group("filters, applied in this order")
    shared.add_options(filters, report.FILTERS)


def run(options: argparse.Namespace) -> None:
    """Read, filter, draw and write.

    Raises
    ------
    DataError
        If the folder contains no report, no entry passes the filters, or a file cannot be written.
    """
    from napari_quac.reports.figures.movie import MOVIES
    from napari_quac.reports.figures.output import write_published
    from napari_quac.reports.opening import open_report

    paths = _paths(options)
    is_movie = [path.suffix.lower() in MOVIES for path in paths]
    kind = options.kind or ("pair" if options.sample or any(is_movie) else "gallery")
    if kind == "gallery" and options.top is not None:
        options.best_per_sample = True  # --top counts samples then, not methods
    explanations = _select(open_report(options.folder), options)
    explanations, notes = report.apply_filters(explanations, options)
    for note in [*explanations.notes, *notes]:
        notify(note)
    written: list[Path] = []
    figure: PublishedFigure | None = None
    for path, moves in zip(paths, is_movie, strict=True):
        if moves:
            written += _write_movie(explanations, kind, path, options)
        else:
            figure = figure or _draw(explanations, kind, options)
            written += write_published(figure, path)
    if options.json:
        legend = "" if figure is None else figure.legend
        records = "" if figure is None else figure.record_text
        print_json({"kind": kind, "files": written, "legend": legend, "records": records})
        return
    print("\n".join(f"'{path}'" for path in dict.fromkeys(written)))
    if figure is not None:
        print(f"\n{figure.legend}")


def _paths(options: argparse.Namespace) -> list[Path]:
    """Return the files of the figure, after a check of their extensions."""
    from napari_quac.reports.figures.movie import MOVIES
    from napari_quac.reports.figures.output import SUFFIXES

    path: Path = options.output
    suffixes = (*SUFFIXES, *MOVIES)
    if not options.format:
        if path.suffix.lower() not in suffixes:
            kinds = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            raise DataError(f"Cannot write '{path.name}': use the file extension {kinds}.")
        return [path]
    stem = path.with_suffix("") if path.suffix.lower() in suffixes else path
    formats = [name.lower().removeprefix(".") for name in options.format]
    for name in formats:
        if f".{name}" not in suffixes:
            raise unknown_name("format", name, [suffix[1:] for suffix in suffixes])
    return [stem.with_name(f"{stem.name}.{name}") for name in dict.fromkeys(formats)]


def _select(explanations: Report, options: argparse.Namespace) -> Report:
    """Return the entries of the sample and the methods of the options."""
    from dataclasses import replace

    if options.sample is not None:
        ids = sorted({entry.sample_id for entry in explanations.entries})
        if options.sample not in ids:
            raise unknown_name("sample", options.sample, ids)
        explanations = explanations.where(lambda entry: entry.sample_id == options.sample)
    if not options.methods:
        return explanations
    for name in options.methods:
        if name not in explanations.methods:
            raise unknown_name("method", name, list(explanations.methods))
    rank = {name: number for number, name in enumerate(options.methods)}
    entries = [entry for entry in explanations.entries if entry.method in rank]
    places = {(e.sample_id, e.target): i for i, e in reversed([*enumerate(entries)])}
    entries.sort(key=lambda e: (places[e.sample_id, e.target], rank[e.method]))
    return replace(explanations, entries=tuple(entries))


def _draw(explanations: Report, kind: str, options: argparse.Namespace) -> PublishedFigure:
    from napari_quac.reports.figures.curves import curves_figure
    from napari_quac.reports.figures.gallery import gallery_figure
    from napari_quac.reports.figures.pair import pair_figure
    from napari_quac.reports.figures.subject import record_hashes

    axis, limits = options.size_axis.replace("-", " "), _limits(options)
    if kind == "curves":
        hashes = record_hashes(explanations, options.folder)
        return curves_figure(explanations, size_axis=axis, records=hashes)
    if kind == "pair":
        subject = _only_pair(explanations, options)
        return pair_figure(subject, options.threshold, limits, axis)
    subjects, order = _gallery(explanations, options)
    return gallery_figure(subjects, order, limits)


def _gallery(explanations: Report, options: argparse.Namespace) -> tuple[list[Subject], str]:
    """Return the samples of a gallery, and a phrase about their choice."""
    from itertools import islice

    from napari_quac.reports.figures.subject import read_subjects

    n_samples = len({(entry.sample_id, entry.target) for entry in explanations.entries})
    order = "in the order of the report"
    if options.best_per_sample:
        order = "those with the highest QuAC scores, the highest first"
    if options.top is None and n_samples > MAX_GALLERY:
        order = f"the first {MAX_GALLERY} of {n_samples}, {order.removeprefix('those ')}"
    limit = None if options.top is not None else MAX_GALLERY
    return [*islice(read_subjects(explanations, options.folder), limit)], order


def _only_pair(explanations: Report, options: argparse.Namespace) -> Subject:
    """Return the first pair; a note says if there are others."""
    from napari_quac.reports.figures.subject import read_subjects

    pairs = {(entry.sample_id, entry.target) for entry in explanations.entries}
    if len(pairs) > 1:
        notify(f"The first of {len(pairs)} pairs is drawn. Choose one by --sample and --target.")
    return next(read_subjects(explanations, options.folder))


def _limits(options: argparse.Namespace) -> tuple[float, float]:
    low, high = options.limits or (0.0, 1.0)
    if not low < high:
        raise DataError(f"--limits is {low:g} {high:g}; the first must be below the second.")
    return low, high


def _write_movie(
    explanations: Report, kind: str, path: Path, options: argparse.Namespace
) -> Sequence[Path]:
    from napari_quac.reports.figures.movie import write_movie

    if kind != "pair":
        raise DataError(f"'{path.name}' is an animation of one pair. Add --kind pair.")
    subject = _only_pair(explanations, options)
    write_movie(subject.best(), path, options.threshold, _limits(options), options.morph)
    return (path,)
