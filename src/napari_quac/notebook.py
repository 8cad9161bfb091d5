"""The Python interface for notebooks and scripts: arrays, files and functions in, explanations out.

Everything here calls the functions that the window and the command line call, so the same settings
give the same arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from napari_quac.batch.tasks import explain_tasks, tasks_of
from napari_quac.data.dataset import Dataset, Sample
from napari_quac.data.image_file import read_image, to_unit_range
from napari_quac.data.image_sources import recipe_of
from napari_quac.errors import DataError, MethodUnavailableError, ShapeError
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.method_parameters import build_method
from napari_quac.explain.pair import make_pair
from napari_quac.explain.pipeline import explain, explain_pair
from napari_quac.explain.question import choose_question
from napari_quac.explain.settings import AUTO, ExplainSettings
from napari_quac.generators.infill.recipe import InfillRecipe
from napari_quac.generators.opening import (
    load_classifier,
    load_generator,
    recognize_generator,
)
from napari_quac.networks.class_naming import name_after_labels
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import FunctionGenerator, Generator
from napari_quac.reports.opening import open_report
from napari_quac.reports.report import Report
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import StoreInfo

Image = ArrayLike | Tensor | Sample | str | Path
ImageFunction = Callable[[Tensor, int, int, int], Tensor]


def explain_image(
    image: Image,
    classifier: Classifier | str | Path,
    generator: Generator | ImageFunction | ArrayLike | Tensor | str | Path | None = None,
    target: str | int | None = None,
    *,
    source: str | int | None = None,
    methods: Sequence[str] | None = None,
    settings: ExplainSettings | None = None,
    seed: int | None = None,
    max_tries: int | None = None,
    image_range: tuple[float, float] | None = None,
    progress: bool = False,
) -> Explanations:
    """Explain why a classifier assigns its class to an image, and not the target class.

    Parameters
    ----------
    image : (H, W), (C, H, W) or (H, W, C) array or Tensor, or path, or Sample
        The query; volumes are (D, H, W) or (C, D, H, W). Floating-point values are in [0, 1], 8-bit
        values in [0, 255]; other types of number need ``image_range``.
    classifier : Classifier or path
        The classifier under study; ``load_classifier(module, …)`` makes one of a torch module.
    generator : Generator, path, function or image, optional
        Source of the generated images: a generator or its file, a function
        ``function(query, source, target, seed)`` on (C, *S) Tensors in [0, 1], or a generated image
        of the query's shape and value range; by default ``"infill"``, a blurred copy of the query.
    target : str or int, optional
        Class to reach, by name or index; by default the second most probable class.
    source : str or int, optional
        Class to leave; by default the predicted class.
    methods : sequence of str, optional
        Names of attribution methods; see ``napari_quac.METHODS``.
    settings : ExplainSettings, optional
        Everything else that decides an explanation, such as
        ``ExplainSettings.from_preset("dapi")``; by default that of QuAC.
    seed, max_tries : int, optional
        Seed of the search and maximum number of proposals, instead of those in ``settings``.
    image_range : (low, high), optional
        Values that become 0 and 1.
    progress : bool
        Show a progress bar in the terminal or notebook.

    Returns
    -------
    Explanations
        A mapping from the name of a method to its :class:`Explanation`. Methods that cannot be
        computed on this network are in ``failures``, unless they were chosen by ``methods``.

    Raises
    ------
    QuacError
        If an input does not fit, a chosen method cannot be computed on this network, or the
        generator has no image of the target class. The message says what to do.

    Examples
    --------
    >>> from napari_quac.testing import corner_classifier, corner_generator, corner_image
    >>> networks = corner_classifier(), corner_generator()
    >>> explanation = explain_image(corner_image(0), *networks, "right", methods=["d-ig"])["d-ig"]
    >>> explanation.pair.switches
    True
    """
    classifier = _as_classifier(classifier)
    settings = _settings(settings, methods, seed, max_tries, generator)
    sample = _as_sample(image, classifier, image_range)
    classes = _choose_classes(sample, classifier, settings, source, target)
    if isinstance(generator, Tensor | np.ndarray | list):
        generated = _as_sample(generator, classifier, image_range).image
        pair = make_pair(sample, generated, *classes, classifier)
        steps = explain_pair(pair, classifier, settings)
    else:
        generator = _as_generator(generator)
        steps = explain(sample, classes[1], classifier, generator, settings, source=classes[0])
    explanations = steps.result(progress=progress)
    # a default method that this network does not allow is reported beside the others
    ignored = () if methods or not explanations else (MethodUnavailableError,)
    explanations.raise_failures(*ignored)
    return explanations


def attribute_image(
    query: Image,
    generated: ArrayLike | Tensor | str | Path,
    classifier: Classifier | str | Path,
    method: str = "d-ig",
    *,
    image_range: tuple[float, float] | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Attribution:
    """Attribute the difference between a query and a generated image to pixels.

    Parameters
    ----------
    query, generated : array, Tensor or path
        See :func:`explain_image`; both of one shape.
    classifier : Classifier or path
        The classifier under study.
    method : str
        Name of the attribution method; see ``napari_quac.METHODS``.
    image_range : (low, high), optional
        Values that become 0 and 1.
    progress : bool
        Show a progress bar in the terminal or notebook.
    **parameters
        Parameters of the method, such as ``n_steps=20``.

    Returns
    -------
    Attribution
        ``values`` is the (C, *S) Tensor in [0, 1], ``signed`` the map as computed.

    Raises
    ------
    QuacError
        If the images do not fit, both are of one class, or the method cannot be computed.
    """
    classifier = _as_classifier(classifier)
    sample = _as_sample(query, classifier, image_range)
    other = _as_sample(generated, classifier, image_range).image
    source = int(_predict(sample, classifier).argmax())
    target = int(_predict(Sample("generated image", other), classifier).argmax())
    pair = make_pair(sample, other, source, target, classifier)
    implementation = build_method(method, {method: parameters})
    return attribute(pair, method, implementation, classifier).result(progress=progress)


def explain_folder(
    samples: Dataset | str | Path,
    classifier: Classifier | str | Path,
    generator: Generator | ImageFunction | str | Path | None,
    output: str | Path,
    *,
    target: str = AUTO,
    methods: Sequence[str] | None = None,
    settings: ExplainSettings | None = None,
    seed: int | None = None,
    max_tries: int | None = None,
    progress: bool = False,
) -> Report:
    """Explain every image of a folder into a store; an interrupted run is continued.

    Parameters
    ----------
    samples : path or Dataset
        Folder with one subfolder for each class, a stack with labels, or any dataset, such as
        ``ImageFolder(folder, labels=Path("labels.csv"))`` or ``ImageFolder(folder, split="test")``.
    classifier, generator
        See :func:`explain_image`; None as generator for a blurred copy of each image.
    output : path
        Folder of the store. Samples that it explains already, with the same settings and networks,
        are not computed again.
    target : str
        ``"auto"`` for the second most probable class, or the true class of a misprediction;
        ``"all"``; or the name of a class.
    methods, settings, seed, max_tries, progress
        See :func:`explain_image`.

    Returns
    -------
    Report
        ``to_frame()`` is a pandas table with one row for each sample, target and method. A sample
        that fails is an entry of ``failures``, and the others continue.

    Raises
    ------
    QuacError
        If a network or the folder cannot be used, or the store belongs to other settings.
    """
    dataset = recipe_of(Path(samples)).load() if isinstance(samples, str | Path) else samples
    classifier = name_after_labels(_as_classifier(classifier), dataset.classes)
    # the recipe of a file identifies it by its hash, as a run and the dock do
    is_file = isinstance(generator, str | Path)
    recipe = recognize_generator([str(generator)]).recipe if is_file else None
    if generator is None:
        recipe = InfillRecipe()
    generator = recipe.load() if recipe is not None else _as_generator(generator)
    settings = _settings(settings, methods, seed, max_tries, recipe or generator)
    settings = replace(settings, targets=target)
    store = ExplanationStore.open_or_create(
        output,
        StoreInfo.of(
            classifier, generator, recipe or generator, settings, dataset.name, dataset=dataset
        ),
    )
    store.clean()
    tasks = tasks_of(dataset)
    explain_tasks(tasks, dataset, classifier, generator, settings, store).result(progress=progress)
    return open_report(output)


def _choose_classes(
    sample: Sample,
    classifier: Classifier,
    settings: ExplainSettings,
    source: str | int | None,
    target: str | int | None,
) -> tuple[int, int]:
    question = choose_question(
        _predict(sample, classifier),
        None,
        settings,
        classifier,
        source=None if source is None else classifier.class_index(source),
        targets=None if target is None else [classifier.class_index(target)],
    )
    if not question.targets:
        name = classifier.class_names[question.source]
        raise DataError(f"Source and target are both '{name}'. Choose another target.")
    return question.source, question.targets[0]


def _as_classifier(classifier: Any) -> Classifier:
    if isinstance(classifier, Classifier):
        return classifier
    if isinstance(classifier, str | Path):
        return load_classifier(classifier)
    raise DataError(
        f"The classifier is of type {type(classifier).__name__}. Make it a classifier first: "
        "load_classifier(module, classes=[…], value_range=(0, 1))."
    )


def _as_generator(generator: Any) -> Generator:
    if isinstance(generator, str | Path):
        return load_generator(generator)
    if generator is None:
        return InfillRecipe().load()
    if hasattr(generator, "propose"):
        return generator  # type: ignore[no-any-return]  # the protocol is its method
    if callable(generator):
        return FunctionGenerator(generator, getattr(generator, "__name__", "function"))
    raise DataError(
        f"The generator is of type {type(generator).__name__}; expected a generator, the path of "
        "its file, or a function (query, source, target, seed)."
    )


def _settings(
    settings: ExplainSettings | None,
    methods: Sequence[str] | None,
    seed: int | None,
    max_tries: int | None,
    generator: Any,
) -> ExplainSettings:
    without_generator = generator is None or isinstance(generator, InfillRecipe)
    if without_generator and settings is None and methods is None:
        methods = InfillRecipe.default_methods
    settings = settings or ExplainSettings()
    if methods is not None:
        settings = settings.with_methods((methods,) if isinstance(methods, str) else tuple(methods))
    if seed is not None:
        settings = replace(settings, seed=seed)
    if max_tries is not None:
        settings = replace(settings, search=replace(settings.search, max_tries=max_tries))
    return settings


def _predict(sample: Sample, classifier: Classifier) -> Tensor:
    classifier.check_image(sample.image.shape, f"The image '{sample.id}'")
    return classifier.predict(sample.image[None])[0]


def _as_sample(
    image: Any, classifier: Classifier, image_range: tuple[float, float] | None
) -> Sample:
    """Return an image as a sample of the classifier's number of axes and channels."""
    if isinstance(image, Sample):
        return image
    n_axes = classifier.n_axes or 2
    if isinstance(image, str | Path):
        return Sample(Path(image).name, read_image(image, image_range, n_axes), path=Path(image))
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if array.ndim == n_axes:
        array = array[None]
    elif array.ndim == n_axes + 1 and array.shape[0] != classifier.channels == array.shape[-1]:
        array = np.moveaxis(array, -1, 0)
    if array.ndim != n_axes + 1:
        axes = "(H, W)" if n_axes == 2 else "(D, H, W)"
        raise ShapeError(
            f"The image has shape {array.shape}; the classifier takes {axes}, or that with a "
            f"channel axis of {classifier.channels}. Choose one image of the stack."
        )
    values = to_unit_range(array, image_range, "image")
    return Sample("image", torch.from_numpy(np.ascontiguousarray(values)))
