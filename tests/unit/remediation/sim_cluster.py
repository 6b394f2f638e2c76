"""A simulated cluster with one app: kubelets and controllers react to what healing does.

It knows the faults, which the operator sees only in part and late: of a revision, a node or a pod,
and how much memory the app needs. Times are in seconds after noon.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import (
    AppView,
    ConditionView,
    ContainerView,
    DeploymentView,
    HpaView,
    PodView,
    ResourceQuantities,
    Termination,
)
from selfhealing.remediation import steps
from selfhealing.remediation.limit_steps import exceeds
from tests.unit import builders
from tests.unit.remediation.factories import APP_MEMORY

STARTUP_SECONDS: Final = 10
"""Seconds until a new pod is ready, if it ever is."""

PROGRESS_DEADLINE_SECONDS: Final = 600
"""A rollout that takes longer is reported as stalled."""

REPLICAS: Final = 3
NODES: Final = ("node-1", "node-2", "node-3")

FAULTS: Final = ("crash", "pull", "hang", "config")
"""The faults of a revision, a node or a pod."""

SPEC_MEMORY_LIMIT: Final = "100Mi"
"""The memory limit of the spec."""


class Template(NamedTuple):
    """A pod template; ``memory`` is the override of the memory limit."""

    image: str
    memory: str = ""


FIRST_TEMPLATE: Final = Template("v1")


@dataclass
class SimPod:
    """A pod. ``own_fault`` is a fault of this pod alone."""

    name: str
    template: Template
    node: str
    created_at: int
    memory: str
    resource_version: int
    own_fault: str = ""
    fault: str = "start"
    ready: bool = False
    ready_changed_at: int = 0
    is_node_lost: bool = False
    deleted_at: int | None = None
    ignores_resize: bool = False

    @property
    def uid(self) -> str:
        """The UID."""
        return f"uid-of-{self.name}"


@dataclass
class SimCluster:
    """The app's Deployment, autoscaler and pods, and the nodes."""

    clock: int = 0
    template: Template = FIRST_TEMPLATE
    wanted: int = REPLICAS
    generation: int = 1
    observed_generation: int = 1
    changed_at: int = 0
    rolled_out: bool = False
    image_faults: dict[str, str] = field(default_factory=dict)
    node_faults: dict[str, str] = field(default_factory=dict)
    needed_memory: str = "50Mi"
    metrics_lost_since: int | None = None
    is_paused: bool = False
    pods: dict[str, SimPod] = field(default_factory=dict)
    isolated_pods: dict[str, SimPod] = field(default_factory=dict)
    hashes: dict[Template, str] = field(default_factory=dict)
    resource_version: int = 1
    pod_count: int = 0
    has_disruption_budget: bool = True

    @property
    def progress_deadline_at(self) -> int:
        """When a rollout that is not complete is reported as stalled."""
        return self.changed_at + PROGRESS_DEADLINE_SECONDS

    @property
    def seconds_to_next_change(self) -> int:
        """Seconds until the next change without an action; 0 if there is none."""
        starts = [pod.created_at + STARTUP_SECONDS for pod in self.pods.values()]
        times = [at - self.clock for at in (self.progress_deadline_at, *starts)]
        return min((wait for wait in times if wait > 0), default=0)

    def template_hash(self, template: Template) -> str:
        """The pod-template-hash of a template."""
        return self.hashes.setdefault(template, f"h{len(self.hashes) + 1}")

    def next_resource_version(self) -> int:
        """A new resource version."""
        self.resource_version += 1
        return self.resource_version

    # Requests of the operator.

    def apply(self, template: Template, min_replicas: int | None) -> bool:
        """Apply the Deployment and the autoscaler's minimum; returns whether anything changed."""
        wanted = max(REPLICAS, min_replicas or 0)
        if (template, wanted) == (self.template, self.wanted):
            return False
        if template != self.template:
            self.changed_at, self.rolled_out = self.clock, False
        self.template, self.wanted = template, wanted
        self.generation += 1
        self.next_resource_version()
        return True

    def execute(self, step: steps.Step) -> None:
        """Execute a step, if the resource version of its pod has not changed."""
        if isinstance(step, steps.Delete):
            self._delete(step)
            return
        pod = self.pods.get(step.pod.uid)
        if pod is None:
            return
        if isinstance(step, steps.Resize):
            pod.memory, pod.resource_version = step.limits[APP_MEMORY], self.next_resource_version()
        elif pod.resource_version == step.pod.resource_version and isinstance(step, steps.Isolate):
            self.isolated_pods[pod.uid] = self.pods.pop(pod.uid)
        elif pod.resource_version == step.pod.resource_version and self._can_evict(pod):
            self._start_deletion(pod)

    def _delete(self, step: steps.Delete) -> None:
        self.isolated_pods.pop(step.uid, None)
        if step.uid in self.pods:
            self._start_deletion(self.pods[step.uid])

    def _can_evict(self, pod: SimPod) -> bool:
        """Whether the PodDisruptionBudget (maxUnavailable 1), if any, allows the eviction."""
        ready = sum(p.ready for p in self.pods.values())
        return not self.has_disruption_budget or ready - pod.ready >= self.wanted - 1

    def _start_deletion(self, pod: SimPod) -> None:
        if pod.deleted_at is None:
            pod.deleted_at = self.clock + 30
        pod.resource_version = self.next_resource_version()

    # Kubelets and controllers.

    def run_controllers(self) -> None:
        """Let kubelets and controllers act until nothing changes at the current time."""
        self._run_kubelets()
        if not self.is_paused:
            self.observed_generation = self.generation
            self._roll_out()
        self._run_kubelets()
        new = [pod for pod in self.pods.values() if pod.template == self.template]
        self.rolled_out = self.rolled_out or sum(pod.ready for pod in new) >= self.wanted

    def _run_kubelets(self) -> None:
        for uid, pod in list(self.pods.items()):
            is_node_lost = self.node_faults.get(pod.node) == "lost"
            if pod.deleted_at is not None and not is_node_lost:
                del self.pods[uid]
                continue
            fault = pod.fault if is_node_lost else self._find_fault(pod)
            ready = not fault and not is_node_lost
            if (fault, ready, is_node_lost) != (pod.fault, pod.ready, pod.is_node_lost):
                pod.ready_changed_at = self.clock if ready != pod.ready else pod.ready_changed_at
                pod.fault, pod.ready, pod.is_node_lost, pod.resource_version = (
                    fault,
                    ready,
                    is_node_lost,
                    self.next_resource_version(),
                )

    def _find_fault(self, pod: SimPod) -> str:
        if self.clock < pod.created_at + STARTUP_SECONDS:
            return "start"
        if exceeds(self.needed_memory, pod.memory) or (pod.ignores_resize and pod.fault == "oom"):
            return "oom"
        node = self.node_faults.get(pod.node, "")
        return pod.own_fault or self.image_faults.get(pod.template.image, "") or node

    def _roll_out(self) -> None:
        live = [pod for pod in self.pods.values() if pod.deleted_at is None]
        new = [pod for pod in live if pod.template == self.template]
        old = sorted((pod for pod in live if pod not in new), key=lambda p: (p.ready, p.name))
        room = self.wanted + 1 - len(live)
        missing = self.wanted - len(new)
        for _ in range(max(0, min(room, missing) if old else missing)):
            self._create_pod()
        for pod in old:
            ready = sum(p.ready for p in live)
            if ready - pod.ready >= self.wanted or not (pod.ready or len(live) <= self.wanted):
                live.remove(pod)
                pod.deleted_at = self.clock
        for pod in sorted(new, key=lambda p: p.ready)[: max(0, len(new) - self.wanted)]:
            pod.deleted_at = self.clock

    def _create_pod(self) -> None:
        self.pod_count += 1
        free = [name for name in NODES if self.node_faults.get(name) != "lost"]
        loads = {name: sum(p.node == name for p in self.pods.values()) for name in free}
        node = min(free, key=lambda name: (loads[name], name))
        limit = self.template.memory or SPEC_MEMORY_LIMIT
        name = f"web-{self.template_hash(self.template)}-{self.pod_count}"
        pod = SimPod(
            name,
            self.template,
            node,
            self.clock,
            limit,
            self.next_resource_version(),
            ready_changed_at=self.clock,
        )
        self.pods[pod.uid] = pod

    # The API server.

    def take_snapshot(self, app: AppView) -> AppSnapshot:
        """The snapshot of everything that the API server has now."""
        children = {
            "Deployment": self._view_deployment(),
            "HorizontalPodAutoscaler": self._view_autoscaler(),
        }
        pods = tuple(self._view_pod(pod) for pod in self.pods.values())
        return AppSnapshot(app, children, tuple(sorted(pods, key=lambda pod: pod.name)))

    def _view_deployment(self) -> DeploymentView:
        new = [p for p in self.pods.values() if p.template == self.template]
        reason = "DeploymentPaused" if self.is_paused else "NewReplicaSetAvailable"
        if not self.is_paused and not self.rolled_out and self.clock >= self.progress_deadline_at:
            reason = "ProgressDeadlineExceeded"
        status = "False" if reason == "ProgressDeadlineExceeded" else "True"
        return DeploymentView(
            **_child_fields("Deployment", self.resource_version),
            conditions=(ConditionView("Progressing", status, reason, reason, builders.NOON),),
            generation=self.generation,
            observed_generation=self.observed_generation,
            replicas=self.wanted,
            updated_replicas=len([p for p in new if p.deleted_at is None]),
            available_replicas=sum(p.ready for p in self.pods.values()),
            min_ready_seconds=0,
            progress_deadline_seconds=PROGRESS_DEADLINE_SECONDS,
            template_hash=self.template_hash(self.template),
            owns_replicas=False,
        )

    def _view_autoscaler(self) -> HpaView:
        blind = self.metrics_lost_since is not None
        since = builders.at(self.metrics_lost_since or 0)
        status, reason = ("False", "FailedGetResourceMetric") if blind else ("True", "Valid")
        return HpaView(
            **_child_fields("HorizontalPodAutoscaler", 1),
            conditions=(ConditionView("ScalingActive", status, reason, "no metrics", since),),
            current_replicas=self.wanted,
            desired_replicas=self.wanted,
            min_replicas=self.wanted,
            max_replicas=9,
            last_scale_time=None,
            metrics=(),
        )

    def _waiting_message(self, pod: SimPod) -> str:
        """What the kubelet says: of a fault of the image another thing than of one of a node."""
        is_of_image = not pod.own_fault and self.image_faults.get(pod.template.image) == pod.fault
        return (_IMAGE_MESSAGES if is_of_image else _NODE_MESSAGES).get(pod.fault, "")

    def _view_pod(self, pod: SimPod) -> PodView:
        return PodView(
            uid=pod.uid,
            name=pod.name,
            resource_version=pod.resource_version,
            node=pod.node,
            host_ip="",
            phase="Running",
            reason="",
            message="",
            ready=pod.ready,
            ready_since=builders.at(pod.ready_changed_at),
            ready_reason=""
            if pod.ready or (pod.is_node_lost and not pod.fault)
            else "ContainersNotReady",
            initialized=True,
            created=builders.at(pod.created_at),
            deleting=pod.deleted_at is not None,
            deleted_at=None if pod.deleted_at is None else builders.at(pod.deleted_at),
            finalizers=(),
            template_hash=self.template_hash(pod.template),
            controller_uid=f"uid-of-{self.template_hash(pod.template)}",
            restart_policy="Always",
            unschedulable="",
            unreachable_toleration_seconds=300,
            has_persistent_volumes=False,
            disruption="",
            containers=(_view_container(pod, self._waiting_message(pod)),),
        )


_WAITING_REASONS: Final = {
    "start": "ContainerCreating",
    "crash": "CrashLoopBackOff",
    "oom": "CrashLoopBackOff",
    "pull": "ImagePullBackOff",
    "config": "CreateContainerConfigError",
}


_IMAGE_MESSAGES: Final = {
    "pull": "failed to resolve reference: not found",
    "config": "container has runAsNonRoot and image will run as root",
}
_NODE_MESSAGES: Final = {
    "pull": "failed to resolve reference: dial tcp: i/o timeout",
    "config": "failed to sync configmap cache: timed out waiting for the condition",
}


def _view_container(pod: SimPod, waiting_message: str) -> ContainerView:
    waiting_reason = _WAITING_REASONS.get(pod.fault, "")
    is_crash_looping = waiting_reason == "CrashLoopBackOff"
    began, ended = (
        builders.at(pod.created_at + STARTUP_SECONDS),
        builders.at(pod.created_at + STARTUP_SECONDS + 1),
    )
    reason, code = ("OOMKilled", 137) if pod.fault == "oom" else ("Error", 1)
    return ContainerView(
        name="app",
        image=pod.template.image,
        probes=(),
        is_init=False,
        ready=not pod.fault,
        restarts=5 if is_crash_looping else 0,
        waiting_reason=waiting_reason,
        waiting_message=waiting_message,
        running_since=None if waiting_reason else began,
        starting=False,
        terminated=None,
        last_termination=Termination(reason, code, began, ended) if is_crash_looping else None,
        limits=ResourceQuantities("", pod.memory),
        applied_limits=ResourceQuantities("", pod.memory),
    )


def _child_fields(kind: str, resource_version: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": builders.APP,
        "uid": f"uid-of-{kind}",
        "resource_version": resource_version,
        "owner_uid": builders.APP_UID,
        "applied_hash": "",
        "adopt": False,
        "deleting": False,
        "manifest_json": b"",
    }
