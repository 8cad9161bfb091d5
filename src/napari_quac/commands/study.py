"""``napari-quac study``: draft, seal, rate, check, end, unblind, analyze and export a study."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands import shared
from napari_quac.commands.arguments import names
from napari_quac.commands.output import notify, print_json, table
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.study.protocol import Rater

REQUIRED, REPEATABLE = shared.REQUIRED, shared.REPEATABLE
DRAFT_OPTIONS = """
    --source PATH              explanations, or a folder with one subfolder of images per class
    --kind compare|tag|classify|measure   task of the raters [default: compare]
    --title TEXT               title of the protocol; not displayed while rating
    --features FILE            features.json of a study or of FunkeAnnotation, or
                               descriptions.json of the web app of the QuAC authors
    --preset NAME              features of a preset: drosophila-synapse (default without
                               --features)
    --rater NAME               a rater; repeat for several; 'NAME: 8 years of EM' adds the
                               expertise
    --primary NAME             a primary feature, one to three; repeat for several
    --test TEXT                a planned test, for the protocol; repeat for several (default:
                               those of the kind)
    --choice CLASS             an answer of 'classify'; repeat for several (default: all classes)
    --origin                   for 'classify' over explanations: original or generated
    --partner counterfactual|generated   image beside the query [default: counterfactual]
    --method NAME              attribution method of the counterfactual images (default: the best
                               score of each pair)
    --pair A,B                 source and target class; repeat for several (default: all)
    --n N                      pairs for each class pair and agreement with the label, or images
                               for each class [default: 20]
    --selection random|top     at random, or the highest QuAC scores, which the protocol names
                               cherry-picking [default: random]
    --cluster PATTERN          cluster of a sample in its name, such as '{group}_*' for
                               NEURON_SYNAPSE
    --controls X               additional pairs with A = B, as a share [default: 0.08]
    --repeats X                additional repetitions, as a share [default: 0.1]
    --training N               trials of the training block [default: 5]
    --seed N                   seed of selection, order and sides (default: drawn, so that raters
                               cannot guess it)
    --image-range LO HI        values of the images of a folder that are black and white
    --pixel-size NM ...        for 'measure': pixel size in nm, one number or one for each axis
    """
KEY_OPTION = "--key FILE  the key (default: FOLDER-key.json beside the folder)"
WHO_OPTION = "--who NAME  your name, for the log (default: the name of your account)"


def add_parser(commands: Any) -> None:
    """Add the command, with one subcommand for each step of a study."""
    summary = "rate pairs or images without knowing their classes"
    about = (
        "Rate pairs or images without knowing their classes. Steps: draft, seal, rate, end, "
        "unblind; 'check' measures the blinding."
    )
    parser = commands.add_parser("study", help=summary, description=about)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    draft = _add_step(steps, draft_study, "draft", "write the plan of a study into a new folder")
    changes: dict[str, dict[str, Any]] = dict.fromkeys(
        ("rater", "primary", "test", "choice"), REPEATABLE
    )
    changes |= {"pair": {**REPEATABLE, "type": names}, "source": REQUIRED}
    shared.add_options(draft, DRAFT_OPTIONS, **changes)
    seal = _add_step(steps, seal_study, "seal", "draw the trials, copy the images, write the key")
    shared.add_options(seal, KEY_OPTION)
    shared.add_options(seal, WHO_OPTION)
    rate = _add_step(steps, rate_study, "rate", "open the rating window for one rater", False)
    shared.add_options(rate, "--rater NAME  one of the raters", rater=REQUIRED)
    shared.add_options(rate, "--theme dark|light  colors of the window [default: dark]")
    add = _add_step(steps, add_raters, "raters", "list the raters, or add some")
    shared.add_options(add, "--rater NAME  a rater to add, as for 'draft'", rater=REPEATABLE)
    _add_step(steps, show_status, "status", "print the state, and how far each rater is")
    check = _add_step(steps, check_study, "check", "measure if files tell the images apart")
    shared.add_options(check, KEY_OPTION)
    end = _add_step(steps, end_study, "end", "accept no more answers")
    shared.add_options(end, WHO_OPTION)
    shared.add_options(end, "--early  although trials are open; the protocol states it")
    unblind = _add_step(steps, unblind_study, "unblind", "join answers and key; this is final")
    shared.add_options(unblind, KEY_OPTION)
    shared.add_options(unblind, WHO_OPTION)
    statements = _add_step(
        steps, analyze_study, "analyze", "test the features of an unblinded study"
    )
    shared.add_options(statements, KEY_OPTION)
    shared.add_options(statements, "--csv FILE  table of all numbers (default: in export/)")
    shared.add_options(
        statements, "--figure FILE  svg, pdf or png of the results, with legend and data beside it"
    )
    shared.add_options(statements, "--seed N  seed of the bootstrap intervals [default: 0]")
    export = _add_step(steps, export_study, "export", "write the ratings of an ended study")
    shared.add_options(export, KEY_OPTION)
    forms = "--form csv|funke|web  csv, or the form of FunkeAnnotation or the web app "
    shared.add_options(export, f"{forms}[default: csv]")
    shared.add_options(export, "--rater NAME  for the forms of one rater")
    shared.add_options(export, "--out DIR  output folder of the forms of one rater")


def _add_step(
    steps: Any,
    run: Callable[[argparse.Namespace], None],
    name: str,
    summary: str,
    with_json: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser
    if with_json:
        parser = shared.add_command(steps, run, name, summary, f"{summary.capitalize()}.")
    else:
        parser = steps.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        parser.set_defaults(run=run, json=False)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the study")
    return parser


def draft_study(options: argparse.Namespace) -> None:
    """Write a draft.

    Raises
    ------
    DataError
        If the plan is impossible or the source cannot be read.
    """
    from napari_quac.study.exchange import read_features
    from napari_quac.study.features import class_feature, preset
    from napari_quac.study.protocol import Protocol, Sampling
    from napari_quac.study.sealing import draft_study as draft

    if options.features is not None and options.preset is not None:
        raise DataError("Name either --features or --preset, not both.")
    if options.features is not None:
        features = read_features(options.features)
    elif options.preset is None and options.kind == "classify":
        features = class_feature(options.origin)
    else:
        features = preset(options.preset or "drosophila-synapse")
    protocol = Protocol(
        kind=options.kind,
        features=features,
        title=options.title or "",
        paired=options.kind in ("compare", "tag"),
        choices=tuple(options.choice),
        raters=tuple(map(_rater, options.rater)),
        primary=tuple(options.primary),
        tests=tuple(options.test),
        control_share=options.controls,
        repeat_share=options.repeats,
        n_training=options.training,
        pixel_size=tuple(options.pixel_size or ()),
    )
    for pair in options.pair:
        if len(pair) != 2:
            raise DataError(f"--pair takes two classes, not {len(pair)}: --pair SOURCE,TARGET.")
    seed = {} if options.seed is None else {"seed": options.seed}
    sampling = Sampling(
        source=options.source.absolute(),
        partner=options.partner,
        method=options.method or "",
        class_pairs=tuple((pair[0], pair[1]) for pair in options.pair),
        n_per_stratum=options.n,
        selection=options.selection,
        cluster=options.cluster or "",
        origin=options.origin,
        image_range=None if options.image_range is None else tuple(options.image_range),
        **seed,
    )
    study = draft(options.folder, protocol, sampling)
    _print(
        {"folder": str(study.folder), "state": study.state},
        [f"Draft written to '{study.folder}'. Check protocol.json, then seal it."],
        options,
    )


def seal_study(options: argparse.Namespace) -> None:
    """Seal a draft.

    Raises
    ------
    DataError
        If something is missing.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.sealing import seal_study as seal

    sealed = seal(open_study(options.folder), _who(options), options.key)
    for note in sealed.notes:
        notify(note)
    n = len(sealed.study.trials)
    _print(
        {"key": str(sealed.key_path), "n_trials": n, "notes": list(sealed.notes)},
        [
            f"Sealed with {n} trials. The key is '{sealed.key_path}'.",
            "Keep the key away from raters; without it the study cannot be unblinded.",
        ],
        options,
    )


def rate_study(options: argparse.Namespace) -> None:
    """Open the rating window, or the measuring window; this process never reads the key.

    Raises
    ------
    DataError
        If the study cannot be rated by this rater.
    """
    from napari_quac.study.folder import open_study

    if open_study(options.folder).protocol.kind == "measure":
        from napari_quac.gui.measuring.window import run_measuring

        run_measuring(options.folder, options.rater, options.theme)
        return
    from napari_quac.gui.rating.window import run_rating

    run_rating(options.folder, options.rater, options.theme)


def add_raters(options: argparse.Namespace) -> None:
    """Add raters and list all.

    Raises
    ------
    DataError
        If a name is impossible.
    """
    from napari_quac.study.folder import add_raters as add
    from napari_quac.study.folder import open_study

    study = open_study(options.folder)
    if options.rater:
        study = add(study, *map(_rater, options.rater))
    raters = study.protocol.raters
    rows = [("rater", "expertise"), *((rater.name, rater.expertise) for rater in raters)]
    _print({"raters": [rater.name for rater in raters]}, [table(rows)], options)


def show_status(options: argparse.Namespace) -> None:
    """Print state and progress, without any answer.

    Raises
    ------
    DataError
        If there is no study.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.ratings import rater_progress
    from napari_quac.study.states import plain_change, read_changes

    study = open_study(options.folder)
    counts = rater_progress(study)
    changes = read_changes(study.folder)
    lines = [f"state: {study.state}"]
    if counts:
        rows = [(c.rater, c.n_complete, c.n_trials, c.n_answers, c.n_damaged) for c in counts]
        lines.append(table([("rater", "complete", "trials", "answers", "damaged lines"), *rows]))
    document = {
        "state": study.state,
        "raters": [
            {"rater": c.rater, "n_complete": c.n_complete, "n_trials": c.n_trials} for c in counts
        ],
        "changes": [plain_change(change) for change in changes if change.state != "sealed"],
    }
    _print(document, lines, options)


def check_study(options: argparse.Namespace) -> None:
    """Print what files tell about the images.

    Raises
    ------
    DataError
        If plan, key or images are not those that were sealed; at the end, if a property tells the
        images apart.
    """
    from napari_quac.study.blinding_check import check_blinding
    from napari_quac.study.folder import open_study
    from napari_quac.study.key import read_key
    from napari_quac.study.unblinding import verify_study

    study = open_study(options.folder)
    key = read_key(study, options.key)
    verify_study(study)
    rows = check_blinding(study, key)
    cells = [(row.trace, row.auc.area, row.auc.low, row.auc.high, _verdict(row)) for row in rows]
    document = {
        "traces": [{"trace": row.trace, **row.auc.plain(), "tells": row.tells} for row in rows],
        "image_differences": [dict(row) for row in key.image_differences],
    }
    lines = [
        "Plan, key and images are those that were sealed.",
        table([("property", "AUC", "low", "high", ""), *cells]),
        "\nDifferences of the images themselves, which stay visible:",
        table(
            [
                ("measure", "AUC", "low", "high"),
                *((r["measure"], r["auc"], r["low"], r["high"]) for r in key.image_differences),
            ]
        ),
    ]
    _print(document, lines, options)
    telling = [row.trace for row in rows if row.tells]
    if telling:
        raise DataError(
            f"The blinding leaks: {', '.join(telling)}. Do not use this folder for rating; draft "
            "and seal the study again, on another disk if it is the loading time."
        )


def _verdict(row: Any) -> str:
    return "tells the images apart" if row.tells else "tells nothing"


def end_study(options: argparse.Namespace) -> None:
    """End a study.

    Raises
    ------
    DataError
        If trials are open.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.unblinding import end_study as end

    study = open_study(options.folder)
    end(study, _who(options), options.early)
    _print({"state": study.state}, ["The study has ended; no more answers count."], options)


def unblind_study(options: argparse.Namespace) -> None:
    """Unblind a study and export it.

    Raises
    ------
    DataError
        If key, plan or images are not those that were sealed.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.unblinding import unblind_study as unblind

    study = open_study(options.folder)
    paths = unblind(study, _who(options), options.key)
    _print_paths(paths, options)


def analyze_study(options: argparse.Namespace) -> None:
    """Test the features of an unblinded study, and write table and statements.

    Raises
    ------
    DataError
        If the study is blinded, or there is no answer.
    """
    from napari_quac.study.analysis_files import (
        analyze_unblinded,
        export_folder,
        plain_analysis,
        write_analysis,
    )
    from napari_quac.study.folder import open_study
    from napari_quac.study.study_figures import write_study_figures

    study = open_study(options.folder)
    analysis = analyze_unblinded(study, options.key, options.seed)
    paths = [*write_analysis(analysis, export_folder(study), options.csv)]
    if options.figure is not None:
        paths += write_study_figures(study, options.key, analysis, options.figure)
    lines = [analysis.text(), *(f"Written: {path}" for path in paths)]
    files = [str(path) for path in paths]
    _print({**plain_analysis(analysis), "files": files}, lines, options)


def export_study(options: argparse.Namespace) -> None:
    """Export an ended study; with classes only after unblinding.

    Raises
    ------
    DataError
        If the state does not allow it, or a rater is missing.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.key import read_key
    from napari_quac.study.study_exchange import export_funke, export_web
    from napari_quac.study.unblinding import export_ratings, export_unblinded

    study = open_study(options.folder)
    if options.form == "csv":
        if study.state == "unblinded":
            paths = export_unblinded(study, read_key(study, options.key))
        else:
            paths = (export_ratings(study),)
        _print_paths(paths, options)
        return
    if options.rater is None or options.out is None:
        raise DataError(f"The form '{options.form}' needs --rater NAME and --out DIR.")
    if options.form == "funke":
        export_funke(study, options.rater, options.out)
    else:
        export_web(study, read_key(study, options.key), options.rater, options.out)
    _print_paths((options.out,), options)


def _rater(text: str) -> Rater:
    from napari_quac.study.protocol import Rater

    name, _, expertise = text.partition(":")
    try:
        return Rater(name.strip(), expertise.strip())
    except ValueError as error:
        raise DataError(f"{error}. Choose another name (--rater).") from error


def _who(options: argparse.Namespace) -> str:
    if options.who:
        return str(options.who)
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise DataError("Your account has no name. State your name (--who).") from error


def _print_paths(paths: tuple[Path, ...], options: argparse.Namespace) -> None:
    lines = [f"Written: {path}" for path in paths]
    _print({"files": [str(path) for path in paths]}, lines, options)


def _print(document: dict[str, Any], lines: list[str], options: argparse.Namespace) -> None:
    if options.json:
        print_json(document)
    else:
        print("\n".join(lines))
