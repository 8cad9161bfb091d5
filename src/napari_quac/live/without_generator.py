"""Explanations without a generator: an infill takes its place, with methods of its own."""

from __future__ import annotations

from napari_quac.explain.settings import DEFAULT_METHODS
from napari_quac.generators.infill.recipe import INFILL_METHODS, InfillRecipe
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results


class WithoutGenerator:
    """Chooses the infill and explains as soon as it is loaded.

    The first map is that of a quick method; the mask of FIDO takes its place when it begins to
    evolve, unless another method was chosen meanwhile.

    Parameters
    ----------
    choices : Choices
    results : Results
    controller : Controller
    """

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        self._choices, self._results, self._controller = choices, results, controller
        self._explains_next = False
        self._first_method = ""
        self._connections = Connections(
            (choices.events.generator, self._on_generator),
            (results.events.loaded_generator, self._on_loaded),
            (results.events.explanations, self._on_explanations),
        )

    @property
    def is_active(self) -> bool:
        """True if an infill takes the place of a generator."""
        return isinstance(self._choices.generator, InfillRecipe)

    @property
    def is_offered(self) -> bool:
        """True if no generator was chosen."""
        return self._choices.generator is None

    def explain(self) -> None:
        """Choose the infill and explain the selected sample."""
        self._explains_next = True
        if not self.is_active:
            self._choices.generator = InfillRecipe()
        self._on_loaded()

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()

    def _on_generator(self) -> None:
        """Replace the default methods by those of the other kind of generator."""
        methods = INFILL_METHODS if self.is_active else DEFAULT_METHODS
        settings = self._choices.settings
        if {settings.methods, methods} == {INFILL_METHODS, DEFAULT_METHODS}:
            self._choices.update_settings(methods=methods)

    def _on_loaded(self) -> None:
        if self._explains_next and self._results.loaded_generator is not None and self.is_active:
            self._explains_next = False
            self._first_method = self._choices.shown_method
            self._controller.request("searched_pair")

    def _on_explanations(self) -> None:
        explanations = self._results.explanations
        mask = explanations.partial_mask if explanations is not None else None
        if mask is None or not self._first_method:
            return
        if self._choices.shown_method == self._first_method:
            self._choices.shown_method = mask.method
        self._first_method = ""
