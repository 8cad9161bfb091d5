"""Small alterations of files, each of them reproducible from a random generator."""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, -(2**31), 2**31 - 1, 2**31, 2**32 - 1,
    2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "a", "0", "-1", "nan", "null", "../..", "/", "/dev/zero", "a/b", "a\\b", "a\0b", "\n",
    "é", "\u202e", "\ud800", "\U0001f600", "x" * 300, "x" * 70000, "%s", "{}", "<b>", "=1+1",
    "http://127.0.0.1:1/a", "file:///etc/passwd", "C:\\a", "uint8", "float64", "|O", ">f4", "zyx",
    "[1, 2, 3]", "1e999", "1,5", "True", "2020-01-01", "\x1b[2J", "__class__", "(?:",
)  # fmt: skip
PLAIN: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [1, "a", {}])
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_]\w*")


def places_in(values: Any) -> list[tuple[Any, Any]]:
    """Return each list or mapping in a document with each of its positions or keys."""
    places: list[tuple[Any, Any]] = []
    level = [values] if isinstance(values, dict | list) else []
    for node in level:  # grows meanwhile
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        level += [node[key] for key in keys if isinstance(node[key], dict | list)]
    return places


class Mutator:
    """Alterations of bytes, texts, documents and archives.

    Parameters
    ----------
    random : Random
        Source of every choice.
    others : sequence of bytes
        Other valid contents, to splice parts from.
    """

    def __init__(self, random: Random, others: Sequence[bytes] = ()) -> None:
        self.random, self.others = random, others or (b"\0" * 64,)

    def alter(self, name: str, content: bytes, depth: int = 0) -> bytes:
        """Return altered content, by the kind of the file most of the time."""
        ways: list[Callable[[bytes], bytes]] = [self.binary]
        if content[:2] == b"PK":
            ways += [lambda data: self.archive(data, depth)] * 3
        elif content[:2] == b"\x1f\x8b":
            ways += [lambda data: self.compressed(name, data)]
        elif content.lstrip()[:1] in (b"{", b"[") and b"\0" not in content[:4096]:
            ways += [self.document] * 4 + [self.text]
        elif name.endswith(".safetensors") and len(content) > 8:
            ways += [self.safetensors] * 3
        elif name.endswith(".npy"):
            ways += [self.text] * 2
        elif b"\0" not in content[:4096]:
            ways += [self.text] * 3
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            content = self.random.choice(ways)(content)
        return content

    def binary(self, content: bytes) -> bytes:
        """Flip, cut, repeat, splice and overwrite bytes."""
        pick, data = self.random, bytearray(content)
        for _ in range(pick.choice((1, 1, 2, 4, 16))):
            # headers are at the beginning and at the end
            area = pick.choice((32, 256, len(data), len(data))) or 1
            place = min(pick.randrange(area), max(len(data) - 1, 0))
            if pick.random() < 0.1:
                place = max(len(data) - 1 - place, 0)
            length = pick.choice((1, 2, 4, 8, 33))
            kind = pick.randrange(9)
            if not data or kind == 0:
                data[place:place] = pick.randbytes(length)
            elif kind == 1:
                data[place] ^= 1 << pick.randrange(8)
            elif kind == 2:
                data[place] = pick.choice((0, 1, 0x7F, 0x80, 0xFF, pick.randrange(256)))
            elif kind == 3:
                del data[place : place + length]
            elif kind == 4:
                data[place:place] = data[place : place + length]
            elif kind == 5 and pick.random() < 0.3:
                del data[place:]
            elif kind == 6:
                other = pick.choice(self.others)
                start = pick.randrange(max(len(other), 1))
                data[place : place + length] = other[start : start + length]
            elif kind == 7:
                form = pick.choice(("<I", ">I", "<H", ">H", "<Q", ">Q"))
                size = struct.calcsize(form)
                value = pick.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 65535))
                data[place : place + size] = struct.pack(form, value)
            else:
                data[place : place + length] = pick.choice((b"\0", b"\xff")) * length
        return bytes(data)

    def text(self, content: bytes) -> bytes:
        """Exchange numbers, words and lines of a text."""
        pick = self.random
        kind = pick.randrange(6)
        pattern = _NUMBER if kind < 2 else _WORD
        places = list(pattern.finditer(content[:20000]))
        if kind < 4 and places:
            place = pick.choice(places)
            if kind == 3:
                new = pick.choice(places).group()
            else:
                new = str(pick.choice(NUMBERS if kind < 2 else TEXTS)).encode(
                    "utf-8", "surrogatepass"
                )
            return content[: place.start()] + new + content[place.end() :]
        lines = content.split(b"\n")
        place = pick.randrange(len(lines))
        if kind == 4:
            other = pick.choice(self.others).split(b"\n")
            lines[place] = pick.choice((b"", lines[place] * 2, pick.choice(other)[:1000]))
        else:
            lines.insert(place, pick.choice(lines))
            mark = pick.choice((b",", b";", b"\t", b'"', b"\r", b"  ", b": ", b"\xff", b"- "))
            parts = lines[place]
            where = pick.randrange(len(parts) + 1)
            lines[place] = parts[:where] + mark + parts[where:]
        return b"\n".join(lines)

    def document(self, content: bytes) -> bytes:
        """Exchange a value, a key or a branch of a JSON document."""
        try:
            text = json.dumps(self.node(json.loads(content)))
        except (ValueError, RecursionError):  # altered before
            return self.text(content)
        return text.encode("utf-8", "surrogatepass")

    def node(self, values: Any) -> Any:
        """Return values with one of their nodes exchanged."""
        pick = self.random
        places = places_in(values)
        if not places:
            return pick.choice(PLAIN)
        node, key = pick.choice(places)
        kind = pick.randrange(8)
        if kind == 0:
            del node[key]
        elif kind == 1:
            other, name = pick.choice(places)
            node[key] = copy.deepcopy(other[name])
        elif kind == 2:
            node[key] = [node[key]] if pick.random() < 0.5 else {"a": node[key]}
        elif kind == 3 and isinstance(node, dict):
            node[pick.choice(TEXTS)] = node.pop(key)
        elif kind == 4 and isinstance(node, list):
            node[key : key + 1] = [node[key]] * pick.choice((0, 2, 5))
        elif kind == 5 and pick.random() < 0.2:
            for _ in range(pick.choice((50, 900))):
                node[key] = [node[key]]
        elif isinstance(node[key], str) and kind < 7:
            node[key] = pick.choice((*TEXTS, node[key] + "x", node[key].upper()))
        elif isinstance(node[key], int | float) and kind < 7:
            node[key] = pick.choice((*NUMBERS, -node[key], node[key] + 1))
        else:
            node[key] = pick.choice((*PLAIN, *NUMBERS, *TEXTS))
        return values

    def archive(self, content: bytes, depth: int = 0) -> bytes:
        """Alter, remove or rename a member of a zip file."""
        pick, buffer = self.random, io.BytesIO()
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        except Exception:  # noqa: BLE001 - damaged by an earlier alteration
            return self.binary(content)
        if not members:
            return self.binary(content)
        name = pick.choice(list(members))
        kind = pick.randrange(8)
        if kind == 0:
            del members[name]
        elif kind == 1:
            members[pick.choice(("a", "../a", "/a", name + "x", "é/" + name))] = members.pop(name)
        elif kind == 2:
            members[name] = pick.choice(list(members.values()))
        elif depth < 2:
            members[name] = self.alter(name, members[name], depth + 1)
        method = pick.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for member, data in members.items():
                archive.writestr(zipfile.ZipInfo(member), data, method)
        return buffer.getvalue()

    def compressed(self, name: str, content: bytes) -> bytes:
        """Alter what is inside of a gzip file."""
        try:
            inner = gzip.decompress(content)
        except Exception:  # noqa: BLE001 - damaged by an earlier alteration
            return self.binary(content)
        return gzip.compress(self.alter(name.removesuffix(".gz"), inner), mtime=0)

    def safetensors(self, content: bytes) -> bytes:
        """Alter the header of a safetensors file, with or without its length."""
        (length,) = struct.unpack("<Q", content[:8].ljust(8, b"\0"))
        header, data = content[8 : 8 + length], content[8 + length :]
        header = self.document(header) if self.random.random() < 0.8 else self.binary(header)
        right = self.random.random() < 0.9
        return (struct.pack("<Q", len(header)) if right else content[:8]) + header + data
