"""Writes the status and the Events of pods on fake nodes as a kubelet does.

KWOK makes a pod Ready and does not change it afterwards; what happens to its containers later is
written here, to the real API server.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.wait import eventually


def now() -> datetime:
    """Return the time in whole seconds, as in the status of a pod."""
    return datetime.now(UTC).replace(microsecond=0)


def format_time(moment: datetime) -> str:
    """Format a time as Kubernetes does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class FakeKubelet:
    """The kubelet of the pods of one namespace."""

    kube: KubeClient
    namespace: str

    def report_restart(
        self,
        pod: str,
        reason: str = "Error",
        exit_code: int = 1,
        *,
        times: int = 1,
        container: str = "app",
        uptime: timedelta = timedelta(minutes=2),
        backs_off: bool = False,
    ) -> datetime:
        """Report that the container ended ``times`` times and runs again; return its last end.

        With ``backs_off`` it does not run again but waits in CrashLoopBackOff, in the same status,
        as a kubelet reports it: in two the operator could see a container that crashes in a loop
        and is ready.

        The container had run for ``uptime``. A container that ended after some seconds counts as
        recovered only when it has run for longer than that (health/pod_problems.py).
        """
        finished = now()

        def change(entry: Json) -> None:
            nonlocal finished
            running = entry["state"].get("running", {})
            # A container lives for a second at least, so that no two ends have the same time.
            eventually(lambda: format_time(now()) > running.get("startedAt", ""), timeout=2)
            finished = now()
            terminated = {
                "containerID": f"fake://{uuid.uuid4().hex}",
                "exitCode": exit_code,
                "reason": reason,
                "startedAt": format_time(finished - uptime),
                "finishedAt": format_time(finished),
            }
            entry["restartCount"] += times
            entry["lastState"] = {"terminated": terminated}
            entry["state"] = {"running": {"startedAt": format_time(finished)}}
            if backs_off:
                _set_waiting(entry, "CrashLoopBackOff", build_back_off_message(pod, container))

        self._update_container(pod, change, container)
        return finished

    def report_back_off(self, pod: str, container: str = "app") -> None:
        """Report that the container waits in CrashLoopBackOff."""
        message = build_back_off_message(pod, container)
        self.report_waiting(pod, "CrashLoopBackOff", message, container)

    def report_waiting(self, pod: str, reason: str, message: str, container: str = "app") -> None:
        """Report that the container cannot start."""
        self._update_container(pod, lambda entry: _set_waiting(entry, reason, message), container)

    def set_ready(self, pod: str, *, ready: bool = True, container: str = "app") -> None:
        """Report the result of the readiness probe.

        A readiness that is lost in the second of the start is not visible in the status, so this
        waits until that second is over.
        """

        def change(entry: Json) -> None:
            started = entry["state"].get("running", {}).get("startedAt", "")
            eventually(lambda: format_time(now()) > started, timeout=2)
            entry["ready"] = ready
            if "running" not in entry["state"]:
                entry["state"] = {"running": {"startedAt": format_time(now())}}

        self._update_container(pod, change, container)

    def report_running(self, pod: str) -> None:
        """Report that the pod of a Job is bound to a node and runs.

        Use it for unschedulable pods: KWOK completes the pods of a Job as soon as they run.
        """
        self._write_phase(pod, "Running", {"running": {"startedAt": format_time(now())}})

    def report_succeeded(self, pod: str) -> None:
        """Report that the container of the pod of a Job has exited with 0."""
        self._write_phase(pod, "Succeeded", terminated_state("Completed", 0))

    def report_failed(self, pod: str, reason: str = "Error", exit_code: int = 1) -> None:
        """Report that the container has failed and will not be restarted."""
        self._write_phase(pod, "Failed", terminated_state(reason, exit_code))

    def _write_phase(self, pod: str, phase: str, state: Json) -> None:
        ready = phase == "Running"
        conditions = [
            {"type": kind, "status": str(value), "lastTransitionTime": format_time(now())}
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
        self.kube.merge_patch("Pod", self.namespace, pod, {"status": status}, sub="status")

    def report_evicted(self, pod: str) -> None:
        """Report that the pod was evicted because the node ran out of memory."""
        status = {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node was low on resource: memory.",
        }
        self.kube.merge_patch("Pod", self.namespace, pod, {"status": status}, sub="status")

    def create_killing_event(
        self,
        pod: str,
        probe: str = "liveness",
        *,
        at: datetime | None = None,
        container: str = "app",
    ) -> None:
        """Create the Killing Event of a container whose probe failed."""
        message = f"Container {container} failed {probe} probe, will be restarted"
        self._create_event(pod, container, message, at or now())

    def _create_event(self, pod: str, container: str, message: str, at: datetime) -> None:
        found = self.kube.get("Pod", self.namespace, pod)
        moment = format_time(at)
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

    def create_stopping_event(self, pod: str, container: str = "app") -> None:
        """Create the Killing Event of a pod that is stopped."""
        self._create_event(pod, container, f"Stopping container {container}", now())

    def _update_container(self, pod: str, change: Callable[[Json], None], container: str) -> None:
        status = self.kube.get("Pod", self.namespace, pod)["status"]
        entries: list[Json] = status["containerStatuses"]
        change(next(entry for entry in entries if entry["name"] == container))
        is_ready = all(entry["ready"] for entry in entries)
        conditions = [
            set_condition(condition, ready=is_ready)
            if condition["type"] in {"Ready", "ContainersReady"}
            else condition
            for condition in status["conditions"]
        ]
        patch = {"status": {"containerStatuses": entries, "conditions": conditions}}
        self.kube.merge_patch("Pod", self.namespace, pod, patch, sub="status")


def terminated_state(reason: str, exit_code: int) -> Json:
    """Return the state of a container that ran for two minutes and has terminated."""
    return {
        "terminated": {
            "containerID": f"fake://{uuid.uuid4().hex}",
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": format_time(now() - timedelta(minutes=2)),
            "finishedAt": format_time(now()),
        }
    }


def set_condition(condition: Json, *, ready: bool) -> Json:
    """Return the condition with this status; unchanged if it has it already."""
    status = "True" if ready else "False"
    if condition["status"] == status:
        return condition
    reason = {} if ready else {"reason": "ContainersNotReady", "message": "not ready: [app]"}
    return {
        "type": condition["type"],
        "status": status,
        "lastTransitionTime": format_time(now()),
        **reason,
    }


def build_back_off_message(pod: str, container: str) -> str:
    """What the kubelet says of a container that it will start later."""
    return f"back-off 10s restarting failed container={container} pod={pod}"


def _set_waiting(entry: Json, reason: str, message: str) -> None:
    entry["state"] = {"waiting": {"reason": reason, "message": message}}
    entry["ready"] = entry["started"] = False
