"""Whatever the cluster says, the status that quotes it is clean and has no secrets."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, strategies as st

from selfhealing.api.healing_status import DiagnosisStatus, HealingAction, HealingStatus
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.api.status import SelfHealingAppStatus
from selfhealing.status.safe_text import make_status_safe
from tests.unit.builders import crash_loop, deployment, pod, termination, waiting
from tests.unit.snapshots import evaluate_app

Json = dict[str, Any]

DANGEROUS = "\u202e\u2066\u200b\ufeff\u2028\x1b\x00\r\n\x85\u061c"
FOREIGN = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(DANGEROUS), max_size=60
)
MARKER = "S3cr3t9x"


def strings_in(value: object) -> list[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in strings_in(item)]


def is_clean(text: str) -> bool:
    """Whether no character of a text is a control, bidirectional or without width."""
    return not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} or c in DANGEROUS for c in text)


@given(FOREIGN, FOREIGN, FOREIGN)
def test_every_text_of_a_status_is_clean(first: str, second: str, third: str) -> None:
    """From pods, conditions and Events to the history of healing."""
    conditions = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": first},
        {"type": "Progressing", "status": "True", "reason": "X", "message": third},
    ]
    sick = deployment(3)
    sick["status"]["conditions"] = conditions
    result = evaluate_app(
        sick,
        pod("web-abc-1", waiting("CreateContainerConfigError", second)),
        pod("web-abc-2", waiting(first[:20] or "X", third)),
        pod("web-abc-3", crash_loop(4, termination(1, "StartError", message=second))),
        pod("web-abc-4", status={"message": third, "reason": first, "phase": "Failed"}),
        now=1000,
    )

    assert all(map(is_clean, strings_in(result.status.to_json())))
    assert all(is_clean(event.message) for event in result.events)


def test_secrets_are_masked_in_every_message() -> None:
    """By the pattern, and by the value of a variable of the app."""
    text = f"failed: token={MARKER}, and known-value-of-env"
    sick = deployment(2)
    sick["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": text}
    ]
    spec = {"image": "web:v1", "env": [{"name": "THING", "value": "known-value-of-env"}]}
    failing = pod("web-abc-1", waiting("CreateContainerConfigError", text))
    result = evaluate_app(sick, failing, spec=spec, now=1000)
    texts = "\n".join(strings_in(result.status.to_json()))

    assert MARKER not in texts
    assert "known-value-of-env" not in texts
    assert "<redacted>" in texts


def test_a_message_keeps_its_limit() -> None:
    """A mask may be longer than what it hides."""
    text = "pw=a " * 400
    result = evaluate_app(deployment(1), pod("web-abc-1", waiting("X", text)), now=1000)

    assert all(len(found) <= TEXT_LIMIT for found in strings_in(result.status.to_json()))


def test_a_comparison_is_masked() -> None:
    """It names what differs between two versions, which may be an image with a token in it."""
    found = {
        "cause": "NewVersion",
        "confidence": "Medium",
        "comparison": f"differs in: image of app: token={MARKER}",
    }
    diagnosis = DiagnosisStatus(type="CrashLooping", **found)
    action = HealingAction(
        id=1,
        remediation="Rollback",
        diagnosis="CrashLooping",
        outcome="Succeeded",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        **found,
    )
    healing = HealingStatus(mode="Auto", budget_left=3, diagnoses=[diagnosis], history=[action])
    safe = make_status_safe(SelfHealingAppStatus(phase="Degraded", healing=healing), ())

    assert MARKER not in str(safe.to_json())
    assert str(safe.to_json()).count("differs in: image of app") == 2
