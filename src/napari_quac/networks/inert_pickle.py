"""Read pickles without executing anything.

A pickle is a program for a small stack machine, whose instructions may name any function of any
package and call it. The machine here knows the instructions, but neither imports nor calls what a
pickle names: a class or function becomes a :class:`Reference`, each object made of it a
:class:`StandIn`. Only plain values (numbers, texts, containers, arrays, tensors) are built, by the
functions of :mod:`napari_quac.networks.inert_values`.

One subject: the instructions of the machine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from napari_quac.networks.inert_values import (
    BUILDERS,
    Budget,
    Builder,
    InertPickleError,
    Reference,
    StandIn,
    as_key,
    assign_state,
    load_persistent,
)
from napari_quac.networks.tensor_records import StorageRecord

MAX_INTEGER_BYTES = 1024
MAX_LINE = 1 << 16
MAX_PROTOCOL = 5
_COST = {b"\x8f": 250, b"}": 100, b"]": 90, b"(": 100, b"R": 300, b"\x81": 300, b"\x92": 300}
_COST |= dict.fromkeys((b"\x94", b"p", b"q", b"r"), 160)
_COST |= {b"i": 300, b"o": 300, b"b": 100, b"c": 150, b"\x93": 150}


def read_pickle(
    content: bytes | memoryview,
    start: int = 0,
    budget: Budget | None = None,
    builders: Mapping[str, Builder] = BUILDERS,
    storages: dict[str, StorageRecord] | None = None,
) -> tuple[Any, int]:
    """Read one pickle.

    Parameters
    ----------
    content : bytes
        The file, or a part of it.
    start : int
        Position of the pickle.
    budget : Budget, optional
        Limits, shared by all pickles of a file.
    builders : Mapping[str, callable]
        Builders of plain values, as :data:`~napari_quac.networks.inert_values.BUILDERS`.
    storages : dict, optional
        The storages that the pickle names are added to it.

    Returns
    -------
    value : object
        Plain values, tensor records, references and stand-ins.
    end : int
        Position after the pickle.

    Raises
    ------
    InertPickleError
        If it is damaged, or exceeds a limit.
    """
    machine = _Machine(memoryview(content), start, budget or Budget(), builders)
    machine.storages = storages if storages is not None else {}
    try:
        value = machine.run()
        return value, machine.position
    except InertPickleError:
        raise
    except (
        LookupError,
        ValueError,
        TypeError,
        struct.error,
        OverflowError,
        AttributeError,
    ) as error:
        raise InertPickleError("its list of values cannot be read") from error


class _Machine:
    """The stack machine of pickles."""

    def __init__(
        self, content: memoryview, start: int, budget: Budget, builders: Mapping[str, Builder]
    ) -> None:
        self.content = content
        self.builders = builders
        self.position = start
        self.budget = budget
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageRecord] = {}

    def run(self) -> Any:
        """Carry out all instructions; return the last value."""
        content, size, spend = self.content, len(self.content), self.budget.spend
        costs, instructions = _COSTS, _INSTRUCTIONS
        while self.position < size:
            code = content[self.position]
            self.position += 1
            if code == 0x2E:  # STOP
                return self.stack.pop()
            spend(costs[code])
            instructions[code](self)
        raise InertPickleError("its list of values ends early")

    def take(self, length: int) -> memoryview:
        """Return the next bytes."""
        end = self.position + length
        if length < 0 or end > len(self.content):
            raise InertPickleError("its list of values ends early")
        part = self.content[self.position : end]
        self.position = end
        return part

    def unpack(self, form: str) -> int:
        """Return the next number."""
        (number,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(number)

    def line(self) -> str:
        """Return the text up to the next line break."""
        limit = min(len(self.content), self.position + MAX_LINE)
        part = bytes(self.content[self.position : limit])
        end = part.find(b"\n")
        if end < 0:
            raise InertPickleError("its list of values ends early")
        self.position += end + 1
        self.budget.spend(4 * end)
        return part[:end].decode("latin-1")

    def text(self, length: int, encoding: str = "utf-8") -> str:
        """Return a text of so many bytes."""
        self.budget.spend(4 * length)
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        return str(self.take(length), encoding, errors)

    def after_mark(self) -> list[Any]:
        """Return the values after the last mark, and remove them."""
        values = self.stack
        self.stack = self.marks.pop()
        return values

    def push_call(self, function: Any, arguments: Any, keywords: Any = None) -> None:
        """Push a plain value if a builder of ours makes it, otherwise a stand-in."""
        if not isinstance(arguments, tuple):
            raise InertPickleError("its list of values cannot be read")
        path = function.path if isinstance(function, Reference) else ""
        builder = self.builders.get(path)
        if builder is not None and not keywords:
            built = builder(self.budget, *arguments)
            if built is not None:
                self.stack.append(built)
                return
        if not path:
            path = f"result of {function.path}" if isinstance(function, StandIn) else "a call"
            path = path if len(path) < 200 else path[:200]
        plain = keywords if isinstance(keywords, dict) else {}
        self.stack.append(StandIn(path, arguments, plain))


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value)


def _number(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.unpack(form))


def _text(form: str, encoding: str = "utf-8") -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.text(machine.unpack(form), encoding))


def _bytes(form: str) -> Callable[[_Machine], None]:
    # copies of parts of the file cannot exceed the file
    return lambda machine: machine.stack.append(bytes(machine.take(machine.unpack(form))))


def _bytearray(machine: _Machine) -> None:
    machine.stack.append(bytes(machine.take(machine.unpack("<Q"))))


def _integer(form: str) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        length = machine.unpack(form)
        if length > MAX_INTEGER_BYTES:
            raise InertPickleError("it holds a number of too many digits")
        machine.stack.append(int.from_bytes(machine.take(length), "little", signed=True))

    return push


def _float(machine: _Machine) -> None:
    machine.stack.append(struct.unpack(">d", machine.take(8))[0])


def _text_float(machine: _Machine) -> None:
    machine.stack.append(float(machine.line()))


def _text_integer(machine: _Machine) -> None:
    line = machine.line()
    machine.stack.append(line == "01" if line in ("00", "01") else int(line, 0))


def _text_long(machine: _Machine) -> None:
    machine.stack.append(int(machine.line().removesuffix("L"), 0))


def _text_string(machine: _Machine) -> None:
    line = machine.line()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "'\"":
        raise InertPickleError("its list of values cannot be read")
    machine.stack.append(line[1:-1].encode("latin-1").decode("unicode_escape"))


def _text_unicode(machine: _Machine) -> None:
    machine.stack.append(machine.line().encode("latin-1").decode("raw_unicode_escape"))


def _protocol(machine: _Machine) -> None:
    if machine.unpack("<B") > MAX_PROTOCOL:
        raise InertPickleError("its list of values has an unknown version")


def _frame(machine: _Machine) -> None:
    machine.take(8)


def _mark(machine: _Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: _Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.after_mark()


def _pop_mark(machine: _Machine) -> None:
    machine.after_mark()


def _duplicate(machine: _Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _store(form: str) -> Callable[[_Machine], None]:
    def store(machine: _Machine) -> None:
        number = int(machine.line()) if not form else machine.unpack(form)
        machine.memo[number] = machine.stack[-1]

    return store


def _memoize(machine: _Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _recall(form: str) -> Callable[[_Machine], None]:
    def recall(machine: _Machine) -> None:
        number = int(machine.line()) if not form else machine.unpack(form)
        machine.stack.append(machine.memo[number])

    return recall


def _tuple(length: int) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        values = machine.stack[-length:]
        if len(values) < length:
            raise InertPickleError("its list of values cannot be read")
        machine.stack[-length:] = [tuple(values)]

    return push


def _tuple_of_mark(machine: _Machine) -> None:
    values = machine.after_mark()
    machine.stack.append(tuple(values))


def _list_of_mark(machine: _Machine) -> None:
    values = machine.after_mark()
    machine.stack.append(values)


def _dict_of_mark(machine: _Machine) -> None:
    values = machine.after_mark()
    machine.stack.append({})
    _set_entries(machine, values)


def _frozenset_of_mark(machine: _Machine) -> None:
    values = machine.after_mark()
    machine.budget.spend(100 * len(values))
    machine.stack.append(frozenset(map(as_key, values)))


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    _extend(machine, [value])


def _appends(machine: _Machine) -> None:
    _extend(machine, machine.after_mark())


def _extend(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, StandIn):
        target.elements.extend(values)


def _add(machine: _Machine) -> None:
    values = machine.after_mark()
    target = machine.stack[-1]
    machine.budget.spend(50 * len(values))
    if isinstance(target, set):
        target.update(map(as_key, values))
    elif isinstance(target, StandIn):
        target.elements.extend(values)


def _set_entry(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_entries(machine, [key, value])


def _set_entries_of_mark(machine: _Machine) -> None:
    _set_entries(machine, machine.after_mark())


def _set_entries(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if len(values) % 2:
        raise InertPickleError("its list of values cannot be read")
    machine.budget.spend(50 * len(values))
    entries = target.entries if isinstance(target, StandIn) else target
    if isinstance(entries, dict):
        for place in range(0, len(values), 2):
            entries[as_key(values[place])] = values[place + 1]


def _reference(machine: _Machine) -> None:
    module, name = machine.line(), machine.line()
    machine.stack.append(Reference(f"{module}.{name}"))


def _reference_from_stack(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise InertPickleError("its list of values cannot be read")
    # both can be long texts that the pickle repeats from its memo
    machine.budget.spend(4 * (len(name) + len(module)))
    machine.stack.append(Reference(f"{module}.{name}"))


def _extension(form: str) -> Callable[[_Machine], None]:
    def push(machine: _Machine) -> None:
        machine.stack.append(Reference(f"copyreg.extension {machine.unpack(form)}"))

    return push


def _reduce(machine: _Machine) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.push_call(function, arguments)


def _new_object(machine: _Machine) -> None:
    arguments, kind = machine.stack.pop(), machine.stack.pop()
    machine.push_call(kind, arguments)


def _new_object_with_keywords(machine: _Machine) -> None:
    keywords, arguments, kind = (machine.stack.pop() for _ in range(3))
    machine.push_call(kind, arguments, keywords)


def _instance(machine: _Machine) -> None:
    module, name = machine.line(), machine.line()
    arguments = tuple(machine.after_mark())
    machine.push_call(Reference(f"{module}.{name}"), arguments)


def _object(machine: _Machine) -> None:
    values = machine.after_mark()
    machine.push_call(values[0], tuple(values[1:]))


def _build(machine: _Machine) -> None:
    state = machine.stack.pop()
    assign_state(machine.stack[-1], state)


def _persistent_text(machine: _Machine) -> None:
    machine.stack.append(StandIn("persistent object", (machine.line(),)))


def _persistent(machine: _Machine) -> None:
    value = load_persistent(machine.stack.pop())
    if isinstance(value, StorageRecord):
        value = machine.storages.setdefault(value.key, value)
    machine.stack.append(value)


def _refuse(machine: _Machine) -> None:
    raise InertPickleError("its list of values holds an unknown instruction")


_BY_CODE: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol, b"\x95": _frame,
    b"(": _mark, b"0": _pop, b"1": _pop_mark, b"2": _duplicate,
    b"N": _constant(None), b"\x88": _constant(True), b"\x89": _constant(False),
    b"I": _text_integer, b"L": _text_long, b"F": _text_float,
    b"J": _number("<i"), b"K": _number("<B"), b"M": _number("<H"),
    b"\x8a": _integer("<B"), b"\x8b": _integer("<i"), b"G": _float,
    b"S": _text_string, b"T": _text("<i", "latin-1"), b"U": _text("<B", "latin-1"),
    b"V": _text_unicode, b"X": _text("<I"), b"\x8c": _text("<B"), b"\x8d": _text("<Q"),
    b"B": _bytes("<I"), b"C": _bytes("<B"), b"\x8e": _bytes("<Q"), b"\x96": _bytearray,
    b"p": _store(""), b"q": _store("<B"), b"r": _store("<I"), b"\x94": _memoize,
    b"g": _recall(""), b"h": _recall("<B"), b"j": _recall("<I"),
    b")": _constant(()), b"t": _tuple_of_mark,
    b"\x85": _tuple(1), b"\x86": _tuple(2), b"\x87": _tuple(3),
    b"]": lambda machine: _push(machine, []), b"l": _list_of_mark,
    b"}": lambda machine: _push(machine, {}), b"d": _dict_of_mark,
    b"\x8f": lambda machine: _push(machine, set()), b"\x91": _frozenset_of_mark,
    b"a": _append, b"e": _appends, b"\x90": _add, b"s": _set_entry, b"u": _set_entries_of_mark,
    b"c": _reference, b"\x93": _reference_from_stack,
    b"\x82": _extension("<B"), b"\x83": _extension("<H"), b"\x84": _extension("<i"),
    b"R": _reduce, b"\x81": _new_object, b"\x92": _new_object_with_keywords,
    b"i": _instance, b"o": _object, b"b": _build,
    b"P": _persistent_text, b"Q": _persistent,
}  # fmt: skip
_INSTRUCTIONS = [_BY_CODE.get(bytes([code]), _refuse) for code in range(256)]
_COSTS = [_COST.get(bytes([code]), 64) for code in range(256)]
