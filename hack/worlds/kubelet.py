"""The kubelets: they pull images, start, probe and restart containers, and stop pods.

The reasons and texts are those of the kubelet of Kubernetes 1.36 and of containerd 2; the crash
back-off is 10 s, doubled up to 300 s, and starts anew after a run of 10 minutes.
"""

from collections.abc import Callable
from typing import Final

from hack.worlds.cluster import Cluster
from hack.worlds.model import (
    ContainerKind,
    EffectKind,
    Json,
    Program,
    SimContainer,
    SimNode,
    SimPod,
)
from hack.worlds.probes import Probes
from hack.worlds.raw import render_termination

MAX_BACK_OFF: Final = 300.0
BACK_OFF_RESET: Final = 600.0
CONFIG_POLL: Final = 5.0
"""Seconds from a change of a ConfigMap until the kubelet tries again."""
SANDBOX_RETRY: Final = 15.0
NOT_STARTED: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""The reasons of a container before the kubelet has done anything for it."""


class Kubelet:
    """The kubelets of all nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._probes = Probes(cluster, self._later, self.terminate)
        cluster.on_config_change.append(self._retry_configuration)
        cluster.on_resize.append(self.replan)

    # The life of a pod.

    def start_pod(self, pod: SimPod) -> None:
        """Begin with a pod that was bound to a node."""
        node = self._cluster.nodes[pod.node]
        first = pod.containers[0]
        if node.sandbox_error:
            self._tell_event(pod, "FailedCreatePodSandBox", node.sandbox_error)
            self._later(pod, first, SANDBOX_RETRY, lambda: self.start_pod(pod))
            return
        if (missing := self._missing_volume(pod)) and first.reason in NOT_STARTED:
            self._tell_event(pod, "FailedMount", missing)
            return  # a change of a ConfigMap starts it
        if all(c.kind is ContainerKind.MAIN for c in pod.containers):
            self._set_initialized(pod)
        self._start_next(pod)

    def _start_next(self, pod: SimPod) -> None:
        """Start the first init container that has not finished, or all main containers."""
        for container in pod.containers:
            if container.kind is ContainerKind.INIT and not (
                container.state == "terminated" and container.exit_code == 0
            ):
                self._start(pod, container)
                return
            if container.kind is ContainerKind.SIDECAR and not container.started:
                self._start(pod, container)
                return
        self._set_initialized(pod)
        for container in pod.containers:
            if container.kind is ContainerKind.MAIN and container.state == "waiting":
                self._start(pod, container)

    def _set_initialized(self, pod: SimPod) -> None:
        if not pod.initialized:
            pod.initialized, pod.initialized_at = True, self._cluster.now

    def _start(self, pod: SimPod, container: SimContainer) -> None:
        node = self._cluster.nodes[pod.node]
        program = self._cluster.program_of(container)
        if container.image in node.images and program is not None:
            self._run(pod, container, program)
            return
        error = self._pull_error(node, container, program)
        if error or program is None:
            self._fail_pull(pod, container, error)
            return

        def finish_pull() -> None:
            node.images.add(container.image)
            self._run(pod, container, program)

        self._later(pod, container, program.pull, finish_pull)

    def _pull_error(self, node: SimNode, container: SimContainer, program: Program | None) -> str:
        image = f"registry.example/library/{container.image}"
        prefix = f'failed to pull and unpack image "{image}": '
        if self._cluster.laws.registry_error or node.pull_error:
            return prefix + (self._cluster.laws.registry_error or node.pull_error)
        if program is not None and program.pull_error:
            return f"rpc error: code = NotFound desc = {prefix}{program.pull_error}"
        if program is None:
            return (
                f'rpc error: code = NotFound desc = {prefix}failed to resolve reference "{image}": '
                f"{image}: not found"
            )
        return ""

    def _fail_pull(self, pod: SimPod, container: SimContainer, error: str) -> None:
        self._set_waiting(pod, container, "ErrImagePull", error)
        delay = container.pull_back_off
        container.pull_back_off = min(delay * 2, MAX_BACK_OFF)

        def back_off() -> None:
            message = f'Back-off pulling image "{container.image}": ErrImagePull: {error}'
            self._set_waiting(pod, container, "ImagePullBackOff", message)
            self._later(pod, container, delay, lambda: self._start(pod, container))

        self._later(pod, container, 2.0, back_off)

    def _run(self, pod: SimPod, container: SimContainer, program: Program) -> None:
        """Create and start a container whose image is there."""
        if missing := self._missing_environment(container):
            self._set_waiting(pod, container, "CreateContainerConfigError", missing)
            return  # a change of a ConfigMap starts it
        command = (container.spec.get("command") or [""])[0]
        if command.startswith("/missing"):
            self._fail_start(pod, container, command)
            return
        if container.last is not None:
            container.restarts += 1
        self._bump(container)
        container.state, container.reason, container.message = "running", "", ""
        container.started_at = self._cluster.now
        container.mode = self._cluster.mode_of(container)
        container.started = "startupProbe" not in container.spec
        if container.kind is ContainerKind.MAIN:
            pod.phase = "Running"
        if container.kind is ContainerKind.MAIN and not self._probes.has_readiness(container):
            container.ready = container.started
        self._update_ready(pod)
        self._plan(pod, container, program)
        if container.kind is ContainerKind.SIDECAR:
            container.started = True
            self._later_start_next(pod, container)

    def _later_start_next(self, pod: SimPod, container: SimContainer) -> None:
        def start() -> None:
            if not pod.initialized:
                self._start_next(pod)

        self._later(pod, container, 1.0, start)

    def _fail_start(self, pod: SimPod, container: SimContainer, command: str) -> None:
        """Fail to start a container: it waits with RunContainerError, and has ended before."""
        if container.last is not None:
            container.restarts += 1
        text = (
            "failed to create containerd task: failed to create shim task: OCI runtime create "
            "failed: runc create failed: unable to start container process: error during "
            f'container init: exec: "{command}": stat {command}: no such file or directory'
        )
        now = self._cluster.now
        container.state, container.reason, container.message = "terminated", "StartError", text
        container.started_at = container.finished_at = now
        container.exit_code = 128
        container.last = render_termination(container)
        pod.phase = "Running" if container.kind is ContainerKind.MAIN else pod.phase
        self._set_waiting(pod, container, "RunContainerError", text)
        self._back_off(pod, container)

    def _plan(self, pod: SimPod, container: SimContainer, program: Program) -> None:
        """Plan what happens to a container that runs."""
        if container.kind is ContainerKind.INIT:
            effect = self._cluster.effect_on(pod, container)
            if effect is not None and effect.kind is EffectKind.HANG:
                return
            code = 0 if effect is None else effect.exit_code
            delay = program.runs if effect is None else effect.after
            reason = "Error" if code else "Completed"
            self._later(pod, container, delay, lambda: self.terminate(pod, container, reason, code))
            return
        self._probes.plan(pod, container, program, self._cluster.effect_on(pod, container))

    def terminate(self, pod: SimPod, container: SimContainer, reason: str, code: int) -> None:
        """End a container; the kubelet restarts it after its back-off."""
        now = self._cluster.now
        self._bump(container)
        if now - container.started_at >= BACK_OFF_RESET:
            container.back_off = 0.0
        container.message = ""
        container.state, container.reason, container.exit_code = "terminated", reason, code
        container.finished_at, container.ready, container.started = now, False, False
        container.probe_failures = 0
        self._update_ready(pod)
        if container.kind is ContainerKind.INIT and not code:
            container.ready = True
            self._start_next(pod)
            return
        container.last = render_termination(container)
        self._back_off(pod, container)

    def _back_off(self, pod: SimPod, container: SimContainer) -> None:
        """Restart a container that has ended: at once the first time, then after its back-off."""
        delay = container.back_off
        container.back_off = min(delay * 2, MAX_BACK_OFF) if delay else 10.0
        if not delay:
            self._later(pod, container, 1.0, lambda: self._start(pod, container))
            return
        text = (
            f"back-off {_format_back_off(delay)} restarting failed container={container.name} "
            f"pod={pod.name}_shop({pod.uid})"
        )

        def wait() -> None:
            self._set_waiting(pod, container, "CrashLoopBackOff", text)
            self._later(pod, container, delay - 1, lambda: self._start(pod, container))

        self._later(pod, container, 1.0, wait)

    # The end of a pod.

    def stop_pod(self, pod: SimPod) -> None:
        """Stop a pod that is deleted; it is gone when its containers have ended."""
        node = self._cluster.nodes.get(pod.node)
        if node is None:
            self._cluster.timeline.after(0.1, lambda: self.remove(pod))
            return
        if not node.is_alive:
            return
        grace = (pod.deleted_at or self._cluster.now) - self._cluster.now
        stops = [
            program.stop
            for c in pod.containers
            if c.state == "running" and (program := self._cluster.program_of(c))
        ]
        delay = max(0.5, min(max(stops, default=0.5), grace))
        pod.removal_at = self._cluster.now + delay
        self._cluster.timeline.after(delay, lambda: self._finish_stop(pod))

    def _finish_stop(self, pod: SimPod) -> None:
        node = self._cluster.nodes.get(pod.node)
        if node is not None and node.is_alive and not pod.finalizers:
            if pod.phase == "Running":
                self._end(pod)
            self.remove(pod)

    def _end(self, pod: SimPod) -> None:
        """Report that the containers of a pod that is deleted serve no more, and have ended."""
        for container in pod.containers:
            container.ready = False
        self._update_ready(pod)
        for container in pod.containers:
            self._bump(container)
            if container.state == "running":
                container.state, container.reason, container.exit_code = "terminated", "Error", 143
                container.finished_at = self._cluster.now
        pod.phase = "Failed"
        self._update_ready(pod)

    def remove(self, pod: SimPod) -> None:
        """Remove a pod from the API server."""
        if self._cluster.pods.pop(pod.uid, None) is not None:
            for container in pod.containers:
                self._bump(container)
            pod.resource_version = self._cluster.next_version()
            self._cluster.emit("Pod", "DELETED", pod)
            self._cluster.sample()

    def evict_by_node(self, pod: SimPod, message: str) -> None:
        """End a pod because its node runs out of something."""
        for container in pod.containers:
            self._bump(container)
            if container.state == "running":
                container.finished_at, container.exit_code = self._cluster.now, 137
                container.state, container.reason = "terminated", "Error"
            container.ready = False
        pod.phase, pod.reason, pod.message = "Failed", "Evicted", message
        self._update_ready(pod, is_changed=True)

    # Changes of the truth.

    def reconsider(self) -> None:
        """Plan anew what happens to every container that runs: a fault has begun or ended."""
        for pod in list(self._cluster.pods.values()):
            node = self._cluster.nodes.get(pod.node)
            if node is None or not node.is_alive:
                continue
            self.replan(pod)

    def replan(self, pod: SimPod) -> None:
        """Plan anew what happens to the containers of a pod that run: it was resized."""
        for container in pod.containers:
            program = self._cluster.program_of(container)
            if container.state == "running" and program is not None:
                self._bump(container)
                self._plan(pod, container, program)

    def restart_node(self, node: SimNode, *, has_rebooted: bool) -> None:
        """Go on with the pods of a node that answers again."""
        for pod in [p for p in self._cluster.pods.values() if p.node == node.name]:
            if pod.deleted_at is not None:
                self._cluster.timeline.after(2.0, lambda pod=pod: self._finish_stop(pod))  # type: ignore[misc]
                continue
            if pod.phase == "Failed":
                continue
            for container in pod.containers:
                self._bump(container)
                if not has_rebooted or container.state != "running":
                    continue
                container.state, container.reason = "terminated", "Unknown"
                container.exit_code, container.finished_at = 255, self._cluster.now
                container.ready, container.started = False, False
                container.last = render_termination(container)
            pod.is_cut_off = False
            if has_rebooted:
                self._update_ready(pod, is_changed=True)
                self._cluster.timeline.after(2.0, lambda pod=pod: self._resume(pod))  # type: ignore[misc]
            else:
                self._update_ready(pod, is_changed=True)
                self._resume(pod)

    def _resume(self, pod: SimPod) -> None:
        for container in pod.containers:
            program = self._cluster.program_of(container)
            if container.kind is ContainerKind.INIT and pod.initialized:
                continue
            if container.state == "running" and program is not None:
                self._plan(pod, container, program)
            elif pod.initialized:
                self._start(pod, container)
        if not pod.initialized:
            self._start_next(pod)

    def _retry_configuration(self) -> None:
        for pod in self._cluster.pods.values():
            for container in pod.containers:
                if container.reason == "CreateContainerConfigError":
                    self._later(
                        pod,
                        container,
                        CONFIG_POLL,
                        lambda pod=pod, container=container: self._start(pod, container),  # type: ignore[misc]
                    )
            if pod.node and pod.containers[0].reason in NOT_STARTED and not pod.initialized:
                self._later(
                    pod,
                    pod.containers[0],
                    CONFIG_POLL,
                    lambda pod=pod: self.start_pod(pod),  # type: ignore[misc]
                )

    # Helpers.

    def _missing_environment(self, container: SimContainer) -> str:
        exists = self._cluster.config_exists
        for variable in container.spec.get("env") or ():
            source = variable.get("valueFrom") or {}
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                ref = source.get(field)
                if not ref or ref.get("optional"):
                    continue
                if not exists(kind, ref["name"]):
                    return f'{kind.lower()} "{ref["name"]}" not found'
                if not exists(kind, ref["name"], ref["key"]):
                    return f"couldn't find key {ref['key']} in {kind} shop/{ref['name']}"
        for source in container.spec.get("envFrom") or ():
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                ref = source.get(field)
                if ref and not ref.get("optional") and not exists(kind, ref["name"]):
                    return f'{kind.lower()} "{ref["name"]}" not found'
        return ""

    def _missing_volume(self, pod: SimPod) -> str:
        for volume in pod.spec.get("volumes") or ():
            for field, kind, name in (
                ("configMap", "ConfigMap", "name"),
                ("secret", "Secret", "secretName"),
            ):
                source = volume.get(field)
                if (
                    source
                    and not source.get("optional")
                    and not self._cluster.config_exists(kind, source[name])
                ):
                    return (
                        f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
                        f'{kind.lower()} "{source[name]}" not found'
                    )
        return ""

    def _tell_event(self, pod: SimPod, reason: str, message: str) -> None:
        self._probes.tell_event(pod, reason, message)

    def _set_waiting(self, pod: SimPod, container: SimContainer, reason: str, text: str) -> None:
        self._bump(container)
        container.state, container.reason, container.message = "waiting", reason, text
        self._cluster.touch_pod(pod)

    def _update_ready(self, pod: SimPod, *, is_changed: bool = False) -> None:
        self._probes.update_ready(pod, is_changed=is_changed)

    @staticmethod
    def _bump(container: SimContainer) -> None:
        container.epoch += 1

    def _later(
        self, pod: SimPod, container: SimContainer, delay: float, action: Callable[[], None]
    ) -> None:
        """Carry out an action of a kubelet, unless the container or its node has changed."""
        epoch = container.epoch

        def run() -> None:
            node = self._cluster.nodes[pod.node]
            if container.epoch == epoch and node.is_alive and pod.uid in self._cluster.pods:
                action()

        self._cluster.timeline.after(delay, run)


def _format_back_off(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def container_kinds(spec: Json) -> list[SimContainer]:
    """Return the containers of a pod spec, in the order in which they start."""
    waiting = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    inits = [
        SimContainer(
            ContainerKind.SIDECAR if c.get("restartPolicy") == "Always" else ContainerKind.INIT,
            c,
            reason=waiting,
        )
        for c in spec.get("initContainers") or ()
    ]
    return inits + [SimContainer(ContainerKind.MAIN, c, reason=waiting) for c in spec["containers"]]
