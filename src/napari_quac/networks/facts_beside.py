"""Facts about a classifier in files beside it, and the choice of its class names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import DataError
from napari_quac.networks.checkpoint_facts import (
    CLASS_KEYS,
    class_names_in,
    collect_facts,
    metadata_of,
    read_names,
)
from napari_quac.reading import (
    decode_text,
    is_regular_file,
    parse_json,
    parse_yaml,
    read_bytes,
)

MAX_BYTES = 1 << 20
NAME_FILES = ("classes", "class_names", "labels", "class_to_idx", "idx_to_class", "id2label")
FACT_FILES = tuple(
    f"{stem}{ending}" for stem in ("args", "config", "hparams") for ending in (".yaml", ".json")
)
ENDINGS = (".json", ".yaml", ".yml", ".txt")
_BESIDE = "class_names_beside"  # key of metadata: a JSON list, and the name of its file
_NUMBERED = re.compile(r"^(\d+)\s*[:,;\t ]\s*(\S.*)$|^(\S.*?)\s*[:,;\t ]\s*(\d+)$")


def read_beside(path: Path) -> tuple[dict[str, str], tuple[Assumption, ...]]:
    """Read the facts in files beside a network.

    Parameters
    ----------
    path : Path
        The network, such as ``model.pth``: facts are in ``model.json``, ``classes.txt``,
        ``class_to_idx.json``, ``args.yaml``, ``hparams.yaml`` (also one folder up), and the like.

    Returns
    -------
    metadata : dict from str to str
        As of the network itself. The class names may be those of another network, so that
        :func:`choose_class_names` has to compare their number with that of the outputs.
    assumptions : tuple of Assumption
        The files from which the preprocessing comes.
    """
    metadata: dict[str, str] = {}
    assumptions: list[Assumption] = []
    for file in _files_beside(path):
        facts = _read_facts(file)
        names = class_names_in(facts)
        if names is not None and names.names:
            metadata.setdefault(_BESIDE, json.dumps([list(names.names), file.name]))
        new = {
            key: text
            for key, text in metadata_of(facts).items()
            if key != "class_names" and key not in metadata
        }
        metadata |= new
        if new.keys() & {"mean", "std", "value_range"}:
            sentence = f"The normalization is that of '{file.name}' beside the file."
            assumptions.append(Assumption("input range", sentence))
    return metadata, tuple(assumptions)


def _files_beside(path: Path) -> Iterator[Path]:
    names = [path.with_suffix(ending).name for ending in ENDINGS]
    names += [f"{name}{ending}" for name in NAME_FILES for ending in ENDINGS]
    folders = [(path.parent, (*names, *FACT_FILES))]
    if path.suffix == ".ckpt":
        folders.append((path.parent.parent, FACT_FILES))
    for folder, candidates in folders:
        for name in candidates:
            file = folder / name
            if file != path and is_regular_file(file):
                yield file


def _read_facts(file: Path) -> dict[str, Any]:
    """Return the facts of a JSON, YAML or text file; empty if it holds something else."""
    try:
        text = decode_text(read_bytes(file, MAX_BYTES))
        if file.suffix == ".json":
            content = parse_json(text)
        elif file.suffix == ".txt":
            content = _names_in_lines(text)
        else:
            content = parse_yaml(text, with_objects=True)
    except (DataError, ValueError):
        return {}
    key = file.stem if file.stem in NAME_FILES else "class_names"
    key = key if key in CLASS_KEYS else "class_names"
    if isinstance(content, dict):
        facts = collect_facts(content)
        if class_names_in(facts) is None and file.stem in NAME_FILES:
            facts[key] = content
        return facts
    return {key: content} if read_names(content, key) is not None else {}


def _names_in_lines(text: str) -> Any:
    """Return one name for each line; or a mapping if every line has a number."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [_NUMBERED.match(line) for line in lines]
    if len(lines) > 1 and all(pair is not None and pair[1] is not None for pair in pairs):
        return {pair[1]: pair[2] for pair in pairs if pair is not None}
    if len(lines) > 1 and all(pair is not None and pair[3] is not None for pair in pairs):
        return {pair[4]: pair[3] for pair in pairs if pair is not None}
    return lines


def choose_class_names(
    metadata: Mapping[str, str], n_outputs: int, file_name: str
) -> tuple[tuple[str, ...], tuple[Assumption, ...]]:
    """Choose the class names among those in a file and beside it.

    Parameters
    ----------
    metadata : Mapping[str, str]
        Of the file.
    n_outputs : int
        Number of classes.
    file_name : str
        For messages.

    Returns
    -------
    class_names : tuple of str
        In output order; empty if there are none of this number.
    assumptions : tuple of Assumption
        Names from another file, or names that are not used.
    """
    assumptions: list[Assumption] = []
    names = class_names_in(metadata)
    if names is not None and len(names.names) == n_outputs:
        return names.names, ()
    if names is not None and names.names:
        assumptions.append(
            Assumption(
                "class names",
                f"The {len(names.names)} class names under '{names.key}' in '{file_name}' are not "
                f"used, because the network has {n_outputs} outputs.",
            )
        )
    if _BESIDE in metadata:
        beside, source = parse_json(metadata[_BESIDE])
        if len(beside) == n_outputs:
            sentence = f"The class names are those of '{source}' beside the file (--classes)."
            return tuple(beside), (Assumption("class names", sentence),)
        assumptions.append(
            Assumption(
                "class names",
                f"The {len(beside)} class names of '{source}' beside the file are not used, because"
                f" the network has {n_outputs} outputs.",
            )
        )
    return (), tuple(assumptions)
