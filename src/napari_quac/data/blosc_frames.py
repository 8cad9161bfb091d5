"""Check Blosc frames before they are decoded.

A frame states its own size, and c-blosc reads as many bytes as that. In a chunk that was cut short,
or damaged at this place, it reads memory of others, and often ends the process.
"""

from __future__ import annotations

from functools import cache, wraps
from typing import Any

HEADER_BYTES = 16


@cache
def check_blosc_frames() -> None:
    """Let numcodecs refuse frames that state more bytes than they have."""
    from numcodecs.blosc import Blosc

    decode = Blosc.decode

    # numcodecs has no place for a check that covers both versions of zarr, shards and N5
    @wraps(decode)
    def checked(self: Any, buf: Any, out: Any = None) -> Any:
        frame = memoryview(buf).cast("B")
        stated = int.from_bytes(frame[HEADER_BYTES - 4 : HEADER_BYTES], "little")
        if len(frame) < max(stated, HEADER_BYTES):
            raise ValueError(f"{len(frame)} bytes of Blosc instead of {stated}")
        return decode(self, buf, out)

    Blosc.decode = checked
