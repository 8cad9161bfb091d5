"""Labels in the names of files, such as ``ach_001.tif``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from napari_quac.data.image_search import count_of, name_some
from napari_quac.errors import DataError

MAX_CLASSES = 30
MAX_REPEATS = 4
_PIECE = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\(\?[^:=!<>)]*[:=!<>]|[()|*+]|\{\d*,?\d*\}|.", re.DOTALL
)
"""Of a regular expression: an escape, a set, the start of a group, a quantifier, or a sign."""


@dataclass(frozen=True)
class PatternSuggestion:
    """A pattern that gives few different labels.

    Attributes
    ----------
    pattern : str
        See :func:`pattern_labels`.
    classes : tuple of str
        The labels, sorted.
    """

    pattern: str
    classes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{name_some(self.classes)} ({self.pattern})"


def pattern_labels(images: Sequence[Path], root: Path, pattern: str) -> list[str | None]:
    """Return the label in the name of each file; None where the pattern does not fit.

    Parameters
    ----------
    images : sequence of Path
        Image files.
    root : Path
        Their folder.
    pattern : str
        A name with ``{label}`` and ``*`` for anything, such as ``{label}_*.tif`` or
        ``*/{label}-*``; the extension may be missing. Or a regular expression with a group
        ``(?P<label>…)``, or with one group. With a slash it applies to the path below ``root``.

    Raises
    ------
    DataError
        If it is no pattern, or fits no file.
    """
    paths = [image.relative_to(root).as_posix() for image in images]
    labels = [match_pattern(path, pattern) for path in paths]
    if not any(labels):
        names = name_some(images, root)
        raise DataError(
            f"The pattern '{pattern}' fits none of {count_of(len(images), 'file')} ({names}). "
            "Write {label} where the label stands and * for anything, such as '{label}_*.tif'."
        )
    return labels


def match_pattern(path: str, pattern: str, part: str = "label") -> str | None:
    """Return the marked part of a path; None if the pattern does not fit.

    Parameters
    ----------
    path : str
        Relative path, with ``/``.
    pattern : str
        See :func:`pattern_labels`.
    part : str
        Name of the part: ``{part}`` in the pattern.

    Raises
    ------
    DataError
        If it is no pattern.
    """
    expression = _compile(pattern, part)
    file = PurePosixPath(path if "/" in pattern else PurePosixPath(path).name)
    texts = [file.with_suffix("").as_posix() if file.name else "", file.as_posix()]
    if pattern.lower().endswith(file.suffix.lower()):
        texts.reverse()
    match = next((m for text in texts if (m := expression.fullmatch(text))), None)
    group = part if part in expression.groupindex else 1
    return ((match[group] or "").strip() or None) if match else None


@lru_cache(maxsize=16)
def _compile(pattern: str, part: str) -> re.Pattern[str]:
    mark = f"{{{part}}}"
    advice = f"Write a name with {mark}, such as '{mark}_*.tif', or a regular expression"
    if mark in pattern:
        parts = re.split(rf"({re.escape(mark)}|\*|\?)", pattern)
        if parts.count(mark) > 1:
            raise DataError(f"The pattern '{pattern}' has {mark} twice. {advice}.")
        words = {mark: f"(?P<{part}>[^/]+?)", "*": ".*", "?": "."}
        _refuse_repeats(pattern, parts.count("*"), advice)
        return re.compile("".join(words.get(text, re.escape(text)) for text in parts))
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"'{pattern}' is no pattern ({error}). {advice}.") from error
    _refuse_endless(pattern, advice)
    if part not in expression.groupindex and expression.groups != 1:
        raise DataError(
            f"The pattern '{pattern}' does not mark the {part}. {advice} with one group in "
            "parentheses."
        )
    return expression


def _refuse_endless(pattern: str, advice: str) -> None:
    """Refuse a regular expression that could take years on one name: Python cannot stop it."""
    pieces = _PIECE.findall(pattern)
    groups, n_repeats = [False], 0  # open groups: whether one has more than one way to fit
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece.startswith("("):
            groups.append(False)
        elif piece == ")":
            is_varied = groups.pop()
            if is_varied and following[:1] in {"*", "+", "{"}:
                raise DataError(
                    f"The pattern '{pattern}' repeats a part that repeats or has alternatives "
                    f"itself, which can take for ever. {advice} without that."
                )
            groups[-1] |= is_varied
        elif piece[0] in "|*+{":
            groups[-1] = True
            n_repeats += piece != "|"
    _refuse_repeats(pattern, n_repeats, advice)


def _refuse_repeats(pattern: str, n_repeats: int, advice: str) -> None:
    if n_repeats > MAX_REPEATS:
        raise DataError(
            f"The pattern '{pattern}' repeats {n_repeats} parts, and {MAX_REPEATS} are allowed: "
            f"more can take for ever. {advice}."
        )


def suggest_patterns(images: Sequence[Path]) -> tuple[PatternSuggestion, ...]:
    """Return patterns by which the first or last word of all names is one of few labels.

    Each label has at least two files, and the words are no numbers.
    """
    stems = [path.stem for path in images]
    suggestions = []
    for pattern, expression in (
        *(("{label}_*", r"([^_]+)_.*"), ("{label}-*", r"([^-]+)-.*")),
        *(("{label} *", r"([^ ]+) .*"), ("{label}.*", r"([^.]+)\..*")),
        *(("*_{label}", r".*_([^_]+)"), ("*-{label}", r".*-([^-]+)")),
        (r"([^\W\d_]+)\d+", r"([^\W\d_]+)\d+"),
    ):
        matches = [re.fullmatch(expression, stem) for stem in stems]
        counts = Counter(match[1] for match in matches if match)
        is_complete = all(matches) and min(counts.values(), default=0) > 1
        if is_complete and 2 <= len(counts) <= MAX_CLASSES and not any(map(_is_id, counts)):
            suggestions.append(PatternSuggestion(pattern, tuple(sorted(counts))))
    return tuple(suggestions)


def _is_id(word: str) -> bool:
    return not re.search(r"[^\W\d_]", word)
