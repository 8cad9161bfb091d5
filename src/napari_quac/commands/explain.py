"""``napari-quac explain``: explain samples into a store; a plan made of options, and its run."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_quac.commands import measures, sample_options, shared
from napari_quac.commands.output import notify, print_json
from napari_quac.commands.run import add_run_options, raise_failures, run_plan, summary_text
from napari_quac.errors import DataError, QuacError

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.reports.store import ExplanationStore

Records = dict[str, dict[str, Any]]
"""Key in the store to record."""
OUTPUT_OPTIONS = """
    --out DIR      folder of the explanations
    --arrays DIR   export images and maps as npy files, too
    --html FILE    write a page with all images, slider, curve and table, too; it needs no network
    """


def add_parser(commands: Any) -> None:
    """Add the command."""
    about = (
        "Explain each sample by a generated image, or without a generator against a blurred copy. "
        "A stopped run continues with --resume."
    )
    parser = shared.add_command(commands, run, "explain", "explain samples into a folder", about)
    shared.add_classifier_options(parser)
    source = parser.add_mutually_exclusive_group()
    shared.add_options(source, "--generated DIR  previously generated images, SOURCE/TARGET/NAME")
    shared.add_generator_options(parser, source, style="latent")
    shared.add_sample_options(parser)
    shared.add_options(parser, sample_options.ONLY_OPTION)
    shared.add_options(parser, shared.QUESTION_OPTIONS)
    shared.add_settings_options(parser)
    measures.add_measure_options(parser)
    shared.add_options(parser, OUTPUT_OPTIONS, out=shared.REQUIRED)
    add_run_options(parser)


def run(options: argparse.Namespace) -> None:
    """Explain each sample; the failure of one becomes a record, and the others continue.

    Raises
    ------
    DataError
        If the options do not fit; at the end, if samples failed, or records could not be read or
        measured.
    FaultsError
        At the end, if some failed because of internal errors.
    """
    from napari_quac.reports.html.page import check_page_path
    from napari_quac.reports.store import ExplanationStore

    if options.html is not None:
        check_page_path(options.html)
    plan = plan_from(options)
    if options.generator is None and options.generated is None:
        infill = plan.generator.load()
        notify(f"No --generator. {infill.assumptions[0].sentence}")
    begun = time.perf_counter()
    summary = run_plan(plan, options, "the same command and --resume", n_threads=None)
    seconds = time.perf_counter() - begun
    store = ExplanationStore.open(plan.output)
    records: Records = dict(store.records())
    comparisons, problems = _measure(records, store, plan, options)
    if options.arrays is not None:
        export_arrays(options.arrays, records, store)
    if options.html is not None and any("methods" in record for record in records.values()):
        write_html(options.html, store)
    if options.json:
        print_json(_document(records, store) | comparisons)
    else:
        print("\n".join([summary_text(plan, summary, seconds), *_medians(records.values())]))
    raise_failures(plan, summary)
    if store.damaged:
        raise DataError(store.damage())
    if problems:
        raise DataError(f"{len(problems)} could not be measured; the first: {problems[0]}")


def plan_from(options: argparse.Namespace) -> BatchPlan:
    """Return the plan that the options describe.

    Raises
    ------
    QuacError
        If a file holds no network, or a setting is impossible.
    """
    from napari_quac.batch.plan import BatchPlan, absolute, map_paths

    networks = (shared.classifier_recipe(options), shared.generator_recipe(options))
    recipes = (sample_options.samples_recipe(options), *networks)
    samples, classifier, generator = map_paths(recipes, lambda path: absolute(path, Path()))
    output = absolute(options.out, Path())
    settings = shared.read_settings(options, getattr(generator, "default_methods", ()))
    networks, class_map = (classifier, generator), options.class_map or {}
    shared.require_trust("The command", *networks, settings)
    return BatchPlan(
        samples,
        *networks,
        settings,
        options.device,
        output=output,
        only=tuple(options.only or ()),
        class_map=class_map,
    )


def write_html(path: Path, store: ExplanationStore) -> None:
    """Write the page of a store; see :mod:`napari_quac.reports.html`.

    Raises
    ------
    DataError
        If the file extension is not ``.html``, or the images cannot be read.
    """
    from napari_quac.reports.figures.subject import read_subjects
    from napari_quac.reports.html.page import write_page
    from napari_quac.reports.opening import report_from_store

    report = report_from_store(store, list(store.entries()))
    write_page(read_subjects(report, store.folder), path, f"Explanations of {report.name}")


def export_arrays(folder: Path, records: Records, store: ExplanationStore) -> None:
    """Write the images and maps of records as npy files, float32 (C, *S).

    Each record gets a folder ``SAMPLE/TARGET`` (see :mod:`napari_quac.data.file_names`) with
    ``query.npy``, ``generated.npy``, ``record.json`` and
    ``METHOD/{attribution,signed,mask,hybrid}.npy``; its path becomes ``record["folder"]``.

    Parameters
    ----------
    folder : Path
        Destination; folders of the same samples in it are replaced.
    records : mapping of str to dict
        Key in the store to record.
    store : ExplanationStore
        The store of the records.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    from napari_quac.data.file_names import file_names, file_path
    from napari_quac.reports.record import to_json
    from napari_quac.reports.task_images import npy_files
    from napari_quac.storage import write_folder

    explained = {key: record for key, record in records.items() if "methods" in record}
    stems = _distinct_stems({record["id"] for record in explained.values()})
    targets = file_names(sorted({record["target"] for record in explained.values()}))
    for key, record in explained.items():
        place = file_path(stems[record["id"]].as_posix()) / targets[record["target"]]
        record["folder"] = place.as_posix()
        images = {name: store.image(key, name) for name in store.image_names(key)}
        write_folder(folder / place, {**npy_files(images), "record.json": to_json(record)})


def _distinct_stems(sample_ids: set[str]) -> dict[str, PurePosixPath]:
    """Return the ids without their suffix, where they stay different."""
    stems = {name: PurePosixPath(name).with_suffix("") for name in sample_ids}
    counts = Counter(stems.values())
    return {n: stem if counts[stem] == 1 else PurePosixPath(n) for n, stem in stems.items()}


def _measure(
    records: Records, store: ExplanationStore, plan: BatchPlan, options: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Add ``--regions`` and ``--morphometry`` to the records; return comparisons and errors."""
    from napari_quac.batch.run import load_resources
    from napari_quac.reports.entry import ReportEntry
    from napari_quac.reports.restored import restore_explanations

    if not (options.regions or options.morphometry):
        return {}, []
    classifier, problems = load_resources(plan).classifier, []
    changes: dict[tuple[str, str, str], list[Any]] = {}
    for key, record in records.items():
        if not record.get("methods"):
            continue
        try:
            labels = measures.find_labels(options.labels, record["id"])
            entries = [e for e in store.entries_of(key, record) if isinstance(e, ReportEntry)]
            names = classifier.class_names
            explanations = restore_explanations(entries, plan.settings, names, store=store)
            explanations.raise_failures()
            inputs = (classifier, options, labels)
            for name, explanation in explanations.items():
                measurements, places = measures.measure_explanation(explanation, *inputs)
                record["methods"][name] |= measurements
                if record["switches"]:
                    question = (record["source"], record["target"], name)
                    changes.setdefault(question, []).append(places)
        except QuacError as error:
            problems.append(f"{record['id']}: {error}")
            notify(problems[-1])
    roles = ("source", "target", "method")
    comparisons = [
        {**dict(zip(roles, names, strict=True)), "changes": measures.paired_changes_record(places)}
        for names, places in changes.items()
    ]
    return ({"morphometry": comparisons} if options.morphometry else {}), problems


def _document(records: Records, store: ExplanationStore) -> dict[str, Any]:
    info, classifier = store.info, store.info.classifier
    return {
        "output": store.folder,
        "classifier": {"name": classifier.name, "sha256": classifier.sha256.get("path", "")},
        "classes": info.class_names,
        "class_map": info.class_map,
        "assumptions": info.assumptions,
        "preset": info.settings.preset,
        "settings": info.settings.to_dict(),
        "n": len(records),
        "n_failed": sum("error" in record for record in records.values()),
        "n_switched": sum(bool(record.get("switches")) for record in records.values()),
        "explanations": list(records.values()),
    }


def _medians(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line with the median score of each method, over samples that switch."""
    scores: dict[str, list[float]] = {}
    for record in records:
        for numbers in record["methods"].values() if record.get("switches") else ():
            if not numbers["degenerate"]:
                scores.setdefault(numbers["true_name"], []).append(numbers["quac_score"])
    return [
        f"  {name:21s} median QuAC score {statistics.median(values):.3f} (n = {len(values)})"
        for name, values in scores.items()
    ]
