"""The scheduler, and the node controller that notices lost nodes."""

import zlib
from typing import Any, Final

from hack.worlds.cluster import Cluster
from hack.worlds.kubelet import Kubelet
from hack.worlds.model import Json, SimNode, SimPod, parse_cpu
from hack.worlds.raw import UNREACHABLE_TAINT
from hack.worlds.requests import Requests, requested_memory

LEASE_TIMEOUT: Final = 50.0
"""Seconds until the node controller notices that a kubelet is silent (Kubernetes 1.32)."""


class Scheduling:
    """Binds pods to nodes, and evicts them from lost ones."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, requests: Requests) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self._requests = requests
        cluster.controllers.append(self.bind_pods)

    def bind_pods(self) -> None:
        """Bind each pod that has no node, if one fits."""
        for pod in list(self._cluster.pods.values()):
            if not pod.node and pod.deleted_at is None and pod.phase == "Pending":
                self._bind(pod)

    def _bind(self, pod: SimPod) -> None:
        reasons: dict[str, int] = {}
        fitting: list[SimNode] = []
        for node in self._cluster.nodes.values():
            why = self._misfit(pod, node)
            if why:
                reasons[why] = reasons.get(why, 0) + 1
            else:
                fitting.append(node)
        if not fitting:
            total = len(self._cluster.nodes)
            detail = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
            message = (
                f"0/{total} nodes are available: {detail}. preemption: 0/{total} nodes are "
                "available: No preemption victims found for incoming pod."
            )
            if pod.unschedulable != message:
                pod.unschedulable = message
                self._cluster.touch_pod(pod)
            return
        counts = self._count_pods()
        node = min(fitting, key=lambda n: (counts.get(n.name, 0), n.name))
        pod.node, pod.bound_at, pod.unschedulable = node.name, self._cluster.now, ""
        pod.ready_at = self._cluster.now
        self._cluster.touch_pod(pod)
        # The pods of an app do not start at the very same moment.
        jitter = zlib.crc32(pod.name.encode()) % 10 / 10
        self._cluster.timeline.after(0.5 + jitter, lambda: self._start(pod))

    def _start(self, pod: SimPod) -> None:
        if pod.uid in self._cluster.pods and pod.deleted_at is None:
            self._kubelet.start_pod(pod)

    def _count_pods(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for pod in self._cluster.pods.values():
            if pod.node and pod.is_active:
                counts[pod.node] = counts.get(pod.node, 0) + 1
        return counts

    def _misfit(self, pod: SimPod, node: SimNode) -> str:  # noqa: PLR0911 - one return for each reason
        """Return why a pod does not fit a node; empty if it does."""
        if node.marked_lost:
            return f"node(s) had untolerated taint {{{UNREACHABLE_TAINT}: }}"
        if node.is_cordoned:
            return "node(s) were unschedulable"
        if node.has_disk_pressure:
            return "node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }"
        for taint in node.taints:
            if not _tolerates(pod.spec.get("tolerations") or (), taint):
                return f"node(s) had untolerated taint {{{taint['key']}: }}"
        labels = {"kubernetes.io/hostname": node.name, **node.labels}
        selector = pod.spec.get("nodeSelector") or {}
        if any(labels.get(key) != value for key, value in selector.items()) or not _matches(
            pod.spec.get("affinity") or {}, node.name, labels
        ):
            return "node(s) didn't match Pod's node affinity/selector"
        memory, cpu = self._used(node)
        if memory + requested_memory(pod.spec) > node.memory:
            return "Insufficient memory"
        if cpu + _requested_cpu(pod.spec) > node.cpu:
            return "Insufficient cpu"
        return ""

    def _used(self, node: SimNode) -> tuple[int, int]:
        memory = cpu = 0
        for pod in self._cluster.pods.values():
            if pod.node == node.name and pod.phase not in {"Failed", "Succeeded"}:
                memory += requested_memory(pod.spec)
                cpu += _requested_cpu(pod.spec)
        return memory, cpu

    # Nodes that are lost.

    def lose(self, node: SimNode, *, is_power_off: bool) -> None:
        """Silence the kubelet of a node; with its power its containers go, too."""
        node.is_alive, node.is_powered = False, not is_power_off
        node.silent_since = self._cluster.now
        self._cluster.sample()
        since = self._cluster.now
        self._cluster.timeline.after(LEASE_TIMEOUT, lambda: self._mark_lost(node, since))

    def _mark_lost(self, node: SimNode, since: float) -> None:
        if node.is_alive or node.silent_since != since:
            return
        node.marked_lost = True
        self._cluster.touch_node(node)
        for pod in [p for p in self._cluster.pods.values() if p.node == node.name]:
            if pod.ready:
                pod.is_cut_off, pod.ready = True, False
                pod.ready_at = self._cluster.now
                self._cluster.touch_pod(pod)
        self._cluster.timeline.after(300.0, lambda: self._evict_from(node, since))

    def _evict_from(self, node: SimNode, since: float) -> None:
        if node.is_alive or node.silent_since != since:
            return
        for pod in [p for p in self._cluster.pods.values() if p.node == node.name]:
            self._requests.delete_pod(pod, "node controller")

    def recover(self, node: SimNode) -> None:
        """Let a node answer again; after a loss of power its containers start anew."""
        has_rebooted = not node.is_powered
        was_lost = node.marked_lost
        node.is_alive, node.is_powered, node.marked_lost = True, True, False
        node.silent_since = None
        if was_lost:
            self._cluster.touch_node(node)
        self._kubelet.restart_node(node, has_rebooted=has_rebooted)
        self._cluster.wake_controllers()


def _requested_cpu(spec: Json) -> int:
    total = 0
    for container in spec["containers"]:
        resources = container.get("resources") or {}
        requests = resources.get("requests") or resources.get("limits") or {}
        total += parse_cpu(requests.get("cpu"))
    return total


def _tolerates(tolerations: Any, taint: Json) -> bool:  # noqa: ANN401 - a JSON list
    return any(
        toleration.get("key") in {taint["key"], None}
        and toleration.get("effect") in {taint.get("effect"), None}
        and (
            toleration.get("operator") == "Exists"
            or toleration.get("value", "") == taint.get("value", "")
        )
        for toleration in tolerations
    )


def _matches(affinity: Json, name: str, labels: Json) -> bool:
    """Whether a node matches the required node affinity: its terms are alternatives."""
    required = (affinity.get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not required:
        return True
    return any(
        all(_holds(e, {"metadata.name": name}) for e in term.get("matchFields") or ())
        and all(_holds(e, labels) for e in term.get("matchExpressions") or ())
        for term in required["nodeSelectorTerms"]
    )


def _holds(expression: Json, values: Json) -> bool:
    value = values.get(expression["key"])
    operator = expression["operator"]
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    is_in = value in expression.get("values", ())
    return is_in if operator == "In" else not is_in
