"""Programs that are built from the Go modules of the local cluster, as its own tools are.

``python -m hack.testkit.go_programs MODULE...`` builds those that no clone has built yet; ``make
test`` does that before its tests.
"""

import os
import sys
from functools import cache
from pathlib import Path

from hack.localcluster import build_stages, go_build
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths
from hack.localcluster.progress import ProgressReporter
from hack.testkit import cli
from hack.testkit.kube_client import ROOT


@cache
def build_program(module: str, *, quiet: bool = False) -> Path:
    """Return the path of the program of a module; it is built the first time.

    Args:
        module: the name of the folder in ``hack/localcluster/go``, and of its program.
        quiet: whether to show no progress.

    Raises:
        ClusterError: it could not be built.
    """
    paths = find_paths(ROOT, os.environ)
    reporter = ProgressReporter(paths.cache / "timings.json", quiet=quiet)
    stage = go_build.describe_module_stage(paths, reporter, module)
    return build_stages.ensure_built(paths, stage, reporter) / module


def main() -> int:
    """Build the programs that the command line names; returns the exit code."""
    for module in sys.argv[1:]:
        build_program(module)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run_command(main, ClusterError))
