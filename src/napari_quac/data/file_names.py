"""Any text as the name of a file or folder, such as the name of a class."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

MAX_BYTES = 100
"""Length of a name in UTF-8; file systems end at 255, and suffixes are added."""
_HASH_LENGTH = 10
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_HASHED = re.compile(rf".*~[0-9a-f]{{{_HASH_LENGTH}}}", re.DOTALL)


def file_name(text: str, max_bytes: int = MAX_BYTES) -> str:
    """Return a name for a file or folder that every usual file system accepts.

    A text that is such a name is unchanged. In any other, forbidden characters are replaced, it is
    shortened, and a hash of the text follows, so that two texts never have one name.

    Parameters
    ----------
    text : str
        Any text, such as ``"GABA/glycine"``, ``".."``, or 300 characters.
    max_bytes : int
        Maximum length in UTF-8.

    Examples
    --------
    >>> file_name("GABA")
    'GABA'
    >>> file_name("GABA/glycine")
    'GABA_glycine~473827510d'
    """
    return text if is_file_name(text, max_bytes) else _hashed(text, max_bytes)


def is_file_name(text: str, max_bytes: int = MAX_BYTES) -> bool:
    """Tell whether a text can be the name of a file or folder as it is."""
    return bool(
        text
        and not _FORBIDDEN.search(text)
        and not _RESERVED.fullmatch(text)
        and not _HASHED.fullmatch(text)  # may be the name of another text
        and text == unicodedata.normalize("NFC", text)
        and text == text.strip()
        and not text.startswith(".")  # hidden, or a relative path
        and not text.endswith(".")
        and len(text.encode("utf-8")) <= max_bytes
    )


def file_names(texts: Iterable[str], max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """Return the name of each text; they differ also where capitals do not count."""
    different = list(dict.fromkeys(texts))
    counts = Counter(text.casefold() for text in different)
    return {
        text: (file_name if counts[text.casefold()] == 1 else _hashed)(text, max_bytes)
        for text in different
    }


def file_path(text: str) -> PurePosixPath:
    """Return a relative path for a text with slashes, such as the id of a sample.

    Every part is a file name, so that the path never leaves its folder.
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part]
    return PurePosixPath(*(file_name(part) for part in parts or [text]))


def _hashed(text: str, max_bytes: int) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    plain = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip(" .")
    if _RESERVED.fullmatch(plain):
        plain = f"_{plain}"
    room = max_bytes - _HASH_LENGTH - 1
    plain = plain.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(" .")
    return f"{plain or '_'}~{digest}"


def safe_name(text: str) -> str:
    """Return a name of letters, digits, ``_`` and ``-``, of at most 100 bytes.

    The QuAC library cuts names at a dot, and then does not find the attribution of an image.

    Examples
    --------
    >>> safe_name("cell 3.0/left")
    'cell_3_0_left'
    """
    return file_name(re.sub(r"[^\w-]+", "_", text).strip("_") or "unnamed").replace("~", "-")
