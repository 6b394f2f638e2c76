import sys
from pathlib import Path

import pytest

from hack.scenarios.lab.page_set import PageSet
from tests import groups
from tests.unit import conftest

TESTS = Path(__file__).parents[1]
PAGES = {page.name for page in PageSet(TESTS.parent).list_pages()}
NAMES = sorted({*(name for names in groups.CHAINS.values() for name in names), *groups.LAST})


@pytest.mark.parametrize("name", [*NAMES, *groups.SPLIT])
def test_every_name_is_that_of_a_module_or_a_page(name: str) -> None:
    """A module that is renamed would silently run beside those that it disturbs."""
    layer, _, rest = name.partition("/")
    module, _, page = rest.removesuffix("]").partition("[")

    assert (TESTS / layer / f"test_{module}.py").is_file()
    assert not page or page in PAGES


def test_every_unit_with_a_time_exists() -> None:
    modules = {
        f"{path.parent.name}/{path.stem.removeprefix('test_')}"
        for path in TESTS.glob("*/test_*.py")
    }

    assert set(groups.SECONDS) - set(groups.CHAINS) - modules == set()


@pytest.mark.parametrize("name", conftest.UNMEASURED)
def test_what_runs_without_coverage_exists(name: str) -> None:
    assert (conftest.UNIT / name).exists()


def test_a_test_without_coverage_is_not_traced() -> None:
    """This module is one of them."""
    assert sys.gettrace() is None


def test_every_module_with_containers_is_in_a_chain() -> None:
    """Each chain runs one app at a time: more would not fit on the machine."""
    modules = {path.stem.removeprefix("test_") for path in TESTS.glob("e2e/test_*.py")}

    assert {f"e2e/{module}" for module in modules} - {*NAMES, *groups.SPLIT} == set()


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/integration/test_drift.py::test_drift[image]", "integration/drift"),
        ("tests/e2e/test_guide.py::test_a_page_does_what_it_says[hpa]", "e2e: lab"),
        ("tests/e2e/test_guide.py::test_a_page_does_what_it_says[liveness]", "e2e: nodes"),
        ("tests/e2e/test_jobs.py::test_completed", "e2e: restarts"),
        ("tests/integration/test_jobs.py::test_completed", "integration/jobs"),
    ],
)
def test_a_test_belongs_to_one_unit(nodeid: str, unit: str) -> None:
    assert groups.find_unit(nodeid) == unit


def test_a_module_that_is_split_has_so_many_units() -> None:
    nodeids = [f"tests/integration/test_crd_accepts.py::test_x[{number}]" for number in range(50)]

    assert len({groups.find_unit(nodeid) for nodeid in nodeids}) == 3
