"""The kind configuration, and with it every setting that makes this cluster differ from stock.

The timings are choices for a cluster one watches and tests against; ``docs/local-cluster.md`` says
what each is for.  A patch replaces kubeadm's lists whole, so kind's own entries are repeated.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hack.localcluster.versions import COREDNS, ETCD, SOURCE_REPOSITORY

SINGLE_INSTANCE: Final = {"leader-elect": "false"}
"""There is one of each.  One that misses its lease, as on a starved machine or while the API server
is away, would exit and then wait for up to five minutes in the kubelet's back-off."""

CONTROLLER_MANAGER: Final = {
    **SINGLE_INSTANCE,
    "enable-hostpath-provisioner": "true",
    "horizontal-pod-autoscaler-sync-period": "5s",
    "horizontal-pod-autoscaler-cpu-initialization-period": "15s",
    "horizontal-pod-autoscaler-initial-readiness-delay": "5s",
    "horizontal-pod-autoscaler-downscale-stabilization": "30s",
    "node-monitor-period": "2s",
    "node-monitor-grace-period": "20s",
    "kube-api-qps": "300",
    "kube-api-burst": "600",
}
SCHEDULER: Final = {**SINGLE_INSTANCE, "kube-api-qps": "300", "kube-api-burst": "600"}
ETCD_OPTIONS: Final = {"unsafe-no-fsync": "true", "quota-backend-bytes": str(8 << 30)}
"""What is lost if the machine (not the process) dies is a test cluster; a slow disk is common.

Tests with large objects fill etcd's default of 2 GiB within the 5 minutes between two compactions
of the API server, and then nothing can be written; 8 GiB is the most that etcd advises.
"""

API_SERVER: Final = {
    "runtime-config": "",
    "default-not-ready-toleration-seconds": "30",
    "default-unreachable-toleration-seconds": "30",
}
GO_RUNTIME: Final = {"GOGC": "300"}
"""Garbage collection took a quarter of the API server's CPU time under the tests; memory is what a
small machine has to spare.  The node image sets the same for containerd and the kubelet."""

KUBELET: Final[dict[str, Any]] = {
    "failCgroupV1": False,
    # Since 1.35 a container that is started again inherits "started": its liveness probe does not
    # wait for its startup probe (kubernetes/kubernetes#141155; mended after 1.36.3).
    "featureGates": {"ChangeContainerStatusOnKubeletRestart": True},
    "nodeStatusUpdateFrequency": "4s",
    "nodeLeaseDurationSeconds": 20,
    "kubeAPIQPS": 100,
    "kubeAPIBurst": 200,
}


@dataclass(frozen=True)
class DesiredCluster:
    """What the user asked for, apart from where it runs."""

    name: str
    image: str
    workers: int
    from_source: bool
    api_address: str
    api_port: int


def _name_and_value(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _component(arguments: dict[str, str]) -> dict[str, Any]:
    """The settings that kubeadm takes for a component of the control plane."""
    return {"extraArgs": _name_and_value(arguments), "extraEnvs": _name_and_value(GO_RUNTIME)}


def render(desired: DesiredCluster) -> dict[str, Any]:
    """Return kind's configuration as data; JSON is YAML to kind."""
    cluster: dict[str, Any] = {
        "kind": "ClusterConfiguration",
        "apiServer": _component(API_SERVER),
        "controllerManager": _component(CONTROLLER_MANAGER),
        "scheduler": _component(SCHEDULER),
    }
    etcd = _component(ETCD_OPTIONS)
    if desired.from_source:
        cluster |= {
            "imageRepository": SOURCE_REPOSITORY,
            "dns": {"imageTag": COREDNS},
        }
        etcd["imageTag"] = ETCD
    cluster["etcd"] = {"local": etcd}
    kubelet = {"kind": "KubeletConfiguration", **KUBELET}
    roles = ["control-plane", *["worker"] * desired.workers]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": desired.name,
        "networking": {
            "apiServerAddress": desired.api_address,
            "apiServerPort": desired.api_port,
            "disableDefaultCNI": desired.from_source,
        },
        "kubeadmConfigPatches": [json.dumps(cluster), json.dumps(kubelet)],
        "nodes": [{"role": role, "image": desired.image} for role in roles],
    }


def node_names(name: str, workers: int) -> list[str]:
    """Return the names kind gives the nodes' containers."""
    worker_names = [
        f"{name}-worker{number if number > 1 else ''}" for number in range(1, workers + 1)
    ]
    return [f"{name}-control-plane", *worker_names]


def cni_config(pod_cidr: str) -> str:
    """Return a node's CNI configuration: a veth pair per pod, addresses from the node's range."""
    ptp_plugin = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam-state",
            "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": pod_cidr}]],
        },
    }
    portmap_plugin = {"type": "portmap", "capabilities": {"portMappings": True}}
    config = {"cniVersion": "0.3.1", "name": "selfhealing", "plugins": [ptp_plugin, portmap_plugin]}
    return json.dumps(config, indent=1)


def peers_file(node: str, cidrs: Sequence[tuple[str, str]]) -> str:
    """Return what a node must know of the others: their pods' range and their name."""
    return "".join(f"{cidr} {name}\n" for name, cidr in cidrs if name != node)
