"""What each result is made from, and by which function.

``prepare`` of a rule runs in the thread of the choices and returns a function that holds frozen
values only; that function runs in the lane. Torch is imported in the lane, so that a window opens
without waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_quac.errors import DataError, QuacError
from napari_quac.live.choices import Choices
from napari_quac.live.filter_language import FilterError
from napari_quac.live.open_report import open_explanations, recorded, restore
from napari_quac.live.results import (
    DisplayedHybrid,
    Evolving,
    Explanations,
    Prediction,
    Preview,
    Results,
    present,
)
from napari_quac.live.sample_columns import ExplanationStatus, SampleColumns, list_samples
from napari_quac.live.sample_order import SampleOrder, order_samples
from napari_quac.stepwise import Progress, Steps, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.data.sample import Sample
    from napari_quac.explain.attribution import Attribution
    from napari_quac.explain.curve import Curve
    from napari_quac.explain.morphometry import Morphometry
    from napari_quac.explain.neighbors import Neighbors
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.explain.regions import Regions
    from napari_quac.networks.classifier import Classifier

Work = Callable[[], Any]
N_PREVIEWS = 6
PARTIAL_SECONDS = 0.25
"""How often the table is told what has been predicted; each time costs the window a frame."""
T = TypeVar("T")


@dataclass(frozen=True)
class Rule:
    """How a result follows from choices and other results.

    Attributes
    ----------
    made_from : tuple of str
        Names of the choices and results without which it cannot be; when one of them changes it is
        made anew.
    prepare : callable
        Takes choices and results, returns the work for the lane.
    doing : str
        What is going on, for the status line and for errors.
    also : tuple of str
        Names whose change makes it anew, too, but which may be None.
    on_demand : bool
        Made only when asked for; until then None.
    keep : bool
        Show the old one until the new one arrives.
    urgent : bool
        Goes before all other work.
    here : bool
        Made at once in the thread of the choices: cheap and without a network.
    partial_to : str
        Result that takes what ``Progress.partial`` holds.
    state_to : str
        Result that takes what ``Progress.state`` holds, so that the work can be resumed.
    background : bool
        Goes on only while nothing else is to be done.
    by_itself : callable or None
        Takes choices and results; whether a result on demand is made without being asked.
    brief : bool
        Over so soon that nobody would cancel it.
    reverts : bool
        When it fails, the choice it is made from goes back to what worked, and the result stays.
    """

    made_from: tuple[str, ...]
    prepare: Callable[[Choices, Results], Work]
    doing: str
    also: tuple[str, ...] = ()
    on_demand: bool = False
    keep: bool = True
    urgent: bool = False
    here: bool = False
    partial_to: str = ""
    state_to: str = ""
    reverts: bool = False
    background: bool = False
    by_itself: Callable[[Choices, Results], bool] | None = None
    brief: bool = False

    @property
    def is_brief(self) -> bool:
        """Whether it is over so soon that it is not cancelled with what takes time."""
        return self.urgent or self.brief


def _load_samples(choices: Choices, results: Results) -> Work:
    return present(choices.samples).load


def _load_classifier(choices: Choices, results: Results) -> Work:
    recipe, device = choices.classifier, choices.device
    return lambda: recipe.load(device)


def _load_generator(choices: Choices, results: Results) -> Work:
    recipe, device = choices.generator, choices.device

    def load() -> Any:
        from napari_quac.networks.device import resolve_device

        return recipe.load(resolve_device(device))

    return load


def _previews(choices: Choices, results: Results) -> Work:
    dataset = present(results.loaded_samples)
    return lambda: make_previews(dataset)


@stepwise
def make_previews(dataset: Dataset) -> Generator[Progress, None, tuple[Preview, ...]]:
    """Read six samples, evenly spread over the dataset."""
    from napari_quac.data.spread import evenly_spaced

    indices = evenly_spaced(len(dataset), N_PREVIEWS)
    previews = []
    for done, index in enumerate(indices):
        yield Progress(done, len(indices), "previews")
        try:
            sample = dataset[index]
        except QuacError as error:
            previews.append(Preview(index, None, problem=str(error)))
        else:
            low, high = float(sample.image.min()), float(sample.image.max())
            previews.append(Preview(index, sample, low, high))
    return tuple(previews)


def _read_sample(choices: Choices, results: Results) -> Work:
    dataset, index = present(results.loaded_samples), present(choices.sample_index)

    def read() -> Sample:
        if not 0 <= index < len(dataset):
            raise DataError(
                f"There is no sample {index + 1}; '{dataset.name}' has {len(dataset)} samples."
            )
        return dataset[index]

    return read


def _predict(choices: Choices, results: Results) -> Work:
    sample, classifier = present(results.sample), present(results.loaded_classifier)
    dataset = present(results.loaded_samples)
    return lambda: predict(sample, classifier, dataset.classes)


def predict(sample: Sample, classifier: Classifier, classes: Sequence[str]) -> Prediction:
    """Ask the classifier about a sample."""
    from napari_quac.explain.question import true_class

    classifier.check_image(sample.image.shape, f"The sample '{sample.id}'")
    probabilities = classifier.predict(sample.image[None])[0]
    return Prediction(sample, probabilities, true_class(sample.label, classes, classifier))


def _search(choices: Choices, results: Results) -> Work:
    sample, prediction = present(results.sample), present(results.prediction)
    classifier, generator = present(results.loaded_classifier), present(results.loaded_generator)
    target = choices.target if choices.target is not None else prediction.default_target()
    max_tries, seed, state = choices.max_tries, choices.seed, results.search_state
    neighbours = results.neighbours if choices.neighbour_styles else None
    if neighbours is not None and neighbours.query is sample and neighbours.label == target:
        references = neighbours.samples
    else:
        references = ()

    def start() -> Steps[Pair]:
        from napari_quac.explain.search import search
        from napari_quac.explain.settings import SearchSettings

        settings = SearchSettings(max_tries=max_tries)
        return search(
            sample,
            target,
            classifier,
            generator,
            settings,
            seed,
            state=state,
            references=references,
        )

    return start


def _list(choices: Choices, results: Results) -> Work:
    dataset = present(results.loaded_samples)
    return lambda: list_samples(dataset)


def _predict_all(choices: Choices, results: Results) -> Work:
    dataset, classifier = present(results.loaded_samples), present(results.loaded_classifier)
    known = results.predictions

    def start() -> Steps[PredictionTable]:
        from napari_quac.explain.prediction_table import predict_all

        return predict_all(dataset, classifier, previous=known, partial_every=PARTIAL_SECONDS)

    return start


def _is_cheap(choices: Choices, results: Results) -> bool:
    return len(present(results.loaded_samples)) <= choices.predict_up_to


def _open_report(choices: Choices, results: Results) -> Work:
    folder = present(choices.report_folder)
    known = results.report
    # what was explained just now is not read again
    if known is not None and known.folder == folder:
        return lambda: known
    return lambda: open_explanations(folder)


def _recorded(choices: Choices, results: Results) -> Work:
    opened, listing = present(results.report), present(results.sample_list)
    classifier = results.loaded_classifier
    names = classifier.class_names if classifier is not None else ()
    return lambda: recorded(opened, listing, names)


def _restored(choices: Choices, results: Results) -> Work:
    opened, sample = present(results.report), present(results.sample)
    names = present(results.loaded_classifier).class_names
    if sample.id not in opened.by_sample:
        return lambda: None
    return lambda: restore(opened, sample, names, choices.target)


def _outcomes(choices: Choices, results: Results) -> Work:
    n_samples, known = len(present(results.sample_list)), results.report_columns
    if known is not None and len(known.status) == n_samples:
        return lambda: known.status
    return lambda: ExplanationStatus.none_of(n_samples)


def _order(choices: Choices, results: Results) -> Work:
    listing = present(results.sample_list)
    predictions = _of_length(results.predictions, len(listing))
    if predictions is None and results.report_columns is not None:
        predictions = _of_length(results.report_columns.predictions, len(listing))
    outcomes = _of_length(results.explanation_status, len(listing))
    columns = SampleColumns(listing, predictions, outcomes)
    if results.order is not None and results.order.columns.is_of(columns):
        columns = results.order.columns  # what was worked out of them is kept
    text, sort_by, ascending = choices.filter_text, choices.sort_by, choices.sort_ascending

    def order() -> SampleOrder:
        try:
            return order_samples(columns, text, sort_by, ascending)
        except FilterError as error:  # it names a class of the networks that were there before
            every = order_samples(columns, "", sort_by, ascending)
            return replace(every, problem=str(error))

    return order


def _of_length(table: T | None, n_samples: int) -> T | None:
    """Leave out what belongs to the samples that were there before."""
    if table is None or len(table) != n_samples:  # type: ignore[arg-type]
        return None
    return table


def _neighbours(choices: Choices, results: Results) -> Work:
    prediction, table = present(results.prediction), present(results.predictions)
    dataset, classifier = present(results.loaded_samples), present(results.loaded_classifier)
    if not prediction.is_wrong or not table.is_complete:
        return lambda: None

    def start() -> Steps[Neighbors | None]:
        from napari_quac.explain.neighbors import nearest_correct

        return nearest_correct(prediction.sample, present(prediction.truth), table, dataset,
                               classifier)  # fmt: skip

    return start


def _explain(choices: Choices, results: Results) -> Work:
    pair, classifier = present(results.pair), present(results.loaded_classifier)
    wanted = Explanations(
        pair,
        choices.masking,
        grid=choices.grid,
        parameters=dict(choices.parameters),
        preset=choices.preset,
    )
    methods, known = choices.methods, results.explanations
    return lambda: explain_methods(wanted, classifier, methods, known)


def _exaggerate(choices: Choices, results: Results) -> Work:
    pair, generator = results.pair, results.loaded_generator
    classifier, sample = present(results.loaded_classifier), present(results.prediction).sample
    explainer, device = choices.explainer, choices.device

    def start() -> Any:
        from napari_quac.explain.exaggeration import exaggerate
        from napari_quac.explain.exaggeration_bins import traverse_bins
        from napari_quac.explain.exaggeration_paths import inner_generator
        from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
        from napari_quac.networks.device import resolve_device

        if explainer is not None:
            return traverse_bins(sample, explainer.load(resolve_device(device)), classifier)
        if pair is None:
            inner = inner_generator(generator)
            if isinstance(inner, ExaggerationGenerator):
                return traverse_bins(sample, inner, classifier)
            raise DataError(
                "There is no generated image to lead a path to. Press Explain first, or take the "
                "bins of an explainer as path."
            )
        return exaggerate(pair, generator, classifier)

    return start


def _view_warp(choices: Choices, results: Results) -> Work:
    pair, generator = present(results.pair), present(results.loaded_generator)
    classifier = present(results.loaded_classifier)

    def start() -> Any:
        from napari_quac.explain.exaggeration_paths import inner_generator, path_kind
        from napari_quac.explain.warp import view_warp

        if path_kind(pair, generator) != "warp":
            return None
        return view_warp(pair, inner_generator(generator), classifier)

    return start


@stepwise
def explain_methods(
    wanted: Explanations,
    classifier: Classifier,
    methods: tuple[str, ...],
    known: Explanations | None = None,
) -> Generator[Progress, None, Explanations]:
    """Explain a pair by several methods; one that fails does not keep the others from going on.

    Parameters
    ----------
    wanted : Explanations
        Without any yet: the pair, and how it is explained.
    classifier : Classifier
        The one that judged the pair.
    methods : tuple of str
        Names in the registry of methods.
    known : Explanations, optional
        What is there already. Of the same pair, nothing is computed again that would come out
        the same: neither explanations nor, under another masking, attributions.

    Returns
    -------
    Steps of Explanations
        ``Progress.partial`` is what has come so far, after each method.
    """
    from napari_quac.explain.attribution import attribute
    from napari_quac.explain.method_parameters import build_method, merged
    from napari_quac.explain.pipeline import explain_attribution
    from napari_quac.explain.settings import PRESETS

    pair, done = wanted.pair, wanted
    procedure = PRESETS[wanted.preset].settings.procedure
    parameters = merged(PRESETS[wanted.preset].settings.parameters, wanted.parameters)
    seen = procedure.pair(pair)  # once, so that all explanations share it
    attributions = _known_attributions(wanted, known)
    if known is not None and (known.masking, known.grid) == (wanted.masking, wanted.grid):
        kept = {name: known.by_method[name] for name in methods if name in attributions}
        done = replace(done, by_method=kept)
    for number, name in enumerate(methods):
        if name in done.by_method:
            continue
        yield Progress(number, len(methods), f"explain by {name}", done)
        try:
            attribution = attributions.get(name)
            if attribution is None:
                method = build_method(name, parameters)
                steps = attribute(procedure.attributed(pair, method), name, method, classifier)
                attribution = yield from _renumbered(steps, number, len(methods), name, done)
            curve = explain_attribution(
                seen, attribution, classifier, wanted.masking, wanted.grid, procedure
            )
            explanation = yield from _renumbered(curve, number, len(methods), name)
        except Exception as error:  # noqa: BLE001 - kept beside the methods that worked
            done = replace(done, failures={**done.failures, name: error})
            continue
        found = {**done.by_method, name: explanation}
        done = replace(done, by_method={key: found[key] for key in methods if key in found})
    return done


def _known_attributions(wanted: Explanations, known: Explanations | None) -> dict[str, Attribution]:
    """Return the attributions that would come out the same."""
    if known is None or known.pair is not wanted.pair or known.preset != wanted.preset:
        return {}
    return {
        name: explanation.attribution
        for name, explanation in known.by_method.items()
        if dict(known.parameters.get(name, {})) == dict(wanted.parameters.get(name, {}))
    }


def _renumbered(
    steps: Steps[T], number: int, total: int, name: str, done: Explanations | None = None
) -> Generator[Progress, None, T]:
    """Pass on the steps of one of several methods, with the mask that it is optimising."""
    generator = iter(steps)
    while True:
        try:
            step = next(generator)
        except StopIteration as end:
            value: T = end.value
            return value
        share = step.done / step.total if step.total else 0.0
        evolving = evolving_of(name, step)
        shown = replace(done, evolving=evolving) if done is not None and evolving else None
        text = f"{name}: {step.text}" if evolving else f"explain by {name}"
        yield Progress(round(100 * (number + share)), 100 * total, text, shown, finish=step.finish)


def evolving_of(name: str, step: Progress) -> Evolving | None:
    """Return the mask that a step of a method tells of; None for methods that have none."""
    from napari_quac.networks.fido.settings import MaskState

    state = step.partial
    if not isinstance(state, MaskState):
        return None
    text = f"step {state.step} of {step.total} · {state.region_size:.1%}"
    return Evolving(name, state.map, state.region.float(), state.hybrid, text)


def _compare(choices: Choices, results: Results) -> Work:
    from napari_quac.data.spread import evenly_spaced

    classifier, dataset = present(results.loaded_classifier), present(results.loaded_samples)
    preset, masking, grid = choices.preset, choices.masking, choices.grid
    parameters, target, seed = dict(choices.parameters), choices.target, choices.seed
    n, tries = choices.compared_samples, choices.max_tries
    pair, index, generator = results.pair, choices.sample_index, results.loaded_generator
    rows = results.order.indices.tolist() if results.order else range(len(dataset))

    def start() -> Any:
        from napari_quac.explain.methods import METHODS
        from napari_quac.explain.settings import AUTO, ExplainSettings, SearchSettings
        from napari_quac.reports.comparison import compare_pair, compare_samples, true_difference

        settings = replace(
            ExplainSettings.from_preset(preset).with_methods(tuple(METHODS), parameters),
            masking=masking,
            grid=grid,
            search=SearchSettings(max_tries=tries),
            targets=AUTO if target is None else (classifier.class_names[target],),
            seed=seed,
        )
        if not n:
            truth = true_difference(dataset, present(index), present(pair), classifier)
            return compare_pair(present(pair), classifier, settings, truth)
        indices = [rows[place] for place in evenly_spaced(len(rows), n)]
        return compare_samples(indices, dataset, classifier, present(generator), settings)

    return start


def _show(choices: Choices, results: Results) -> Work:
    explanations = present(results.explanations)
    method, threshold = choices.shown_method, choices.threshold
    before = results.displayed_hybrid

    def show() -> DisplayedHybrid | None:
        from napari_quac.explain.curve import hybrid_at

        explanation = explanations.by_method.get(method)
        if explanation is None:
            return None
        curve = explanation.curve
        index = curve.best if threshold is None else nearest_position(curve, threshold)
        if before is not None and before.explanation is explanation and before.index == index:
            return before
        return DisplayedHybrid(explanation, hybrid_at(explanation.pair, curve, index), index)

    return show


def _find_regions(choices: Choices, results: Results) -> Work:
    shown, classifier = present(results.displayed_hybrid), present(results.loaded_classifier)

    def start() -> Steps[Regions]:
        from napari_quac.explain.regions import find_regions

        return find_regions(shown.explanation, classifier, shown.index)

    return start


def _measure_change(choices: Choices, results: Results) -> Work:
    shown, labels = present(results.displayed_hybrid), choices.labels

    def start() -> Steps[Morphometry]:
        from napari_quac.explain.morphometry import measure_change

        values = labels.read() if labels is not None else None
        return measure_change(shown.explanation, values, shown.index)

    return start


def nearest_position(curve: Curve, threshold: float) -> int:
    """Return the index of the distinct mask that a threshold of a curve belongs to."""
    import numpy as np

    positions = curve.distinct()
    n_below = int(np.searchsorted(curve.thresholds[positions], threshold + 1e-9, side="right"))
    return int(positions[max(0, n_below - 1)])


RULES: dict[str, Rule] = {
    "loaded_samples": Rule(("samples",), _load_samples, "reading the samples", reverts=True),
    "loaded_classifier": Rule(
        ("classifier", "device"), _load_classifier, "loading the classifier", reverts=True
    ),
    "loaded_generator": Rule(
        ("generator", "device"), _load_generator, "loading the generator", reverts=True
    ),
    "sample": Rule(
        ("loaded_samples", "sample_index"), _read_sample, "reading the sample", urgent=True
    ),
    "previews": Rule(("loaded_samples",), _previews, "reading previews", brief=True),
    "prediction": Rule(
        ("sample", "loaded_classifier"), _predict, "predicting the sample", urgent=True
    ),
    "sample_list": Rule(("loaded_samples",), _list, "listing the samples", keep=False, brief=True),
    "predictions": Rule(
        ("loaded_samples", "loaded_classifier"),
        _predict_all,
        "predicting all samples",
        on_demand=True,
        partial_to="predictions",
        background=True,
        by_itself=_is_cheap,
    ),
    "report": Rule(("report_folder",), _open_report, "opening the explanations", reverts=True),
    "report_columns": Rule(
        ("sample_list", "report"),
        _recorded,
        "lining the explanations up",
        also=("loaded_classifier",),
        brief=True,
    ),
    "explanation_status": Rule(
        ("sample_list",), _outcomes, "listing the explanations", also=("report_columns",), here=True
    ),
    "loaded_explanations": Rule(
        ("sample", "report", "loaded_classifier"),
        _restored,
        "reading the explanation",
        also=("target",),
        keep=False,
        brief=True,
    ),
    "order": Rule(
        ("sample_list",),
        _order,
        "filtering the samples",
        also=(
            "predictions",
            "report_columns",
            "explanation_status",
            "filter_text",
            "sort_by",
            "sort_ascending",
        ),
        here=True,
    ),
    "neighbours": Rule(
        ("prediction", "predictions", "loaded_samples", "loaded_classifier"),
        _neighbours,
        "looking for neighbours",
        keep=False,
        brief=True,
    ),
    "pair": Rule(
        ("sample", "prediction", "loaded_classifier", "loaded_generator"),
        _search,
        "searching a generated image",
        on_demand=True,
        partial_to="partial_pair",
        state_to="search_state",
    ),
    "explanations": Rule(
        ("pair", "loaded_classifier", "methods", "parameters", "masking", "grid", "preset"),
        _explain,
        "explaining the pair",
        partial_to="explanations",
    ),
    "comparison": Rule(
        ("loaded_samples", "loaded_classifier", "loaded_generator"),
        _compare,
        "comparing all methods",
        also=("pair", "masking", "grid", "parameters", "preset", "compared_samples"),
        on_demand=True,
        partial_to="comparison",
    ),
    "exaggeration": Rule(
        ("prediction", "loaded_classifier"),
        _exaggerate,
        "exaggerating the query",
        also=("pair", "loaded_generator", "explainer"),
        on_demand=True,
    ),
    "warp": Rule(
        ("pair", "loaded_generator", "loaded_classifier"),
        _view_warp,
        "looking at the deformation",
        keep=False,
        brief=True,
    ),
    "displayed_hybrid": Rule(
        ("explanations", "shown_method"), _show, "making the hybrid", also=("threshold",), here=True
    ),
    "regions": Rule(
        ("displayed_hybrid", "loaded_classifier"),
        _find_regions,
        "asking about regions",
        on_demand=True,
    ),
    "morphometry": Rule(
        ("displayed_hybrid",),
        _measure_change,
        "measuring the change",
        also=("labels",),
        on_demand=True,
    ),
}
