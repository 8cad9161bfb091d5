"""Labels in the names of files, such as ``ach_001.tif``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_quac.data.image_search import count_of, name_some
from napari_quac.errors import DataError

LABEL = "{label}"
MAX_CLASSES = 30


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
    expression = _compile(pattern)
    labels: list[str | None] = []
    for image in images:
        path = image.relative_to(root) if "/" in pattern else Path(image.name)
        texts = [path.with_suffix("").as_posix(), path.as_posix()]
        if pattern.lower().endswith(path.suffix.lower()):
            texts.reverse()
        match = next((m for text in texts if (m := expression.fullmatch(text))), None)
        group = "label" if "label" in expression.groupindex else 1
        labels.append((match[group] or "").strip() or None if match else None)
    if not any(labels):
        names = name_some(images, root)
        raise DataError(
            f"The pattern '{pattern}' fits none of {count_of(len(images), 'file')} ({names}). "
            "Write {label} where the label stands and * for anything, such as '{label}_*.tif'."
        )
    return labels


def _compile(pattern: str) -> re.Pattern[str]:
    advice = "Write a name with {label}, such as '{label}_*.tif', or a regular expression"
    if LABEL in pattern:
        parts = re.split(r"(\{label\}|\*|\?)", pattern)
        if parts.count(LABEL) > 1:
            raise DataError(f"The pattern '{pattern}' has {LABEL} twice. {advice}.")
        words = {LABEL: "(?P<label>[^/]+?)", "*": ".*", "?": "."}
        return re.compile("".join(words.get(part, re.escape(part)) for part in parts))
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(f"'{pattern}' is no pattern ({error}). {advice}.") from error
    if "label" not in expression.groupindex and expression.groups != 1:
        raise DataError(
            f"The pattern '{pattern}' does not mark the label. {advice} with one group in "
            "parentheses."
        )
    return expression


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
