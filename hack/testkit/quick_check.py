"""Runs `make check`: lint, types, and the unit tests of the packages that changed.

What changed is what differs from `main`, here or of `origin`, committed or not. A change of what
all tests use runs all of them.
"""

import ast
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "operator" / "selfhealing"
UNIT_TESTS = ROOT / "tests" / "unit"
BIN = ROOT / ".venv" / "bin"
BASES = ("origin/main", "main")
EVERYTHING = (
    *("pyproject.toml", "requirements/"),
    *("tests/conftest.py", "tests/groups.py", "tests/unit/builders/"),
)
FOR_OTHER_TOOLS = (
    *(f"deploy/{name}/" for name in ("argocd", "flux", "kube-state-metrics")),
    "hack/gitops/",
    "hack/localcluster/go/verdicts/",
)
NO_TESTS_COLLECTED = 5


def main() -> int:
    """Run the checks side by side and print those that fail; 1 when one did."""
    began = time.monotonic()
    folders = select_tests(list(list_changed_files()))
    commands = {
        "ruff": [str(BIN / "ruff"), "check", "--quiet", "."],
        "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
        "types": [str(BIN / "mypy"), "--no-error-summary"],
        "imports": [str(BIN / "lint-imports")],
    }
    if folders:
        shown = " ".join(str(folder.relative_to(ROOT)) for folder in folders)
        print(f"==> lint, types, and {shown}", flush=True)
        workers = ["-n", "auto", "--maxprocesses=8", "--dist", "worksteal"]
        commands["tests"] = [
            *(str(BIN / "python"), "-m", "pytest", "-q", *workers),
            *map(str, folders),
        ]
    else:
        print("==> lint and types: nothing changed that a unit test covers", flush=True)
    failed = run_commands(commands)
    took = f"{time.monotonic() - began:.0f} s"
    print(f"==> FAILED: {', '.join(failed)} ({took})" if failed else f"==> All well ({took})")
    return int(bool(failed))


def run_commands(commands: dict[str, list[str]]) -> list[str]:
    """Run commands side by side; the names of those that failed, whose output is printed."""
    # Between two edits a fifth of the examples; `make test` tries them all.
    environment = {"PYTHONPATH": "operator:.", "TEST_EXAMPLES": "0.2"}
    processes = {
        name: subprocess.Popen(
            ["env", *(f"{key}={value}" for key, value in environment.items()), *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, command in commands.items()
    }
    failed = []
    for name, process in processes.items():
        output, _ = process.communicate()
        if process.returncode not in (0, NO_TESTS_COLLECTED):
            failed.append(name)
            print(f"--- {name}\n{output}", flush=True)
        elif name == "tests":
            print(output.splitlines()[-1], flush=True)
    return failed


def list_changed_files() -> Iterator[str]:
    """List the paths that differ from the base branch, committed or not."""
    bases = (_run_git("merge-base", name, "HEAD") for name in BASES)
    base = next(filter(None, bases), "HEAD")
    yield from _run_git("diff", "--name-only", base).splitlines()
    yield from _run_git("ls-files", "--others", "--exclude-standard").splitlines()


def select_tests(changed: Sequence[str]) -> list[Path]:
    """Select the folders and files of unit tests for changed paths.

    A package's tests run when it, or a package that it imports, has changed.
    """
    if any(path.startswith(EVERYTHING) for path in changed):
        return [UNIT_TESTS]
    packages = _find_parts(changed, "operator/selfhealing/")
    tests = _find_parts(changed, "tests/unit/")
    if any(name.endswith(".py") and not name.startswith("test_") for name in tests):
        return [UNIT_TESTS]  # helpers that many of them use
    affected = {name for name in _list_packages() if packages & {name, *_find_imports(name)}}
    if any(path.startswith("app/") for path in changed):
        tests.add("app")
    if "status" in affected or any(path.startswith(FOR_OTHER_TOOLS) for path in changed):
        tests.add("gitops")
    if any(path.endswith((".md", ".yaml")) for path in changed):
        tests.add("test_docs.py")
    tools = {folder for path in changed if (folder := _find_tests_of_tool(path))}
    names = affected | tests | ({"test_purity.py"} if packages else set())
    found = [UNIT_TESTS / name for name in sorted(names) if (UNIT_TESTS / name).exists()]
    return [*found, *sorted(tools)]


def _find_tests_of_tool(path: str) -> Path | None:
    """The tests beside a file of hack/, or beside the folders that it is in."""
    if not path.startswith("hack/") or not path.endswith(".py"):
        return None
    parents = (ROOT / path).relative_to(ROOT / "hack").parents
    folders = (ROOT / "hack" / parent / "tests" for parent in parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def _find_parts(paths: Iterable[str], folder: str) -> set[str]:
    """The files and folders of ``folder`` in which some path lies."""
    return {path.removeprefix(folder).split("/")[0] for path in paths if path.startswith(folder)}


def _list_packages() -> Iterable[str]:
    return (path.name for path in PACKAGES.iterdir() if (path / "__init__.py").exists())


def _find_imports(package: str) -> set[str]:
    """Find the packages of the operator that the modules of ``package`` import."""
    found = set()
    for path in (PACKAGES / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".")
                if parts[0] == "selfhealing" and len(parts) > 1:
                    found.add(parts[1])
    return found


def _run_git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
