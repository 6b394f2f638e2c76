"""Which foreign edit is responsible for a diagnosis, when it is removed, and when it is proven."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.apply.foreign_fields import ForeignEdit
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.foreign_edits import (
    EditHistory,
    attribute_to_foreign_edits,
    describe_edit,
    find_edit_to_remove,
    find_responsible_edit,
    format_edit_target,
    parse_edit_target,
    prove_edits,
)
from selfhealing.remediation.proposal import ProposedAction
from selfhealing.remediation.strategies import choose_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    NEW_REVISION,
    STABLE_REVISION,
    make_action,
    make_context,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_policy,
    make_record,
)

EDITED_AT = 9_000

NEW_POD = make_pod("web-new-1", created=EDITED_AT + 1)
JUST_READY_POD = make_pod("web-new-4", ready=True, created=EDITED_AT + 1, since=AT - 30)
READY_NEW_POD = make_pod("web-new-3", ready=True, created=EDITED_AT + 1)
OLD_POD = make_pod("web-old-1", ready=True, created=EDITED_AT - 100)
FAILING_OLD_POD = make_pod("web-old-2", created=EDITED_AT - 100)


def make_edit(
    *paths: str, manager: str = "kubectl-edit", at: float | None = EDITED_AT
) -> ForeignEdit:
    """An edit, by default of the command of the app's container."""
    when = None if at is None else builders.at(at)
    return ForeignEdit(manager, when, paths or ("containers[app].command",))


EDIT = make_edit()


def make_proven_record(*actions: Any, **fields: Any) -> HealingStatus:  # noqa: ANN401 - as the model
    """The record of a revision that is the stable one."""
    return make_record(*actions, **{"stable_revision": NEW_REVISION, **fields})


def find(
    diagnosis: AppDiagnosis,
    pods: Sequence[PodView],
    record: HealingStatus | None = None,
    *edits: ForeignEdit,
) -> ForeignEdit | None:
    """The edit that is responsible."""
    return find_responsible_edit(diagnosis, make_facts(pods, record, *edits or (EDIT,)))


def make_facts(
    pods: Sequence[PodView], record: HealingStatus | None, *edits: ForeignEdit
) -> EditHistory:
    """What is known."""
    return EditHistory(edits, pods, record or make_proven_record(), NEW_REVISION, builders.at(AT))


def crash(*pods: PodView, **fields: Any) -> AppDiagnosis:  # noqa: ANN401 - as AppDiagnosis
    """Pods that crash, by a cause that is unknown without the edit."""
    return replace(
        make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.UNKNOWN, *(pods or (NEW_POD,))), **fields
    )


@pytest.mark.parametrize(
    ("diagnosis", "pods", "record", "is_responsible"),
    [
        (crash(), (NEW_POD, OLD_POD), None, True),
        (crash(), (NEW_POD,), None, True),
        (crash(), (NEW_POD, READY_NEW_POD), None, True),
        (crash(), (NEW_POD, READY_NEW_POD, READY_NEW_POD), None, False),
        (crash(), (NEW_POD, *[JUST_READY_POD] * 3), None, True),
        (crash(NEW_POD, FAILING_OLD_POD), (NEW_POD, FAILING_OLD_POD), None, False),
        (crash(FAILING_OLD_POD), (NEW_POD, FAILING_OLD_POD), None, False),
        (crash(), (NEW_POD,), make_record(stable_revision=STABLE_REVISION), False),
        (crash(), (NEW_POD, OLD_POD), make_record(stable_revision=STABLE_REVISION), True),
        (crash(), (NEW_POD,), make_record(failed_revision=NEW_REVISION), True),
        (crash(), (NEW_POD,), make_proven_record(proven_edit_time=builders.at(EDITED_AT)), False),
        (crash(), (NEW_POD,), make_proven_record(proven_edit_time=builders.at(1)), True),
        (crash(make_pod("web-new-9")), (make_pod("web-new-9"),), None, False),
    ],
    ids=[
        "older pods serve",
        "the version is proven",
        "half of the pods",
        "one of three pods",
        "the first of many that crash",
        "old pods crash, too",
        "only an old pod crashes",
        "nothing was ever well",
        "the version is new, but its older pods serve",
        "after a rollback",
        "the edit is proven",
        "an earlier edit is proven",
        "the pod is older",
    ],
)
def test_who_is_responsible(
    diagnosis: AppDiagnosis,
    pods: tuple[PodView, ...],
    record: HealingStatus | None,
    is_responsible: bool,  # noqa: FBT001 - a column
) -> None:
    """An edit, if the app was well before, and only pods that were created after it are ill."""
    assert (EDIT if is_responsible else None) == find(diagnosis, pods, record)


def test_an_edit_at_an_unknown_time_is_never_responsible() -> None:
    """Nothing tells what was well before it."""
    assert None is find(crash(), (NEW_POD,), None, make_edit(at=None))


def test_the_newest_responsible_edit_is_found() -> None:
    """It is the first one that is undone."""
    newer, older = make_edit(manager="newer"), make_edit(manager="older", at=EDITED_AT - 50)

    assert newer is find(crash(), (NEW_POD,), None, newer, older)
    proven = make_edit("x", manager="later", at=EDITED_AT + 50)
    assert older is find(crash(), (NEW_POD,), None, proven, older)


def diagnose(
    kind: DiagnosisType,
    cause: Cause = Cause.UNKNOWN,
    container: str = "",
    message: str = "",
    pods: tuple[PodView, ...] = (NEW_POD,),
) -> AppDiagnosis:
    """A diagnosis of new pods."""
    return AppDiagnosis(
        kind, cause, Confidence.LOW, pods, message or str(kind), container=container
    )


T, C = DiagnosisType, Cause


@pytest.mark.parametrize(
    ("path", "diagnosis", "is_responsible"),
    [
        ("containers[proxy]", diagnose(T.IMAGE_PULL_FAILING, container="proxy"), True),
        ("containers[proxy]", diagnose(T.IMAGE_PULL_FAILING, container="app"), False),
        ("containers[proxy]", diagnose(T.IMAGE_PULL_FAILING), True),
        ("containers[proxy]", diagnose(T.IMAGE_PULL_FAILING, C.ENVIRONMENT, "proxy"), False),
        ("volumes[x]", diagnose(T.CONFIG_ERROR, container="app"), True),
        ("initContainers[wait]", diagnose(T.START_FAILING, container="app"), False),
        ("containers[proxy]", diagnose(T.CRASH_LOOPING, container="app"), True),
        ("dnsPolicy", diagnose(T.NOT_READY_TOO_LONG), True),
        ("dnsPolicy", diagnose(T.DEPENDENCY_DOWN, C.ENVIRONMENT), True),
        ("containers[app].livenessProbe", diagnose(T.LIVENESS_KILLED, C.ENVIRONMENT), True),
        ("dnsPolicy", diagnose(T.UNSCHEDULABLE, C.ENVIRONMENT), False),
        ("nodeSelector", diagnose(T.UNSCHEDULABLE, C.ENVIRONMENT), True),
        ("containers[app].command", diagnose(T.UNSCHEDULABLE, C.ENVIRONMENT), False),
        ("containers[app].resources.limits", diagnose(T.UNSCHEDULABLE, C.ENVIRONMENT), True),
        ("containers[proxy]", diagnose(T.UNSCHEDULABLE, C.ENVIRONMENT), True),
        ("x", diagnose(T.PODS_REFUSED, C.ENVIRONMENT, message="violates PodSecurity"), True),
        ("x", diagnose(T.PODS_REFUSED, C.ENVIRONMENT, message="webhook is down"), False),
        ("x", diagnose(T.ROLLOUT_STALLED, C.UNKNOWN, pods=()), True),
        ("x", diagnose(T.NODE_LOST, C.NODE), False),
        ("x", diagnose(T.METRICS_UNAVAILABLE, C.ENVIRONMENT, pods=()), False),
    ],
)
def test_what_an_edit_can_cause(path: str, diagnosis: AppDiagnosis, is_responsible: bool) -> None:  # noqa: FBT001 - a column
    """An edit is blamed only for what its fields can do."""
    edit = make_edit(path)
    pods = (NEW_POD, OLD_POD)

    assert (edit if is_responsible else None) == find(diagnosis, pods, None, edit)


def test_a_stalled_rollout_with_ready_pods_is_not_the_edit() -> None:
    """The pods that have the edit are ready."""
    stalled = diagnose(T.ROLLOUT_STALLED, pods=())

    assert None is find(stalled, (READY_NEW_POD, OLD_POD))


@pytest.mark.parametrize(
    ("pods", "confidence", "others"),
    [
        ((NEW_POD, OLD_POD), Confidence.HIGH, "ready"),
        ((NEW_POD,), Confidence.MEDIUM, "gone"),
    ],
)
def test_attribution(pods: tuple[PodView, ...], confidence: Confidence, others: str) -> None:
    """The diagnosis names the manager, the fields and the time."""
    found = attribute_to_foreign_edits((crash(),), make_facts(pods, None, EDIT))[0]

    edit = "kubectl-edit set containers[app].command at 2026-01-01 14:30:00 UTC"
    assert (Cause.FOREIGN_EDIT, confidence) == (found.cause, found.confidence)
    assert found.message.endswith(f"; {edit}")
    assert found.comparison == f"{edit}; the pods that were created before it are {others}"
    assert "kubectl-edit set x" == describe_edit(make_edit("x", at=None))


def test_other_diagnoses_stay() -> None:
    """Those that no edit is responsible for, and all without an edit."""
    other = crash(FAILING_OLD_POD)
    pods = (FAILING_OLD_POD, NEW_POD)

    assert (other,) == attribute_to_foreign_edits((other,), make_facts(pods, None, EDIT))
    assert (other,) == attribute_to_foreign_edits((other,), make_facts(pods, None))


def propose(
    *actions: Any,  # noqa: ANN401 - as the history
    edits: tuple[ForeignEdit, ...] = (EDIT,),
    cause: Cause = Cause.FOREIGN_EDIT,
    **healing: Any,  # noqa: ANN401 - JSON
) -> ProposedAction | None:
    """What is done about pods that crash."""
    context = make_context(
        crash(cause=cause), pods=(NEW_POD, OLD_POD), foreign_edits=edits, wanted=2
    )
    return choose_action(
        make_decision_input(make_proven_record(*actions), context, make_policy(**healing))
    )


def test_the_first_remediation_removes_the_fields() -> None:
    """Its target is the edit, and its message says whose it is."""
    proposal = propose()

    assert proposal is not None
    assert Remediation.REMOVE_FOREIGN_FIELDS is proposal.remediation
    assert "kubectl-edit@2026-01-01T14:30:00Z" == proposal.target
    assert proposal.message.startswith("the foreign fields are removed: ")


@pytest.mark.parametrize("outcome", [ActionOutcome.SUCCEEDED, ActionOutcome.FAILED])
@pytest.mark.parametrize(
    ("manager", "hours", "is_proposed"),
    [("kubectl-edit", 23, False), ("kubectl-edit", 25, True), ("helm", 1, True)],
)
def test_the_same_manager_twice_is_only_told(
    outcome: ActionOutcome,
    manager: str,
    hours: int,
    is_proposed: bool,  # noqa: FBT001 - a column
) -> None:
    """A controller that sets its fields again would only cause rollouts."""
    at = AT - timedelta(hours=hours).total_seconds()
    target = format_edit_target(make_edit(manager=manager, at=at))
    action = make_action(1, Remediation.REMOVE_FOREIGN_FIELDS, outcome, at=at, target=target)

    assert is_proposed is (propose(action) is not None)


def test_nothing_is_removed_where_rollbacks_are_off() -> None:
    """It is a rollback of somebody's version."""
    assert None is propose(rollback={"enabled": False})
    assert None is propose(edits=())
    assert None is propose(cause=Cause.UNKNOWN)


@given(st.text(min_size=1, max_size=128), st.integers(0, 2**35))
def test_a_target_is_read_as_it_was_written(manager: str, seconds: int) -> None:
    """Whatever the name of the manager is."""
    at = datetime.fromtimestamp(seconds, UTC)
    target = format_edit_target(ForeignEdit(manager, at, ()))

    assert (manager, at) == parse_edit_target(target)


@pytest.mark.parametrize("target", ["", "x", "@2026-01-01T12:00:00Z", "x@", "x@2026", "x@-1"])
def test_what_is_no_target(target: str) -> None:
    """A target comes from the status, which others can write."""
    assert None is parse_edit_target(target)
    assert not format_edit_target(make_edit(at=None))


def test_the_edit_that_is_removed() -> None:
    """Only that of a running action."""
    target = format_edit_target(EDIT)
    running = make_action(
        1, Remediation.REMOVE_FOREIGN_FIELDS, ActionOutcome.IN_PROGRESS, target=target
    )
    ended = make_action(1, Remediation.REMOVE_FOREIGN_FIELDS, target=target)
    other = make_action(1, Remediation.ROLLBACK, ActionOutcome.IN_PROGRESS, target=target)

    assert ("kubectl-edit", EDIT.at) == find_edit_to_remove(make_record(running))
    assert None is find_edit_to_remove(make_record(ended))
    assert None is find_edit_to_remove(make_record(other))


PROBATION = 600


@pytest.mark.parametrize(
    ("healthy_since", "edited_at", "proven"),
    [
        (0, 0, True),
        (AT - PROBATION, AT - PROBATION, True),
        (AT - PROBATION + 1, 0, False),
        (0, AT - PROBATION + 1, False),
        (None, 0, False),
        (0, None, False),
    ],
)
def test_an_edit_is_proven_by_the_probation(
    healthy_since: float | None,
    edited_at: float | None,
    proven: bool,  # noqa: FBT001 - a column
) -> None:
    """The app has been healthy with it for so long."""
    since = None if healthy_since is None else builders.at(healthy_since)
    record = make_record(healthy_since=since)
    deadlines, edits = Deadlines(builders.at(AT)), (make_edit(at=edited_at),)

    found = prove_edits(record, edits, make_policy(), deadlines)

    assert (edits[0].at if proven else None) == found.proven_edit_time
    assert found == prove_edits(found, edits if proven else (), make_policy(), deadlines)


@given(st.lists(st.sampled_from(["a", "b"])), st.booleans())
def test_a_well_app_keeps_all_foreign_fields(paths: list[str], has_stable: bool) -> None:  # noqa: FBT001 - drawn
    """Without a diagnosis nothing is proposed, and no edit is removed."""
    record = make_record(stable_revision=NEW_REVISION if has_stable else None)
    edits = (make_edit(*paths),) if paths else ()
    context = make_context(pods=(READY_NEW_POD, OLD_POD), foreign_edits=edits)

    assert None is choose_action(make_decision_input(record, context, make_policy()))
    assert None is find_edit_to_remove(record)


@pytest.mark.parametrize(
    ("path", "is_responsible"),
    [
        ("containers[app].envFrom", True),
        ("containers[app]", True),
        ("containers[app].command", False),
        ("containers[proxy].env", False),
        ("volumes[settings]", True),
        ("nodeSelector", False),
    ],
)
def test_a_reference_that_an_edit_has_brought(path: str, *, is_responsible: bool) -> None:
    """A missing ConfigMap is the edit's only if its fields can name one."""
    missing = replace(
        make_diagnosis(DiagnosisType.CONFIG_ERROR, Cause.ENVIRONMENT, NEW_POD), container="app"
    )

    assert is_responsible is bool(find(missing, (NEW_POD, OLD_POD), None, make_edit(path)))


def test_a_version_on_trial_that_somebody_edited() -> None:
    """Both may be the cause, so neither is blamed with confidence."""
    blamed = replace(crash(), cause=Cause.NEW_VERSION, confidence=Confidence.HIGH, container="app")
    facts = make_facts((NEW_POD,), make_record(stable_revision=STABLE_REVISION), EDIT)
    (found,) = attribute_to_foreign_edits((blamed,), facts)

    assert (Cause.NEW_VERSION, Confidence.LOW) == (found.cause, found.confidence)
    assert "kubectl-edit" in found.comparison


@pytest.mark.parametrize(
    ("message", "is_of_edit"),
    [("failed calling webhook", False), ('violates PodSecurity "baseline"', True)],
)
def test_a_rollout_of_which_no_pod_is_made(message: str, *, is_of_edit: bool) -> None:
    """It hangs for the reason of the refusal, which is the edit's only if that can cause it."""
    refused = replace(
        make_diagnosis(DiagnosisType.PODS_REFUSED, Cause.ENVIRONMENT), pods=(), message=message
    )
    stalled = replace(make_diagnosis(DiagnosisType.ROLLOUT_STALLED, Cause.ENVIRONMENT), pods=())
    found = attribute_to_foreign_edits(
        (stalled, refused), make_facts((OLD_POD,), make_proven_record(), EDIT)
    )

    assert [is_of_edit] * 2 == [each.cause is Cause.FOREIGN_EDIT for each in found]


@pytest.mark.parametrize("is_served", [False, True])
def test_an_edit_that_is_only_suspected(is_served: bool) -> None:  # noqa: FBT001 - a column
    """It is removed, before any rollback, only while every pod is ill."""
    doubted = replace(crash(), cause=Cause.NEW_VERSION, confidence=Confidence.LOW, container="app")
    pods = (NEW_POD, JUST_READY_POD) if is_served else (NEW_POD,)
    context = make_context(
        doubted, pods=pods, foreign_edits=(EDIT,), wanted=len(pods), current_hash="new"
    )
    proposal = choose_action(
        make_decision_input(make_record(stable_revision=STABLE_REVISION), context)
    )

    assert is_served is (proposal is None)
    assert proposal is None or proposal.remediation is Remediation.REMOVE_FOREIGN_FIELDS
