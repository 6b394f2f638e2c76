from pathlib import Path

import pytest

from hack.testkit.quick_check import ROOT, UNIT_TESTS, select_tests


def names(found: list[Path]) -> set[str]:
    return {str(path.relative_to(UNIT_TESTS)) for path in found}


def test_a_package_runs_its_tests_and_those_of_what_imports_it() -> None:
    found = names(select_tests(["operator/selfhealing/health/rollout.py"]))

    assert {"health", "status", "controller"} <= found
    assert "api" not in found
    assert "app" not in found


def test_a_test_runs_with_its_package() -> None:
    assert names(select_tests(["tests/unit/kube/test_client.py"])) == {"kube"}


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "tests/conftest.py", "tests/unit/builders/pods.py"]
)
def test_what_all_tests_use_runs_all(path: str) -> None:
    assert select_tests([path]) == [UNIT_TESTS]


@pytest.mark.parametrize(
    "path", ["deploy/argocd/selfhealing.dev/SelfHealingApp/health.lua", "hack/gitops/argocd.py"]
)
def test_what_other_tools_need_is_judged_by_them(path: str) -> None:
    assert "gitops" in names(select_tests([path]))
    assert "gitops" in names(select_tests(["operator/selfhealing/status/kstatus.py"]))


def test_nothing_runs_for_a_script() -> None:
    assert select_tests(["hack/localcluster/bootstrap-python.sh"]) == []


def test_a_tool_runs_the_tests_beside_it() -> None:
    found = select_tests(["hack/testkit/suite.py", "hack/scenarios/lab/report.py"])

    assert [str(path.relative_to(ROOT)) for path in found] == [
        "hack/scenarios/lab/tests",
        "hack/testkit/tests",
    ]
