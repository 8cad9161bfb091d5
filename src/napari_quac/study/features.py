"""Features that raters judge, their definitions, and a preset for synapses of Drosophila."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name

MEASURED = ("count", "length", "area", "intensity", "distance")
"""Quantities of a study of the kind ``measure``."""


@dataclass(frozen=True)
class Feature:
    """One feature to judge.

    Attributes
    ----------
    name : str
        Column of the tables.
    definition : str
        Sentence that says what counts.
    less, same, more : str
        Sentences for −1, 0 and +1, about B relative to A.
    quantity : {"", "count", "length", "area", "intensity", "distance"}
        Quantity to measure in a study of the kind ``measure``; a length by default.
    """

    name: str
    definition: str = ""
    less: str = ""
    same: str = ""
    more: str = ""
    quantity: str = ""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not self.name.strip() or any(sign in self.name for sign in ",\n\r\t"):
            raise ValueError(f"'{self.name}' is no name of a feature: no commas or line breaks")
        if self.quantity and self.quantity not in MEASURED:
            raise ValueError(f"'{self.quantity}' is none of the quantities {', '.join(MEASURED)}")

    def sentence(self, step: int) -> str:
        """Return the sentence for −1, 0 or +1, with a general one where there is none."""
        sentences = {
            -1: self.less or f"{self.name}: less in B",
            0: self.same or f"{self.name}: the same in A and B",
            1: self.more or f"{self.name}: more in B",
        }
        return sentences[step]


def _feature(name: str, definition: str, less: str, more: str, quantity: str = "length") -> Feature:
    return Feature(name, definition, f"{less} in B", "No difference", f"{more} in B", quantity)


DROSOPHILA_SYNAPSE = (
    _feature(
        "clear vesicle count",
        "Number of clear, round vesicles near the presynaptic site.",
        "Fewer clear vesicles",
        "More clear vesicles",
        "count",
    ),
    _feature(
        "clear vesicle size",
        "Typical diameter of the clear vesicles.",
        "Smaller clear vesicles",
        "Larger clear vesicles",
    ),
    _feature(
        "clear vesicle shape",
        "Outline of the clear vesicles, from round (less) to elongated (more).",
        "Rounder clear vesicles",
        "More elongated clear vesicles",
    ),
    _feature(
        "dense-core vesicle count",
        "Number of vesicles with a dark core.",
        "Fewer dense-core vesicles",
        "More dense-core vesicles",
        "count",
    ),
    _feature(
        "dense-core vesicle size",
        "Diameter of the vesicles with a dark core, with their membrane.",
        "Smaller dense-core vesicles",
        "Larger dense-core vesicles",
    ),
    _feature(
        "dense-core darkness",
        "Gray value of the cores; a darker core counts as more.",
        "Brighter cores",
        "Darker cores",
        "intensity",
    ),
    _feature(
        "cytosol darkness",
        "Gray value of the presynaptic cytosol between its organelles.",
        "Brighter cytosol",
        "Darker cytosol",
        "intensity",
    ),
    _feature(
        "T-bar visibility",
        "Clarity with which pedestal and platform of the T-bar stand out.",
        "Fainter T-bar",
        "Clearer T-bar",
        "intensity",
    ),
    _feature(
        "T-bar size",
        "Extent of pedestal and platform of the T-bar.",
        "Smaller T-bar",
        "Larger T-bar",
        "area",
    ),
    _feature(
        "cleft darkness",
        "Gray value of the gap between pre- and postsynaptic membrane.",
        "Brighter cleft",
        "Darker cleft",
        "intensity",
    ),
    _feature(
        "postsynaptic density",
        "Darkness and thickness of the material at the postsynaptic membranes.",
        "Weaker postsynaptic densities",
        "Stronger postsynaptic densities",
        "intensity",
    ),
)
"""Eleven features of insect synapses in electron microscopy."""

PRESETS = {"drosophila-synapse": DROSOPHILA_SYNAPSE}


def preset(name: str) -> tuple[Feature, ...]:
    """Return the features of a preset.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise unknown_name("preset of features", name, list(PRESETS))
    return PRESETS[name]


def class_feature(origin: bool) -> tuple[Feature, ...]:
    """Return the only feature of ``classify``: the class, or original or generated."""
    text = "Is this an original or a generated image?" if origin else "Class of the image."
    return (Feature("origin" if origin else "class", text),)


def check_features(features: tuple[Feature, ...]) -> None:
    """Check that there are features, with different names.

    Raises
    ------
    DataError
        If there are none, or two of one name.
    """
    if not features:
        raise DataError("A study needs at least one feature. Choose a preset or a features file.")
    names = [feature.name.casefold() for feature in features]
    for feature in features:
        if names.count(feature.name.casefold()) > 1:
            raise DataError(f"The feature '{feature.name}' is listed twice. Rename one of them.")
