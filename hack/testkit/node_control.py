"""The nodes of the local cluster from outside: they are containers, so their processes can be hit.

Only for clusters that ``make cluster`` made; elsewhere the tests that need this are skipped.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hack.testkit.kube_client import ROOT, Json, Kube, condition
from hack.testkit.wait import eventually

SECONDS = 60
BACK = 120
"""Seconds until a node that is started again is Ready."""

BACK_OFF = 330
"""Seconds that a kubelet may wait before it starts a container once more (300), and some."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

_DOCKER = '[ ! -f .cluster/env ] || . .cluster/env; exec docker "$@"'

_SEND = r"""
uid=$1; signal=$2; other=$(echo "$uid" | tr - _)
for folder in /proc/[0-9]*; do
    grep -qE "$uid|$other" "$folder/cgroup" 2>/dev/null || continue
    words=$(tr '\0' ' ' <"$folder/cmdline" 2>/dev/null)
    case $words in *"python -m selfhealing"*) ;; *) continue ;; esac
    pid=${folder#/proc/}
    began=$(date +%s%N)
    kill "-$signal" "$pid"
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "$folder/status" 2>/dev/null; do
        sleep 0.02
    done
    echo "$(( ($(date +%s%N) - began) / 1000000 ))"
    exit 0
done
echo "no process of pod $uid" >&2
exit 1
"""


def run(node: str, script: str, *arguments: str) -> str:
    """Run a shell script on a node and return what it prints."""
    words = ("exec", node, "sh", "-c", script, "-", *arguments)
    done = subprocess.run(
        ["bash", "-c", _DOCKER, "docker", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"on {node}: {done.stderr or done.stdout}"
    return done.stdout


def docker(*words: str) -> None:
    """Run docker as the cluster's own tool does."""
    done = subprocess.run(
        ["bash", "-c", _DOCKER, "docker", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr or done.stdout}"


def send(pod: Json, signal: str) -> float:
    """Send the operator's process in ``pod`` a signal; the seconds until it has ended."""
    answer = run(pod["spec"]["nodeName"], _SEND, pod["metadata"]["uid"], signal)
    return int(answer) / 1000


def kill_api_server(kube: Kube) -> None:
    """Kill the API server's process; the kubelet starts it again."""
    for node in kube.list("Node", None, CONTROL_PLANE):
        run(node["metadata"]["name"], "pkill -9 -x kube-apiserver")


def fake(kube: Kube) -> set[str]:
    """The nodes that KWOK plays."""
    return {
        node["metadata"]["name"]
        for node in kube.list("Node", None)
        if "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {})
    }


def workers(kube: Kube) -> list[str]:
    """The real nodes beside the control plane."""
    masters = {node["metadata"]["name"] for node in kube.list("Node", None, CONTROL_PLANE)}
    return sorted({n["metadata"]["name"] for n in kube.list("Node", None)} - masters - fake(kube))


@contextmanager
def dead(kube: Kube, node: str) -> Iterator[datetime]:
    """Kill a node; it is started again afterwards, and waited for with all that runs on it.

    The test before may have killed the API server: controllers that lost their lease then are in
    their kubelet's back-off, and nobody would notice the silent node.
    """
    eventually(lambda: system_runs(kube), timeout=BACK_OFF, says="the cluster's own pods run")
    try:
        docker("kill", node)
        yield datetime.now(UTC)
    finally:
        docker("start", node)
        eventually(lambda: _ready(kube, node), timeout=BACK, says=f"{node} is Ready again")
        eventually(lambda: system_runs(kube), timeout=BACK, says="the cluster's own pods run")


def system_runs(kube: Kube) -> bool:
    """Whether all pods of the cluster's own are ready; the assertion names those that are not."""
    # A kube-proxy on a fake node that KWOK has just made may stay Pending for good.
    played = fake(kube)
    waiting = [
        pod["metadata"]["name"]
        for pod in kube.list("Pod", "kube-system")
        if pod["spec"].get("nodeName") not in played
        and condition(pod, "Ready").get("status") != "True"
        and pod["status"]["phase"] != "Succeeded"
    ]
    assert not waiting, waiting
    return True


def _ready(kube: Kube, node: str) -> bool:
    return condition(kube.get("Node", None, node), "Ready").get("status") == "True"


def containers(kube: Kube) -> bool:
    """Whether the nodes are containers on this machine, so that their processes can be hit."""
    name = kube.list("Node", None, CONTROL_PLANE)[0]["metadata"]["name"]
    done = subprocess.run(
        ["bash", "-c", _DOCKER, "docker", "inspect", name],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode == 0


def need_containers(kube: Kube) -> None:
    """Skip where the nodes are no containers on this machine."""
    if not containers(kube):
        pytest.skip("needs a cluster of `make cluster`, whose nodes are containers here")
