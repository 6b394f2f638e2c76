"""What a command imports decides how fast it starts: it imports nothing that it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from selfhealing.plugin.command.main import COMMANDS

ROOT = Path(__file__).parents[3]
SPEC = "../examples/02-lab.yaml"

HEAVY = frozenset({"pydantic", "yaml", "orjson", "http.client", "subprocess", "tarfile"})
"""What takes the most time to import, and help and completion do not need."""

OPERATOR_ONLY = frozenset({"kubernetes", "kopf", "aiohttp", "asyncio", "jinja2"})
"""What only the operator and the tools use, or another command."""

CLUSTER = frozenset(
    {
        "http.client",
        "selfhealing.plugin.cluster.kubectl_proxy",
        "selfhealing.plugin.view.build",
        "selfhealing.plugin.view.model",
    }
)
"""What reads a cluster, and shows what was read."""

IMPORTER = frozenset({"selfhealing.importer.run", "selfhealing.importer.manifests"})

PROGRAM = """\
import sys
from selfhealing.plugin.command.main import main
for line in sys.argv[1:]:
    main(line.split())
print("imported", *sys.modules)
"""


def list_imports(*lines: str) -> frozenset[str]:
    """Run commands in a new interpreter, and return the names of the modules it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *lines],
        cwd=ROOT / "operator",
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.splitlines()[-1].split())


def test_the_help_of_a_command_needs_only_click() -> None:
    """All in one interpreter: what is not imported for all of them is not for any."""
    imported = list_imports(*(f"{name} --help" for name in COMMANDS))

    assert "click" in imported
    assert set() == imported & (HEAVY | OPERATOR_ONLY | CLUSTER | IMPORTER)


@pytest.mark.parametrize(
    ("command", "needed"),
    [("lint", "selfhealing.plugin.view.lint"), ("render", "selfhealing.plugin.view.spec_diff")],
)
def test_a_file_is_read_without_what_reads_a_cluster(command: str, needed: str) -> None:
    imported = list_imports(f"{command} -f {SPEC}")

    assert needed in imported
    assert set() == imported & (OPERATOR_ONLY | CLUSTER | IMPORTER)
