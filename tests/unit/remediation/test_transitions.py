"""How a decision is written down: what is put in force, what is proposed, which pod is kept."""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import ActionOutcome, Hold, Remedy
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation.context import Case
from selfhealing.remediation.policy import Policy
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    BLIND,
    SICK,
    WELL,
    a_pod,
    action,
    case,
    decided,
    ill,
    kept,
    latest,
    limits,
    record,
)

ASK = limits(mode="Approve")
WAITS = action(outcome=ActionOutcome.PROPOSED, target=SICK.name, uid=SICK.uid)
OTHER = a_pod("web-abc-7")
PROPOSED = (Remedy.RECYCLE, ActionOutcome.PROPOSED)


def test_more_memory_is_put_in_force() -> None:
    """In the pods that run, then in new ones."""
    oom = ill(IllnessType.OOM_KILLED)
    in_pods = decided(record(), case(oom))
    vain = action(remedy=Remedy.RAISE_MEMORY, diagnosis=IllnessType.OOM_KILLED)
    in_template = decided(record(vain, memory_limit="200Mi"), case(oom))

    assert ("200Mi", False) == (in_pods.memory_limit, in_pods.memory_in_template)
    assert ("200Mi", True) == (in_template.memory_limit, in_template.memory_in_template)
    assert "memory limit 200Mi again, in new pods: OOMKilled it is" == (
        in_template.history[0].message
    )


def test_a_node_is_avoided() -> None:
    """Until there is another version, or somebody resumes the app."""
    found = decided(record(), case(ill(IllnessType.CRASH_LOOPING, Cause.NODE, SICK)))

    assert "node-1" == found.avoided_node
    assert None is decided(found, replace(case(), version="newer")).avoided_node


def test_a_floor_is_put_in_force() -> None:
    """As many pods as the user wants while there are no metrics."""
    assert 5 == decided(record(), case(BLIND)).fallback_replicas


def test_an_action_is_proposed_first() -> None:
    """Nothing is done, and nothing is spent, until somebody approves."""
    found = decided(record(), case(ill()), ASK)

    assert PROPOSED == latest(found)
    assert (Hold.APPROVAL, 3) == (found.hold, found.budget_left)
    assert found.history == decided(found, case(ill()), ASK, at=AT + 60).history


def test_an_action_that_is_approved_is_started() -> None:
    """With the time of its start, under its own number."""
    found = decided(record(WAITS), case(ill(), approve="1"), ASK)

    assert (Remedy.RECYCLE, ActionOutcome.STARTED) == latest(found)
    assert (1, builders.at(AT)) == (found.history[0].id, found.history[0].at)
    assert None is found.hold


@pytest.mark.parametrize("approve", ["", "2", "01", "yes"])
def test_only_its_own_number_approves_of_a_proposal(approve: str) -> None:
    """Anything else is the approval of something else."""
    assert [WAITS] == decided(record(WAITS), case(ill(), approve=approve), ASK).history


def test_an_approval_of_something_else_starts_nothing() -> None:
    """What would be done now is not what was read: it is proposed anew."""
    other = ill(IllnessType.CRASH_LOOPING, Cause.POD, OTHER)
    now = case(other, pods=(SICK, OTHER, WELL), approve="1")

    found = decided(record(WAITS), now, ASK)

    assert [(2, ActionOutcome.PROPOSED, OTHER.uid), (1, ActionOutcome.EXPIRED, SICK.uid)] == [
        (each.id, each.outcome, each.uid) for each in found.history
    ]


def test_a_proposal_for_a_pod_that_is_gone_is_made_anew() -> None:
    """For the pod that is sick now."""
    other = ill(IllnessType.CRASH_LOOPING, Cause.POD, OTHER)

    found = decided(record(WAITS), case(other, pods=(OTHER, WELL)), ASK)

    assert (PROPOSED, OTHER.uid) == (latest(found), found.history[0].uid)


def test_an_approval_from_before_the_proposal_approves_of_nothing() -> None:
    """A manifest may keep the annotation when the status is lost: its number is passed over."""
    found = decided(record(), case(ill(), approve="1"), ASK)
    again = decided(found, case(ill(), approve="1"), ASK)

    assert (PROPOSED, 2) == (latest(found), found.history[0].id)
    assert PROPOSED == latest(again)


@pytest.mark.parametrize(("stood", "again"), [(1800, False), (60, True)])
def test_what_nobody_wanted_is_not_proposed_again_at_once(stood: int, *, again: bool) -> None:
    """But what fell because the illness paused is."""
    fell = action(
        outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 1900 + stood)
    )

    found = decided(record(fell), case(ill()), ASK)

    assert again is (PROPOSED == latest(found))
    assert Hold.APPROVAL is found.hold


def test_what_nobody_wanted_of_another_version_is_proposed() -> None:
    """It is another story."""
    fell = action(outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 100))

    found = decided(record(fell, template_since=builders.at(AT - 50)), case(ill()), ASK)

    assert PROPOSED == latest(found)


def test_before_a_version_is_known_what_was_noted_counts() -> None:
    """A record that says nothing of a version."""
    noted = action(outcome=ActionOutcome.OBSERVED)
    before = record(noted, template_since=None)

    assert [noted] == decided(before, case(ill()), limits(mode="Observe")).history


NOTHING_LEFT = record(action())


@pytest.mark.parametrize(
    ("now", "keeps"),
    [
        (case(ill()), True),
        (case(ill(), pods=(SICK,)), False),
        (case(ill(), pods=(WELL,)), False),
        (case(ill(IllnessType.CRASH_LOOPING, Cause.POD, a_pod("web-abc-1", ready=True))), False),
    ],
)
def test_a_pod_is_kept_while_others_serve(now: Case, *, keeps: bool) -> None:
    """One that runs, is the app's, and is not ready."""
    found = decided(NOTHING_LEFT, now)

    assert found.quarantined
    assert keeps is (found.quarantine is not None)
    assert (SICK.name if keeps else "") == found.history[0].target


@pytest.mark.parametrize("rules", [limits(quarantine={"isolate": False}), ASK])
def test_no_pod_is_kept_where_nobody_wants_it(rules: Policy) -> None:
    """Or where people are asked before anything is done."""
    found = decided(NOTHING_LEFT, case(ill()), rules)

    assert (True, None) == (found.quarantined, found.quarantine)


def test_a_pod_that_never_ran_is_not_worth_keeping() -> None:
    """Its image or its node is to blame: there is nothing to be seen in it."""
    vain = action(diagnosis=IllnessType.IMAGE_PULL_FAILING)

    found = decided(record(vain), case(ill(IllnessType.IMAGE_PULL_FAILING)))

    assert (True, None) == (found.quarantined, found.quarantine)


def test_one_pod_is_kept_at_a_time() -> None:
    """The first stays until its time is over."""
    first = kept(pod=WELL)

    assert first == decided(record(action(), quarantine=first), case(ill())).quarantine


def test_long_words_are_cut() -> None:
    """What the resource has room for."""
    wordy = ill()
    wordy = type(wordy)(wordy.type, wordy.cause, wordy.confidence, wordy.pods, "x" * 2000)

    assert TEXT_LIMIT == len(decided(record(), case(wordy)).history[0].message)
    assert TEXT_LIMIT == len(decided(NOTHING_LEFT, case(wordy)).history[0].message)
