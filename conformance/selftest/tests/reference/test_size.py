"""The reference stays short: what is not code in its files is explanation."""

import ast
import io
import tokenize
from types import ModuleType

from conformance.suite.known_bugs import ALGORITHM

MOST_LINES = 400
NOT_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def lines_of_code(source: str) -> int:
    """Lines with code on them, docstrings apart."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def text(module: ModuleType) -> str:
    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()


def test_lines_are_counted() -> None:
    assert lines_of_code('"""Not code."""\n\nx = (\n    1,  # one\n)\n# nor this\n') == 3


def test_the_algorithm_has_fewer_than_400_lines_of_code() -> None:
    assert sum(lines_of_code(text(module)) for module in ALGORITHM) < MOST_LINES
