"""Sources of inputs: alterations of valid files, documents of hypothesis, bytes of atheris."""

from __future__ import annotations

import copy
import importlib
import json
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from .inputs import altered_input
from .mutators import places_in
from .readers import Contents, Reader

Read = Callable[[Contents], Any]
MAX_BYTES = 1 << 16
GUIDED = ("napari_quac", "tifffile", "yaml")
"""Packages whose branches guide atheris."""
NOT_READERS = ("gui", "commands", "__main__", "cli", "notebook", "testing")


def prepare(source: str) -> None:
    """Load what a source needs before the libraries that are tested."""
    if source == "hypothesis":
        from hypothesis import strategies

        strategies.text(strategies.characters()).example()  # loads its tables of characters
    if source == "atheris":
        import atheris

        stderr = os.fdopen(os.dup(2), "w", buffering=1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # it prints a line for each module
        with atheris.instrument_imports(include=list(GUIDED)):
            import napari_quac

            for module in pkgutil.walk_packages(napari_quac.__path__, "napari_quac."):
                if not {*module.name.split(".")} & {*NOT_READERS}:
                    importlib.import_module(module.name)
        sys.stderr = stderr  # for tracebacks


def read_altered(reader: Reader, seed: int, first: int, end: int, folder: Path, read: Read) -> None:
    """Read valid files with small alterations."""
    del folder
    for number in range(first, end):
        read(altered_input(reader, reader.seeds(), seed, number))


def read_documents(
    reader: Reader, seed: int, first: int, end: int, folder: Path, read: Read
) -> None:
    """Read valid files in which hypothesis exchanges values, keys and branches of documents."""
    import hypothesis

    del folder

    @hypothesis.seed(f"{reader.name} {seed} {first}")
    @hypothesis.settings(
        max_examples=end - first, database=None, deadline=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(document_strategy(reader.seeds()))
    def run(contents: Contents) -> None:
        read(contents)

    run()


def document_strategy(seeds: Sequence[Contents]) -> Any:
    """Return a strategy of inputs in which a document has up to three other parts.

    Raises
    ------
    ValueError
        If no valid file is a JSON or YAML document.
    """
    from hypothesis import strategies as st

    documents = [
        (contents, name, document)
        for contents in seeds
        for name in contents
        if isinstance(document := _parse(name, contents[name]), dict | list)
    ]
    if not documents:
        raise ValueError("no valid file is a document")
    texts = st.text() | st.text(st.characters(), max_size=5)
    numbers = st.integers() | st.floats() | st.integers(-3, 300)
    plain = st.none() | st.booleans() | numbers | texts
    values = st.recursive(
        plain, lambda part: st.lists(part) | st.dictionaries(texts, part), max_leaves=8
    )

    def similar(value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return plain
        if isinstance(value, int | float):
            return numbers
        if isinstance(value, str):
            return texts | texts.map(lambda text: value + text) | numbers.map(str)
        if isinstance(value, list) and value:
            return st.lists(st.sampled_from(value) | values, max_size=2 * len(value))
        return values

    @st.composite
    def strategy(draw: Any) -> Contents:
        contents, name, document = draw(st.sampled_from(documents))
        document = copy.deepcopy(document)
        for _ in range(draw(st.integers(1, 3))):
            if not (places := places_in(document)):
                break
            node, key = draw(st.sampled_from(places))
            kind = draw(st.integers(0, 7))
            if kind == 0:
                del node[key]
            elif kind == 1 and isinstance(node, dict):
                node[draw(texts)] = node.pop(key)
            else:
                node[key] = draw(values if kind < 4 else similar(node[key]))
        return {**contents, name: json.dumps(document, default=str).encode()}

    return strategy()


def _parse(name: str, content: bytes) -> Any:
    try:
        return yaml.safe_load(content) if name.endswith(".yaml") else json.loads(content)
    except (ValueError, yaml.YAMLError):
        return None


def read_guided(reader: Reader, seed: int, first: int, end: int, folder: Path, read: Read) -> None:
    """Read bytes that atheris alters, and keeps if they reach other branches of the code.

    The first byte chooses the valid file in which the others take the place of a member.
    """
    import atheris

    members = [(contents, name) for contents in reader.seeds() for name in contents]
    Random(0).shuffle(members)  # those beyond the 256th are left out
    corpus = folder / "corpus" / reader.name
    if not corpus.is_dir():
        corpus.mkdir(parents=True)
        for number, (contents, name) in enumerate(members[:256]):
            (corpus / str(number)).write_bytes(bytes([number]) + contents[name])
    n_left = end - first

    def one(content: bytes) -> None:
        nonlocal n_left
        contents, name = members[content[0] % len(members) if content else 0]
        try:
            read({**contents, name: content[1:]})
        except BaseException:
            traceback.print_exc()
            raise
        n_left -= 1
        if n_left == 0:
            os._exit(0)  # atheris would end by the exit handlers of the parent

    options = ("timeout", "rss_limit_mb", "malloc_limit_mb", "handle_segv", "handle_bus",
               "handle_abrt", "handle_ill", "handle_fpe", "handle_xfsz", "verbosity")  # fmt: skip
    settings = [f"-{option}=0" for option in options]  # the parent limits and counts
    settings += [f"-seed={Random(f'{seed} {first}').randrange(1, 1 << 31)}"]
    atheris.Setup(["fuzz", *settings, f"-max_len={MAX_BYTES}", str(corpus)], one)
    atheris.Fuzz()


SOURCES = {"altered": read_altered, "hypothesis": read_documents, "atheris": read_guided}
