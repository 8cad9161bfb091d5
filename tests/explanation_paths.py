"""The ways from a sample to its explanations, one adapter for each, on tiny real networks.

Every adapter answers one :class:`Case` and returns an :class:`Answer`, so that the answers can be
compared; a change of the interface of one of the ways touches its adapter alone.
"""

from __future__ import annotations

import io
import json
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_quac.batch.plan import BatchPlan
from napari_quac.cli import main
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.pair import Pair
from napari_quac.explain.pipeline import explain
from napari_quac.explain.question import question_for
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.file import stargan_metadata
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.lane import Lane
from napari_quac.live.results import Results
from napari_quac.networks.architectures.stargan_v2 import StarGAN, StarGANHyperparameters
from napari_quac.networks.architectures.warp_unet import WarpHyperparameters, WarpUNet
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.consent import programs_in, trust
from napari_quac.networks.value_range import ValueRange
from napari_quac.reports.comparison import Comparison, comparison_rows
from napari_quac.reports.record import Failure, explained_record, to_json
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.task_images import images_of
from napari_quac.storage import write_file
from napari_quac.testing import CLASSES, CornerNetwork, corner_generator, corner_image
from napari_quac.train.checkpointing import encode_safetensors

SIZE = 16
METHODS = ("d-ig", "d-ingrad", "gc", "residual", "random")
UNAVAILABLE = "gc"
"""A method that the corner classifier does not allow, since it has no convolution."""
SEED = 3
TRIES = 12
SECONDS = 120

PRESETS = ("quac", "dapi")
# not a mere range, so that pixels are attributed in the images, and through its steps
PREPROCESSING = Preprocessing(value_range=(0.0, 2.0), mean=(0.5,), std=(1.5,))
BASES = ("prediction", "label", "default")
GENERATORS = ("stargan", "generated", "exaggeration", "warp")
SAMPLES = ("correct", "mispredicted")


@dataclass(frozen=True)
class Case:
    """One question: how it is asked, of which sample, and which generator answers it."""

    preset: str
    basis: str
    generator: str
    sample: str

    @property
    def name(self) -> str:
        """Identifier of the test."""
        return "-".join((self.preset, self.basis, self.generator, self.sample))

    @property
    def resolved_basis(self) -> str:
        """The source basis that the default stands for."""
        if self.basis != "default":
            return self.basis
        return "label" if self.generator == "generated" else "prediction"


@dataclass(frozen=True, eq=False)
class Answer:
    """Serialized explanations of one sample, and their arrays by name.

    Attributes
    ----------
    record : dict
        The record of the store, as its JSON is read; its source and target are the question.
    images : dict of str to ndarray
        Query, generated image and the maps of each method.
    rows : list of dict
        One row for each method, where methods are compared.
    """

    record: dict[str, Any] = field(default_factory=dict)
    images: dict[str, np.ndarray] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Files:
    """Samples, a classifier and one generator of each kind, in a folder."""

    folder: Path

    @cached_property
    def classifier(self) -> ClassifierRecipe:
        """Recipe of the corner classifier."""
        return ClassifierRecipe(
            self.folder / "classifier.pt", None, CLASSES, PREPROCESSING, image_size=SIZE
        )

    def samples(self, case: Case) -> ImageFolderRecipe:
        """Recipe of a folder that holds the sample of a case."""
        return ImageFolderRecipe(self.folder / case.sample)

    def generator(self, case: Case) -> Any:
        """Recipe of the generator of a case."""
        return {
            "stargan": StarGANRecipe(self.folder / "stargan.safetensors"),
            "generated": GeneratedRecipe(self.folder / "generated"),
            "exaggeration": ExaggerationRecipe(self.folder / "exaggeration.pt", "both"),
            "warp": WarpRecipe(self.folder / "warp.pt", "both"),
        }[case.generator]

    def arguments(self, case: Case) -> list[str]:
        """Arguments of the command line that name samples, networks and question."""
        texts = {
            "stargan": ["--generator", f"{self.folder / 'stargan.safetensors'}"],
            "generated": ["--generated", f"{self.folder / 'generated'}"],
            "exaggeration": ["--generator", f"{self.folder / 'exaggeration.pt'}",
                             "--generator-setting", "positive=both"],
            "warp": ["--generator", f"{self.folder / 'warp.pt'}",
                     "--generator-setting", "positive=both"],
        }  # fmt: skip
        basis = [] if case.basis == "default" else ["--source-basis", case.basis]
        return [
            "--classifier", f"{self.folder / 'classifier.pt'}", "--classes", ",".join(CLASSES),
            "--value-range", "0", "2", "--mean", "0.5", "--std", "1.5",
            "--image-size", str(SIZE), "--device", "cpu",
            "--samples", f"{self.folder / case.sample}", *texts[case.generator], *basis,
            "--preset", case.preset, "--methods", ",".join(METHODS), "--seed", str(SEED),
            "--tries", str(TRIES), "--json",
        ]  # fmt: skip


def write_files(folder: Path) -> Files:
    """Write samples, classifier and generators.

    The correctly classified sample shows *left* and is labeled so; the mispredicted one shows
    *left* and is labeled *both*, so that every question is about the class *both*.
    """
    torch.jit.script(CornerNetwork(SIZE).eval()).save(str(folder / "classifier.pt"))
    left = corner_image(0, SIZE, 5)
    _write_image(folder / "correct" / "left" / "a.npy", left)
    _write_image(folder / "mispredicted" / "both" / "m.npy", left)
    convert = corner_generator(SIZE)._function
    for source, target in ((0, 2), (2, 0)):
        place = folder / "generated" / CLASSES[source] / CLASSES[target]
        for name in ("a", "m"):
            for number in range(3):
                suffix = f"_{number}" if number else ""
                image = convert(left, source, target, number)
                _write_image(place / f"{name}{suffix}.npy", image)
    _write_stargan(folder / "stargan.safetensors")
    _write_exaggeration(folder / "exaggeration.pt")
    torch.manual_seed(2)
    hyper = WarpHyperparameters(2, SIZE, 1, (4, 4, 6, 4, 4), 2, 8)
    torch.save(WarpUNet(hyper).eval().state_dict(), folder / "warp.pt")
    return Files(folder)


def _write_image(path: Path, image: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image[0].numpy())


def _write_stargan(path: Path) -> None:
    torch.manual_seed(0)
    hyper = StarGANHyperparameters(
        img_size=SIZE, num_domains=3, style_dim=5, latent_dim=4, base_channels=4, max_channels=8,
        n_down=1, mapping_channels=6, style_base_channels=4, style_max_channels=8, style_blocks=2,
    )  # fmt: skip
    network = StarGAN(hyper).eval()
    metadata = stargan_metadata(hyper, CLASSES, SIZE, ValueRange(0, 1), {})
    write_file(path, encode_safetensors(network.state_dict(), metadata))


def _write_exaggeration(path: Path) -> None:
    """Write a bin-conditional generator of the layout of the Luab port."""
    torch.manual_seed(1)
    n_bins = 5

    def normalization(name: str, channels: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.gamma_conditional.weight": 1 + 0.3 * torch.randn(n_bins, channels),
            f"{name}.beta_conditional.weight": 0.3 * torch.randn(n_bins, channels),
            f"{name}.running_mean": 0.1 * torch.randn(channels),
            f"{name}.running_var": 0.5 + torch.rand(channels),
            f"{name}.weight": 1 + 0.1 * torch.randn(channels),
            f"{name}.bias": 0.1 * torch.randn(channels),
        }

    def convolution(name: str, outputs: int, inputs: int, kernel: int) -> dict[str, torch.Tensor]:
        module = nn.Conv2d(inputs, outputs, kernel)
        return {f"{name}.weight": module.weight.detach(), f"{name}.bias": module.bias.detach()}

    state = normalization("bn1", 1) | convolution("conv1.conv", 4, 1, 3)
    widths = [("g_e_res_block1", 4, 6), ("g_e_res_block2", 6, 8), ("g_res_block1", 8, 6),
              ("g_res_block2", 6, 4)]  # fmt: skip
    for name, inputs, outputs in widths:
        state |= normalization(f"{name}.bn1", inputs) | normalization(f"{name}.bn2", outputs)
        state |= convolution(f"{name}.conv1.conv", outputs, inputs, 3)
        state |= convolution(f"{name}.conv2.conv", outputs, outputs, 3)
        state |= convolution(f"{name}.conv_identity.conv", outputs, inputs, 1)
    state |= normalization("bn2", 4) | convolution("conv.conv", 1, 4, 3)
    torch.save({"state_dict": {f"G.{key}": value for key, value in state.items()}}, path)


def settings_of(case: Case) -> ExplainSettings:
    """Return what is computed in a case."""
    settings = ExplainSettings.from_preset(case.preset).with_methods(METHODS)
    basis = "auto" if case.basis == "default" else case.basis
    search = SearchSettings(max_tries=TRIES)
    return replace(settings, search=search, source_basis=basis, seed=SEED)


def in_python(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by the library alone, as in a notebook."""
    dataset = files.samples(case).load()
    classifier, generator = files.classifier.load("cpu"), files.generator(case).load("cpu")
    sample, settings = dataset[0], settings_of(case)
    question = question_for(sample, dataset.classes, classifier, settings, generator)
    assert question.basis == case.resolved_basis
    explanations = explain(
        sample, question.targets[0], classifier, generator, settings, question.source
    ).result()
    return _answer(case, explanations.pair, explanations, explanations.failures, question.label)


def in_dock(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by the live state of the dock, without a window: *Generate and explain*."""
    with live_state(case, files) as (_, results, controller, settle):
        controller.request("searched_pair")
        settle(lambda: _n_finished(results) == len(METHODS))
        known, truth = results.explanations, results.prediction.truth
        return _answer(case, known.pair, known.by_method, known.failures, truth)


def in_dock_for_many(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by *Explain these* of the dock."""
    with live_state(case, files) as (choices, results, controller, settle):
        many = ExplainMany(choices, results, controller)
        settle(lambda: not many.missing())
        many.start(folder / "many")
        settle(lambda: many.state != "running")
        many.close()
        assert not many.problem, many.problem
        return _stored(folder / "many")


def by_explain(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by ``napari-quac explain``."""
    _command("explain", *files.arguments(case), "--out", f"{folder / 'explain'}")
    return _stored(folder / "explain")


def by_run(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by a plan file and ``napari-quac run``."""
    plan = BatchPlan(
        files.samples(case),
        files.classifier,
        files.generator(case),
        settings_of(case),
        device="cpu",
        output=folder / "run",
    )
    plan.write(folder / "plan.yaml")
    _command("run", f"{folder / 'plan.yaml'}", "--trust", "--json")
    return _stored(folder / "run")


def by_compare(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by ``napari-quac compare``, whose rows hold numbers alone."""
    document = _command("compare", *files.arguments(case))
    assert not document["failed"], document["failed"]
    return Answer(rows=[_row(row) for row in document["methods"]])


def in_comparison_of_dock(case: Case, files: Files, folder: Path) -> Answer:
    """Answer by the comparison of many samples in the dock; its other methods are left out."""
    with live_state(case, files) as (choices, results, controller, settle):
        choices.compared_samples = 1
        settle(lambda: results.order is not None)
        controller.request("comparison")
        settle(lambda: results.comparison is not None and "comparison" not in controller.running)
        (comparison,) = results.comparison.comparisons
        truth = results.prediction.truth
    explanations = comparison.explanations
    failures = {name: e for name, e in explanations.failures.items() if name in METHODS}
    return _answer(case, comparison.pair, explanations, failures, truth)


WAYS: dict[str, Callable[[Case, Files, Path], Answer]] = {
    "dock": in_dock,
    "explain-these": in_dock_for_many,
    "explain": by_explain,
    "run": by_run,
    "compare": by_compare,
    "compare-in-dock": in_comparison_of_dock,
}
"""Name to adapter, except for the Python call, with which all are compared."""


@contextmanager
def live_state(case: Case, files: Files) -> Iterator[tuple[Choices, Results, Controller, Any]]:
    """Yield choices, results, controller, and a function that works until a condition holds."""
    answers: queue.Queue[Callable[[], None]] = queue.Queue()
    lane = Lane(answers.put)
    choices, results = Choices(), Results()
    controller = Controller(choices, results, lane)
    failures: list[str] = []
    controller.failed.connect(lambda failure: failures.append(failure.sentence))

    def settle(holds: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not holds():
            assert not failures, failures
            assert time.monotonic() < end, f"still running: {list(controller.running)}"
            try:
                answers.get(timeout=0.05)()
            except queue.Empty:
                continue

    settings = settings_of(case)
    choices.device = "cpu"
    basis = "auto" if case.basis == "default" else case.basis
    choices.settings = replace(settings, seed=SEED, source_basis=basis)
    choices.samples = files.samples(case)
    trust(programs_in(files.classifier, files.generator(case)))
    choices.classifier, choices.generator = files.classifier, files.generator(case)
    choices.sample_index = 0
    try:
        settle(lambda: results.prediction is not None and results.loaded_generator is not None)
        yield choices, results, controller, settle
    finally:
        controller.close()


def _n_finished(results: Results) -> int:
    known = results.explanations
    return 0 if known is None else len(known.by_method) + len(known.failures)


def _command(*arguments: str) -> dict[str, Any]:
    """Run a command and return the document that it prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(list(arguments))
    assert code == 0, f"'napari-quac {arguments[0]}' ended with {code}"
    document: dict[str, Any] = json.loads(printed.getvalue())
    return document


def _stored(folder: Path) -> Answer:
    """Return the only record of a store with its images."""
    store = ExplanationStore.open(folder)
    (key,) = store.keys()
    images = {name: store.image(key, name) for name in store.image_names(key)}
    return Answer(store.record(key), images)


def _answer(
    case: Case,
    pair: Pair,
    by_method: Mapping[str, Explanation],
    failures: Mapping[str, Exception],
    truth: int | None,
) -> Answer:
    """Return explanations in memory as the store keeps them, and as a comparison sums them up."""
    explanations = [by_method[name] for name in METHODS if name in by_method]
    record = explained_record(
        pair,
        explanations,
        CLASSES,
        settings=settings_of(case),
        truth=truth,
        source_basis=case.resolved_basis,
        targets=[pair.target],
        failures={name: Failure(name, str(error), type(error).__name__)
                  for name, error in failures.items()},
    )  # fmt: skip
    compared = Explanations(pair, settings_of(case), by_method, failures)
    rows = comparison_rows([Comparison(compared)])
    return Answer(
        json.loads(to_json(record)),
        images_of(pair, explanations),
        [_row(json.loads(json.dumps(row.to_json()))) for row in rows],
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the time that it took."""
    return {key: value for key, value in row.items() if key != "seconds"}
