"""One namespace as a test sees it: apps, their children, their pods and what is told about them."""

from dataclasses import dataclass
from typing import Any

from hack.testkit.kube_client import Json, KubeClient, find_condition
from hack.testkit.wait import eventually

API_VERSION = "selfhealing.dev/v1alpha1"
KIND = "SelfHealingApp"

FAKE_NODES: Json = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
}
"""The part of a spec that puts pods on KWOK's nodes, where they are Ready at once."""

UNSCHEDULABLE: Json = {"nodeSelector": {"selfhealing.dev/test": "no-such-node"}}
"""The part of a spec whose pods stay Pending."""


@dataclass(frozen=True)
class AppNamespace:
    """A namespace."""

    kube: KubeClient
    name: str

    def build_manifest(self, name: str, **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
        """A SelfHealingApp."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name, "namespace": self.name},
            "spec": {"image": "demo:v1", **spec},
        }

    def create_app(self, name: str, **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
        """Create an app."""
        return self.kube.create(self.build_manifest(name, **spec))

    def create_quota(self, name: str, **hard: str) -> None:
        """Give the namespace a quota, such as ``pods="1"`` or ``count__services="0"``.

        The API server enforces it only after a controller has filled in its status.
        """
        limits = {key.replace("__", "/"): hard[key] for key in hard}
        self.kube.create(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": name, "namespace": self.name},
                "spec": {"hard": limits},
            }
        )
        eventually(
            lambda: self.kube.get("ResourceQuota", self.name, name)["status"].get("hard") == limits,
            description=f"the quota {name} is in force",
        )

    def patch_spec(self, name: str, **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
        """Merge fields into an app's spec; None removes one."""
        return self.kube.merge_patch(KIND, self.name, name, {"spec": spec})

    def get_app(self, name: str) -> Json:
        """An app."""
        return self.kube.get(KIND, self.name, name)

    def get_status(self, name: str) -> Json:
        """An app's status."""
        found: Json = self.get_app(name).get("status", {})
        return found

    def get_condition(self, name: str, kind: str) -> Json:
        """A condition of an app, empty when it has none such."""
        return find_condition(self.get_app(name), kind)

    def wait_until_reconciled(self, name: str, timeout: float = 20) -> Json:
        """Wait until an app's children are as its current spec says."""

        def probe() -> Json | None:
            app = self.get_app(name)
            found = find_condition(app, "Reconciled")
            assert found.get("status") == "True", found
            assert found["observedGeneration"] == app["metadata"]["generation"], found
            return app

        return eventually(probe, timeout=timeout, description=f"{name} is reconciled") or {}

    def wait_for_phase(self, name: str, phase: str, timeout: float = 20) -> Json:
        """Wait until an app's status shows ``phase`` for its current spec."""

        def probe() -> Json | None:
            app = self.get_app(name)
            status = app.get("status", {})
            assert status.get("phase") == phase, (status.get("phase"), status.get("message"))
            assert status["observedGeneration"] == app["metadata"]["generation"]
            return app

        return eventually(probe, timeout=timeout, description=f"{name} is {phase}") or {}

    def find_child(self, kind: str, name: str) -> Json | None:
        """A child; None when it is not there."""
        return self.kube.find(kind, self.name, name)

    def get_child(self, kind: str, name: str) -> Json:
        """A child."""
        return self.kube.get(kind, self.name, name)

    def get_deployment(self, name: str) -> Json:
        """An app's Deployment."""
        return self.get_child("Deployment", name)

    def get_container(self, name: str) -> Json:
        """The main container in an app's Deployment."""
        found: list[Json] = self.get_deployment(name)["spec"]["template"]["spec"]["containers"]
        return next(container for container in found if container["name"] == "app")

    def get_service(self, name: str) -> Json:
        """An app's Service."""
        return self.get_child("Service", name)

    def get_autoscaler(self, name: str) -> Json:
        """An app's HorizontalPodAutoscaler."""
        return self.get_child("HorizontalPodAutoscaler", name)

    def list_pods(self, name: str) -> list[Json]:
        """An app's pods by name."""
        found = self.kube.list("Pod", self.name, f"selfhealing.dev/app={name}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def list_events(self, name: str, reason: str = "") -> list[Json]:
        """The Events about an app, the oldest first."""
        found = [
            event
            for event in self.kube.list("Event", self.name)
            if event["regarding"].get("kind") == KIND
            and event["regarding"].get("name") == name
            and reason in ("", event["reason"])
        ]
        return sorted(found, key=lambda event: str(event["eventTime"]))

    def count_events(self, name: str) -> dict[str, int]:
        """How often each reason has been told about an app: series count as often as they say."""
        counts: dict[str, int] = {}
        for event in self.list_events(name):
            times = (event.get("series") or {}).get("count", 1)
            counts[event["reason"]] = counts.get(event["reason"], 0) + times
        return counts
