"""Inputs of a reader: valid files of which some are altered, and outcomes of reading them."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random

from .mutators import Mutator
from .readers import Contents, Reader

N_BYTES = 1 << 30  # that an input may take beyond what the process had before
GOOD = ("read", "refused")


def altered_input(reader: Reader, seeds: Sequence[Contents], seed: int, number: int) -> Contents:
    """Return one input, which depends on nothing but its arguments."""
    pick = Random(f"{reader.name} {seed} {number}")
    every = [content for contents in seeds for content in contents.values()]
    mutator = Mutator(pick, every)
    contents = dict(pick.choice(seeds))
    name = pick.choice(sorted(contents))
    chance = pick.random()
    if len(contents) > 1 and chance < 0.03:
        del contents[name]
    elif chance < 0.05:
        contents[name] = pick.choice(every)
    else:
        for place in {name, *(pick.choice(sorted(contents)) for _ in range(chance > 0.9))}:
            contents[place] = mutator.alter(place, contents[place])
    return contents


def write_input(folder: Path, contents: Contents) -> Path:
    """Write the files of an input; return the file or folder to open."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / next(iter(contents)).split("/")[0]


def outcome_of(reader: Reader, path: Path) -> tuple[str, str]:
    """Read an input: ``"read"``, ``"refused"``, or a name of the failure and its details."""
    from napari_quac.errors import QuacError

    try:
        reader.read(path)
    except QuacError as error:
        if not str(error).strip() or "Traceback" in str(error):
            return "error without a sentence", repr(error)
        return "refused", ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "napari_quac" in frame.filename]
        frame = (ours or frames)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return f"{type(error).__name__} at {place}", traceback.format_exc()
    return "read", ""
