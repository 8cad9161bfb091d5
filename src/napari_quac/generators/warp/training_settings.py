"""Settings of the training of a warping simulator; this module loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_quac.errors import DataError
from napari_quac.train.settings import Count, Duration, GeneratorTrainingSettings, Share, Weight


@dataclass(frozen=True)
class WarpTrainingSettings(GeneratorTrainingSettings):
    """Settings of the training of a warping simulator.

    Attributes
    ----------
    positive : str or None
        Class whose pattern option +1 adds; by default the second one of the pair.
    margin : float
        Aimed shift of the logit, in distances between the medians of the two classes.
    cycle : float
        Weight of an image being itself again after a deformation and its reversal.
    smoothness : float
        Weight of the gradient of the displacement field.
    width : int
        Feature maps at full resolution.
    bottleneck : int
        Length of the bottleneck.
    """

    SUMMARY = (
        "Learns to deform a sample, without painting on it, so that your classifier changes its "
        "prediction. For classes that differ in shape or size."
    )
    EXAMPLE_STEPS = 970
    TASK = "napari_quac.generators.warp.training:WarpTask"
    FILES = "warp.safetensors"
    NEEDS_CLASS_PAIR = True
    NEEDS_CLASSIFIER = True

    minutes: Duration = 5.0
    batch_size: Count = 16
    decay: Share = 0.5
    positive: str | None = None
    margin: Weight = 1.0
    cycle: Weight = 5.0
    smoothness: Weight = 0.5
    width: Count = 8
    bottleneck: Count = 64

    def order_pair(self, names: tuple[str, str]) -> tuple[str, str]:
        """Return the class pair, with ``positive`` second.

        Raises
        ------
        DataError
            If ``positive`` is not one of the two.
        """
        if self.positive is not None and self.positive not in names:
            raise DataError(f"There is no class '{self.positive}'; choose {' or '.join(names)}.")
        return names[::-1] if self.positive == names[0] else names

    @classmethod
    def migrate(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored values by today's names; earlier versions stored five widths."""
        migrated = super().migrate(values)
        if "widths" in migrated:
            migrated["width"] = migrated.pop("widths")[0]
        return migrated
