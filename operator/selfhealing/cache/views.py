"""The frozen views of live objects.

Times are aware datetimes in whole seconds, as the API server keeps them in a pod's status; None
means unknown. Free text from the cluster is cut to ``TEXT_LIMIT`` characters. A spec or a status is
kept as compact JSON bytes, because it is seldom read and takes a tenth of the memory of dicts.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from selfhealing.api.container_limits import LimitedResource
from selfhealing.cache.probes import RESTARTING_PROBES, ProbeView

TEXT_LIMIT: Final = 1024
"""Characters. The kubelet's message of a failed image pull ends with the cause, and fits."""

MAX_SPEC_BYTES: Final = 128 * 1024
"""The largest spec of an app that is kept, as JSON. etcd takes 1.5 MiB, and 400 apps of that size
would fill the memory of the operator; a spec with a hundred variables has 10 KiB."""

MAX_STATUS_BYTES: Final = 320 * 1024
"""The largest status of an app that is kept, as JSON. The operator writes none that is larger
(``status.size_limit``), and seldom one of 20 KiB; the schema has room for twice as much."""

MAX_MANIFEST_BYTES: Final = 64 * 1024
"""The largest manifest of a child that is kept, as JSON, with the fields of other managers. Anybody
who may create a Deployment may give it the label; a larger one is read when it is compared."""

MAX_EDIT_BYTES: Final = 8 * 1024
"""The most that is kept of the fields of all foreign edits of a child whose manifest is too large;
a field has about 30 bytes."""

MAX_CONDITIONS: Final = 32
"""Conditions of a child that are kept; a Deployment has three."""

MAX_WORD_LENGTH: Final = 128
"""Characters of a hash or a quantity that are kept: the operator's hashes have 16."""

MAX_IMAGE_LENGTH: Final = 1024
"""Characters of an image that are kept: the name of a repository has 255 at most, a tag 128."""


class AppKey(NamedTuple):
    """The namespace and name of an app: its key in the work queue, the store and the logs."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Termination:
    """The end of a container.

    Attributes:
        reason: the kubelet's reason: Completed, Error, OOMKilled…
        exit_code: the exit code.
        started_at: when the container started.
        finished_at: when it ended.
        message: why the container could not start, as the container runtime says; empty if it had
            started, because the termination message of an app may contain secrets.
    """

    reason: str
    exit_code: int
    started_at: datetime | None
    finished_at: datetime | None
    message: str = ""


class ResourceQuantities(NamedTuple):
    """CPU and memory as Kubernetes quantities; empty where not given."""

    cpu: str
    memory: str

    def get(self, resource: LimitedResource) -> str:
        """Return the quantity of a resource."""
        return self.cpu if resource is LimitedResource.CPU else self.memory


NO_QUANTITIES: Final = ResourceQuantities("", "")


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod.

    Attributes:
        name: the container's name.
        image: the image in the pod's spec.
        probes: its probes, as the pod's spec has them.
        is_init: it must complete before the app starts; False for a sidecar.
        ready: whether it is ready.
        restarts: its restart count.
        waiting_reason: why it waits, such as CrashLoopBackOff; empty if it does not wait.
        waiting_message: the message for ``waiting_reason``.
        running_since: when it started, if it runs.
        starting: it runs, and its startup probe has not succeeded yet.
        terminated: how it ended, if it has ended and is not restarted yet.
        last_termination: how it ended before its last restart.
        limits: its limits in the pod's spec.
        applied_limits: the limits that the kubelet has applied; empty where unknown.
    """

    name: str
    image: str
    probes: tuple[ProbeView, ...]
    is_init: bool
    ready: bool
    restarts: int
    waiting_reason: str
    waiting_message: str
    running_since: datetime | None
    starting: bool
    terminated: Termination | None
    last_termination: Termination | None
    limits: ResourceQuantities = NO_QUANTITIES
    applied_limits: ResourceQuantities = NO_QUANTITIES

    @property
    def restarting_probes(self) -> tuple[str, ...]:
        """Those of its probes whose failure restarts it: "startup", "liveness"."""
        return tuple(probe.kind for probe in self.probes if probe.kind in RESTARTING_PROBES)

    def find_probe(self, kind: str) -> ProbeView | None:
        """Return the probe of a kind; None without one."""
        return next((probe for probe in self.probes if probe.kind == kind), None)


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of an app. Fields that are not listed have the meaning of the pod's own fields.

    Attributes:
        ready_reason: why it is not ready: the kubelet's ContainersNotReady; empty if another
            component set Ready to False.
        initialized: its init containers have completed.
        deleting: it has a deletion timestamp.
        deleted_at: when it should be gone after its deletion, grace period included. It stays
            longer while it has ``finalizers``.
        template_hash: tells the pods of one ReplicaSet, or of one Job, from others.
        controller_uid: the UID of its controller owner; empty without one.
        restart_policy: Always, except in a Job.
        unschedulable: the scheduler's message if no node fits; else empty.
        unreachable_toleration_seconds: how long Kubernetes leaves it on an unreachable node; None
            means for ever.
        has_persistent_volumes: it mounts storage that outlives it. Another pod may not get the
            storage while this one may still run.
        disruption: why Kubernetes removes it, the reason of its condition DisruptionTarget, such as
            PreemptionByScheduler; empty if it does not.
        resize_reason: why its containers do not have the resources of its spec: "Deferred" until
            the node has room, "Infeasible" on this node, or "Error"; else empty.
        resize_message: the kubelet's message for ``resize_reason``.
        is_marked: it has LABEL_NAME.
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
    controller_uid: str
    restart_policy: str
    unschedulable: str
    unreachable_toleration_seconds: int | None
    has_persistent_volumes: bool
    disruption: str
    containers: tuple[ContainerView, ...]
    resize_reason: str = ""
    resize_message: str = ""
    is_marked: bool = False

    @property
    def kubelet_restarts(self) -> bool:
        """Whether the kubelet restarts a container that it kills because a probe failed."""
        return self.restart_policy != "Never"

    def find_container(self, name: str) -> ContainerView | None:
        """Find a container by its name; None before the kubelet has reported it."""
        return next((c for c in self.containers if c.name == name), None)


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition of a child; ``status`` is "True", "False" or "Unknown".

    Attributes:
        since: when ``status`` last changed.
    """

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChildView:
    """The fields that the views of all kinds of children share.

    Attributes:
        owner_uid: the UID of the controller owner, else of an owning SelfHealingApp; else empty.
        applied_hash: the value of ANNOTATION_APPLIED_HASH; empty without it.
        adopt: ANNOTATION_ADOPT is "true".
        deleting: it has a deletion timestamp.
        manifest_json: labels, annotations, owners and spec as JSON, to detect drift; empty in the
            store if it is too large (``child_views.bound_manifest``).
        conditions: the conditions of its status, at most MAX_CONDITIONS.
        manifest_digest: tells one manifest that is too large from another; else empty.
        is_owned_by_namesake: one of its owners is a SelfHealingApp of its name, whatever its UID.
        has_other_managers: another field manager owns fields of it.
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
    manifest_digest: bytes = field(default=b"", kw_only=True)
    is_owned_by_namesake: bool = field(default=False, kw_only=True)
    has_other_managers: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class TemplateEdit:
    """The fields of a Deployment's pod template that another field manager owns.

    Attributes:
        manager: its name.
        at: when it last changed one of its fields, by the API server's clock; None if unknown.
        fields: FieldsV1 below ``spec.template`` as JSON, without what the operator owns, too; empty
            in the store if the manifest is too large and they have no room in MAX_EDIT_BYTES.
        is_undo: the manager has also changed ANNOTATION_APPLIED_HASH, as ``kubectl rollout undo``
            does, which brings back the annotations of the ReplicaSet with its template.
    """

    manager: str
    at: datetime | None
    fields: bytes
    is_undo: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentView(ChildView):
    """A Deployment.

    Attributes:
        template_hash: the pod-template-hash of its current pods; empty if unknown.
        owns_replicas: the operator is the only field manager of ``spec.replicas``.
        failed_revision: the value of ANNOTATION_FAILED_REVISION; empty without it.
        config_hash: the value of ANNOTATION_CONFIG_HASH of its pod template; empty without it.
        has_own_account: its pods run as the ServiceAccount of the same name.
        template_edits: what other field managers own in its pod template, the newest first.
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
    failed_revision: str = ""
    config_hash: str = ""
    has_own_account: bool = False
    template_edits: tuple[TemplateEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView(ChildView):
    """A Job.

    Attributes:
        run_hash: the value of ANNOTATION_RUN_HASH; empty without it.
        completions: how many pods must succeed; None: the first success completes the Job.
        active_deadline_seconds: seconds that the Job may run; None without a limit.
        result: "Complete" or "Failed"; empty while it runs.
        reason: why it failed; set before the last pods have stopped.
        message: the message for ``reason``.
        has_own_account: its pods run as the ServiceAccount of the same name.
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
    has_own_account: bool = False


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric of an autoscaler; ``current`` and ``target`` are texts such as "31%"."""

    name: str
    current: str
    target: str


@dataclass(frozen=True, slots=True)
class HpaView(ChildView):
    """A HorizontalPodAutoscaler."""

    current_replicas: int
    desired_replicas: int
    min_replicas: int
    max_replicas: int
    last_scale_time: datetime | None
    metrics: tuple[MetricView, ...]


@dataclass(frozen=True, slots=True)
class PdbView(ChildView):
    """A PodDisruptionBudget.

    Attributes:
        limit: the limit in the spec, as text: "maxUnavailable 1".
        disruptions_allowed: how many pods may be evicted now; None until Kubernetes has counted.
        current_healthy: how many pods are ready; None until Kubernetes has counted.
        desired_healthy: how many pods must stay; None until Kubernetes has counted.
    """

    limit: str
    disruptions_allowed: int | None
    current_healthy: int | None
    desired_healthy: int | None


@dataclass(frozen=True, slots=True)
class VpaView(ChildView):
    """A VerticalPodAutoscaler's recommendation for the app's container; None without one."""

    update_mode: str
    controlled_resources: tuple[str, ...]
    target: ResourceQuantities | None
    lower_bound: ResourceQuantities | None
    upper_bound: ResourceQuantities | None


@dataclass(frozen=True, slots=True)
class AppView:
    """One SelfHealingApp.

    Attributes:
        approve: the value of ANNOTATION_APPROVE; empty without it.
        resume: the value of ANNOTATION_RESUME; empty without it.
        created: when it was created; None if unknown.
        spec: the stored spec as JSON; it may be invalid. Empty if it is larger than
            MAX_SPEC_BYTES.
        status: the stored status as JSON. Empty if it is larger than MAX_STATUS_BYTES.
        oversized_spec: the bytes of a spec that is larger than MAX_SPEC_BYTES; else 0.
        oversized_status: the bytes of a status that is larger than MAX_STATUS_BYTES; else 0.
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
    created: datetime | None = None
    oversized_spec: int = 0
    oversized_status: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """A ReplicaSet: the link between a pod and its Deployment.

    Attributes:
        controller_uid: the UID of its controller owner; empty without one.
    """

    uid: str
    resource_version: int
    controller_uid: str


class ForeignPod(NamedTuple):
    """A pod with the label of an app that no chain of controllers leads to the app."""

    name: str
    uid: str
    created: datetime | None
