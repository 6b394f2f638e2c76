"""The one decision, rung by rung: what begins anew, what is judged, what holds it back."""

import pytest

from selfhealing.api.healing_status import (
    MAX_DIAGNOSES,
    ActionOutcome,
    HealingStatus,
    Hold,
    Remedy,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation.context import Case, Situation
from selfhealing.remediation.engine import decide, fresh
from tests.unit import builders
from tests.unit.remediation.factories import (
    ALSO_WELL,
    AT,
    BAD_VERSION,
    BLIND,
    GOOD,
    HOLDS,
    LOST,
    NEW,
    SICK,
    WELL,
    action,
    case,
    decided,
    ill,
    kept,
    latest,
    limits,
    record,
    situated,
)

PROVEN = record(good_template=GOOD, good_image="web:v1")
STARTED = action(outcome=ActionOutcome.STARTED, at=AT - 60, uid="gone")
RECYCLED = (Remedy.RECYCLE, ActionOutcome.STARTED)
OVERLAID = {
    "quarantined": True,
    "failed_template": "old",
    "memory_limit": "200Mi",
    "memory_in_template": True,
    "fallback_replicas": 5,
}
"""What stands in place of the spec."""


def overlaid(found: HealingStatus) -> dict[str, object]:
    """What stands in place of the spec by a record."""
    return {key: getattr(found, key) for key in OVERLAID}


PLAIN = overlaid(fresh())


def test_of_an_app_that_is_well_nothing_is_remembered_but_since_when() -> None:
    """The first look."""
    found = decided(fresh(), case())

    assert (NEW, builders.at(AT)) == (found.template, found.template_since)
    assert builders.at(AT) == found.well_since
    assert ("Auto", 3, None) == (found.mode, found.budget_left, found.hold)
    assert [] == found.history


def test_another_version_begins_a_new_story() -> None:
    """The spec counts again, and what was under way is overtaken."""
    proposed = action(2, outcome=ActionOutcome.PROPOSED)
    before = record(proposed, STARTED, template="old", **OVERLAID)

    found = decided(before, case())

    assert PLAIN == overlaid(found)
    assert [ActionOutcome.EXPIRED, ActionOutcome.OVERTAKEN] == [a.outcome for a in found.history]
    assert [builders.at(AT)] * 2 == [a.ended_at for a in found.history]


def test_a_new_version_does_not_make_the_budget_whole() -> None:
    """Else a stream of bad versions would be healed without end."""
    before = record(*(action(n) for n in (3, 2, 1)), template="old")

    assert 0 == decided(before, case()).budget_left


def test_somebody_resumes() -> None:
    """The budget is whole, the rest is over; once for each new value."""
    before = record(action(), STARTED, cooldown_until=builders.at(AT + 60), **OVERLAID)

    found = decided(before, case(resume="1"))
    again = decided(found.model_copy(update=OVERLAID), case(resume="1"))
    taken_away = decided(found.model_copy(update=OVERLAID), case())

    assert (PLAIN, "1", 3) == (overlaid(found), found.resumed, found.budget_left)
    assert None is found.cooldown_until
    assert again.quarantined
    assert taken_away.quarantined


def test_what_a_version_needs_outlasts_a_resume() -> None:
    """Else it would be given back the limit that killed it."""
    needs = {"memory_limit": "200Mi", "memory_in_template": True, "avoided_node": "node-7"}
    found = decided(record(quarantined=True, **needs), case(resume="1"))

    assert not found.quarantined
    assert needs == {field: getattr(found, field) for field in needs}


@pytest.mark.parametrize("past", [3, 1])
def test_without_metrics_alone_no_app_is_left_to_people(past: int) -> None:
    """Its budget may be spent, or the fallback in vain: it serves, and may fall ill later."""
    vain = [
        action(n, Remedy.SCALING_FALLBACK, diagnosis=IllnessType.METRICS_UNAVAILABLE)
        for n in range(past, 0, -1)
    ]
    found = decided(record(*vain), case(BLIND, well=True))

    assert (False, Hold.NO_REMEDY) == (found.quarantined, found.hold)


def test_off_forgets_what_stands_in_place_of_the_spec() -> None:
    """And ends what was under way; nothing is started, whatever ails the app."""
    found = decided(record(STARTED, **OVERLAID), case(ill()), limits(mode="Off"))

    assert PLAIN == overlaid(found)
    assert (Remedy.RECYCLE, ActionOutcome.OVERTAKEN) == latest(found)
    assert ("Off", None) == (found.mode, found.hold)
    assert ["CrashLooping"] == [each.type for each in found.diagnoses]


@pytest.mark.parametrize("left", [False, True])
def test_a_kept_pod_is_let_go_when_it_is_deleted(*, left: bool) -> None:
    """Until then it is remembered, in any mode."""
    before = record(quarantine=kept(until=AT))
    now = situated(specimen_left=left)

    assert left is (decided(before, now).quarantine is not None)
    assert left is (decided(before, now, limits(mode="Off")).quarantine is not None)


def test_the_evidence_of_an_action_is_noted_once() -> None:
    """Where it is stays the same."""
    now = situated(evidence={1: "first"})
    found = decided(record(STARTED), now)

    assert "first" == found.history[0].evidence
    assert "first" == decided(found, situated(evidence={1: "other"})).history[0].evidence


@pytest.mark.parametrize(
    ("well_since", "outcome"),
    [
        (None, ActionOutcome.STARTED),
        (AT - 29, ActionOutcome.STARTED),
        (AT - 30, ActionOutcome.HELPED),
    ],
)
def test_an_action_helped_when_the_app_was_well_for_a_while(
    well_since: int | None, outcome: ActionOutcome
) -> None:
    """A single look at a healthy app proves nothing."""
    since = None if well_since is None else builders.at(well_since)

    assert (Remedy.RECYCLE, outcome) == latest(decided(record(STARTED, well_since=since), case()))


@pytest.mark.parametrize(
    ("at", "outcome"), [(AT + 239, ActionOutcome.STARTED), (AT + 240, ActionOutcome.NO_HELP)]
)
def test_an_action_that_has_not_helped_in_time_is_in_vain(at: int, outcome: ActionOutcome) -> None:
    """Nothing else is done until then."""
    found = decided(record(STARTED), case(ill()), at=at)

    assert (Remedy.RECYCLE, outcome) == latest(found)


def test_an_app_that_is_well_at_the_last_moment_may_prove_it() -> None:
    """The time is over, and it has only just become well."""
    found = decided(record(STARTED), case(), at=AT + 240)

    assert (Remedy.RECYCLE, ActionOutcome.STARTED) == latest(found)


def test_a_pod_that_is_still_there_was_not_replaced() -> None:
    """A budget of pods may have kept it, and it recovered: that was no help."""
    target = STARTED.model_copy(update={"uid": SICK.uid})
    before = record(target, well_since=builders.at(AT - 40))

    assert (Remedy.RECYCLE, ActionOutcome.STARTED) == latest(decided(before, case()))


def test_a_rollback_to_nothing_is_in_vain() -> None:
    """The template is no longer kept: the spec's own is run, for want of another."""
    back = action(remedy=Remedy.ROLLBACK, outcome=ActionOutcome.STARTED)
    before = PROVEN.model_copy(update={"history": [back], "failed_template": NEW})

    found = decided(before, situated(good_lost=True))

    assert (Remedy.ROLLBACK, ActionOutcome.NO_HELP) == latest(found)
    assert (None, None) == (found.failed_template, found.good_template)


def test_a_floor_has_helped_when_it_is_reached() -> None:
    """Though the metrics are still away."""
    floor = action(
        remedy=Remedy.SCALING_FALLBACK, outcome=ActionOutcome.STARTED, at=AT - 60, target="5"
    )
    before = record(floor, fallback_replicas=5)

    assert ActionOutcome.STARTED is decided(before, case(BLIND)).history[0].outcome
    assert ActionOutcome.HELPED is decided(before, case(BLIND, wanted=5)).history[0].outcome


def test_a_rest_follows_each_action() -> None:
    """Longer after one that was in vain; then it is over and no longer shown."""
    before = record(STARTED, well_since=builders.at(AT - 40))

    assert builders.at(AT + 60) == decided(before, case()).cooldown_until
    assert (
        builders.at(AT + 240 + 120)
        == decided(record(STARTED), case(ill()), at=AT + 240).cooldown_until
    )
    assert None is decided(record(cooldown_until=builders.at(AT)), case()).cooldown_until


def test_a_floor_goes_with_its_reason() -> None:
    """The autoscaler sees again, or the spec no longer asks for it."""
    before = record(fallback_replicas=5)
    unwanted = limits(scalingFallback=None)

    assert 5 == decided(before, case(BLIND, wanted=5)).fallback_replicas
    assert None is decided(before, case()).fallback_replicas
    assert None is decided(before, case(BLIND, wanted=5), unwanted).fallback_replicas


@pytest.mark.parametrize(
    ("mode", "illness", "at", "stands"),
    [
        ("Approve", ill(), AT, True),
        ("Auto", BLIND, AT, False),
        ("Approve", BLIND, AT, False),
        ("Approve", ill(), AT + 1700, False),
    ],
)
def test_a_proposal_stands_for_a_while(
    mode: str, illness: Illness, at: int, *, stands: bool
) -> None:
    """As long as somebody is to be asked, and what it is against is there."""
    waits = action(outcome=ActionOutcome.PROPOSED, uid=SICK.uid, target=SICK.name)

    found = decided(record(waits), case(illness), limits(mode=mode), at=at)

    known = {a.id: a.outcome for a in found.history}
    assert stands is (known[1] is ActionOutcome.PROPOSED)


@pytest.mark.parametrize(
    ("known", "since", "unkept", "proves"),
    [
        ({}, AT - 600, False, True),
        ({}, AT - 599, False, False),
        ({}, AT - 600, True, False),
        ({"failed_template": NEW}, AT - 600, False, False),
        ({"template_since": builders.at(AT - 599)}, AT - 600, False, False),
    ],
)
def test_a_version_that_stays_well_is_one_to_go_back_to(
    known: dict[str, object], since: int, *, unkept: bool, proves: bool
) -> None:
    """For its whole probation, if it runs at all, and if its template can be kept."""
    before = PROVEN.model_copy(update={"well_since": builders.at(since), **known})

    found = decided(before, situated(unkept=unkept))

    expected = (NEW, "web:v2") if proves else (GOOD, "web:v1")
    assert expected == (found.good_template, found.good_image)


def test_an_app_that_is_ill_is_not_well_any_more() -> None:
    """Its probation begins anew."""
    assert None is decided(record(well_since=builders.at(0)), case(ill())).well_since
    assert None is decided(record(), case(ill())).well_since


@pytest.mark.parametrize(("since", "forgets"), [(AT - 3600, True), (AT - 3599, False)])
def test_after_a_whole_window_of_health_what_was_in_vain_is_forgotten(
    since: int, *, forgets: bool
) -> None:
    """The next illness is another story."""
    before = record(action(at=10), well_since=builders.at(since))

    found = decided(before, case())

    assert (builders.at(since) if forgets else None) == found.budget_from


MOVED = action(remedy=Remedy.RELOCATE, outcome=ActionOutcome.STARTED, target="node-7")
HOMELESS = ill(IllnessType.UNSCHEDULABLE, Cause.ENVIRONMENT)


@pytest.mark.parametrize(
    ("now", "at", "avoided"),
    [
        (case(ill(cause=Cause.NODE)), AT, "node-7"),
        (case(ill(cause=Cause.NODE), HOMELESS), AT, None),
        (case(ill(cause=Cause.NODE)), AT + 300, None),
    ],
    ids=["it may help yet", "there is no other place", "it did not help"],
)
def test_a_node_is_forbidden_no_longer_than_it_helps(now: Case, at: int, avoided: str) -> None:
    """A pod on a bad node is better than none, and it may not be the node."""
    assert avoided == decided(record(MOVED, avoided_node="node-7"), now, at=at).avoided_node


def test_after_a_whole_window_of_health_an_app_is_healed_again() -> None:
    """Whoever it was left to has gone home: its database is back."""
    before = record(quarantined=True, well_since=builders.at(AT - 3600))

    assert decided(before, case(), at=AT - 1).quarantined
    assert not decided(before, case()).quarantined


def test_a_later_resume_stays_the_beginning() -> None:
    """Whatever the health before it."""
    resumed = builders.at(AT - 10)
    before = record(action(at=10), well_since=builders.at(0), budget_from=resumed)

    assert resumed == decided(before, case()).budget_from


def test_an_app_that_is_ill_is_healed() -> None:
    """The first remedy that fits is started."""
    found = decided(record(well_since=builders.at(0)), case(ill()))

    assert RECYCLED == latest(found)
    assert (SICK.name, SICK.uid) == (found.history[0].target, found.history[0].uid)
    assert (2, None, None) == (found.budget_left, found.hold, found.well_since)


def test_an_app_of_which_no_pod_is_wanted_is_let_be() -> None:
    """Nobody misses anything."""
    assert [] == decided(record(), case(ill(), idle=True)).history


@pytest.mark.parametrize(
    ("known", "now", "hold"),
    [
        ({"quarantined": True}, case(ill()), Hold.QUARANTINED),
        *(({}, situated(ill(), hold=hold), hold) for hold in HOLDS),
        ({}, case(ill(), held=True), Hold.ROLLOUT_PAUSED),
        ({"cooldown_until": builders.at(AT + 1)}, case(ill()), Hold.COOLDOWN),
        ({}, case(ill(cause=Cause.UNKNOWN)), Hold.NO_REMEDY),
        (
            {},
            situated(ill(IllnessType.NODE_LOST, Cause.NODE, LOST), nodes_lost=True),
            Hold.NODES_LOST,
        ),
    ],
)
def test_something_holds_it_back(known: dict[str, object], now: Case, hold: Hold) -> None:
    """Nothing is started, and it is said why."""
    found = decided(record().model_copy(update=known), now)

    assert (hold, []) == (found.hold, found.history)


@pytest.mark.parametrize(
    ("known", "now"),
    [
        *(({}, situated(ill(cause=Cause.UNKNOWN), hold=hold)) for hold in HOLDS),
        ({"cooldown_until": builders.at(AT + 1)}, case(ill(cause=Cause.UNKNOWN))),
    ],
)
def test_that_nothing_fits_is_said_first(known: dict[str, object], now: Case) -> None:
    """So an operator that starts anew writes nothing about apps that it cannot help."""
    assert Hold.NO_REMEDY is decided(record().model_copy(update=known), now).hold


def test_what_is_held_back_is_not_left_to_people() -> None:
    """Also where all that fits was in vain."""
    found = decided(record(action()), situated(ill(), hold=Hold.STORM))

    assert (Hold.STORM, False) == (found.hold, found.quarantined)


def test_nothing_holds_an_app_that_is_well() -> None:
    """There is nothing to be held back."""
    assert None is decided(record(quarantined=True), situated(hold=Hold.STORM)).hold


def test_two_actions_are_never_under_way() -> None:
    """Another illness waits for the verdict on the first."""
    found = decided(record(STARTED), case(ill(), BLIND))

    assert [STARTED] == found.history


def test_observing_notes_what_would_be_done() -> None:
    """Once in a window; or that nothing would."""
    rules = limits(mode="Observe")
    found = decided(record(), case(ill()), rules)

    assert (Remedy.RECYCLE, ActionOutcome.OBSERVED) == latest(found)
    assert (3, None) == (found.budget_left, found.hold)
    assert found.history == decided(found, case(ill()), rules, at=AT + 60).history
    assert 2 == len(decided(found, case(ill()), rules, at=AT + 3600).history)
    assert Hold.NO_REMEDY is decided(record(), case(ill(cause=Cause.UNKNOWN)), rules).hold


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ((action(),), "what was tried has not helped: CrashLooping it is"),
        (
            tuple(action(n, diagnosis=IllnessType.NODE_LOST) for n in (3, 2, 1)),
            "the budget of actions is spent: CrashLooping it is",
        ),
    ],
)
def test_at_the_end_an_app_is_left_to_people(past: tuple[object, ...], why: str) -> None:
    """With the one pod that is sick taken out and kept, while others serve."""
    found = decided(record().model_copy(update={"history": list(past), "next_id": 4}), case(ill()))

    assert (Remedy.QUARANTINE, ActionOutcome.DONE) == latest(found)
    assert (True, Hold.QUARANTINED) == (found.quarantined, found.hold)
    assert why == found.history[0].message
    assert (SICK.uid, builders.at(AT + 3600)) == (
        found.quarantine and found.quarantine.uid,
        found.quarantine and found.quarantine.until,
    )


def test_what_ails_is_shown_once_a_type_and_cut() -> None:
    """The list is a map by type, and has room for five."""
    many = [ill(kind) for kind in IllnessType][: MAX_DIAGNOSES + 2]
    wordy = Illness(many[0].type, Cause.POD, many[0].confidence, (SICK, WELL), "x" * 2000)

    found = decided(record(quarantined=True), case(wordy, *many))

    assert [each.type for each in many[:MAX_DIAGNOSES]] == [e.type for e in found.diagnoses]
    assert ("x" * TEXT_LIMIT, 2) == (found.diagnoses[0].message, found.diagnoses[0].pods)


def test_it_is_looked_again_when_budget_comes_back_or_a_rest_ends() -> None:
    """No event tells of either."""
    alarm = Alarm(builders.at(AT))
    resting = Alarm(builders.at(AT))

    decide(record(action(at=AT - 3590)), case(pods=(WELL, ALSO_WELL)), limits(), alarm)
    decide(record(cooldown_until=builders.at(AT + 7)), case(), limits(), resting)

    assert (10.0, 7.0) == (alarm.delay, resting.delay)


def test_a_rollback_stands_in_place_of_the_spec() -> None:
    """The version that failed is remembered; more memory was for it."""
    before = PROVEN.model_copy(update={"memory_limit": "200Mi", "memory_in_template": True})

    found = decided(before, case(BAD_VERSION))

    assert (Remedy.ROLLBACK, ActionOutcome.STARTED) == latest(found)
    assert (NEW, None, False) == (
        found.failed_template,
        found.memory_limit,
        found.memory_in_template,
    )


def test_a_decision_needs_nothing_but_its_arguments() -> None:
    """The same again is the same again."""
    now = case(BAD_VERSION, BLIND, situation=Situation(evidence={1: "key"}))

    assert decided(PROVEN, now) == decided(PROVEN, now)
