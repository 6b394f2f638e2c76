"""How healing shows: in the phase, in the conditions, in Events, and in when to look again."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    Hold,
    QuarantineStatus,
    Remedy,
)
from selfhealing.api.spec import parse
from selfhealing.api.status import Phase
from selfhealing.apply.result import Outcome
from selfhealing.controller.evaluate import Report, report
from selfhealing.remediation.context import Situation
from selfhealing.render.overrides import version
from selfhealing.status.event import MESSAGE_LIMIT
from selfhealing.status.phase import ROLLED_BACK, Verdict
from selfhealing.status.remediation import overlaid, story
from tests.unit import builders
from tests.unit.builders import at, crash_loop, deployment, ended, iso, job, job_pod, pod, running
from tests.unit.snapshots import KEY, Json, facts, status_of, tell

READY = Verdict(Phase.READY, "AllPodsReady", "1 of 1 pod ready", complete=True)
ILL = Verdict(Phase.DEGRADED, "CrashLoopBackOff", "0 of 1 pod ready")
LOOPING = pod("web-abc-1", crash_loop(4, ended()))
WELL = pod("web-abc-1", running())
ANNOTATE = "kubectl -n shop annotate --overwrite sha web selfhealing.dev/"


def record(**more: Any) -> HealingStatus:  # noqa: ANN401 - fields of the record
    """What is remembered about an app."""
    return HealingStatus(**{"mode": "Auto", "budget_left": 3, **more})


def action(
    outcome: ActionOutcome = ActionOutcome.STARTED, remedy: Remedy = Remedy.RECYCLE, number: int = 1
) -> HealingAction:
    """A decision."""
    return HealingAction(
        id=number,
        remedy=remedy,
        diagnosis="CrashLooping",
        outcome=outcome,
        at=at(0),
        message="web-abc-1 is replaced",
    )


ROLLED = record(failed_template="new", good_template="good", good_image="web:v0")
LEFT = record(
    quarantined=True,
    quarantine=QuarantineStatus(pod="web-abc-1", uid="u", until=at(3600)),
    history=[action(ActionOutcome.DONE, Remedy.QUARANTINE)],
)
SET_BACK = "runs version good (web:v0), because new failed; it is tried again when the spec changes"
WAITS = record(history=[action(ActionOutcome.PROPOSED)])
STAYS = f"not healed until it was well for a whole window, or at once: {ANNOTATE}resume=$(date +%s)"
ASKS = f"Recycle waits for approval: {ANNOTATE}approve=1"
RESUME = f"heal again: {ANNOTATE}resume=$(date +%s)"


class TestPhase:
    """What healing makes of the verdict on an app."""

    @pytest.mark.parametrize(
        ("verdict", "kept", "expected"),
        [
            (ILL, None, ILL),
            (ILL, record(), ILL),
            (READY, record(history=[action()]), READY),
            (READY, LEFT, replace(READY, message=f"{READY.message}; {STAYS}")),
            (READY, WAITS, replace(READY, message=f"{READY.message}; {ASKS}")),
            (ILL, record(history=[action(ActionOutcome.HELPED)]), ILL),
            (
                ILL,
                record(history=[action()]),
                Verdict(
                    Phase.HEALING,
                    "CrashLoopBackOff",
                    "healing: web-abc-1 is replaced; 0 of 1 pod ready",
                ),
            ),
            (
                ILL,
                LEFT,
                Verdict(
                    Phase.QUARANTINED,
                    "CrashLoopBackOff",
                    "left to people, web-abc-1 is replaced; "
                    "pod web-abc-1 is kept to be looked at until 13:00:00 UTC; "
                    f"{RESUME}; 0 of 1 pod ready",
                ),
            ),
            (
                READY,
                ROLLED,
                Verdict(Phase.DEGRADED, ROLLED_BACK, f"{SET_BACK}; 1 of 1 pod ready"),
            ),
            (
                ILL,
                ROLLED.model_copy(update={"history": [action()]}),
                Verdict(
                    Phase.HEALING,
                    ROLLED_BACK,
                    f"healing: web-abc-1 is replaced; {SET_BACK}; 0 of 1 pod ready",
                ),
            ),
        ],
        ids=[
            "nothing is remembered",
            "nothing is done",
            "it is well while an action is judged",
            "it became well by itself",
            "something waits for approval",
            "what was done has helped",
            "something is done",
            "it is left to people",
            "it runs another version, and well",
            "it is being set back",
        ],
    )
    def test_it(self, verdict: Verdict, kept: HealingStatus | None, expected: Verdict) -> None:
        """What is being done, what was given up, and that another version runs."""
        assert expected == overlaid(KEY, verdict, kept)

    def test_no_pod_is_kept(self) -> None:
        """Then none is named."""
        message = overlaid(KEY, ILL, record(quarantined=True)).message

        assert "kept to be looked at" not in message
        assert RESUME in message

    @pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.INVALID, Phase.COMPLETED])
    def test_it_has_no_say(self, phase: Phase) -> None:
        """Where nothing is healed, whatever is remembered."""
        verdict = Verdict(phase, "Because", "of that")

        assert verdict == overlaid(KEY, verdict, LEFT)


def told(before: HealingStatus | None, after: HealingStatus | None) -> list[str]:
    """The Events between two records."""
    return [f"{n.type} {n.reason}: {n.message}" for n in story(KEY, before, after)]


def ail(kind: str = "CrashLooping") -> DiagnosisStatus:
    """An illness as the status shows it."""
    return DiagnosisStatus(type=kind, cause="Pod", confidence="Medium", message="web-1: crashes")


class TestStory:
    """Events: each step once."""

    def test_nothing(self) -> None:
        """Of a Job, of the first look, and where nothing is new."""
        assert [] == told(None, None)
        assert [] == told(LEFT, None)
        assert [] == told(None, record())
        assert [] == told(LEFT, LEFT)

    def test_an_illness(self) -> None:
        """When it is found, and not for as long as it stays."""
        known, more = record(diagnoses=[ail()]), record(diagnoses=[ail(), ail("OOMKilled")])

        assert ["Warning CrashLooping: web-1: crashes (cause: Pod, confidence: Medium)"] == told(
            None, known
        )
        assert ["Warning OOMKilled: web-1: crashes (cause: Pod, confidence: Medium)"] == told(
            known, more
        )
        assert [] == told(more, known)

    def test_nobody_heals(self) -> None:
        """Then the phase's Event is enough, until somebody does."""
        off, on = (record(mode=mode, diagnoses=[ail()]) for mode in ("Off", "Auto"))

        assert [] == told(None, off)
        assert [] == told(on, off)
        assert 1 == len(told(off, on))

    @pytest.mark.parametrize(
        ("outcome", "remedy", "expected"),
        [
            (
                ActionOutcome.STARTED,
                Remedy.ROLLBACK,
                "Warning HealingRollback: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.HELPED,
                Remedy.RECYCLE,
                "Normal HealingHelped: Recycle helped: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.NO_HELP,
                Remedy.RECYCLE,
                "Warning HealingNoHelp: Recycle did not help in time: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.OVERTAKEN,
                Remedy.RECYCLE,
                (
                    "Normal HealingOvertaken: Recycle was overtaken by a change of the app: "
                    "web-abc-1 is replaced"
                ),
            ),
            (
                ActionOutcome.EXPIRED,
                Remedy.RECYCLE,
                "Normal HealingExpired: Recycle is no longer proposed: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.OBSERVED,
                Remedy.RECYCLE,
                "Normal WouldHeal: mode Observe, else Recycle: web-abc-1 is replaced",
            ),
            (
                ActionOutcome.PROPOSED,
                Remedy.RECYCLE,
                (
                    "Warning ApprovalNeeded: Recycle: web-abc-1 is replaced; "
                    f"approve: {ANNOTATE}approve=1"
                ),
            ),
            (
                ActionOutcome.DONE,
                Remedy.QUARANTINE,
                "Warning Quarantined: left to people: web-abc-1 is replaced",
            ),
        ],
    )
    def test_a_decision(self, outcome: ActionOutcome, remedy: Remedy, expected: str) -> None:
        """When it is taken, and when it is known what became of it; not in between."""
        after = record(history=[action(outcome, remedy)])

        assert [expected] == told(record(), after)
        assert [] == told(after, after)
        assert [] == told(after, record())

    def test_what_became_of_it_comes_before_what_is_next(self) -> None:
        """In the order in which it happened."""
        before = record(history=[action()])
        after = record(history=[action(number=2), action(ActionOutcome.NO_HELP)])

        assert ["HealingNoHelp", "HealingRecycle"] == [n.reason for n in story(KEY, before, after)]

    @pytest.mark.parametrize(
        ("hold", "reason"),
        [
            (Hold.STORM, "HeldStorm"),
            (Hold.NODES_LOST, "HeldNodesLost"),
            (Hold.STALE_FACTS, "HeldStaleFacts"),
        ],
    )
    def test_what_holds_it_from_outside(self, hold: Hold, reason: str) -> None:
        """Whoever looks at the app alone cannot see it."""
        held = record(hold=hold)

        assert [("Warning", reason)] == [(n.type, n.reason) for n in story(KEY, None, held)]
        assert [reason] == [n.reason for n in story(KEY, record(hold=Hold.COOLDOWN), held)]
        assert [] == told(held, held)

    @pytest.mark.parametrize("hold", sorted(set(Hold) - {"Storm", "NodesLost", "StaleFacts"}))
    def test_what_holds_it_from_inside(self, hold: Hold) -> None:
        """The status tells it."""
        assert [] == told(record(), record(hold=hold))

    def test_the_ends(self) -> None:
        """What is over is told too."""
        fallen = record(fallback_replicas=4)
        proved = record(good_template="good", good_image="web:v1")

        assert ["Normal HealingResumed: the app is healed again, with a fresh start"] == told(
            LEFT, LEFT.model_copy(update={"quarantined": False})
        )
        assert [
            (
                "Normal ScalingFallbackEnded: the autoscaler has metrics again: "
                "it alone decides on the number of pods"
            )
        ] == told(fallen, record())
        assert ["Normal VersionProven: version good (web:v1) is one to go back to"] == told(
            record(), proved
        )
        assert [] == told(proved, record())

    def test_an_app_that_is_left_alone_for_good(self) -> None:
        """It is not healed again when somebody switches healing off."""
        off = LEFT.model_copy(update={"mode": "Off", "quarantined": False})

        assert [] == told(LEFT, off)

    def test_no_longer_than_an_event_may_be(self) -> None:
        """In bytes."""
        long = ail().model_copy(update={"message": "ü" * 1000})
        (notice,) = story(KEY, None, record(diagnoses=[long]))

        assert MESSAGE_LIMIT == len(notice.message.encode())


def looked(*objects: Json, before: Json | None = None, now: float = 1000, **more: Any) -> Report:  # noqa: ANN401 - as tell
    """Report on an app with one pod."""
    return tell(deployment(1), *objects, before=before, now=now, **more)


class TestReport:
    """A reconcile from the facts to the status."""

    def test_an_app_that_is_ill(self) -> None:
        """The illness, the hold, and both the phase's Event and the illness's."""
        found = looked(LOOPING)
        healing = status_of(found)["healing"]

        assert ["CrashLooping"] == [each["type"] for each in healing["diagnoses"]]
        assert "NoRemedy" == healing["hold"]
        assert ["Degraded", "CrashLooping"] == [
            n.reason for n in found.notices if n.reason in {"Degraded", "CrashLooping"}
        ]

    def test_a_situation(self) -> None:
        """What is known from outside reaches the decision."""
        kept = {"mode": "Auto", "budgetLeft": 3, "goodTemplate": "good", "goodImage": "web:v0"}
        thing = builders.app(status={"healing": kept})
        held = report(
            facts(thing, deployment(1), LOOPING),
            parse(thing["spec"]),
            Outcome(),
            at(1000),
            Situation(hold=Hold.STORM),
        )

        assert held.status.healing is not None
        assert Hold.STORM is held.status.healing.hold

    @pytest.mark.parametrize(
        ("pods", "ailing"),
        [
            ([WELL], False),
            ([pod("web-abc-1", running(990, ready=False), since=980, created=980)], False),
            ([pod("web-abc-1", running(), ready=False, ready_reason="", since=990)], False),
            ([pod("web-abc-1", running(900, ready=False), since=999)], True),
            ([pod("web-abc-1", crash_loop(1, ended()))], True),
            ([pod("web-abc-2", running()), LOOPING], True),
        ],
        ids=["well", "starts", "lost with its node", "unready just now", "crashed once", "one"],
    )
    def test_who_counts_for_the_breaker(self, pods: list[Json], *, ailing: bool) -> None:
        """An app whose pods have something of their own, from the first moment."""
        assert ailing is looked(*pods).ailing

    def test_a_paused_app(self) -> None:
        """Nothing is decided, and nothing is forgotten."""
        first = status_of(looked(LOOPING))
        paused = looked(WELL, before=first, spec={"image": "web:v1", "paused": True}, now=2000)

        assert first["healing"] == status_of(paused)["healing"]

    def test_a_spec_that_cannot_be_read(self) -> None:
        """As with a paused app."""
        first = status_of(looked(LOOPING))
        found = report(
            facts(builders.app({}, first), deployment(1), WELL), None, Outcome(), at(2000)
        )

        assert first["healing"] == status_of(found)["healing"]

    def test_a_job(self) -> None:
        """It tries again by itself."""
        spec = {"image": "web:v1", "restartPolicy": "OnFailure"}
        found = tell(job(), job_pod("web-1", crash_loop(4, ended())), spec=spec)

        assert "healing" not in status_of(found)

    def test_an_app_becomes_a_job(self) -> None:
        """Then what was remembered goes from the resource, too."""
        first = status_of(looked(WELL))
        spec = {"image": "web:v1", "restartPolicy": "OnFailure"}

        assert None is tell(job(), before=first, spec=spec).patch["healing"]

    def test_an_app_that_runs_another_version(self) -> None:
        """Neither Ready nor Healthy, however well that version is."""
        now = version("web", parse({"image": "web:v1", "port": 5000}))
        kept = {
            "mode": "Auto",
            "budgetLeft": 2,
            "template": now,
            "templateSince": iso(0),
            "goodTemplate": "good",
            "goodImage": "web:v0",
            "failedTemplate": now,
        }
        found = status_of(looked(WELL, before={"healing": kept}))
        held = {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}

        assert ("Degraded", "1/1") == (found["phase"], found["ready"])
        assert ("False", "RolledBack") == held["Ready"] == held["Healthy"]

    def test_healing_is_switched_off(self) -> None:
        """What was begun is over, what was kept goes in its time, and the phase is the app's."""
        spec = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
        now = version("web", parse(spec))
        begun = action().model_dump(mode="json", by_alias=True, exclude_none=True)
        kept = {
            "mode": "Auto",
            "budgetLeft": 2,
            "template": now,
            "templateSince": iso(0),
            "quarantine": {"pod": "web-abc-7", "uid": "u", "until": iso(1500)},
            "history": [begun],
        }
        off = looked(LOOPING, before={"healing": kept}, spec=spec)
        found = status_of(off)
        gone = status_of(looked(LOOPING, before=found, spec=spec, now=1500))

        assert "Degraded" == found["phase"]
        assert ["Overtaken"] == [each["outcome"] for each in found["healing"]["history"]]
        assert 500 == off.again
        assert "quarantine" in found["healing"]
        assert "quarantine" not in gone["healing"]
