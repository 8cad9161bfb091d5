"""Preview pictures of a generator in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_quac.train.images import enlarge_to


def picture_grid(rows: Sequence[Sequence[Tensor]], gap: int = 2) -> Tensor:
    """Arrange images in a grid.

    Parameters
    ----------
    rows : sequence of sequences of (C, S, S) Tensors in [0, 1]
        All rows of the same length.
    gap : int
        White pixels between images.

    Returns
    -------
    grid : (C, H, W) Tensor, float32 in [0, 1]
    """
    size = max(image.shape[-1] for row in rows for image in row)
    lines = []
    for row in rows:
        cells = []
        for image in row:
            cell = enlarge_to(image[None].float().cpu(), size)[0]
            cells.append(torch.nn.functional.pad(cell, (0, gap, 0, gap), value=1.0))
        lines.append(torch.cat(cells, dim=2))
    return torch.cat(lines, dim=1)[:, :-gap, :-gap].clamp(0, 1)
