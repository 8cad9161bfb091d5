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
        *pull* field: it says where each pixel of the result comes from.
    nearest : bool
        For labels and masks.

    Returns
    -------
    (N, C, *S) Tensor
        Linear in between, 0 where the field points outside of the image.

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


def compose(first: Tensor, then: Tensor) -> Tensor:
    r"""Return the one field that does what two do in a row.

    .. math:: w(p) = v(p) + u(p + v(p))

    Parameters
    ----------
    first, then : (N, n, *S) Tensor
        Pull fields :math:`u` and :math:`v` in voxels; ``then`` moves the result of ``first``.
    """
    return then + warp(first, then)


def in_voxels(field: Tensor, order: AxisOrder = "array", unit: Unit = "voxel") -> Tensor:
    """Bring a field of another convention to ours.

    Parameters
    ----------
    field : (N, n, *S) Tensor
        As a simulator returned it.
    order : {"array", "reversed"}
        Whether channel 0 moves along the first array axis, or along the last (x first).
    unit : {"voxel", "normalised"}
        Voxels, or [-1, 1] from the first to the last pixel of an axis.
    """
    if order == "reversed":
        field = field.flip(1)
    if unit == "normalised":
        half = [(length - 1) / 2 for length in field.shape[2:]]
        field = field * field.new_tensor(half).view(1, -1, *(1,) * len(half))
    return field


def one_axis_shift(image: Tensor, axis: int, voxels: float = 5.0) -> Tensor:
    """Return an image moved along one axis, to see whether axes and unit are understood alike.

    A field of ``voxels`` along ``axis`` fetches each pixel from further along that axis, so the
    content moves the other way.

    Parameters
    ----------
    image : (C, *S) Tensor
        Any image.
    axis : int
        Array axis, from 0.
    voxels : float
        How far.
    """
    field = image.new_zeros((1, image.ndim - 1, *image.shape[1:]))
    field[:, axis] = voxels
    return warp(image[None], field)[0]


def _positions(field: Tensor) -> Tensor:
    axes = [torch.arange(n, device=field.device, dtype=field.dtype) for n in field.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
