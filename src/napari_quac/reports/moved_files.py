"""Search for files of moved folders by the end of their recorded paths."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

from napari_quac.errors import DataError

# Folders of the QuAC library, by their contents. Files of one pair have the same name in all of
# them, so a file is never taken from the folder of another kind.
KIND_FOLDERS = frozenset(
    {"attributions", "masks", "counterfactuals", "generated_images", "generated"}
)
# Minimum number of equal parts at the end of two paths: METHOD/SOURCE/TARGET/NAME and so on.
LEAST_COMMON = {"attribution": 4, "mask": 4, "counterfactual": 4, "generated": 3, "query": 2}


class MovedFiles:
    """Index of the files below a folder, searched by the last parts of recorded paths.

    Parameters
    ----------
    root : Path
        The present folder of all files.
    re_root : (old, new), optional
        Beginning of the recorded paths, and its replacement; tried first.
    """

    def __init__(self, root: Path, re_root: tuple[str, str] | None = None) -> None:
        self.root = root
        self.re_root = re_root
        self._prefixes: list[tuple[str, Path]] = []

    def replace_root(self, recorded: str) -> str:
        """Return a recorded path with the explicit new beginning."""
        return recorded if self.re_root is None else recorded.replace(*self.re_root)

    def find(self, recorded: str, kind: str) -> Path:
        """Return the present path of a file.

        Parameters
        ----------
        recorded : str
            Recorded path.
        kind : str
            One of ``LEAST_COMMON``.

        Raises
        ------
        DataError
            If there is no match below the folder, or more than one.
        """
        recorded = self.replace_root(recorded)
        if Path(recorded).is_file():
            return Path(recorded)
        parts = path_parts(recorded)
        text = "/".join(parts)
        for old, new in self._prefixes:
            if text.startswith(old) and (moved := new / text[len(old) :]).is_file():
                return moved
        match = self._best_match(parts, kind)
        if match is None:
            raise DataError(
                f"'{recorded}' does not exist, and '{self.root}' contains no such file either. If "
                "the folder was moved, add --re-root OLD NEW."
            )
        self._remember(parts, match)
        return match

    def _best_match(self, parts: tuple[str, ...], kind: str) -> Path | None:
        least = min(LEAST_COMMON[kind], len(parts))
        folders = KIND_FOLDERS & set(parts)
        common = {
            path: n
            for path in self._by_name.get(parts[-1], [])
            if (n := _n_common(parts, path.parts)) >= least
            and KIND_FOLDERS & set(path.relative_to(self.root).parts) <= folders
        }
        if not common:
            return None
        longest = max(common.values())
        best = [path for path, n in common.items() if n == longest]
        if len(best) > 1:
            raise DataError(
                f"'{'/'.join(parts)}' does not exist, and {len(best)} files match, such as "
                f"'{best[0]}' and '{best[1]}'. Add --re-root OLD NEW."
            )
        return best[0]

    def _remember(self, parts: tuple[str, ...], match: Path) -> None:
        """Store the two beginnings, which usually fit the next file as well."""
        n = _n_common(parts, match.parts)
        if n >= 2:
            old = "/".join(parts[: len(parts) - n])
            new = Path(*match.parts[: len(match.parts) - n])
            self._prefixes.insert(0, (old + "/" if old else "", new))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        paths: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                paths[path.name].append(path)
        return paths


def path_parts(recorded: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, without a leading slash."""
    return tuple(
        part for part in PurePosixPath(recorded.replace("\\", "/")).parts if part not in ("/", ".")
    )


def _n_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Return the number of equal parts at the end of two paths."""
    n = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        n += 1
    return n
