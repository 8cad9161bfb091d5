"""Ways to use a classifier that are compared with labels: the usual preprocessings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_quac.data.preprocessing import (
    PRESET_TITLES,
    PRESETS,
    Preprocessing,
    combine,
    preset_of,
    with_values_of,
)
from napari_quac.data.suggestions import suggest_preprocessing
from napari_quac.errors import ShapeError
from napari_quac.explain.agreement import Candidate
from napari_quac.networks.classifier import Classifier


def present_candidate(classifier: Classifier) -> Candidate:
    """Return the classifier as it is, named by its change of values."""
    key = preset_of(classifier.preprocessing)
    name = PRESET_TITLES[key] if key else classifier.preprocessing.value_words
    return Candidate(name, classifier, True)


def usual_candidates(classifier: Classifier, image_shape: Sequence[int]) -> tuple[Candidate, ...]:
    """Return the classifier as it is, and with each preset that fits its channels.

    Parameters
    ----------
    classifier : Classifier
        Its present channel selection and size are the same for all candidates. Where images of
        ``image_shape`` do not fit it, the first suggestion that makes them fit is added.
    image_shape : (C, *S)
        Shape of the images.
    """
    base = fitting_preprocessing(classifier, image_shape)
    current = preset_of(classifier.preprocessing)
    candidates = []
    if current is None:
        present = present_candidate(classifier)
        candidates.append(replace(present, classifier=_with(classifier, base)))
    for key, preset in PRESETS.items():
        if preset.mean is None or len(preset.mean) in (1, classifier.network_channels):
            changed = _with(classifier, with_values_of(base, preset))
            candidates.append(Candidate(PRESET_TITLES[key], changed, key == current))
    return tuple(candidates)


def fitting_preprocessing(classifier: Classifier, image_shape: Sequence[int]) -> Preprocessing:
    """Return the classifier's preprocessing, completed so that images of a shape fit.

    Gray images are repeated in the channels of a network for RGB images, so that each channel can
    have its own mean. If nothing makes the images fit, the preprocessing is returned as it is.
    """
    base = classifier.preprocessing
    if base.channels is None and image_shape[0] == 1 and classifier.network_channels == 3:
        base = replace(base, channels="repeat")
    for _ in range(2):  # channels, then size
        try:
            _with(classifier, base).check_image(image_shape)
        except ShapeError as error:
            channels, size = error.network_input or (classifier.network_channels, None)
            suggestions = suggest_preprocessing(image_shape, channels, size)
            if not suggestions:
                return base
            base = combine(base, suggestions[0][1])
    return base


def _with(classifier: Classifier, preprocessing: Preprocessing) -> Classifier:
    if preprocessing == classifier.preprocessing:
        return classifier
    return classifier.with_preprocessing(preprocessing)
