"""What runs in the cluster besides Kubernetes itself, and the place for more.

An add-on is one entry in ``ADDONS``: how to install it.  Built from source, its programs come from
a module of its own in ``cluster/go`` and its images are loaded like any other; with the stock node
image they are pulled.  ``make cluster ADDONS=a,b`` installs by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from hack.localcluster import addon_images, metrics_stack, vpa
from hack.localcluster.addon_images import Site
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl, manifest, rolled_out, wait
from hack.localcluster.versions import KWOK, METRICS_SERVER, source_image

_STOCK_IMAGES: Final[Mapping[str, str]] = {
    "metrics-server": "registry.k8s.io/metrics-server/metrics-server",
    "kwok": "registry.k8s.io/kwok/kwok",
}
_TAGS: Final[Mapping[str, str]] = {"metrics-server": METRICS_SERVER, "kwok": KWOK}


def image(name: str, *, from_source: bool) -> str:
    """Name an add-on's image for the way the cluster was made."""
    if from_source:
        return source_image(name, _TAGS[name])
    return f"{_STOCK_IMAGES[name]}:{_TAGS[name]}"


Install: TypeAlias = Callable[[Site], None]
"""Has an add-on running, whatever of it is there already."""

ADDONS: Final[Mapping[str, Install]] = {
    metrics_stack.NAME: metrics_stack.install,
    vpa.NAME: vpa.install,
}
"""Add-ons by the name a user gives; the ones every cluster has are not here."""

LABEL: Final = "selfhealing.dev/cluster-addon"
"""On each add-on's namespace and Deployments: by it ``make cluster-status`` finds them."""


def parse(wanted: str) -> list[str]:
    """Read ``ADDONS=a,b``, refusing a name nobody knows; each is named once, in order."""
    names = list(dict.fromkeys(wanted.replace(",", " ").split()))
    unknown = [name for name in names if name not in ADDONS]
    if unknown:
        known = ", ".join(sorted(ADDONS))
        raise ClusterError(f"unknown add-on {unknown[0]!r} in ADDONS; there are: {known}")
    return names


def install(site: Site, names: Sequence[str]) -> None:
    """Install add-ons one after the other."""
    for name in names:
        ADDONS[name](site)


def refuse_existing(names: Sequence[str]) -> None:
    """Refuse to put add-ons into a cluster that is not this tool's own."""
    if names:
        raise ClusterError(
            f"CLUSTER=existing changes nothing in that cluster, so ADDONS={','.join(names)} is not"
            " installed: leave ADDONS out, and install it there as docs/local-cluster.md says"
        )


def summary(deployments: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tell of each installed add-on: its parts with their versions, and whether they run."""
    parts: dict[str, list[str]] = {}
    for found in deployments:
        metadata, container = found["metadata"], found["spec"]["template"]["spec"]["containers"][0]
        state = "" if rolled_out(found) else " (not available)"
        part = f"{metadata['name']} {addon_images.shown_version(container['image'])}{state}"
        parts.setdefault(metadata["labels"][LABEL], []).append(part)
    return [f"{name}: {', '.join(sorted(parts[name]))}" for name in sorted(parts)]


def install_base(kubectl: Kubectl, *, from_source: bool) -> None:
    """Install what every cluster has: metrics-server (CoreDNS comes with kubeadm)."""
    name = image("metrics-server", from_source=from_source)
    kubectl.apply(manifest("metrics-server", image=name))


def wait_base(kubectl: Kubectl, nodes: int, seconds: float) -> None:
    """Wait until DNS and metrics really answer, metrics for every node."""

    def available(name: str) -> bool:
        found = kubectl.get("deployment", name, "-n", "kube-system")
        return bool(found and found.get("status", {}).get("availableReplicas"))

    def measured() -> bool:
        found = kubectl.raw("/apis/metrics.k8s.io/v1beta1/nodes")
        return bool(found and len(found.get("items", [])) >= nodes)

    advice = "see 'kubectl -n kube-system get pods'; 'make cluster' again repairs or replaces"
    wait("CoreDNS being available", seconds, lambda: available("coredns"), advice)
    wait("metrics-server being available", seconds, lambda: available("metrics-server"), advice)
    wait("node metrics being served", seconds, measured, advice)
