"""Files and folders are recognized by their content, by families of other packages too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_quac.batch.plan import build_recipe, plain_recipe
from napari_quac.data.image_file import write_image
from napari_quac.errors import CheckpointError, DataError, UnknownNameError
from napari_quac.generators import FORMER_IDS, GENERATORS
from napari_quac.generators.family import GeneratorFamily
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.opening import (
    inspect_network,
    is_network_folder,
    load_classifier,
    load_generator,
    recognize_generator,
    recognize_network,
)
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.networks.generator import FunctionGenerator


@dataclass(frozen=True)
class TintRecipe(GeneratorFamily):
    """A family of another package."""

    id = "tint"
    title = "Tint"
    summary = "Adds a constant."

    path: Path
    gain: float = 1.0

    @classmethod
    def from_file(cls, inspection: Any) -> TintRecipe | None:
        if "tint.broken" in inspection.tensors:
            raise RuntimeError("no tint")
        return cls(inspection.path) if "tint.level" in inspection.tensors else None

    def load(self, device: Any = "auto") -> FunctionGenerator:
        level = self.gain * torch.load(self.path, weights_only=True)["tint.level"]
        return FunctionGenerator(lambda query, s, t, seed: (query + level).clamp(0, 1), "tint")


@pytest.fixture
def tint(tmp_path: Path) -> Path:
    path = tmp_path / "tint.pt"
    torch.save({"tint.level": torch.tensor([0.25])}, path)
    return path


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    folder = tmp_path / "generated"
    for source, target in (("a", "b"), ("b", "a")):
        (folder / source / target).mkdir(parents=True)
        write_image(folder / source / target / "1.png", torch.zeros(1, 8, 8))
    return folder


def test_a_family_of_another_package_opens_its_file(tint: Path) -> None:
    with pytest.raises(CheckpointError, match="not those of a network that is known here"):
        load_generator(tint)
    with GENERATORS.temporarily("tint", TintRecipe):
        assert inspect_network(tint).family == "tint"
        assert recognize_network(tint).recipe == TintRecipe(tint)
        generator = load_generator(tint, "cpu", gain=2.0)
        assert generator.name == "tint"
        with pytest.raises(CheckpointError, match=r"holds a generator \(Tint\), not a classifier"):
            load_classifier(tint, device="cpu")
    assert "tint" not in GENERATORS


def test_an_error_of_another_package_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    torch.save({"tint.broken": torch.zeros(1)}, path)
    with (
        GENERATORS.temporarily("tint", TintRecipe),
        pytest.raises(CheckpointError, match=r"family 'tint' failed on 'broken\.pt': RuntimeError"),
    ):
        load_generator(path)


def test_a_class_without_the_contract_is_refused() -> None:
    class Plain:
        def load(self, device: Any) -> None: ...

    with pytest.raises(UnknownNameError, match="no from_file and no paths"):
        GENERATORS.add("plain", Plain)


def test_a_folder_of_generated_images_is_told_from_samples(generated: Path, tmp_path: Path) -> None:
    assert is_network_folder(generated)
    assert not is_network_folder(generated / "a")
    recipe = recognize_generator([str(generated)]).recipe
    assert recipe == GeneratedRecipe(generated)
    assert recipe.source_basis == recipe.load().source_basis == "label"
    with pytest.raises(DataError, match="no generated images"):
        recognize_generator([str(tmp_path / "generated" / "a" / "b")])


def test_former_ids_and_fields_are_read_and_today_s_are_written(tmp_path: Path) -> None:
    for former, name in FORMER_IDS.items():
        assert former in GENERATORS
        assert former not in list(GENERATORS)
        assert GENERATORS[former] is GENERATORS[name]
    plain = {"kind": "from-folder", "directory": "made"}
    recipe = build_recipe(GENERATORS, plain, "generator", tmp_path)
    assert recipe == GeneratedRecipe(tmp_path / "made")
    written = plain_recipe(GENERATORS, recipe, tmp_path, "generator")
    assert written == {"kind": "generated", "path": "made"}
    warp = build_recipe(
        GENERATORS, {"kind": "simulator", "checkpoint": "w.pt"}, "generator", tmp_path
    )
    assert warp == WarpRecipe(tmp_path / "w.pt")


def test_a_family_that_needs_a_file_and_an_unknown_one_are_named() -> None:
    assert recognize_generator(["fido"]).recipe == GENERATORS["fido"]()
    with pytest.raises(DataError, match="needs a file"):
        recognize_generator(["stargan"])
    with pytest.raises(UnknownNameError, match="Did you mean 'stargan'"):
        recognize_generator(["stargam"])
