"""Requests for the samples that are probably selected next, where they lie on another machine."""

from __future__ import annotations

from collections.abc import Callable

from napari_quac.data.dataset import can_prefetch, prefetch
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results

SLOT = "next samples"
STEPS = (1, 2, -1)
"""Rows of the table from the selected sample, the most probable first."""


class NextSamples:
    """Requests for the neighbors of the selected sample in the table, once it has been read.

    Parameters
    ----------
    choices : Choices
        Tell the selected sample.
    results : Results
        Samples and their order.
    controller : Controller
        Sends the requests in its lane, which does not wait for the answers.
    """

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        self._choices, self._results, self._controller = choices, results, controller
        self._cancels: dict[int, Callable[[], None]] = {}
        self._connections = Connections(
            (results.events.sample, self._on_sample),
            (results.events.loaded_samples, self._on_samples),
            (choices.events.sample_index, self._on_index),
        )

    def close(self) -> None:
        """Disconnect all signals and cancel the requests."""
        self._connections.close()
        self._cancel_except(())

    def neighbors(self) -> tuple[int, ...]:
        """Return the samples to request."""
        index, order = self._choices.sample_index, self._results.order
        dataset = self._results.loaded_samples
        if index is None or dataset is None or not can_prefetch(dataset):
            return ()
        if order is not None:
            indices = [order.step(index, by) for by in STEPS]
        else:
            indices = [index + by for by in STEPS]
        inside = (i for i in indices if i is not None and 0 <= i < len(dataset))
        return tuple(dict.fromkeys(i for i in inside if i != index))

    def _on_samples(self) -> None:
        self._cancel_except(())

    def _on_index(self) -> None:
        self._cancel_except((self._choices.sample_index, *self.neighbors()))

    def _on_sample(self) -> None:
        dataset = self._results.loaded_samples
        missing = [index for index in self.neighbors() if index not in self._cancels]
        if self._results.sample is None or dataset is None or not missing:
            return

        def request() -> dict[int, Callable[[], None]]:
            return {index: prefetch(dataset, [index]) for index in missing}

        def on_done(cancels: dict[int, Callable[[], None]]) -> None:
            self._cancels |= cancels
            self._on_index()  # it may have changed in the meantime

        def on_failed(_: BaseException) -> None:
            """Leave the error to the sample, which has it again when it is selected."""

        self._controller.run(
            SLOT, "requesting the next samples", request, on_done, on_failed,
            priority=Priority.SHORT, inputs=("samples",),
        )  # fmt: skip

    def _cancel_except(self, indices: tuple[int | None, ...]) -> None:
        for index in [index for index in self._cancels if index not in indices]:
            self._cancels.pop(index)()
