"""The pure packages read no clock, no environment and no file: what import rules cannot see."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "operator" / "selfhealing"
PURE_PACKAGES = (
    "render",
    "cache",
    "apply",
    "health",
    "remediation",
    "evidence",
    "status",
    "importer",
    "plugin/view",
)
PURE_MODULES = ("controller/evaluate.py", "controller/reconcile_order.py")
MODULES = sorted(
    [path for name in PURE_PACKAGES for path in (PACKAGE / name).glob("**/*.py")]
    + [PACKAGE / name for name in PURE_MODULES]
)

IMPURE = {"now", "utcnow", "today", "environ", "getenv", "open", "read_text", "print"}
"""Names of what a pure function does not ask for."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_it_is_pure(path: Path) -> None:
    """The moment of a judgement is an argument, called ``now``; it is never asked for."""
    tree = ast.parse(path.read_text())
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"environ"}

    assert set() == (called | read) & IMPURE


WALL_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "time.time", "time.time_ns"}
SERVER_CLOCK = "kube/server_clock.py"


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.glob("**/*.py")) if path != PACKAGE / SERVER_CLOCK],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_the_server_clock_reads_the_wall_clock(path: Path) -> None:
    """A node whose clock is wrong, or jumps, changes no decision."""
    tree = ast.parse(path.read_text())
    read = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set() == (read | imported) & WALL_CLOCKS
