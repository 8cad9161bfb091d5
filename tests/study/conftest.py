from __future__ import annotations

from pathlib import Path

import pytest

from napari_quac.study.sealing import SealedStudy

from .studies_for_tests import copy_study, sealed_study, write_store


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 60 pairs, to read."""
    folder = tmp_path_factory.mktemp("pairs") / "explanations"
    write_store(folder)
    return folder


@pytest.fixture(scope="session")
def sealed_once(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> SealedStudy:
    """A sealed study, to copy."""
    return sealed_study(tmp_path_factory.mktemp("sealed"), pairs)


@pytest.fixture
def sealed(tmp_path: Path, sealed_once: SealedStudy) -> SealedStudy:
    return copy_study(sealed_once, tmp_path)
