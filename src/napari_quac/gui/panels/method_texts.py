"""What the list of methods says: groups, names in words, and a sentence for each."""

from __future__ import annotations

from typing import NamedTuple

SHORT = {
    "d-ig": "Discriminative integrated gradients: from the generated image to the query",
    "d-deeplift": "Discriminative DeepLIFT: from the generated image to the query",
    "d-ingrad": "Discriminative input × gradient: gradient × difference of the two images",
    "d-gc": "Stereo Grad-CAM: what the last convolution sees in one image and not in the other",
    "d-ggc": "Stereo Grad-CAM, times the guided gradient",
    "ig": "Integrated gradients of the query alone, from grey",
    "deeplift": "DeepLIFT of the query alone, from grey",
    "ingrad": "Input × gradient of the query alone",
    "gc": "Grad-CAM of the query alone: coarse, where the class is seen",
    "ggc": "Grad-CAM times the guided gradient, of the query alone",
    "residual": "Baseline: the difference of the two images, without any network",
    "random": "Baseline: random numbers",
    "fido": "FIDO: the smallest region whose replacement gives the target, by optimising a mask",
    "fido-ssr": "FIDO: the smallest region that suffices for the source when the rest is replaced",
    "fido-sdr": "FIDO: the smallest region whose replacement destroys the source",
    "bbmp": "Like fido-sdr with one soft mask in place of random ones (Fong and Vedaldi)",
}
IN_WORDS = {
    "d-ig": "integrated gradients",
    "d-deeplift": "DeepLIFT",
    "d-ingrad": "input × gradient",
    "d-gc": "Grad-CAM of both",
    "d-ggc": "guided Grad-CAM of both",
    "ig": "integrated gradients",
    "deeplift": "DeepLIFT",
    "ingrad": "input × gradient",
    "gc": "Grad-CAM",
    "ggc": "guided Grad-CAM",
    "residual": "difference of the images",
    "random": "random numbers",
    "fido": "smallest change",
    "fido-ssr": "what suffices",
    "fido-sdr": "what destroys",
    "bbmp": "one soft mask",
}
"""A few words beside a name, as long as there is no score."""


class Group(NamedTuple):
    """Methods that belong together.

    Attributes
    ----------
    name : str
        Its title is called ``method_group_<name>``.
    title, tip : str
        DisplayedHybrid, and on hovering.
    methods : tuple of str
    folds : bool
        Folded until one of them is chosen.
    """

    name: str
    title: str
    tip: str
    methods: tuple[str, ...]
    folds: bool = False


GROUPS = (
    Group(
        "discriminative",
        "Both images compared",
        "Discriminative methods: what tells the query from the generated image, for the classifier",
        ("d-ig", "d-deeplift", "d-ingrad"),
    ),
    Group(
        "vanilla",
        "Query alone",
        "Vanilla methods: they do not know the generated image",
        ("ig", "deeplift"),
    ),
    Group(
        "baselines",
        "Baselines to beat",
        "They ask no network; an explanation that scores no better says little",
        ("residual", "random"),
    ),
    Group(
        "more",
        "Grad-CAM and gradients",
        "Coarser maps from the last convolution, and plain gradients",
        ("d-gc", "d-ggc", "gc", "ggc", "ingrad"),
        True,
    ),
    Group(
        "optimised",
        "Masks by optimisation",
        "FIDO and its relatives: a mask is searched for; it takes longer",
        ("fido", "fido-ssr", "fido-sdr", "bbmp"),
        True,
    ),
    Group("others", "Of other packages", "Methods that other packages brought", ()),
)
OPTIMISED = GROUPS[4].methods
"""Methods whose mask can be seen while it is optimised."""


def grouped_methods(names: list[str]) -> list[tuple[Group, tuple[str, ...]]]:
    """Return the groups that are not empty, with their methods; the last takes what is left."""
    known = {name for group in GROUPS for name in group.methods}
    left = tuple(name for name in names if name not in known)
    found = [(g, tuple(name for name in g.methods if name in names)) for g in GROUPS[:-1]]
    return [(group, own) for group, own in (*found, (GROUPS[-1], left)) if own]


PRESET_TEXTS = {
    "quac": (
        "QuAC: generated into query",
        "What has to be copied from the generated image until the query is called the target?",
    ),
    "dapi": (
        "DAPI: query into generated",
        "What has to be copied back from the query until the generated image is called the source "
        "again? Maps keep their sign, and a pixel counts in all channels",
    ),
}
