"""The choices of the dock as a plan for a run, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.errors import DataError
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.generators.opening import RecognizedNetwork


@dataclass(frozen=True)
class OpenedPlan:
    """A plan that was read, with a look into its network files.

    Attributes
    ----------
    plan : BatchPlan
    classifier, generator : RecognizedNetwork
        With the recipes of the plan; the user is asked before a program is run.
    """

    plan: BatchPlan
    classifier: RecognizedNetwork
    generator: RecognizedNetwork


def plan_of(choices: Choices, results: Results, output: Path) -> BatchPlan:
    """Return the plan that does in a run what the dock does with all samples.

    Parameters
    ----------
    choices : Choices
        What is chosen in the dock.
    results : Results
        Names of classes are taken from the loaded classifier.
    output : Path
        Folder of the results.

    Returns
    -------
    BatchPlan
        About the samples in view, if a filter is set.

    Raises
    ------
    DataError
        If samples or networks are missing, or exist in memory only.
    """
    from napari_quac.batch.plan import BatchPlan

    for name in ("samples", "classifier", "generator"):
        if getattr(choices, name) is None:
            raise DataError(f"A plan needs samples and both networks; the {name} is missing.")
    return BatchPlan(
        samples=_samples_recipe(choices.samples),
        classifier=choices.classifier,
        generator=choices.generator,
        settings=chosen_settings(choices, results),
        device=choices.device,
        output=output,
        only=_ids_in_view(choices, results),
        filter=choices.filter_text,
    )


def chosen_settings(choices: Choices, results: Results) -> ExplainSettings:
    """Return the settings that the choices stand for."""
    from napari_quac.explain.settings import AUTO, ExplainSettings

    classifier = results.loaded_classifier
    targets: Any = AUTO
    if choices.target is not None and classifier is not None:
        targets = (classifier.class_names[choices.target],)
    settings = ExplainSettings.from_preset(choices.preset)
    return replace(
        settings.with_methods(choices.methods, choices.parameters),
        masking=choices.masking,
        grid=choices.grid,
        search=replace(settings.search, max_tries=choices.max_tries),
        targets=targets,
        seed=choices.seed,
    )


def not_shown(plan: BatchPlan) -> str:
    """Return what of a plan the dock does not take over, in words; empty if it takes all."""
    said = []
    if plan.only and not plan.filter:
        said.append(f"It is about {len(plan.only)} samples; the table shows all of them.")
    targets = plan.settings.targets
    if targets != "auto" and (isinstance(targets, str) or len(targets) > 1):
        every = "every class" if isinstance(targets, str) else ", ".join(targets)
        said.append(
            f"It asks each sample about {every}; the dock asks about one class at a time, "
            "'napari-quac run' about all."
        )
    return " ".join(said)


def _ids_in_view(choices: Choices, results: Results) -> tuple[str, ...]:
    """Return the ids that the filter holds, in the order of the dataset; none for all samples."""
    order = results.order
    if not choices.filter_text or order is None or len(order) == len(order.columns):
        return ()
    if not len(order):
        raise DataError("The filter holds no sample, so there is nothing to plan. Choose another.")
    return tuple(str(name) for name in order.columns.sample_list.ids[np.sort(order.indices)])


def write_plan(plan: BatchPlan, path: Path) -> None:
    """Write a plan, and say what to do where it cannot be written.

    Raises
    ------
    DataError
        If samples or networks exist in memory only, or the file cannot be written.
    """
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if not isinstance(plan.classifier, ClassifierRecipe):
        raise DataError("The classifier exists in memory only; a plan needs its file.")
    plan.write(path)


def open_plan(path: Path) -> OpenedPlan:
    """Read a plan and look into its networks; runs in the lane.

    Raises
    ------
    DataError, UnknownNameError, CheckpointError
        If the plan or a network of it cannot be used.
    """
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.generators.opening import RecognizedNetwork, recognize_network

    plan = BatchPlan.read(path)
    found = {}
    for role in ("classifier", "generator"):
        recipe = getattr(plan, role)
        place = next(iter(recipe.paths()), None)
        if place is None and role == "generator":
            found[role] = RecognizedNetwork("generator", recipe)  # one that needs no file
            continue
        if place is None:
            raise DataError(f"The {role} of '{path.name}' names no file, so it cannot be opened.")
        looked = recognize_network(place)
        if looked.role != role:
            raise DataError(f"'{place.name}' in '{path.name}' is no {role}, but a {looked.role}.")
        found[role] = replace(looked, recipe=recipe)
    return OpenedPlan(plan, found["classifier"], found["generator"])


def apply_plan(plan: BatchPlan, choices: Choices, class_names: tuple[str, ...] = ()) -> None:
    """Take samples and settings of a plan; networks are taken by who asks about programs."""
    from napari_quac.explain.settings import PRESETS

    choices.device = plan.device
    settings = plan.settings
    initial = PRESETS[settings.preset or "quac"].settings.parameters
    choices.methods = settings.methods
    if choices.shown_method not in settings.methods:
        choices.shown_method = settings.methods[0]
    choices.preset = settings.preset or "quac"
    choices.parameters = {
        name: values
        for name, values in settings.parameters.items()
        if values != initial.get(name, {})
    }
    choices.masking, choices.grid = settings.masking, settings.grid
    choices.filter_text = plan.filter
    choices.max_tries = settings.search.max_tries
    choices.seed = settings.seed
    choices.target = None
    targets = settings.targets
    if isinstance(targets, tuple) and len(targets) == 1 and targets[0] in class_names:
        choices.target = class_names.index(targets[0])
    choices.samples = plan.samples


def _samples_recipe(source: Any) -> Any:
    """Return samples as a recipe; those of the example can be drawn again."""
    from napari_quac.data.recipes import SyntheticRecipe
    from napari_quac.data.synthetic import SyntheticSynapses

    if isinstance(source, ReadySamples):
        dataset = source.dataset
        if isinstance(dataset, SyntheticSynapses):
            return SyntheticRecipe(len(dataset), dataset.split, dataset.seed)
        raise DataError(
            f"The samples '{dataset.name}' exist in this window only, so a plan cannot name them. "
            "Save them as a folder with one subfolder per class, and choose that."
        )
    return source
