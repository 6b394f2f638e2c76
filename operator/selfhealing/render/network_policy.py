"""Renders the NetworkPolicy: who may call the pods of an app, and whom they may call."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from selfhealing.api.access_spec import AllowedPeerSpec, NetworkPeerSpec, NetworkPolicySpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import (
    Owner,
    build_metadata,
    isolated_pod_selector,
    pod_marker,
    selector,
)

DNS_PORTS: Final = (53, 5353)
"""DNS, and the port at which OpenShift's DNS pods listen: the network plugin compares the port
after the address of the Service was replaced by that of a pod (openshift-dns, dns-default)."""

SAME_NAMESPACE: Final = NetworkPeerSpec(pod_labels={})

Json = dict[str, Any]


class PodLabels(Protocol):
    """A pod, of which only this label matters."""

    @property
    def is_marked(self) -> bool:
        """Whether it has LABEL_NAME."""


def has_other_labels(pods: Iterable[PodLabels], spec: SelfHealingAppSpec) -> bool:
    """Whether a pod has other labels than the NetworkPolicy of the spec selects by.

    It is from before the spec gave the pods the label ``app``, or did not give it any more.
    """
    is_marked = bool(pod_marker("", _pod_labels(spec)))
    return any(pod.is_marked != is_marked for pod in pods)


def build_network_policy(
    owner: Owner, spec: SelfHealingAppSpec, *, selects_by_app: bool = False
) -> Json | None:
    """Return the networking.k8s.io/v1 NetworkPolicy of an app; None without one.

    Probes need no rule: traffic from the node of a pod is always allowed (Kubernetes documentation,
    Network Policies). DNS is allowed to any address, because a cache may run on the node.

    The pods are selected by labels that a pod keeps when it is isolated. While pods have other ones
    (``selects_by_app``) they are selected by the label that all have but the isolated ones.

    An empty list of ports or peers means all of them. It is written, so that a list that somebody
    adds is drift.
    """
    policy = spec.network_policy
    if policy is None:
        return None
    restricts_egress = policy.allow_to is not None
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": build_metadata(owner),
        "spec": {
            "podSelector": _label_selector(selector(owner.name))
            if selects_by_app
            else isolated_pod_selector(owner.name, _pod_labels(spec)),
            "policyTypes": ["Ingress", *(["Egress"] if restricts_egress else [])],
            "ingress": _ingress(policy),
            **({"egress": _egress(policy.allow_to or ())} if restricts_egress else {}),
        },
    }


def _pod_labels(spec: SelfHealingAppSpec) -> Mapping[str, str]:
    return spec.pod_metadata.labels if spec.pod_metadata is not None else {}


def _ingress(policy: NetworkPolicySpec) -> list[Json]:
    callers = [SAME_NAMESPACE] if policy.allow_from is None else policy.allow_from
    peers = (*callers, policy.ingress_controller, policy.monitoring)
    return [{"from": [_peer(peer)], "ports": _ports(peer)} for peer in peers if peer is not None]


def _egress(peers: Sequence[AllowedPeerSpec]) -> list[Json]:
    dns = [
        {"protocol": protocol, "port": port} for port in DNS_PORTS for protocol in ("UDP", "TCP")
    ]
    return [
        {"to": [], "ports": dns},
        *({"to": [_peer(peer)], "ports": _ports(peer)} for peer in peers),
    ]


def _ports(peer: NetworkPeerSpec) -> list[Json]:
    return list(peer.ports) if isinstance(peer, AllowedPeerSpec) else []


def _peer(peer: NetworkPeerSpec) -> Json:
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr, "except": list(peer.except_)}}
    pod_labels = selector(peer.app) if peer.app is not None else peer.pod_labels
    namespace_labels = (
        {"kubernetes.io/metadata.name": peer.namespace}
        if peer.namespace is not None
        else peer.namespace_labels
    )
    return {
        # Some plugins count pods with the node's network only where podSelector is given.
        "podSelector": _label_selector(pod_labels or {}),
        **(
            {}
            if namespace_labels is None
            else {"namespaceSelector": _label_selector(namespace_labels)}
        ),
    }


def _label_selector(match_labels: dict[str, str]) -> Json:
    """Return a selector; an empty one selects all."""
    return {"matchLabels": dict(match_labels)} if match_labels else {}
