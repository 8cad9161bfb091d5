"""The mask of FIDO is seen while it is optimised, and can be stopped and kept."""

from __future__ import annotations

import numpy as np

from napari_quac.explain.method_parameters import build_method
from napari_quac.gui.dock import QuacDock

from .conftest import wait


def set_parameters(dock: QuacDock, name: str) -> None:
    """Let a method take long, in its form, before it is chosen."""
    dock.methods.settings_buttons[name].click()
    parameters = {name: {"n_steps": 5000, "tolerance": 0.0}}
    dock.methods.forms[name].set_value(build_method(name, parameters))


def test_mask_evolves_in_the_layers_until_it_is_stopped_and_kept(explained: QuacDock) -> None:
    dock = explained
    set_parameters(dock, "fido")
    seen: list[int] = []
    masks: list[np.ndarray] = []

    def note() -> None:
        found = dock.results.explanations
        if found is not None and found.partial_mask is not None:
            seen.append(int(found.partial_mask.text.split()[1]))
            masks.append(np.array(dock.layers.layers["mask"].data))

    dock.results.events.explanations.connect(note)
    assert dock.status.finish_button.isHidden()
    dock.methods.checks["fido"].click()
    assert dock.choices.shown_method == "fido"
    wait(lambda: len(seen) > 5)
    wait(lambda: not dock.status.finish_button.isHidden())
    evolving = dock.results.explanations.partial_mask
    wait(lambda: dock.layers.layers["mask"].data.any())
    assert "step" in dock.methods.scores["fido"].text()
    assert evolving.method == "fido"
    dock.status.finish_button.click()
    wait(lambda: "fido" in dock.results.explanations.by_method)
    wait(lambda: not dock.controller.running and dock.status.finish_button.isHidden())
    explanation = dock.results.explanations.by_method["fido"]
    assert seen[:3] == [1, 10, 20]
    assert 50 <= explanation.attribution.details["steps"] < 5000
    assert dock.results.explanations.partial_mask is None
    wait(
        lambda: (
            dock.results.displayed_hybrid is not None
            and dock.results.displayed_hybrid.explanation is explanation
        )
    )
    mask = dock.results.displayed_hybrid.hybrid.mask.numpy()[0]
    wait(lambda: np.array_equal(dock.layers.layers["mask"].data, mask))
    assert any(not np.array_equal(masks[0], other) for other in masks[1:])


def test_cancelled_optimisation_leaves_the_other_methods(explained: QuacDock) -> None:
    dock = explained
    set_parameters(dock, "fido-ssr")
    dock.methods.checks["fido-ssr"].click()
    wait(lambda: dock.results.explanations.partial_mask is not None)
    dock.status.cancel_button.click()
    wait(lambda: not dock.controller.running)
    assert list(dock.results.explanations.by_method) == ["residual", "random"]
    assert dock.results.explanations.partial_mask is None
    dock.methods.shown_menu.setCurrentIndex(dock.methods.shown_menu.findData("random"))
    wait(lambda: dock.results.displayed_hybrid is not None)
