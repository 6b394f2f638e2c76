"""Control of the nodes of the local cluster, which are containers on this machine.

It works only for clusters of ``make cluster``; other tests are skipped elsewhere.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hack.testkit.kube_client import ROOT, Json, KubeClient, find_condition
from hack.testkit.wait import eventually

COMMAND_TIMEOUT = 60
NODE_READY_TIMEOUT = 120
"""Seconds until a restarted node is Ready."""

KUBELET_BACK_OFF_TIMEOUT = 330
"""Seconds of the kubelet's longest back-off (300), with a margin."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

_DOCKER_SCRIPT = '[ ! -f .cluster/env ] || . .cluster/env; exec docker "$@"'

_SIGNAL_SCRIPT = r"""
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


def run_on_node(node: str, script: str, *arguments: str) -> str:
    """Run a shell script on a node and return its output."""
    words = ("exec", node, "sh", "-c", script, "-", *arguments)
    done = subprocess.run(
        ["bash", "-c", _DOCKER_SCRIPT, "docker", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"on {node}: {done.stderr or done.stdout}"
    return done.stdout


def run_docker(*words: str) -> None:
    """Run docker with the environment of the cluster's daemon."""
    done = subprocess.run(
        ["bash", "-c", _DOCKER_SCRIPT, "docker", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr or done.stdout}"


def signal_operator(pod: Json, signal: str) -> float:
    """Send a signal to the operator in ``pod``; return the seconds until it has exited."""
    answer = run_on_node(pod["spec"]["nodeName"], _SIGNAL_SCRIPT, pod["metadata"]["uid"], signal)
    return int(answer) / 1000


def kill_api_server(kube: KubeClient) -> None:
    """Kill the API server; the kubelet restarts it."""
    for node in kube.list("Node", None, CONTROL_PLANE):
        run_on_node(node["metadata"]["name"], "pkill -9 -x kube-apiserver")


def list_fake_nodes(kube: KubeClient) -> set[str]:
    """List the KWOK nodes."""
    return {
        node["metadata"]["name"]
        for node in kube.list("Node", None)
        if "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {})
    }


def list_workers(kube: KubeClient) -> list[str]:
    """List the real nodes other than the control plane."""
    control_plane = {node["metadata"]["name"] for node in kube.list("Node", None, CONTROL_PLANE)}
    return sorted(
        {n["metadata"]["name"] for n in kube.list("Node", None)}
        - control_plane
        - list_fake_nodes(kube)
    )


@contextmanager
def kill_node(kube: KubeClient, node: str) -> Iterator[datetime]:
    """Kill a node during the block; restart it and wait until its pods run.

    First the pods of kube-system must be ready: after a kill of the API server, controllers that
    lost their lease are in back-off, and none of them would detect the unreachable node.
    """
    eventually(
        lambda: is_system_ready(kube),
        timeout=KUBELET_BACK_OFF_TIMEOUT,
        description="the cluster's own pods run",
    )
    try:
        run_docker("kill", node)
        yield datetime.now(UTC)
    finally:
        run_docker("start", node)
        eventually(
            lambda: is_node_ready(kube, node),
            timeout=NODE_READY_TIMEOUT,
            description=f"{node} is Ready again",
        )
        eventually(
            lambda: is_system_ready(kube),
            timeout=NODE_READY_TIMEOUT,
            description="the cluster's own pods run",
        )


def is_system_ready(kube: KubeClient) -> bool:
    """Return whether the pods of kube-system are ready; else an AssertionError names them."""
    # A kube-proxy on a fake node that KWOK has just made may stay Pending for good.
    fake_nodes = list_fake_nodes(kube)
    unready = [
        pod["metadata"]["name"]
        for pod in kube.list("Pod", "kube-system")
        if pod["spec"].get("nodeName") not in fake_nodes
        and find_condition(pod, "Ready").get("status") != "True"
        and pod["status"]["phase"] != "Succeeded"
    ]
    assert not unready, unready
    return True


def is_node_ready(kube: KubeClient, node: str) -> bool:
    """Whether the Ready condition of the node is True."""
    return find_condition(kube.get("Node", None, node), "Ready").get("status") == "True"


def has_container_nodes(kube: KubeClient) -> bool:
    """Return whether the nodes are containers on this machine."""
    name = kube.list("Node", None, CONTROL_PLANE)[0]["metadata"]["name"]
    done = subprocess.run(
        ["bash", "-c", _DOCKER_SCRIPT, "docker", "inspect", name],
        cwd=ROOT,
        capture_output=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    return done.returncode == 0


def require_container_nodes(kube: KubeClient) -> None:
    """Skip the test if the nodes are not containers on this machine."""
    if not has_container_nodes(kube):
        pytest.skip("needs a cluster of `make cluster`, whose nodes are containers here")
