"""``spec.healing`` and ``status.healing``."""

from typing import Any

import pytest

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.healing_spec import MAX_BUDGET, HealingSpec
from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remediation,
)
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from tests.unit.builders import at, iso

Json = dict[str, Any]


class TestSpec:
    """The field `healing` of a spec."""

    def test_the_defaults(self) -> None:
        """The defaults are safe for any app; remediations that need a user's number are off."""
        healing = HealingSpec()

        assert ("Auto", 3, "1h", "1m") == (
            healing.mode,
            healing.budget,
            healing.window,
            healing.cooldown,
        )
        assert (True, "10m") == (healing.rollback.enabled, healing.rollback.probation)
        assert (True, "5m") == (healing.replace_pod.enabled, healing.replace_pod.after)
        assert (True, "1m") == (healing.failover.enabled, healing.failover.after)
        assert (True, "1h") == (healing.quarantine.isolate, healing.quarantine.ttl)
        assert (None, None) == (healing.memory, healing.scaling_fallback)
        assert None is parse_spec({"image": "web:v1"}).healing

    @pytest.mark.parametrize("field", ["window", "cooldown"])
    def test_an_invalid_duration(self, field: str) -> None:
        """The parser refuses it with the message of the CRD, which may be an older one."""
        with pytest.raises(InvalidSpecError) as caught:
            parse_spec({"image": "web:v1", "healing": {field: "90"}})

        assert (
            f"spec.healing.{field}: is '90': write a time in hours, minutes and seconds, "
            "such as 90s, 10m or 1h30m"
        ) == str(caught.value)

    def test_the_history_outlasts_two_budgets(self) -> None:
        """The budget is counted from the history, which must hold two full budgets."""
        assert 2 * MAX_BUDGET <= MAX_HISTORY


RECORD = HealingStatus(
    mode="Auto",
    budget_left=2,
    blocked_reason=BlockedReason.COOLDOWN,
    cooldown_until=at(120),
    quarantine=QuarantineStatus(pod="web-abc-1", uid="u", until=at(3600)),
    desired_revision="new",
    desired_since=at(0),
    stable_revision="good",
    stable_image="web:v1",
    failed_revision="new",
    next_id=3,
    history=[
        HealingAction(
            id=2,
            remediation=Remediation.ROLLBACK,
            diagnosis="CrashLooping",
            target="good",
            outcome=ActionOutcome.IN_PROGRESS,
            at=at(60),
            message="back to version good",
        ),
        HealingAction(
            id=1,
            remediation=Remediation.REPLACE_POD,
            diagnosis="CrashLooping",
            outcome=ActionOutcome.FAILED,
            at=at(10),
            ended_at=at(20),
            evidence="1",
        ),
    ],
)


def stored_status() -> Json:
    """Return a stored status with a remediation record."""
    return SelfHealingAppStatus(ready="1/1", healing=RECORD).to_json()


class TestStatus:
    """The field `healing` of a status."""

    def test_nothing_is_forgotten(self) -> None:
        """The written record is read back."""
        assert RECORD == read_status(stored_status()).healing

    def test_only_healing_is_read(self) -> None:
        """Other invalid fields of the status do not matter."""
        assert RECORD == read_status({**stored_status(), "phase": "Levitating", "pods": 7}).healing

    @pytest.mark.parametrize("status", [{}, {"healing": None}, {"healing": {}}, {"healing": 7}])
    def test_no_record(self, status: Json) -> None:
        """A new app has no record, and an unreadable one counts as none."""
        assert None is read_status(status).healing

    @pytest.mark.parametrize(
        ("changed", "lost"),
        [
            ({"blockedReason": "FullMoon"}, {"blocked_reason": None}),
            ({"cooldownUntil": "soon"}, {"cooldown_until": None}),
            ({"quarantine": {"pod": "web-abc-1"}}, {"quarantine": None}),
            ({"quarantined": "perhaps"}, {}),
            ({"fallbackReplicas": 0}, {}),
            ({"newerThanThis": {"a": 1}}, {}),
            ({"history": "none"}, {"history": []}),
        ],
    )
    def test_an_unknown_value_is_dropped_alone(self, changed: Json, lost: Json) -> None:
        """An unknown value is dropped alone; the failed revision is kept."""
        status = stored_status()
        status["healing"] |= changed

        assert RECORD.model_copy(update=lost) == read_status(status).healing
        assert "1/1" == read_status(status).ready

    def test_an_action_of_another_version(self) -> None:
        """An action with an unknown remediation or outcome is dropped as a whole."""
        status = stored_status()
        newest, oldest = status["healing"]["history"]
        status["healing"]["history"] = [
            {**newest, "id": 5, "remediation": "Exorcism"},
            {**newest, "id": 4, "at": iso(70), "evidence": 4},
            {**newest, "id": 3, "outcome": "Astonished"},
            newest,
            oldest,
        ]
        before = dict(status["healing"])
        found = read_status(status).healing

        assert found is not None
        assert [4, 2, 1] == [action.id for action in found.history]
        assert before == status["healing"]
