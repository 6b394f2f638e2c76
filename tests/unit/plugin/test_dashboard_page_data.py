"""The badges and buttons of an app."""

from typing import Any

import pytest

from selfhealing.plugin.view import page_data
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.model import AppModel
from selfhealing.plugin.view.objects import AppObjects
from selfhealing.plugin.view.page_data import build_overview, list_flags, list_operations
from tests.unit.builders import app, at, iso

HEALING = {"mode": "Auto", "budgetLeft": 3}
DIAGNOSIS = {"type": "OOMKilled", "cause": "Pod", "confidence": "Low"}


def model(healing: dict[str, Any] | None = None, **spec: Any) -> AppModel:  # noqa: ANN401 - JSON
    status = {"observedGeneration": 1, "phase": "Ready"}
    if healing is not None:
        status["healing"] = {**HEALING, **healing}
    return build_app(AppObjects(app(spec, status), at(0)))


def action(outcome: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": number,
        "remediation": "Rollback",
        "diagnosis": "OOMKilled",
        "outcome": outcome,
        "at": iso(0),
    }


UPCOMING = {"remediation": "RaiseMemory", "diagnosis": "OOMKilled"}


@pytest.mark.parametrize(
    ("healing", "flags"),
    [
        (None, []),
        ({}, []),
        ({"diagnoses": [DIAGNOSIS]}, ["diagnosis OOMKilled"]),
        ({"history": [action("InProgress")]}, ["healing Rollback"]),
        ({"history": [action("Proposed")], "nextAction": UPCOMING}, ["approval Rollback"]),
        ({"history": [action("Succeeded")], "nextAction": UPCOMING}, ["next RaiseMemory"]),
        (
            {"diagnoses": [DIAGNOSIS], "blockedReason": "Cooldown"},
            ["diagnosis OOMKilled", "blocked Cooldown"],
        ),
        ({"blockedReason": "Cooldown"}, []),
        (
            {"diagnoses": [DIAGNOSIS], "blockedReason": "Quarantined", "quarantined": True},
            ["quarantined", "diagnosis OOMKilled"],
        ),
        ({"failedRevision": "abc"}, ["rolledBack"]),
    ],
)
def test_what_healing_does_is_a_badge(healing: dict[str, Any] | None, flags: list[str]) -> None:
    assert [f"{name} {word}".strip() for name, _, word in list_flags(model(healing))] == flags


def test_the_state_of_the_app_itself_is_a_badge() -> None:
    raw = app({"paused": True}, {"observedGeneration": 0}, deletionTimestamp=iso(0))

    flags = list_flags(build_app(AppObjects(raw, at(0))))

    assert [flag.name for flag in flags] == ["deleting", "outdated", "paused"]


def test_only_what_would_change_something_is_offered() -> None:
    assert [each.operation for each in list_operations(model())] == ["pause"]
    assert [each.operation for each in list_operations(model(paused=True))] == ["unpause"]
    assert [each.operation for each in list_operations(model({}))] == ["resume", "pause"]


def test_an_approval_names_its_action() -> None:
    offered = list_operations(model({"history": [action("Proposed", 7)]}))

    assert offered[0] == ("approve", "Rollback", 7)


def test_the_overview_has_a_bound_and_says_what_is_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MAX_APPS", 2)

    found = build_overview([model(), model(), model()])

    assert (len(found["items"]), found["total"], found["gaps"]) == (2, 3, [])
