"""The pod network of nodes built from source: what kindnetd does in the stock image.

A CNI configuration per node, and a list of the other nodes which the node's own service turns into
routes (``node/files/kind/bin/selfhealing-net.sh``). That service also keeps the addresses of
Services inside the cluster.
"""

import json
from collections.abc import Mapping, Sequence

from hack.localcluster.errors import ClusterError
from hack.localcluster.kind_config import cni_config, peers_file
from hack.localcluster.subprocesses import run_checked, run_unchecked
from hack.localcluster.wait import NotYetError, poll


def parse_pod_cidrs(nodes_json: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Read each wanted node's pod range from ``kubectl get nodes -o json``."""
    found = {
        item["metadata"]["name"]: item["spec"]["podCIDR"]
        for item in json.loads(nodes_json)["items"]
        if item["spec"].get("podCIDR")
    }
    return [(name, found[name]) for name in names if name in found]


def set_up_pod_network(
    nodes: Sequence[str], kubectl: Sequence[str], docker: Mapping[str, str]
) -> None:
    """Give every node its network; safe to repeat."""

    def read_cidrs() -> list[tuple[str, str]]:
        answer = run_unchecked([*kubectl, "get", "nodes", "-o", "json"], seconds=15)
        cidrs = parse_pod_cidrs(answer.stdout, nodes) if answer.returncode == 0 else []
        return cidrs if len(cidrs) == len(nodes) else []

    try:
        cidrs = poll(read_cidrs, timeout=60, interval=0.5)
    except NotYetError:
        raise ClusterError(
            "the nodes got no pod network range within 60 s: 'make cluster-down', then try again"
        ) from None
    for name, cidr in cidrs:
        _write_node_file(name, "/etc/selfhealing/peers", peers_file(name, cidrs) or "\n", docker)
        _write_node_file(name, "/etc/cni/net.d/10-selfhealing.conflist", cni_config(cidr), docker)


def _write_node_file(node: str, path: str, content: str, docker: Mapping[str, str]) -> None:
    """Write a file in a node, whole or not at all."""
    script = f"mkdir -p $(dirname {path}) && cat >{path}.new && mv {path}.new {path}"
    run_checked(["docker", "exec", "-i", node, "sh", "-c", script], stdin=content, env=docker)
