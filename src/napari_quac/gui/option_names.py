"""Names of controls in the place of options of the command line, which some messages mention.

Messages of the packages below the window mention options in parentheses, as in "Enter the range of
the images (--image-range)."; the window shows its own control there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CONTROLS: Mapping[str, str] = {
    "--class-map": "Use these classes",
    "--classes": "Classes",
    "--classifier": "Classifier",
    "--crop": "Crop",
    "--generator": "Generator",
    "--generator-setting": "Toward",
    "--image-range": "Range",
    "--image-size": "Input size",
    "--label-pattern": "Labels",
    "--label-table": "Labels",
    "--mean": "Mean",
    "--output": "Output",
    "--pixel-size": "Pixel (nm)",
    "--references": "Style",
    "--resize": "Resize",
    "--resume": "Resume",
    "--rgb-to-gray": "Channels",
    "--split": "Split",
    "--std": "SD",
    "--value-range": "Input range",
    "--variant": "Variant",
}
"""Caption of the control that does what an option does."""
ON_COMMAND_LINE = "on the command line"
_GROUP = re.compile(r"\(([^()]*--[a-z][^()]*)\)")
_OPTION = re.compile(r"--[a-z][a-z-]*")


def with_controls(text: str) -> str:
    """Return a message with the controls of the window in the place of options.

    Examples
    --------
    >>> with_controls("Resize or crop the images (--resize, --crop).")
    'Resize or crop the images (Resize, Crop).'
    """
    return _GROUP.sub(_controls_of, text) if "--" in text else text


def _controls_of(group: re.Match[str]) -> str:
    options = _OPTION.findall(group[1])
    names = [CONTROLS[option] for option in options if option in CONTROLS]
    return f"({', '.join(dict.fromkeys(names)) or ON_COMMAND_LINE})"
