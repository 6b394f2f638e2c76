"""Lists what healing has put in place of the spec, and what ends it."""

from collections.abc import Iterator
from typing import NamedTuple

from selfhealing.api.healing_status import HealingStatus
from selfhealing.plugin.view.explain_texts import OVERRIDES
from selfhealing.plugin.view.language import Language


class Override(NamedTuple):
    """A value in place of the spec's.

    Attributes:
        text: the value.
        end: what ends it, as a clause.
    """

    text: str
    end: str


def list_overrides(record: HealingStatus, language: Language = Language.EN) -> tuple[Override, ...]:
    """List the overrides of a healing record (docs/healing.md, "What ends it")."""
    return tuple(
        Override(
            OVERRIDES[key].text.format(language, *values),
            OVERRIDES[key].end.format(language, *values),
        )
        for key, *values in _find_overrides(record)
    )


def _find_overrides(record: HealingStatus) -> Iterator[tuple[str, ...]]:
    """Yield the key in ``OVERRIDES`` and the values of each override."""
    if record.failed_revision is not None:
        names = (record.stable_revision or "?", record.stable_image or "?", record.failed_revision)
        if record.retry_at is None:
            yield "rollback", *names
        else:
            yield "rollback-for-a-time", *names, f"{record.retry_at:%Y-%m-%d %H:%M}"
    for key, limits in (("memory", record.memory_limits), ("cpu", record.cpu_limits)):
        for raised in limits:
            yield key, raised.container, raised.limit
    if record.relaxed_until is not None:
        yield "liveness", f"{record.relaxed_until:%H:%M}"
    if record.excluded_node is not None:
        until = f"{record.excluded_until:%H:%M}" if record.excluded_until is not None else "?"
        yield "node", record.excluded_node, until
    if record.fallback_replicas is not None:
        yield "replicas", str(record.fallback_replicas)
    if record.quarantine is not None:
        yield "pod", record.quarantine.pod, f"{record.quarantine.until:%H:%M}"
