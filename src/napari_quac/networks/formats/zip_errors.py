"""Errors of damaged zip archives."""

import struct
import zipfile
import zlib

# RuntimeError: the archive needs a password, or a method of packing that Python lacks
ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError,
    RuntimeError,
)  # fmt: skip
"""Errors that :mod:`zipfile` raises about a damaged archive."""
