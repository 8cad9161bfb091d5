from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_quac.data.vnc_sample import (
    FOLDER_VARIABLE,
    STACK_FILE,
    Section,
    fetch_vnc,
    published_sections,
    vnc_folder,
)
from napari_quac.errors import DataError
from shared_data import shared_data


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, tuple[Section, ...], np.ndarray]]:
    """Two sections on a server of our own, published with their checksums."""
    planes = np.random.default_rng(0).integers(0, 255, (2, 1024, 1024), dtype=np.uint8)
    folder = tmp_path / "server" / "stack1" / "raw"
    folder.mkdir(parents=True)
    sections = []
    for number, plane in enumerate(planes):
        path = folder / f"{number:02d}.tif"
        tifffile.imwrite(path, plane)
        file_sha = hashlib.sha256(path.read_bytes()).hexdigest()
        pixels_sha = hashlib.sha256(plane.tobytes()).hexdigest()
        sections.append(Section(f"stack1/raw/{number:02d}.tif", file_sha, pixels_sha))
    handler = partial(Quiet, directory=str(tmp_path / "server"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", tuple(sections), planes
    server.shutdown()
    server.server_close()
    thread.join()


def test_sections_are_downloaded_once_and_checked(
    tmp_path: Path, served: tuple[str, tuple[Section, ...], np.ndarray]
) -> None:
    url, sections, planes = served
    cache = tmp_path / "cache"
    np.testing.assert_array_equal(fetch_vnc(cache, sections, url).result(), planes)
    again = fetch_vnc(cache, sections, "http://127.0.0.1:1/").result()
    np.testing.assert_array_equal(again, planes)


def test_what_was_not_published_is_refused_and_not_kept(
    tmp_path: Path, served: tuple[str, tuple[Section, ...], np.ndarray]
) -> None:
    url, sections, _ = served
    other = Section(sections[0].path, sections[1].file_sha256, sections[1].pixels_sha256)
    with pytest.raises(DataError, match="checksum differs"):
        fetch_vnc(tmp_path / "cache", (other,), url).result()
    assert not list((tmp_path / "cache").rglob("*.tif"))


def test_damaged_section_in_the_cache_is_fetched_again(
    tmp_path: Path, served: tuple[str, tuple[Section, ...], np.ndarray]
) -> None:
    url, sections, planes = served
    cache = tmp_path / "cache"
    fetch_vnc(cache, sections, url).result()
    (cache / sections[1].path).write_bytes(b"half of it")
    np.testing.assert_array_equal(fetch_vnc(cache, sections, url).result(), planes)


def test_section_that_is_gone_and_folder_that_cannot_be_written_say_so(
    tmp_path: Path, served: tuple[str, tuple[Section, ...], np.ndarray]
) -> None:
    url, sections, _ = served
    gone = Section("stack1/raw/99.tif", sections[0].file_sha256, sections[0].pixels_sha256)
    with pytest.raises(DataError, match=rf"answered 404.*856713.*{FOLDER_VARIABLE}"):
        fetch_vnc(tmp_path / "cache", (gone,), url).result()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=f"cannot be written.*{FOLDER_VARIABLE}"):
        fetch_vnc(tmp_path / "file", sections, url).result()


def test_cancelling_between_sections_keeps_what_came(
    tmp_path: Path, served: tuple[str, tuple[Section, ...], np.ndarray]
) -> None:
    url, sections, _ = served
    steps = iter(fetch_vnc(tmp_path / "cache", sections, url))
    texts = [next(steps).text, next(steps).text]
    steps.close()
    assert texts == ["section 1 of 2", "section 2 of 2"]
    assert [path.name for path in (tmp_path / "cache").rglob("*.*")] == ["00.tif"]


def test_without_network_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"Check the network.*{FOLDER_VARIABLE}"):
        fetch_vnc(tmp_path, base_url="http://127.0.0.1:1/").result()


def test_a_local_stack_is_taken_if_its_pixels_are_the_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = shared_data("vnc_volume", STACK_FILE)
    monkeypatch.setenv(FOLDER_VARIABLE, str(stack.parent))
    assert vnc_folder() == stack.parent
    volume = fetch_vnc(base_url="http://127.0.0.1:1/").result()
    np.testing.assert_array_equal(volume, tifffile.imread(stack))
    changed = volume.copy()
    changed[3, 5, 5] ^= 1
    tifffile.imwrite(tmp_path / STACK_FILE, changed)
    with pytest.raises(DataError, match=r"Section 3 of .* differs from the published pixels"):
        fetch_vnc(tmp_path).result()


def test_fourteen_sections_are_known() -> None:
    sections = published_sections()
    assert [section.path for section in sections] == [f"stack1/raw/{n:02d}.tif" for n in range(14)]
    assert all(len(s.file_sha256) == len(s.pixels_sha256) == 64 for s in sections)
