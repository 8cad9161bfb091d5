"""A tiny classifier with a known answer and a query with its generated image, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn


class Corner(nn.Module):
    """The 8 × 8 classifier of the worked example: it looks at four pixels."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.zeros(8, 8)
        weight[2, 2], weight[2, 3], weight[3, 2], weight[3, 3] = 1.0, 0.75, 0.5, 0.25
        self.register_buffer("weight", weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        evidence = (images[:, 0] * self.weight).flatten(1).sum(dim=1) - 1.25
        return torch.stack([-evidence, evidence], dim=1)


@dataclass(frozen=True)
class WorkedExample:
    """Files of the worked example, and the arguments of ``score`` that name them."""

    folder: Path
    classifier: Path
    query: Path
    generated: Path

    def arguments(self, **changes: object) -> list[str]:
        """Return the arguments, with options replaced or added."""
        options: dict[str, object] = {
            "classifier": self.classifier,
            "query": self.query,
            "generated": self.generated,
            "source": "dark",
            "target": "bright",
            "classes": "dark,bright",
            "value-range": [0, 1],
            "closing": 1,
            "blur": 1,
            "device": "cpu",
        }
        options.update({key.replace("_", "-"): value for key, value in changes.items()})
        found = ["score"]
        for key, value in options.items():
            if value is None:
                continue
            found.append(f"--{key}")
            if value is not True:
                found += [str(v) for v in (value if isinstance(value, list) else [value])]
        return found


@pytest.fixture
def worked_example(tmp_path: Path) -> WorkedExample:
    classifier = tmp_path / "corner.pt"
    torch.jit.script(Corner()).save(str(classifier))
    query = np.zeros((8, 8), np.float32)
    generated = query.copy()
    generated[2:4, 2:4] = 1
    generated[6, 5:8] = 1
    np.save(tmp_path / "query.npy", query)
    np.save(tmp_path / "generated.npy", generated)
    return WorkedExample(tmp_path, classifier, tmp_path / "query.npy", tmp_path / "generated.npy")


@pytest.fixture
def folders(worked_example) -> Path:
    """Two dark queries, one of which a generated image exists for, and a bright one."""
    root = worked_example.folder
    query, generated = np.load(worked_example.query), np.load(worked_example.generated)
    places = {
        "samples/dark/a.npy": query,
        "samples/dark/b.npy": query,
        "samples/bright/c.npy": generated,
        "made/latent/dark/bright/a.npy": generated,
        "made/latent/bright/dark/c.npy": query,
    }
    for place, image in places.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, image)
    return root
