"""Check the wording of code, window, command line, error messages and documentation.

``python .ci/check_wording.py`` prints each line with a phrase to replace and its replacement,
and fails if there is one. ``--list`` prints every string that a user can read (window, errors,
``--help``, README, tutorials) as one list.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "napari_quac"
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "changelog.d/*.md")
SUFFIXES = {".py", ".yaml", ".md", ".toml", ".ini"}

PHRASES: dict[str, str] = {
    r"\b(is|are|was|were|be|been|being) (asked|told|called|said)\b": "an active verb",
    r"\bby the word of\b": "as judged by",
    r"\bfaults? of ours\b": "internal error",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b[Mm]ake a generator\b": "train a generator",
    r"\bUse it so far\b": "Use current checkpoint",
    r"\b[Kk]eep in\b": "output folder",
    r"\b[Ww]orks at\b": "network resolution",
    r"\b[Nn]ext wrong one\b": "Next misprediction",
    r"\b(eats|listens? to nothing|lets? go of|thought better|beside the window)\b": "a plain verb",
    r"\bg(i|a)ven? up\b|\bgives? up\b": "cancel",
    r"\b[Gg]o(es)? on\b": "continue",
    r"\b[Aa]t the rim\b": "out of bounds",
    r"\bfill(s|ed|ing)? up\b": "pad",
    r"\blearn(s|t|ed)? (on|to tell)\b": "is trained on",
    r"\b(nobody|somebody|whoever)\b": "name the person or thing, or rephrase",
    r"\bexplainers?\b": "bin-conditional generator",
    r"\b[Tt]old (of|beside)\b": "reported",
}
STEMS = (
    "normal|optim|recogn|initial|visual|summar|minim|maxim|random|serial|local|general|special|organ"
    "|categor|emphas|quant|stabil|util"
)
SPELLINGS = {
    r"colour": "color",
    r"\bgrey": "gray",
    r"\bcentre": "center",
    r"behaviour": "behavior",
    r"neighbour": "neighbor",
    r"\blicence": "license",
    r"labelled|labelling": "labeled, labeling",
    r"\bmodell(ed|ing)": "modeled, modeling",
    r"cancell(ed|ing|able)": "canceled, canceling, cancelable",
    r"\banalys(e|es|ed|ing)\b": "analyze",
    rf"\b\w*({STEMS})is(e|es|ed|er|ers|ing|ation|ations)\b": "-ize, -ization",
    r"\bmetres?\b": "meter",
}
CALLS_WITH_TEXT = re.compile(
    r"Error$|^set(Text|ToolTip|WindowTitle|PlaceholderText|AccessibleName)$|^add(Action|Item|Row|_argument"
    r"|_parser)$|^show_|button$|menu$|^label$|^Q[A-Z]|^Section$|^Progress$|^print$|^tell$"
)


def main() -> int:
    """Print findings or the list of strings; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print every string that a user reads")
    parser.add_argument("--count", action="store_true", help="print the number of findings only")
    options = parser.parse_args()
    if options.list:
        for origin, text in user_strings():
            print(f"{origin}: {text}")
        return 0
    findings = list(find_phrases())
    if not options.count:
        print("\n".join(findings))
    print(f"{len(findings)} phrases to replace")
    return bool(findings)


def find_phrases() -> Iterator[str]:
    """Yield each line with a phrase to replace, in code, manifest and documentation.

    A line that ends with ``# wording: REASON`` (``<!-- wording: REASON -->`` in Markdown) is
    accepted, such as the key of a file that an earlier version wrote.
    """
    rules = [(re.compile(pattern), advice) for pattern, advice in {**PHRASES, **SPELLINGS}.items()]
    for path in _files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "wording:" in line:
                continue
            for rule, advice in rules:
                match = rule.search(line.replace("_", " ") if path.suffix == ".py" else line)
                if match:
                    place = f"{path.relative_to(ROOT)}:{number}"
                    yield f"{place}: '{match.group()}' -> {advice}"


def user_strings() -> Iterator[tuple[str, str]]:
    """Yield the place and text of every string that a user can read."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and CALLS_WITH_TEXT.search(_name(node.func)):
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    text = _text(argument)
                    if text and " " in text.strip():
                        yield f"{path.relative_to(SOURCE)}:{node.lineno}", text
    for page in (*PAGES[:2], "docs/tutorials/*.md"):
        for path in sorted(ROOT.glob(page)):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if line.strip():
                    yield f"{path.relative_to(ROOT)}:{number}", line.strip()
    yield from _help_texts()


def _help_texts() -> Iterator[tuple[str, str]]:
    def read_help(*command: str) -> str:
        words = [sys.executable, "-m", "napari_quac", *command, "--help"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    summary = read_help()
    commands = re.search(r"\{([\w,-]+)\}", summary)
    for name in ("", *(commands.group(1).split(",") if commands else ())):
        for line in read_help(*([name] if name else [])).splitlines():
            if line.strip():
                yield f"napari-quac {name} --help", line.strip()


def _files() -> Iterator[Path]:
    yield from sorted(path for path in SOURCE.rglob("*") if path.suffix in SUFFIXES)
    for pattern in PAGES:
        yield from sorted(ROOT.glob(pattern))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(node: ast.expr) -> str:
    """Return the text of a literal, with … for its computed parts."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return ""


if __name__ == "__main__":
    sys.exit(main())
