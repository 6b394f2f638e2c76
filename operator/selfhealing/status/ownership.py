"""Evaluates the condition OwnershipVerified: it names what is taken for the app's and is not.

The condition is absent while there is nothing to tell.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from selfhealing.api import names
from selfhealing.api.status import Condition, ConditionStatus, SelfHealingAppStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.deadlines import Deadlines
from selfhealing.remediation.findings import Finding, FindingReason
from selfhealing.status.sections import pluralize

CONDITION_TYPE: Final = "OwnershipVerified"

FOREIGN_POD_GRACE: Final = timedelta(seconds=30)
"""How old a pod must be before it is called foreign: its ReplicaSet may reach the cache later."""

KEPT_FOR: Final = timedelta(hours=1)
"""How long a finding is shown that is over at once, because what was found is dropped."""

_KEPT_REASONS: Final = frozenset(FindingReason) - {FindingReason.FOREIGN_PODS}

_MAX_NAMES: Final = 3
"""Foreign pods that a message names."""


def collect_findings(
    snapshot: AppSnapshot,
    found: Iterable[Finding],
    previous: Iterable[Condition],
    deadlines: Deadlines,
) -> tuple[Finding, ...]:
    """Return all that is to be told now, the most important first.

    Args:
        snapshot: the app and the foreign pods with its label.
        found: what this reconcile has found beside the foreign pods.
        previous: the stored conditions.
        deadlines: the time of the evaluation.
    """
    findings = [*found, *_find_foreign_pods(snapshot, deadlines)]
    # A finding that was dropped is told for a while, unless there is something newer to tell.
    findings = findings or list(_keep_previous(previous, deadlines))
    order = list(FindingReason)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.reason)))


def _find_foreign_pods(snapshot: AppSnapshot, deadlines: Deadlines) -> Iterator[Finding]:
    shown = [
        pod.name
        for pod in snapshot.foreign_pods
        if pod.created is None or deadlines.reached(pod.created + FOREIGN_POD_GRACE)
    ]
    if not shown:
        return
    count = max(len(shown), snapshot.foreign_pod_count)
    others = f" and {count - _MAX_NAMES} more" if count > _MAX_NAMES else ""
    label = f"{names.LABEL_APP}={snapshot.app.key.name}"
    message = (
        f"{pluralize(count, 'pod')} with the label {label} not made by the app's workload, not "
        f"counted and not touched, but the Service sends requests there: "
        f"{', '.join(shown[:_MAX_NAMES])}{others}"
    )
    yield Finding(FindingReason.FOREIGN_PODS, message)


def _keep_previous(previous: Iterable[Condition], deadlines: Deadlines) -> Iterator[Finding]:
    condition = next((entry for entry in previous if entry.type == CONDITION_TYPE), None)
    if condition is None or condition.reason not in _KEPT_REASONS:
        return
    since = condition.last_transition_time
    if since <= deadlines.now and not deadlines.reached(since + KEPT_FOR):
        yield Finding(FindingReason(condition.reason), condition.message)


def evaluate_ownership(
    findings: tuple[Finding, ...],
) -> Iterator[tuple[str, ConditionStatus, str, str]]:
    """The condition without its times, if there is anything to tell."""
    if findings:
        message = "; ".join(finding.message for finding in findings)
        yield CONDITION_TYPE, ConditionStatus.FALSE, findings[0].reason, message


def find_new_ownership_condition(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus
) -> Condition | None:
    """The condition, if it is there and its reason is another than before."""
    old, new = (
        next((entry for entry in status.conditions if entry.type == CONDITION_TYPE), None)
        for status in (before, after)
    )
    return new if new is not None and (old is None or old.reason != new.reason) else None
