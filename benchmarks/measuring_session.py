"""Does a measuring session find the difference in size that is built into the synthetic densities?

python benchmarks/measuring_session.py [--seeds 1000] [--images 30] [--jitter 0.7] [--figure FILE]

In each session a simulated rater gets 30 + 30 newly drawn images in random order, under numbers
instead of names and classes, and nothing but their pixels. It finds the density, clicks 24 points
around it (a polygon) and both ends of its longest diameter (a line), each with a random error, and
the package measures area, length and gray value and compares the classes. The truth is the mean
difference of the true areas and diameters over thousands of other scenes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform
from skimage.filters import threshold_otsu
from skimage.measure import find_contours
from skimage.morphology import disk

from napari_quac.data.synthetic import PIXEL_NM, SyntheticShapes
from napari_quac.reports.figures.output import STYLE
from napari_quac.study.measure import Mark, measure_labels, measure_marks
from napari_quac.study.measure_compare import MeasuredComparison, compare_classes
from napari_quac.study.plots import estimation_plot

N_CLICKS = 24  # a polygon of fewer corners would be smaller than its outline by more than 1.1 %
JITTER = 0.7  # pixels, standard deviation of a click along each axis
RESAMPLES = 1000
# 5 pixels across: wider than the membrane, narrower than the smallest density
BRUSH = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2.5
QUANTITIES = ("area", "length")
SCALE = (PIXEL_NM, PIXEL_NM)
TRUTH_SEED = 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--images", type=int, default=30, help="of each class")
    parser.add_argument("--jitter", type=float, default=JITTER, help="of clicks, in pixels")
    parser.add_argument("--truth", type=int, default=10_000, help="scenes of the truth")
    parser.add_argument("--figure", type=Path, default=None, help="draw the first session")
    arguments = parser.parse_args()
    if arguments.figure:
        comparison = run_session(0, arguments.images, arguments.jitter)["length"]
        figure, _ = estimation_plot(comparison)
        with rc_context(STYLE):
            figure.savefig(arguments.figure, dpi=200)
        return
    start = time.monotonic()
    truth = true_differences(arguments.truth)
    counts = {name: np.zeros(3, dtype=int) for name in QUANTITIES}
    errors: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    missing = 0
    for seed in range(arguments.seeds):
        comparisons = run_session(seed, arguments.images, arguments.jitter)
        for name, comparison in comparisons.items():
            effect = comparison.effect("mean difference")
            counts[name] += (
                effect.estimate > 0,
                effect.low > 0,
                effect.low <= truth[name] <= effect.high,
            )
            errors[name].append(effect.estimate - truth[name])
        missing += sum(comparisons["area"].n_missing)
        if (seed + 1) % 100 and seed + 1 < arguments.seeds:
            continue
        print(f"{seed + 1} sessions of {arguments.images} + {arguments.images} images:")
        for name in QUANTITIES:
            sign, above, covers = counts[name] / (seed + 1)
            unit = comparisons[name].unit
            print(
                f"  {name}: true difference {truth[name]:.1f} {unit}, mean error "
                f"{np.mean(errors[name]):+.1f} {unit}, right sign {100 * sign:.1f} %, "
                f"interval above 0 {100 * above:.1f} %, coverage {covers:.3f}",
                flush=True,
            )
    share = 100 * missing / (2 * arguments.images * arguments.seeds)
    print(f"no visible density in {share:.2f} % of the images, {time.monotonic() - start:.0f} s")


def true_differences(n_scenes: int) -> dict[str, float]:
    """Return the mean difference of true areas (nm²) and diameters (nm), large minus small."""
    shapes = SyntheticShapes(n_scenes, seed=TRUTH_SEED)
    tables = [
        measure_labels(str(i), shapes.density(i), scale=SCALE).assign(label=shapes.label(i))
        for i in range(n_scenes)
    ]
    means = pd.concat(tables).groupby(["quantity", "label"])["amount"].mean()
    return {name: float(means[name, 1] - means[name, 0]) for name in QUANTITIES}


def run_session(
    seed: int, n_images: int = 30, jitter: float = JITTER
) -> dict[str, MeasuredComparison]:
    """Measure newly drawn images of both classes, shuffled and blinded, and compare them."""
    shapes = SyntheticShapes(2 * n_images, seed=seed)
    rng = np.random.default_rng((seed, 1))
    order = rng.permutation(len(shapes))
    key = {str(number): shapes.classes[shapes.label(index)] for number, index in enumerate(order)}
    tables = []
    for number, index in enumerate(order):
        pixels = shapes[int(index)].image.numpy()
        marks = click(pixels[0], rng, jitter)
        tables.append(measure_marks(str(number), marks, pixels, SCALE))
    table = pd.concat(tables, ignore_index=True)
    return {
        name: compare_classes(table, name, key, shapes.classes, n_resamples=RESAMPLES, seed=seed)
        for name in QUANTITIES
    }


def click(image: np.ndarray, rng: np.random.Generator, jitter: float) -> list[Mark]:
    """Return the clicks of a rater who sees an image (H, W) and nothing else."""
    outline = find_density(image)
    if outline is None:
        return []
    along = np.concatenate([[0], np.linalg.norm(np.diff(outline, axis=0), axis=1).cumsum()])
    places = (np.arange(N_CLICKS) + rng.random()) / N_CLICKS * along[-1]
    around = np.stack([np.interp(places, along, axis) for axis in outline.T], axis=1)
    corners = outline[:-1][ConvexHull(outline[:-1]).vertices]
    first, last = np.unravel_index(squareform(pdist(corners)).argmax(), (len(corners),) * 2)
    ends = corners[[first, last]]
    return [
        Mark("polygon", around + rng.normal(0, jitter, around.shape)),
        Mark("path", ends + rng.normal(0, jitter, ends.shape)),
    ]


def find_density(image: np.ndarray) -> np.ndarray | None:
    """Return the outline (N, 2) of the dark density, from its pixels; None if there is none.

    Opening removes the membrane, and the outline is where the gray value is halfway between that
    of the density and that around it.
    """
    smooth = ndimage.gaussian_filter(image, 1)
    dark = smooth < threshold_otsu(smooth)
    for radius in (3, 2):
        region = _largest(ndimage.binary_opening(dark, disk(radius)))
        if region is not None:
            break
    else:
        return None
    core = ndimage.binary_erosion(region, disk(2))
    around = ndimage.binary_dilation(region, disk(5)) & ~ndimage.binary_dilation(region, disk(3))
    around &= ~dark
    if not core.any() or not around.any():
        return None
    level = (np.median(image[core]) + np.median(image[around])) / 2
    # beyond the first impression lies the membrane
    body = ndimage.binary_fill_holes(smooth < level) & ndimage.binary_dilation(region, disk(2))
    density = _largest(ndimage.binary_opening(body, BRUSH))
    if density is None:
        return None
    contours = find_contours(ndimage.gaussian_filter(np.pad(density, 2).astype(float), 0.7), 0.5)
    return max(contours, key=len) - 2


def _largest(mask: np.ndarray) -> np.ndarray | None:
    labels, n = ndimage.label(mask)
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax() if n else None


if __name__ == "__main__":
    main()
