"""The choices of the dock as a plan for a run, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.live.network_files import Found


@dataclass(frozen=True)
class OpenedPlan:
    """A plan that was read, with a look into its network files.

    Attributes
    ----------
    plan : BatchPlan
    classifier, generator : Found
        With the recipes of the plan; the user is asked before a program is run.
    """

    plan: BatchPlan
    classifier: Found
    generator: Found


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

    Raises
    ------
    DataError
        If samples or networks are missing, or exist in memory only.
    """
    from napari_quac.batch.asking import AUTO
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.explain.search import SearchSettings

    for name in ("samples", "classifier", "generator"):
        if getattr(choices, name) is None:
            raise DataError(f"A plan needs samples and both networks; the {name} is missing.")
    classifier = results.loaded_classifier
    targets: Any = AUTO
    if choices.target is not None and classifier is not None:
        targets = (classifier.class_names[choices.target],)
    return BatchPlan(
        samples=_samples_recipe(choices.samples),
        classifier=choices.classifier,
        generator=choices.generator,
        targets=targets,
        methods=choices.methods,
        masking=choices.masking,
        search=SearchSettings(max_tries=choices.max_tries),
        seed=choices.seed,
        device=choices.device,
        output=output,
    )


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
    from napari_quac.live.network_files import Found, look_into

    plan = BatchPlan.read(path)
    found = {}
    for role in ("classifier", "generator"):
        recipe = getattr(plan, role)
        place = next((v for v in vars(recipe).values() if isinstance(v, Path)), None)
        if place is None and role == "generator":
            found[role] = Found("generator", recipe)  # one that needs no file
            continue
        if place is None:
            raise DataError(f"The {role} of '{path.name}' names no file, so it cannot be opened.")
        looked = look_into(place)
        if looked.role != role:
            raise DataError(f"'{place.name}' in '{path.name}' is no {role}, but a {looked.role}.")
        found[role] = replace(looked, recipe=recipe)
    return OpenedPlan(plan, found["classifier"], found["generator"])


def apply_plan(plan: BatchPlan, choices: Choices, class_names: tuple[str, ...] = ()) -> None:
    """Take samples and settings of a plan; networks are taken by who asks about programs."""
    choices.device = plan.device
    choices.methods = plan.methods
    if choices.shown_method not in plan.methods:
        choices.shown_method = plan.methods[0]
    choices.masking = plan.masking
    choices.max_tries = plan.search.max_tries
    choices.seed = plan.seed
    choices.target = None
    if (
        isinstance(plan.targets, tuple)
        and len(plan.targets) == 1
        and plan.targets[0] in class_names
    ):
        choices.target = class_names.index(plan.targets[0])
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
