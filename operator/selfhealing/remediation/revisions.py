"""Keeps track of the revisions of an app: desired, stable, the one before it, and failed.

A revision is the hash of a pod template. It becomes the stable revision when it was healthy for the
probation, as far as this process has watched it. The stable revision before is kept, too, because a
revision may fail later than its probation.

A failed revision stays barred while it is the same: its hash also changes with the ConfigMaps and
Secrets that the pods read and with the operator's version, and then the bar moves with it. It ends
with an edit of the spec, with another configuration if that was what failed, with a resume, or, if
the cause was not certain, after a time that doubles.
"""

from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import HealingStatus
from selfhealing.health.deadlines import Deadlines
from selfhealing.remediation import history
from selfhealing.remediation.context import RemediationContext, SavedRevisionName
from selfhealing.remediation.policy import Policy

MAX_RETRY_EXPONENT: Final = 10
"""Bounds the power of two by which the time until the next try grows."""


def restore_lost_record(
    record: HealingStatus, context: RemediationContext, policy: Policy, now: datetime
) -> HealingStatus:
    """Rebuild the revisions of a record that was lost, from the saved ones.

    A status is lost by a restore from a backup or a replace. What is saved of the revisions stays,
    and the Deployment names the revision that it was rolled back from.
    """
    saved = context.external.saved_revisions
    if record.desired_revision is not None or record.stable_revision is not None or not saved:
        return record
    is_rolled_back = context.rolled_back_from == context.desired_revision
    others = [name for name in saved if name.revision != context.desired_revision]
    candidates = others if is_rolled_back else list(saved)
    if not candidates:
        return record
    stable, previous = candidates[0], candidates[1] if len(candidates) > 1 else None
    return record.model_copy(
        update={
            "desired_revision": context.desired_revision,
            "desired_generation": context.generation,
            "stable_revision": stable.revision,
            "stable_digest": None,
            "stable_image": stable.image,
            "previous_stable_revision": previous.revision if previous else None,
            "previous_stable_digest": None,
            "previous_stable_image": previous.image if previous else None,
            "failed_revision": context.desired_revision if is_rolled_back else None,
            "retry_at": _next_try(record, context, policy, now) if is_rolled_back else None,
        }
    )


def is_same_request(record: HealingStatus, context: RemediationContext) -> bool:
    """Whether a changed revision still is what the spec asked for before.

    Nobody has edited the spec. The configuration or the operator's version has changed.
    """
    return record.desired_generation is not None and (
        record.desired_generation == context.generation
    )


def is_bar_kept(record: HealingStatus, context: RemediationContext) -> bool:
    """Whether a failed revision stays barred although its hash has changed."""
    is_other_config = record.failed_config not in {None, context.config_hash}
    return (
        record.failed_revision is not None
        and is_same_request(record, context)
        and not is_other_config
    )


def roll_back(
    record: HealingStatus, context: RemediationContext, policy: Policy, now: datetime, target: str
) -> HealingStatus:
    """Bar the desired revision, and make ``target`` the stable revision."""
    is_predecessor = target == record.previous_stable_revision != record.stable_revision
    fields: dict[str, object] = {
        "failed_revision": context.desired_revision,
        "failed_for_certain": context.is_fault_certain,
        "failed_config": context.config_hash if context.is_config_suspected else None,
        "retry_at": _next_try(record, context, policy, now),
    }
    if is_predecessor:
        fields |= {
            "stable_revision": target,
            "stable_digest": record.previous_stable_digest,
            "stable_image": record.previous_stable_image,
            "stable_since": now,
            "previous_stable_revision": None,
            "previous_stable_digest": None,
            "previous_stable_image": None,
        }
    return record.model_copy(update=fields)


def _next_try(
    record: HealingStatus, context: RemediationContext, policy: Policy, now: datetime
) -> datetime | None:
    """When a revision that failed is tried again; None if it failed with certainty."""
    if context.is_fault_certain:
        return None
    factor: int = 2 ** min(record.retries, MAX_RETRY_EXPONENT)
    return now + min(policy.retry_after * factor, policy.max_retry_after)


def retry_failed_revision(
    record: HealingStatus, context: RemediationContext, deadlines: Deadlines
) -> HealingStatus:
    """Try a revision again that failed without certainty, while the stable one serves.

    It need not be healthy: a fault of its own that shows now and then would bar the other for ever.
    """
    if (
        record.failed_revision is None
        or record.retry_at is None
        or not deadlines.reached(record.retry_at)
        or not context.is_all_current
        or context.ready < context.wanted
        or history.find_running(record) is not None
    ):
        return record
    return return_to_spec(record).model_copy(
        update={
            "retries": record.retries + 1,
            "desired_since": deadlines.now,
            "healthy_since": None,
        }
    )


def forget_missing_revision(record: HealingStatus, context: RemediationContext) -> HealingStatus:
    """Forget the revision whose saved template is gone: the only way is what the spec asks for."""
    if record.stable_revision == context.desired_revision:
        fields: dict[str, object] = {}
    else:
        fields = {
            "stable_revision": record.previous_stable_revision,
            "stable_digest": record.previous_stable_digest,
            "stable_image": record.previous_stable_image,
        }
    fields |= {
        "previous_stable_revision": None,
        "previous_stable_digest": None,
        "previous_stable_image": None,
    }
    return return_to_spec(record).model_copy(update=fields)


def return_to_spec(record: HealingStatus) -> HealingStatus:
    """End the bar of the failed revision, so that the revision of the spec runs."""
    return record.model_copy(
        update={
            "failed_revision": None,
            "failed_for_certain": False,
            "failed_config": None,
            "retry_at": None,
        }
    )


def promote(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Make the desired revision the stable one once it was healthy for the probation.

    Only time counts in which this process watched, and in which one of the pods was ready.
    """
    starts = (
        record.healthy_since,
        record.desired_since,
        context.watching_since,
        context.ready_since,
    )
    since = max(filter(None, starts), default=None)
    if (
        since is None
        or record.healthy_since is None
        or record.failed_revision is not None
        or record.stable_revision == context.desired_revision
        or context.external.revision_not_saved
        or not deadlines.reached(since + policy.probation)
    ):
        return record
    return record.model_copy(
        update={
            "previous_stable_revision": record.stable_revision,
            "previous_stable_digest": record.stable_digest,
            "previous_stable_image": record.stable_image,
            "stable_revision": context.desired_revision,
            "stable_digest": context.desired_digest,
            "stable_image": context.image,
            "stable_since": deadlines.now,
            "retries": 0,
        }
    )


def find_saved_revision(record: HealingStatus, desired_revision: str) -> SavedRevisionName | None:
    """The revision of the record that runs after a rollback, or would; None if there is none."""
    candidates = (
        (record.stable_revision, record.stable_image, record.stable_digest),
        (
            record.previous_stable_revision,
            record.previous_stable_image,
            record.previous_stable_digest,
        ),
    )
    for revision, image, digest in candidates:
        if revision is not None and revision != desired_revision:
            return SavedRevisionName(revision, image or "", digest or "")
    return None


def named_revisions(record: HealingStatus | None) -> frozenset[str]:
    """The revisions whose templates must stay saved."""
    if record is None:
        return frozenset()
    named = (record.stable_revision, record.previous_stable_revision)
    return frozenset(revision for revision in named if revision is not None)


def find_rollback_target(
    record: HealingStatus, context: RemediationContext
) -> SavedRevisionName | None:
    """The revision that a rollback of the desired one returns to; None if there is none."""
    if record.failed_revision is not None or context.external.stable_revision_missing:
        return None
    return find_saved_revision(record, context.desired_revision)


def is_young(record: HealingStatus, policy: Policy, deadlines: Deadlines) -> bool:
    """Whether the stable revision passed its probation so recently that it may be at fault."""
    until = history.find_predecessor_deadline(record, policy)
    return until is not None and not deadlines.reached(until)
