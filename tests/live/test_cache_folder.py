"""Files of a process that was killed are gone after the next start."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_quac.errors import StorageError
from napari_quac.live.cache_folder import CacheFolder
from napari_quac.live.explanation_cache import ExplanationCache
from napari_quac.live.session import Session

WRITER = """
import sys, time
from pathlib import Path
from napari_quac.live.cache_folder import CacheFolder
folder = CacheFolder(Path(sys.argv[1]))
folder.write("1.pickle", b"explanation")
print("written", flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


def start(parent: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(parent), mode], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "written\n"
    return process


@pytest.mark.long
def test_files_of_a_killed_process_are_removed_at_the_next_start(tmp_path: Path) -> None:
    killed, living = start(tmp_path, "wait"), start(tmp_path, "wait")
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert len(list(tmp_path.glob("*/1.pickle"))) == 2
    session = Session(lambda call: None, cache=ExplanationCache(CacheFolder(tmp_path)))
    assert session.lane.wait_idle(10) and session.close()
    assert len(list(tmp_path.iterdir())) == 1  # that of the living process
    living.kill()
    living.wait(10)
    assert CacheFolder(tmp_path).remove_leftovers() == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_files_are_removed_at_exit(tmp_path: Path) -> None:
    assert start(tmp_path, "end").wait(10) == 0
    assert not list(tmp_path.iterdir())


def test_own_files_are_no_leftovers(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path)
    path = folder.write("a", b"1")
    assert folder.remove_leftovers() == 0 and path.read_bytes() == b"1"
    folder.remove()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        CacheFolder(tmp_path / "file").write("a", b"1")
