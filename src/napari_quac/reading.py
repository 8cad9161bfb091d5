"""Read files that others wrote: bytes, JSON and YAML within limits, and one kind of error.

Nothing that a file states is certain, so sizes are limited before memory is taken, and no error of
a library leaves a reader.
"""

from __future__ import annotations

import codecs
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from napari_quac.errors import DataError, QuacError, is_out_of_memory, one_line

MAX_DEPTH = 100
"""Levels of lists and mappings in a document."""
JSON_BYTES = 1 << 28
YAML_BYTES = 1 << 22
# Either document is read within about five seconds and a gigabyte.
MAX_CONTAINERS, MAX_ENTRIES = 2_000_000, 25_000_000  # of a JSON document
MAX_NODES = 250_000  # of a YAML document, counted again for each alias
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


WRONG_KINDS = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""Errors of code that takes a part of a file for what it should be."""


class DocumentError(DataError, ValueError):
    """A text that is no JSON or YAML, or exceeds the limits."""


@contextmanager
def reading_errors(
    name: str, advice: str = "Copy it again.", error_type: type[QuacError] = DataError
) -> Iterator[None]:
    """Turn every error of a reader into one sentence; those of this package pass unchanged.

    Parameters
    ----------
    name : str
        Name of the file or part, for the sentence.
    advice : str
        A sentence that says what to do.
    error_type : type
        Of the error.

    Raises
    ------
    QuacError
        Of the given type.
    """
    try:
        yield
    except QuacError:
        raise
    except OSError as error:
        reason = error.strerror or one_line(error, 120)
        raise error_type(f"'{name}' cannot be read ({reason}). {advice}") from error
    except Exception as error:
        problem = f"is damaged ({one_line(error, 120)})"
        if is_out_of_memory(error):
            problem = "states sizes that do not fit into memory: it is damaged or too large"
        raise error_type(f"'{name}' {problem}. {advice}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of libraries in Rust, such as safetensors
            raise
        raise error_type(f"'{name}' is damaged ({one_line(error, 120)}). {advice}") from error


def path_exists(path: str | Path) -> bool:
    """Tell whether there is a file or folder; False for a text that cannot be a path."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # such as a name that is too long
        return False


def is_regular_file(path: Path) -> bool:
    """Tell a file from a folder, a missing path, a pipe or an impossible name."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long or holds a zero byte
        return False


def is_folder(path: Path) -> bool:
    """Tell a folder from a file, a missing path or an impossible name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def check_regular_file(path: Path, error_type: type[QuacError] = DataError) -> int:
    """Return the size of a file in bytes.

    Raises
    ------
    QuacError
        If it is missing, a folder, or a pipe, which would be read for ever.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise error_type(f"'{path}' does not exist. Check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise error_type(f"'{path}' cannot be read ({reason}). Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise error_type(f"'{path}' is a folder, not a file. Choose a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise error_type(f"'{path}' is a pipe or a device, not a file. Copy it into a file.")
    return status.st_size


def read_bytes(path: Path, limit: int = JSON_BYTES) -> bytes:
    """Read a file of at most ``limit`` bytes.

    Raises
    ------
    DataError
        If it is missing, no regular file, larger, or cannot be read.
    """
    size = check_regular_file(path)
    if size > limit:
        raise DataError(
            f"'{path.name}' has {size >> 20} MB, more than the {limit >> 20} MB that such a file "
            "can have. Choose another one."
        )
    with reading_errors(str(path), "Check the path."), path.open("rb") as file:
        return file.read(limit)


def decode_text(content: bytes) -> str:
    """Decode UTF-8 with or without a byte order mark, and UTF-16 with one.

    Raises
    ------
    UnicodeDecodeError
        If it is neither.
    """
    return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")


def read_json(path: Path, limit: int = JSON_BYTES) -> Any:
    """Read a JSON file; see :func:`parse_json`.

    Raises
    ------
    DataError
        If it cannot be read; DocumentError if it is not JSON.
    """
    content = read_bytes(path, limit)
    try:
        return parse_json(content)
    except ValueError as error:
        reason = one_line(error, 100)
        message = f"'{path}' is no complete JSON file ({reason}). Copy it again."
        raise DocumentError(message) from error


def parse_json(text: str | bytes) -> Any:
    """Return the values in a JSON text, which may contain NaN and infinity, as Python writes them.

    Raises
    ------
    DocumentError
        If it is not JSON, is nested more deeply than ``MAX_DEPTH``, holds too many values,
        or has a key twice in one object.
    """
    try:
        text = decode_text(text) if isinstance(text, bytes) else text
        n_containers = text.count("[") + text.count("{")
        if n_containers > MAX_CONTAINERS or text.count(",") > MAX_ENTRIES:
            raise DocumentError(f"it holds more than {MAX_ENTRIES} values")
        values = json.loads(text, object_pairs_hook=_unique_keys)
    except QuacError:
        raise
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        is_deep = isinstance(error, RecursionError)
        raise DocumentError("it is nested too deeply" if is_deep else one_line(error)) from error
    if n_containers > MAX_DEPTH and _is_deep(values):
        raise DocumentError("it is nested too deeply")
    return values


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in mapping if keys.count(key) > 1)
        raise DocumentError(f"'{twice[:60]}' is there twice")
    return mapping


def _is_deep(values: Any) -> bool:
    level = [values]
    for _ in range(MAX_DEPTH):
        level = [
            entry
            for node in level
            for entry in (node.values() if isinstance(node, dict) else node)
            if type(entry) in (dict, list)
        ] if isinstance(level[0], dict | list) else []  # fmt: skip
        if not level:
            return False
    return True


def read_yaml(path: Path, limit: int = YAML_BYTES) -> Any:
    """Read a YAML file; see :func:`parse_yaml`.

    Raises
    ------
    DataError
        If it cannot be read; DocumentError if it is not YAML.
    """
    content = read_bytes(path, limit)
    try:
        return parse_yaml(content)
    except ValueError as error:
        reason = one_line(error, 300)
        raise DocumentError(f"'{path}' is not a YAML file: {reason}. Correct it.") from error


def parse_yaml(text: str | bytes, with_objects: bool = False) -> Any:
    """Return the plain values in a YAML text; nothing is constructed but plain values.

    Parameters
    ----------
    text : str or bytes
        One document; dates stay text.
    with_objects : bool
        Return the fields of Python objects, as Lightning writes them, as mappings. By default they
        are refused.

    Raises
    ------
    DocumentError
        If it is not YAML, is nested more deeply than ``MAX_DEPTH``, has a key twice, or repeats
        parts by aliases up to more than ``MAX_NODES`` values.
    """
    try:
        text = decode_text(text) if isinstance(text, bytes) else text
        if len(text) > YAML_BYTES or sum(map(text.count, ",[{\n")) > MAX_NODES:
            raise DocumentError(f"it holds more than {MAX_NODES} values")
        loader = _yaml_loader(with_objects)(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count_nodes(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except DocumentError:
        raise
    except Exception as error:  # PyYAML raises many kinds about wrong tags
        raise DocumentError(one_line(error, 300)) from error


@cache
def _yaml_loader(with_objects: bool) -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if installed

    class Loader(base):  # type: ignore[misc]  # PyYAML has no types
        """YAML loader of plain values that refuses repeated keys."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """Return a mapping after a check of its keys."""
            keys = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise DocumentError("a key is a list or a mapping, not a name")
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"'{key.value[:60]}' is there twice", key.start_mark
                    )
                keys.add(key.value)
            mapping: dict[Any, Any] = super().construct_mapping(node, deep)
            return mapping

    timestamp = "tag:yaml.org,2002:timestamp"
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != timestamp]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    if with_objects:
        Loader.add_multi_constructor("tag:yaml.org,2002:python/", _plain_object)
        Loader.add_multi_constructor("!", _plain_object)
    return Loader


def _plain_object(loader: Any, suffix: str, node: Any) -> Any:
    del suffix
    if node.id == "mapping":
        return loader.construct_mapping(node, deep=True)
    if node.id == "sequence":
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


def _count_nodes(root: Any) -> None:
    """Refuse a document that is nested too deeply, or large when its aliases are followed."""
    sizes: dict[int, int] = {}

    def count(node: Any, depth: int) -> int:
        if id(node) in sizes and sizes[id(node)] == 0:
            raise DocumentError("a part of it contains itself")
        if id(node) not in sizes:
            if depth > MAX_DEPTH:
                raise DocumentError("it is nested too deeply")
            sizes[id(node)] = 0
            parts = node.value if isinstance(node.value, list) else ()
            pairs = (pair if isinstance(pair, tuple) else (pair,) for pair in parts)
            sizes[id(node)] = 1 + sum(count(part, depth + 1) for pair in pairs for part in pair)
            if sizes[id(node)] > MAX_NODES:
                raise DocumentError(f"it holds more than {MAX_NODES} values")
        return sizes[id(node)]

    count(root, 0)


def as_mapping(values: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return values if isinstance(values, Mapping) else {}
