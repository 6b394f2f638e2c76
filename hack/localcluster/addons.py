"""What runs in the cluster besides Kubernetes itself, and the place for more.

An add-on is one entry in ``ADDONS``: how to install it.  Built from source, its programs come from
a module of its own in ``cluster/go`` and its images are loaded like any other; with the stock node
image they are pulled.  ``make cluster ADDONS=a,b`` installs by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from hack.localcluster import addon_images, contour, kube_router, metrics_stack, vpa
from hack.localcluster.addon_images import AddonTarget
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl, is_rolled_out, render_manifest
from hack.localcluster.versions import KWOK, METRICS_SERVER, source_image
from hack.localcluster.wait import wait_until

_STOCK_IMAGES: Final[Mapping[str, str]] = {
    "metrics-server": "registry.k8s.io/metrics-server/metrics-server",
    "kwok": "registry.k8s.io/kwok/kwok",
}
_TAGS: Final[Mapping[str, str]] = {"metrics-server": METRICS_SERVER, "kwok": KWOK}


def addon_image(name: str, *, from_source: bool) -> str:
    """Name an add-on's image for the way the cluster was made."""
    if from_source:
        return source_image(name, _TAGS[name])
    return f"{_STOCK_IMAGES[name]}:{_TAGS[name]}"


Installer: TypeAlias = Callable[[AddonTarget], None]
"""Has an add-on running, whatever of it is there already."""

ADDONS: Final[Mapping[str, Installer]] = {
    contour.NAME: contour.install_contour,
    kube_router.NAME: kube_router.install_kube_router,
    metrics_stack.NAME: metrics_stack.install_metrics_stack,
    vpa.NAME: vpa.install_vpa,
}
"""Add-ons by the name a user gives; the ones every cluster has are not here."""

LABEL: Final = "selfhealing.dev/cluster-addon"
"""On each add-on's namespace and Deployments: by it ``make cluster-status`` finds them."""


def parse_addons(wanted: str) -> list[str]:
    """Read ``ADDONS=a,b``, refusing a name nobody knows; each is named once, in order."""
    names = list(dict.fromkeys(wanted.replace(",", " ").split()))
    unknown = [name for name in names if name not in ADDONS]
    if unknown:
        known = ", ".join(sorted(ADDONS))
        raise ClusterError(f"unknown add-on {unknown[0]!r} in ADDONS; there are: {known}")
    return names


def install_addons(target: AddonTarget, names: Sequence[str]) -> None:
    """Install add-ons one after the other."""
    for name in names:
        ADDONS[name](target)


def reject_existing_cluster(names: Sequence[str]) -> None:
    """Refuse to put add-ons into a cluster that is not this tool's own."""
    if names:
        raise ClusterError(
            f"CLUSTER=existing changes nothing in that cluster, so ADDONS={','.join(names)} is not"
            " installed: leave ADDONS out, and install it there as docs/local-cluster.md says"
        )


def summarize_addons(workloads: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tell of each installed add-on: its parts with their versions, and whether they run."""
    parts: dict[str, list[str]] = {}
    for found in workloads:
        metadata, container = found["metadata"], found["spec"]["template"]["spec"]["containers"][0]
        state = "" if is_rolled_out(found) else " (not available)"
        part = f"{metadata['name']} {addon_images.image_version(container['image'])}{state}"
        parts.setdefault(metadata["labels"][LABEL], []).append(part)
    return [f"{name}: {', '.join(sorted(parts[name]))}" for name in sorted(parts)]


def install_base_addons(kubectl: Kubectl, *, from_source: bool) -> None:
    """Install what every cluster has: metrics-server (CoreDNS comes with kubeadm)."""
    name = addon_image("metrics-server", from_source=from_source)
    kubectl.apply(render_manifest("metrics-server", image=name))


def wait_for_base_addons(kubectl: Kubectl, nodes: int, seconds: float) -> None:
    """Wait until DNS and metrics really answer, metrics for every node."""

    def is_available(name: str) -> bool:
        found = kubectl.get("deployment", name, "-n", "kube-system")
        return bool(found and found.get("status", {}).get("availableReplicas"))

    def has_node_metrics() -> bool:
        found = kubectl.raw("/apis/metrics.k8s.io/v1beta1/nodes")
        return bool(found and len(found.get("items", [])) >= nodes)

    advice = "see 'kubectl -n kube-system get pods'; 'make cluster' again repairs or replaces"
    wait_until("CoreDNS being available", seconds, lambda: is_available("coredns"), advice)
    wait_until(
        "metrics-server being available", seconds, lambda: is_available("metrics-server"), advice
    )
    wait_until("node metrics being served", seconds, has_node_metrics, advice)
