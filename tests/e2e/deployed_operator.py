"""The operator as ``deploy/`` installs it, but in a namespace of its own and serving only one.

So it can run beside the operators of other tests. Everything else of the manifests is taken as it
is: image, security settings, probes, rights.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from hack.testkit import node_control
from hack.testkit.kube_client import LABEL, ROOT, Json, Kube, kubectl
from hack.testkit.wait import eventually

MANIFESTS = ROOT / "deploy" / "operator.yaml"
HOME = "selfhealing-system"
NAME = "selfhealing-operator"
START_LIMIT = 90
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")


@dataclass(frozen=True)
class DeployedOperator:
    """An operator's Deployment in ``namespace``."""

    kube: Kube
    namespace: str

    def pods(self) -> list[Json]:
        """Its pods that stay."""
        labels = f"app.kubernetes.io/name={NAME}"
        found = self.kube.list("Pod", self.namespace, labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, name: str) -> Json:
        """One of its pods."""
        return self.kube.get("Pod", self.namespace, name)

    def ready(self) -> bool:
        """Whether every replica is ready."""
        live = self.kube.get("Deployment", self.namespace, NAME)
        wanted: int = live["spec"]["replicas"]
        ready: int = live["status"].get("readyReplicas", 0)
        return live["status"].get("observedGeneration") == live["metadata"]["generation"] and (
            ready == wanted
        )

    def starts(self) -> None:
        """Wait until every replica is ready; say what they logged when they do not become so."""
        try:
            eventually(self.ready, timeout=START_LIMIT, says=f"{self.namespace} is ready")
        except AssertionError as error:
            pods = kubectl("-n", self.namespace, "get", "pods", "-o", "wide", check=False)
            raise AssertionError(f"{error}\n{pods}\n{self.text()[-4000:]}") from error

    def leader(self) -> str:
        """The pod that holds the Lease; empty when none of the live ones does."""
        lease = self.kube.find("Lease", self.namespace, NAME)
        holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        name: str = holder.partition("_")[0]
        return name if name in {pod["metadata"]["name"] for pod in self.pods()} else ""

    def holder(self) -> str:
        """Who holds the Lease: another string after each start of a container."""
        lease = self.kube.find("Lease", self.namespace, NAME)
        identity: str = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        return identity

    def send(self, pod: str, signal: str) -> float:
        """Send the operator's process in a pod a signal; the seconds until it has ended."""
        return node_control.send(self.pod(pod), signal)

    def text(self) -> str:
        """What all its containers have logged, also before their last restart."""
        names = [pod["metadata"]["name"] for pod in self.pods()]
        return "\n".join(
            kubectl("-n", self.namespace, "logs", name, *which, check=False)
            for name in names
            for which in ([], ["--previous"])
        )


def manifests() -> list[Json]:
    """The objects of ``deploy/operator.yaml``."""
    return [found for found in yaml.safe_load_all(MANIFESTS.read_text()) if found]


def moved(objects: list[Json], namespace: str, served: str) -> list[Json]:
    """The same objects in another namespace, for an operator that serves only ``served``."""
    result = []
    for found in objects:
        body = json.loads(json.dumps(found).replace(f'"{HOME}"', f'"{namespace}"'))
        kind, meta = body["kind"], body["metadata"]
        if kind == "ClusterRole" and meta["name"] != NAME:
            continue  # what people may do; there is one set for the whole cluster
        if kind in CLUSTER_WIDE:
            meta["name"] = f"{NAME}-{namespace}"
        if kind == "ClusterRoleBinding":
            body["roleRef"]["name"] = f"{NAME}-{namespace}"
        if kind == "Namespace":
            meta["labels"][LABEL] = "true"
        if kind == "Deployment":
            container: dict[str, Any] = body["spec"]["template"]["spec"]["containers"][0]
            container["env"].append({"name": "SELFHEALING_NAMESPACES", "value": served})
        result.append(body)
    return result


@contextmanager
def install(kube: Kube, served: str) -> Iterator[DeployedOperator]:
    """The operator in the cluster, serving one namespace, while the block runs."""
    namespace = f"{served}-operator"
    with applied(kube, moved(manifests(), namespace, served), namespace) as deployed:
        yield deployed


@contextmanager
def applied(kube: Kube, objects: list[Json], namespace: str) -> Iterator[DeployedOperator]:
    """Have ``objects`` applied, and their Deployment's pods ready, while the block runs."""
    manifest = yaml.safe_dump_all(objects)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    deployed = DeployedOperator(kube, namespace)
    try:
        deployed.starts()
        yield deployed
    finally:
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=manifest)


def wait_for_leader(deployed: DeployedOperator, other_than: str, limit: float) -> float:
    """Wait until another process than ``other_than`` leads; the seconds that it took."""
    began = time.monotonic()
    eventually(
        lambda: deployed.holder() not in ("", other_than),
        timeout=limit,
        says=f"another process than {other_than} leads",
    )
    return time.monotonic() - began
