"""The query with the masked part of the generated image copied in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from napari_quac.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Hybrid:
    """A hybrid image with its mask and its prediction.

    Attributes
    ----------
    threshold : float
    mask : (C, *S) Tensor, float32 in [0, 1]
        Softened.
    image : (C, *S) Tensor, float32 in [0, 1]
    mask_size : float in [0, 1]
        Share of the image's values in the mask, before softening.
    n_pixels : int
        Number of these values (pixels × channels).
    prediction : (K,) Tensor, float32 in [0, 1]
    score_change : float in [-1, 1]
        Increase of the target's probability over the query.
    """

    threshold: float
    mask: Tensor
    image: Tensor
    mask_size: float
    n_pixels: int
    prediction: Tensor
    score_change: float


def blend(query: Tensor, generated: Tensor, mask: Tensor) -> Tensor:
    r"""Copy the masked part of the generated image into the query.

    .. math:: h = m \odot x_t + (1 - m) \odot x

    Parameters
    ----------
    query : (C, *S) Tensor, float32 in [0, 1]
        The query image :math:`x`.
    generated : (C, *S) Tensor, float32 in [0, 1]
        The generated image :math:`x_t`.
    mask : (..., C, *S) or (1, *S) Tensor, float32 in [0, 1]
        Share of ``generated`` to take at each pixel; 0 keeps the query. Swapping the two images
        gives the inverse hybrid.

    Returns
    -------
    hybrid : Tensor, float32 in [0, 1], of the broadcast shape

    Raises
    ------
    ShapeError
        If the three have different shapes.

    References
    ----------
    .. [1] Adjavon et al., "Quantitative Attributions with Counterfactuals",
       2024, doi:10.1101/2024.11.26.625505

    Examples
    --------
    >>> import torch
    >>> x, g = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    >>> blend(x, g, torch.tensor([[[1.0, 0.0], [0.5, 0.0]]]))
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.0000]]])
    """
    spatial = query.ndim - 1
    if (
        generated.shape != query.shape
        or mask.shape[-spatial:] != query.shape[-spatial:]
        or mask.shape[-query.ndim : -spatial] not in ((), (1,), query.shape[:1])
    ):
        raise ShapeError(
            f"Query {tuple(query.shape)}, generated image {tuple(generated.shape)} and mask "
            f"{tuple(mask.shape)} do not cover the same pixels."
        )
    return generated * mask + query * (1 - mask)
