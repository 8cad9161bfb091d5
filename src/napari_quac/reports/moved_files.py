"""Find files again whose folder was moved since their paths were noted."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

from napari_quac.errors import DataError

# Folders of the QuAC library by what lies in them. Files of one pair have one name in all of
# these, so a file is never taken from the folder of another kind.
KIND_FOLDERS = frozenset(
    {"attributions", "masks", "counterfactuals", "generated_images", "generated"}
)
# How many of a path's last parts have to agree: METHOD/SOURCE/TARGET/NAME and so on.
LEAST_COMMON = {"attribution": 4, "mask": 4, "counterfactual": 4, "generated": 3, "query": 2}


class MovedFiles:
    """Looks noted paths up below a folder, by as many of their last parts as it takes.

    Parameters
    ----------
    root : Path
        The folder in which everything is expected now.
    re_root : (old, new), optional
        The beginning of the noted paths and what to put in its place; tried first.
    """

    def __init__(self, root: Path, re_root: tuple[str, str] | None = None) -> None:
        self.root = root
        self.re_root = re_root
        self._prefixes: list[tuple[str, Path]] = []

    def renamed(self, noted: str) -> str:
        """Return a noted path with the explicit new beginning."""
        if self.re_root is None:
            return noted
        old, new = self.re_root
        return noted.replace(old, new)

    def find(self, noted: str, kind: str) -> Path:
        """Return where a file is now.

        Parameters
        ----------
        noted : str
            Where it once was.
        kind : str
            One of ``LEAST_COMMON``.

        Raises
        ------
        DataError
            If it is neither at its noted place nor below the folder, or several could be it.
        """
        noted = self.renamed(noted)
        place = Path(noted)
        if place.is_file():
            return place
        parts = parts_of(noted)
        text = "/".join(parts)
        for old, new in self._prefixes:
            if text.startswith(old) and (moved := new / text[len(old) :]).is_file():
                return moved
        found = self._best_match(parts, kind)
        if found is None:
            raise DataError(
                f"'{noted}' is not there, and '{self.root}' has no such file either. If it was "
                "moved, say how with --re-root OLD NEW."
            )
        self._learn(parts, found)
        return found

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
                f"'{'/'.join(parts)}' is not there, and {len(best)} files could be it, such as "
                f"'{best[0]}' and '{best[1]}'. Say how the folder was moved with --re-root OLD NEW."
            )
        return best[0]

    def _learn(self, parts: tuple[str, ...], found: Path) -> None:
        """Remember the two beginnings, so that the next file is one look away."""
        n = _n_common(parts, found.parts)
        if n >= 2:
            old = "/".join(parts[: len(parts) - n])
            new = Path(*found.parts[: len(found.parts) - n])
            self._prefixes.insert(0, (old + "/" if old else "", new))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                found[path.name].append(path)
        return found


def parts_of(noted: str) -> tuple[str, ...]:
    """Return the parts of a path of any system; a leading slash is no part."""
    return tuple(
        part for part in PurePosixPath(noted.replace("\\", "/")).parts if part not in ("/", ".")
    )


def _n_common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many parts two paths share at their end."""
    n = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        n += 1
    return n
