"""The walks of CONTRIBUTING.md are carried out in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_THIS_RUN = ("TEST_RECORD", "PYTEST_", "COVERAGE_")
"""Beginnings of the variables by which a run of tests would be taken for a part of this one."""

COPIED = (
    *("operator", "tests", "hack", "crd", "deploy", "docs", "examples"),
    *("pyproject.toml", ".gitignore"),
)

GENERATE = """
import contextlib, sys
from selfhealing.cli import chart, manifests, olm_bundle
from selfhealing.crdgen import crd

code = crd.main([])
with open("../deploy/operator.yaml", "w", encoding="utf-8") as file:
    with contextlib.redirect_stdout(file):
        code |= manifests.main([])
sys.exit(code | chart.main([]) | olm_bundle.main([]))
"""
"""What of `make generate` the walks change, in one process: most of the time goes into imports."""

WALKS = re.split(
    r"^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)
WALKS = [section for section in WALKS if section.startswith("Walk ")]


def extract_blocks(section: str, language: str) -> list[str]:
    """The code blocks of a section in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def list_changed_files(section: str) -> set[str]:
    """The files that the output of `git diff --stat` in a section names; empty without one."""
    consoles = "".join(extract_blocks(section, "console"))
    return set(re.findall(r"^ (\S+) +\| +\d+", consoles, flags=re.MULTILINE))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository, under version control to see what changes."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            # With the bytecode a program starts in half the time.
            ignored = shutil.ignore_patterns(".hypothesis", "node_modules")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "git", "add", "--all")
    return tmp_path


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command in a folder and return its output; it must succeed."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(OF_THIS_RUN)
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_are_three_walks() -> None:
    """A new field, a new diagnosis with its remediation, and a new child."""
    assert ["Walk 1", "Walk 2", "Walk 3"] == [section[:6] for section in WALKS]


@pytest.mark.parametrize("section", WALKS, ids=[section.splitlines()[0] for section in WALKS])
def test_a_walk_leads_where_it_says(section: str, copy: Path) -> None:
    """Its diffs apply, the tests that they add pass, and these files change."""
    for number, diff in enumerate(extract_blocks(section, "diff")):
        patch = copy / f"{number}.diff"
        patch.write_text(diff, encoding="utf-8")
        run(copy, "git", "apply", "-C1", str(patch))
        patch.unlink()
    python = {"PYTHONPATH": f"{copy / 'operator'}:{copy}"}
    added = run(copy, "git", "ls-files", "--others", "--exclude-standard", "tests").split()
    assert added
    pytest_options = ("-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider")
    run(copy, sys.executable, "-m", "pytest", *pytest_options, *added, **python)

    changed = list_changed_files(section)
    if changed:
        run(copy / "operator", sys.executable, "-c", GENERATE, **python)
        status = run(copy, "git", "status", "--porcelain", "--untracked-files=all")
        found = {line[3:] for line in status.splitlines() if line[1] != " "}
        assert changed == found
