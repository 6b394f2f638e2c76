"""Fake nodes for load tests: KWOK plays their kubelet, so thousands of pods cost no memory here.

They carry a taint, so no real pod lands on one unless it asks for it, and a label by which
metrics-server passes them over.  With the last one the controller goes too.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from hack.localcluster import addons, build_stages, go_build
from hack.localcluster.engine import SOURCE
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl, render_manifest
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_unchecked
from hack.localcluster.versions import KWOK
from hack.localcluster.wait import wait_until

MAX_NODES: Final = 200
"""Each node takes a /24 of the pods' /16, and real nodes need some too."""

_PODS_PER_NODE: Final = "1000"
_SELECTOR: Final = "type=kwok"
_STAGES: Final = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
_KWOK_CONFIGURATION: Final = """\
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  enablePodsOnNodeSyncStreamWatch: true
  nodeLeaseDurationSeconds: 40
  nodeLeaseParallelism: 4
  nodePlayStageParallelism: 8
  podPlayStageParallelism: 16
"""
"""Settings KWOK has no flags for: with its default of 4 it would be what a load test measures.

A file with one option must have them all: the others' defaults are lost.
"""

_READY_SECONDS: Final = 90
_CONCURRENCY: Final = 4
_MAX_ATTEMPTS: Final = 10


def build_node(number: int) -> dict[str, Any]:
    """Describe one fake node."""
    name = f"kwok-node-{number}"
    size = {"cpu": "256", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": _PODS_PER_NODE}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/exclude-from-external-load-balancers": "true",
            },
        },
        "spec": {
            "taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
        },
        "status": {"allocatable": size, "capacity": size},
    }


def list_surplus_nodes(existing: list[str], count: int) -> list[str]:
    """List the fake nodes to remove: those numbered beyond what is wanted."""
    kept_names = {f"kwok-node-{number}" for number in range(count)}
    return sorted(set(existing) - kept_names)


def describe_stages_stage(paths: Paths, reporter: ProgressReporter) -> build_stages.BuildStage:
    """Describe the collection of KWOK's own stage files: how a fake node and pod behave."""

    def build(result: Path) -> None:
        sources = go_build.find_module_folder(paths, reporter, "node", "sigs.k8s.io/kwok")
        parts = [(sources / "kustomize/stage" / name).read_text() for name in _STAGES]
        (result / "stages.yaml").write_text("\n---\n".join(parts))

    return build_stages.BuildStage("kwok-stages", {"version": KWOK, "stages": repr(_STAGES)}, build)


def scale_nodes(
    paths: Paths, reporter: ProgressReporter, kubectl: Kubectl, count: int, mode: str
) -> None:
    """Have exactly so many fake nodes."""
    if not 0 <= count <= MAX_NODES:
        raise ClusterError(f"N must be from 0 to {MAX_NODES}, not {count}")
    existing = _list_node_names(kubectl)
    if count:
        folder = build_stages.ensure_built(paths, describe_stages_stage(paths, reporter), reporter)
        _install(kubectl, folder / "stages.yaml", mode)
        wanted = {
            "apiVersion": "v1",
            "kind": "List",
            "items": [build_node(n) for n in range(count)],
        }
        kubectl.apply(json.dumps(wanted))
    _remove_nodes(kubectl, list_surplus_nodes(existing, count))
    if count:
        advice = "see 'kubectl -n kube-system logs deploy/kwok-controller'"
        wait_until(
            f"{count} fake nodes being ready",
            _READY_SECONDS,
            lambda: _count_ready_nodes(kubectl) == count,
            advice,
        )
    else:
        _uninstall(kubectl)
    reporter.print_line(f"fake nodes: {count}" + (f" ({_SELECTOR})" if count else ""))


def _install(kubectl: Kubectl, stage_file: Path, mode: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kwok-stages", "namespace": "kube-system"},
        "data": {"stages.yaml": f"{_KWOK_CONFIGURATION}---\n{stage_file.read_text()}"},
    }
    kubectl.apply(json.dumps(config))
    kubectl.apply(
        render_manifest("kwok", image=addons.addon_image("kwok", from_source=mode == SOURCE))
    )


def _uninstall(kubectl: Kubectl) -> None:
    text = render_manifest("kwok", image="none")
    words = ("delete", "--ignore-not-found", "--cascade=foreground", "--timeout=60s", "-f", "-")
    kubectl.run(*words, stdin=text, seconds=120)
    words = ("delete", "configmap", "kwok-stages", "-n", "kube-system", "--ignore-not-found")
    kubectl.run(*words)


def _remove_nodes(kubectl: Kubectl, names: list[str]) -> None:
    """Remove nodes, and at once the pods that would otherwise linger on them."""
    if not names:
        return
    kubectl.run("delete", "node", "--wait=false", *names)
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        list(pool.map(lambda name: _remove_pods(kubectl, name), names))
    kubectl.run("delete", "lease", "-n", "kube-node-lease", "--ignore-not-found", *names)


def _remove_pods(kubectl: Kubectl, node_name: str) -> None:
    """Remove a node's pods: one request per namespace, as pod by pod would take minutes.

    The API server cuts a request off after a minute; asking again goes on where it was.
    """
    selector = f"spec.nodeName={node_name}"
    for _ in range(_MAX_ATTEMPTS):
        found = kubectl.get("pods", "-A", f"--field-selector={selector}", seconds=60)
        pods = found["items"] if found else []
        if found and not pods:
            return
        for namespace in sorted({pod["metadata"]["namespace"] for pod in pods}):
            query = f"fieldSelector={selector}&gracePeriodSeconds=0"
            raw = f"/api/v1/namespaces/{namespace}/pods?{query}"
            run_unchecked([*kubectl.command, "delete", f"--raw={raw}"], seconds=90)
    raise ClusterError(f"the pods of {node_name} do not go: delete what makes them, then try again")


def _list_node_names(kubectl: Kubectl) -> list[str]:
    found = kubectl.get("nodes", "-l", _SELECTOR)
    if found is None:
        raise ClusterError("the cluster does not answer: 'make cluster' first")
    return [item["metadata"]["name"] for item in found["items"]]


def _count_ready_nodes(kubectl: Kubectl) -> int:
    found = kubectl.get("nodes", "-l", _SELECTOR)
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for item in (found or {}).get("items", [])
        for condition in item["status"].get("conditions", [])
    )
