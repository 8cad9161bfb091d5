#!/usr/bin/env python3
"""Count lines of code: no docstrings, no comments, no blank lines.

``python .ci/code_lines.py [FOLDER]`` prints one line per sub-package and the total.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

WITHOUT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(text: str) -> int:
    """Count the lines of a module that hold code."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                docstrings.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in WITHOUT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def main() -> int:
    """Print the lines of code of each sub-package."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "src/napari_quac")
    totals: Counter[str] = Counter()
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        totals[parts[0] if len(parts) > 1 else "."] += code_lines(path.read_text())
    for package, count in sorted(totals.items()):
        print(f"{package:12} {count:6}")
    print(f"{'total':12} {totals.total():6}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
