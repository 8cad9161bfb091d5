"""Records: the outcome of one sample and target as JSON, wherever it was computed.

Records of one kind of device and one seed are equal byte for byte; numbers that differ from run
to run, such as seconds, are stored elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.explain.search import task_seed
from napari_quac.explain.settings import ExplainSettings
from napari_quac.explain.verdict import verdict
from napari_quac.reports.entry import MAX_THRESHOLDS

SCHEMA = 2


@dataclass(frozen=True)
class Failure:
    """Stage and error of a failure.

    Attributes
    ----------
    stage : str
        The step that failed, such as ``"read"``, ``"search"`` or the name of a method.
    error : str
        The sentence for the user.
    kind : str
        Name of the class of the error.
    is_fault : bool
        Whether it is an internal error.
    """

    stage: str
    error: str
    kind: str = "QuacError"
    is_fault: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the failure as JSON-ready values."""
        fault = {"fault": True} if self.is_fault else {}
        return {"stage": self.stage, "error": self.error, "kind": self.kind, **fault}


def image_hash(image: Tensor) -> str:
    """Return the SHA-256 of the shape and the float32 values of an image."""
    digest = hashlib.sha256(",".join(map(str, image.shape)).encode())
    digest.update(np.ascontiguousarray(image.numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


def explained_record(
    pair: Pair,
    explanations: Sequence[Explanation],
    class_names: Sequence[str],
    *,
    settings: ExplainSettings,
    truth: int | None = None,
    source_basis: str = "",
    targets: Sequence[int] = (),
    failures: Mapping[str, Failure] | None = None,
) -> dict[str, Any]:
    """Return the record of a pair and its explanations as JSON-ready values.

    Parameters
    ----------
    pair : Pair
        Query and generated image.
    explanations : sequence of Explanation
        One for each method that succeeded.
    class_names : sequence of str
        Names of the classifier.
    settings : ExplainSettings
        Its seed and preset are recorded.
    truth : int or None
        True class of the sample as an index of the classifier.
    source_basis : str
        Origin of the source: ``"prediction"``, ``"label"`` or ``"given"``.
    targets : sequence of int
        All targets of this sample.
    failures : mapping of str to Failure, optional
        The methods that failed.
    """
    sample = pair.query
    return {
        "schema": SCHEMA,
        **sample_record(sample),
        "classes": list(class_names),
        "true_class": None if truth is None else class_names[truth],
        "source": class_names[pair.source],
        "target": class_names[pair.target],
        "source_basis": source_basis,
        "asked": [class_names[target] for target in targets],
        "preset": settings.preset,
        "seed": settings.seed,
        "task_seed": task_seed(settings.seed, sample.id, pair.target),
        "switches": pair.switches,
        "n_tried": pair.n_tried,
        "origin": plain(pair.origin),
        "generated_sha256": image_hash(pair.generated),
        "predictions": {
            "query": plain(pair.query_prediction),
            "generated": plain(pair.generated_prediction),
        },
        "proposals": _proposals(pair),
        "methods": {
            explanation.method: {
                **method_numbers(explanation),
                "curve": compact_curve(explanation),
                "verdict": [
                    finding.text for finding in verdict(explanation, explanations, class_names)
                ],
            }
            for explanation in explanations
        },
        "failed_methods": {name: failure.plain() for name, failure in (failures or {}).items()},
    }


def _proposals(pair: Pair) -> list[dict[str, Any]]:
    """Return the best proposals of the search, if there were several."""
    if len(pair.proposals) < 2:
        return []
    return [
        {
            "taken": proposal.generated is pair.generated,
            "prediction": plain(proposal.generated_prediction),
            "origin": plain(proposal.origin),
        }
        for proposal in pair.proposals
    ]


def sample_record(sample: Sample) -> dict[str, Any]:
    """Return identity, place and hash of a sample."""
    return {
        "id": sample.id,
        "label": sample.label,
        "shape": list(sample.image.shape),
        "sha256": image_hash(sample.image),
        "scale": plain(sample.scale),
        "translate": plain(sample.translate),
        "unit": sample.unit,
        **_volume_record(sample),
    }


def _volume_record(sample: Sample) -> dict[str, Any]:
    """Return volume and place of a patch; empty for other samples."""
    place = sample.place
    if place is None:
        return {}
    return {
        "volume": {
            "location": str(sample.path or ""),
            "metadata_sha256": place.metadata_sha256,
            "level": place.level,
            "offset": plain(place.offset),
            "size": plain(place.size),
            "center_world": plain(place.center_world),
            **({"gray_map": plain(place.gray_map)} if place.gray_map else {}),
        }
    }


def failed_record(
    sample_id: str, failure: Failure, source: str | None = None, target: str | None = None
) -> dict[str, Any]:
    """Return the record of a failed sample, or of a failed sample and target."""
    record: dict[str, Any] = {"schema": SCHEMA, "id": sample_id, "source": source, "target": target}
    return {**record, **failure.plain()}


def check_record(record: Any, class_names: Sequence[str]) -> None:
    """Check those parts of a record that its store relies on.

    Raises
    ------
    ValueError
        If a part is missing or of another kind, or its classes are not those of the store.
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("id"), str):
        raise ValueError("it names no sample")
    if "target" not in record:
        raise ValueError("it names no target")
    for name in ("source", "target", "error", "stage"):
        if not isinstance(record.get(name), str | None):
            raise ValueError(f"its {name} is no text")
    asked, failures = record.get("asked") or [], record.get("failed_methods") or {}
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        raise ValueError("its targets are no list of classes")
    if not isinstance(failures, Mapping) or not all(
        isinstance(failure, Mapping) and isinstance(failure.get("kind"), str)
        for failure in failures.values()
    ):
        raise ValueError("its failures are incomplete")
    classes = record.get("classes", [*class_names])
    if classes != [*class_names]:
        raise ValueError(f"its classes {classes} are not those of the store, {[*class_names]}")


def is_failed(record: Mapping[str, Any]) -> bool:
    """Return whether a record describes a failure."""
    return "error" in record


def method_numbers(explanation: Explanation) -> dict[str, Any]:
    """Return the numbers of one method, without the curve.

    Raises
    ------
    PreliminaryError
        If the explanation is preliminary.
    """
    explanation.require_exact()
    curve, attribution = explanation.curve, explanation.attribution
    return {
        "name": attribution.label,
        "true_name": attribution.true_name,
        "quac_score": plain(curve.quac_score),
        "optimal_threshold": curve.optimal_threshold,
        "optimal_mask_size": float(curve.mask_sizes[curve.best]),
        "optimal_score_change": float(curve.score_changes[curve.best]),
        "degenerate": attribution.degenerate,
        "completeness": plain(attribution.completeness),
        "details": plain(attribution.details),
        "predictions": {
            "counterfactual": plain(explanation.counterfactual.prediction),
            "inverse": plain(explanation.inverse_prediction),
        },
    }


def compact_curve(explanation: Explanation) -> dict[str, Any]:
    """Return the curve where its mask changes: equal masks have equal predictions.

    ``index`` is the position in the grid of thresholds, of the first threshold of each mask.
    """
    curve = explanation.curve
    distinct = curve.distinct()
    return {
        "n_thresholds": len(curve.thresholds),
        "index": distinct.tolist(),
        "thresholds": curve.thresholds[distinct].tolist(),
        "mask_sizes": curve.mask_sizes[distinct].tolist(),
        "score_changes": curve.score_changes[distinct].tolist(),
        "predictions": curve.predictions[distinct].tolist(),
    }


def whole_curve(curve: Mapping[str, Any], name: str) -> np.ndarray[Any, Any]:
    """Return the values of a compact curve at all thresholds of its grid.

    Parameters
    ----------
    curve : mapping
        As :func:`compact_curve` returns it.
    name : str
        ``"mask_sizes"``, ``"score_changes"`` or ``"predictions"``.

    Raises
    ------
    ValueError
        If the curve is inconsistent.
    """
    n_thresholds, index = curve["n_thresholds"], np.asarray(curve["index"], dtype=np.int64)
    if not isinstance(n_thresholds, int) or not 0 < n_thresholds <= MAX_THRESHOLDS:
        raise ValueError(f"n_thresholds is {n_thresholds}")
    counts = np.diff(index, append=n_thresholds)
    if index.ndim != 1 or len(index) == 0 or index[0] != 0 or counts.min() < 0:
        raise ValueError("the index of its curve does not ascend from 0")
    return np.repeat(np.asarray(curve[name], dtype=np.float64), counts, axis=0)


def plain(value: Any) -> Any:
    """Return a value as JSON-ready ones; NaN and infinity become None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def to_json(record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a record; equal records have equal bytes."""
    text = json.dumps(record, allow_nan=False, separators=(",", ":"))
    return (text + "\n").encode()
