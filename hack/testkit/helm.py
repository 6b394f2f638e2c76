"""Helm, built from its Go module as the tools of the local cluster are.

``python -m hack.testkit.helm`` builds it, if no clone has done so yet; ``make test`` does that
before its tests.
"""

import os
import sys
from functools import cache

from hack.localcluster import build_stages, go_build
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_unchecked
from hack.testkit import cli
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import KUBECONFIG, ROOT

CHART = ROOT / "deploy" / "chart"


@cache
def build_helm() -> str:
    """Return the path of helm; it is built the first time."""
    paths = find_paths(ROOT, os.environ)
    reporter = ProgressReporter(paths.cache / "timings.json")
    stage = go_build.describe_module_stage(paths, reporter, "helm")
    return str(build_stages.ensure_built(paths, stage, reporter) / "helm")


def run_helm(*arguments: str, seconds: float = 60) -> str:
    """Run helm against the cluster of the tests and return its output.

    Raises:
        ToolError: helm failed.
    """
    environment = {"KUBECONFIG": str(KUBECONFIG)}
    done = run_unchecked([build_helm(), *arguments], seconds=seconds, env=environment)
    if done.returncode != 0:
        raise ToolError(f"helm {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(cli.run_command(lambda: int(not build_helm()), ClusterError))
