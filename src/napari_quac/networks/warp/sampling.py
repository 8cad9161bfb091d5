"""Move an image by a displacement field."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.networks.warp import AxisOrder, Unit


def warp(images: Tensor, field: Tensor, nearest: bool = False) -> Tensor:
    r"""Pull an image along a field.

    .. math:: y(p) = x(p + u(p))

    Parameters
    ----------
    images : (N, C, *S) Tensor
        The images.
    field : (N, n, *S) Tensor
        Displacement :math:`u` in voxels; channel ``k`` moves along array axis ``k``. It is a
        *pull* field, which gives the origin of each pixel of the output.
    nearest : bool
        For labels and masks.

    Returns
    -------
    (N, C, *S) Tensor
        Interpolated linearly; 0 where the field points outside of the image.

    Raises
    ------
    ShapeError
        If the field does not cover the pixels of the images.
    """
    size = images.shape[2:]
    if field.shape[2:] != size or field.shape[1] != len(size):
        raise ShapeError(
            f"The field has shape {tuple(field.shape)}, the images {tuple(images.shape)}; a field "
            f"needs {len(size)} channels and the same pixels."
        )
    if len(size) == 3 and size[0] == 1:  # a volume of one slice is an image
        return warp(images[:, :, 0], field[:, 1:, 0], nearest)[:, :, None]
    places = _positions(field) + field
    columns = [2 * places[:, axis] / max(1, length - 1) - 1 for axis, length in enumerate(size)]
    grid = torch.stack(columns[::-1], dim=-1)
    mode = "nearest" if nearest else "bilinear"
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=True)


def in_voxels(field: Tensor, order: AxisOrder = "array", unit: Unit = "voxel") -> Tensor:
    """Convert a field to voxels along array axes.

    Parameters
    ----------
    field : (N, n, *S) Tensor
        Output of a simulator.
    order : {"array", "reversed"}
        Axis of channel 0: the first array axis, or the last (x first).
    unit : {"voxel", "normalised"}
        Voxels, or [-1, 1] from the first to the last pixel of an axis.
    """
    if order == "reversed":
        field = field.flip(1)
    if unit == "normalised":
        half = [(length - 1) / 2 for length in field.shape[2:]]
        field = field * field.new_tensor(half).view(1, -1, *(1,) * len(half))
    return field


def _positions(field: Tensor) -> Tensor:
    axes = [torch.arange(n, device=field.device, dtype=field.dtype) for n in field.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
