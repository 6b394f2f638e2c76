"""kubectl as a client of the cluster that is being built, and as a program for the other tools.

It needs no connection that is kept open, and its failure is an answer: while the cluster starts,
the API server may be missing.
"""

import functools
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.localcluster.subprocesses import run_checked, run_unchecked
from hack.localcluster.wait import wait_until

MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class Kubectl:
    """kubectl with its kubeconfig (and context, where that is not the file's own)."""

    program: str
    kubeconfig: str | None
    context: str | None = None

    @property
    def command(self) -> list[str]:
        """Return the beginning of every call."""
        words = [self.program]
        words += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return words + (["--context", self.context] if self.context else [])

    def run(self, *words: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a call that must succeed."""
        return run_checked([*self.command, *words], stdin=stdin, seconds=seconds)

    def get(self, *words: str, seconds: float = 15) -> Any | None:  # noqa: ANN401 - JSON is anything
        """Return objects as data, or None where the API does not answer or has none."""
        answer = run_unchecked([*self.command, "get", *words, "-o", "json"], seconds=seconds)
        return json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout else None

    def raw(self, path: str, seconds: float = 15) -> Any | None:  # noqa: ANN401 - JSON is anything
        """Return what a bare API path answers as data, or None."""
        answer = run_unchecked([*self.command, "get", f"--raw={path}"], seconds=seconds)
        return json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout else None

    def apply(self, manifest: str) -> None:
        """Apply a manifest; the server decides what changes, so it is safe to repeat."""
        words = (
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=cluster",
            "-f",
            "-",
        )
        self.run(*words, stdin=manifest, seconds=90)

    def is_ready(self) -> bool:
        """Tell whether the API server answers and says it is ready."""
        answer = run_unchecked([*self.command, "get", "--raw=/readyz"], seconds=5)
        return answer.returncode == 0 and answer.stdout.strip() == "ok"


def render_manifest(name: str, **values: str) -> str:
    """Return one of the tool's manifests with its ``${...}`` filled in."""
    return string.Template((MANIFESTS / f"{name}.yaml").read_text()).substitute(values)


_REPLICA_COUNTS: Final = ("replicas", "updatedReplicas", "availableReplicas")
_DAEMON_COUNTS: Final = (
    "currentNumberScheduled",
    "updatedNumberScheduled",
    "numberAvailable",
)


def wait_for_deployments(
    kubectl: Kubectl, namespace: str, names: Sequence[str], seconds: float
) -> None:
    """Wait until Deployments run as they were last applied, each at most so long."""

    def is_deployed(name: str) -> bool:
        return is_rolled_out(kubectl.get("deployment", name, "-n", namespace))

    advice = f"see 'kubectl -n {namespace} get pods'; the same command again repairs"
    for name in names:
        wait_until(f"{name} running", seconds, functools.partial(is_deployed, name), advice)


def is_rolled_out(workload: Any | None) -> bool:  # noqa: ANN401 - JSON is anything
    """Tell whether all pods of a Deployment or DaemonSet are of its last state, and available."""
    if workload is None:
        return False
    status = workload.get("status", {})
    if "desiredNumberScheduled" in status:
        desired, fields = status["desiredNumberScheduled"], _DAEMON_COUNTS
    else:
        desired, fields = workload["spec"].get("replicas", 1), _REPLICA_COUNTS
    is_observed = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    return is_observed and {status.get(field, 0) for field in fields} == {desired}
