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
from hack.testkit.kube_client import ROOT, TEST_LABEL, Json, KubeClient, run_kubectl
from hack.testkit.wait import eventually
from hack.testkit.yaml_text import parse_yaml_documents

MANIFESTS = ROOT / "deploy" / "operator.yaml"
SYSTEM_NAMESPACE = "selfhealing-system"
OPERATOR_NAME = "selfhealing-operator"
START_TIMEOUT = 90
CLUSTER_SCOPED_KINDS = ("ClusterRole", "ClusterRoleBinding")
POLICY = "ValidatingAdmissionPolicy"
POLICIES_ON_APPS = (
    "requesters",
    "pod-security-baseline",
    "pod-security-restricted",
    "spec-warnings",
)


@dataclass(frozen=True)
class DeployedOperator:
    """An operator's Deployment in ``namespace``."""

    kube: KubeClient
    namespace: str

    def list_pods(self) -> list[Json]:
        """Its pods that stay."""
        labels = f"app.kubernetes.io/name={OPERATOR_NAME}"
        found = self.kube.list("Pod", self.namespace, labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def get_pod(self, name: str) -> Json:
        """One of its pods."""
        return self.kube.get("Pod", self.namespace, name)

    def is_ready(self) -> bool:
        """Whether every replica is ready."""
        live = self.kube.get("Deployment", self.namespace, OPERATOR_NAME)
        wanted: int = live["spec"]["replicas"]
        ready: int = live["status"].get("readyReplicas", 0)
        return live["status"].get("observedGeneration") == live["metadata"]["generation"] and (
            ready == wanted
        )

    def wait_until_ready(self) -> None:
        """Wait until every replica is ready; say what they logged when they do not become so."""
        try:
            eventually(
                self.is_ready, timeout=START_TIMEOUT, description=f"{self.namespace} is ready"
            )
        except AssertionError as error:
            pods = run_kubectl("-n", self.namespace, "get", "pods", "-o", "wide", check=False)
            raise AssertionError(f"{error}\n{pods}\n{self.read_log()[-4000:]}") from error

    def find_leader_pod(self) -> str:
        """The pod that holds the Lease; empty when none of the live ones does."""
        lease = self.kube.find("Lease", self.namespace, OPERATOR_NAME)
        holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        name: str = holder.partition("_")[0]
        return name if name in {pod["metadata"]["name"] for pod in self.list_pods()} else ""

    def get_lease_holder(self) -> str:
        """Who holds the Lease: another string after each start of a container."""
        lease = self.kube.find("Lease", self.namespace, OPERATOR_NAME)
        identity: str = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        return identity

    def send_signal(self, pod: str, signal: str) -> float:
        """Send the operator's process in a pod a signal; the seconds until it has ended."""
        return node_control.signal_operator(self.get_pod(pod), signal)

    def read_log(self) -> str:
        """What all its containers have logged, also before their last restart."""
        names = [pod["metadata"]["name"] for pod in self.list_pods()]
        return "\n".join(
            run_kubectl("-n", self.namespace, "logs", name, *which, check=False)
            for name in names
            for which in ([], ["--previous"])
        )


def load_manifests() -> list[Json]:
    """The objects of ``deploy/operator.yaml``."""
    return [found for found in parse_yaml_documents(MANIFESTS.read_text()) if found]


def move_to_namespace(objects: list[Json], namespace: str, served_namespace: str) -> list[Json]:
    """The same objects in another namespace, for an operator that serves only ``served``."""
    result = []
    for found in objects:
        text = json.dumps(found).replace(f'"{SYSTEM_NAMESPACE}"', f'"{namespace}"')
        text = text.replace(f":{SYSTEM_NAMESPACE}:", f":{namespace}:")  # the user in the policies
        body = json.loads(text)
        kind, meta = body["kind"], body["metadata"]
        if kind == "ClusterRole" and meta["name"] != OPERATOR_NAME:
            continue  # what people may do; there is one set for the whole cluster
        if kind in CLUSTER_SCOPED_KINDS:
            meta["name"] = f"{OPERATOR_NAME}-{namespace}"
        if kind == "ClusterRoleBinding":
            body["roleRef"]["name"] = f"{OPERATOR_NAME}-{namespace}"
        if kind in {POLICY, f"{POLICY}Binding"}:
            _limit_policy(body, namespace, served_namespace)
        if kind == "Namespace":
            meta["labels"][TEST_LABEL] = "true"
        if kind == "Deployment":
            container: dict[str, Any] = body["spec"]["template"]["spec"]["containers"][0]
            container["env"].append({"name": "SELFHEALING_NAMESPACES", "value": served_namespace})
        result.append(body)
    return result


def _limit_policy(body: Json, namespace: str, served_namespace: str) -> None:
    """Give a policy or its binding a name of its own, and keep it off the apps of other tests."""
    name = body["metadata"]["name"]
    body["metadata"]["name"] = f"{name}-{namespace}"
    if body["kind"] == POLICY:
        return
    body["spec"]["policyName"] = f"{name}-{namespace}"
    if name.removeprefix(f"{OPERATOR_NAME}-") in POLICIES_ON_APPS:
        resources = body["spec"].setdefault("matchResources", {})
        selector = resources.setdefault("namespaceSelector", {})
        selector["matchLabels"] = {"kubernetes.io/metadata.name": served_namespace}


@contextmanager
def install_operator(kube: KubeClient, served_namespace: str) -> Iterator[DeployedOperator]:
    """The operator in the cluster, serving one namespace, while the block runs."""
    namespace = f"{served_namespace}-operator"
    with apply_manifests(
        kube, move_to_namespace(load_manifests(), namespace, served_namespace), namespace
    ) as deployed:
        yield deployed


@contextmanager
def apply_manifests(
    kube: KubeClient, objects: list[Json], namespace: str
) -> Iterator[DeployedOperator]:
    """Have ``objects`` applied, and their Deployment's pods ready, while the block runs."""
    manifest = yaml.safe_dump_all(objects)
    run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    deployed = DeployedOperator(kube, namespace)
    try:
        deployed.wait_until_ready()
        yield deployed
    finally:
        run_kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=manifest)


def wait_for_leader(deployed: DeployedOperator, other_than: str, timeout: float) -> float:
    """Wait until another process than ``other_than`` leads; the seconds that it took."""
    began = time.monotonic()
    eventually(
        lambda: deployed.get_lease_holder() not in ("", other_than),
        timeout=timeout,
        description=f"another process than {other_than} leads",
    )
    return time.monotonic() - began
