"""Types of command-line arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_quac.data.name_match import split_names
from napari_quac.data.remote.address import Address, is_address, location
from napari_quac.errors import DataError


def path(text: str) -> Path:
    """Read a path.

    Raises
    ------
    ArgumentTypeError
        If it is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("an empty text is no path")
    return Path(text)


def volume(text: str) -> Path | Address:
    """Read a path or an address.

    Raises
    ------
    ArgumentTypeError
        If it is empty, or no address of a volume.
    """
    try:
        return location(text) if is_address(text) else path(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def names(text: str) -> tuple[str, ...]:
    """Split ``a,b,c``; names with commas are in double quotes, as in CSV.

    Raises
    ------
    ArgumentTypeError
        If there is no name.
    """
    parts = split_names(text)
    if not any(parts):
        raise argparse.ArgumentTypeError(f"'{text}' contains no name")
    return parts


def class_map(text: str) -> dict[str, str]:
    """Read ``a=b,c=``: a class of the classifier, or nothing, for classes of the generator.

    Raises
    ------
    ArgumentTypeError
        If a part has another form.
    """
    pairs = {}
    for part in split_names(text):
        name, equals, partner = part.partition("=")
        if not equals or not name.strip():
            message = f"'{part}' has not the form GENERATOR_CLASS=CLASSIFIER_CLASS"
            raise argparse.ArgumentTypeError(message)
        pairs[name.strip()] = partner.strip()
    return pairs


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read ``16,160,160``; one number stands for a square.

    Raises
    ------
    ArgumentTypeError
        If these are no whole numbers above 0.
    """
    try:
        numbers = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no size such as 128 or 16,160,160")
    return numbers * 2 if len(numbers) == 1 else numbers


def pooling_factors(text: str) -> tuple[tuple[int, ...], ...]:
    """Read ``1x2x2,2x2x2``, one group for each level."""
    return tuple(whole_numbers(part) for part in text.split(","))


def standardization(text: str) -> str | tuple[float, float]:
    """Read ``zscore`` or ``percentile:0.5,99.5``.

    Raises
    ------
    ArgumentTypeError
        If it is neither.
    """
    if text == "zscore":
        return text
    kind, _, limits = text.partition(":")
    try:
        low, high = map(float, limits.split(","))
        if kind == "percentile":
            return low, high
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is neither zscore nor percentile:LO,HI")


def decimal_numbers(text: str) -> tuple[float, ...]:
    """Read ``0.485,0.456,0.406``.

    Raises
    ------
    ArgumentTypeError
        If these are no numbers.
    """
    try:
        return tuple(map(float, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers") from error


def side_or_size(text: str) -> tuple[int, ...]:
    """Read ``256``, one side, or ``256,320``."""
    size = whole_numbers(text)
    return size[:1] if text.replace("x", ",").count(",") == 0 else size
