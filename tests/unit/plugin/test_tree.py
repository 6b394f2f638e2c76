"""Apps as a table and as a tree."""

from dataclasses import replace
from datetime import timedelta

import pytest

from selfhealing.plugin.view.build import build_app, build_apps
from selfhealing.plugin.view.objects import AppObjects
from selfhealing.plugin.view.overrides import list_overrides
from selfhealing.plugin.view.text import format_age, format_span, to_plain_text
from selfhealing.plugin.view.tree import format_app, format_apps
from tests.unit import builders as b
from tests.unit.plugin import apps
from tests.unit.plugin.golden import check_golden
from tests.unit.plugin.test_explain import DIAGNOSIS, healing


def test_an_app_that_was_rolled_back() -> None:
    objects = apps.rolled_back_objects()
    crashed = b.pod(
        "web-old-3", b.crash_loop(1, b.termination(137, started=5, finished=30)), node=""
    )
    unknown = b.pod("web-old-4", b.running(restarts=2))
    isolated = b.pod("web-y-1", b.running(), labels={"selfhealing.dev/quarantined": "web"})
    foreign = b.pod("web-x-1", b.running(), ownerReferences=[])
    objects = replace(
        objects,
        pods=[*objects.pods, crashed, unknown, isolated, foreign],
        children={**objects.children, "Service": apps.child("Service", {"ports": [{"port": 80}]})},
        replica_sets=[*objects.replica_sets, apps.replica_set("older", 1, "web:v0")],
        gaps=("events cannot be shown: you may not read events in shop",),
    )

    check_golden("tree, rolled back", to_plain_text(format_app(build_app(objects))))


def test_an_app_that_falls_ill() -> None:
    action = {
        "id": 1,
        "remediation": "ReplacePod",
        "diagnosis": "NotReadyTooLong",
        "target": "web-abc-1",
        "outcome": "Succeeded",
        "at": b.iso(3000),
    }
    status = {
        "phase": "Quarantined",
        "healing": healing(
            diagnoses=[DIAGNOSIS],
            quarantined=True,
            blockedReason="Quarantined",
            nextAction={
                "remediation": "Rollback",
                "diagnosis": "CrashLooping",
                "notBefore": b.iso(3700),
                "message": "goes back to web:v1",
            },
            history=[action, {**action, "id": 2, "target": "", "message": "hung"}],
        ),
    }
    raw = b.app(status=status, deletionTimestamp=b.iso(0))
    job = apps.child("Job", {"template": apps.template("job:v1")})

    model = build_app(AppObjects(raw, apps.NOW, {"Job": job}))

    check_golden("tree, ill", to_plain_text(format_app(model)))


def test_a_next_action_without_a_time() -> None:
    upcoming = {"remediation": "Rollback", "diagnosis": "CrashLooping", "message": "goes back"}
    model = build_app(AppObjects(b.app(status={"healing": healing(nextAction=upcoming)}), apps.NOW))

    assert "next: Rollback: goes back" in to_plain_text(format_app(model))


def test_a_table_of_apps() -> None:
    action = {"id": 1, "remediation": "Rollback", "diagnosis": "CrashLooping", "at": b.iso(0)}
    statuses: dict[str, apps.Json] = {
        "quarantined": {"phase": "Quarantined", "healing": healing(quarantined=True)},
        "healing": {
            "phase": "Healing",
            "healing": healing(history=[{**action, "outcome": "InProgress"}]),
        },
        "asking": {
            "phase": "Degraded",
            "healing": healing(history=[{**action, "outcome": "Proposed"}]),
        },
        "waiting": {
            "phase": "Degraded",
            "healing": healing(diagnoses=[DIAGNOSIS], blockedReason="NotDue"),
        },
        "rolled-back": {"phase": "Degraded", "healing": healing(failedRevision="rev-2")},
        "well": {
            "observedGeneration": 1,
            "phase": "Ready",
            "ready": "2/2",
            "restarts": {"total": 7},
            "message": "2 of 2 pods ready",
            "conditions": [apps.condition("Ready", "True", "AllPodsReady")],
            "healing": healing(),
        },
        "job": {"phase": "Completed"},
    }
    found = [
        AppObjects(b.app(status=status, name=name), apps.NOW) for name, status in statuses.items()
    ]

    check_golden("table", to_plain_text(format_apps(build_apps(found), with_namespace=True)))
    assert not to_plain_text(format_apps(build_apps(found), with_namespace=False)).startswith(
        "NAMESPACE"
    )


def test_what_is_in_force_instead_of_the_spec() -> None:
    limit = {"container": "app", "limit": "200Mi"}
    record = healing(
        failedRevision="rev-2",
        stableRevision="rev-1",
        stableImage="web:v1",
        retryAt=b.iso(7200),
        memoryLimits=[limit],
        cpuLimits=[{**limit, "limit": "300m"}],
        relaxedUntil=b.iso(7200),
        excludedNode="node-1",
        excludedUntil=b.iso(7200),
        fallbackReplicas=3,
        quarantine={"pod": "web-1", "uid": "u", "until": b.iso(7200)},
    )
    model = build_app(AppObjects(b.app(status={"healing": record}), apps.NOW))
    assert model.healing is not None
    overrides = list_overrides(model.healing)

    check_golden("overrides", "".join(f"{each.text}, {each.end}\n" for each in overrides))


def test_an_exclusion_without_an_end() -> None:
    model = build_app(
        AppObjects(b.app(status={"healing": healing(excludedNode="node-1")}), apps.NOW)
    )
    assert model.healing is not None

    assert ["until ? UTC"] == [each.end for each in list_overrides(model.healing)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172800, "2d")]
)
def test_a_duration_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert text == format_span(timedelta(seconds=seconds))


def test_an_unknown_age() -> None:
    assert "?" == format_age(None, apps.NOW)
