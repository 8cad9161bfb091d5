"""The cells of the tutorial for the course exercise, with networks of the exercise's kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

PAGE = Path(__file__).parents[1] / "docs" / "tutorials" / "course-exercise.md"
COLORS = torch.tensor([[0.2, 0.3, 0.9], [0.3, 0.9, 0.3], [0.9, 0.9, 0.2], [0.9, 0.4, 0.1]])


class DenseClassifier(nn.Module):
    """A dense network on flat images, as in the exercise; sees the mean color."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 3), nn.ReLU(),
                                    nn.Linear(3, 4))  # fmt: skip
        with torch.no_grad():
            self.layers[1].weight.zero_()
            for channel in range(3):
                self.layers[1].weight[channel, channel * 784 : (channel + 1) * 784] = 1 / 100
            self.layers[1].bias.zero_()
            directions = COLORS / COLORS.norm(dim=1, keepdim=True)
            self.layers[3].weight.copy_(8 * directions)
            self.layers[3].bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ColorGenerator(nn.Module):
    """Takes an image and a style image, as in the exercise; gives the digit the style's color."""

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        shape = x.amax(dim=1, keepdim=True)
        return shape * style.amax(dim=(2, 3), keepdim=True)


def digits() -> tuple[Tensor, list[int]]:
    labels = [0, 1, 2, 3] * 4
    images = torch.zeros(16, 3, 28, 28)
    for index, label in enumerate(labels):
        images[index, :, 6:22, 8 + index % 3 : 18] = COLORS[label][:, None, None]
    return images, labels


def test_cells_of_the_page_explain_a_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(cells) == 5
    monkeypatch.chdir(tmp_path)
    test_images, test_labels = digits()
    names: dict[str, Any] = {
        "model": DenseClassifier(),
        "generator": ColorGenerator(),
        "test_images": test_images,
        "test_labels": test_labels,
    }
    for cell in cells:
        exec(cell, names)
    assert "accuracy 1.00" in capsys.readouterr().out
    explanation = names["explanations"]["d-ig"]
    assert explanation.pair.switches
    assert explanation.counterfactual.mask_size < 0.5
    assert (tmp_path / "explanation.png").stat().st_size > 5000
