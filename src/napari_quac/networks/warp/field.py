"""Displacement fields: how they move an image, and the growth, shrinkage and folding they cause."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
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
            f"The field {tuple(field.shape)} needs {len(size)} channels and the size {tuple(size)}."
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
    unit : :data:`Unit`
        Voxels, or normalized: [-1, 1] from the first to the last pixel of an axis.
    """
    if order == "reversed":
        field = field.flip(1)
    if unit == "normalised":  # wording: a value in plans
        half = [(length - 1) / 2 for length in field.shape[2:]]
        field = field * field.new_tensor(half).view(1, -1, *(1,) * len(half))
    return field


def _positions(field: Tensor) -> Tensor:
    axes = [torch.arange(n, device=field.device, dtype=field.dtype) for n in field.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


Array = NDArray[np.float64]
SMALLEST = 1e-3  # determinants below this are folded, and have no logarithm


def determinant(field: NDArray[np.floating]) -> Array:
    r"""Return the Jacobian determinant of a pull field.

    .. math:: \det(I + \nabla u)

    Parameters
    ----------
    field : (n, *S) ndarray
        Displacement in voxels along array axis ``k`` in channel ``k``; 2-D or 3-D.

    Returns
    -------
    (*S) ndarray, float64
        The volume from which each pixel of the result is filled: below 1 the structure is
        *enlarged* in the result, above 1 compressed, at or below 0 folded. Differences are
        central inside and one-sided at the border.
    """
    matrix = np.moveaxis(_gradient(field), (0, 1), (-2, -1))
    return np.asarray(np.linalg.det(matrix + np.eye(len(field))))


def _gradient(field: NDArray[np.floating]) -> Array:
    """Return ``[k, a] = ∂u_k / ∂p_a``; along an axis of one pixel nothing changes."""
    values = np.asarray(field, dtype=np.float64)

    def slope(part: Array, axis: int) -> Array:
        return np.gradient(part, axis=axis) if part.shape[axis] > 1 else np.zeros_like(part)

    return np.array([[slope(part, axis) for axis in range(part.ndim)] for part in values])


def growth(det: Array) -> Array:
    """Return ``1 / det``: above 1 the region is larger in the simulation; NaN where it folds."""
    return np.where(det > SMALLEST, 1 / np.maximum(det, SMALLEST), np.nan)


def log_growth(det: Array) -> Array:
    """Return ``-log(max(det, 0.001))``: above 0 the region is larger in the simulation."""
    return np.asarray(-np.log(np.maximum(det, SMALLEST)))


def folding(det: Array) -> NDArray[np.bool_]:
    """Return where the field folds: the determinant is 0 or less."""
    return np.asarray(det <= 0)


def divergence(field: NDArray[np.floating]) -> Array:
    """Return ``Σ_k ∂u_k/∂p_k``, which is about ``det - 1`` for small fields."""
    gradient = _gradient(field)
    return np.asarray(sum(gradient[k, k] for k in range(len(gradient))))


def limits(values: Array, center: float) -> tuple[float, float]:
    """Return symmetric limits around *no change*, wide enough for 99 % of the values."""
    finite = np.abs(values[np.isfinite(values)] - center)
    reach = max(0.05, float(np.percentile(finite, 99))) if finite.size else 0.05
    return center - reach, center + reach
