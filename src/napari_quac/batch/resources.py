"""Samples and networks of a plan, loaded once in each process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_quac.batch.plan import BatchPlan
from napari_quac.batch.plan_values import paths_in
from napari_quac.data.dataset import Dataset
from napari_quac.data.image_datasets import ImageFiles
from napari_quac.networks.classifier import Classifier, name_classes
from napari_quac.networks.device import resolve_device
from napari_quac.networks.generator import Generator
from napari_quac.reports.store_info import StoreInfo

_loaded: dict[str, Resources] = {}


@dataclass(frozen=True, eq=False)
class Resources:
    """Samples and networks of a plan.

    Attributes
    ----------
    dataset : Dataset
    classifier : Classifier
    generator : Generator
    """

    dataset: Dataset
    classifier: Classifier
    generator: Generator


def load_resources(plan: BatchPlan) -> Resources:
    """Load samples and networks of a plan; those of the last plan are cached until a file changes.

    Raises
    ------
    QuacError
        If samples or networks cannot be loaded.
    """
    recipes = (plan.samples, plan.classifier, plan.generator)
    key = repr((recipes, plan.device, [_state(path) for path in paths_in(recipes)]))
    if key not in _loaded:
        _loaded.clear()
        dataset = plan.samples.load()
        device = resolve_device(plan.device)
        generator = plan.generator.load(device)
        classifier = name_classes(
            plan.classifier.load(plan.device),
            dataset.classes,
            generator.class_names,
        )
        if isinstance(dataset, ImageFiles) and classifier.n_axes is not None:
            dataset.n_axes = classifier.n_axes
        _loaded[key] = Resources(dataset, classifier, generator)
    return _loaded[key]


def describe(plan: BatchPlan) -> StoreInfo:
    """Return the description of the store of a plan; loads the networks, refuses unknown targets.

    Raises
    ------
    QuacError
        If a network cannot be loaded, or the classifier does not know a target.
    """
    resources = load_resources(plan)
    settings = plan.settings
    if not isinstance(settings.targets, str):
        for name in settings.targets:
            resources.classifier.class_index(name)
    return StoreInfo.of(
        resources.classifier,
        resources.generator,
        plan.generator,
        settings,
        resources.dataset.name,
        replace(plan, device="auto").plain(),
    )


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
