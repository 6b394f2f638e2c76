"""Makes the texts of a status safe to be read: in one clean line, without what may be a secret.

Messages quote the kubelet, the API server, webhooks and the container runtime, which quote the app.
"""

from collections.abc import Sequence
from typing import TypeVar

from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.api.status import Condition, PodStatus, SelfHealingAppStatus, VerticalScalingStatus
from selfhealing.evidence.redaction import redact_message

_HasMessage = TypeVar(
    "_HasMessage", Condition, DiagnosisStatus, HealingAction, PodStatus, VerticalScalingStatus
)
_HasComparison = TypeVar("_HasComparison", DiagnosisStatus, HealingAction)


def make_status_safe(
    status: SelfHealingAppStatus, known_values: Sequence[str]
) -> SelfHealingAppStatus:
    """Make every message of a status safe; a status without anything to change is returned.

    Args:
        status: the status.
        known_values: secret values, the longest first.
    """
    vertical_scaling = status.vertical_scaling
    return status.model_copy(
        update={
            "message": redact_message(status.message or "", known_values)[:TEXT_LIMIT] or None,
            "conditions": _make_all_safe(status.conditions, known_values),
            "pods": _make_all_safe(status.pods, known_values),
            "healing": _make_healing_safe(status.healing, known_values),
            "vertical_scaling": vertical_scaling
            and _make_all_safe([vertical_scaling], known_values)[0],
        }
    )


def _make_healing_safe(
    healing: HealingStatus | None, known_values: Sequence[str]
) -> HealingStatus | None:
    return healing and healing.model_copy(
        update={
            "diagnoses": [
                _make_comparison_safe(diagnosis, known_values)
                for diagnosis in _make_all_safe(healing.diagnoses, known_values)
            ],
            "history": [
                _make_comparison_safe(action, known_values)
                for action in _make_all_safe(healing.history, known_values)
            ],
        }
    )


def _make_comparison_safe(item: _HasComparison, known_values: Sequence[str]) -> _HasComparison:
    comparison = redact_message(item.comparison, known_values)[:COMPARISON_LIMIT]
    is_safe = comparison == item.comparison
    return item if is_safe else item.model_copy(update={"comparison": comparison})


def _make_all_safe(items: Sequence[_HasMessage], known_values: Sequence[str]) -> list[_HasMessage]:
    return [_make_item_safe(item, known_values) for item in items]


def _make_item_safe(item: _HasMessage, known_values: Sequence[str]) -> _HasMessage:
    message = item.message
    if not message:
        return item
    safe = redact_message(message, known_values)[:TEXT_LIMIT]
    return item if safe == message else item.model_copy(update={"message": safe})
