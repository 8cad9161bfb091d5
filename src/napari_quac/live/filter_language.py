"""A small language for filters, such as ``mispredicted and confidence < 0.6``; it runs no code.

A filter is parsed into numpy operations over
:class:`~napari_quac.live.sample_columns.SampleColumns`::

    filter     = conjunction ("or" conjunction)*
    conjunction = term ("and" term)*
    term       = "not" term | "(" filter ")" | comparison | flag
    comparison = column ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") (column | constant)
    column     = number | id | neuron | label | predicted | target | confidence | score | p(CLASS)
    flag       = mispredicted | correct | has_prediction | explained | switched | failed

An unknown value, such as the confidence of a sample without prediction, matches no comparison.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import QuacError
from napari_quac.live.explanation_status import UNKNOWN
from napari_quac.live.sample_columns import SampleColumns

Mask = NDArray[np.bool_]
Test = Callable[[SampleColumns], Mask]
Reader = Callable[[SampleColumns], Any]

FLAGS: Mapping[str, Test] = {
    "mispredicted": lambda columns: columns.mispredicted,
    "correct": lambda columns: columns.correct,
    "has_prediction": lambda columns: columns.predicted != UNKNOWN,
    "explained": lambda columns: columns.switched != UNKNOWN,
    "switched": lambda columns: columns.switched == 1,
    "failed": lambda columns: columns.failed,
}
EARLIER_FLAGS = {"wrong": "mispredicted", "right": "correct", "known": "has_prediction"}
NUMBERS: Mapping[str, Reader] = {
    "number": lambda columns: columns.numbers,
    "confidence": lambda columns: columns.confidence,
    "score": lambda columns: columns.scores,
}
TEXTS: Mapping[str, Reader] = {
    "id": lambda columns: columns.sample_list.ids,
    "neuron": lambda columns: columns.groups,
}
CLASSES: Mapping[str, Reader] = {
    "label": lambda columns: columns.label_codes,
    "predicted": lambda columns: columns.predicted_codes,
    "target": lambda columns: columns.target_codes,
}
COLUMNS = ("id", "neuron", *CLASSES, *NUMBERS, "p(CLASS)")
LONGEST = 10_000
DEEPEST = 100  # parentheses and "not" are parsed by recursion
KNOWN_WORDS = (*COLUMNS, *FLAGS, "and", "or", "not")

_TOKEN = re.compile(
    r"""
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<op><=|>=|!=|==|=|<|>|~|\(|\))
  | (?P<word>[\w][\w.\-+/:]*)
  | (?P<other>\S)
    """,
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
    """A filter that cannot be parsed.

    Attributes
    ----------
    position : int
        Position of the error, counted in characters from 0.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True)
class Filter:
    """A parsed filter.

    Attributes
    ----------
    text : str
        As it was written.
    """

    text: str
    _test: Test

    def mask(self, columns: SampleColumns) -> Mask:
        """Return True for the samples that match; (N,).

        Raises
        ------
        FilterError
            If it names a class that does not exist.
        """
        return np.asarray(self._test(columns), dtype=np.bool_)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind in ("word", "op") else ""

    @property
    def name(self) -> str:
        return self.text[1:-1] if self.kind == "text" else self.text

    def __str__(self) -> str:
        return f"'{self.text}'" if self.text else "the end"


def parse_filter(text: str) -> Filter:
    """Parse a filter; an empty one matches everything.

    Raises
    ------
    FilterError
        If it cannot be parsed; the message states the position and the known words.
    """
    if len(text) > LONGEST:
        raise FilterError(f"At {LONGEST}: a filter has at most {LONGEST} characters.", LONGEST)
    if not text.strip():
        return Filter(text, lambda columns: np.ones(len(columns), dtype=np.bool_))
    return Filter(text, _Parser(text).parse())


def quoted(name: str) -> str:
    """Return a class name or id as it is written in a filter."""
    if re.fullmatch(r"[^\W\d][\w.\-+/:]*", name) and name.lower() not in KNOWN_WORDS:
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def cell_filter(label: str, predicted: str) -> str:
    """Return the filter for a cell of the confusion matrix."""
    return f"label = {quoted(label)} and predicted = {quoted(predicted)}"


class _Parser:
    """Parser of one filter, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._tokens = [_Token(m.lastgroup or "", m[0], m.start()) for m in _TOKEN.finditer(text)]
        for token in self._tokens:
            if token.kind == "other":
                is_quote = token.text in "\"'"
                problem = "the quotation is not closed" if is_quote else f"{token} cannot be read"
                raise _error(problem, token)
        self._tokens.append(_Token("end", "", len(text.rstrip())))
        self._at = self._depth = 0

    def parse(self) -> Test:
        test = self._any()
        token = self._next()
        if token.kind != "end":
            raise _error(f"'and', 'or' or the end is expected, not {token}", token)
        return test

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _takes(self, word: str) -> bool:
        takes = self._tokens[self._at].word == word
        self._at += takes
        return takes

    def _require(self, symbol: str) -> None:
        if not self._takes(symbol):
            token = self._tokens[self._at]
            raise _error(f"'{symbol}' is missing before {token}", token)

    def _any(self) -> Test:
        return self._joined("or", self._all, np.logical_or)

    def _all(self) -> Test:
        return self._joined("and", self._term, np.logical_and)

    def _joined(self, word: str, parse: Callable[[], Test], join: np.ufunc) -> Test:
        tests = [parse()]
        while self._takes(word):
            tests.append(parse())
        return lambda columns: np.asarray(join.reduce([test(columns) for test in tests]))

    def _nested(self, parse: Callable[[], Test], token: _Token) -> Test:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _error(f"there are more than {DEEPEST} levels of parentheses and 'not'", token)
        test = parse()
        self._depth -= 1
        return test

    def _term(self) -> Test:
        token = self._tokens[self._at]
        if self._takes("not"):
            test = self._nested(self._term, token)
            return lambda columns: ~test(columns)
        if self._takes("("):
            test = self._nested(self._any, token)
            self._require(")")
            return test
        token = self._next()
        flag = FLAGS.get(EARLIER_FLAGS.get(token.word, token.word))
        if flag is not None:
            return flag
        if token.word in TEXTS or token.word in CLASSES:
            return self._text_test(token.word)
        number = self._number(token)
        if number is not None:
            return self._number_test(number)
        if token.kind == "word":
            raise _error(f"{token} is not known", token)
        raise _error(f"a column or a word such as 'mispredicted' is expected, not {token}", token)

    def _operator(self, *operators: str) -> str:
        token = self._next()
        operator = "=" if token.text == "==" else token.text
        if token.kind != "op" or operator not in operators:
            raise _error(f"one of {', '.join(operators)} is expected, not {token}", token)
        return operator

    def _number_test(self, column: Reader) -> Test:
        compare = _COMPARE[self._operator(*_COMPARE)]
        token = self._next()
        other = self._number(token)
        if other is None and token.kind != "number":
            raise _error(f"a number is expected, not {token}", token)

        def test(columns: SampleColumns) -> Mask:
            a, b = column(columns), other(columns) if other is not None else float(token.text)
            return np.asarray(compare(a, b) & ~np.isnan(a) & ~np.isnan(b))

        return test

    def _number(self, token: _Token) -> Reader | None:
        """Return the column that begins with a token; None if it is no column of numbers."""
        return self._probability() if token.word == "p" else NUMBERS.get(token.word)

    def _probability(self) -> Reader:
        self._require("(")
        token = self._name("class")
        self._require(")")

        def probability(columns: SampleColumns) -> NDArray[Any]:
            names = columns.class_names
            if not names:
                return np.full(len(columns), np.nan, dtype=np.float32)
            return columns.probabilities[:, _class_index(token, names)]

        return probability

    def _name(self, kind: str) -> _Token:
        token = self._next()
        if token.kind not in ("word", "text", "number"):
            raise _error(f"a {kind} is expected, not {token}", token)
        return token

    def _text_test(self, column: str) -> Test:
        """Parse a comparison of ids, or of classes."""
        operator = self._operator("=", "!=", "~")
        token = self._name("text" if column in TEXTS else "class")
        name = token.name

        def test_ids(columns: SampleColumns) -> Mask:
            ids = TEXTS[column](columns)
            if operator == "~":
                return np.asarray(np.strings.find(ids, name) >= 0)
            return np.asarray(_COMPARE[operator](ids, name))

        def test_classes(columns: SampleColumns) -> Mask:
            codes, names = CLASSES[column](columns), columns.all_class_names
            if operator == "~":
                return np.array([*(name.lower() in other.lower() for other in names), False])[codes]
            if token.word in CLASSES:
                others = CLASSES[token.word](columns)
            else:
                others = np.int64(_class_index(token, names))
            return np.asarray(
                _COMPARE[operator](codes, others) & (codes != UNKNOWN) & (others != UNKNOWN)
            )

        return test_ids if column in TEXTS else test_classes


def _class_index(token: _Token, names: Sequence[str]) -> int:
    if token.name not in names:
        raise _error(f"there is no class '{token.name}'", token, names, "Classes")
    return names.index(token.name)


def _error(
    problem: str, token: _Token, words: Sequence[str] = KNOWN_WORDS, title: str = "Known words"
) -> FilterError:
    close = [*difflib.get_close_matches(token.name, words, 1),
             *difflib.get_close_matches(token.word, words, 1)]  # fmt: skip
    hint = f" Did you mean '{close[0]}'?" if close and token.word not in words else ""
    return FilterError(
        f"At {token.position + 1}: {problem}.{hint} {title}: {', '.join(words) or 'none'}.",
        token.position,
    )
