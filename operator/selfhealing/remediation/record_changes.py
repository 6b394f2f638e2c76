"""Says which changes of a record must be stored at once, and which may wait for others.

What flaps changes the record with each flip. Without the write of a change the next decision is
made by the record as it is stored, so only a change may wait that makes it later or not at all: a
diagnosis that is new, an app that has become healthy, and what only informs.
"""

from typing import Any, Final

from selfhealing.api.healing_status import HealingStatus

_MAY_WAIT: Final = {"diagnoses", "healthy_since", "blocked_reason", "next_action", "budget_left"}
"""Fields that are looked at one by one, or only inform."""


def is_decisive_change(before: HealingStatus | None, after: HealingStatus | None) -> bool:
    """Whether a decision that reads ``before`` instead of ``after`` differs or starts sooner."""
    if before is None or after is None:
        return before is not after
    since = {diagnosis.type: diagnosis.since for diagnosis in after.diagnoses}
    has_fallen_ill = before.healthy_since not in {None, after.healthy_since}
    has_lost_diagnosis = any(
        each.type not in since or since[each.type] != each.since for each in before.diagnoses
    )
    return has_fallen_ill or has_lost_diagnosis or _dump_decisive(before) != _dump_decisive(after)


def _dump_decisive(record: HealingStatus) -> dict[str, Any]:
    return record.model_dump(exclude=_MAY_WAIT)
