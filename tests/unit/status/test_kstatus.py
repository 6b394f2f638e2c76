"""The conditions Reconciling and Stalled; tests/unit/gitops has what other tools make of them."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.status import JobStatus, Phase, SelfHealingAppStatus
from selfhealing.health.job_run import job_run_from_status
from selfhealing.status.kstatus import evaluate_kstatus
from selfhealing.status.phase import PhaseSummary
from tests.unit.builders import crash_loop, deployment, pod, running, termination
from tests.unit.snapshots import evaluate_app, status_json

FAULT = PhaseSummary(Phase.DEGRADED, "CrashLoopBackOff", "0 of 1 pod ready")
STUCK = replace(FAULT, reason="ProgressDeadlineExceeded")


def describe(summary: PhaseSummary, **record: Any) -> str:  # noqa: ANN401 - fields of the record
    """The condition as ``Type Reason``, or the empty string."""
    healing = HealingStatus(**{"mode": "Auto", "budget_left": 3, **record})
    found = evaluate_kstatus(summary, None, healing if record else None)
    assert all((status, message) == ("True", summary.message) for _, status, _, message in found)
    return ", ".join(f"{kind} {reason}" for kind, _, reason, _ in found)


@pytest.mark.parametrize(
    ("phase", "reason", "expected"),
    [
        (Phase.PENDING, "Creating", "Reconciling Creating"),
        (Phase.PROGRESSING, "RollingOut", "Reconciling RollingOut"),
        (Phase.DEGRADED, "CrashLoopBackOff", "Reconciling CrashLoopBackOff"),
        (Phase.DEGRADED, "QuotaExceeded", "Reconciling QuotaExceeded"),
        (Phase.HEALING, "CrashLoopBackOff", "Reconciling Healing"),
        (Phase.HEALING, "RolledBack", "Reconciling Healing"),
        (Phase.DEGRADED, "RolledBack", "Stalled RolledBack"),
        (Phase.QUARANTINED, "CrashLoopBackOff", "Stalled Quarantined"),
        (Phase.INVALID, "InvalidSpec", "Stalled InvalidSpec"),
        (Phase.INVALID, "NameConflict", "Stalled NameConflict"),
        (Phase.PROGRESSING, "DeploymentPaused", "Stalled DeploymentPaused"),
        (Phase.PROGRESSING, "JobSuspended", "Stalled JobSuspended"),
        (Phase.DEGRADED, "ProgressDeadlineExceeded", "Stalled ProgressDeadlineExceeded"),
        (Phase.PAUSED, "Paused", ""),
    ],
)
def test_an_app_that_is_not_what_its_spec_asks_for(
    phase: Phase, reason: str, expected: str
) -> None:
    """It moves, or waits for a person, or is paused."""
    assert expected == describe(PhaseSummary(phase, reason, "0 of 1 pod ready"))


@pytest.mark.parametrize("phase", [Phase.READY, Phase.COMPLETED, Phase.PAUSED])
def test_an_app_that_is_what_its_spec_asks_for(phase: Phase) -> None:
    """There is nothing to tell, whatever healing did before."""
    summary = PhaseSummary(phase, "AllPodsReady", "1 of 1 pod ready", complete=True)

    assert describe(summary) == describe(summary, quarantined=True) == ""


@pytest.mark.parametrize("blocked_reason", list(BlockedReason))
def test_a_remediation_that_is_not_started(blocked_reason: BlockedReason) -> None:
    """A person decides, or it starts later."""
    is_decided_by_people = blocked_reason in {"AwaitingApproval", "RolloutPaused"}
    expected = (
        f"Stalled {blocked_reason}" if is_decided_by_people else f"Reconciling {FAULT.reason}"
    )

    assert expected == describe(FAULT, blocked_reason=blocked_reason)


@pytest.mark.parametrize(
    ("blocked_reason", "expected"),
    [
        (None, "Stalled ProgressDeadlineExceeded"),
        (BlockedReason.NO_REMEDIATION, "Stalled ProgressDeadlineExceeded"),
        (BlockedReason.TARGET_UNUSABLE, "Stalled ProgressDeadlineExceeded"),
        (BlockedReason.AWAITING_APPROVAL, "Stalled AwaitingApproval"),
        (BlockedReason.COOLDOWN, "Reconciling ProgressDeadlineExceeded"),
        (BlockedReason.NOT_DUE, "Reconciling ProgressDeadlineExceeded"),
        (BlockedReason.CHECKING_TARGET, "Reconciling ProgressDeadlineExceeded"),
    ],
)
def test_a_stuck_rollout(blocked_reason: BlockedReason | None, expected: str) -> None:
    """It has failed, as that of a Deployment, unless a remediation follows."""
    assert expected == describe(STUCK, blocked_reason=blocked_reason)


def test_a_job_that_has_given_up() -> None:
    """It is not run again before its spec is changed."""
    run = job_run_from_status(JobStatus(run="r", result="Failed", reason="DeadlineExceeded"))
    summary = PhaseSummary(Phase.DEGRADED, "DeadlineExceeded", "the Job has given up")

    ((kind, _, reason, _),) = evaluate_kstatus(summary, run, None)
    assert ("Stalled", "DeadlineExceeded") == (kind, reason)


def test_they_come_and_go() -> None:
    """An app that is ready has none of them; its fault gives a new one its time."""
    ready = status_json(evaluate_app(deployment(1), pod("web-abc-1", running()), now=100))
    looping = pod("web-abc-1", crash_loop(4, termination()))
    failing = evaluate_app(deployment(1), looping, previous_status=ready, now=200)

    assert not {"Reconciling", "Stalled"} & {each["type"] for each in ready["conditions"]}
    (found,) = (each for each in failing.status.conditions if each.type == "Reconciling")
    assert ("True", "CrashLoopBackOff", 1) == (
        found.status,
        found.reason,
        found.observed_generation,
    )
    assert found.last_transition_time.isoformat().endswith("12:03:20+00:00")


def test_a_status_that_no_operator_has_written_yet() -> None:
    """The generation -1 of a new resource is replaced, and is no reason to forget anything."""
    found = evaluate_app(previous_status={"observedGeneration": -1})

    assert found.patch["observedGeneration"] == 1
    assert SelfHealingAppStatus(observed_generation=-1).to_json()["observedGeneration"] == -1
    assert status_json(evaluate_app()) == status_json(found)
