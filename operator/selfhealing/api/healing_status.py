"""What a user reads back about healing, which is also all that the operator remembers of it.

An operator that is killed between a decision and its action, or between the action and its record,
neither repeats nor forgets: an action is written here as Started before it is carried out, and is
carried out for as long as it stands here so. `history` is the budget's ledger as well.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from selfhealing.api.base import Int32, ListMap, Model
from selfhealing.api.scalars import Count, Name, Text, Time, Word

MAX_HISTORY: Final = 10
MAX_DIAGNOSES: Final = 5


class Remediation(StrEnum):
    """What can be done about an illness."""

    ROLLBACK = "Rollback"
    RAISE_MEMORY = "RaiseMemory"
    REPLACE_POD = "ReplacePod"
    AVOID_NODE = "AvoidNode"
    FAILOVER = "Failover"
    SCALING_FALLBACK = "ScalingFallback"
    QUARANTINE = "Quarantine"


class ActionOutcome(StrEnum):
    """What became of an action."""

    OBSERVED = "Observed"
    PROPOSED = "Proposed"
    EXPIRED = "Expired"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    COMPLETED = "Completed"


class BlockedReason(StrEnum):
    """Why nothing is done although something could be."""

    STARTING_UP = "StartingUp"
    STALE_CACHE = "StaleCache"
    STORM = "Storm"
    NODES_LOST = "NodesLost"
    COOLDOWN = "Cooldown"
    QUARANTINED = "Quarantined"
    AWAITING_APPROVAL = "AwaitingApproval"
    ROLLOUT_PAUSED = "RolloutPaused"
    NO_REMEDIATION = "NoRemediation"


class HealingAction(Model):
    """One decision, and what became of it."""

    id: Count
    """Counts up; what the annotation `selfhealing.dev/approve` names."""

    remediation: Remediation
    """What was to be done."""

    diagnosis: Word
    """For which illness."""

    target: Name = ""
    """To which pod, node or version."""

    uid: Annotated[str, Field(max_length=64)] = ""
    """The UID of that pod."""

    outcome: ActionOutcome
    """Started, Helped, NoHelp; Overtaken by a new version; Observed; Proposed, Expired; Done."""

    at: Time
    """When it was decided."""

    ended_at: Time | None = None
    """When it was known what became of it."""

    message: Text = ""
    """Why."""

    evidence: Name | None = None
    """The key of the app's evidence ConfigMap that holds what was found before."""


class DiagnosisStatus(Model):
    """One illness."""

    type: Word
    """CrashLooping, LivenessKilled, OOMKilled, ImagePullFailing, ConfigError…"""

    cause: Word
    """NewVersion, Node, Pod, Environment or Unknown."""

    confidence: Word
    """High, Medium or Low."""

    pods: Count = 0
    """How many pods have it."""

    message: Text = ""
    """What was seen."""


class QuarantineStatus(Model):
    """A pod that was taken out of the app, for people to look at."""

    pod: Name
    """The pod."""

    uid: Annotated[str, Field(max_length=64)]
    """Its UID."""

    until: Time
    """When it is deleted."""


class HealingStatus(Model):
    """What ails the app, what was done about it and what may still be done."""

    mode: Word
    """The mode in force."""

    budget_left: Count
    """How many actions may still be taken now."""

    blocked_reason: BlockedReason | None = None
    """Why nothing is done although something could be."""

    cooldown_until: Time | None = None
    """Nothing is done before."""

    quarantined: bool = False
    """Nothing is done until the pods in the spec or the annotation `selfhealing.dev/resume` change,
    or the app was well for a whole window."""

    quarantine: QuarantineStatus | None = None
    """The pod that is kept."""

    desired_revision: Word | None = None
    """The version that the spec asks for: a hash of the pod template."""

    desired_since: Time | None = None
    """Since when it is asked for."""

    healthy_since: Time | None = None
    """Since when every pod has been well."""

    stable_revision: Word | None = None
    """The version that is gone back to."""

    stable_image: Text | None = None
    """Its image."""

    failed_revision: Word | None = None
    """The version that the spec asks for and that is not run, because it failed."""

    memory_limit: Word | None = None
    """The memory limit in force instead of the spec's."""

    memory_in_template: bool = False
    """Whether new pods are made with it; else it is set in the pods that run."""

    excluded_node: Name | None = None
    """The node that new pods keep away from, for as long as they find a place elsewhere."""

    fallback_replicas: Annotated[Int32, Field(ge=1)] | None = None
    """At least so many pods, because the autoscaler is blind."""

    budget_reset_time: Time | None = None
    """Actions before this no longer count: the app was resumed, or well for a whole window."""

    observed_resume: Word | None = None
    """The value of `selfhealing.dev/resume` that was last obeyed."""

    next_id: Count = 1
    """The id of the next action."""

    diagnoses: Annotated[
        list[DiagnosisStatus], Field(max_length=MAX_DIAGNOSES), ListMap("type")
    ] = Field(default_factory=list)
    """What ails the app now, the gravest first."""

    history: Annotated[list[HealingAction], Field(max_length=MAX_HISTORY), ListMap("id")] = Field(
        default_factory=list
    )
    """The last ten decisions, the latest first."""
