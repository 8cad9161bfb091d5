"""Each kind of assumption stands in the JSON of a command, in the record and in the window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor, nn

from napari_quac.cli import main
from napari_quac.data.assumptions import ASSUMPTIONS, Assumption, assumptions_of
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.opening import load_classifier
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.reports.store_info import StoreInfo

SIZE = 16


def write_images(folder: Path, names: tuple[str, ...] = ("dark", "bright")) -> Path:
    for level, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        image = np.random.default_rng(level).integers(100 * level, 100 * level + 90, (SIZE, SIZE))
        Image.fromarray(image.astype(np.uint8)).save(folder / name / "a.png")
    return folder


def network(channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return Vgg(channels, [[2], [4]], [4, 2], (SIZE, SIZE), [(2, 2), (2, 2)]).eval()


class OverBatch(nn.Module):
    """Class values that are compared with those of the other images."""

    def forward(self, images: Tensor) -> Tensor:
        means = images.flatten(1).mean(dim=1)
        return torch.stack([means, -means], dim=1) - means.max()


@dataclass(frozen=True)
class Situation:
    """Files about which something is assumed."""

    classifier: Path
    samples: Path
    options: tuple[str, ...] = ()


def plain_weights(folder: Path) -> Situation:
    torch.save(network().state_dict(), folder / "net.pt")
    return Situation(folder / "net.pt", write_images(folder / "images"))


def gray_images(folder: Path) -> Situation:
    torch.save(network(3).state_dict(), folder / "net.pt")
    return Situation(folder / "net.pt", write_images(folder / "images"))


def averaged_weights(folder: Path) -> Situation:
    averaged = {name: tensor * 0.9 for name, tensor in network().state_dict().items()}
    content = {"model_state_dict": network().state_dict(), "model_ema_state_dict": averaged}
    torch.save(content, folder / "net.pt")
    return Situation(folder / "net.pt", write_images(folder / "images"))


def comparison_within_the_batch(folder: Path) -> Situation:
    torch.jit.script(OverBatch()).save(str(folder / "net.pt"))
    options = ("--image-size", str(SIZE))
    return Situation(folder / "net.pt", write_images(folder / "images"), options)


def other_spelling(folder: Path) -> Situation:
    samples = write_images(folder / "images", ("Dark", "bright "))
    options = ("--classes", "dark,bright")
    return Situation(plain_weights(folder / "n").classifier, samples, options)


def arrays_of_three_axes(folder: Path) -> Situation:
    situation = gray_images(folder)
    for path in situation.samples.rglob("*.png"):
        np.save(path.with_suffix(".npy"), np.full((3, SIZE, SIZE), 0.5, np.float32))
        path.unlink()
    return situation


SITUATIONS: Mapping[str, Callable[[Path], Situation]] = {
    "input range": plain_weights,
    "class names": plain_weights,
    "image size": plain_weights,
    "output": plain_weights,
    "architecture": plain_weights,
    "image range": plain_weights,
    "baseline": plain_weights,
    "channels": gray_images,
    "weights": averaged_weights,
    "evaluation": comparison_within_the_batch,
    "labels": other_spelling,
    "image axes": arrays_of_three_axes,
}
OF_VOLUMES = ("voxel size", "coordinates")
OF_NETWORKS = tuple(
    kind for kind in SITUATIONS if kind not in ("baseline", "labels", "image range", "image axes")
)


def pairs(kinds: Iterable[str]) -> list[tuple[str, str]]:
    return [(kind, kind) for kind in kinds]


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def situation(request: pytest.FixtureRequest, tmp_path: Path) -> Situation:
    (tmp_path / "n").mkdir()
    return SITUATIONS[request.param](tmp_path)


def test_every_kind_has_a_situation() -> None:
    elsewhere = {"conversion", "resolution", "missing blocks"}  # in tests of their own
    assert {*SITUATIONS, *OF_VOLUMES, *elsewhere} == set(ASSUMPTIONS)


@pytest.mark.parametrize(
    ("kind", "situation"), [(k, k) for k in SITUATIONS], indirect=["situation"]
)
def test_json_and_record_hold_the_sentence(
    kind: str, situation: Situation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--classifier", str(situation.classifier), "--samples", str(situation.samples)]
    files += [*situation.options, "--device", "cpu"]
    sentences = []
    if kind != "baseline":
        stated = document(capsys, "predict", *files, "--json")["assumptions"]
        sentences = [entry["sentence"] for entry in stated if entry["kind"] == kind]
        assert sentences
    out = tmp_path / "explanations"
    main(["explain", *files, "--methods", "residual", "--out", str(out)])
    recorded = json.loads((out / "store.json").read_text())["assumptions"]
    assert set(sentences) <= set(recorded)
    if kind == "baseline":
        assert any("without a generator" in sentence.lower() for sentence in recorded)


@pytest.mark.needs_qt
@pytest.mark.parametrize(
    ("kind", "situation"), [(k, k) for k in OF_NETWORKS], indirect=["situation"]
)
def test_card_of_the_file_holds_the_sentence(
    kind: str, situation: Situation, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = document(capsys, "inspect", str(situation.classifier), "--trust", "--json")[
        "assumptions"
    ]
    sentences = [entry["sentence"] for entry in stated if entry["kind"] == kind]
    if kind not in ("image size",) or sentences:
        assert sentences
    assert main(["inspect", str(situation.classifier), "--trust"]) == 0
    card = capsys.readouterr().out
    assert all(sentence in card for sentence in sentences)


def test_assumptions_about_volumes_are_recorded(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "em.tif", np.zeros((6, 40, 40), np.uint8))
    (tmp_path / "points.csv").write_text("z,y,x\n2,20,20\n3,22,21\n")
    size = (1, SIZE, SIZE)
    dataset = VolumePointsRecipe(tmp_path / "em.tif", tmp_path / "points.csv", size=size).load()
    kinds = [assumption.kind for assumption in assumptions_of(dataset)]
    assert set(OF_VOLUMES) <= set(kinds)
    classifier = load_classifier(network(), ["a", "b"], image_size=SIZE)
    recorded = StoreInfo.of(classifier, None, None, ExplainSettings(), dataset=dataset).plain()[
        "assumptions"
    ]
    assert {str(assumption) for assumption in assumptions_of(dataset)} <= set(recorded)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind"):
        Assumption("weather", "It is assumed to rain.")
