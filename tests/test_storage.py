"""Sets of files replace the earlier ones together, or stay away together."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_quac.errors import StorageError
from napari_quac.storage import write_files


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("are_there", [True, False])
@pytest.mark.parametrize("fails_at", range(1, 8))
def test_a_set_is_written_as_a_whole(
    fails_at: int,
    are_there: bool,
    has_links: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def files(content: bytes) -> dict[Path, bytes | dict[str, bytes]]:
        folder = {"x/1": content, "2": content}
        first, last = tmp_path / "a", tmp_path / "c"
        return {first: content, tmp_path / "b": folder, last: content}

    if are_there:
        write_files(files(b"old"))
    before, n_moves = contents(tmp_path), 0

    def failing(function):  # type: ignore[no-untyped-def]
        def move(*paths: str) -> None:
            nonlocal n_moves
            n_moves += 1
            if n_moves == fails_at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            function(*paths)

        return move

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, failing(getattr(os, name)))
        if not has_links:
            patch.setattr(os, "link", no_links)
        try:
            write_files(files(b"new"))
        except StorageError:
            is_written = False
        else:
            is_written = True
    assert is_written == (fails_at > n_moves)
    written = dict.fromkeys(("a", "b/x/1", "b/2", "c"), b"new")
    assert contents(tmp_path) == (written if is_written else before)


@pytest.mark.parametrize("is_set", [True, False])
def test_a_disk_that_fails_after_the_last_move_costs_nothing(
    is_set: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b") if is_set else ("a",)
    write_files({tmp_path / name: b"old" for name in names})
    real = os.fsync

    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError):
        write_files({tmp_path / name: b"new" for name in names})
    assert contents(tmp_path) == dict.fromkeys(names, b"new")
