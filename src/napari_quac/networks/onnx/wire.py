"""Fields of a protobuf message, as far as ONNX uses them.

Encoding: https://protobuf.dev/programming-guides/encoding. Each field is a key (number and wire
type) and a payload: a whole number, 4 or 8 bytes, or bytes of a stated length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Payload = int | memoryview


class WireError(ValueError):
    """Bytes that are no protobuf message."""


def read_fields(message: memoryview) -> dict[int, list[Payload]]:
    """Return the payloads of a message by field number, in their order.

    Raises
    ------
    WireError
        If the message is damaged.
    """
    fields: dict[int, list[Payload]] = {}
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        payload: Payload
        if kind == 0:
            payload, position = _varint(message, position)
        else:
            if kind == 2:
                length, position = _varint(message, position)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise WireError(f"wire type {kind}")
            if position + length > end:
                raise WireError("the message ends too early")
            payload, position = message[position : position + length], position + length
        fields.setdefault(number, []).append(payload)
    return fields


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise WireError("a number is incomplete")
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def signed(number: int) -> int:
    """Return a whole number with its sign, which is stored in 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def integers(payloads: list[Payload]) -> list[int]:
    """Return whole numbers, stored one by one or packed."""
    numbers: list[int] = []
    for payload in payloads:
        if isinstance(payload, int):
            numbers.append(signed(payload))
        else:
            numbers += map(signed, _packed(payload))
    return numbers


def _packed(payload: memoryview) -> Iterator[int]:
    position = 0
    while position < len(payload):
        number, position = _varint(payload, position)
        yield number


def floats(payloads: list[Payload], letter: str = "f") -> list[float]:
    """Return numbers of 4 (``f``) or 8 bytes (``d``), stored one by one or packed."""
    content = b"".join(bytes(payload) for payload in payloads if not isinstance(payload, int))
    size = struct.calcsize(letter)
    return list(
        struct.unpack(f"<{len(content) // size}{letter}", content[: len(content) // size * size])
    )


def text(payloads: list[Payload]) -> str:
    """Return the last of some texts; empty without one."""
    payload = payloads[-1] if payloads else b""
    return "" if isinstance(payload, int) else bytes(payload).decode("utf-8", errors="replace")


def whole(payloads: list[Payload], default: int = 0) -> int:
    """Return the last of some whole numbers."""
    payload = payloads[-1] if payloads else default
    return signed(payload) if isinstance(payload, int) else default


def messages(payloads: list[Payload]) -> list[memoryview]:
    """Return nested messages."""
    return [payload for payload in payloads if not isinstance(payload, int)]
