"""Which unit tests begin first, and which are measured by coverage.

The pure packages are covered to 100 % by the tests that show one branch each. Tracing what calls
the same branches a million times shows nothing more, and takes longer than the tests themselves.
"""

import os
import sys
import threading
from collections.abc import Generator
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from coverage import Coverage

UNIT = Path(__file__).parent

LONG = (
    "controller/test_adversary.py",
    "remediation/test_safety_properties.py",
    "worlds/test_worlds.py",
)
"""Modules of single tests that take long: at the end of a run other workers would wait for them."""

UNMEASURED = (
    *LONG,
    "app",
    "cli",
    "crdgen/test_crd.py",
    "evidence/test_redaction_properties.py",
    "evidence/test_rendering_cost.py",
    "gitops",
    "kube",
    "test_contributing.py",
    "test_crash_consistency_page.py",
    "test_dockerfiles.py",
    "test_docs.py",
    "test_groups.py",
    "test_linear_regexes.py",
    "test_purity.py",
    "worlds",
)
"""Modules and folders that run without coverage, as do the programs that they start."""


def is_below(item: pytest.Item, names: tuple[str, ...]) -> bool:
    """Whether a test is in one of some modules and folders of the unit tests."""
    return _is_path_below(item.path, names)


@cache
def _is_path_below(path: Path, names: tuple[str, ...]) -> bool:
    """Remembered: there are thousands of tests, in some hundred modules."""
    return any(path.is_relative_to(UNIT / name) for name in names)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long tests begin first; the order is random otherwise."""
    items.sort(key=lambda item: not is_below(item, LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test without coverage if it is not to be measured."""
    if Coverage.current() is None or not is_below(item, UNMEASURED):
        return (yield)
    tracer, thread_tracer = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        with patch.dict(os.environ):
            os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # for the programs that it starts
            return (yield)
    finally:
        threading.settrace(thread_tracer)
        sys.settrace(tracer)
