#!/usr/bin/env python3
"""Check names, docstring openings, and the size and complexity of functions and modules.

``python .ci/check_names.py`` prints one line per check and fails if there are more offenders than
the limits below allow; ``--list`` prints the places.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radon.complexity import cc_visit

MAX_SHARE = 0.5  # percent of assigned names and parameters
MAX_OPENINGS = 0
MAX_CLASS_SENTENCES = 0
MAX_LONG_FUNCTIONS = 0
MAX_LONG_MODULES = 0
MAX_COMPLEX = 0

LONG_FUNCTION = 80  # lines, with the docstring
LONG_MODULE = 450  # lines
COMPLEX = 20  # cyclomatic complexity

FILLERS = set(
    "found known wanted said told given made kept left own shown there one what who".split()
)
EMPTY = {"result", "value", "item", "data"}
KIN = set("asked seen done lost chosen taken how why which where wrong".split())
QUESTIONS = re.compile(r"(What|How|Which|Whether|Where)\b")
FINITE = set("is are was were has have had does do can could will would may might must".split())
RELATIVE = set("that which who whose whom where when while if as for to by with after".split())
IMPERATIVE = re.compile(
    r"(Add|Ask|Build|Calculate|Call|Choose|Compute|Create|Do|Draw|Explain|Find|Give|Hold|Keep|Let|"
    r"List|Load|Make|Measure|Open|Predict|Put|Read|Return|Run|Save|Say|Search|Take|Tell|Try|Turn|"
    r"Write)\s+(a|an|the|all|each|every|one|it|them|how|what|which|whether)\b"
)
OPTION_TABLE = re.compile(r"_*add_\w*")  # tables of command-line options
ONE_SUBJECT = "one subject"  # in the docstring of a long module, with the reason

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.Lambda | ast.ClassDef | ast.Module


@dataclass
class Findings:
    """Places that break a rule, as ``path:line text``."""

    assigned: int = 0
    fillers: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    kin: list[str] = field(default_factory=list)
    openings: list[str] = field(default_factory=list)
    class_sentences: list[str] = field(default_factory=list)
    long_functions: list[str] = field(default_factory=list)
    long_modules: list[str] = field(default_factory=list)
    complex_functions: list[str] = field(default_factory=list)


def assigned_names(scope: Scope) -> Iterator[tuple[str, int]]:
    """Yield the names that a scope assigns or takes as parameters, with their lines.

    Targets of assignments, loops, comprehensions, ``with``, ``except`` and patterns, attributes
    of ``self`` (with their ``self.``) and of dataclasses. Functions and classes inside are scopes
    of their own.
    """
    if isinstance(scope, Function):
        parameters = scope.args
        for parameter in [
            *parameters.posonlyargs,
            *parameters.args,
            *parameters.kwonlyargs,
            *filter(None, (parameters.vararg, parameters.kwarg)),
        ]:
            if parameter.arg not in ("self", "cls"):
                yield parameter.arg, parameter.lineno
    nodes: list[ast.AST] = list(scope.body if isinstance(scope.body, list) else [scope.body])
    while nodes:
        node = nodes.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield f"self.{node.attr}", node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        nodes.extend(ast.iter_child_nodes(node))


def check_names(tree: ast.Module, place: str, findings: Findings) -> None:
    """Collect the names that say nothing."""
    for scope in ast.walk(tree):
        if not isinstance(scope, Function | ast.ClassDef | ast.Module):
            continue
        names = list(assigned_names(scope))
        findings.assigned += sum(not name.startswith("self.") for name, _ in names)
        words = {word for name, _ in names for word in name.split("_")}
        is_side = bool(words & {"right", "top", "bottom"})
        for name, line in names:
            word = name.removeprefix("self.").strip("_")
            if word in FILLERS and not (word == "left" and is_side):
                findings.fillers.append(f"{place}:{line} {name}")
            elif word in EMPTY:
                findings.empty.append(f"{place}:{line} {name}")
            elif word in KIN:
                findings.kin.append(f"{place}:{line} {name}")


def is_sentence(opening: str) -> bool:
    """Tell whether the first sentence of a docstring has a finite verb or is an order."""
    if IMPERATIVE.match(opening):
        return True
    for word in re.split(r"\W+", re.split(r"[,:;.(]", opening)[0]):
        if word.lower() in RELATIVE:
            return False
        if word.lower() in FINITE:
            return True
    return False


def check_docstrings(tree: ast.Module, place: str, findings: Findings) -> None:
    """Collect docstrings that open with a question word, and classes described by sentences."""
    for node in ast.walk(tree):
        if not isinstance(node, Function | ast.ClassDef | ast.Module):
            continue
        docstring = ast.get_docstring(node)
        if not docstring:
            continue
        opening = docstring.splitlines()[0]
        line = getattr(node, "lineno", 1)
        if QUESTIONS.match(opening):
            findings.openings.append(f"{place}:{line} {opening}")
        elif isinstance(node, ast.ClassDef) and is_sentence(opening):
            findings.class_sentences.append(f"{place}:{line} {opening}")


def is_declaration(function: Function) -> bool:
    """Tell whether a function is a table of options, or one expression."""
    body = function.body[bool(ast.get_docstring(function)) :]
    return bool(OPTION_TABLE.fullmatch(function.name)) or (
        len(body) == 1 and isinstance(body[0], ast.Return)
    )


def check_size(text: str, tree: ast.Module, place: str, findings: Findings) -> None:
    """Collect functions and modules that are too long, and functions that branch too often."""
    length = len(text.splitlines())
    docstring = " ".join((ast.get_docstring(tree) or "").split())
    if length > LONG_MODULE and ONE_SUBJECT not in docstring.lower():
        findings.long_modules.append(f"{place}:1 {length} lines")
    for node in ast.walk(tree):
        if not isinstance(node, Function) or is_declaration(node):
            continue
        length = (node.end_lineno or 0) - node.lineno + 1
        if length > LONG_FUNCTION:
            findings.long_functions.append(f"{place}:{node.lineno} {node.name}: {length} lines")
    for block in cc_visit(text):
        for function in [block, *getattr(block, "methods", [])] if block.letter == "C" else [block]:
            if function.letter != "C" and function.complexity > COMPLEX:
                findings.complex_functions.append(
                    f"{place}:{function.lineno} {function.name}: {function.complexity}"
                )


def check(root: Path) -> Findings:
    """Check all modules below a folder."""
    findings = Findings()
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        place = str(path)
        check_names(tree, place, findings)
        check_docstrings(tree, place, findings)
        check_size(text, tree, place, findings)
    findings.complex_functions = list(dict.fromkeys(findings.complex_functions))
    return findings


def main() -> int:
    """Print and judge the findings."""
    parser = argparse.ArgumentParser(description="Check names, docstrings, size and complexity.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("src/napari_quac"))
    parser.add_argument("--list", action="store_true", help="print all places")
    parser.add_argument(
        "--max-share",
        type=float,
        default=MAX_SHARE,
        help="largest share of names that are fillers, in per cent",
    )
    options = parser.parse_args()
    findings = check(options.folder)
    names = max(findings.assigned, 1)
    share = 100 * len(findings.fillers) / names
    print(f"fillers as names: {share:.2f} % of {names}, at most {options.max_share}")
    failed = share > options.max_share
    if options.list or failed:
        print_places(findings.fillers)
    for title, places, limit in (
        ("docstrings that open with a question word", findings.openings, MAX_OPENINGS),
        ("classes described by a sentence", findings.class_sentences, MAX_CLASS_SENTENCES),
        (f"functions over {LONG_FUNCTION} lines", findings.long_functions, MAX_LONG_FUNCTIONS),
        (f"modules over {LONG_MODULE} lines", findings.long_modules, MAX_LONG_MODULES),
        (f"functions of complexity over {COMPLEX}", findings.complex_functions, MAX_COMPLEX),
        ("empty words as names (reported only)", findings.empty, None),
        ("participles and the like as names (reported only)", findings.kin, None),
    ):
        print(f"{title}: {len(places)}" + (f", at most {limit}" if limit is not None else ""))
        too_many = limit is not None and len(places) > limit
        failed |= too_many
        if options.list or too_many:
            print_places(places)
    return int(failed)


def print_places(places: list[str]) -> None:
    """Print one place per line, indented."""
    print("".join(f"    {place}\n" for place in places), end="")


if __name__ == "__main__":
    raise SystemExit(main())
