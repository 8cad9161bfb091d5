"""Programs and generators without a file in the dock: opened, set, and asked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from qtpy.QtWidgets import QComboBox, QMenu
from torch import Tensor, nn

from napari_quac.generators import GENERATORS
from napari_quac.generators.family import GeneratorFamily
from napari_quac.generators.fido.recipe import FidoRecipe
from napari_quac.generators.program.recipe import ProgramRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.generator import FunctionGenerator

from .conftest import explain, load, wait


class Push(nn.Module):
    def forward(self, image: Tensor, option: Tensor) -> Tensor:
        down = 3 * option[:, :, None, None] * torch.ones_like(image[:, :1])
        return torch.cat([down, torch.zeros_like(down)], dim=1)


@dataclass(frozen=True)
class FadeRecipe(GeneratorFamily):
    step: float = 0.1

    def load(self, device: Any = "cpu") -> FunctionGenerator:
        del device
        return FunctionGenerator(lambda x, s, t, seed: x * (1 - self.step), "fade")


@dataclass(frozen=True)
class BrokenRecipe(GeneratorFamily):
    path: Path | None = None

    def __post_init__(self) -> None:
        if self.path is None:
            raise ValueError("the path is missing")

    def load(self, device: Any = "cpu") -> FunctionGenerator:
        raise NotImplementedError


@dataclass(frozen=True)
class FileRecipe(GeneratorFamily):
    path: Path


@pytest.fixture
def others() -> Iterator[None]:
    with (
        GENERATORS.temporarily("fade", FadeRecipe),
        GENERATORS.temporarily("broken", BrokenRecipe),
        GENERATORS.temporarily("with-file", FileRecipe),
    ):
        yield


def offered(dock: QuacDock) -> dict[str, Any]:
    menu = dock.findChild(QMenu, "generator_choose_without_file")
    assert isinstance(menu, QMenu)
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions()}


def test_a_program_is_trusted_once_and_told_what_its_field_means(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    path = tmp_path / "push.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = (torch.rand(1, 1, 32, 32), torch.ones(1, 1))
        torch.jit.trace(Push(), inputs, check_trace=False).save(str(path))
    panel = dock.networks
    panel.open_path(path, "generator")
    wait(lambda: panel.cards["generator"].yes_button.isVisibleTo(dock))
    assert dock.choices.generator != ProgramRecipe(path)
    panel.cards["generator"].yes_button.click()
    wait(lambda: getattr(dock.results.loaded_generator, "name", "") == "push.pt")
    rows = panel.settings_rows
    assert rows.isVisibleTo(dock)
    rows.positive.setCurrentText("both")
    wait(lambda: dock.choices.generator == ProgramRecipe(path, "both"))
    order = rows.findChild(QComboBox, "generator_setting_order")
    order.setCurrentText("reversed")
    wait(lambda: dock.choices.generator == ProgramRecipe(path, "both", "reversed"))
    wait(lambda: dock.results.loaded_generator.recipe == dock.choices.generator)
    dock.choices.choose_target("both")
    explain(dock)
    wait(lambda: dock.results.warp is not None)
    field = dock.results.warp.field
    assert not field[0].any()  # x first: what it says is along the second axis
    assert field[1].max() == pytest.approx(3 * dock.results.pair.origin["strength"])


def test_generators_without_a_file_are_offered_with_their_settings(
    dock: QuacDock, others: None
) -> None:
    load(dock)
    assert list(offered(dock)) == ["fido", "infill", "fade", "broken"]
    offered(dock)["fido"].trigger()
    wait(lambda: dock.choices.generator == FidoRecipe())
    panel = dock.networks
    wait(lambda: panel.settings_rows.isVisibleTo(dock))
    menu = panel.settings_rows.findChild(QComboBox, "generator_setting_infill")
    menu.setCurrentText("mean")
    wait(lambda: dock.choices.generator == FidoRecipe("mean"))
    offered(dock)["fade"].trigger()
    wait(lambda: getattr(dock.results.loaded_generator, "name", "") == "fade")
    assert panel.fields["generator"].edit.text() == "fade"
    assert panel.settings_rows.findChild(QComboBox, "generator_setting_infill") is None


def test_a_generator_that_needs_settings_says_so(dock: QuacDock, others: None) -> None:
    load(dock)
    before = dock.choices.generator
    offered(dock)["broken"].trigger()
    wait(
        lambda: "cannot be created without settings" in dock.networks.cards["generator"].text.text()
    )
    assert dock.choices.generator is before
