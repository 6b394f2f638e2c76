"""The Deployment and ReplicaSet controllers (pkg/controller/deployment of Kubernetes 1.36).

A rolling update removes unhealthy old pods first, keeps the minimum of available pods, and stays
below the surge. Recreate stops all old pods before it creates new ones.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import orjson

from hack.worlds import raw
from hack.worlds.cluster import Cluster, hash_template, make_suffix
from hack.worlds.kubelet import Kubelet, container_kinds
from hack.worlds.model import Json, SimPod, SimReplicaSet
from hack.worlds.requests import Requests
from hack.worlds.timeline import to_timestamp

MAX_RETRY: Final = 1000.0
"""Seconds. The longest delay of a ReplicaSet whose pods are refused."""


class Deployments:
    """The controllers of the app's Deployment and its ReplicaSets."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, requests: Requests) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self._requests = requests
        self._progress_at = 0.0
        self._progress_key: tuple[Any, ...] = ()
        self.current_hash = ""
        self._deadline_at = 0.0
        self._conditions: dict[str, Json] = {}
        cluster.controllers.append(self.reconcile)

    def reconcile(self) -> None:
        """Bring the ReplicaSets and pods nearer to what the Deployment asks for."""
        deployment = self._cluster.children.get("Deployment")
        if deployment is None:
            return
        spec = deployment.spec
        current = self._find_current(spec["template"])
        if not spec.get("paused"):
            if (spec.get("strategy") or {}).get("type") == "Recreate":
                self._recreate(current, spec)
            else:
                self._roll(current, spec)
        elif not self._others(current) or current.wanted:
            self._scale(current, spec.get("replicas", 1))
        for replica_set in list(self._cluster.replica_sets.values()):
            self._reconcile_replica_set(replica_set)
        self._update_status(current, spec)

    def _find_current(self, template: Json) -> SimReplicaSet:
        digest = hash_template(template)
        found = self._cluster.replica_sets.get(digest)
        if found is None:
            found = SimReplicaSet(
                digest,
                f"uid-rs-{digest}-{self._cluster.next_name()}",
                orjson.loads(orjson.dumps(template)),
                self._cluster.now,
                self._cluster.next_version(),
            )
            self._cluster.replica_sets[digest] = found
            self._cluster.emit("ReplicaSet", "ADDED", found)
        return found

    def _others(self, current: SimReplicaSet) -> list[SimReplicaSet]:
        return [rs for rs in self._cluster.replica_sets.values() if rs is not current and rs.wanted]

    def _scale(self, replica_set: SimReplicaSet, wanted: int) -> None:
        if replica_set.wanted != wanted:
            replica_set.wanted = wanted
            replica_set.resource_version = self._cluster.next_version()

    # Strategies.

    def _roll(self, current: SimReplicaSet, spec: Json) -> None:
        wanted = spec.get("replicas", 1)
        surge, unavailable = resolve_limits(spec, wanted)
        others = self._others(current)
        if not others or current.wanted > wanted:
            self._scale(current, wanted)
        else:
            total = current.wanted + sum(rs.wanted for rs in others)
            room = wanted + surge - total
            if room > 0 and current.wanted < wanted:
                self._scale(current, current.wanted + min(room, wanted - current.wanted))
        if others:
            self._scale_old_down(current, others, wanted, wanted - unavailable)

    def _scale_old_down(
        self, current: SimReplicaSet, others: list[SimReplicaSet], wanted: int, min_available: int
    ) -> None:
        """Scale old ReplicaSets down: unhealthy pods first, then what the minimum allows."""
        total = current.wanted + sum(rs.wanted for rs in others)
        new_unavailable = current.wanted - len(self._available(current))
        room = total - min_available - new_unavailable
        for replica_set in sorted(others, key=lambda rs: rs.created):
            if room <= 0:
                break
            unhealthy = replica_set.wanted - len(self._available(replica_set))
            cut = min(room, unhealthy, replica_set.wanted)
            if cut > 0:
                self._scale(replica_set, replica_set.wanted - cut)
                room -= cut
        available = len(self._available(current)) + sum(
            min(len(self._available(rs)), rs.wanted) for rs in others
        )
        room = min(available - min_available, wanted + sum(rs.wanted for rs in others))
        for replica_set in sorted(others, key=lambda rs: rs.created):
            cut = min(room, replica_set.wanted)
            if cut > 0:
                self._scale(replica_set, replica_set.wanted - cut)
                room -= cut

    def _recreate(self, current: SimReplicaSet, spec: Json) -> None:
        others = self._others(current)
        for replica_set in others:
            self._scale(replica_set, 0)
        old_pods = [
            pod
            for pod in self._cluster.pods.values()
            if pod.owner_uid not in {"", current.uid} and pod.phase not in {"Failed", "Succeeded"}
        ]
        if not old_pods:
            self._scale(current, spec.get("replicas", 1))

    def _pods_of(self, replica_set: SimReplicaSet) -> list[SimPod]:
        return [
            pod
            for pod in self._cluster.pods.values()
            if pod.owner_uid == replica_set.uid and pod.is_active
        ]

    def _available(self, replica_set: SimReplicaSet) -> list[SimPod]:
        deployment = self._cluster.children["Deployment"]
        min_ready = deployment.spec.get("minReadySeconds", 0)
        now = self._cluster.now
        return [
            pod
            for pod in self._pods_of(replica_set)
            if pod.ready and (not min_ready or pod.ready_at + min_ready <= now)
        ]

    # Pods.

    def _reconcile_replica_set(self, replica_set: SimReplicaSet) -> None:
        pods = self._pods_of(replica_set)
        missing = replica_set.wanted - len(pods)
        if missing < 0:
            for pod in sorted(pods, key=_deletion_order)[:-missing]:
                self._requests.delete_pod(pod, "deployment controller")
        if missing <= 0:
            replica_set.refusal = ""
            return
        if self._cluster.now < replica_set.retry_at:
            return
        for _ in range(missing):
            refusal = self._requests.find_refusal(replica_set.template, replica_set.hash)
            if refusal:
                replica_set.refusal = refusal
                replica_set.retry_delay = min(max(replica_set.retry_delay * 2, 1.0), MAX_RETRY)
                replica_set.retry_at = self._cluster.now + replica_set.retry_delay
                self._cluster.timeline.at(
                    replica_set.retry_at + 0.01, self._cluster.wake_controllers
                )
                return
            replica_set.refusal, replica_set.retry_delay = "", 0.0
            self._create_pod(replica_set)

    def _create_pod(self, replica_set: SimReplicaSet) -> None:
        template = self._requests.mutate(replica_set.template)
        spec = dict(template["spec"])
        spec["tolerations"] = [*(spec.get("tolerations") or ()), *raw.DEFAULT_TOLERATIONS]
        spec.setdefault("restartPolicy", "Always")
        # The nth pod of a template has the same name with and without healing: what chance does to
        # a pod goes by its name.
        suffix = make_suffix(f"{replica_set.hash}/{replica_set.created_pods}")
        replica_set.created_pods += 1
        name = f"{raw.APP}-{replica_set.hash}-{suffix}"
        pod = SimPod(
            name=name,
            uid=f"uid-{name}",
            template_hash=replica_set.hash,
            template=replica_set.template,
            spec=spec,
            owner_uid=replica_set.uid,
            created=self._cluster.now,
            resource_version=self._cluster.next_version(),
            labels={
                **(template.get("metadata", {}).get("labels") or {}),
                "pod-template-hash": replica_set.hash,
            },
            containers=container_kinds(spec),
            owner_references=[
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{raw.APP}-{replica_set.hash}",
                    "uid": replica_set.uid,
                    "controller": True,
                }
            ],
        )
        self._cluster.pods[pod.uid] = pod
        self._cluster.tell("deployment", f"creates {name}")
        self._cluster.emit("Pod", "ADDED", pod)

    # Status.

    def _update_status(self, current: SimReplicaSet, spec: Json) -> None:
        deployment = self._cluster.children["Deployment"]
        wanted = spec.get("replicas", 1)
        all_pods = [pod for pod in self._cluster.active_pods() if pod.owner_uid]
        updated = len(self._pods_of(current))
        available = len(self._available(current)) + sum(
            len(self._available(rs))
            for rs in self._cluster.replica_sets.values()
            if rs is not current
        )
        if spec.get("minReadySeconds"):
            self._plan_min_ready(spec["minReadySeconds"])
        is_complete = (
            updated == wanted == len(all_pods) and available >= wanted and updated == wanted
        )
        self._update_conditions(
            current,
            spec,
            (updated, len(all_pods) - updated, available, sum(p.ready for p in all_pods)),
            is_complete=is_complete,
        )
        status = {
            "observedGeneration": deployment.raw["metadata"]["generation"],
            "replicas": len(all_pods),
            "updatedReplicas": updated,
            "readyReplicas": sum(pod.ready for pod in all_pods),
            "availableReplicas": available,
            "unavailableReplicas": max(0, len(all_pods) - available),
            "conditions": list(self._conditions.values()),
        }
        if status != deployment.status:
            deployment.status = status
            self._cluster.touch_child("Deployment")

    def _update_conditions(
        self,
        current: SimReplicaSet,
        spec: Json,
        counts: tuple[int, int, int, int],
        *,
        is_complete: bool,
    ) -> None:
        """Set the conditions as syncRolloutStatus in progress.go does.

        Args:
            current: the ReplicaSet of the current template.
            spec: the Deployment's spec.
            counts: the updated, the old, the available and the ready pods.
            is_complete: the rollout is complete.
        """
        now = self._cluster.now
        name = f'ReplicaSet "{raw.APP}-{current.hash}"'
        is_new = current.hash != self.current_hash
        if is_new:
            self.current_hash = self._cluster.current_hash = current.hash
            self._cluster.sample()
            if current.created == now:
                text = f'Created new replica set "{raw.APP}-{current.hash}"'
                self._set("Progressing", "True", "NewReplicaSetCreated", text)
                self._progress_at = now
            self._progress_key = (0, sum(counts[:2]), *counts[2:])
        else:
            self._follow_progress(name, spec, counts, is_complete=is_complete)
        minimum = spec.get("replicas", 1) - resolve_limits(spec, spec.get("replicas", 1))[1]
        has_minimum = counts[2] >= minimum
        self._set(
            "Available",
            str(has_minimum),
            "MinimumReplicasAvailable" if has_minimum else "MinimumReplicasUnavailable",
            "",
        )
        refusal = current.refusal or next(
            (rs.refusal for rs in self._cluster.replica_sets.values() if rs.refusal), ""
        )
        if refusal and not is_new:  # the ReplicaSet reports it a moment later
            self._set("ReplicaFailure", "True", "FailedCreate", refusal)
        else:
            self._conditions.pop("ReplicaFailure", None)

    def _follow_progress(
        self, name: str, spec: Json, counts: tuple[int, int, int, int], *, is_complete: bool
    ) -> None:
        now, condition = self._cluster.now, self._conditions.get("Progressing") or {}
        reason, names_it = condition.get("reason", ""), name in condition.get("message", "")
        has_progressed = _is_progress(self._progress_key, counts)
        self._progress_key = counts
        deadline = float(spec.get("progressDeadlineSeconds", 600))
        if spec.get("paused"):
            self._set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
            self._progress_at = now
        elif reason == "NewReplicaSetAvailable" and names_it and not counts[1]:
            pass  # a Deployment that was complete is not checked again
        elif is_complete:
            text = f"{name} has successfully progressed."
            self._set("Progressing", "True", "NewReplicaSetAvailable", text)
        elif has_progressed:
            self._set("Progressing", "True", "ReplicaSetUpdated", f"{name} is progressing.")
            self._progress_at = now
        elif reason == "ProgressDeadlineExceeded" or (
            reason != "NewReplicaSetAvailable" and now >= self._progress_at + deadline
        ):
            text = f"{name} has timed out progressing."
            self._set("Progressing", "False", "ProgressDeadlineExceeded", text)
        self._plan_deadline(self._progress_at + deadline + 0.1)

    def _set(self, kind: str, status: str, reason: str, message: str) -> None:
        before = self._conditions.get(kind)
        if before and (before["status"], before["reason"], before["message"]) == (
            status,
            reason,
            message,
        ):
            return
        now = to_timestamp(self._cluster.now)
        since = before["lastTransitionTime"] if before and before["status"] == status else now
        self._conditions[kind] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
            "lastUpdateTime": now,
        }

    def _plan_deadline(self, at: float) -> None:
        if at > self._deadline_at and at > self._cluster.now:
            self._deadline_at = at
            self._cluster.timeline.at(at, self._cluster.wake_controllers)

    def _plan_min_ready(self, seconds: int) -> None:
        now = self._cluster.now
        for pod in self._cluster.active_pods():
            if pod.ready and pod.ready_at + seconds > now:
                self._cluster.timeline.at(
                    pod.ready_at + seconds + 0.1, self._cluster.wake_controllers
                )


def _is_progress(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether a Deployment has come further: as progress.go of the Deployment controller."""
    if not before:
        return True
    return (
        after[0] > before[0] or after[1] < before[1] or after[2] > before[2] or after[3] > before[3]
    )


def resolve_limits(spec: Json, wanted: int) -> tuple[int, int]:
    """Return the surge and the unavailability of a Deployment, in pods."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, wanted
    rolling = strategy.get("rollingUpdate") or {}
    surge = _resolve(rolling.get("maxSurge", "25%"), wanted, is_up=True)
    unavailable = _resolve(rolling.get("maxUnavailable", "25%"), wanted, is_up=False)
    return surge, unavailable if surge or unavailable else 1


def _resolve(value: Any, wanted: int, *, is_up: bool) -> int:  # noqa: ANN401 - int or text
    if isinstance(value, int):
        return value
    share = int(str(value).removesuffix("%")) * wanted / 100
    return math.ceil(share) if is_up else math.floor(share)


def _deletion_order(pod: SimPod) -> tuple[bool, bool, bool, float, float]:
    """The order in which a ReplicaSet deletes its pods, the first to go first."""
    return bool(pod.node), pod.phase == "Running", pod.ready, -pod.ready_at, -pod.created
