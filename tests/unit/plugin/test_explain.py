"""The plain words about an app."""

import pytest

from selfhealing.api.healing_status import BlockedReason, Remediation
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.explain import explain_app, format_explanation
from selfhealing.plugin.view.explain_texts import (
    BLOCKED_REASONS,
    CAUSES,
    CONFIDENCES,
    DIAGNOSES,
    MODES,
    PHRASES,
    REMEDIATIONS,
)
from selfhealing.plugin.view.language import Language
from selfhealing.plugin.view.model import AppModel
from selfhealing.plugin.view.objects import AppObjects
from selfhealing.plugin.view.text import to_plain_text
from selfhealing.remediation.policy import HealingMode
from tests.unit import builders as b
from tests.unit.plugin import apps
from tests.unit.plugin.golden import check_golden

DIAGNOSIS = {
    "type": "CrashLooping",
    "cause": "NewVersion",
    "confidence": "Medium",
    "pods": 2,
    "container": "app",
    "message": "web-new-1 and 1 more: keeps crashing, exit code 1",
    "comparison": "2 of 2 new pods have it, 0 of 3 of the earlier version; the image differs",
    "since": b.iso(3000),
}


def healing(**fields: object) -> apps.Json:
    return {"mode": "Auto", "budgetLeft": 3, **fields}


def model(status: apps.Json | None = None, spec: apps.Json | None = None) -> AppModel:
    observed = {"observedGeneration": 1, **(status or {})}
    return build_app(AppObjects(b.app(spec, observed), apps.NOW))


def explain(app: AppModel, language: Language = Language.EN) -> str:
    return to_plain_text(format_explanation(app, explain_app(app, language)))


def test_everything_that_an_operator_writes_has_words() -> None:
    assert {str(each) for each in DiagnosisType} == DIAGNOSES.keys()
    assert {str(each) for each in Cause} == CAUSES.keys()
    assert {str(each) for each in Confidence} == CONFIDENCES.keys()
    assert {str(each) for each in HealingMode} == MODES.keys()
    assert set(Remediation) == REMEDIATIONS.keys()
    assert set(BlockedReason) == BLOCKED_REASONS.keys()


@pytest.mark.parametrize("phrase", PHRASES)
def test_both_languages_have_the_same_values(phrase: str) -> None:
    text = PHRASES[phrase]

    assert [f"{{{i}}}" in text.en for i in range(5)] == [f"{{{i}}}" in text.zh for i in range(5)]


@pytest.mark.parametrize("language", list(Language))
def test_a_version_that_will_be_rolled_back(language: Language) -> None:
    upcoming = {"remediation": "Rollback", "diagnosis": "CrashLooping", "message": "goes back"}
    app = model(
        {
            "phase": "Degraded",
            "message": "1 of 3 pods ready",
            "conditions": [
                apps.condition("Ready", "False", "CrashLoopBackOff"),
                apps.condition("Reconciled", "False", "QuotaExceeded", "no more pods"),
                apps.condition("Healthy", "False", "CrashLoopBackOff"),
            ],
            "healing": healing(
                diagnoses=[DIAGNOSIS],
                nextAction={**upcoming, "notBefore": b.iso(3690)},
                blockedReason="NotDue",
                cooldownUntil=b.iso(3700),
            ),
        }
    )

    check_golden(f"explain, to be rolled back, {language}", explain(app, language))


@pytest.mark.parametrize("language", list(Language))
def test_a_version_that_was_rolled_back(language: Language) -> None:
    app = build_app(apps.rolled_back_objects())

    check_golden(f"explain, rolled back, {language}", explain(app, language))


def test_an_action_that_waits_for_approval() -> None:
    action = {
        "id": 3,
        "remediation": "ReplacePod",
        "diagnosis": "NotReadyTooLong",
        "outcome": "Proposed",
        "at": b.iso(3500),
    }
    app = model(
        {
            "phase": "Degraded",
            "healing": healing(mode="Approve", history=[action], blockedReason="AwaitingApproval"),
        }
    )

    check_golden("explain, approval", explain(app))


def test_an_action_in_progress() -> None:
    action = {
        "id": 3,
        "remediation": "ReplacePod",
        "diagnosis": "NotReadyTooLong",
        "outcome": "InProgress",
        "at": b.iso(3500),
    }
    record = healing(diagnoses=[DIAGNOSIS], history=[action], cooldownUntil=b.iso(10))
    text = explain(model({"phase": "Healing", "healing": record}))

    assert "ReplacePod is in progress for 100s: it replaces one pod by a new one" in text
    assert "does nothing now" not in text
    assert "no action starts" not in text


def test_a_fault_that_nothing_is_done_about() -> None:
    strange = {**DIAGNOSIS, "type": "New", "cause": "Moon", "confidence": "Odd", "comparison": ""}
    del strange["since"]
    text = explain(model({"healing": healing(mode="Later", diagnoses=[strange])}))

    assert "New, for 0s: web-new-1 and 1 more: keeps crashing" in text
    assert "New: Moon (Odd)" in text
    assert "the operator does nothing now" in text


def test_a_diagnosis_without_a_message_is_told_by_its_type() -> None:
    silent = {**DIAGNOSIS, "message": ""}
    upcoming = {"remediation": "Rollback", "diagnosis": "CrashLooping"}
    text = explain(model({"healing": healing(diagnoses=[silent], nextAction=upcoming)}))

    assert "seen:" not in text
    assert "Rollback, as soon as it may" in text


def test_what_a_person_can_do() -> None:
    edit = {**DIAGNOSIS, "cause": "ForeignEdit"}
    record = healing(diagnoses=[edit], quarantined=True, blockedReason="RolloutPaused")
    app = model({"phase": "Invalid", "healing": record}, {"image": "web:v1", "paused": True})
    text = explain(app)

    assert "section ForeignEdit of the runbook" in text
    assert "kubectl selfheal resume web -n shop" in text
    assert "kubectl selfheal unpause web -n shop" in text
    assert "kubectl rollout resume deployment/web -n shop" in text
    assert "mend the spec as the message says" in text


def test_an_app_that_nobody_has_looked_at_yet() -> None:
    app = build_app(AppObjects(b.app(), apps.NOW))

    check_golden("explain, new", explain(app))


def test_a_restart_without_a_code_or_time() -> None:
    last = {"pod": "web-1", "container": "app", "reason": "Unknown"}
    without_time = model({"restarts": {"last": last}})
    without_code = model({"restarts": {"last": {**last, "at": b.iso(0)}}})

    assert "last restart" not in explain(without_time)
    assert "last restart: pod web-1, container app, Unknown, 60m ago" in explain(without_code)
