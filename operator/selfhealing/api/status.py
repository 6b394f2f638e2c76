"""The type of `status`, which the operator writes.

The status is also the operator's only memory, because no state is kept outside the API server.
``read_status`` reads it after a restart, also if an older or newer operator wrote it, and keeps the
parts that it understands. All lists and maps have a limit, so that the object stays small.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from selfhealing.api.base import Int32, ListMap, Model
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.scalars import Count, Name, Text, Time, Uid, Word
from selfhealing.api.status_migration import migrate_healing_status

MAX_PODS: Final = 20
MAX_COUNTED: Final = 200
MAX_REASONS: Final = 30
MAX_CONDITIONS: Final = 20
MAX_METRICS: Final = 20

MAX_REPAIRS: Final = 50
"""Invalid parts of a stored status that are dropped one by one."""


class Phase(StrEnum):
    """The state of the app in one word."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    READY = "Ready"
    DEGRADED = "Degraded"
    HEALING = "Healing"
    QUARANTINED = "Quarantined"
    PAUSED = "Paused"
    INVALID = "Invalid"
    COMPLETED = "Completed"


class LastRestart(Model):
    """The last restart of a container."""

    container: Name
    """The container."""

    reason: Word
    """Why it ended: LivenessProbe, StartupProbe, OOMKilled, Error, Completed…"""

    exit_code: Int32 | None = None
    """The exit code; 137 means SIGKILL."""

    at: Time | None = None
    """When it ended."""


class PodRestart(LastRestart):
    """The last restart in all pods."""

    pod: Name
    """The pod."""


class CountedRestarts(Model):
    """The counted restarts of one container, so that none is counted twice or lost."""

    pod: Name
    """The pod."""

    uid: Uid
    """The pod's UID, which tells it from an earlier pod of that name."""

    container: Name
    """The container."""

    count: Count
    """How many of its restarts are in `total`."""

    reason: Word | None = None
    """Why it last ended."""

    finished_at: Time | None = None
    """When it last ended."""


class RestartsStatus(Model):
    """The restarts of containers."""

    current: Count = 0
    """The sum over the current pods, as `kubectl get pods` shows it."""

    total: Count = 0
    """All restarts since the resource was created, those of deleted pods included."""

    by_reason: Annotated[dict[Word, Count], Field(max_length=MAX_REASONS)] = Field(
        default_factory=dict
    )
    """The total by the reason why the container ended."""

    last: PodRestart | None = None
    """The last restart."""

    counted: Annotated[
        list[CountedRestarts], Field(max_length=MAX_COUNTED), ListMap("uid", "container")
    ] = Field(default_factory=list)
    """The counted restarts by container, from which `total` is updated."""


class PodStatus(Model):
    """One pod, as `kubectl get pods` shows it."""

    name: Name
    """The pod."""

    node: Name | None = None
    """The node that it runs on."""

    phase: Word | None = None
    """Its phase."""

    ready: bool = False
    """Whether it is ready, and so gets requests."""

    restarts: Count = 0
    """The restarts of its containers."""

    reason: Word | None = None
    """Its problem: CrashLoopBackOff, ImagePullBackOff, Unschedulable…"""

    message: Text | None = None
    """Its problem in a sentence."""

    last_restart: LastRestart | None = None
    """Its last restart."""


class ProbesStatus(Model):
    """The probes, each in one line: `http GET :5000/health every 5s, 3 failures`."""

    liveness: Text | None = None
    """The liveness probe, whose failure restarts the container."""

    readiness: Text | None = None
    """The readiness probe, whose failure takes the pod out of the Service."""

    startup: Text | None = None
    """The startup probe, for which the other two wait."""


class AutoscalingStatus(Model):
    """The state of the HorizontalPodAutoscaler."""

    current: Count | None = None
    """The current number of pods."""

    desired: Count | None = None
    """The number of pods that it asks for."""

    min: Count | None = None
    """The minimum number of pods."""

    max: Count | None = None
    """The maximum number of pods."""

    cpu: Word | None = None
    """CPU use and target: 31%/50%."""

    memory: Word | None = None
    """Memory use and target: 60%/80%."""

    metrics: Annotated[dict[Word, Word], Field(max_length=MAX_METRICS)] | None = None
    """Value and target of the other metrics, by name: 7.5/5."""

    last_scale_time: Time | None = None
    """When it last changed the number of pods."""


class JobStatus(Model):
    """The run of the app's Job; it is kept when the Job is deleted."""

    run: Word
    """The hash of the Job's immutable fields; a new Job is created if the spec's differs."""

    succeeded: Count = 0
    """Pods that succeeded."""

    failed: Count = 0
    """Pods that failed."""

    result: Literal["Complete", "Failed"] | None = None
    """How it ended."""

    reason: Word | None = None
    """Why it failed: BackoffLimitExceeded, DeadlineExceeded…"""

    backoff_limit: Count | None = None
    """The number of retries that it had."""

    active_deadline_seconds: Count | None = None
    """Seconds that it was allowed to run."""

    started_at: Time | None = None
    """When it started."""

    finished_at: Time | None = None
    """When it ended."""


class DisruptionStatus(Model):
    """The state of the PodDisruptionBudget."""

    budget: Word
    """Its limit: maxUnavailable 1."""

    allowed: Count | None = None
    """How many pods may be evicted now; at 0 the drain of a node waits."""

    healthy: Count | None = None
    """How many pods are ready, as Kubernetes counts them."""

    required: Count | None = None
    """How many pods must stay ready."""


class ResourceAmounts(Model):
    """CPU and memory, as quantities for `resources.requests`."""

    cpu: Word | None = None
    """CPU, such as 25m."""

    memory: Word | None = None
    """Memory, such as 250Mi."""


class VerticalScalingStatus(Model):
    """VPA's recommendation for the app's container."""

    mode: Word
    """How the recommendation is applied."""

    controls: Word
    """The resources that it controls: cpu, memory."""

    target: ResourceAmounts | None = None
    """The recommended requests."""

    lower_bound: ResourceAmounts | None = None
    """Requests below this are too low."""

    upper_bound: ResourceAmounts | None = None
    """Requests above this are wasted."""

    message: Text | None = None
    """Why there is no recommendation."""


class ConditionStatus(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """A metav1.Condition."""

    published = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition"

    type: Word
    """Ready, Reconciled, Progressing, Healthy, Paused, Reconciling, Stalled, ScalingActive…"""

    status: ConditionStatus
    """True, False or Unknown."""

    reason: Word
    """The reason for the status, in one CamelCase word."""

    message: Text = ""
    """The reason for the status, in a sentence."""

    last_transition_time: Time
    """When `status` last changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that the condition is about."""


UNOBSERVED_STATUS: Final[Mapping[str, int]] = {"observedGeneration": -1}
"""The status of a resource that no operator has seen: without it, tools take the resource for done
(kstatus of sigs.k8s.io/cli-utils finds a resource without a status Current)."""


class SelfHealingAppStatus(Model):
    """The state of the app."""

    observed_generation: int | None = None
    """The generation of the spec that this status is about; -1 before the operator has seen it."""

    phase: Phase | None = None
    """The state of the app in one word."""

    ready: Word | None = None
    """Ready pods of desired pods: 2/2."""

    replicas: Count | None = None
    """The number of pods."""

    ready_replicas: Count | None = None
    """The number of ready pods."""

    updated_replicas: Count | None = None
    """The number of pods of the current revision."""

    selector: Annotated[str, Field(max_length=512)] | None = None
    """The pods' label selector, for `kubectl scale` and autoscalers."""

    image: Text | None = None
    """The image in the spec."""

    endpoint: Text | None = None
    """The address of the app."""

    message: Text | None = None
    """The state of the app in a sentence."""

    restarts: RestartsStatus | None = None
    """The restarts of containers."""

    pods: Annotated[list[PodStatus], Field(max_length=MAX_PODS), ListMap("name")] = Field(
        default_factory=list
    )
    """The pods, those with the most severe problems first; at most 20."""

    probes: ProbesStatus | None = None
    """The probes, each in one line."""

    autoscaling: AutoscalingStatus | None = None
    """The state of the HorizontalPodAutoscaler."""

    job: JobStatus | None = None
    """The run of the app's Job."""

    disruption: DisruptionStatus | None = None
    """The state of the PodDisruptionBudget."""

    vertical_scaling: VerticalScalingStatus | None = None
    """VPA's recommendation for the app's container."""

    healing: HealingStatus | None = None
    """The diagnoses of the app, its remediations and their limits."""

    last_heal_time: Time | None = None
    """When a container was last restarted, or a remediation was last started."""

    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS), ListMap("type")] = (
        Field(default_factory=list)
    )
    """Ready, Reconciled, Progressing, Healthy, Paused; where they apply Reconciling and Stalled (as
    kstatus defines them), ScalingActive, IngressReady, RouteAccepted, PodSecurityAdmitted and
    OwnershipVerified."""

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON for the resource, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_status(status: Mapping[str, Any]) -> SelfHealingAppStatus:
    """Read a stored status of this version, of the version before or of a newer one.

    A field that is invalid is dropped as a whole. In ``healing`` only the smallest invalid part is
    dropped, so that an unknown value of a newer operator does not lose the failed revision; after
    MAX_REPAIRS of these all of it.
    """
    readable = dict(status)
    if isinstance(healing := readable.get("healing"), Mapping):
        readable["healing"] = migrate_healing_status(healing)
    repairs = 0
    while True:
        try:
            return SelfHealingAppStatus.model_validate(readable, by_alias=True, by_name=False)
        except ValidationError as error:
            first_error = error.errors(include_url=False)[0]
            path = first_error["loc"][: -1 if first_error["type"] == "missing" else None]
            is_partly_kept = path[0] == "healing" and repairs < MAX_REPAIRS
            readable = _without_path(readable, path if is_partly_kept else path[:1])
            repairs += 1


def _without_path(value: Any, path: tuple[int | str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of a JSON value without the part at ``path``."""
    copy = value.copy()
    if path[1:]:
        copy[path[0]] = _without_path(value[path[0]], path[1:])
    else:
        del copy[path[0]]
    return copy
