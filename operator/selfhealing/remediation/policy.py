"""The limits of healing for one app: what the spec says, in times that can be reckoned with."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from selfhealing.api.duration import parse
from selfhealing.api.healing import HealingSpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.health.pod_diagnosis import Thresholds

AUTO: Final = "Auto"
OFF: Final = "Off"
OBSERVE: Final = "Observe"
APPROVE: Final = "Approve"

VERIFY: Final = timedelta(minutes=5)
"""How long an action may take to help. The loss of a pod, a pull and a slow start fit into it."""

PROOF: Final = timedelta(seconds=30)
"""How long an app must have been well before an action counts as a help."""

PATIENCE: Final = timedelta(minutes=1)
"""How long a pod may fail to start before that is an illness: a registry has hiccups."""

HORIZON: Final = timedelta(minutes=2)
"""How near in time a memory limit must be before it is raised."""

LEAST_HORIZON: Final = timedelta(minutes=1)
"""However small the scale is: what is measured may be half a minute old, and that has no scale."""

APPROVAL: Final = timedelta(minutes=30)
"""How long a proposal stands."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be done, and when; the fields are those of the spec's ``healing``."""

    mode: str
    budget: int
    window: timedelta
    cooldown: timedelta
    rollback: bool
    probation: timedelta
    memory_max: str
    recycle: bool
    hung_after: timedelta
    failover: bool
    lost_after: timedelta
    fallback_replicas: int | None
    blind_after: timedelta
    isolate: bool
    keep: timedelta
    verify: timedelta = VERIFY
    proof: timedelta = PROOF
    patience: timedelta = PATIENCE
    horizon: timedelta = HORIZON
    approval: timedelta = APPROVAL

    @property
    def thresholds(self) -> Thresholds:
        """How long each state must last before it is a diagnosis."""
        return Thresholds(self.patience, self.hung_after, self.blind_after)


def horizon(scale: float) -> timedelta:
    """How near in time a memory limit must be, by the scale of healing."""
    return max(HORIZON * scale, LEAST_HORIZON)


def policy(spec: SelfHealingAppSpec, scale: float = 1.0) -> Policy:
    """The limits that a spec sets; every time is multiplied by ``scale``."""
    healing = spec.healing or HealingSpec()
    fallback = healing.scaling_fallback

    def time(text: str) -> timedelta:
        return parse(text) * scale

    return Policy(
        mode=healing.mode,
        budget=healing.budget,
        window=time(healing.window),
        cooldown=time(healing.cooldown),
        rollback=healing.rollback.enabled,
        probation=time(healing.rollback.probation),
        memory_max=str(healing.memory.max) if healing.memory else "",
        recycle=healing.recycle.enabled,
        hung_after=time(healing.recycle.after),
        failover=healing.failover.enabled,
        lost_after=time(healing.failover.after),
        fallback_replicas=fallback.replicas if fallback else None,
        blind_after=time(fallback.after if fallback else "5m"),
        isolate=healing.quarantine.isolate,
        keep=time(healing.quarantine.keep),
        verify=VERIFY * scale,
        proof=PROOF * scale,
        patience=PATIENCE * scale,
        horizon=horizon(scale),
        approval=APPROVAL * scale,
    )
