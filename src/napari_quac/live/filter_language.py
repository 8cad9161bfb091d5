"""A small language for filters, such as ``wrong and confidence < 0.6``; it runs no code.

A filter is read by hand-written rules into a tree of numpy operations over
:class:`~napari_quac.live.sample_columns.SampleColumns`::

    filter     = both ("or" both)*
    both       = one ("and" one)*
    one        = "not" one | "(" filter ")" | comparison | flag
    comparison = column ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") (column | value)
    column     = number | id | label | predicted | target | confidence | score | p(CLASS)
    flag       = wrong | right | known | explained | switched | failed

What is unknown, such as the confidence of a sample without prediction, fulfils no comparison.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import QuacError
from napari_quac.live.sample_columns import UNKNOWN, SampleColumns

Mask = NDArray[np.bool_]
Test = Callable[[SampleColumns], Mask]

FLAGS: Mapping[str, Test] = {
    "wrong": lambda columns: columns.wrong,
    "right": lambda columns: columns.right,
    "known": lambda columns: columns.predicted != UNKNOWN,
    "explained": lambda columns: columns.switched != UNKNOWN,
    "switched": lambda columns: columns.switched == 1,
    "failed": lambda columns: columns.failed,
}
NUMBERS: Mapping[str, Callable[[SampleColumns], NDArray[Any]]] = {
    "number": lambda columns: columns.numbers,
    "confidence": lambda columns: columns.confidence,
    "score": lambda columns: columns.scores,
}
CLASSES: Mapping[str, Callable[[SampleColumns], NDArray[np.int64]]] = {
    "label": lambda columns: columns.label_codes,
    "predicted": lambda columns: columns.predicted_codes,
    "target": lambda columns: columns.target_codes,
}
COLUMNS = ("id", *CLASSES, *NUMBERS, "p(CLASS)")
LONGEST = 1000  # nested parentheses are read by recursion
KNOWN_WORDS = (*COLUMNS, *FLAGS, "and", "or", "not")

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<op><=|>=|!=|==|=|<|>|~|\(|\))
  | (?P<word>[\w][\w.\-+/:]*)
    )""",
    re.VERBOSE,
)
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


class FilterError(QuacError):
    """A filter cannot be understood.

    Attributes
    ----------
    position : int
        Where it begins to make no sense, counted in characters from 0.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True)
class Filter:
    """A filter that was understood.

    Attributes
    ----------
    text : str
        As it was written.
    """

    text: str
    _test: Test

    def mask(self, columns: SampleColumns) -> Mask:
        """Return which samples it holds; (N,).

        Raises
        ------
        FilterError
            If it names a class that does not exist.
        """
        return np.asarray(self._test(columns), dtype=np.bool_)


@dataclass(frozen=True)
class _Token:
    kind: Literal["number", "text", "op", "word", "end"]
    text: str
    position: int


def parse_filter(text: str) -> Filter:
    """Understand a filter; an empty one holds everything.

    Raises
    ------
    FilterError
        If it cannot be understood; the text says where, and names the known words.
    """
    if len(text) > LONGEST:
        raise FilterError(f"At {LONGEST}: a filter has at most {LONGEST} characters.", LONGEST)
    if not text.strip():
        return Filter(text, lambda columns: np.ones(len(columns), dtype=np.bool_))
    return Filter(text, _Parser(text).whole())


def quoted(name: str) -> str:
    """Return a class name or id as it is written in a filter."""
    plain = re.fullmatch(r"[^\W\d][\w.\-+/:]*", name) and name.lower() not in KNOWN_WORDS
    if plain:
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def cell_filter(label: str, predicted: str) -> str:
    """Return the filter for a cell of the confusion matrix."""
    return f"label = {quoted(label)} and predicted = {quoted(predicted)}"


class _Parser:
    """Reads one filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._at = 0

    def whole(self) -> Test:
        test = self._either()
        token = self._next()
        if token.kind != "end":
            raise self._error("'and', 'or' or the end is expected", token)
        return test

    def _split(self, text: str) -> list[_Token]:
        tokens, at = [], 0
        end = len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                problem = "the quotation is not closed" if text[at] in "\"'" else "cannot be read"
                raise self._error(problem, _Token("op", text[at], at))
            kind: Any = match.lastgroup
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "", end)]

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _takes(self, word: str) -> bool:
        token = self._peek()
        if token.kind in ("word", "op") and token.text.lower() == word:
            self._at += 1
            return True
        return False

    def _either(self) -> Test:
        tests = [self._both()]
        while self._takes("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else _any_of(tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._takes("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else _all_of(tests)

    def _one(self) -> Test:
        if self._takes("not"):
            test = self._one()
            return lambda columns: ~test(columns)
        if self._takes("("):
            test = self._either()
            if not self._takes(")"):
                raise self._error("')' is missing", self._peek())
            return test
        token = self._next()
        word = token.text.lower()
        if token.kind == "word" and word in FLAGS:
            return FLAGS[word]
        return self._comparison(token)

    def _comparison(self, token: _Token) -> Test:
        word = token.text.lower()
        if token.kind == "end":
            raise self._error("something is missing", token)
        if token.kind != "word":
            raise self._error("a column or a word such as 'wrong' is expected", token)
        if word == "p":
            value = self._probability()
            return self._number_test(value)
        if word in NUMBERS:
            return self._number_test(NUMBERS[word])
        if word in CLASSES:
            return self._class_test(word)
        if word == "id":
            return self._id_test()
        raise self._error("is not known", token)

    def _operator(self, allowed: str) -> str:
        token = self._next()
        operators = allowed.split()
        operator = "=" if token.text == "==" else token.text
        if token.kind != "op" or operator not in operators:
            raise self._error(f"one of {', '.join(operators)} is expected", token)
        return operator

    def _number_test(self, left: Callable[[SampleColumns], NDArray[Any]]) -> Test:
        compare = _COMPARE[self._operator("= != < <= > >=")]
        right = self._number()

        def test(columns: SampleColumns) -> Mask:
            a, b = left(columns), right(columns)
            return np.asarray(compare(a, b) & ~np.isnan(a) & ~np.isnan(b))

        return test

    def _number(self) -> Callable[[SampleColumns], Any]:
        token = self._next()
        word = token.text.lower()
        if token.kind == "number":
            value = float(token.text)
            return lambda columns: value
        if token.kind == "word" and word == "p":
            return self._probability()
        if token.kind == "word" and word in NUMBERS:
            return NUMBERS[word]
        raise self._error("a number is expected", token)

    def _probability(self) -> Callable[[SampleColumns], NDArray[Any]]:
        if not self._takes("("):
            raise self._error("'(' and a class are expected after 'p'", self._peek())
        token = self._next()
        if token.kind not in ("word", "text", "number"):
            raise self._error("a class is expected", token)
        if not self._takes(")"):
            raise self._error("')' is missing", self._peek())
        name = _unquoted(token)

        def value(columns: SampleColumns) -> NDArray[Any]:
            names = columns.class_names
            if not names:
                return np.full(len(columns), np.nan, dtype=np.float32)
            if name not in names:
                raise self._no_class(token, names)
            return columns.probabilities[:, names.index(name)]

        return value

    def _class_test(self, column: str) -> Test:
        operator = self._operator("= != ~")
        token = self._next()
        left = CLASSES[column]
        if token.kind not in ("word", "text", "number"):
            raise self._error("a class is expected", token)
        other = CLASSES.get(token.text.lower()) if token.kind == "word" else None
        name = _unquoted(token)

        def test(columns: SampleColumns) -> Mask:
            codes = left(columns)
            if operator == "~":
                matches = [name.lower() in other.lower() for other in columns.all_class_names]
                return np.array([*matches, False])[codes]
            if other is not None:
                right: Any = other(columns)
                both = (codes != UNKNOWN) & (right != UNKNOWN)
                return np.asarray(_COMPARE[operator](codes, right) & both)
            if name not in columns.all_class_names:
                raise self._no_class(token, columns.all_class_names)
            code = columns.all_class_names.index(name)
            return np.asarray(_COMPARE[operator](codes, code) & (codes != UNKNOWN))

        return test

    def _id_test(self) -> Test:
        operator = self._operator("= != ~")
        token = self._next()
        if token.kind not in ("word", "text", "number"):
            raise self._error('a text such as "s10" is expected', token)
        text = _unquoted(token)

        def test(columns: SampleColumns) -> Mask:
            ids = columns.sample_list.ids
            if operator == "~":
                return np.asarray(np.strings.find(ids, text) >= 0)
            return np.asarray(_COMPARE[operator](ids, text))

        return test

    def _no_class(self, token: _Token, names: tuple[str, ...]) -> FilterError:
        name = _unquoted(token)
        close = difflib.get_close_matches(name, names, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        return FilterError(
            f"At {token.position + 1}: there is no class '{name}'.{hint} Classes: "
            f"{', '.join(names) or 'none'}.",
            token.position,
        )

    def _error(self, problem: str, token: _Token) -> FilterError:
        place = f"'{token.text}'" if token.text else "the end"
        word = token.text.lower()
        close = difflib.get_close_matches(word, KNOWN_WORDS, 1)
        meant = bool(close) and token.kind == "word" and word not in KNOWN_WORDS
        hint = f" Did you mean '{close[0]}'?" if meant else ""
        if problem[0].isalpha() and problem.startswith(("is ", "cannot")):
            sentence = f"{place} {problem}"
        else:
            sentence = (
                f"{problem}, not {place}" if "expected" in problem else f"{problem} before {place}"
            )
        return FilterError(
            f"At {token.position + 1}: {sentence}.{hint} Known words: {', '.join(KNOWN_WORDS)}.",
            token.position,
        )


def _unquoted(token: _Token) -> str:
    return token.text[1:-1] if token.kind == "text" else token.text


def _any_of(tests: list[Test]) -> Test:
    return lambda columns: np.asarray(np.logical_or.reduce([test(columns) for test in tests]))


def _all_of(tests: list[Test]) -> Test:
    return lambda columns: np.asarray(np.logical_and.reduce([test(columns) for test in tests]))
