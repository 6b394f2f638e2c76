"""What a user writes about healing: which remedies, how often, and whether to ask first.

Everything has a default that is safe for an app that says nothing about healing.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from selfhealing.api import cel_rules as cel, duration
from selfhealing.api.base import Int32, KubernetesType, SpecModel

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"

MAX_BUDGET = 5
"""The history of ten is the budget's ledger: it must outlast two full budgets."""


def _validate_duration(text: str) -> str:
    try:
        duration.parse_duration(text)
    except ValueError as error:
        message_context = {"message": duration.DURATION_RULE.message}
        raise PydanticCustomError("duration", "{message}", message_context) from error
    return text


Duration = Annotated[duration.Duration, AfterValidator(_validate_duration)]


class RollbackSpec(SpecModel):
    """Going back to the last version that was well, when a new one is the cause."""

    enabled: bool = True
    """False: a bad version stays."""

    probation: Duration = "10m"
    """A version that was well for so long is one to go back to, and is no longer blamed."""


class MemorySpec(SpecModel):
    """Raising the memory limit of an app that is killed for want of memory, or will soon be."""

    max: Annotated[int | str, KubernetesType(QUANTITY)]
    """Never more than this."""


class ReplacePodSpec(SpecModel):
    """Replacing a pod that hangs or is sick while the others are well."""

    enabled: bool = True
    """False: it stays."""

    after: Duration = "5m"
    """A pod counts as hung when it was not ready for so long."""


class FailoverSpec(SpecModel):
    """Replacing the pods of a lost node sooner than Kubernetes does."""

    enabled: bool = True
    """False: Kubernetes' own five minutes."""

    after: Duration = "1m"
    """How long after the loss of the node was noticed."""


class ScalingFallbackSpec(SpecModel):
    """What to do when the autoscaler gets no metrics."""

    replicas: Annotated[Int32, Field(ge=1)]
    """At least so many pods until the metrics are back; never fewer than there are."""

    after: Duration = "5m"
    """How long the metrics may be away."""


class QuarantineSpec(SpecModel):
    """What becomes of an app that no remedy has helped."""

    isolate: bool = True
    """One failing pod is taken out of the app and kept, while others serve."""

    ttl: Duration = "1h"
    """How long that pod is kept."""


class HealingSpec(SpecModel):
    """What is done about an app that is ill, and how often at the most."""

    rules = (cel.WINDOW_LONGER_THAN_COOLDOWN,)

    mode: Literal["Auto", "Approve", "Observe", "Off"] = "Auto"
    """Auto acts, Approve asks first, Observe only says what it would do, "Off" does neither."""

    budget: Annotated[Int32, Field(ge=1, le=MAX_BUDGET)] = 3
    """At most so many actions within `window`; then the app is quarantined."""

    window: Duration = "1h"
    """The time over which actions are counted."""

    cooldown: Duration = "1m"
    """The rest after an action; twice as long after each that did not help."""

    rollback: RollbackSpec = Field(default_factory=RollbackSpec)
    """Going back to the last version that was well."""

    memory: MemorySpec | None = None
    """Raising the memory limit; not done unless a maximum is given."""

    replace_pod: ReplacePodSpec = Field(default_factory=ReplacePodSpec)
    """Replacing a pod that hangs or is sick."""

    failover: FailoverSpec = Field(default_factory=FailoverSpec)
    """Replacing the pods of a lost node."""

    scaling_fallback: ScalingFallbackSpec | None = None
    """What to do when the autoscaler gets no metrics; without it, Kubernetes holds the number."""

    quarantine: QuarantineSpec = Field(default_factory=QuarantineSpec)
    """What becomes of an app that no remedy has helped."""
