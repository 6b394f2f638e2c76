"""What is shown of an app: its children, revisions, pods, restarts, healing and time line.

The stored status is kept as it is read (``api.status``): it has the healing record, the diagnoses
and the conditions. Beside it is what only the other objects tell.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.status import Condition, SelfHealingAppStatus
from selfhealing.cache.views import AppKey
from selfhealing.plugin.view.level import Level


class RevisionRole(StrEnum):
    """What a revision is to the operator."""

    DESIRED = "desired"
    STABLE = "stable"
    PREVIOUS_STABLE = "previous stable"
    FAILED = "failed"


class TimelineKind(StrEnum):
    """The kinds of entries of a time line."""

    RESTART = "restart"
    HEALING = "healing"
    DIAGNOSIS = "diagnosis"
    ROLLOUT = "rollout"
    SCALING = "scaling"
    STATE = "state"
    """The phase of the app changed."""
    EVENT = "event"
    """Another Event of Kubernetes."""


@dataclass(frozen=True, slots=True)
class RestartModel:
    """The end of a container.

    Attributes:
        reason: why it ended: LivenessProbe, OOMKilled, Error…
        exit_code: its exit code; None if unknown.
        at: when it ended; None if unknown.
    """

    container: str
    reason: str
    exit_code: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ContainerModel:
    """A container of a pod.

    Attributes:
        state: "running", "waiting", "terminated", or "unknown" before the kubelet has reported.
        reason: why it waits or has terminated; else empty.
        is_init: it must complete before the app starts.
        last_restart: how it ended before its last restart; None without one.
    """

    name: str
    image: str
    state: str
    reason: str
    ready: bool
    restarts: int
    is_init: bool
    last_restart: RestartModel | None


@dataclass(frozen=True, slots=True)
class PodModel:
    """A pod.

    Attributes:
        reason: its problem or state in one word: CrashLoopBackOff, Terminating; empty if it is
            ready.
        message: the same in a sentence; empty if nothing is known.
        last_restart: the latest restart of its containers; None without one.
        isolated: it was taken out of the app for inspection.
    """

    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    created: datetime | None
    restarts: int
    reason: str
    message: str
    level: Level
    containers: tuple[ContainerModel, ...]
    last_restart: RestartModel | None
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class RevisionModel:
    """A ReplicaSet of the app's Deployment, or its Job, with its pods.

    Attributes:
        kind: ReplicaSet or Job.
        number: the revision's number in ``kubectl rollout history``; 0 if unknown.
        images: the images of its containers, the app's first.
        current: it has the pod template of the Deployment.
        roles: what it is to the operator.
    """

    kind: str
    name: str
    number: int
    images: tuple[str, ...]
    wanted: int
    ready: int
    created: datetime | None
    current: bool
    roles: tuple[RevisionRole, ...]
    pods: tuple[PodModel, ...]

    @property
    def in_use(self) -> bool:
        """Whether it has pods, shall have some, or is the Deployment's."""
        return self.current or self.wanted > 0 or bool(self.pods)


@dataclass(frozen=True, slots=True)
class ChildModel:
    """An object of the app.

    Attributes:
        state: what it says of itself in a clause; may be empty.
        owned: the app owns it; False for an object of somebody else with that name.
    """

    kind: str
    name: str
    state: str
    level: Level
    owned: bool
    created: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened to the app.

    Attributes:
        at: when it began; for Events that are counted, when it happened last.
        until: when it ended; None if it has no duration or has not ended.
        subject: the object, such as ``pod/web-1``; empty for the app itself.
        title: what happened in a word or two.
        detail: what happened in a sentence; may be empty.
        count: how often.
        first_at: when it happened first, if ``count`` is more than 1.
    """

    at: datetime
    kind: TimelineKind
    level: Level
    subject: str
    title: str
    detail: str
    until: datetime | None = None
    count: int = 1
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AppModel:
    """An app.

    Attributes:
        resource_version: a write with it is refused if the app has changed since.
        current: the operator has seen the present spec: the status is about it.
        paused: ``spec.paused``.
        level: how the app is.
        status: the stored status, cleaned.
        children: its objects, without the workload's ReplicaSets and pods.
        revisions: the newest first.
        other_pods: pods with the app's label that are not its own, and its isolated pods.
        timeline: the newest first.
        gaps: what could not be read, as sentences.
        read_at: when all of this was read, by the API server's clock.
    """

    key: AppKey
    uid: str
    resource_version: str
    generation: int
    created: datetime | None
    current: bool
    deleting: bool
    paused: bool
    level: Level
    status: SelfHealingAppStatus
    children: tuple[ChildModel, ...]
    revisions: tuple[RevisionModel, ...]
    other_pods: tuple[PodModel, ...]
    timeline: tuple[TimelineEntry, ...]
    gaps: tuple[str, ...]
    read_at: datetime

    @property
    def healing(self) -> HealingStatus | None:
        """The healing record; None for a Job, and before the operator has written one."""
        return self.status.healing

    @property
    def phase(self) -> str:
        """The phase; Unknown before the operator has looked."""
        return str(self.status.phase) if self.status.phase is not None else "Unknown"

    def find_condition(self, condition_type: str) -> Condition | None:
        """Return the condition of a type; None without it."""
        return next((c for c in self.status.conditions if c.type == condition_type), None)
