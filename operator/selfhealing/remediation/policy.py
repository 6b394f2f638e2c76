"""Parses spec.healing of one app into a policy, with durations instead of strings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from selfhealing.api.container_limits import LimitedResource
from selfhealing.api.duration import parse_duration
from selfhealing.api.healing_spec import CPUSpec, HealingSpec, MemorySpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.cache.child_views import DEFAULT_PROGRESS_DEADLINE_SECONDS
from selfhealing.health.pod_diagnosis import Thresholds
from selfhealing.render.vpa import controlled_resources


class HealingMode(StrEnum):
    """What may be done about a diagnosis: the values of ``spec.healing.mode``."""

    AUTO = "Auto"
    """Remediations start by themselves, within the budget."""

    APPROVE = "Approve"
    """A remediation is proposed, and starts when somebody approves of it."""

    OBSERVE = "Observe"
    """What would be done is recorded; nothing starts."""

    OFF = "Off"
    """Diagnoses are shown; nothing is done."""


VERIFICATION_TIMEOUT: Final = timedelta(minutes=5)
"""How long an action has to succeed: enough to stop a pod, pull an image and start slowly."""

MIN_HEALTHY_TIME: Final = timedelta(seconds=30)
"""How long an app must be healthy before an action has succeeded."""

START_GRACE: Final = timedelta(minutes=1)
"""How long a pod may fail to start before that is a diagnosis: a registry may fail for a moment."""

CERTAIN_PATIENCE: Final = timedelta(seconds=10)
"""How long a fault whose cause is certain must last: a cache may lag behind for some seconds."""

RETRY_AFTER: Final = timedelta(hours=1)
"""When a revision that was rolled back without certainty is tried again; doubles each time."""

MAX_RETRY_AFTER: Final = timedelta(hours=24)
"""The longest time until the next such try."""

PREDECESSOR_TTL: Final = timedelta(hours=24)
"""How long after its probation a stable revision may be rolled back to the one before it."""

MEMORY_HORIZON: Final = timedelta(minutes=2)
"""A memory limit is raised if the trend of the usage reaches it within this time."""

MIN_MEMORY_HORIZON: Final = timedelta(minutes=1)
"""The lower bound of the scaled memory horizon: a measurement may be 30 s old at any scale."""

APPROVAL_TTL: Final = timedelta(minutes=30)
"""How long a proposal waits for approval before it expires."""


@dataclass(frozen=True, slots=True)
class RaisePolicy:
    """How far the limits of a resource may be raised.

    Attributes:
        enabled: they may be raised.
        maximum: the highest limit of the app's container; empty for twice the spec's.
        is_vpa_controlled: a VerticalPodAutoscaler sets the limit of the app's container.
    """

    enabled: bool = True
    maximum: str = ""
    is_vpa_controlled: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Which actions may start, and when: the values of spec.healing, and the constants above."""

    mode: HealingMode
    budget: int
    window: timedelta
    cooldown: timedelta
    rollback: bool
    probation: timedelta
    replace_pod: bool
    unready_timeout: timedelta
    failover: bool
    node_lost_timeout: timedelta
    fallback_replicas: int | None
    metrics_timeout: timedelta
    isolate: bool
    quarantine_ttl: timedelta
    verification_timeout: timedelta = VERIFICATION_TIMEOUT
    min_healthy_time: timedelta = MIN_HEALTHY_TIME
    start_grace: timedelta = START_GRACE
    memory_horizon: timedelta = MEMORY_HORIZON
    approval_ttl: timedelta = APPROVAL_TTL
    certain_patience: timedelta = CERTAIN_PATIENCE
    retry_after: timedelta = RETRY_AFTER
    max_retry_after: timedelta = MAX_RETRY_AFTER
    predecessor_ttl: timedelta = PREDECESSOR_TTL
    progress_deadline: timedelta = timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_SECONDS)
    relax_liveness: bool = False
    relaxed_for: timedelta = RETRY_AFTER
    raises: Mapping[LimitedResource, RaisePolicy] = field(
        default_factory=lambda: dict.fromkeys(LimitedResource, RaisePolicy())
    )

    @property
    def thresholds(self) -> Thresholds:
        """How long each state must last before it is a diagnosis."""
        return Thresholds(self.start_grace, self.unready_timeout, self.metrics_timeout)


def scale_memory_horizon(scale: float) -> timedelta:
    """MEMORY_HORIZON multiplied by ``scale``, at least MIN_MEMORY_HORIZON."""
    return max(MEMORY_HORIZON * scale, MIN_MEMORY_HORIZON)


def build_policy(spec: SelfHealingAppSpec, scale: float = 1.0) -> Policy:
    """Build the policy of a spec; every duration is multiplied by ``scale``."""
    healing = spec.healing or HealingSpec()
    fallback = healing.scaling_fallback
    progress_deadline = (
        spec.rollout.progress_deadline_seconds if spec.rollout else None
    ) or DEFAULT_PROGRESS_DEADLINE_SECONDS

    def parse_scaled(text: str) -> timedelta:
        return parse_duration(text) * scale

    return Policy(
        mode=HealingMode(healing.mode),
        budget=healing.budget,
        window=parse_scaled(healing.window),
        cooldown=parse_scaled(healing.cooldown),
        rollback=healing.rollback.enabled,
        probation=parse_scaled(healing.rollback.probation),
        replace_pod=healing.replace_pod.enabled,
        unready_timeout=parse_scaled(healing.replace_pod.after),
        failover=healing.failover.enabled,
        node_lost_timeout=parse_scaled(healing.failover.after),
        fallback_replicas=fallback.replicas if fallback else None,
        metrics_timeout=parse_scaled(fallback.after if fallback else "5m"),
        isolate=healing.quarantine.isolate,
        quarantine_ttl=parse_scaled(healing.quarantine.ttl),
        verification_timeout=VERIFICATION_TIMEOUT * scale,
        min_healthy_time=MIN_HEALTHY_TIME * scale,
        start_grace=START_GRACE * scale,
        memory_horizon=scale_memory_horizon(scale),
        approval_ttl=APPROVAL_TTL * scale,
        certain_patience=CERTAIN_PATIENCE * scale,
        retry_after=RETRY_AFTER * scale,
        max_retry_after=MAX_RETRY_AFTER * scale,
        predecessor_ttl=PREDECESSOR_TTL * scale,
        progress_deadline=timedelta(seconds=progress_deadline) * scale,
        relax_liveness=healing.relax_liveness.enabled,
        relaxed_for=parse_scaled(healing.relax_liveness.ttl),
        raises={
            LimitedResource.CPU: _build_raise_policy(spec, healing.cpu, LimitedResource.CPU),
            LimitedResource.MEMORY: _build_raise_policy(
                spec, healing.memory or MemorySpec(), LimitedResource.MEMORY
            ),
        },
    )


def _build_raise_policy(
    spec: SelfHealingAppSpec, limits: CPUSpec | MemorySpec, resource: LimitedResource
) -> RaisePolicy:
    vertical = spec.vertical_scaling
    return RaisePolicy(
        enabled=limits.enabled,
        maximum="" if limits.max is None else str(limits.max),
        is_vpa_controlled=vertical is not None
        and vertical.mode != "Off"
        and resource in controlled_resources(spec),
    )
