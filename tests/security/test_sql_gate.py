"""No request gets near the text of a statement: SQL that is put together is put together of constants.

Where that happens at all is listed, and looked at by hand when the list grows; what speaks to clients is not in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import routeiq

ROOT = Path(routeiq.__file__).parent
SQL = re.compile(
    r"\b(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|(CREATE|DROP|ALTER|TRUNCATE)\s+(TEMP\s+)?TABLE"
    r"|ORDER\s+BY\s|PRAGMA\s)"
)
COMPOSED = {"ledger", "store"}
"""Rooms that put the names of tables and columns together, which are constants of theirs."""
OUTSIDE = re.compile(r"\b(request|body|environ|header|headers|argv|query_params|caller|token)\b")
"""What comes from outside has such names."""


def composed(source: str) -> Iterator[tuple[int, str]]:
    """Every SQL text that is not a constant: (line, what is put in)."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        parts: list[ast.expr] = []
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
            sides = [side for side in (node.left, node.right) if not isinstance(side, (ast.Constant, ast.JoinedStr))]
            constants = [side for side in (node.left, node.right) if isinstance(side, ast.Constant)]
            text = "".join(side.value for side in constants if isinstance(side.value, str))
            parts = list(sides)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            holder = node.func.value
            text = holder.value if isinstance(holder, ast.Constant) and isinstance(holder.value, str) else ""
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        else:
            continue
        if parts and SQL.search(text):
            yield node.lineno, ", ".join(ast.unparse(part) for part in parts)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize(
    "source",
    [
        'q = f"SELECT * FROM t WHERE a = {body.name}"',
        'q = "DELETE FROM t WHERE a = " + name',
        'q = "UPDATE t SET a = %s" % name',
        'q = "SELECT a, {} FROM t".format(name)',
        'q = f"SELECT a FROM t ORDER BY {column}"',
    ],
)
def test_the_gate_sees_every_way_to_put_a_statement_together(source: str) -> None:
    assert len(list(composed(source))) == 1


def test_nothing_but_the_ledger_and_the_store_puts_sql_together() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {parts}"
        for file in FILES
        if file.relative_to(ROOT).parts[0] not in COMPOSED
        for line, parts in composed(file.read_text())
    ]
    assert found == []


def test_nothing_from_outside_is_put_into_sql() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {parts}"
        for file in FILES
        for line, parts in composed(file.read_text())
        if OUTSIDE.search(parts)
    ]
    assert found == []
