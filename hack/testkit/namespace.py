"""One namespace in tests: apps, their children, their pods and their Events."""

from dataclasses import dataclass
from typing import Any

from hack.testkit.kube_client import Json, KubeClient, find_condition
from hack.testkit.verdicts import ask_kstatus
from hack.testkit.wait import eventually

API_VERSION = "selfhealing.dev/v1alpha1"
KIND = "SelfHealingApp"

FAKE_NODES: Json = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
}
"""Spec fields that schedule the pods on KWOK's nodes, where they are Ready at once."""

UNSCHEDULABLE: Json = {"nodeSelector": {"selfhealing.dev/test": "no-such-node"}}
"""Spec fields that keep the pods Pending."""


@dataclass(frozen=True)
class AppNamespace:
    """A namespace with apps."""

    kube: KubeClient
    name: str

    def build_manifest(self, name: str, **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
        """Return a SelfHealingApp."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name, "namespace": self.name},
            "spec": {"image": "demo:v1", **spec},
        }

    def create_app(self, name: str, **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
        """Create an app."""
        return self.kube.create(self.build_manifest(name, **spec))

    def limit_memory(self, name: str, maximum: str) -> None:
        """Create a LimitRange: no container may have a higher memory limit."""
        self.kube.create(
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"namespace": self.name, "name": name},
                "spec": {"limits": [{"type": "Container", "max": {"memory": maximum}}]},
            }
        )

    def create_quota(self, name: str, **hard: str) -> None:
        """Create a ResourceQuota, such as ``pods="1"`` or ``count__services="0"``.

        The API server enforces it only after a controller has filled in its status, so this waits
        for the status.
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
        """Merge fields into the spec of an app; None removes a field."""
        return self.kube.merge_patch(KIND, self.name, name, {"spec": spec})

    def get_app(self, name: str) -> Json:
        """Read an app."""
        return self.kube.get(KIND, self.name, name)

    def get_status(self, name: str) -> Json:
        """Return the status of an app; empty without one."""
        found: Json = self.get_app(name).get("status", {})
        return found

    def get_condition(self, name: str, kind: str) -> Json:
        """Return a condition of an app; empty if it has none of this type."""
        return find_condition(self.get_app(name), kind)

    def compute_kstatus(self, name: str) -> str:
        """Compute what kstatus says of an app: Current, InProgress, Failed or Terminating."""
        (verdict,) = ask_kstatus([self.get_app(name)])
        found: str = verdict["status"]
        return found

    def wait_until_reconciled(self, name: str, timeout: float = 20) -> Json:
        """Wait until the Reconciled condition is True for the current generation."""

        def probe() -> Json | None:
            app = self.get_app(name)
            found = find_condition(app, "Reconciled")
            assert found.get("status") == "True", found
            assert found["observedGeneration"] == app["metadata"]["generation"], found
            return app

        return eventually(probe, timeout=timeout, description=f"{name} is reconciled") or {}

    def wait_for_phase(self, name: str, phase: str, timeout: float = 20) -> Json:
        """Wait until the status has ``phase`` for the current generation."""

        def probe() -> Json | None:
            app = self.get_app(name)
            status = app.get("status", {})
            assert status.get("phase") == phase, (status.get("phase"), status.get("message"))
            assert status["observedGeneration"] == app["metadata"]["generation"]
            return app

        return eventually(probe, timeout=timeout, description=f"{name} is {phase}") or {}

    def find_child(self, kind: str, name: str) -> Json | None:
        """Read a child; None if it does not exist."""
        return self.kube.find(kind, self.name, name)

    def get_child(self, kind: str, name: str) -> Json:
        """Read a child."""
        return self.kube.get(kind, self.name, name)

    def get_deployment(self, name: str) -> Json:
        """Read the Deployment of an app."""
        return self.get_child("Deployment", name)

    def get_container(self, name: str) -> Json:
        """Return the main container of the Deployment of an app."""
        found: list[Json] = self.get_deployment(name)["spec"]["template"]["spec"]["containers"]
        return next(container for container in found if container["name"] == "app")

    def get_service(self, name: str) -> Json:
        """Read the Service of an app."""
        return self.get_child("Service", name)

    def get_autoscaler(self, name: str) -> Json:
        """Read the HorizontalPodAutoscaler of an app."""
        return self.get_child("HorizontalPodAutoscaler", name)

    def list_pods(self, name: str) -> list[Json]:
        """List the pods of an app by name."""
        found = self.kube.list("Pod", self.name, f"selfhealing.dev/app={name}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def list_events(self, name: str, reason: str = "") -> list[Json]:
        """List the Events about an app, the oldest first."""
        found = [
            event
            for event in self.kube.list("Event", self.name)
            if event["regarding"].get("kind") == KIND
            and event["regarding"].get("name") == name
            and reason in ("", event["reason"])
        ]
        return sorted(found, key=lambda event: str(event["eventTime"]))

    def wait_for_event(self, name: str, reason: str) -> Json:
        """Wait for an Event about an app; it is written some time after the status.

        Returns:
            The oldest Event with that reason.
        """
        return eventually(
            lambda: self.list_events(name, reason), description=f"an Event {reason} about {name}"
        )[0]

    def count_events(self, name: str) -> dict[str, int]:
        """Count the Events about an app by reason; a series counts as often as it says."""
        counts: dict[str, int] = {}
        for event in self.list_events(name):
            times = (event.get("series") or {}).get("count", 1)
            counts[event["reason"]] = counts.get(event["reason"], 0) + times
        return counts
