"""Every page of docs/lab is carried out as a reader would, by what `make lab` runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from _pytest.mark import ParameterSet

from hack.scenarios.lab.page_parser import Page
from hack.scenarios.lab.page_set import PageSet
from hack.testkit.kube_client import ROOT, run_kubectl
from hack.testkit.operator_process import run_operator

PAGES = PageSet(ROOT).list_pages()
MISSING_REQUIREMENTS = "lacks what it needs: "
SLOWNESS = 6
"""A busy machine takes so many times as long as the page says."""


ALONE = ("node-failure",)
"""Pages that take down a node with all that runs on it."""


DASHBOARD = "deploy"
"""The page that is carried out with the dashboard beside it."""


HEALING = ("rollback", "hung-pod", "memory", "approval", "quarantine")
"""Pages that wait for the times of healing."""

HEALING_SCALE = "0.3"
"""What these pages multiply the times of healing by. A hung pod is still there for 15 seconds."""


def build_case(page: Page) -> ParameterSet:
    """A page as a case of the test."""
    marks = [pytest.mark.alone] if page.name in ALONE else []
    return pytest.param(page, id=page.name, marks=marks)


@pytest.fixture
def namespace(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a namespace that an operator serves; the lab makes and removes it."""
    name = f"lab-test-{page.name}"
    log = tmp_path_factory.mktemp("lab") / "operator.log"
    settings = {"SELFHEALING_HEALING_SCALE": HEALING_SCALE} if page.name in HEALING else {}
    with run_operator([name], log, settings=settings):
        yield name


@pytest.mark.parametrize("page", [build_case(page) for page in PAGES])
def test_a_page_does_what_it_says(page: Page, namespace: str, tmp_path: Path) -> None:
    """It passes, or is left out because the cluster lacks what it needs; nothing of it stays."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hack.scenarios.lab", "run", "--plain", f"--step={page.name}"),
            *(f"--namespace={namespace}", f"--report={tmp_path}"),
            *(["--ui"] if page.name == DASHBOARD else []),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "operator"},
        capture_output=True,
        text=True,
        timeout=60 + SLOWNESS * page.settings.seconds,
        check=False,
    )

    if MISSING_REQUIREMENTS in done.stdout:
        pytest.skip(done.stdout.rsplit(MISSING_REQUIREMENTS, 1)[1].splitlines()[0])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 of 1 steps passed" in done.stdout
    assert "shows other outputs" not in done.stdout, done.stdout
    assert f'id="{page.name}"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run_kubectl("get", "namespace", namespace, "--ignore-not-found") == ""
    address = re.search(r"http://\S+#token=\S+", done.stdout)
    assert bool(address) is (page.name == DASHBOARD)
    if address:  # the dashboard has ended with the lab
        with pytest.raises(requests.ConnectionError):
            requests.get(address.group(), timeout=10)
