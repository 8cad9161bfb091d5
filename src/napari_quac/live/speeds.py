"""Speed of this machine with the networks in use, and the time that work is about to take.

All times are those of this session: of work that was done, or derived from the measured gradient of
the classifier before anything was done.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_quac.errors import QuacError
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.fido.recipe import FidoRecipe
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.job_runner import RunningJob
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.explanation import Explanations
    from napari_quac.networks.classifier import Classifier

SLOT = "speed"
N_IMAGES, N_REPEATS, ENOUGH_SECONDS = 4, 3, 1.0
"""Batch of the measurement, 1 for volumes; on the CPU the time is proportional to it."""
# Times of the methods with their curves, in gradients of the classifier at one image: measured with
# the classifier of the example (128 px) on one thread, at the default parameters.
GRADIENTS: Mapping[str, float] = {
    "d-ig": 70, "d-deeplift": 33, "d-ingrad": 18, "d-gc": 30, "d-ggc": 14, "ig": 69,
    "deeplift": 21, "ingrad": 13, "gc": 27, "ggc": 15, "smoothgrad": 96, "lrp": 60,
    "occlusion": 130, "ablation": 41, "shapley": 290, "residual": 31, "random": 22, "fido": 1800,
    "fido-ssr": 2000, "fido-sdr": 2000, "bbmp": 300,
}  # fmt: skip
USUAL_GRADIENTS = 100.0
"""For methods of other packages."""
STEPS: Mapping[str, int] = {"fido": 300, "fido-ssr": 300, "fido-sdr": 300}
"""Default steps of methods whose time is proportional to them."""
PREDICTION_GRADIENTS = 0.4
PATH_IMAGES = 120
"""Images of a path and its ladder of probabilities, bisection included."""
USUAL_BLOCK = 10
"""Proposals after which most searches have ended."""


@stepwise
def measure_gradient(
    classifier: Classifier, image: Tensor
) -> Generator[Progress, None, float | None]:
    """Return the seconds for the gradient at one image; None for a network without gradients.

    Parameters
    ----------
    classifier : Classifier
        The classifier in use.
    image : (C, *S) Tensor, float32 in [0, 1]
        A sample.
    """
    from napari_quac.explain.methods.gradients import logit_gradient

    n_images = N_IMAGES if image.ndim == 3 else 1
    inputs = classifier.to_network(image[None].repeat(n_images, *[1] * image.ndim))
    seconds: list[float] = []
    for number in range(N_REPEATS):
        yield Progress(number, N_REPEATS, "measuring the speed of the classifier")
        begun = time.perf_counter()
        try:
            logit_gradient(inputs, 0, classifier)
        except QuacError:
            return None  # explaining reports it
        seconds.append((time.perf_counter() - begun) / n_images)
        if sum(seconds) * n_images > ENOUGH_SECONDS:
            break
    return min(seconds)


class Speeds:
    """Measured times of this session, and estimates from them.

    Parameters
    ----------
    choices : Choices
    results : Results
    controller : Controller
        Its jobs are timed.
    """

    changed = Signal()

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        self._choices, self._results, self._controller = choices, results, controller
        self._gradient: float | None = None
        self._shape: tuple[int, ...] = ()
        self._methods: dict[tuple[str, str], float] = {}
        self._times: dict[str, float] = {}
        controller.weights_of = self.weights
        self._connections = Connections(
            (results.events.loaded_classifier, self._on_classifier),
            (results.events.loaded_generator, self._on_generator),
            (results.events.prediction, self._on_prediction),
            (results.events.explanations, self._on_explanations),
            (results.events.comparison, self._on_comparison),
            (controller.completed, self._on_completed),
        )

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()
        self.changed.disconnect()

    def method(self, name: str, settings: ExplainSettings | None = None) -> float | None:
        """Estimate the seconds of a method with its curve; None before the first measurement."""
        settings = settings or self._choices.settings
        parameters = settings.parameters.get(name, {})
        if (measured := self._methods.get((name, repr(parameters)))) is not None:
            return measured
        scale = self._seconds_per_gradient()
        if scale is None:
            return None
        share = 1.0
        if name in STEPS:
            share = int(parameters.get("n_steps", STEPS[name])) / STEPS[name]
        return scale * share * GRADIENTS.get(name, USUAL_GRADIENTS)

    def methods(self, names: Iterable[str]) -> float | None:
        """Estimate the seconds of several methods together."""
        seconds = [self.method(name) for name in names]
        known = [s for s in seconds if s is not None]
        return sum(known) if len(known) == len(seconds) else None

    def search(self) -> float | None:
        """Estimate the seconds of a search whose first proposals switch."""
        settings, recipe = self._choices.settings.search, self._choices.generator
        n_tries = min(settings.max_tries, max(settings.block, USUAL_BLOCK))
        if isinstance(recipe, FidoRecipe):
            n_tries = min(n_tries, recipe.n_proposals)
        if "try" in self._times:
            return n_tries * self._times["try"]
        gradient = self._gradient
        if not isinstance(recipe, FidoRecipe) or gradient is None:
            return None
        return n_tries * gradient * GRADIENTS["fido"] * recipe.n_steps / STEPS["fido"]

    def explanation(self) -> float | None:
        """Estimate the seconds of *Explain* for one sample; None before the first measurement.

        Unmeasured generators other than FIDO are taken to be quick.
        """
        seconds = self.methods(self._choices.settings.methods)
        return None if seconds is None else seconds + (self.search() or 0)

    def explanations(self, n_samples: int) -> float | None:
        """Estimate the seconds for the explanations of a number of samples."""
        each = self.explanation()
        return None if each is None else n_samples * each

    def predictions(self, n_samples: int) -> float | None:
        """Estimate the seconds for the predictions of a number of samples."""
        if "prediction" in self._times:
            return n_samples * self._times["prediction"]
        return None if self._gradient is None else n_samples * PREDICTION_GRADIENTS * self._gradient

    def comparison(self, n_samples: int = 0) -> float | None:
        """Estimate the seconds of a comparison on the pair, or on a number of samples."""
        settings = self._results.comparison_settings
        if settings is None:
            return None
        each = self.methods(settings.methods)
        if not n_samples or each is None:
            return each
        return n_samples * (each + (self.search() or 0))

    def exaggeration(self) -> float | None:
        """Estimate the seconds of an exaggeration; None before a generated image."""
        if "exaggeration" in self._times:
            return self._times["exaggeration"]
        return PATH_IMAGES * self._times["try"] if "try" in self._times else None

    def weights(self, slot: str) -> tuple[float, ...]:
        """Return the expected seconds of the equal parts of a job; empty if unknown."""
        if slot == "explanations" and self._results.pair_settings is not None:
            settings, explanations = self._results.pair_settings, self._results.explanations
            existing: Iterable[str] = explanations or ()
            return self._complete(
                0.0 if name in existing else self.method(name, settings)
                for name in settings.methods
            )
        if slot == "comparison" and self._results.comparison_settings is not None:
            settings = self._results.comparison_settings
            each = self._complete(self.method(name, settings) for name in settings.methods)
            if self._choices.compared_samples and each:
                return (sum(each) + (self.search() or 0),) * self._choices.compared_samples
            return each
        return ()

    def _complete(self, seconds: Iterable[float | None]) -> tuple[float, ...]:
        every = tuple(seconds)
        return () if None in every else every  # type: ignore[return-value]

    def _seconds_per_gradient(self) -> float | None:
        """Return the scale of estimates: from the slowest method that was run, else measured."""
        usual = repr({})
        ratios = {
            GRADIENTS[name]: seconds / GRADIENTS[name]
            for (name, parameters), seconds in self._methods.items()
            if name in GRADIENTS and parameters == usual
        }
        return ratios[max(ratios)] if ratios else self._gradient

    def _on_classifier(self) -> None:
        self._gradient, self._shape = None, ()
        self._methods.clear()
        self._times.clear()
        self.changed.emit()

    def _on_generator(self) -> None:
        for name in ("try", "exaggeration"):
            self._times.pop(name, None)
        self.changed.emit()

    def _on_prediction(self) -> None:
        """Measure the classifier once for each size of the samples, when there is nothing to do."""
        prediction, classifier = self._results.prediction, self._results.loaded_classifier
        if prediction is None or classifier is None:
            return
        image = prediction.sample.image
        if tuple(image.shape) == self._shape:
            return
        self._on_classifier()
        self._shape = tuple(image.shape)

        def use(seconds: float | None) -> None:
            self._gradient = seconds
            self.changed.emit()

        def on_failed(error: BaseException) -> None:
            if not isinstance(error, QuacError | MemoryError | RuntimeError):
                raise error

        self._controller.run(
            SLOT, "measuring the speed of the classifier",
            lambda: measure_gradient(classifier, image), use, on_failed,
            priority=Priority.BACKGROUND, inputs=("loaded_classifier",),
        )  # fmt: skip

    def _on_explanations(self) -> None:
        explanations = self._results.explanations
        if explanations is not None and not explanations.is_restored:
            self._note_methods(explanations)

    def _on_comparison(self) -> None:
        compared = self._results.comparison
        if compared is not None:
            self._note_methods(compared.last.explanations)

    def _note_methods(self, explanations: Explanations) -> None:
        before = len(self._methods)
        for name, seconds in explanations.seconds.items():
            if name in explanations:
                parameters = explanations.settings.parameters.get(name, {})
                self._methods[name, repr(parameters)] = seconds
        if len(self._methods) != before:
            self.changed.emit()

    def _on_completed(self, job: RunningJob) -> None:
        seconds, results = time.monotonic() - job.since, self._results
        measured: dict[str, float] = {}
        pair: Any = results.searched_pair
        if job.slot == "searched_pair" and pair is not None and pair.n_tried:
            measured["try"] = seconds / pair.n_tried
        elif job.slot == "predictions" and job.progress is not None and job.progress.total:
            measured["prediction"] = seconds / job.progress.total
        elif job.slot == "exaggeration":
            measured["exaggeration"] = seconds
        if measured:
            self._times.update(measured)
            self.changed.emit()
