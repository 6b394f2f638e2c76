"""What happens to a container that runs: it becomes ready, crashes, or fails its probes."""

import math
import zlib
from collections.abc import Callable

from hack.worlds.cluster import Cluster
from hack.worlds.model import (
    ContainerKind,
    Effect,
    EffectKind,
    Json,
    Program,
    SimContainer,
    SimPod,
)
from hack.worlds.raw import render_event

Later = Callable[[SimPod, SimContainer, float, Callable[[], None]], None]
Terminate = Callable[[SimPod, SimContainer, str, int], None]

_ANSWERS = {
    "HTTP probe failed: 404": "HTTP probe failed with statuscode: 404",
    "HTTP probe failed: 503": "HTTP probe failed with statuscode: 503",
}


class Probes:
    """Plans the changes of containers that run."""

    def __init__(self, cluster: Cluster, later: Later, terminate: Terminate) -> None:
        self._cluster = cluster
        self._later = later
        self._terminate = terminate

    @staticmethod
    def has_readiness(container: SimContainer) -> bool:
        """Whether a container has a readiness probe."""
        return "readinessProbe" in container.spec

    def plan(
        self, pod: SimPod, container: SimContainer, program: Program, effect: Effect | None
    ) -> None:
        """Plan what happens from now on to a container, by what is true now."""
        now = self._cluster.now
        readiness = container.spec.get("readinessProbe")
        age = now - container.started_at
        ready_in = self._seconds_until_ready(readiness, program, age)
        if effect is not None and not self._can_kill(container, effect):
            effect = None
        kind = effect.kind if effect else None
        if kind in {EffectKind.CRASH, EffectKind.OOM} and effect is not None:
            left = max(effect.after - age, 1.0)
            if ready_in < left and not container.ready:
                self._later(pod, container, ready_in, lambda: self.set_ready(pod, container, True))
            reason, code = ("OOMKilled", 137) if kind is EffectKind.OOM else ("Error", 0)
            code = code or effect.exit_code
            self._later(pod, container, left, lambda: self._terminate(pod, container, reason, code))
            return
        if kind is EffectKind.LIVENESS and effect is not None:
            self._plan_liveness(pod, container, effect, age)
            if not container.ready and "startupProbe" not in container.spec:
                self._later(pod, container, ready_in, lambda: self.set_ready(pod, container, True))
            return
        if kind is EffectKind.HANG and effect is not None:
            self._plan_hang(pod, container, effect, age)
            return
        if kind is EffectKind.FLAP and effect is not None:
            self._flap(pod, container, effect.after)
            return
        if not container.ready or not container.started:
            self._later(pod, container, ready_in, lambda: self.set_ready(pod, container, True))

    @staticmethod
    def _seconds_until_ready(readiness: Json | None, program: Program, age: float) -> float:
        """Return when the first probe finds the program serving, from now on."""
        if readiness is None:
            return max(program.start - age, 0.1)
        period = float(readiness.get("periodSeconds", 10))
        first = float(readiness.get("initialDelaySeconds", 0))
        since = max(program.start, age) - first
        ready_at = first + max(0, math.ceil(since / period)) * period
        return max(ready_at - age, 0.5)

    @staticmethod
    def _can_kill(container: SimContainer, effect: Effect) -> bool:
        """Whether a fault lasts for as long as the liveness probe may fail."""
        probe = container.spec.get("livenessProbe") or {}
        patience = float(probe.get("periodSeconds", 10)) * int(probe.get("failureThreshold", 3))
        return effect.kind is not EffectKind.LIVENESS or effect.lasts >= patience

    def _plan_liveness(
        self, pod: SimPod, container: SimContainer, effect: Effect, age: float
    ) -> None:
        probe = container.spec.get("livenessProbe") or {}
        period = float(probe.get("periodSeconds", 10))
        threshold = int(probe.get("failureThreshold", 3))
        begin = max(float(probe.get("initialDelaySeconds", 0)), period) - age
        kill = max(begin, 1.0) + period * (threshold - 1)
        answer = _ANSWERS.get(effect.text, effect.text)
        self._later(
            pod,
            container,
            kill,
            lambda: self._kill_by_probe(pod, container, f"Liveness probe failed: {answer}"),
        )

    def _kill_by_probe(self, pod: SimPod, container: SimContainer, text: str) -> None:
        self.tell_event(pod, "Unhealthy", text, count=3, container=container.name)
        message = f"Container {container.name} failed liveness probe, will be restarted"
        self.tell_event(pod, "Killing", message, container=container.name)
        self._terminate(pod, container, "Error", 137)

    def _plan_hang(self, pod: SimPod, container: SimContainer, effect: Effect, age: float) -> None:
        if not self.has_readiness(container):
            if not container.ready:
                self._later(pod, container, 0.5, lambda: self.set_ready(pod, container, True))
            return
        probe = container.spec["readinessProbe"]
        period = float(probe.get("periodSeconds", 10))
        threshold = int(probe.get("failureThreshold", 3))
        first = max(float(probe.get("initialDelaySeconds", 0)) - age, 0.0)
        answer = _ANSWERS.get(effect.text, effect.text) or "HTTP probe failed with statuscode: 503"

        def fail() -> None:
            container.started = True
            text = f"Readiness probe failed: {answer}"
            self.tell_event(pod, "Unhealthy", text, count=threshold, container=container.name)
            if container.ready:
                self.set_ready(pod, container, False)
            else:
                self.update_ready(pod)

        self._later(pod, container, first + period * threshold, fail)

    def _flap(self, pod: SimPod, container: SimContainer, period: float) -> None:
        def change() -> None:
            self.set_ready(pod, container, not container.ready)
            self._flap(pod, container, period)

        self._later(pod, container, period, change)

    def set_ready(self, pod: SimPod, container: SimContainer, ready: bool) -> None:  # noqa: FBT001 - the value of a field
        """Set whether a container is ready."""
        container.ready = ready
        container.started = True
        container.probe_failures = 0
        self.update_ready(pod)

    def update_ready(self, pod: SimPod, *, is_changed: bool = False) -> None:
        """Set whether a pod is ready, from its containers, and tell of it."""
        ready = pod.phase == "Running" and all(
            c.ready for c in pod.containers if c.kind is not ContainerKind.INIT
        )
        ready = ready and not pod.is_cut_off
        if ready != pod.ready or is_changed:
            if ready != pod.ready:
                pod.ready_at = self._cluster.now
            pod.ready = ready
        self._cluster.touch_pod(pod)

    def tell_event(
        self, pod: SimPod, reason: str, message: str, *, count: int = 1, container: str = ""
    ) -> None:
        """Tell the observers of an Event about a pod."""
        key = pod.uid, reason, message
        count += self._cluster.events_told.get(key, 0)
        self._cluster.events_told[key] = count
        name = f"{zlib.crc32(f'{reason} {message}'.encode()):08x}"
        event = render_event(pod, reason, message, self._cluster.now, count, name)
        if container:
            event["involvedObject"]["fieldPath"] = f"spec.containers{{{container}}}"
        for observer in self._cluster.observers:
            observer("Event", "MODIFIED", event)
