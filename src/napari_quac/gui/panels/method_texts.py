"""Texts of the list of methods: groups and presets."""

from __future__ import annotations

from typing import NamedTuple

from napari_quac.explain.method_parameters import method_info


class Group(NamedTuple):
    """A group of methods in the list.

    Attributes
    ----------
    name : str
        As in :class:`~napari_quac.explain.method_parameters.MethodInfo`; its title is called
        ``method_group_<name>``.
    title, tip : str
        Title, and its tooltip.
    folds : bool
        Folded until one of its methods is chosen.
    """

    name: str
    title: str
    tip: str
    folds: bool = False


GROUPS = (
    Group(
        "discriminative",
        "Both images compared",
        "Discriminative methods attribute the difference of the two images.",
    ),
    Group("vanilla", "Query alone", "Vanilla methods do not use the generated image."),
    Group(
        "baselines", "Baselines", "Baselines use no network; a useful explanation scores better."
    ),
    Group(
        "gradients",
        "Grad-CAM and gradients",
        "These are coarser maps from the last convolution, and plain gradients.",
        True,
    ),
    Group(
        "optimized",
        "Optimized masks",
        "FIDO and its relatives optimize a mask, which takes longer.",
        True,
    ),
    Group("others", "Other packages", "These methods come from other packages."),
)


def grouped_methods(names: list[str]) -> list[tuple[Group, tuple[str, ...]]]:
    """Return the groups that are not empty, with their methods; the last takes all others."""
    group_ids = {group.name for group in GROUPS}
    group_of = {name: method_info(name).group for name in names}
    group_of = {name: id_ if id_ in group_ids else "others" for name, id_ in group_of.items()}
    members = [(group, tuple(n for n in names if group_of[n] == group.name)) for group in GROUPS]
    return [(group, methods) for group, methods in members if methods]


PRESET_TEXTS = {
    "quac": (
        "QuAC: generated into query",
        "Which pixels of the generated image turn the query into the target when copied?",
    ),
    "dapi": (
        "DAPI: query into generated",
        "What has to be copied back from the query until the generated image is classified as "
        "the source again? Maps keep their sign, and a pixel counts in all channels",
    ),
}
