from __future__ import annotations

from pathlib import Path

import pytest

from napari_quac.study.sealing import SealedStudy

from .studies_for_tests import sealed_study, write_store


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 60 pairs, to read."""
    folder = tmp_path_factory.mktemp("pairs") / "explanations"
    write_store(folder)
    return folder


@pytest.fixture
def sealed(tmp_path: Path, pairs: Path) -> SealedStudy:
    return sealed_study(tmp_path, pairs)
