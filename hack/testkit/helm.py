"""Helm, built from its Go module as the tools of the local cluster are."""

from hack.localcluster.subprocesses import run_unchecked
from hack.testkit.errors import ToolError
from hack.testkit.go_programs import build_program
from hack.testkit.kube_client import KUBECONFIG, ROOT

CHART = ROOT / "deploy" / "chart"


def run_helm(*arguments: str, seconds: float = 60) -> str:
    """Run helm against the cluster of the tests and return its output.

    Raises:
        ToolError: helm failed.
    """
    environment = {"KUBECONFIG": str(KUBECONFIG)}
    command = [str(build_program("helm")), *arguments]
    done = run_unchecked(command, seconds=seconds, env=environment)
    if done.returncode != 0:
        raise ToolError(f"helm {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout
