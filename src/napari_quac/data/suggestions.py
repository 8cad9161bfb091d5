"""Preprocessings that make samples fit a network, with texts for buttons."""

from __future__ import annotations

from collections.abc import Sequence

from napari_quac.data.place import short_extent
from napari_quac.data.preprocessing import Preprocessing


def suggest_preprocessing(
    image_shape: Sequence[int],
    channels: int,
    size: Sequence[int] | None,
    subject: str = "of the samples",
) -> tuple[tuple[str, Preprocessing], ...]:
    """Suggest preprocessings that make images of a shape fit a network, with texts for buttons.

    Parameters
    ----------
    image_shape : (C, *S)
        Shape of the samples.
    channels : int
        Input channels of the network.
    size : sequence of int or None
        Spatial size of the network's input in pixels; None for any.
    subject : str
        Where the step takes place, for the texts: of the samples, or for the classifier.

    Returns
    -------
    tuple of (str, Preprocessing)
        Channels come first: where both differ, the size follows once the channels fit. Empty
        where nothing sensible helps.
    """
    n_channels, old_size = image_shape[0], tuple(image_shape[1:])
    if n_channels != channels:
        if channels == 1 and n_channels > 1:
            single = [
                (f"Use channel {i + 1} {subject}", Preprocessing(i))
                for i in range(min(n_channels, 4))
            ]
            mixed = [(f"Average channels {subject}", Preprocessing("average"))]
            if n_channels == 3:
                mixed.append((f"Use luminance {subject}", Preprocessing("luminance")))
            return (*mixed, *single)
        if channels == 3 and n_channels == 1:
            return ((f"Repeat channel 3 times {subject}", Preprocessing("repeat")),)
        return ()
    new_size = None if size is None else tuple(size)
    if new_size is None or new_size == old_size or len(new_size) != len(old_size):
        return ()
    square = len(new_size) == 2 and len(set(new_size)) == 1
    pixels = f"{new_size[0]} px" if square else short_extent(new_size)
    where = "samples" if subject == "of the samples" else subject
    suggestions = [(f"Resize {where} to {pixels}", Preprocessing(resize=new_size))]
    if square and len(set(old_size)) > 1:
        text = f"Resize shorter side {subject} to {pixels}, crop center"
        suggestions.append((text, Preprocessing(resize=new_size[0], crop=new_size)))
    if all(old >= new for old, new in zip(old_size, new_size, strict=True)):
        suggestions.append((f"Crop {where} to central {pixels}", Preprocessing(crop=new_size)))
    return tuple(suggestions)
