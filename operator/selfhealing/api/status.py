"""What a user reads back: the status of a SelfHealingApp.

The status is also the operator's only memory (no state outside the API server), so it is read
again after a restart: `read` takes what an older or newer operator wrote and keeps every part that
it understands. Every list and map has a limit: a status must never outgrow its object.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from selfhealing.api.base import Int32, ListMap, Model
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.scalars import Count, Name, Text, Time, Word
from selfhealing.api.status_migration import migrate_healing_status

MAX_PODS: Final = 20
MAX_COUNTED: Final = 200
MAX_REASONS: Final = 30
MAX_CONDITIONS: Final = 20
MAX_METRICS: Final = 20


class Phase(StrEnum):
    """One word for the whole app."""

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
    """How a container ended before it was started again."""

    container: Name
    """The container."""

    reason: Word
    """Why: LivenessProbe, StartupProbe, OOMKilled, Error, Completed…"""

    exit_code: Int32 | None = None
    """The exit code; 137 is a SIGKILL."""

    at: Time | None = None
    """When it ended."""


class PodRestart(LastRestart):
    """The most recent restart among all pods."""

    pod: Name
    """The pod."""


class CountedRestarts(Model):
    """What has been counted of one container, so that no restart is counted twice or lost."""

    pod: Name
    """The pod."""

    uid: Annotated[str, Field(max_length=64)]
    """The pod's UID: a pod of the same name may be another one."""

    container: Name
    """The container."""

    count: Count
    """Its restarts that are in the total."""

    reason: Word | None = None
    """Why it ended last."""

    finished_at: Time | None = None
    """When it ended last."""


class RestartsStatus(Model):
    """Restarts of containers."""

    current: Count = 0
    """The sum over the pods that live now: what `kubectl get pods` shows."""

    total: Count = 0
    """Since the resource was made; survives deleted pods and never falls."""

    by_reason: Annotated[dict[str, Count], Field(max_length=MAX_REASONS)] = Field(
        default_factory=dict
    )
    """The total, split by why the container ended."""

    last: PodRestart | None = None
    """The most recent one."""

    counted: Annotated[
        list[CountedRestarts], Field(max_length=MAX_COUNTED), ListMap("uid", "container")
    ] = Field(default_factory=list)
    """The ledger behind `total`, one entry for each container that restarted."""


class PodStatus(Model):
    """One pod, in the words of `kubectl get pods`."""

    name: Name
    """The pod."""

    node: Name | None = None
    """The node that it runs on."""

    phase: Word | None = None
    """Its phase."""

    ready: bool = False
    """Whether it gets requests."""

    restarts: Count = 0
    """Its containers' restarts."""

    reason: Word | None = None
    """What it waits for or died of: CrashLoopBackOff, ImagePullBackOff, Unschedulable…"""

    message: Text | None = None
    """The reason in full."""

    last_restart: LastRestart | None = None
    """Its most recent restart."""


class ProbesStatus(Model):
    """Each probe in a sentence: `http GET :5000/health every 5s, 3 failures`."""

    liveness: Text | None = None
    """What restarts a container."""

    readiness: Text | None = None
    """What keeps requests from a pod."""

    startup: Text | None = None
    """What the other two wait for."""


class AutoscalingStatus(Model):
    """What the autoscaler sees and wants."""

    current: Count | None = None
    """How many pods there are."""

    desired: Count | None = None
    """How many pods it wants."""

    min: Count | None = None
    """The fewest that it may choose."""

    max: Count | None = None
    """The most that it may choose."""

    cpu: Word | None = None
    """CPU use against its target: 31%/50%."""

    memory: Word | None = None
    """Memory use against its target: 60%/80%."""

    metrics: Annotated[dict[str, Word], Field(max_length=MAX_METRICS)] | None = None
    """The other metrics against their targets, by name: 7.5/5."""

    last_scale_time: Time | None = None
    """When it last changed the number of pods."""


class JobStatus(Model):
    """The run of an app that runs to its end; it outlives the Job."""

    run: Word
    """What was run: another mark than the spec's means that there is to be a new run."""

    succeeded: Count = 0
    """Pods that succeeded."""

    failed: Count = 0
    """Pods that failed."""

    result: Literal["Complete", "Failed"] | None = None
    """How it ended."""

    reason: Word | None = None
    """Why it failed: BackoffLimitExceeded, DeadlineExceeded…"""

    backoff_limit: Count | None = None
    """How many failures were allowed."""

    active_deadline_seconds: Count | None = None
    """How long it was allowed to take."""

    started_at: Time | None = None
    """When it began."""

    finished_at: Time | None = None
    """When it ended."""


class DisruptionStatus(Model):
    """What the PodDisruptionBudget lets happen now: why a node's drain waits."""

    budget: Word
    """The budget: maxUnavailable 1."""

    allowed: Count | None = None
    """How many pods may be evicted now."""

    healthy: Count | None = None
    """How many pods are ready, as the budget counts them."""

    required: Count | None = None
    """How many of them must stay."""


class ResourceAmounts(Model):
    """CPU and memory, as they can be written under resources.requests."""

    cpu: Word | None = None
    """Such as 25m."""

    memory: Word | None = None
    """Such as 250Mi."""


class VerticalScalingStatus(Model):
    """What the VerticalPodAutoscaler recommends for the app's container."""

    mode: Word
    """What is done with it."""

    controls: Word
    """What it is about: cpu, memory."""

    target: ResourceAmounts | None = None
    """What the container should ask for."""

    lower_bound: ResourceAmounts | None = None
    """Less than this is too little."""

    upper_bound: ResourceAmounts | None = None
    """More than this is wasted."""

    message: Text | None = None
    """Why there is no recommendation."""


class ConditionStatus(StrEnum):
    """The three answers of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """A metav1.Condition."""

    published = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition"

    type: str
    """What it is about: Ready, Reconciled, Progressing, ScalingActive, Healthy, Paused."""

    status: ConditionStatus
    """True, False or Unknown."""

    reason: str
    """Why, in one CamelCase word."""

    message: str = ""
    """Why, in a sentence."""

    last_transition_time: Time
    """When `status` last changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that this was judged by."""


class SelfHealingAppStatus(Model):
    """How the app is, as of `observedGeneration`."""

    observed_generation: int | None = None
    """The generation of the spec that this status is about."""

    phase: Phase | None = None
    """One word for the whole app."""

    ready: Word | None = None
    """Ready pods of wanted pods: 2/2."""

    replicas: Count | None = None
    """How many pods there are."""

    ready_replicas: Count | None = None
    """How many of them are ready."""

    updated_replicas: Count | None = None
    """How many of them are made from the current spec."""

    selector: Annotated[str, Field(max_length=512)] | None = None
    """The pods' label selector, for `kubectl scale` and autoscalers."""

    image: Text | None = None
    """The image that the pods are made from."""

    endpoint: Text | None = None
    """Where to reach the app."""

    message: Text | None = None
    """What is going on, in one line."""

    restarts: RestartsStatus | None = None
    """Restarts of containers."""

    pods: Annotated[list[PodStatus], Field(max_length=MAX_PODS), ListMap("name")] = Field(
        default_factory=list
    )
    """The pods, the worst first; at most 20."""

    probes: ProbesStatus | None = None
    """What is probed, in a sentence each."""

    autoscaling: AutoscalingStatus | None = None
    """What the autoscaler sees and wants."""

    job: JobStatus | None = None
    """The run of an app that runs to its end."""

    disruption: DisruptionStatus | None = None
    """What the PodDisruptionBudget lets happen now: why a node's drain waits."""

    vertical_scaling: VerticalScalingStatus | None = None
    """What the VerticalPodAutoscaler recommends for the app's container."""

    healing: HealingStatus | None = None
    """What ails the app, what was done about it and what may still be done."""

    last_heal_time: Time | None = None
    """When something was last healed: a container restarted, or an action of healing taken."""

    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS), ListMap("type")] = (
        Field(default_factory=list)
    )
    """Ready, Reconciled, Progressing, ScalingActive, Healthy, Paused."""

    def to_json(self) -> dict[str, Any]:
        """Write the status as it goes into the resource; what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_status(status: Mapping[str, Any]) -> SelfHealingAppStatus:
    """Read a stored status; a part that cannot be understood counts as not written.

    Of what is remembered about healing only the smallest part that cannot be understood is lost: a
    word of a newer operator must not cost the memory of a version that failed.
    """
    readable = dict(status)
    if isinstance(healing := readable.get("healing"), Mapping):
        readable["healing"] = migrate_healing_status(healing)
    while True:
        try:
            return SelfHealingAppStatus.model_validate(readable, by_alias=True, by_name=False)
        except ValidationError as error:
            first_error = error.errors(include_url=False)[0]
            path = first_error["loc"][: -1 if first_error["type"] == "missing" else None]
            readable = _without_path(readable, path if path[0] == "healing" else path[:1])


def _without_path(value: Any, path: tuple[int | str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """A copy of a JSON value without the part that ``where`` leads to."""
    copy = value.copy()
    if path[1:]:
        copy[path[0]] = _without_path(value[path[0]], path[1:])
    else:
        del copy[path[0]]
    return copy
