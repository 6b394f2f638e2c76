"""What is on the time line of an app, and what is not there twice."""

from dataclasses import replace

from selfhealing.plugin.view import timeline
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.history import build_history_page, format_history
from selfhealing.plugin.view.model import TimelineEntry, TimelineKind
from selfhealing.plugin.view.objects import AppObjects
from selfhealing.plugin.view.text import to_plain_text
from tests.unit import builders as b
from tests.unit.plugin import apps
from tests.unit.plugin.golden import check_golden


def entries(*events: apps.Json, **status: object) -> list[TimelineEntry]:
    """Return the time line of an app with these Events, without its creation."""
    objects = apps.rolled_back_objects()
    objects.app["status"] |= status
    model = build_app(replace(objects, events=events))
    return [entry for entry in model.timeline if entry.title != "Created"]


def kinds_of(found: list[TimelineEntry], title: str) -> list[TimelineKind]:
    return [entry.kind for entry in found if entry.title == title]


def test_an_event_about_an_action_is_left_out_while_the_record_has_it() -> None:
    recorded = apps.operator_event("HealingRollback", "goes back", 3000)
    earlier = apps.operator_event("HealingReplacePod", "replaces", 100)

    found = entries(recorded, earlier)

    assert [] == kinds_of(found, "HealingRollback")
    assert [TimelineKind.HEALING] == kinds_of(found, "HealingReplacePod")


def test_a_restart_is_told_once() -> None:
    reported = apps.operator_event(
        "ContainerRestarted", "container app of pod web-new-1 was restarted: Error", 2910
    )
    earlier = apps.operator_event(
        "ContainerRestarted", "container app of pod web-new-1 was restarted: Error", 2000
    )

    found = entries(reported, earlier)

    assert [b.at(2000)] == [entry.at for entry in found if entry.title == "ContainerRestarted"]
    assert [TimelineKind.RESTART] == kinds_of(found, "Error")


def test_a_diagnosis_is_told_once() -> None:
    diagnosis = {
        "type": "CrashLooping",
        "cause": "NewVersion",
        "confidence": "Medium",
        "message": "crashes",
        "since": b.iso(2990),
    }
    event = apps.operator_event(
        "CrashLooping", "crashes (cause: NewVersion, confidence: Medium)", 2995
    )
    past = apps.operator_event("OOMKilled", "(cause: Unknown, confidence: Low)", 10)
    timeless = {key: value for key, value in diagnosis.items() if key != "since"} | {"type": "A"}
    healing = {"mode": "Auto", "budgetLeft": 3, "diagnoses": [diagnosis, timeless]}

    found = entries(event, past, healing=healing)

    assert [b.at(2990)] == [entry.at for entry in found if entry.title == "CrashLooping"]
    assert [TimelineKind.DIAGNOSIS] == kinds_of(found, "OOMKilled")


def test_scaling_is_told_by_the_autoscaler_or_else_by_the_operator() -> None:
    scaled = apps.operator_event("Scaled", "from 1 to 2 pods", 50)
    rescaled = {
        **b.pod_event("x", "SuccessfulRescale", "New size: 2", 50),
        "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": "web"},
    }

    assert [TimelineKind.SCALING] == kinds_of(entries(scaled), "Scaled")
    both = entries(scaled, rescaled)
    assert ([], [TimelineKind.SCALING]) == (
        kinds_of(both, "Scaled"),
        kinds_of(both, "SuccessfulRescale"),
    )


def test_events_that_say_nothing_are_left_out() -> None:
    no_time = apps.operator_event("Odd", "no time", 0)
    no_time["metadata"].pop("creationTimestamp")
    no_time.pop("eventTime")
    noise = {**b.pod_event("web", "ScalingReplicaSet", "Scaled up", 10), "type": "Normal"}

    assert not [e for e in entries(no_time, noise) if e.title in {"Odd", "ScalingReplicaSet"}]


def test_a_counted_event_says_how_often_and_since_when() -> None:
    event = {**b.unhealthy_event("web-old-1", 500, count=7), "firstTimestamp": b.iso(100)}

    (entry,) = (entry for entry in entries(event) if entry.title == "Unhealthy")

    assert (7, b.at(100), "pod/web-old-1") == (entry.count, entry.first_at, entry.subject)


def test_an_app_without_a_past_has_an_empty_time_line() -> None:
    model = build_app(AppObjects(b.app(), apps.NOW))

    assert () == model.timeline
    assert "nothing is known of the past of web\n" == to_plain_text(format_history(model))
    assert "<table>" in build_history_page(model)


def test_the_counted_restarts_of_a_pod_that_is_shown_are_those_of_its_containers() -> None:
    objects = apps.rolled_back_objects()
    objects.app["status"]["restarts"]["counted"][0]["uid"] = "uid-of-web-old-1"

    assert TimelineKind.RESTART not in {entry.kind for entry in build_app(objects).timeline}


def test_what_has_no_time_is_not_on_the_time_line() -> None:
    crashed = b.pod("web-old-1", b.crash_loop(2, b.termination(1, finished=None)))
    objects = replace(apps.rolled_back_objects(), pods=[crashed])
    del objects.replica_sets[0]["metadata"]["creationTimestamp"]
    titles = [entry.title for entry in build_app(objects).timeline]

    assert "Revision 3" not in titles
    assert 1 == titles.count("Error")


def test_an_app_without_a_record_shows_its_events() -> None:
    model = build_app(AppObjects(b.app(), apps.NOW, events=[apps.operator_event("Odd", "x", 1)]))

    assert [TimelineKind.EVENT] == [entry.kind for entry in model.timeline]


def test_the_newest_entries_are_kept() -> None:
    events = [apps.operator_event(f"E{i}", "x", i) for i in range(timeline.MAX_ENTRIES + 5)]
    model = build_app(AppObjects(b.app(), apps.NOW, events=events))

    assert (timeline.MAX_ENTRIES, f"E{timeline.MAX_ENTRIES + 4}") == (
        len(model.timeline),
        model.timeline[0].title,
    )


def test_the_history_of_an_app_that_was_rolled_back() -> None:
    objects = replace(
        apps.rolled_back_objects(),
        events=[
            apps.operator_event("Degraded", "2 of 2 pods ready", 3001, type="Warning"),
            {**b.unhealthy_event("web-old-1", 500, count=7), "firstTimestamp": b.iso(100)},
        ],
        gaps=("events cannot be shown",),
    )
    check_golden("history", to_plain_text(format_history(build_app(objects))))


def test_the_page_has_every_entry_and_no_markup_of_others() -> None:
    event = apps.operator_event("Odd", "<script>alert(1)</script>", 10)
    page = build_history_page(build_app(replace(apps.rolled_back_objects(), events=[event])))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert 'class="lane"><b>healing</b>' in page
    assert "Rollback Succeeded" in page
