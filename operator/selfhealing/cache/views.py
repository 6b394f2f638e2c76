"""The frozen views that are kept of live objects.

Times are aware datetimes in whole seconds, as the API server keeps them in a pod's status; None is
"not known". Free text of the cluster is cut to ``TEXT_LIMIT`` characters. Documents that are needed
as a whole but seldom (a spec, a status) are kept as compact JSON bytes: a tenth of the dicts' size.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

TEXT_LIMIT: Final = 1024
"""Long enough for the cause, which the kubelet writes at the end of a failed pull's message."""


class AppKey(NamedTuple):
    """What an app is called: the key of the queue, the store and the logs."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the key as it is read in logs."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Termination:
    """How a container ended. ``reason`` is the kubelet's: Completed, Error, OOMKilled.

    ``message`` is kept only where the runtime wrote it, because the container could not start: an
    app's own last words may hold secrets.
    """

    reason: str
    exit_code: int
    started_at: datetime | None
    finished_at: datetime | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod. ``waiting`` is a reason such as CrashLoopBackOff, or empty.

    ``init``: it runs to its end before the app starts; ``image`` is the one that the pod asks for;
    ``killers``: which probes it has that may cost it its life, "startup" and "liveness";
    ``starting``: it runs, and its startup probe has not succeeded yet.
    """

    name: str
    image: str
    restarting_probes: tuple[str, ...]
    is_init: bool
    ready: bool
    restarts: int
    waiting_reason: str
    waiting_message: str
    running_since: datetime | None
    starting: bool
    terminated: Termination | None
    last_termination: Termination | None


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of an app.

    ``ready_reason`` is why it is not ready: the kubelet's ContainersNotReady, or empty where
    somebody else took the readiness away; ``unschedulable`` the scheduler's message, or empty;
    ``initialized``: its init containers are through; ``restart_policy`` is Always but in a Job;
    ``template_hash`` tells the pods of one ReplicaSet, or of one Job, from those of others;
    ``node_patience``: seconds that Kubernetes leaves it on a silent node, None for ever.

    ``memory_limit`` is what the app's container may use by the pod's spec, ``memory_applied`` what
    the kubelet says that it has set; both may change in a pod that runs, and are empty where there
    is no limit or no word of it.

    ``claims``: it mounts storage that outlives a container, so another pod may not get it while
    this one may still run. ``deleted_at`` is when a pod that was deleted should have been gone: its
    grace period is in it. Until its ``finalizers`` are taken off, it stays even then.
    """

    uid: str
    name: str
    resource_version: int
    node: str
    host_ip: str
    phase: str
    reason: str
    message: str
    ready: bool
    ready_since: datetime | None
    ready_reason: str
    initialized: bool
    created: datetime | None
    deleting: bool
    deleted_at: datetime | None
    finalizers: tuple[str, ...]
    template_hash: str
    restart_policy: str
    unschedulable: str
    unreachable_toleration_seconds: int | None
    memory_limit: str
    applied_memory_limit: str
    has_persistent_volumes: bool
    containers: tuple[ContainerView, ...]

    @property
    def kubelet_restarts(self) -> bool:
        """Whether the kubelet restarts a container that it kills because a probe failed."""
        return self.restart_policy != "Never"


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition of a child: type, status ("True", "False", "Unknown"), reason, message.

    ``since`` is when the status last changed.
    """

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChildView:
    """What is the same for every child.

    ``applied`` is the hash in ANNOTATION_APPLIED, ``owned_by`` the uid of the owner,
    ``document`` the labels, annotations, owners and spec as JSON, to tell drift by.
    """

    kind: str
    name: str
    uid: str
    resource_version: int
    owner_uid: str
    applied_hash: str
    adopt: bool
    deleting: bool
    manifest_json: bytes
    conditions: tuple[ConditionView, ...]


@dataclass(frozen=True, slots=True)
class DeploymentView(ChildView):
    """A Deployment's numbers.

    ``template_hash`` marks the pods of its current template, empty when it does not say;
    ``owns_replicas``: the operator's own manager holds spec.replicas.
    """

    generation: int
    observed_generation: int
    replicas: int
    updated_replicas: int
    available_replicas: int
    min_ready_seconds: int
    progress_deadline_seconds: int
    template_hash: str
    owns_replicas: bool


@dataclass(frozen=True, slots=True)
class JobView(ChildView):
    """A Job's numbers.

    ``run`` is the hash in ANNOTATION_RUN; ``completions`` None: the first pod that succeeds ends
    the work. ``result`` is "Complete", "Failed" or empty, ``reason`` and ``message`` are those of
    the failure, which is known before the last pods have stopped.
    """

    run_hash: str
    parallelism: int
    completions: int | None
    backoff_limit: int
    active_deadline_seconds: int | None
    suspended: bool
    succeeded: int
    failed: int
    result: str
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceView(ChildView):
    """Where a Service can be reached."""

    port: int
    node_port: int
    ingress: str


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric of an autoscaler: "31%/50%" as current and target."""

    name: str
    current: str
    target: str


@dataclass(frozen=True, slots=True)
class HpaView(ChildView):
    """A HorizontalPodAutoscaler's numbers."""

    current_replicas: int
    desired_replicas: int
    min_replicas: int
    max_replicas: int
    last_scale_time: datetime | None
    metrics: tuple[MetricView, ...]


@dataclass(frozen=True, slots=True)
class PdbView(ChildView):
    """A PodDisruptionBudget's numbers: ``limit`` as it is written, "maxUnavailable 1".

    ``allowed`` pods may go now, ``healthy`` are ready, ``required`` of them must stay; None while
    Kubernetes has not counted.
    """

    limit: str
    disruptions_allowed: int | None
    current_healthy: int | None
    desired_healthy: int | None


class ResourceQuantities(NamedTuple):
    """CPU and memory as quantities; empty where there is none."""

    cpu: str
    memory: str


@dataclass(frozen=True, slots=True)
class VpaView(ChildView):
    """What a VerticalPodAutoscaler says of the app's own container; None while it says nothing."""

    update_mode: str
    controlled_resources: tuple[str, ...]
    target: ResourceQuantities | None
    lower_bound: ResourceQuantities | None
    upper_bound: ResourceQuantities | None


@dataclass(frozen=True, slots=True)
class AppView:
    """One SelfHealingApp: ``spec`` and ``status`` as JSON.

    ``approve`` and ``resume`` are what people wrote in the annotations of those names.
    """

    key: AppKey
    uid: str
    resource_version: int
    generation: int
    deleting: bool
    approve: str
    resume: str
    spec: bytes
    status: bytes


@dataclass(frozen=True, slots=True)
class ContainerKillEvent:
    """A container that the kubelet killed, told by its Event.

    ``probe`` is "liveness" or "startup" where one failed, and empty where the kubelet does not say
    why: it stopped the whole pod. ``at`` is the last time it happened.
    """

    pod_uid: str
    container: str
    probe: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NodeCount:
    """How many nodes the cluster has, and which of them nothing is heard of."""

    total: int
    unreachable: frozenset[str]
