"""The shape of images that a network takes through its preprocessing."""

from __future__ import annotations

from napari_quac.data.place import extent
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.errors import ShapeError


def plural_channels(n_channels: int) -> str:
    """Return a number of channels in words: ``1 channel`` or ``3 channels``."""
    return f"{n_channels} channel{'s' if n_channels != 1 else ''}"


def image_shape_for(
    preprocessing: Preprocessing, channels: int, size: tuple[int, ...] | None
) -> tuple[int, tuple[int, ...] | None]:
    """Return channels and spatial size of the images for a network's input.

    Parameters
    ----------
    preprocessing : Preprocessing
        From the images to the network.
    channels : int
        Input channels of the network.
    size : tuple of int or None
        Spatial size of its input; None for any.

    Returns
    -------
    channels : int
    size : tuple of int or None
        None for any.

    Raises
    ------
    ShapeError
        If the preprocessing cannot give such an input.
    """
    choice = preprocessing.channels
    from_preprocessing = channels if choice is None else 3 if choice == "repeat" else 1
    if from_preprocessing != channels:
        raise ShapeError(
            f"The preprocessing gives {plural_channels(from_preprocessing)}, but the network takes "
            f"{plural_channels(channels)}. Omit the choice of channels."
        )
    image_channels = {"repeat": 1, "average": 3, "luminance": 3}.get(str(choice), channels)
    if preprocessing.resize is None and preprocessing.crop is None and preprocessing.pad is None:
        return image_channels, size
    fixed = preprocessing.fixed_size
    if size is not None and fixed is not None and fixed != size:
        raise ShapeError(
            f"The preprocessing gives images of {extent(fixed)}, but the network takes "
            f"{extent(size)}. Change resizing or cropping."
        )
    return image_channels, None
