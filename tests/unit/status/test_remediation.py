"""Remediation in the phase, the conditions and the Events."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    NextActionStatus,
    QuarantineStatus,
    Remediation,
)
from selfhealing.api.status import Phase
from selfhealing.controller.evaluate import Evaluation
from selfhealing.remediation.context import ExternalState
from selfhealing.status.events import MAX_NOTE_BYTES
from selfhealing.status.phase import ROLLED_BACK, PhaseSummary
from selfhealing.status.remediation import remediation_events, with_remediation
from tests.unit.builders import (
    at,
    crash_loop,
    deployment,
    iso,
    job,
    job_pod,
    pod,
    running,
    termination,
)
from tests.unit.snapshots import (
    KEY,
    Json,
    evaluate_app,
    evaluate_invalid_app,
    revision_of_spec,
    status_json,
)

READY = PhaseSummary(Phase.READY, "AllPodsReady", "1 of 1 pod ready", complete=True)
DEGRADED = PhaseSummary(Phase.DEGRADED, "CrashLoopBackOff", "0 of 1 pod ready")
CRASH_LOOPING_POD = pod("web-abc-1", crash_loop(4, termination()))
HEALTHY_POD = pod("web-abc-1", running())
ANNOTATE = "kubectl -n shop annotate --overwrite sha web selfhealing.dev/"


def make_record(**more: Any) -> HealingStatus:  # noqa: ANN401 - fields of the record
    """A record of an app."""
    return HealingStatus(**{"mode": "Auto", "budget_left": 3, **more})


def make_action(
    outcome: ActionOutcome = ActionOutcome.IN_PROGRESS,
    remediation: Remediation = Remediation.REPLACE_POD,
    number: int = 1,
) -> HealingAction:
    """An action."""
    return HealingAction(
        id=number,
        remediation=remediation,
        diagnosis="CrashLooping",
        outcome=outcome,
        at=at(0),
        message="web-abc-1 is replaced",
    )


ROLLED_BACK_RECORD = make_record(
    failed_revision="new", stable_revision="good", stable_image="web:v0"
)
QUARANTINED_RECORD = make_record(
    quarantined=True,
    quarantine=QuarantineStatus(pod="web-abc-1", uid="u", until=at(3600)),
    history=[make_action(ActionOutcome.COMPLETED, Remediation.QUARANTINE)],
)
ROLLED_BACK_MESSAGE = (
    "runs revision good (web:v0), because new failed; it is tried again when the spec changes"
)
PROPOSED_RECORD = make_record(history=[make_action(ActionOutcome.PROPOSED)])
QUARANTINE_HINT = (
    f"no remediation until healthy for the probation; to resume now: {ANNOTATE}resume=$(date +%s)"
)
APPROVAL_HINT = f"ReplacePod waits for approval: {ANNOTATE}approve=1"
RESUME_HINT = f"to resume: {ANNOTATE}resume=$(date +%s)"


class TestPhase:
    """The phase and message of an app with a record."""

    @pytest.mark.parametrize(
        ("summary", "record", "expected"),
        [
            (DEGRADED, None, DEGRADED),
            (DEGRADED, make_record(), DEGRADED),
            (READY, make_record(history=[make_action()]), READY),
            (
                READY,
                QUARANTINED_RECORD,
                replace(READY, message=f"{READY.message}; {QUARANTINE_HINT}"),
            ),
            (READY, PROPOSED_RECORD, replace(READY, message=f"{READY.message}; {APPROVAL_HINT}")),
            (DEGRADED, make_record(history=[make_action(ActionOutcome.SUCCEEDED)]), DEGRADED),
            (
                DEGRADED,
                make_record(history=[make_action()]),
                PhaseSummary(
                    Phase.HEALING,
                    "CrashLoopBackOff",
                    "healing: web-abc-1 is replaced; 0 of 1 pod ready",
                ),
            ),
            (
                DEGRADED,
                QUARANTINED_RECORD,
                PhaseSummary(
                    Phase.QUARANTINED,
                    "CrashLoopBackOff",
                    "quarantined: web-abc-1 is replaced; "
                    "pod web-abc-1 is isolated for inspection until 13:00:00 UTC; "
                    f"{RESUME_HINT}; 0 of 1 pod ready",
                ),
            ),
            (
                READY,
                ROLLED_BACK_RECORD,
                PhaseSummary(
                    Phase.DEGRADED, ROLLED_BACK, f"{ROLLED_BACK_MESSAGE}; 1 of 1 pod ready"
                ),
            ),
            (
                DEGRADED,
                ROLLED_BACK_RECORD.model_copy(update={"history": [make_action()]}),
                PhaseSummary(
                    Phase.HEALING,
                    ROLLED_BACK,
                    f"healing: web-abc-1 is replaced; {ROLLED_BACK_MESSAGE}; 0 of 1 pod ready",
                ),
            ),
        ],
        ids=[
            "no record",
            "no action",
            "healthy while an action is in progress",
            "healthy in quarantine",
            "an action waits for approval",
            "an action has succeeded",
            "an action is in progress",
            "in quarantine",
            "healthy after a rollback",
            "a rollback is in progress",
        ],
    )
    def test_phase_and_message(
        self, summary: PhaseSummary, record: HealingStatus | None, expected: PhaseSummary
    ) -> None:
        """An action in progress, a quarantine, a pending approval, a rollback."""
        assert expected == with_remediation(KEY, summary, record)

    def test_no_pod_is_isolated(self) -> None:
        """Then the message names none."""
        message = with_remediation(KEY, DEGRADED, make_record(quarantined=True)).message

        assert "isolated for inspection" not in message
        assert RESUME_HINT in message

    def test_the_way_back_is_closed(self) -> None:
        """The message says why the next action is not taken."""
        upcoming = NextActionStatus(
            remediation=Remediation.ROLLBACK, diagnosis="CrashLooping", message="its image is gone"
        )
        record = make_record(next_action=upcoming, blocked_reason=BlockedReason.TARGET_UNUSABLE)

        assert "0 of 1 pod ready; no Rollback: its image is gone" == (
            with_remediation(KEY, DEGRADED, record).message
        )

    @pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.INVALID, Phase.COMPLETED])
    def test_unaffected_phases(self, phase: Phase) -> None:
        """Phases that remediation does not change."""
        summary = PhaseSummary(phase, "Because", "of that")

        assert summary == with_remediation(KEY, summary, QUARANTINED_RECORD)


def format_events(before: HealingStatus | None, after: HealingStatus | None) -> list[str]:
    """The Events between two records."""
    return [
        f"{event.type} {event.reason}: {event.message}"
        for event in remediation_events(KEY, before, after)
    ]


def make_diagnosis(kind: str = "CrashLooping") -> DiagnosisStatus:
    """A diagnosis in the status."""
    return DiagnosisStatus(type=kind, cause="Pod", confidence="Medium", message="web-1: crashes")


class TestEvents:
    """Events of the changes of a record."""

    def test_no_change(self) -> None:
        """A Job, a first record without diagnoses, and an unchanged record."""
        assert [] == format_events(None, None)
        assert [] == format_events(QUARANTINED_RECORD, None)
        assert [] == format_events(None, make_record())
        assert [] == format_events(QUARANTINED_RECORD, QUARANTINED_RECORD)

    def test_a_diagnosis(self) -> None:
        """An Event when it is found, and none while it stays."""
        known, more = (
            make_record(diagnoses=[make_diagnosis()]),
            make_record(diagnoses=[make_diagnosis(), make_diagnosis("OOMKilled")]),
        )

        assert [
            "Warning CrashLooping: web-1: crashes (cause: Pod, confidence: Medium)"
        ] == format_events(None, known)
        assert [
            "Warning OOMKilled: web-1: crashes (cause: Pod, confidence: Medium)"
        ] == format_events(known, more)
        assert [] == format_events(more, known)

    def test_healing_is_off(self) -> None:
        """Then only the phase gives an Event."""
        off, on = (make_record(mode=mode, diagnoses=[make_diagnosis()]) for mode in ("Off", "Auto"))

        assert [] == format_events(None, off)
        assert [] == format_events(on, off)
        assert 1 == len(format_events(off, on))

    @pytest.mark.parametrize(
        ("outcome", "remediation", "expected"),
        [
            (
                ActionOutcome.IN_PROGRESS,
                Remediation.ROLLBACK,
                "Warning HealingRollback: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.SUCCEEDED,
                Remediation.REPLACE_POD,
                "Normal RemediationSucceeded: ReplacePod succeeded: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.FAILED,
                Remediation.REPLACE_POD,
                ("Warning RemediationFailed: ReplacePod did not succeed: web-abc-1 is replaced"),
            ),
            (
                ActionOutcome.FAILED,
                Remediation.REMOVE_FOREIGN_FIELDS,
                (
                    "Warning RemediationFailed: RemoveForeignFields did not succeed (kubectl "
                    "rollout undo deployment/web gives the fields back): web-abc-1 is replaced"
                ),
            ),
            (
                ActionOutcome.SUPERSEDED,
                Remediation.REPLACE_POD,
                (
                    "Normal RemediationSuperseded: ReplacePod was superseded by a change of the "
                    "app: web-abc-1 is replaced"
                ),
            ),
            (
                ActionOutcome.EXPIRED,
                Remediation.REPLACE_POD,
                "Normal RemediationExpired: ReplacePod expired: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.OBSERVED,
                Remediation.REPLACE_POD,
                "Normal RemediationSkipped: mode Observe, else ReplacePod: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.PROPOSED,
                Remediation.REPLACE_POD,
                (
                    "Warning ApprovalNeeded: ReplacePod: web-abc-1 is replaced; "
                    f"approve: {ANNOTATE}approve=1"
                ),
            ),
            (
                ActionOutcome.COMPLETED,
                Remediation.QUARANTINE,
                "Warning Quarantined: quarantined: web-abc-1 is replaced",
            ),
        ],
    )
    def test_an_action(
        self, outcome: ActionOutcome, remediation: Remediation, expected: str
    ) -> None:
        """An Event when it is decided, and when its outcome is known."""
        after = make_record(history=[make_action(outcome, remediation)])

        assert [expected] == format_events(make_record(), after)
        assert [] == format_events(after, after)
        assert [] == format_events(after, make_record())

    def test_the_outcome_comes_before_the_next_action(self) -> None:
        """In the order of time."""
        before = make_record(history=[make_action()])
        after = make_record(history=[make_action(number=2), make_action(ActionOutcome.FAILED)])

        assert ["RemediationFailed", "HealingReplacePod"] == [
            n.reason for n in remediation_events(KEY, before, after)
        ]

    @pytest.mark.parametrize(
        ("blocked_reason", "reason"),
        [
            (BlockedReason.STORM, "HealingBlockedStorm"),
            (BlockedReason.ACTION_LIMIT, "HealingBlockedActionLimit"),
            (BlockedReason.NODES_LOST, "HealingBlockedNodesLost"),
            (BlockedReason.STALE_CACHE, "HealingBlockedStaleCache"),
        ],
    )
    def test_external_blocked_reasons(self, blocked_reason: BlockedReason, reason: str) -> None:
        """Their cause is not in the app, so they get an Event."""
        blocked = make_record(blocked_reason=blocked_reason)

        assert [("Warning", reason)] == [
            (n.type, n.reason) for n in remediation_events(KEY, None, blocked)
        ]
        assert [reason] == [
            n.reason
            for n in remediation_events(
                KEY, make_record(blocked_reason=BlockedReason.COOLDOWN), blocked
            )
        ]
        assert [] == format_events(blocked, blocked)

    @pytest.mark.parametrize(
        "blocked_reason",
        sorted(set(BlockedReason) - {"Storm", "ActionLimit", "NodesLost", "StaleCache"}),
    )
    def test_internal_blocked_reasons(self, blocked_reason: BlockedReason) -> None:
        """Only the status has them."""
        assert [] == format_events(make_record(), make_record(blocked_reason=blocked_reason))

    def test_ends(self) -> None:
        """The end of a quarantine, of a fallback and of a probation."""
        fallen = make_record(fallback_replicas=4)
        proved = make_record(stable_revision="good", stable_image="web:v1")

        assert [
            "Normal HealingResumed: the quarantine has ended, healing has resumed"
        ] == format_events(
            QUARANTINED_RECORD, QUARANTINED_RECORD.model_copy(update={"quarantined": False})
        )
        assert [
            (
                "Normal ScalingFallbackEnded: the autoscaler has metrics again: "
                "it alone decides on the number of pods"
            )
        ] == format_events(fallen, make_record())
        assert [
            "Normal RevisionStable: revision good (web:v1) is the stable revision"
        ] == format_events(make_record(), proved)
        assert [] == format_events(proved, make_record())

    def test_a_quarantine_that_ends_with_the_mode_off(self) -> None:
        """Healing does not resume, so there is no Event."""
        off = QUARANTINED_RECORD.model_copy(update={"mode": "Off", "quarantined": False})

        assert [] == format_events(QUARANTINED_RECORD, off)

    def test_long_messages_are_cut(self) -> None:
        """In bytes."""
        long = make_diagnosis().model_copy(update={"message": "ü" * 1000})
        (event,) = remediation_events(KEY, None, make_record(diagnoses=[long]))

        assert MAX_NOTE_BYTES == len(event.message.encode())


def evaluate_with_record(
    *objects: Json,
    before: Json | None = None,
    now: float = 1000,
    **more: Any,  # noqa: ANN401 - as evaluate_app
) -> Evaluation:
    """Evaluate an app with one pod and a stored record."""
    return evaluate_app(deployment(1), *objects, previous_status=before, now=now, **more)


class TestEvaluation:
    """From the snapshot to the status."""

    def test_an_unhealthy_app(self) -> None:
        """The diagnosis, the blocked reason, and the Events of the phase and of the diagnosis."""
        found = evaluate_with_record(CRASH_LOOPING_POD)
        healing = status_json(found)["healing"]

        assert ["CrashLooping"] == [each["type"] for each in healing["diagnoses"]]
        assert "NoRemediation" == healing["blockedReason"]
        assert ["Degraded", "CrashLooping"] == [
            n.reason for n in found.events if n.reason in {"Degraded", "CrashLooping"}
        ]

    def test_the_external_state(self) -> None:
        """It reaches the decision."""
        stored = {
            "mode": "Auto",
            "budgetLeft": 3,
            "stableRevision": "good",
            "stableImage": "web:v0",
        }
        blocked = evaluate_with_record(
            CRASH_LOOPING_POD,
            before={"healing": stored},
            external=ExternalState(
                blocked_reason=BlockedReason.STORM,
                stable_template={"spec": {"containers": [{"name": "app", "image": "web:v0"}]}},
            ),
        )

        assert blocked.status.healing is not None
        assert BlockedReason.STORM is blocked.status.healing.blocked_reason

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            ([HEALTHY_POD], False),
            ([pod("web-abc-1", running(990, ready=False), since=980, created=980)], False),
            ([pod("web-abc-1", running(), ready=False, ready_reason="", since=990)], False),
            ([pod("web-abc-1", running(900, ready=False), since=999)], True),
            ([pod("web-abc-1", crash_loop(1, termination()))], True),
            ([pod("web-abc-2", running()), CRASH_LOOPING_POD], True),
        ],
        ids=["well", "starts", "lost with its node", "unready just now", "crashed once", "one"],
    )
    def test_which_apps_count_for_the_breaker(self, pods: list[Json], *, expected: bool) -> None:
        """An app whose pods have a problem, from the first moment."""
        assert expected is evaluate_with_record(*pods).has_pod_problem

    def test_a_paused_app(self) -> None:
        """There is no decision, and the record stays."""
        first = status_json(evaluate_with_record(CRASH_LOOPING_POD))
        paused = evaluate_with_record(
            HEALTHY_POD, before=first, spec={"image": "web:v1", "paused": True}, now=2000
        )

        assert first["healing"] == status_json(paused)["healing"]

    def test_a_spec_that_cannot_be_read(self) -> None:
        """As for a paused app."""
        first = status_json(evaluate_with_record(CRASH_LOOPING_POD))
        found = evaluate_invalid_app(deployment(1), HEALTHY_POD, previous_status=first, now=2000)

        assert first["healing"] == status_json(found)["healing"]

    def test_a_job(self) -> None:
        """A Job retries by itself, so it has no record."""
        spec = {"image": "web:v1", "restartPolicy": "OnFailure"}
        found = evaluate_with_record(
            job(), job_pod("web-1", crash_loop(4, termination())), spec=spec
        )

        assert "healing" not in status_json(found)

    def test_an_app_becomes_a_job(self) -> None:
        """The record is removed from the resource."""
        first = status_json(evaluate_with_record(HEALTHY_POD))
        spec = {"image": "web:v1", "restartPolicy": "OnFailure"}

        assert None is evaluate_with_record(job(), before=first, spec=spec).patch["healing"]

    def test_an_app_that_runs_the_stable_revision(self) -> None:
        """It is neither Ready nor Healthy, however healthy its pods are."""
        now = revision_of_spec({"image": "web:v1", "port": 5000})
        stored = {
            "mode": "Auto",
            "budgetLeft": 2,
            "desiredRevision": now,
            "desiredSince": iso(0),
            "stableRevision": "good",
            "stableImage": "web:v0",
            "failedRevision": now,
        }
        found = status_json(evaluate_with_record(HEALTHY_POD, before={"healing": stored}))
        conditions = {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}

        assert ("Degraded", "1/1") == (found["phase"], found["ready"])
        assert ("False", "RolledBack") == conditions["Ready"] == conditions["Healthy"]

    def test_healing_is_switched_off(self) -> None:
        """The action is superseded, the isolated pod expires, and the phase is the app's."""
        spec = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
        now = revision_of_spec(spec)
        begun = make_action().model_dump(mode="json", by_alias=True, exclude_none=True)
        stored = {
            "mode": "Auto",
            "budgetLeft": 2,
            "desiredRevision": now,
            "desiredSince": iso(0),
            "quarantine": {"pod": "web-abc-7", "uid": "u", "until": iso(1500)},
            "history": [begun],
        }
        off = evaluate_with_record(CRASH_LOOPING_POD, before={"healing": stored}, spec=spec)
        found = status_json(off)
        gone = status_json(
            evaluate_with_record(CRASH_LOOPING_POD, before=found, spec=spec, now=1500)
        )

        assert "Degraded" == found["phase"]
        assert ["Superseded"] == [each["outcome"] for each in found["healing"]["history"]]
        assert 500 == off.requeue_after
        assert "quarantine" in found["healing"]
        assert "quarantine" not in gone["healing"]
