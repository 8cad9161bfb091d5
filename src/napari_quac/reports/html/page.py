"""Pages of explanations: HTML files that hold their data, style and program."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from itertools import islice
from pathlib import Path

from napari_quac import __version__
from napari_quac.errors import DataError
from napari_quac.reports.figures.legend import limits_text, subject_settings
from napari_quac.reports.figures.panels import FULL_RANGE, Limits
from napari_quac.reports.figures.subject import Subject
from napari_quac.reports.html.payload import page_payload
from napari_quac.storage import write_file

MAX_SAMPLES = 1000
SUFFIXES = (".html", ".htm")


def write_page(
    subjects: Iterable[Subject], path: Path, title: str = "", limits: Limits = FULL_RANGE
) -> None:
    """Write a page of one or many explanations.

    Parameters
    ----------
    subjects : iterable of Subject
        At most a thousand.
    path : Path
        The file, ``.html``.
    title : str
        Title of the page; by default the sample.
    limits : (low, high)
        Values that are black and white in all images.

    Raises
    ------
    DataError
        If the file extension is another one, or there are no or too many samples.
    """
    check_page_path(path)
    write_file(path, page_bytes(subjects, title, limits))


def check_page_path(path: Path) -> None:
    """Refuse the path of a page with another extension than ``.html``.

    Raises
    ------
    DataError
        With the extension to use.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"Cannot write '{path.name}': use the file extension .html.")


def page_bytes(subjects: Iterable[Subject], title: str = "", limits: Limits = FULL_RANGE) -> bytes:
    """Return the page of some subjects as a file; see :func:`write_page`.

    The page refuses every request and every program but its own by its content security policy.
    """
    samples = list(islice(subjects, MAX_SAMPLES + 1))
    if not 0 < len(samples) <= MAX_SAMPLES:
        number = "no sample" if not samples else f"more than {MAX_SAMPLES} samples"
        raise DataError(f"A page cannot show {number}. Choose some by a filter.")
    title = title or f"Explanation of {samples[0].pair.query.id}"
    notes = [limits_text(limits), subject_settings(samples[0])]
    payload = {**page_payload(samples, limits), "notes": notes, "version": __version__}
    style, program = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source(style)}'; "
        f"script-src '{_source(program)}'; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": html.escape(policy).replace("&#x27;", "'"),
        "TITLE": html.escape(title),
        "STYLE": style,
        "PROGRAM": program,
        "PAYLOAD": json_in_html(payload),
    }
    # in one pass, so that a name such as @STYLE@ in a text stays what it is
    text = re.sub(r"@([A-Z]+)@", lambda match: parts[match[1]], _part("page.html"))
    return text.encode(errors="backslashreplace")


def json_in_html(content: object) -> str:
    """Return JSON that can stand inside of a script element: it cannot end it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return the source expression that allows one inline style or program."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
