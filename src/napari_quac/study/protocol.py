"""The plan of a study: what raters may read, and the sampling that stays hidden from them."""

from __future__ import annotations

import math
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from napari_quac.errors import DataError, ShapeError
from napari_quac.registry import unknown_name
from napari_quac.study.features import DROSOPHILA_SYNAPSE, Feature, check_features

Kind = Literal["tag", "compare", "classify", "measure"]
Selection = Literal["random", "top"]
Partner = Literal["counterfactual", "generated"]

MIN_TRAINING = 5
ORIGIN_CHOICES = ("original", "generated")
"""Answers to the question for the origin of an image."""
TESTS: dict[str, tuple[str, ...]] = {
    "compare": (
        "exact sign test of the direction, answers of 0 left out and counted",
        "Holm correction over the primary features, Benjamini-Hochberg over the others",
    ),
    "tag": (
        "share of trials with the feature, with Wilson interval",
        "Holm correction over the primary features, Benjamini-Hochberg over the others",
    ),
    "classify": ("share of correct answers, with exact interval, against chance",),
    "measure": ("Mann-Whitney test, Hedges g with bootstrap interval",),
}
_RATER = re.compile(r"[\w][\w -]{0,39}")


@dataclass(frozen=True)
class Rater:
    """One rater.

    Attributes
    ----------
    name : str
        Letters, digits, blanks, hyphens; names the file of the answers.
    expertise : str
        For the protocol, such as ``"8 years of electron microscopy"``.
    """

    name: str
    expertise: str = ""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not _RATER.fullmatch(self.name) or self.name != self.name.strip():
            raise ValueError(
                f"'{self.name}' is no name of a rater: 1 to 40 letters, digits, blanks and hyphens"
            )


@dataclass(frozen=True)
class Protocol:
    """The part of the plan that raters may read; it names no class, unless classes are the answers.

    Attributes
    ----------
    kind : {"tag", "compare", "classify", "measure"}
    features : tuple of Feature
        Judged one after the other in each trial.
    title : str
        For the protocol; not displayed while rating.
    paired : bool
        Present two images A and B, or one image.
    choices : tuple of str
        Answers of ``classify``.
    raters : tuple of Rater
        The only part that may change after sealing.
    primary : tuple of str
        One to three features declared before sealing.
    tests : tuple of str
        Sentences about the planned tests.
    control_share : float in [0, 0.5]
        Additional trials with A = B, relative to the number of pairs.
    repeat_share : float in [0, 0.5]
        Additional trials that are repetitions, relative to the number of pairs.
    n_training : int
        Trials of the training block, at least 5, which are not counted.
    pixel_size : tuple of float
        For ``measure``: units per pixel along each axis of the images, or one number for all of
        them; empty to measure in pixels.
    unit : str
        Unit of ``pixel_size``.
    """

    kind: Kind = "compare"
    features: tuple[Feature, ...] = DROSOPHILA_SYNAPSE
    title: str = ""
    paired: bool = True
    choices: tuple[str, ...] = ()
    raters: tuple[Rater, ...] = ()
    primary: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    control_share: float = 0.08
    repeat_share: float = 0.1
    n_training: int = MIN_TRAINING
    pixel_size: tuple[float, ...] = ()
    unit: str = "nm"

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def check(self) -> None:
        """Check that the parts fit together.

        Raises
        ------
        DataError
            If a number is out of range, or a part is missing.
        UnknownNameError
            If a primary feature is not among the features.
        """
        check_features(self.features)
        names = [feature.name for feature in self.features]
        for name in self.primary:
            if name not in names:
                raise unknown_name("primary feature", name, names)
        for name, share in (("controls", self.control_share), ("repeats", self.repeat_share)):
            if not 0 <= share <= 0.5:
                raise DataError(f"The share of {name} is {share}; it must be between 0 and 0.5.")
        if self.n_training < MIN_TRAINING:
            raise DataError(
                f"The training block has {self.n_training} trials; it needs {MIN_TRAINING} or more."
            )
        if self.kind == "classify" and len(set(self.choices)) < 2:
            raise DataError("Classifying needs at least two different classes as answers.")
        if self.kind == "compare" and not self.paired:
            raise DataError("Comparing needs pairs of images. Choose a folder of explanations.")
        if self.kind in ("classify", "measure") and self.paired:
            raise DataError(f"'{self.kind}' presents one image at a time, not pairs.")
        if not all(math.isfinite(size) and size > 0 for size in self.pixel_size):
            raise DataError(f"The pixel size {self.pixel_size} is not positive. State it in nm.")
        folded = [rater.name.casefold() for rater in self.raters]
        if len(set(folded)) < len(folded):
            raise DataError("Two raters have the same name. Rename one of them.")

    def scale(self, n_axes: int) -> tuple[float, ...] | None:
        """Return the units per pixel along each axis; None to measure in pixels.

        Raises
        ------
        ShapeError
            If the pixel size is for another number of axes.
        """
        if not self.pixel_size:
            return None
        sizes = self.pixel_size * n_axes if len(self.pixel_size) == 1 else self.pixel_size
        if len(sizes) != n_axes:
            raise ShapeError(
                f"The pixel size has {len(sizes)} numbers, the images {n_axes} axes. State one "
                "number, or one for each axis."
            )
        return sizes

    def check_complete(self) -> None:
        """Check that the study may be sealed.

        Raises
        ------
        DataError
            If raters or primary features are missing.
        """
        self.check()
        if not self.raters:
            raise DataError("The study has no raters. Name them (--rater NAME) before sealing.")
        if not 1 <= len(self.primary) <= 3:
            raise DataError(
                f"The study declares {len(self.primary)} primary features. Declare one to three "
                "(--primary NAME) before sealing; the others are exploratory."
            )


@dataclass(frozen=True)
class Sampling:
    """The part of the plan that tells classes; sealing moves it from the folder into the key.

    Attributes
    ----------
    source : Path
        Explanations (a store or a report), or a folder with one subfolder of images per class.
    partner : {"counterfactual", "generated"}
        Image that is paired with the query.
    method : str
        Attribution method of the counterfactual images; empty for the best score of each pair.
    class_pairs : tuple of (str, str)
        Source and target classes; empty for all.
    n_per_stratum : int
        Pairs or images for each stratum: class pair and agreement of prediction and label; or
        class.
    selection : {"random", "top"}
        Random within strata, or the highest QuAC scores, which is cherry-picking and named so.
    cluster : str
        Pattern of the sample ids with ``{group}``, such as ``"{group}_*"`` for images named
        NEURON_SYNAPSE; empty if samples are independent.
    origin : bool
        For ``classify`` over explanations: ask for the origin, original or generated.
    seed : int
        Of selection, order and sides. It is drawn if not set; a small number can be guessed.
    image_range : (float, float) or None
        Values of the images of a folder that are black and white.
    sample_ids : tuple of str
        Samples to choose from; empty for all.
    filter_text : str
        Filter of the table by which these samples were chosen, for the protocol.
    """

    source: Path
    partner: Partner = "counterfactual"
    method: str = ""
    class_pairs: tuple[tuple[str, str], ...] = ()
    n_per_stratum: int = 20
    selection: Selection = "random"
    cluster: str = ""
    origin: bool = False
    seed: int = field(default_factory=lambda: secrets.randbits(48))
    image_range: tuple[float, float] | None = None
    sample_ids: tuple[str, ...] = ()
    filter_text: str = ""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def check(self) -> None:
        """Check the numbers.

        Raises
        ------
        DataError
            If one is out of range.
        """
        if self.n_per_stratum < 1:
            raise DataError(f"n per stratum is {self.n_per_stratum}; it must be 1 or more.")
        if self.seed < 0:
            raise DataError(f"The seed is {self.seed}; it must be 0 or more.")
