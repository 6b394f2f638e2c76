"""Plays the kubelet of pods on fake nodes: writes their status and its Events as a kubelet does.

KWOK makes a pod Ready and then leaves it alone, so everything that happens to its containers
afterwards is written here, on the real API server.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hack.testkit.kube_client import Json, Kube
from hack.testkit.wait import eventually


def now() -> datetime:
    """The time in whole seconds, as a pod's status has it."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Kubelet:
    """The kubelet of the pods of one namespace."""

    kube: Kube
    namespace: str

    def ended(
        self,
        pod: str,
        reason: str = "Error",
        exit_code: int = 1,
        *,
        times: int = 1,
        container: str = "app",
        lived: timedelta = timedelta(minutes=2),
    ) -> datetime:
        """The container ended ``times`` times and runs again; returns when it ended last.

        It had ``lived`` so long. One that lived for some seconds only is believed again when it has
        lived longer than that (heal/ailments.py), which is more than a test can wait for.
        """
        finished = now()

        def change(entry: Json) -> None:
            nonlocal finished
            running = entry["state"].get("running", {})
            # A container lives for a second at least, so that no two ends have the same time.
            eventually(lambda: stamp(now()) > running.get("startedAt", ""), timeout=2)
            finished = now()
            terminated = {
                "containerID": f"fake://{uuid.uuid4().hex}",
                "exitCode": exit_code,
                "reason": reason,
                "startedAt": stamp(finished - lived),
                "finishedAt": stamp(finished),
            }
            entry["restartCount"] += times
            entry["lastState"] = {"terminated": terminated}
            entry["state"] = {"running": {"startedAt": stamp(finished)}}

        self._write(pod, change, container)
        return finished

    def back_off(self, pod: str, container: str = "app") -> None:
        """The container waits before it is started once more."""
        message = f"back-off 10s restarting failed container={container} pod={pod}"
        self.waits(pod, "CrashLoopBackOff", message, container)

    def waits(self, pod: str, reason: str, message: str, container: str = "app") -> None:
        """The container cannot be started."""

        def change(entry: Json) -> None:
            entry["state"] = {"waiting": {"reason": reason, "message": message}}
            entry["ready"] = entry["started"] = False

        self._write(pod, change, container)

    def ready(self, pod: str, *, ready: bool = True, container: str = "app") -> None:
        """The readiness probe of the container succeeded or failed.

        A readiness that is lost in the second of the start looks as if it had never been there, so
        that second is waited for.
        """

        def change(entry: Json) -> None:
            started = entry["state"].get("running", {}).get("startedAt", "")
            eventually(lambda: stamp(now()) > started, timeout=2)
            entry["ready"] = ready
            if "running" not in entry["state"]:
                entry["state"] = {"running": {"startedAt": stamp(now())}}

        self._write(pod, change, container)

    def runs(self, pod: str) -> None:
        """The pod of a Job has a node and runs.

        For pods that no node takes (NOWHERE): KWOK completes a Job's pods as soon as they run.
        """
        self._play(pod, "Running", {"running": {"startedAt": stamp(now())}})

    def succeeds(self, pod: str) -> None:
        """The container of such a pod has done its work."""
        self._play(pod, "Succeeded", _terminated("Completed", 0))

    def fails(self, pod: str, reason: str = "Error", exit_code: int = 1) -> None:
        """The container of such a pod ended badly, and is not to be started again."""
        self._play(pod, "Failed", _terminated(reason, exit_code))

    def _play(self, pod: str, phase: str, state: Json) -> None:
        ready = phase == "Running"
        conditions = [
            {"type": kind, "status": str(value), "lastTransitionTime": stamp(now())}
            for kind, value in (
                ("PodScheduled", True),
                ("Initialized", True),
                ("ContainersReady", ready),
                ("Ready", ready),
            )
        ]
        entry = {
            "name": "app",
            "image": "demo:v1",
            "imageID": "",
            "ready": ready,
            "restartCount": 0,
            "state": state,
        }
        status = {"phase": phase, "conditions": conditions, "containerStatuses": [entry]}
        self.kube.merge("Pod", self.namespace, pod, {"status": status}, sub="status")

    def evicted(self, pod: str) -> None:
        """The node ran out of memory and threw the pod out."""
        status = {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node was low on resource: memory.",
        }
        self.kube.merge("Pod", self.namespace, pod, {"status": status}, sub="status")

    def killing(
        self,
        pod: str,
        probe: str = "liveness",
        *,
        at: datetime | None = None,
        container: str = "app",
    ) -> None:
        """Say by an Event that a probe failed and the container is killed."""
        message = f"Container {container} failed {probe} probe, will be restarted"
        self._event(pod, container, message, at or now())

    def _event(self, pod: str, container: str, message: str, at: datetime) -> None:
        found = self.kube.get("Pod", self.namespace, pod)
        moment = stamp(at)
        self.kube.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{pod}.{uuid.uuid4().hex[:16]}", "namespace": self.namespace},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": self.namespace,
                    "name": pod,
                    "uid": found["metadata"]["uid"],
                    "fieldPath": f"spec.containers{{{container}}}",
                },
                "type": "Normal",
                "reason": "Killing",
                "message": message,
                "source": {"component": "kubelet", "host": found["spec"].get("nodeName", "")},
                "firstTimestamp": moment,
                "lastTimestamp": moment,
                "count": 1,
            }
        )

    def stopping(self, pod: str, container: str = "app") -> None:
        """Say by an Event that the pod is stopped, as a kubelet does that may restart nothing."""
        self._event(pod, container, f"Stopping container {container}", now())

    def _write(self, pod: str, change: Callable[[Json], None], container: str) -> None:
        status = self.kube.get("Pod", self.namespace, pod)["status"]
        entries: list[Json] = status["containerStatuses"]
        change(next(entry for entry in entries if entry["name"] == container))
        everything = all(entry["ready"] for entry in entries)
        conditions = [
            _judged(condition, ready=everything)
            if condition["type"] in {"Ready", "ContainersReady"}
            else condition
            for condition in status["conditions"]
        ]
        patch = {"status": {"containerStatuses": entries, "conditions": conditions}}
        self.kube.merge("Pod", self.namespace, pod, patch, sub="status")


def _terminated(reason: str, exit_code: int) -> Json:
    return {
        "terminated": {
            "containerID": f"fake://{uuid.uuid4().hex}",
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": stamp(now() - timedelta(minutes=2)),
            "finishedAt": stamp(now()),
        }
    }


def _judged(condition: Json, *, ready: bool) -> Json:
    status = "True" if ready else "False"
    if condition["status"] == status:
        return condition
    reason = {} if ready else {"reason": "ContainersNotReady", "message": "not ready: [app]"}
    return {
        "type": condition["type"],
        "status": status,
        "lastTransitionTime": stamp(now()),
        **reason,
    }
