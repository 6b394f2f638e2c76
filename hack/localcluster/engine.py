"""What the rest needs, whatever the mode: a Docker daemon, tools and a node image.

The modes ``source`` and ``stock`` differ only in how they prepare these.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.localcluster.kind_config import DesiredCluster
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_checked, run_unchecked

SOURCE: Final = "source"
STOCK: Final = "stock"


@dataclass(frozen=True)
class Engine:
    """A Docker daemon with the node image in it, and the programs to drive it."""

    mode: str
    docker: Mapping[str, str]
    kind: str
    kubectl_program: str
    image: str
    api_address: str
    api_port: int

    def kubectl(self, paths: Paths) -> Kubectl:
        """Return kubectl for this clone's cluster."""
        return Kubectl(self.kubectl_program, str(paths.kubeconfig))

    def desired_cluster(self, paths: Paths, workers: int) -> DesiredCluster:
        """Return the cluster to have."""
        return DesiredCluster(
            name=paths.cluster_name,
            image=self.image,
            workers=workers,
            from_source=self.mode == SOURCE,
            api_address=self.api_address,
            api_port=self.api_port,
        )


@dataclass(frozen=True)
class NodeContainer:
    """A node as Docker sees it."""

    name: str
    ident: str
    running: bool


def list_nodes(name: str, docker: Mapping[str, str]) -> list[NodeContainer]:
    """List the containers that are nodes of a kind cluster."""
    wanted = ["--filter", f"label=io.x-k8s.kind.cluster={name}"]
    form = ["--no-trunc", "--format", "{{.Names}} {{.ID}} {{.State}}"]
    answer = run_checked(["docker", "ps", "-a", *wanted, *form], env=docker)
    found = [line.split() for line in answer.splitlines()]
    return [NodeContainer(name, ident, state == "running") for name, ident, state in found]


def list_node_addresses(names: list[str], docker: Mapping[str, str]) -> dict[str, str]:
    """Return the nodes' addresses on kind's network, for NodePorts."""
    answer = run_unchecked(["docker", "inspect", *names], env=docker)
    found = {}
    for container in json.loads(answer.stdout or "[]"):
        networks = container["NetworkSettings"]["Networks"].values()
        found[container["Name"].lstrip("/")] = next(
            (network["IPAddress"] for network in networks if network["IPAddress"]), ""
        )
    return found


def link_tools(paths: Paths, tools: Mapping[str, Path]) -> None:
    """Put the clone's tools where the documentation says they are."""
    paths.bin.mkdir(parents=True, exist_ok=True)
    for name, target in tools.items():
        link = paths.bin / name
        partial = link.with_name(f".{name}.new")
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(link)
