"""The type of `spec.healing`: which remediations are allowed, how often, and with whose approval.

Every field has a default that is safe for an app without `spec.healing`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from selfhealing.api import cel_rules as cel, duration
from selfhealing.api.base import Int32, KubernetesType, SpecModel

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"

MAX_BUDGET = 5
"""Actions. The budget is counted from the ten entries of `status.healing.history`, which must hold
two full budgets."""


def _validate_duration(text: str) -> str:
    try:
        duration.parse_duration(text)
    except ValueError as error:
        message_context = {"message": duration.DURATION_RULE.message}
        raise PydanticCustomError("duration", "{message}", message_context) from error
    return text


Duration = Annotated[duration.Duration, AfterValidator(_validate_duration)]


class RollbackSpec(SpecModel):
    """Rolls back to the last stable revision when a new one is the cause of the diagnosis."""

    enabled: bool = True
    """False: a failed revision stays."""

    probation: Duration = "10m"
    """How long a revision must be healthy until it is stable: rollbacks return to it."""


class MemorySpec(SpecModel):
    """Raises the memory limit of a container that is OOM-killed, or soon will be."""

    enabled: bool = True
    """False: memory limits stay as they are in the spec."""

    max: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """The highest memory limit of the app's container; twice its limit in the spec if not given,
    as for sidecars."""


class CPUSpec(SpecModel):
    """Raises the CPU limit of a container that uses all of it while its probes fail."""

    enabled: bool = True
    """False: CPU limits stay as they are in the spec."""

    max: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """The highest CPU limit of the app's container; twice its limit in the spec if not given, as
    for sidecars."""


class RelaxLivenessSpec(SpecModel):
    """Relaxes the liveness probe of a proved version, for a time, if it kills every pod."""

    enabled: bool = False
    """True: the probe may fail three times as often before the kubelet restarts a container. A
    container that hangs is restarted later, too."""

    ttl: Duration = "1h"
    """How long that lasts; then the probe is again as the spec says."""


class ReplacePodSpec(SpecModel):
    """Deletes a pod that hangs or fails while the others are healthy; its owner replaces it."""

    enabled: bool = True
    """False: the pod stays."""

    after: Duration = "5m"
    """A pod that runs and is not ready for this long hangs."""


class RecycleSpec(SpecModel):
    """A stored `replacePod` under its old name, which HealingSpec reads as `replacePod`."""

    # Typed: Kubernetes 1.36.3 takes an object of unknown fields for changed, in a CEL rule and in
    # validation ratcheting, also where it is as it was.
    enabled: bool | None = None
    """As in `replacePod`."""

    after: Duration | None = None
    """As in `replacePod`."""


class FailoverSpec(SpecModel):
    """Replaces the pods of an unreachable node sooner than Kubernetes does."""

    enabled: bool = True
    """False: Kubernetes evicts the pods, by default after five minutes."""

    after: Duration = "1m"
    """How long the node must have been unreachable."""


class ScalingFallbackSpec(SpecModel):
    """Sets a minimum number of pods while the autoscaler has no metrics."""

    replicas: Annotated[Int32, Field(ge=1)]
    """The minimum until the metrics are back; pods are added, never removed."""

    after: Duration = "5m"
    """How long the metrics must have been missing."""


class QuarantineSpec(SpecModel):
    """What happens when no remediation has succeeded: no further action, one pod is kept."""

    rules = (cel.QUARANTINE_KEEP_IS_TTL,)

    isolate: bool = True
    """One failing pod is taken out of the app's Service and kept, if other pods are ready."""

    ttl: Duration = "1h"
    """How long that pod is kept."""

    keep: Duration | None = None
    """Old name of `ttl`; refused in new specs."""

    @model_validator(mode="before")
    @classmethod
    def _read_keep(cls, value: object) -> object:
        """Use a stored `keep` as `ttl`: the CRD's default of `ttl` is filled in beside it."""
        if isinstance(value, Mapping) and value.get("keep") is not None:
            return {**value, "ttl": value["keep"]}
        return value


class EvidenceSpec(SpecModel):
    """What is saved about the pods before an action."""

    logs: bool | None = None
    """True: also the last lines of the containers' logs, with what looks like a secret masked. Not
    given: as the label `selfhealing.dev/evidence-logs` of the Namespace says, else no lines. That
    label set to "false" forbids them."""


class HealingSpec(SpecModel):
    """Which remediations are allowed, and how many of them."""

    rules = (cel.WINDOW_LONGER_THAN_COOLDOWN, cel.RECYCLE_IS_REPLACE_POD)

    mode: Literal["Auto", "Approve", "Observe", "Off"] = "Auto"
    """Auto acts; Approve waits for the annotation `selfhealing.dev/approve`; Observe only records;
    "Off" (in quotes) does nothing."""

    budget: Annotated[Int32, Field(ge=1, le=MAX_BUDGET)] = 3
    """The maximum number of actions within `window`; after that the app is quarantined."""

    window: Duration = "1h"
    """The time over which actions are counted."""

    cooldown: Duration = "1m"
    """The pause after an action; it doubles with each action that failed."""

    rollback: RollbackSpec = Field(default_factory=RollbackSpec)
    """Rolling back to the last stable revision."""

    memory: MemorySpec | None = None
    """Raising a memory limit that is too low. Where it is written, the memory use is watched, too,
    and a limit that it nears is raised before a kill."""

    cpu: CPUSpec = Field(default_factory=CPUSpec)
    """Raising a CPU limit that makes probes fail."""

    relax_liveness: RelaxLivenessSpec = Field(default_factory=RelaxLivenessSpec)
    """Relaxing a liveness probe that kills pods which serve, but slowly; off unless enabled."""

    replace_pod: ReplacePodSpec = Field(default_factory=ReplacePodSpec)
    """Replacing a pod that hangs or fails."""

    failover: FailoverSpec = Field(default_factory=FailoverSpec)
    """Replacing the pods of an unreachable node."""

    scaling_fallback: ScalingFallbackSpec | None = None
    """Setting a minimum number of pods while the autoscaler has no metrics; off unless given."""

    quarantine: QuarantineSpec = Field(default_factory=QuarantineSpec)
    """What happens when no remediation has succeeded."""

    evidence: EvidenceSpec | None = None
    """What is saved about the pods before an action."""

    recycle: RecycleSpec | None = None
    """Old name of `replacePod`; refused in new specs."""

    @model_validator(mode="before")
    @classmethod
    def _read_recycle(cls, value: object) -> object:
        """Use a stored `recycle` as `replacePod`."""
        if isinstance(value, Mapping) and value.get("recycle") is not None:
            return {"replacePod": value["recycle"], **value}
        return value
