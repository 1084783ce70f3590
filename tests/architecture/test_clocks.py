"""A test module is read minutes before its last test runs: what it calls now must be asked of the clock by the test."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
#: Reads the clock for a value of which only the type matters.
HARMLESS = {"budgets/test_engine_model.py"}
CLOCKS = {"now", "today", "time", "time_ns", "utcnow"}


def clocks_read_at_import(node: ast.AST) -> Iterator[int]:
    """Lines that call a clock while the module or a class in it is read; defaults of arguments count, bodies do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in [*child.decorator_list, child.args]:
                yield from clocks_read_at_import(part)
        elif not isinstance(child, ast.Lambda):
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in CLOCKS:
                yield child.lineno
            yield from clocks_read_at_import(child)


def test_no_module_keeps_the_time_at_which_it_was_imported() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        if str(path.relative_to(TESTS)) not in HARMLESS
        for line in clocks_read_at_import(ast.parse(path.read_text()))
    ]

    assert found == []


def test_finds_it_in_a_default_and_in_a_class_and_not_in_a_body() -> None:
    module = ast.parse(
        "A = datetime.now(UTC)\n"
        "class B:\n"
        "    C = [date.today()]\n"
        "def d(e=time.time()): return datetime.now(UTC)\n"
        "F = lambda: datetime.now(UTC)\n"
    )

    assert list(clocks_read_at_import(module)) == [1, 3, 4]
