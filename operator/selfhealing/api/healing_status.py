"""The type of `status.healing`, which is also the operator's only memory of remediation.

An operator that is killed between a decision and its action neither repeats nor forgets the action:
it is written here as InProgress before it is carried out, and is carried out for as long as it is
InProgress. The budget is counted from `history`.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from selfhealing.api.base import Int32, ListMap, Model
from selfhealing.api.scalars import Count, Name, Quantity, Text, Time, Uid, Word
from selfhealing.api.status_migration import FORMER_ACTION_NAMES, FORMER_NAMES

MAX_HISTORY: Final = 10
MAX_DIAGNOSES: Final = 5
MAX_RAISED_LIMITS: Final = 20
"""Containers whose limit for a resource is raised at the same time."""
COMPARISON_LIMIT: Final = 256
"""Characters of a comparison."""


class Remediation(StrEnum):
    """What can be done about a diagnosis."""

    REMOVE_FOREIGN_FIELDS = "RemoveForeignFields"
    ROLLBACK = "Rollback"
    RAISE_MEMORY = "RaiseMemory"
    RAISE_CPU = "RaiseCPU"
    RELAX_LIVENESS = "RelaxLiveness"
    REPLACE_POD = "ReplacePod"
    AVOID_NODE = "AvoidNode"
    FAILOVER = "Failover"
    SCALING_FALLBACK = "ScalingFallback"
    QUARANTINE = "Quarantine"


class ActionOutcome(StrEnum):
    """The state of an action: not carried out, in progress, or how it ended."""

    OBSERVED = "Observed"
    PROPOSED = "Proposed"
    EXPIRED = "Expired"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    COMPLETED = "Completed"
    REFUSED = "Refused"


class BlockedReason(StrEnum):
    """Why no remediation is started although the app has a diagnosis."""

    STARTING_UP = "StartingUp"
    STALE_CACHE = "StaleCache"
    STORM = "Storm"
    ACTION_LIMIT = "ActionLimit"
    NODES_LOST = "NodesLost"
    COOLDOWN = "Cooldown"
    QUARANTINED = "Quarantined"
    AWAITING_APPROVAL = "AwaitingApproval"
    ROLLOUT_PAUSED = "RolloutPaused"
    NOT_DUE = "NotDue"
    CHECKING_TARGET = "CheckingTarget"
    TARGET_UNUSABLE = "TargetUnusable"
    NO_REMEDIATION = "NoRemediation"


class HealingAction(Model):
    """One remediation that was decided, and its outcome."""

    former_names = FORMER_ACTION_NAMES

    id: Count
    """A number that grows by one; the annotation `selfhealing.dev/approve` names it."""

    remediation: Remediation
    """What is done."""

    diagnosis: Word
    """The type of the diagnosis that it is for."""

    cause: Word = ""
    """The cause of the diagnosis when the remediation was decided; empty if an earlier version of
    the operator decided it."""

    confidence: Word = ""
    """The confidence of that cause: High, Medium or Low."""

    comparison: Annotated[str, Field(max_length=COMPARISON_LIMIT)] = ""
    """How that cause was found."""

    target: Annotated[str, Field(max_length=253)] = ""
    """The pod, node or revision that it is done to; for RemoveForeignFields the field manager, "@"
    and the time of its edit."""

    uid: Uid = ""
    """The UID of the pod that it is done to."""

    container: Name = ""
    """The container whose limit is raised."""

    outcome: ActionOutcome
    """InProgress, then Succeeded, Failed or Completed; Refused if it could not be carried out;
    Superseded by a new revision; Observed (mode Observe); Proposed, then Expired if not approved
    (mode Approve)."""

    at: Time
    """When it was decided."""

    ended_at: Time | None = None
    """When its outcome was known."""

    message: Text = ""
    """Why it was decided."""

    evidence: Name | None = None
    """The key in the app's evidence ConfigMap of what was collected before the action."""


class DiagnosisStatus(Model):
    """One diagnosis of the app."""

    type: Word
    """CrashLooping, LivenessKilled, OOMKilled, ImagePullFailing, ConfigError…"""

    cause: Word
    """NewVersion, ForeignEdit, Node, Pod, Environment or Unknown."""

    confidence: Word
    """High, Medium or Low."""

    pods: Count = 0
    """How many pods have it."""

    container: Name = ""
    """The container that has the problem; empty if it is unknown, or if the pods differ in it."""

    message: Text = ""
    """What the pods show."""

    comparison: Annotated[str, Field(max_length=COMPARISON_LIMIT)] = ""
    """How the cause was found: what the version changed, and what pods of other versions show."""

    since: Time | None = None
    """When the operator saw it first."""


class NextActionStatus(Model):
    """The action that starts if the diagnosis stays, and when."""

    remediation: Remediation
    """What will be done."""

    diagnosis: Word
    """The type of the diagnosis that it is for."""

    not_before: Time | None = None
    """When it starts at the earliest; sooner if fewer pods are ready by then."""

    message: Text = ""
    """What will be done, and why."""


class QuarantineStatus(Model):
    """A failing pod that was taken out of the app's Service and is kept for inspection."""

    pod: Name
    """The pod."""

    uid: Uid
    """Its UID."""

    until: Time
    """When it is deleted."""


class RaisedLimitStatus(Model):
    """The limit of a container that is in force instead of the spec's."""

    container: Name
    """The container: `app`, or a sidecar."""

    limit: Quantity
    """The limit."""

    previous: Quantity | None = None
    """The limit that is in force again if the last raise is undone; none: the spec's."""


class HealingStatus(Model):
    """The diagnoses of the app, its remediations and their limits."""

    former_names = FORMER_NAMES

    mode: Word
    """The mode in force."""

    budget_left: Count
    """How many actions may still be started in this window."""

    blocked_reason: BlockedReason | None = None
    """Why no remediation is started although the app has a diagnosis."""

    cooldown_until: Time | None = None
    """No action is started before this time."""

    quarantined: bool = False
    """No action is started until the pod template in the spec or the annotation
    `selfhealing.dev/resume` changes, or the app has been healthy for the probation."""

    quarantined_by_budget: bool = False
    """The app is quarantined only because the budget was spent: it ends when there is budget."""

    quarantine: QuarantineStatus | None = None
    """The failing pod that is kept for inspection."""

    next_action: NextActionStatus | None = None
    """The action that starts next, if its diagnosis stays."""

    desired_revision: Word | None = None
    """The revision that the spec asks for: a hash of the pod template."""

    desired_since: Time | None = None
    """Since when the spec asks for this revision."""

    desired_generation: Count | None = None
    """The metadata.generation that asks for it. The revision also changes with the ConfigMaps and
    Secrets that the pods read, and with the operator's own version."""

    healthy_since: Time | None = None
    """Since when the app is healthy; pods that start do not count as unhealthy."""

    stable_revision: Word | None = None
    """The last revision that passed its probation: rollbacks return to it."""

    stable_digest: Word | None = None
    """The whole hash of its pod template: a saved template with another one is not used."""

    stable_image: Text | None = None
    """The image of the stable revision."""

    stable_since: Time | None = None
    """When it passed its probation."""

    previous_stable_revision: Word | None = None
    """The stable revision before: the way back from a stable revision that fails later."""

    previous_stable_digest: Word | None = None
    """The whole hash of the pod template of the stable revision before."""

    previous_stable_image: Text | None = None
    """The image of the stable revision before."""

    failed_revision: Word | None = None
    """The desired revision, if it failed and was rolled back."""

    failed_for_certain: bool = False
    """It is certain that the failed revision was the cause: it is not tried again by itself."""

    failed_config: Word | None = None
    """The hash of the configuration, if it was the configuration that failed: the revision is tried
    again when the configuration changes."""

    retry_at: Time | None = None
    """When the failed revision is tried again; absent if only a person can decide that."""

    retries: Count = 0
    """How often the failed revision was tried again."""

    proven_edit_time: Time | None = None
    """Edits of the Deployment's pod template by others, up to this time, have been healthy for a
    probation."""

    memory_limits: Annotated[
        list[RaisedLimitStatus], Field(max_length=MAX_RAISED_LIMITS), ListMap("container")
    ] = Field(default_factory=list)
    """The memory limits in force instead of the spec's."""

    memory_in_template: bool = False
    """True: new pods are created with these memory limits. False: running pods are resized to
    them."""

    cpu_limits: Annotated[
        list[RaisedLimitStatus], Field(max_length=MAX_RAISED_LIMITS), ListMap("container")
    ] = Field(default_factory=list)
    """The CPU limits in force instead of the spec's; running pods are resized to them."""

    relaxed_until: Time | None = None
    """Until then the liveness probe may fail three times as often as the spec says, before the
    kubelet restarts the container."""

    excluded_node: Name | None = None
    """The node on which new pods are not scheduled while other nodes have room."""

    excluded_until: Time | None = None
    """When new pods may be scheduled on it again."""

    fallback_replicas: Annotated[Int32, Field(ge=1)] | None = None
    """The minimum number of pods while the autoscaler has no metrics."""

    budget_reset_time: Time | None = None
    """Actions before this time do not count against the budget."""

    observed_resume: Word | None = None
    """The value of `selfhealing.dev/resume` that was last acted on."""

    next_id: Count = 1
    """The id of the next action."""

    diagnoses: Annotated[
        list[DiagnosisStatus], Field(max_length=MAX_DIAGNOSES), ListMap("type")
    ] = Field(default_factory=list)
    """The app's current diagnoses, the most severe first."""

    history: Annotated[list[HealingAction], Field(max_length=MAX_HISTORY), ListMap("id")] = Field(
        default_factory=list
    )
    """The last ten actions, the latest first."""
