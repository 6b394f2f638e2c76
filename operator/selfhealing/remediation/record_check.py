"""Checks the stored record of healing against the spec, at the moment at which it is read.

The status is the operator's memory, and also input from outside: whoever may write it may write
anything that its schema allows. So a part of the record has effect only as far as ``spec.healing``
allows it now. The other parts are dropped or reduced, and named. That the objects of the record are
the app's is proved elsewhere (``cache.ownership``, ``controller.live_ownership``).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    RaisedLimitStatus,
    Remediation,
)
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.pod_problems import is_node_lost
from selfhealing.remediation import history
from selfhealing.remediation.foreign_edits import parse_edit_target
from selfhealing.remediation.limit_ceiling import clamp_limits
from selfhealing.remediation.limit_steps import exceeds
from selfhealing.remediation.policy import HealingMode, Policy
from selfhealing.remediation.raised_limits import get_raised_limits, with_raised_limits

MAX_CLOCK_SKEW: Final = timedelta(days=1)
"""How far in the future a stored time may be: the clock of a node may have been set back."""

MAX_ID: Final = 10**9
"""The highest id of an action: far from the largest int32, which the API server takes."""

_REVISION: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A revision is a part of the name of a ControllerRevision."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
"""A whole hash of a pod template."""

_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""The name of a pod or a node: a DNS subdomain, but for some dots."""

_ALLOWED: Final[Mapping[Remediation, Callable[[Policy], bool]]] = {
    Remediation.REMOVE_FOREIGN_FIELDS: lambda policy: policy.rollback,
    Remediation.ROLLBACK: lambda policy: policy.rollback,
    Remediation.RAISE_MEMORY: lambda policy: policy.raises[LimitedResource.MEMORY].enabled,
    Remediation.RAISE_CPU: lambda policy: policy.raises[LimitedResource.CPU].enabled,
    Remediation.RELAX_LIVENESS: lambda policy: policy.relax_liveness,
    Remediation.REPLACE_POD: lambda policy: policy.replace_pod,
    Remediation.AVOID_NODE: lambda policy: policy.replace_pod,
    Remediation.FAILOVER: lambda policy: policy.failover,
    Remediation.SCALING_FALLBACK: lambda policy: policy.fallback_replicas is not None,
    Remediation.QUARANTINE: lambda policy: False,  # noqa: ARG005 - it is never in progress
}
"""By remediation, whether the spec allows an action of it to be in progress."""


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    """The part of a stored record that has effect.

    Attributes:
        record: the record without what the spec does not allow.
        rejected: the parts that were dropped or reduced, each in a few words without any text from
            the status.
    """

    record: HealingStatus
    rejected: tuple[str, ...] = ()


def check_record(  # noqa: PLR0913 - what a record is checked by
    stored: HealingStatus,
    snapshot: AppSnapshot,
    policy: Policy,
    now: datetime,
    *,
    revision: str,
    spec_limits: Mapping[LimitKey, str],
) -> CheckedRecord:
    """Return the part of a stored record that the spec allows.

    Args:
        stored: the record as it was stored.
        snapshot: the app and its pods.
        policy: the limits of spec.healing.
        now: the time.
        revision: the revision that the spec asks for.
        spec_limits: the limits in the spec.
    """
    check = _RecordCheck(stored, snapshot, policy, now)
    check.drop_future_times()
    check.clean_history()
    check.limit_quarantine()
    check.limit_rollback()
    check.limit_raises(revision, spec_limits)
    check.limit_other_overrides()
    check.stop_running_action()
    return CheckedRecord(check.record, tuple(dict.fromkeys(check.rejected)))


class _RecordCheck:
    """One check: the record as it is checked so far, and what was rejected of it."""

    def __init__(
        self, record: HealingStatus, snapshot: AppSnapshot, policy: Policy, now: datetime
    ) -> None:
        self.record = record
        self.rejected: list[str] = []
        self._snapshot = snapshot
        self._policy = policy
        self._now = now

    def _reject(self, part: str, **fields: object) -> None:
        self.rejected.append(part)
        self.record = self.record.model_copy(update=fields)

    def _is_future(self, moment: datetime | None, ahead: timedelta = timedelta()) -> bool:
        return moment is not None and moment - ahead > self._now + MAX_CLOCK_SKEW

    def drop_future_times(self) -> None:
        """Drop times that are too far in the future: they would block or start all actions."""
        for field in (
            "desired_since",
            "healthy_since",
            "budget_reset_time",
            "stable_since",
            "proven_edit_time",
        ):
            if self._is_future(getattr(self.record, field)):
                self._reject("a time in the future", **{field: None})
        if any(self._is_future(diagnosis.since) for diagnosis in self.record.diagnoses):
            kept = [entry for entry in self.record.diagnoses if not self._is_future(entry.since)]
            self._reject("a time in the future", diagnoses=kept)
        if self._is_future(self.record.retry_at, self._policy.max_retry_after):
            retry_at = self._now + self._policy.max_retry_after
            self._reject("retryAt (longer than a day)", retry_at=retry_at)
        if self._is_future(self.record.cooldown_until, self._policy.window):
            until = self._now + self._policy.window
            self._reject("cooldownUntil (longer than the window)", cooldown_until=until)

    def clean_history(self) -> None:
        """Drop the entries that no decision has made, and keep the ids unique and small."""
        kept = list(self._valid_actions())
        if len(kept) < len(self.record.history):
            self._reject("entries of history", history=kept)
        newest_id = max((action.id for action in kept), default=0)
        if not newest_id < self.record.next_id <= MAX_ID:
            self._reject("nextId", next_id=newest_id + 1)

    def _valid_actions(self) -> Iterator[HealingAction]:
        ids: set[int] = set()
        pending: set[ActionOutcome] = set()
        for action in self.record.history:
            is_pending = action.outcome in {ActionOutcome.IN_PROGRESS, ActionOutcome.PROPOSED}
            if (
                action.id in ids
                or action.id >= MAX_ID
                or self._is_future(action.at)
                or self._is_future(action.ended_at)
                or (is_pending and action.outcome in pending)
                or (
                    action.remediation is Remediation.SCALING_FALLBACK
                    and not _is_small_number(action.target)
                )
                or (
                    action.remediation is Remediation.REMOVE_FOREIGN_FIELDS
                    and not self._is_edit(action.target)
                )
            ):
                continue
            ids.add(action.id)
            if is_pending:
                pending.add(action.outcome)
            yield action

    def _is_edit(self, target: str) -> bool:
        edit = parse_edit_target(target)
        return edit is not None and not self._is_future(edit[1])

    def limit_quarantine(self) -> None:
        """Drop an isolated pod that cannot be one; shorten a time above ``quarantine.ttl``."""
        quarantine, ttl = self.record.quarantine, self._policy.quarantine_ttl
        if quarantine is None:
            return
        foreign_uids = {pod.uid for pod in self._snapshot.foreign_pods}
        if quarantine.uid in foreign_uids or not _OBJECT_NAME.fullmatch(quarantine.pod):
            self._reject("quarantine (not a pod of the app)", quarantine=None)
        elif self._is_future(quarantine.until, ttl):
            shortened = quarantine.model_copy(update={"until": self._now + ttl})
            self._reject("quarantine.until (longer than quarantine.ttl)", quarantine=shortened)

    def limit_rollback(self) -> None:
        """Drop a rollback that the spec does not allow, and a revision that is not a name.

        A revision with a hash that is not its own is dropped, too: without the hash less of the
        saved template would be compared.
        """
        stable_revision = self.record.stable_revision
        if not _is_revision(stable_revision, self.record.stable_digest):
            self._reject(
                "stableRevision", stable_revision=None, stable_digest=None, stable_image=None
            )
        previous = self.record.previous_stable_revision
        if not _is_revision(previous, self.record.previous_stable_digest):
            self._reject(
                "previousStableRevision",
                previous_stable_revision=None,
                previous_stable_digest=None,
            )
        if self.record.failed_revision is None:
            return
        if not self._policy.rollback:
            self._reject("failedRevision (rollback is not enabled)", failed_revision=None)
        elif self.record.stable_revision is None:
            self._reject("failedRevision (without a stable revision)", failed_revision=None)

    def limit_raises(self, revision: str, spec_limits: Mapping[LimitKey, str]) -> None:
        """Reduce raised limits to their ceilings; drop those that are not above the spec's.

        Those of another revision, which the next decision clears, are only kept within bounds.
        """
        record, stored = self.record, get_raised_limits(self.record)
        limits = {key: entry.limit for key, entry in stored.items()}
        allowed = clamp_limits(self._policy, spec_limits, limits)
        if record.failed_revision is None and record.desired_revision == revision:
            allowed = {
                key: limit
                for key, limit in allowed.items()
                if key not in spec_limits or exceeds(limit, spec_limits[key])
            }
        kept = {
            key: _limit_entry(stored[key], limit, spec_limits.get(key, "0"))
            for key, limit in allowed.items()
        }
        self.record = with_raised_limits(record, kept)
        if record.desired_revision not in {None, revision}:
            return
        for resource, before, after in (
            (LimitedResource.CPU, record.cpu_limits, self.record.cpu_limits),
            (LimitedResource.MEMORY, record.memory_limits, self.record.memory_limits),
        ):
            if before and not self._policy.raises[resource].enabled:
                self.rejected.append(f"{resource}Limits ({resource}.enabled is false)")
            elif len(after) < len(before):
                self.rejected.append(f"{resource}Limits (not above the limits in the spec)")
            elif after != before:
                self.rejected.append(f"{resource}Limits (above the ceiling)")

    def limit_other_overrides(self) -> None:
        """Drop an excluded node, a relaxed probe or a fallback that the spec does not allow."""
        node, replicas = self.record.excluded_node, self.record.fallback_replicas
        if node is not None and not (self._policy.replace_pod and _OBJECT_NAME.fullmatch(node)):
            self._reject("excludedNode", excluded_node=None)
        if self._is_future(self.record.excluded_until, self._policy.retry_after):
            until = self._now + self._policy.retry_after
            self._reject("excludedUntil (longer than an hour)", excluded_until=until)
        if self.record.relaxed_until is not None and not self._policy.relax_liveness:
            self._reject("relaxedUntil (relaxLiveness is not enabled)", relaxed_until=None)
        elif self._is_future(self.record.relaxed_until, self._policy.relaxed_for):
            until = self._now + self._policy.relaxed_for
            self._reject("relaxedUntil (longer than relaxLiveness.ttl)", relaxed_until=until)
        wanted = self._policy.fallback_replicas
        if replicas is not None and wanted is None:
            self._reject("fallbackReplicas (scalingFallback is not set)", fallback_replicas=None)
        elif replicas is not None and wanted is not None and replicas > wanted:
            self._reject("fallbackReplicas (above scalingFallback)", fallback_replicas=wanted)

    def stop_running_action(self) -> None:
        """Supersede an action in progress that could not have been started by the spec of now."""
        action = history.find_running(self.record)
        if action is None or (reason := self._why_not_allowed(action)) is None:
            return
        self.rejected.append(f"an action in progress ({reason})")
        self.record = history.update_action(
            self.record, action, outcome=ActionOutcome.SUPERSEDED, ended_at=self._now
        )

    def _why_not_allowed(self, action: HealingAction) -> str | None:
        policy = self._policy
        if action.uid and action.uid in {pod.uid for pod in self._snapshot.foreign_pods}:
            return "its pod is not the app's"
        if not _ALLOWED[action.remediation](policy):
            return "the spec does not enable it"
        if policy.mode == HealingMode.APPROVE and self._snapshot.app.approve != str(action.id):
            return "it is not approved"
        if history.count_spent(self.record, policy, self._now) > policy.budget:
            return "it is above the budget"
        if action.remediation is Remediation.FAILOVER and self._is_too_early(action):
            return "its node is not lost for long enough"
        return None

    def _is_too_early(self, action: HealingAction) -> bool:
        """Whether the node of a failover has lost pods, and none of them for long enough."""
        lost_since = [
            pod.ready_since or self._now
            for pod in self._snapshot.pods
            if pod.node == action.target and is_node_lost(pod)
        ]
        lost_until = self._now - self._policy.node_lost_timeout
        return bool(lost_since) and min(lost_since) > lost_until


def _is_revision(revision: str | None, digest: str | None) -> bool:
    """Whether a revision is a name, or none, and the whole hash is one of that revision."""
    if revision is not None and not _REVISION.fullmatch(revision):
        return False
    return digest is None or (
        revision is not None and digest.startswith(revision) and bool(_DIGEST.fullmatch(digest))
    )


def _is_small_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= MAX_ID


def _limit_entry(entry: RaisedLimitStatus, limit: str, spec_limit: str) -> RaisedLimitStatus:
    """The entry with a limit; with the previous one, if that lies between the spec's and it."""
    previous = entry.previous
    if previous is not None and not (exceeds(previous, spec_limit) and exceeds(limit, previous)):
        previous = None
    return entry.model_copy(update={"limit": limit, "previous": previous})
