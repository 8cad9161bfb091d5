"""Whether Qt can be loaded here; on a bare machine its system libraries are missing."""

from __future__ import annotations

import os
from importlib import import_module


def _qt_error() -> str:
    binding = "PySide6" if os.environ.get("QT_API", "").lower() == "pyside6" else "PyQt6"
    try:
        import_module(f"{binding}.QtWidgets")
    except ImportError as error:
        return str(error)
    return ""


QT_ERROR = _qt_error()
"""Why Qt cannot be loaded; empty if it can."""
