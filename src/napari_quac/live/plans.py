"""Plans from the choices of the dock, and choices from plans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.errors import DataError
from napari_quac.explain.settings import AUTO
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.generators.opening import RecognizedNetwork, Role
    from napari_quac.networks.consent import Request

ROLES: tuple[Role, Role] = ("classifier", "generator")


@dataclass(frozen=True)
class OpenedPlan:
    """A plan and the inspection of its network files.

    Attributes
    ----------
    plan : BatchPlan
    classifier, generator : RecognizedNetwork
        With the recipes of the plan.
    programs : tuple of Request
        Those of both networks and of the parameters of methods, which are run only with the
        consent of the user.
    """

    plan: BatchPlan
    classifier: RecognizedNetwork
    generator: RecognizedNetwork
    programs: tuple[Request, ...] = ()


def plan_from(choices: Choices, results: Results, output: Path) -> BatchPlan:
    """Return the plan of *Explain these*.

    Parameters
    ----------
    choices : Choices
        Samples, networks and settings.
    results : Results
        The order of the samples.
    output : Path
        Folder of the results.

    Returns
    -------
    BatchPlan
        With the ids of the listed samples, if a filter is set.

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
        samples=samples_recipe(choices.samples),
        classifier=choices.classifier,
        generator=choices.generator,
        settings=choices.settings,
        class_map=choices.class_map,
        device=choices.device,
        output=output,
        only=_listed_ids(choices, results),
        filter=choices.filter_text,
    )


def unsupported_by_dock(plan: BatchPlan) -> str:
    """Return notes of a plan and sentences about parts that the dock cannot show, if any."""
    sentences = list(plan.notes)
    if plan.only and not plan.filter:
        sentences.append(
            f"The plan explains {len(plan.only)} samples; the table lists all of them."
        )
    targets = plan.settings.targets
    if targets != AUTO and (isinstance(targets, str) or len(targets) > 1):
        classes = "every class" if isinstance(targets, str) else ", ".join(targets)
        sentences.append(
            f"The plan has the target {classes}; the dock explains one target at a time, "
            "'napari-quac run' all of them."
        )
    return " ".join(sentences)


def _listed_ids(choices: Choices, results: Results) -> tuple[str, ...]:
    """Return the ids that pass the filter, in the order of the dataset; empty for all samples."""
    order = results.order
    if not choices.filter_text or order is None or len(order) == len(order.columns):
        return ()
    if not len(order):
        raise DataError("No sample passes the filter, so there is nothing to plan. Change it.")
    return tuple(str(name) for name in order.columns.sample_list.ids[np.sort(order.indices)])


def open_plan(path: Path) -> OpenedPlan:
    """Read a plan and recognize its network files; runs in the lane.

    Raises
    ------
    DataError, UnknownNameError, CheckpointError
        If the plan or a network of it cannot be used.
    """
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.networks.consent import programs_in

    plan = BatchPlan.read(path)
    networks = {role: inspect_recipe(role, getattr(plan, role)) for role in ROLES}
    programs = programs_in(plan.samples, plan.classifier, plan.generator, plan.settings)
    return OpenedPlan(plan, networks["classifier"], networks["generator"], programs)


def inspect_recipe(role: Role, recipe: Any) -> RecognizedNetwork:
    """Recognize the file of a recipe, which may contain a program; runs in the lane.

    Raises
    ------
    DataError, CheckpointError
        If the file is missing, or is no network of this role.
    """
    from napari_quac.generators.opening import RecognizedNetwork, recognize_network

    file = next(iter(recipe.paths()), None)
    if file is None:
        return RecognizedNetwork.of(role, recipe)
    network = recognize_network(file, role=role)
    if network.role != role:
        raise DataError(f"'{file.name}' is a {network.role}, not a {role}. Correct the plan.")
    return network.with_recipe(recipe)


def apply_plan(plan: BatchPlan, choices: Choices, class_names: tuple[str, ...] = ()) -> None:
    """Choose the samples and settings of a plan; the session opens its networks."""
    settings = plan.settings
    choices.device = plan.device
    targets = settings.targets
    is_single = isinstance(targets, tuple) and len(targets) == 1 and targets[0] in class_names
    choices.use_settings(settings if is_single else replace(settings, targets=AUTO))
    choices.class_map = plan.class_map
    choices.filter_text = plan.filter
    choices.samples = plan.samples


def samples_recipe(source: Any) -> Any:
    """Return the recipe of samples; those of the example can be drawn again."""
    from napari_quac.data.synthetic import SyntheticRecipe, SyntheticSynapses

    if isinstance(source, ReadySamples):
        dataset = source.dataset
        if isinstance(dataset, SyntheticSynapses):
            return SyntheticRecipe(len(dataset), dataset.split, dataset.seed)
        raise DataError(
            f"The samples '{dataset.name}' exist in this window only, so a plan cannot name them. "
            "Save them as a folder with one subfolder per class, and choose that folder."
        )
    return source
