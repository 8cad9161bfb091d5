"""The second question about a misprediction: what makes it look like the predicted class.

A misprediction looks like the predicted class already, so the question is asked of its nearest
correctly classified neighbour: what would turn that one into the predicted class?
"""

from __future__ import annotations

from psygnal import Signal

from napari_quac.live.choices import Choices
from napari_quac.live.results import Results


class NeighbourQuery:
    """Goes from a misprediction to a neighbour, and back.

    Parameters
    ----------
    choices : Choices
    results : Results
    """

    changed = Signal()

    def __init__(self, choices: Choices, results: Results) -> None:
        self._choices, self._results = choices, results
        self.asked_from: int | None = None
        """Index of the misprediction that the question is about."""
        self._allowed: tuple[int, ...] = ()
        choices.events.sample_index.connect(self._on_index)
        results.events.loaded_samples.connect(self._forget)
        results.events.loaded_classifier.connect(self._forget)

    @property
    def is_needed(self) -> bool:
        """Whether the selected sample is a misprediction that is asked about from a neighbour."""
        prediction = self._results.prediction
        return (
            self._choices.source_basis == "label"
            and prediction is not None
            and prediction.is_wrong
            and self._choices.target is None
        )

    def go_to(self, number: int = 0) -> bool:
        """Select a neighbour, with the misprediction's predicted class as target.

        Returns
        -------
        bool
            False if there is no such neighbour.
        """
        neighbours, prediction = self._results.neighbours, self._results.prediction
        if neighbours is None or prediction is None or number >= len(neighbours.indices):
            return False
        if neighbours.query is not prediction.sample:
            return False
        self.asked_from = self._choices.sample_index
        self._allowed = neighbours.indices
        self._choices.target = prediction.predicted
        self._choices.sample_index = neighbours.indices[number]
        self.changed.emit()
        return True

    def go_back(self) -> None:
        """Select the misprediction again."""
        if self.asked_from is not None:
            self._choices.sample_index = self.asked_from

    def close(self) -> None:
        """Listen to nothing any more."""
        self._choices.events.sample_index.disconnect(self._on_index)
        self._results.events.loaded_samples.disconnect(self._forget)
        self._results.events.loaded_classifier.disconnect(self._forget)

    def _on_index(self) -> None:
        if self.asked_from is not None and self._choices.sample_index not in self._allowed:
            self._forget()

    def _forget(self) -> None:
        if self.asked_from is not None:
            self.asked_from, self._allowed = None, ()
            self._choices.target = None
            self.changed.emit()
