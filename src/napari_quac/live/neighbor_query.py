"""The question about a misprediction, which is about its correctly classified neighbors."""

from __future__ import annotations

from psygnal import Signal

from napari_quac.explain.settings import AUTO
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results


class NeighborQuery:
    """Selects neighbors of a misprediction, and the misprediction again.

    A misprediction looks like the predicted class already, so the question is about its nearest
    correctly classified neighbor: what would turn the neighbor into the predicted class?

    Parameters
    ----------
    choices : Choices
    results : Results
    """

    changed = Signal()

    def __init__(self, choices: Choices, results: Results) -> None:
        self._choices, self._results = choices, results
        self.misprediction: int | None = None
        """Index of the misprediction that the question is about."""
        self._indices: tuple[int, ...] = ()
        self._connections = Connections(
            (choices.events.sample_index, self._on_index),
            (results.events.loaded_samples, self._reset),
            (results.events.loaded_classifier, self._reset),
        )

    @property
    def is_needed(self) -> bool:
        """True if the question about the selected sample is one about its neighbors.

        Previously generated images of a misprediction start at its label already.
        """
        prediction, settings = self._results.prediction, self._choices.settings
        starts_at_label = getattr(self._results.loaded_generator, "source_basis", "") == "label"
        return (
            settings.source_basis == "label"
            and not starts_at_label
            and prediction is not None
            and prediction.is_mispredicted
            and settings.targets == AUTO
        )

    def go_to(self, number: int = 0) -> bool:
        """Select a neighbor, with the predicted class of the misprediction as target.

        Returns
        -------
        bool
            False if there is no such neighbor.
        """
        neighbors, prediction = self._results.neighbors, self._results.prediction
        classifier = self._results.loaded_classifier
        if neighbors is None or prediction is None or classifier is None:
            return False
        if number >= len(neighbors.indices) or neighbors.query is not prediction.sample:
            return False
        self.misprediction = self._choices.sample_index
        self._indices = neighbors.indices
        self._choices.choose_target(classifier.class_names[prediction.predicted])
        self._choices.sample_index = neighbors.indices[number]
        self.changed.emit()
        return True

    def go_back(self) -> None:
        """Select the misprediction again."""
        if self.misprediction is not None:
            self._choices.sample_index = self.misprediction

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()

    def _on_index(self) -> None:
        if self.misprediction is not None and self._choices.sample_index not in self._indices:
            self._reset()

    def _reset(self) -> None:
        if self.misprediction is not None:
            self.misprediction, self._indices = None, ()
            self._choices.choose_target(None)
            self.changed.emit()
