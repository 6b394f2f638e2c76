"""Keeps a status so small that the operator can keep it in memory.

An ordinary status is far smaller. Long texts of thousands of characters that take several bytes
each could make it larger, and the operator would not read what it has written.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from selfhealing.api.healing_status import DiagnosisStatus, HealingAction
from selfhealing.api.status import Condition, PodStatus, SelfHealingAppStatus
from selfhealing.cache.views import MAX_STATUS_BYTES

SHORT_TEXT: Final = 128
"""Characters of a message in a status that is too large."""

_HasMessage = TypeVar("_HasMessage", Condition, DiagnosisStatus, HealingAction, PodStatus)


def limit_status_size(status: SelfHealingAppStatus) -> SelfHealingAppStatus:
    """Return a status that has at most MAX_STATUS_BYTES as JSON.

    Of one that is larger the messages are shortened, and past actions lose their comparison. If
    that is not enough, the pods are left out, and then the reasons of the counted restarts. What
    healing and the counts go by stays.
    """
    for reduce in (_shorten_messages, _leave_pods_out, _leave_reasons_out):
        if measure_status(status) <= MAX_STATUS_BYTES:
            break
        status = reduce(status)
    return status


def measure_status(status: SelfHealingAppStatus) -> int:
    """Return the bytes of a status as JSON."""
    return len(status.model_dump_json(by_alias=True, exclude_none=True).encode())


def _shorten_messages(status: SelfHealingAppStatus) -> SelfHealingAppStatus:
    healing = status.healing and status.healing.model_copy(
        update={
            "diagnoses": _shorten_all(status.healing.diagnoses),
            "history": [
                action.model_copy(update={"comparison": ""})
                for action in _shorten_all(status.healing.history)
            ],
        }
    )
    return status.model_copy(
        update={
            "conditions": _shorten_all(status.conditions),
            "pods": _shorten_all(status.pods),
            "healing": healing,
        }
    )


def _shorten_all(items: Sequence[_HasMessage]) -> list[_HasMessage]:
    return [
        item.model_copy(update={"message": item.message[:SHORT_TEXT]}) if item.message else item
        for item in items
    ]


def _leave_pods_out(status: SelfHealingAppStatus) -> SelfHealingAppStatus:
    return status.model_copy(update={"pods": []})


def _leave_reasons_out(status: SelfHealingAppStatus) -> SelfHealingAppStatus:
    restarts = status.restarts and status.restarts.model_copy(
        update={
            "counted": [
                entry.model_copy(update={"reason": None}) for entry in status.restarts.counted
            ]
        }
    )
    return status.model_copy(update={"restarts": restarts})
