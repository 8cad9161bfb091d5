"""Content of a page as JSON-ready values; images are 8-bit PNG files in base64.

For each pixel a page holds its *level*: the number of slider positions whose mask contains it. The
mask of a position is then one comparison, and the page softens and blends it as the method does.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_quac.explain.curve import Curve
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.mask import gaussian_kernel
from napari_quac.reports.figures.panels import (
    FULL_RANGE,
    Limits,
    bar_length,
    color_indices,
    diverging_colors,
    leading_classes,
    length_text,
    plane,
    quantize,
    section_text,
    signed_plane,
    visible_channels,
)
from napari_quac.reports.figures.subject import Subject

MAX_POSITIONS = 255  # levels are bytes


def page_payload(subjects: Sequence[Subject], limits: Limits = FULL_RANGE) -> dict[str, Any]:
    """Return what a page shows.

    Parameters
    ----------
    subjects : sequence of Subject
        The samples, in the order of the table.
    limits : (low, high)
        Values that are black and white in all images.
    """
    colors = diverging_colors()
    return {
        "limits": list(limits),
        "colors": base64.b64encode(colors.tobytes()).decode("ascii"),
        "samples": [sample_payload(subject, limits) for subject in subjects],
    }


def sample_payload(subject: Subject, limits: Limits = FULL_RANGE) -> dict[str, Any]:
    """Return one sample with its explanations; see :func:`page_payload`."""
    pair, explained = subject.pair, list(subject.explanations.values())
    image = pair.query.image
    predictions = [pair.query_prediction, pair.generated_prediction]
    predictions += [explanation.counterfactual.prediction for explanation in explained]
    classes = leading_classes(predictions, pair.source, pair.target)
    roles = explained[0].pair
    return {
        "id": _printable(pair.query.id),
        "source": subject.class_name(pair.source),
        "target": subject.class_name(pair.target),
        "label": None if subject.label is None else subject.class_name(subject.label),
        "classes": [subject.class_name(index) for index in classes],
        "scored": classes.index(roles.scored_class),
        "rises": roles.scored_class == roles.target,
        "swapped": roles.is_swapped,
        "infill": pair.infill,
        "size": [int(image.shape[-1]), int(image.shape[-2])],
        "section": section_text(image),
        "exact": len(visible_channels(plane(image))) == len(image) or _same_masks(explained),
        **_scale(subject),
        "query": png_uri(quantize(image, limits)),
        "generated": png_uri(quantize(pair.generated, limits)),
        "probabilities": {
            "query": _rounded(pair.query_prediction.numpy()[classes], 4),
            "generated": _rounded(pair.generated_prediction.numpy()[classes], 4),
        },
        "kernel": gaussian_kernel(explained[0].curve.masking.blur).tolist(),
        "record": subject.record_sha256,
        "methods": [_method_payload(explanation, classes) for explanation in explained],
    }


def _method_payload(explanation: Explanation, classes: Sequence[int]) -> dict[str, Any]:
    curve = explanation.curve
    positions = slider_positions(curve)
    signed, limit = signed_plane(explanation)
    probabilities = curve.predictions[positions][:, classes]
    return {
        "name": explanation.attribution.true_name,
        "score": _rounded(np.array([curve.quac_score]), 4)[0],
        "best": positions.index(curve.best) if curve.best in positions else 0,
        "thresholds": _rounded(curve.thresholds[positions], 6),
        "sizes": _rounded(curve.mask_sizes[positions], 6),
        "changes": _rounded(curve.score_changes[positions], 4),
        "probabilities": [_rounded(row, 4) for row in probabilities],
        "levels": png_uri(mask_levels(curve, positions)),
        "map": png_uri(color_indices(signed, limit)[..., None]),
        "limit": float(f"{limit:.3g}"),
        "constant": bool(curve.degenerate),
    }


def slider_positions(curve: Curve) -> list[int]:
    """Return the indices of thresholds that a page offers: all distinct masks, at most 255.

    The optimum is one of them.
    """
    distinct = curve.distinct()
    if len(distinct) > MAX_POSITIONS:
        chosen = np.linspace(0, len(distinct) - 1, MAX_POSITIONS - 1).round().astype(int)
        distinct = np.union1d(distinct[chosen], [curve.best])
    # the threshold of the optimum may be a later one of the same mask
    best = curve.index_at(float(curve.thresholds[curve.best]))
    return sorted({curve.best if index == best else int(index) for index in distinct})


def mask_levels(curve: Curve, positions: Sequence[int]) -> NDArray[np.uint8]:
    """Return for each pixel the number of positions whose mask, before softening, contains it.

    Parameters
    ----------
    curve : Curve
        Closed attribution and thresholds. Of a volume, the middle section is taken.
    positions : sequence of int
        Indices of thresholds, ascending, at most 255.

    Returns
    -------
    (H, W, 1 or 3) ndarray, uint8
        Three channels where the masks of the channels differ.
    """
    closed = curve.closed[:, curve.closed.shape[1] // 2] if curve.closed.ndim == 4 else curve.closed
    if len(closed) not in (1, 3) or (closed == closed[:1]).all():
        closed = closed.max(axis=0, keepdims=True)
    thresholds = curve.thresholds[list(positions)]
    levels = np.searchsorted(thresholds, closed.astype(np.float64), side="left")
    return np.moveaxis(levels.astype(np.uint8), 0, -1)


def png_uri(pixels: NDArray[np.uint8]) -> str:
    """Return 8-bit pixels (H, W, 1 or 3) as the data URI of a PNG file without color profile."""
    array = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(stream, "PNG", compress_level=9)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _scale(subject: Subject) -> dict[str, Any]:
    """Return the shape of a pixel and the scale bar, where the pixel size is known."""
    pixel, n_columns = subject.pixel_nm(), int(subject.pair.query.image.shape[-1])
    if pixel is None:
        return {"aspect": 1.0, "bar": None}
    length = bar_length(n_columns * pixel[1])
    share = length / (n_columns * pixel[1])
    return {"aspect": pixel[0] / pixel[1], "bar": {"share": share, "text": length_text(length)}}


def _same_masks(explained: Sequence[Explanation]) -> bool:
    return all((e.curve.closed == e.curve.closed[:1]).all() for e in explained)


def _rounded(values: NDArray[Any], digits: int) -> list[float | None]:
    """Return numbers with some digits; None for those that are not finite."""
    numbers = values.astype(np.float64).round(digits)
    return [float(x) if np.isfinite(x) else None for x in numbers]


def _printable(text: str) -> str:
    """Return a text in which bytes of file names that are no UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
