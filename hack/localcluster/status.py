"""``make cluster-status``: the mode, the versions, the nodes and what runs."""

from collections.abc import Mapping

from hack.localcluster import addons, daemon, versions
from hack.localcluster.engine import SOURCE, list_node_addresses, list_nodes
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.paths import Paths
from hack.localcluster.plan import ClusterRecord
from hack.localcluster.subprocesses import run_unchecked

_MODES = {
    "source": "built from Go modules and Debian packages, on a Docker daemon of the project's own",
    "stock": "the stock kind node image, on the machine's Docker",
    "existing": "the kubeconfig's own cluster; nothing of it is managed here",
}


def describe_status(
    paths: Paths, record: ClusterRecord | None, docker: Mapping[str, str], kubectl: Kubectl
) -> list[str]:
    """Return the lines of the report; a part that does not answer has a line that says so."""
    if record is None:
        lines = ["cluster:     none of this clone's is complete ('make cluster' makes one)"]
        return [*lines, f"daemon:      {_describe_daemon(paths)}"]
    lines = [
        f"cluster:     {paths.cluster_name if record.mode in {'source', 'stock'} else 'existing'}"
    ]
    lines.append(f"mode:        {record.mode}: {_MODES.get(record.mode, 'unknown')}")
    if record.mode == SOURCE:
        lines.append(f"daemon:      {_describe_daemon(paths)}")
    is_ready = kubectl.is_ready()
    lines.append(f"API server:  {'ready' if is_ready else 'does not answer'}")
    if is_ready:
        lines += _describe_versions(kubectl, record.mode)
        lines += _describe_nodes(kubectl)
    if record.mode in {"source", "stock"}:
        lines += _describe_containers(paths, docker)
    lines.append(f"kubeconfig:  {paths.kubeconfig}")
    lines.append(f"cache:       {paths.cache}")
    return lines


def _describe_daemon(paths: Paths) -> str:
    pid = daemon.running_pid(paths)
    if pid is None:
        return "not running"
    state = "answers" if daemon.is_responding(paths) else "does not answer"
    return f"process {pid}, {state} on {daemon.docker_host(paths)}"


def _describe_versions(kubectl: Kubectl, mode: str) -> list[str]:
    server = kubectl.raw("/version") or {}
    lines = [f"Kubernetes:  {server.get('gitVersion', 'unknown')}"]
    if mode not in {"source", "stock"}:
        return lines
    made = (
        f"kind {versions.KIND}, metrics-server {versions.METRICS_SERVER},"
        f" CoreDNS {versions.COREDNS}, KWOK {versions.KWOK}"
    )
    found = (kubectl.get("deployments,daemonsets", "-A", "-l", addons.LABEL) or {}).get("items", [])
    installed = addons.summarize_addons(found) or [f"none; there are {', '.join(addons.ADDONS)}"]
    return [*lines, f"versions:    {made}", *(f"add-on:      {line}" for line in installed)]


def _describe_nodes(kubectl: Kubectl) -> list[str]:
    items = (kubectl.get("nodes") or {}).get("items", [])
    fake = [item for item in items if item["metadata"].get("labels", {}).get("type") == "kwok"]
    lines = []
    for item in items:
        if item in fake:
            continue
        conditions = {entry["type"]: entry["status"] for entry in item["status"]["conditions"]}
        state = "Ready" if conditions.get("Ready") == "True" else "NotReady"
        version = item["status"]["nodeInfo"]["kubeletVersion"]
        lines.append(f"node:        {item['metadata']['name']} {state} {version}")
    return [*lines, f"fake nodes:  {len(fake)}"]


def _describe_containers(paths: Paths, docker: Mapping[str, str]) -> list[str]:
    if run_unchecked(["docker", "version"], seconds=10, env=docker).returncode != 0:
        return ["containers:  Docker does not answer"]
    found = list_nodes(paths.cluster_name, docker)
    addresses = list_node_addresses([node.name for node in found], docker)
    return [
        f"container:   {node.name} {'running' if node.running else 'stopped'}"
        f" {addresses.get(node.name, '')}"
        for node in found
    ]
