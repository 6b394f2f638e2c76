"""Lists what healing has put in place of the spec, and what ends it."""

from collections.abc import Iterator
from typing import NamedTuple

from selfhealing.api.healing_status import HealingStatus


class Override(NamedTuple):
    """A value in place of the spec's.

    Attributes:
        text: the value.
        end: what ends it, as a clause.
    """

    text: str
    end: str


def list_overrides(record: HealingStatus) -> list[Override]:
    """List the overrides of a healing record (docs/healing.md, "What ends it")."""
    return list(_overrides(record))


def _overrides(record: HealingStatus) -> Iterator[Override]:
    if record.failed_revision is not None:
        yield Override(
            f"the stable revision {record.stable_revision} ({record.stable_image}), because "
            f"{record.failed_revision} failed",
            "until the spec changes or a person resumes"
            if record.retry_at is None
            else f"until {record.retry_at:%Y-%m-%d %H:%M} UTC, or the spec changes",
        )
    for name, limits in (("memory", record.memory_limits), ("CPU", record.cpu_limits)):
        for raised in limits:
            text = f"{name} limit {raised.limit} of container {raised.container}"
            yield Override(text, "until the pods in the spec change")
    if record.relaxed_until is not None:
        text = "the liveness probe may fail three times as often"
        yield Override(text, f"until {record.relaxed_until:%H:%M} UTC")
    if record.excluded_node is not None:
        until = f" {record.excluded_until:%H:%M} UTC" if record.excluded_until else " it is ended"
        yield Override(f"no new pods on node {record.excluded_node}", f"until{until}")
    if record.fallback_replicas is not None:
        text = f"at least {record.fallback_replicas} pods, because the autoscaler has no metrics"
        yield Override(text, "until it has")
    if record.quarantine is not None:
        text = f"pod {record.quarantine.pod} is isolated"
        yield Override(text, f"deleted at {record.quarantine.until:%H:%M} UTC")
