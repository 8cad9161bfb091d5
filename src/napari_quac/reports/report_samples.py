"""The query images of a report as a dataset, if the original samples are not available."""

from __future__ import annotations

import numpy as np
import torch

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.report import Report


class ReportSamples:
    """Dataset of the queries of a report; images are read on request.

    Parameters
    ----------
    report : Report

    Raises
    ------
    DataError
        If the report is empty.
    """

    def __init__(self, report: Report) -> None:
        first: dict[str, ReportEntry] = {}
        for entry in report.entries:
            first.setdefault(entry.sample_id, entry)
        if not first:
            raise DataError(
                f"'{report.name}' contains no explanation. Explain samples, or open another report."
            )
        self._entries = tuple(first.values())
        self.name = report.name
        self.classes = report.class_names

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self._entries[index]
        image = torch.from_numpy(np.array(entry.array("query"), dtype=np.float32))
        return Sample(entry.sample_id, image, entry.label)

    def sample_id(self, index: int) -> str:
        """Return the id of a sample."""
        return self._entries[index].sample_id

    def label(self, index: int) -> int | None:
        """Return the label of a sample, as an index into the classes of the report."""
        return self._entries[index].label
