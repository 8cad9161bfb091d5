"""Localization of the true difference by explanations and by regions; folders of true masks."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.image_file import IMAGE_SUFFIXES, read_array
from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.regions import Regions, find_regions
from napari_quac.networks.classifier import Classifier
from napari_quac.reading import is_folder, is_regular_file, path_exists
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.report import Report
from napari_quac.reports.truth import (
    area_share,
    auroc,
    average_precision,
    dice,
    energy_inside,
    iou,
    pointing_chance,
    pointing_game,
    rank_accuracy,
    ranking_auroc,
)
from napari_quac.stepwise import Progress, stepwise

MEANS = (
    *("pointing", "pointing_chance", "energy", "area"),
    *("average_precision", "auroc", "rank_accuracy"),
)
"""Measures of which a summary holds the mean."""


@dataclass(frozen=True)
class Localization:
    """Agreement of one explanation with the true difference of its pair.

    Attributes
    ----------
    pointing : float in [0, 1]
        1 if the attribution's maximum hits.
    pointing_chance : float in [0, 1]
        The share of pixels that hit.
    energy : float in [0, 1]
        Share of the attribution on the true pixels.
    area : float in [0, 1]
        True share of the image: energy, average precision and rank accuracy by chance.
    average_precision : float in [0, 1]
        Of the attribution.
    auroc : float in [0, 1]
        Of the attribution; 0.5 by chance.
    rank_accuracy : float in [0, 1]
        Share of the attribution's highest values on the true pixels.
    mask_energy : float in [0, 1] or None
        Share of the softened mask at the optimum on the true pixels. This and the next two are
        None without a mask.
    iou, dice : float in [0, 1] or None
        Of the softened mask at the optimum, thresholded at 0.5.
    quac_score : float or None
    """

    pointing: float
    pointing_chance: float
    energy: float
    area: float
    average_precision: float
    auroc: float
    rank_accuracy: float
    mask_energy: float | None = None
    iou: float | None = None
    dice: float | None = None
    quac_score: float | None = None


@dataclass(frozen=True)
class LocalizationSummary:
    """Localization of many explanations by one method; means unless stated otherwise.

    Attributes
    ----------
    n : int
        Number of explanations.
    pointing, pointing_chance : float in [0, 1]
        Share of hits.
    energy, area : float in [0, 1]
    energy_ratio : float
        Mean energy divided by mean area; 1 by chance.
    average_precision, auroc, rank_accuracy : float in [0, 1]
    mask_energy_ratio : float or None
        As for the attribution. This and the next two are None if no explanation has a mask.
    iou, dice : float in [0, 1] or None
    quac_score : float or None
        Median.
    """

    n: int
    pointing: float
    pointing_chance: float
    energy: float
    area: float
    energy_ratio: float
    average_precision: float
    auroc: float
    rank_accuracy: float
    mask_energy_ratio: float | None
    iou: float | None
    dice: float | None
    quac_score: float | None


def localize_explanation(explanation: Explanation, truth: ArrayLike) -> Localization:
    """Compare one explanation with the truth.

    Parameters
    ----------
    explanation : Explanation
        Its attribution and the mask at its optimum are compared.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.

    Raises
    ------
    ShapeError, DataError
        See :func:`~napari_quac.reports.truth.pointing_game`.
    """
    return localize_maps(
        explanation.attribution.values.numpy(),
        truth,
        explanation.counterfactual.mask.numpy(),
        explanation.quac_score,
    )


def localize_maps(
    attribution: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike | None = None,
    quac_score: float | None = None,
) -> Localization:
    """Compare an attribution and its mask with the truth.

    Parameters
    ----------
    attribution : (C, *S) array_like, non-negative
        Reduced over channels by its maximum.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.
    mask : (C, *S) array_like, optional
        Softened mask at the optimum; reduced in the same way.
    quac_score : float, optional
        Copied into the record.

    Raises
    ------
    ShapeError, DataError
        See :func:`~napari_quac.reports.truth.pointing_game`.
    """
    values = np.asarray(attribution).max(axis=0)
    # softening leaves rounding errors of either sign
    soft = None if mask is None else np.clip(np.asarray(mask).max(axis=0), 0, 1)
    return Localization(
        pointing=pointing_game(values, truth),
        pointing_chance=pointing_chance(truth),
        energy=energy_inside(values, truth),
        area=area_share(truth),
        average_precision=average_precision(values, truth),
        auroc=auroc(values, truth),
        rank_accuracy=rank_accuracy(values, truth),
        mask_energy=None if soft is None else energy_inside(soft, truth),
        iou=None if soft is None else iou(soft, truth),
        dice=None if soft is None else dice(soft, truth),
        quac_score=quac_score,
    )


def summarize_localizations(
    localizations: Mapping[str, Sequence[Localization]],
) -> dict[str, LocalizationSummary]:
    """Summarize by method; methods without any explanation are excluded.

    Parameters
    ----------
    localizations : mapping of str to sequence of Localization
        By method.
    """
    return {method: _summarize(cases) for method, cases in localizations.items() if cases}


def _summarize(cases: Sequence[Localization]) -> LocalizationSummary:
    masked = [case for case in cases if case.mask_energy is not None]
    scores = [case.quac_score for case in cases if case.quac_score is not None]
    means = {name: _mean(cases, name) for name in MEANS}
    return LocalizationSummary(
        n=len(cases),
        energy_ratio=means["energy"] / means["area"],
        mask_energy_ratio=_mean(masked, "mask_energy") / _mean(masked, "area") if masked else None,
        iou=_mean(masked, "iou") if masked else None,
        dice=_mean(masked, "dice") if masked else None,
        quac_score=float(np.median(scores)) if scores else None,
        **means,
    )


def _mean(cases: Sequence[Localization], name: str) -> float:
    """Return the mean of a field without NaN: the AUROC is undefined where all pixels are true."""
    numbers = [x for case in cases if not math.isnan(x := getattr(case, name))]
    return float(np.mean(numbers)) if numbers else math.nan


@dataclass(frozen=True)
class RegionEffects:
    """Effects of the regions of masks, and their agreement with the truth.

    Attributes
    ----------
    is_true : tuple of bool
        For each region, True if it touches the true difference.
    alone : tuple of float in [-1, 1]
        Increase of the target's probability by each region alone.
    left_out : tuple of float in [-1, 1]
        Decrease of the target's probability of the hybrid without each region.
    """

    is_true: tuple[bool, ...] = ()
    alone: tuple[float, ...] = ()
    left_out: tuple[float, ...] = ()

    @property
    def n_true(self) -> int:
        """Number of regions that touch the true difference."""
        return sum(self.is_true)

    @property
    def auroc_alone(self) -> float:
        """AUROC of true regions, ranked by ``alone``; NaN if all or none are true."""
        return ranking_auroc(self.alone, self.is_true)

    @property
    def auroc_left_out(self) -> float:
        """AUROC of true regions, ranked by ``left_out``; NaN if all or none are true."""
        return ranking_auroc(self.left_out, self.is_true)


def pool_effects(effects: Iterable[RegionEffects]) -> RegionEffects:
    """Return the regions of several explanations as one list."""
    groups = [(group.is_true, group.alone, group.left_out) for group in effects]
    return RegionEffects(*(sum(parts, ()) for parts in zip(*groups, strict=True)))


@stepwise
def compare_regions(
    explanation: Explanation, truth: ArrayLike, classifier: Classifier
) -> Generator[Progress, None, RegionEffects]:
    """Measure the effect of each region at the optimum, and compare it with the truth.

    Parameters
    ----------
    explanation : Explanation
        Its mask is split into regions.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of RegionEffects

    Raises
    ------
    ShapeError
        If regions and truth have different shapes.
    """
    regions = yield from find_regions(explanation, classifier)
    return RegionEffects(
        tuple(true_regions(regions, truth).tolist()),
        tuple(region.effect_alone for region in regions.regions),
        tuple(region.effect_left_out for region in regions.regions),
    )


def true_regions(regions: Regions, truth: ArrayLike) -> NDArray[np.bool_]:
    """Return for each region whether it touches the true difference.

    Parameters
    ----------
    regions : Regions
        Of one hybrid.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.

    Returns
    -------
    hits : (n,) ndarray, bool
        One value for each of ``regions.regions``.

    Raises
    ------
    ShapeError
        If regions and truth have different shapes.
    """
    is_true = np.asarray(truth, dtype=bool)
    if is_true.shape != regions.labels.shape:
        shapes = f"{regions.labels.shape}, the truth {is_true.shape}"
        raise ShapeError(f"The regions have shape {shapes}. Both must cover the same pixels.")
    touched = set(np.unique(regions.labels[is_true]).tolist())
    return np.array([region.number in touched for region in regions.regions], dtype=bool)


class TruthFolder:
    """A folder of masks whose nonzero pixels are true.

    A mask is searched as ``SOURCE/TARGET/NAME``, which applies to that pair alone, and then by the
    sample's id (``CLASS/NAME``) or its last part (``NAME``), with any file extension.

    A mask by id or name contains the structure of the sample's class. It applies to pairs with
    that source, and only if the target class has no structure: the mask does not contain what a
    generator draws elsewhere in the image.

    Parameters
    ----------
    folder : Path
        The folder.
    structures : sequence of str
        Classes with a structure. Masks by id or name then apply only to pairs from one of them to
        another class; without any, to all pairs.

    Raises
    ------
    DataError
        If the folder does not exist.
    """

    def __init__(self, folder: Path, structures: Sequence[str] = ()) -> None:
        if not is_folder(folder):
            problem = "is not a folder" if path_exists(folder) else "does not exist"
            raise DataError(f"'{folder}' {problem}. Choose the folder with the masks.")
        self.folder = folder
        self.structures = frozenset(structures)

    def mask(self, entry: ReportEntry, report: Report) -> NDArray[np.bool_] | None:
        """Return the true pixels (*S) of an entry's pair; None if unknown.

        Raises
        ------
        DataError
            If a mask cannot be read.
        """
        source, target = report.class_name(entry.source), report.class_name(entry.target)
        stem = _without_extension(entry.sample_id)
        path = _image(self.folder / source / target / PurePosixPath(stem).name)
        if path is None and self._applies_to(entry, source, target):
            path = _image(self.folder / stem) or _image(self.folder / PurePosixPath(stem).name)
        return None if path is None else read_mask(path)

    def _applies_to(self, entry: ReportEntry, source: str, target: str) -> bool:
        if entry.label is not None and entry.label != entry.source:
            return False
        return not self.structures or (source in self.structures and target not in self.structures)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask; a pixel is true if any of its channels is nonzero.

    Returns
    -------
    mask : (*S) ndarray, bool
    """
    array = np.asarray(read_array(path))
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(f"The mask '{path}' contains NaN. Save it with 0 in place of NaN.")
    if array.ndim == 3 and (path.suffix.lower() != ".npy" or array.shape[0] <= 4):
        array = np.asarray(array.any(axis=0))
    if array.ndim not in (2, 3):
        raise ShapeError(f"The mask '{path}' has shape {array.shape}, not (H, W) or (D, H, W).")
    mask: NDArray[np.bool_] = array != 0
    return mask


def _without_extension(sample_id: str) -> str:
    path = PurePosixPath(sample_id.replace("\\", "/"))
    inside = path.relative_to("/") if path.is_absolute() else path
    if ".." in inside.parts:
        inside = PurePosixPath(inside.name)
    return str(inside.with_suffix("") if inside.suffix.lower() in IMAGE_SUFFIXES else inside)


def _image(stem: Path) -> Path | None:
    for suffix in sorted(IMAGE_SUFFIXES, key=(".npy", ".png").__contains__, reverse=True):
        path = stem.with_name(stem.name + suffix)
        if is_regular_file(path):
            return path
    return None
