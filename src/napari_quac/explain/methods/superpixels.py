"""Superpixels: connected pieces of an image with similar values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

COMPACTNESS = 0.1  # of values in [0, 1]; the usual 10 is for colors in CIELAB


def superpixels(
    image: Tensor, n_superpixels: int, spacing: tuple[float, ...] | None = None
) -> Tensor:
    """Divide an image or volume into superpixels by SLIC.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The image.
    n_superpixels : int
        Approximate number of superpixels.
    spacing : tuple of float, optional
        Voxel size along each axis of a volume, so that its superpixels are isotropic.

    Returns
    -------
    labels : (*S) Tensor, int64
        From 0 without gaps; the same for the same image.

    References
    ----------
    .. [1] Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods",
       IEEE TPAMI 34, 2012, doi:10.1109/TPAMI.2012.120
    """
    from skimage.segmentation import slic

    pixels = np.moveaxis(image.cpu().numpy().astype(np.float64), 0, -1)
    labels = slic(
        pixels,
        n_segments=n_superpixels,
        compactness=COMPACTNESS,
        convert2lab=False,
        start_label=0,
        channel_axis=-1,
        spacing=spacing if pixels.ndim == 4 else None,
    )
    _, dense = np.unique(labels, return_inverse=True)
    return torch.from_numpy(dense.reshape(labels.shape).astype(np.int64))
