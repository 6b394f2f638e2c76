"""The controllers of the HorizontalPodAutoscaler and the PodDisruptionBudget."""

from typing import Final

from hack.worlds.cluster import Cluster
from hack.worlds.model import Json
from hack.worlds.timeline import to_timestamp

SYNC_PERIOD: Final = 15.0
"""Seconds between two looks of the autoscaler."""


class Autoscaling:
    """Scales the Deployment by the load of the world, and counts what may be disrupted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._condition: Json = {}
        self._is_planned = False
        cluster.controllers.append(self.count_disruptions)
        cluster.controllers.append(self._plan)

    def _plan(self) -> None:
        if not self._is_planned and "HorizontalPodAutoscaler" in self._cluster.children:
            self._is_planned = True
            self._cluster.timeline.after(SYNC_PERIOD, self._scale)

    def _scale(self) -> None:
        self._cluster.timeline.after(SYNC_PERIOD, self._scale)
        autoscaler = self._cluster.children.get("HorizontalPodAutoscaler")
        deployment = self._cluster.children.get("Deployment")
        if autoscaler is None or deployment is None:
            return
        current = int(deployment.spec.get("replicas", 1))
        least = int(autoscaler.spec.get("minReplicas", 1))
        most = int(autoscaler.spec["maxReplicas"])
        why = self._blindness()
        desired = current if why else self._cluster.laws.load or least
        desired = max(least, min(desired, most)) if current else 0
        self._set_active(why)
        conditions = [
            {
                "type": "AbleToScale",
                "status": "True",
                "reason": "ReadyForNewScale",
                "message": "recommended size matches current size",
                "lastTransitionTime": to_timestamp(0),
            },
            self._condition,
        ]
        status = {
            "currentReplicas": current,
            "desiredReplicas": desired,
            "conditions": conditions,
        }
        if status != autoscaler.status:
            autoscaler.status = status
            self._cluster.touch_child("HorizontalPodAutoscaler")
        if desired != current:
            self._cluster.tell("autoscaler", f"scales from {current} to {desired}")
            deployment.spec["replicas"] = desired
            patch = {"spec": {"replicas": desired}}
            deployment.edits["kube-controller-manager"] = self._cluster.now, patch
            self._cluster.touch_child("Deployment", is_spec=True)

    def _blindness(self) -> str:
        """Return why there are no metrics; empty if there are."""
        prefix = (
            "the HPA was unable to compute the replica count: failed to get cpu utilization: "
            "unable to get metrics for resource cpu: "
        )
        if not self._cluster.laws.metrics_up:
            return (
                f"{prefix}unable to fetch metrics from resource metrics API: the server could not "
                "find the requested resource (get pods.metrics.k8s.io)"
            )
        if not any(pod.ready for pod in self._cluster.active_pods()):
            return (
                "the HPA was unable to compute the replica count: failed to get cpu utilization: "
                "did not receive metrics for targeted pods (pods might be unready)"
            )
        return ""

    def _set_active(self, why: str) -> None:
        status, reason = (
            ("False", "FailedGetResourceMetric") if why else ("True", "ValidMetricFound")
        )
        if self._condition.get("status") != status:
            self._condition = {
                "type": "ScalingActive",
                "lastTransitionTime": to_timestamp(self._cluster.now),
            }
        text = why or "the HPA was able to successfully calculate a replica count"
        self._condition = {
            **self._condition,
            "status": status,
            "reason": reason,
            "message": text,
        }

    def count_disruptions(self) -> None:
        """Update the status of the PodDisruptionBudget."""
        budget = self._cluster.children.get("PodDisruptionBudget")
        deployment = self._cluster.children.get("Deployment")
        if budget is None or deployment is None:
            return
        expected = int(deployment.spec.get("replicas", 1))
        healthy = sum(pod.is_serving for pod in self._cluster.active_pods())
        if "minAvailable" in budget.spec:
            desired = int(budget.spec["minAvailable"])
        else:
            desired = max(0, expected - int(budget.spec.get("maxUnavailable", 1)))
        status = {
            "observedGeneration": budget.raw["metadata"]["generation"],
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": max(0, healthy - desired),
        }
        if status != budget.status:
            budget.status = status
            self._cluster.touch_child("PodDisruptionBudget")
