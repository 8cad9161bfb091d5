"""Where the trial data lie that are too large, or too restricted, to be part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


def shared_data(*parts: str) -> Path:
    """Return a file or folder of the shared data; skip the test or module where it is absent.

    Parameters
    ----------
    *parts : str
        Path below the data folder, such as ``"quac_reference", "pairs.npz"``.
    """
    root = Path(
        os.environ.get("NAPARI_QUAC_TEST_DATA", PROJECT.parent / "shared" / "data")
    ).expanduser()
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"no '{'/'.join(parts)}' in '{root}'; set NAPARI_QUAC_TEST_DATA to the folder of the "
            "trial data",
            allow_module_level=True,
        )
    return path
