"""Lines of code by package, without blank lines, comments and docstrings.

    python benchmarks/lines.py [CHECKOUT]

Templates, styles and scripts of the pages are counted beside them, without blank lines.
"""

import ast
import io
import json
import sys
import tokenize
from collections import Counter
from pathlib import Path

BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
BLANK |= {tokenize.ENDMARKER, tokenize.ENCODING}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(text: str) -> int:
    """How many lines of a module hold code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in BLANK:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            assert docstring.end_lineno is not None
            lines -= set(range(docstring.lineno, docstring.end_lineno + 1))
    return len(lines)


def main() -> None:
    checkout = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    source = checkout / "src" / "seewhy"
    packages: Counter[str] = Counter()
    for path in sorted(source.rglob("*")):
        package = path.relative_to(source).parts[0].removesuffix(".pyi").removesuffix(".py")
        if path.suffix in (".py", ".pyi"):
            packages[package] += code_lines(path.read_text())
        elif path.suffix in (".jinja", ".css", ".js"):
            packages["templates"] += sum(bool(line.strip()) for line in path.open())
    templates = packages.pop("templates")
    found = {**packages, "python": packages.total(), "templates": templates}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
