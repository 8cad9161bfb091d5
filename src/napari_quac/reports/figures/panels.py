"""Panels that figures share: images at their own pixels, outlines, maps, scale bars, bars, curves.

Images are quantized here, not by Matplotlib, whose gray map truncates where rounding is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.explain.curve import Hybrid
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.score import FINE_ABSCISSAE
from napari_quac.explain.size_axis import SizeAxis, axis_label, set_size_axis
from napari_quac.reports.figures.output import COLORS, DOTS_PER_INCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Limits = tuple[float, float]
FULL_RANGE: Limits = (0.0, 1.0)
OUTLINE = "#E69F00"
QUERY_COLOR, GENERATED_COLOR, HYBRID_COLOR = "#777777", COLORS[4], OUTLINE
MAX_ENLARGED = 720  # pixels; wider images are not drawn with a whole number of dots for each
TALLEST = 1.5  # height of a panel, as a multiple of its largest width
N_COLORS = 255  # odd, so that zero has a color of its own
BAR_STEPS = (1, 2, 5)
MAX_CLASSES = 6
KEY_INCHES = -0.36  # below the axes
KEY_COLUMNS = 3  # of the names of bars
MAX_NAME = 12  # characters


@dataclass(frozen=True)
class PixelGrid:
    """Size of the panels of images with whole dots for each pixel at 300 dots per inch.

    Attributes
    ----------
    width, height : float
        Of a panel, in inches.
    is_whole : bool
        False if the image is too wide for it.
    """

    width: float
    height: float
    is_whole: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], inches: float, aspect: float = 1.0) -> PixelGrid:
        """Return the panel of an image.

        Parameters
        ----------
        shape : tuple of int
            Ends with height and width of the image in pixels.
        inches : float
            Width of a panel; it is at most that wide and 1.5 times as high, unless the image has
            more dots.
        aspect : float
            Height of a pixel divided by its width.
        """
        n_rows, n_columns = shape[-2:]
        is_whole = n_columns <= MAX_ENLARGED and n_rows <= MAX_ENLARGED
        longest = TALLEST * inches * DOTS_PER_INCH
        dots = min(inches * DOTS_PER_INCH / n_columns, longest / (n_rows * aspect))
        if is_whole and aspect == 1 and dots >= 1:
            dots = int(dots)
        elif is_whole and aspect == 1 and n_rows <= longest:
            dots = 1
        else:
            is_whole = False
        return cls(
            n_columns * dots / DOTS_PER_INCH, n_rows * aspect * dots / DOTS_PER_INCH, is_whole
        )


def plane(values: Tensor) -> NDArray[np.float32]:
    """Return (C, H, W) of an image, or of the middle section of a volume (C, D, H, W)."""
    array: NDArray[np.float32] = values.detach().cpu().numpy()
    return array[:, array.shape[1] // 2] if array.ndim == 4 else array


def visible_channels(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the channels to display, (1 or 3, H, W); another number becomes its mean."""
    return image if len(image) in (1, 3) else image.mean(axis=0, keepdims=True)


def quantize(image: Tensor, limits: Limits = FULL_RANGE) -> NDArray[np.uint8]:
    """Return an image as 8-bit gray values or colors, rounded.

    Parameters
    ----------
    image : (C, [D,] H, W) Tensor, float32
        The image; of a volume, its middle section is taken.
    limits : (low, high)
        Values that become 0 and 255.

    Returns
    -------
    (H, W, 1 or 3) ndarray, uint8
    """
    low, high = limits
    values = visible_channels(plane(image)).astype(np.float64)
    scaled = np.clip((values - low) / (high - low), 0, 1) * 255
    return np.moveaxis(np.rint(scaled).astype(np.uint8), 0, -1)


def short_name(name: str, n_characters: int = MAX_NAME) -> str:
    """Return a name that fits above an image or beside bars; the legend has the whole one."""
    return name if len(name) <= n_characters else f"{name[: n_characters - 1].rstrip()}…"


def section_text(image: Tensor) -> str:
    """Return a phrase about the section of a volume that is drawn; empty for an image."""
    if image.ndim < 4:
        return ""
    return f"section {image.shape[1] // 2 + 1} of {image.shape[1]}"


@cache
def diverging_colors() -> NDArray[np.uint8]:
    """Return the colors of attributions from negative (blue) to positive (red), (255, 3) uint8."""
    from matplotlib import colormaps

    colors = colormaps["RdBu_r"](np.linspace(0, 1, N_COLORS))[:, :3]
    return np.asarray(np.rint(colors * 255), dtype=np.uint8)


def signed_plane(explanation: Explanation) -> tuple[NDArray[np.float32], float]:
    """Return the signed map, summed over channels, (H, W), and its largest absolute value."""
    signed = plane(explanation.attribution.signed).sum(axis=0)
    return signed, float(np.abs(signed).max()) or 1.0


def color_indices(signed: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    """Return the position of each value in :func:`diverging_colors`."""
    scaled = (np.clip(signed.astype(np.float64) / limit, -1, 1) + 1) / 2
    return np.rint(scaled * (N_COLORS - 1)).astype(np.uint8)


def mask_plane(hybrid: Hybrid) -> NDArray[np.float32]:
    """Return the softened mask, the largest over channels, (H, W)."""
    return np.asarray(plane(hybrid.mask).max(axis=0))


def add_panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches from the upper left corner of a figure."""
    total_width, total_height = figure.get_size_inches()
    bottom = total_height - top - height
    place = (left / total_width, bottom / total_height, width / total_width, height / total_height)
    return figure.add_axes(place)


def draw_image(axes: Axes, pixels: NDArray[np.uint8], title: str = "", gid: str = "") -> None:
    """Draw 8-bit pixels; svg and pdf hold each of them once, without resampling.

    Parameters
    ----------
    axes : Axes
        Whose shape determines that of the pixels.
    pixels : (H, W, 1 or 3) ndarray, uint8
        Gray values or colors.
    title : str
        Above the image.
    gid : str
        Name of the image in a svg file.
    """
    colors = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    picture = axes.imshow(colors, interpolation="none", aspect="auto")
    picture.set_gid(gid or None)
    axes.set_title(title, pad=3)
    axes.set_axis_off()


def draw_outline(axes: Axes, mask: NDArray[np.float32]) -> None:
    """Draw the line where a mask is 0.5, orange with dark edges for bright and dark images."""
    if not mask.min() < 0.5 < mask.max():
        return
    for color, width in (("#000000", 1.8), (OUTLINE, 1.0)):
        axes.contour(mask, levels=[0.5], colors=[color], linewidths=[width])


def draw_map(figure: Figure, axes: Axes, explanation: Explanation, title: str) -> None:
    """Draw a signed attribution with its colors below it."""
    signed, limit = signed_plane(explanation)
    colors = diverging_colors()
    draw_image(axes, colors[color_indices(signed, limit)], title, "attribution")
    left, bottom, width, _ = axes.get_position().bounds
    inch = 1 / figure.get_size_inches()[1]
    bar = figure.add_axes((left, bottom - 0.13 * inch, width, 0.06 * inch))
    bar.imshow(colors[None], interpolation="none", aspect="auto", extent=(-1, 1, 0, 1))
    ticks = [f"−{limit:.2g}", "0", f"{limit:.2g}"]
    bar.set_xticks([-1, 0, 1], ticks, fontsize=6)
    bar.set_yticks([])
    bar.tick_params(length=1.5, pad=1)
    low, _, high = bar.get_xticklabels()
    low.set_horizontalalignment("left")
    high.set_horizontalalignment("right")
    for spine in bar.spines.values():
        spine.set_visible(False)


def bar_length(width_nm: float) -> float:
    """Return the length of a scale bar in nm, 1, 2 or 5 times a power of ten.

    Parameters
    ----------
    width_nm : float
        Width of the image; the bar takes at most a third of it.

    Examples
    --------
    >>> bar_length(1024.0), bar_length(160.0)
    (200.0, 50.0)
    """
    power = 10.0 ** np.floor(np.log10(width_nm / 3))
    return float(max(step * power for step in BAR_STEPS if step * power <= width_nm / 3))


def length_text(nanometers: float) -> str:
    """Return a length with its unit, such as ``"200 nm"`` or ``"2 µm"``."""
    units = (("mm", 1e6), ("µm", 1e3), ("nm", 1.0), ("pm", 1e-3))
    unit, size = next((u for u in units if nanometers >= u[1]), units[-1])
    return f"{nanometers / size:.4g} {unit}"


def draw_scale_bar(axes: Axes, n_columns: int, pixel_width: float) -> float:
    """Draw a scale bar below an image, a vector group named ``scale_bar``.

    Parameters
    ----------
    axes : Axes
        Of the image, one unit for each pixel.
    n_columns : int
        Width of the image in pixels.
    pixel_width : float
        In nm.

    Returns
    -------
    float
        Length of the bar in nm.
    """
    from matplotlib.artist import Artist
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    length = bar_length(n_columns * pixel_width)

    class ScaleBar(Artist):
        """Bar and length as one group."""

        def __init__(self, *parts: Artist) -> None:
            super().__init__()
            self.parts = parts

        def draw(self, renderer: Any) -> None:
            """Draw the parts inside of a group."""
            renderer.open_group("scale_bar", gid="scale_bar")
            for part in self.parts:
                part.draw(renderer)
            renderer.close_group("scale_bar")

    below = axes.figure.dpi_scale_trans
    corner: Any = axes.transAxes  # its type in Matplotlib is wider than what it is
    place = blended_transform_factory(axes.transData, corner)
    bar = Rectangle((-0.5, 0), length / pixel_width, 0, color="black", linewidth=0)
    # its height is in inches, its length in pixels of the image
    height = blended_transform_factory(
        axes.transData,
        below + ScaledTranslation(0, 0, corner),
    )
    bar.set_height(0.04)
    bar.set_y(-0.08)
    bar.set_transform(height)
    text_place = place + ScaledTranslation(0.05, -0.06, below)
    text = Text(length / pixel_width - 0.5, 0, length_text(length), fontsize=7, va="center")
    text.set_transform(text_place)
    for part in (bar, text):
        part.set_figure(axes.figure)
        part.set_clip_on(False)
    axes.add_artist(ScaleBar(bar, text))
    return length


def draw_curve(axes: Axes, explanation: Explanation, hybrid: Hybrid, axis: SizeAxis) -> None:
    """Draw the QuAC curve of an explanation with the point of a hybrid."""
    curve = explanation.curve
    sizes = np.union1d(curve.mask_sizes, FINE_ABSCISSAE)
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0)
    axes.plot(sizes, curve.interpolate(sizes), color=COLORS[0], linewidth=1.2)
    style: dict[str, Any] = {"color": OUTLINE, "markeredgecolor": "black", "markeredgewidth": 0.6}
    axes.plot([hybrid.mask_size], [hybrid.score_change], "o", markersize=5, **style)
    set_size_axis(axes, axis)
    axes.set_xlabel(axis_label(axis), labelpad=2)
    axes.set_ylabel("score change", labelpad=2)
    axes.set_title(f"QuAC score {curve.quac_score:.2f}, mask {hybrid.mask_size:.1%}", pad=3)


def leading_classes(predictions: Sequence[Tensor], *first: int) -> list[int]:
    """Return classes to show: source and target, then the most probable ones.

    Parameters
    ----------
    predictions : sequence of (K,) Tensor
        Class probabilities.
    *first : int
        Classes that are always among them.
    """
    highest = np.nanmax(np.nan_to_num(np.stack([p.numpy() for p in predictions])), axis=0)
    others = [int(i) for i in np.argsort(-highest, kind="stable") if int(i) not in first]
    return [*first, *others][:MAX_CLASSES]


def draw_bars(axes: Axes, bars: Sequence[tuple[str, str, Tensor]], classes: Sequence[int],
              names: Sequence[str]) -> None:  # fmt: skip
    """Draw the probabilities of classes as groups of bars.

    Parameters
    ----------
    axes : Axes
        To draw into.
    bars : sequence of (label, color, (K,) Tensor)
        One for each image.
    classes : sequence of int
        Indices of the classes, from top to bottom.
    names : sequence of str
        Their names.
    """
    thickness = 0.8 / len(bars)
    for number, (label, color, prediction) in enumerate(bars):
        places = np.arange(len(classes)) + (number - (len(bars) - 1) / 2) * thickness
        widths = [float(np.nan_to_num(float(prediction[index]))) for index in classes]
        axes.barh(places, widths, thickness * 0.9, color=color, label=label)
    axes.set_yticks(range(len(classes)), [short_name(name) for name in names])
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5))
    axes.set_xlabel("predicted probability", labelpad=2)
    figure: Any = axes.figure
    height = axes.get_position().height * figure.get_size_inches()[1]
    axes.legend(
        frameon=False,
        fontsize=6.5,
        loc="upper left",
        bbox_to_anchor=(-0.3, KEY_INCHES / height),
        ncols=KEY_COLUMNS,
        handlelength=1,
        columnspacing=1,
        borderaxespad=0,
    )
