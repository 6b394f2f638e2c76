"""Events: what is told, and what is not told again."""

from typing import Any

import pytest

from selfhealing.apply.child_diff import Need
from selfhealing.apply.result import Change, Obstacle, Outcome, Problem
from selfhealing.status.event import MESSAGE_LIMIT, Notice
from selfhealing.status.events import deeds, transitions
from selfhealing.status.restarts import Restart
from tests.unit.builders import (
    autoscaler,
    crash_loop,
    deployment,
    ended,
    iso,
    pod,
    progressing,
    running,
    terminated,
    tolerates,
    waiting,
)
from tests.unit.snapshots import Json, status_of, tell

Step = tuple[tuple[Json, ...], dict[str, Any]]

READY = pod("web-abc-1", running())
STARTING = pod("web-abc-1", waiting("ContainerCreating"))
ROLLING = deployment(1, conditions=[progressing("ReplicaSetUpdated")])


UNHEALED = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
"""The Events of healing are those of test_healing."""


def look(*objects: Json, **more: Any) -> Step:  # noqa: ANN401 - as tell
    """One look of the operator at the world."""
    return objects, {"spec": UNHEALED, **more}


def told(*steps: Step) -> list[list[str]]:
    """The Events that come with each of several looks, one after the other."""
    status: Json = {}
    found = []
    for objects, more in steps:
        result = tell(*objects, before=status, **more)
        status = status_of(result)
        found.append([f"{n.type} {n.reason}: {n.message}" for n in result.notices])
    return found


class TestDeeds:
    """What was written to the children."""

    @pytest.mark.parametrize(
        ("need", "expected"),
        [
            (Need.CREATE, Notice("Normal", "Created", "created Deployment and Service")),
            (
                Need.UPDATE,
                Notice("Normal", "Updated", "updated Deployment and Service to the current spec"),
            ),
            (
                Need.CORRECT,
                Notice(
                    "Warning",
                    "DriftCorrected",
                    "somebody changed Deployment and Service; put back what the spec says",
                ),
            ),
            (
                Need.ADOPT,
                Notice(
                    "Normal",
                    "Adopted",
                    "took over Deployment and Service, as its annotation asks",
                ),
            ),
            (
                None,
                Notice(
                    "Normal",
                    "Deleted",
                    "deleted Deployment and Service: the spec no longer asks for it",
                ),
            ),
        ],
    )
    def test_one_for_each_kind_of_deed(self, need: Need | None, expected: Notice) -> None:
        """All children of which the same was done are in one Event."""
        changes = (Change("Deployment", need), Change("Service", need))

        assert [expected] == list(deeds(changes))

    def test_nothing_done(self) -> None:
        """No deed, no Event."""
        assert [] == list(deeds(()))


class TestPhases:
    """How the app is, told when it changes."""

    def test_first_deployment(self) -> None:
        """Pending and Progressing are no news; Ready is."""
        new = deployment(1, updated=0, conditions=[progressing("NewReplicaSetCreated")])

        assert [[], [], [], ["Normal Ready: 1 of 1 pod ready"], []] == told(
            look(),
            look(new),
            look(ROLLING, STARTING),
            look(deployment(1), READY),
            look(deployment(1), READY),
        )

    def test_degraded_once(self) -> None:
        """The states of a crash loop take turns without another Event."""
        looping = [
            crash_loop(2, ended(1, finished=10)),
            running(since=95, restarts=2, last=ended(1, started=50, finished=60), ready=False),
            crash_loop(2, ended(1, finished=10), back_off=40),
        ]
        restarted = "container app of pod web-abc-1 was restarted: Error, exit code 1"

        assert [
            [
                f"Warning ContainerRestarted: {restarted}",
                "Warning Degraded: 0 of 1 pod ready; web-abc-1: keeps crashing, exit code 1",
            ],
            [],
            [],
        ] == told(*(look(deployment(1), pod("web-abc-1", status)) for status in looping))

    def test_another_reason(self) -> None:
        """A fault that becomes another one is told again."""
        slow = pod("web-abc-1", running(since=0, ready=False), since=50)
        dead = pod("web-abc-1", terminated(ended(137, "OOMKilled")))

        assert [
            ["Warning Degraded: 0 of 1 pod ready; web-abc-1: does not pass its readiness probe"],
            ["Warning Degraded: 0 of 1 pod ready; web-abc-1: ran out of memory"],
        ] == told(look(deployment(1), slow), look(deployment(1), dead))

    def test_recovery(self) -> None:
        """From a fault to Ready, at once or by way of new pods."""
        bad = look(deployment(1), pod("web-abc-1", crash_loop(0, ended(1))))
        good = look(deployment(1), READY)

        assert [["Normal Ready: 1 of 1 pod ready"]] == told(bad, good)[1:]
        assert [["Normal Recovering: 0 of 1 pod ready; starting"], []] == told(
            bad, look(deployment(1), STARTING), good
        )[1:]

    def test_a_lost_node(self) -> None:
        """From the first word to the last: which node, until when, and how long it took."""
        first, second = READY, pod("web-abc-2", running())
        here: Json = {"ready": False, "ready_reason": "", "since": 50, "node": "node-7"}
        lost = pod("web-abc-2", running(), tolerations=[tolerates()], **here)
        left = pod("web-abc-2", running(), deletionTimestamp=iso(0), **here)
        coming = pod("web-abc-3", waiting("ContainerCreating"))
        new = pod("web-abc-3", running())

        assert [
            [
                (
                    "Warning Degraded: 1 of 2 pods ready; "
                    "web-abc-2: its node node-7 does not answer, noticed 2026-01-01 12:00:50 UTC; "
                    "Kubernetes waits 5 minutes, until 12:05:50, before it replaces it"
                )
            ],
            [],
            [
                (
                    "Normal Recovering: 1 of 2 pods ready; starting elsewhere; "
                    "1 pod left behind on node-7, which does not answer"
                )
            ],
            [
                (
                    "Normal Ready: 2 of 2 pods ready again, "
                    "5 min 7 s after the loss of a node was noticed"
                )
            ],
            [],
        ] == told(
            look(deployment(2), first, second),
            look(deployment(2), first, lost, now=51),
            look(deployment(2), first, lost, now=200),
            look(deployment(2), first, left, coming, now=351),
            look(deployment(2), first, left, new, now=358),
            look(deployment(2), first, new, now=900),
        )[1:]

    def test_a_node_that_comes_back(self) -> None:
        """Before Kubernetes has replaced its pods."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50)

        assert [
            ["Normal Ready: 1 of 1 pod ready again, 42 s after the loss of a node was noticed"]
        ] == (
            told(
                look(deployment(1), READY),
                look(deployment(1), lost, now=51),
                look(deployment(1), READY, now=93),
            )[2:]
        )

    def test_a_lost_node_of_a_paused_app(self) -> None:
        """An app that is not Ready does not say so."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50)
        paused = look(deployment(1), lost, spec={"image": "web:v1", "paused": True}, now=60)
        (event,) = told(look(deployment(1), lost, now=51), paused)[1]

        assert event.startswith("Normal Paused: paused, nothing is changed; 0 of 1 pod ready; ")
        assert "again" not in event

    def test_a_rollout(self) -> None:
        """It is told when it begins and when it has ended."""
        rolling = deployment(1, conditions=[progressing("ReplicaSetUpdated", "def")])
        new = pod("web-def-1", running())
        done = deployment(1, conditions=[progressing(current="def")])

        assert [
            ["Normal RollingOut: 0 of 1 pod ready; rolling out; 1 old pod still serves"],
            [],
            ["Normal Ready: 1 of 1 pod ready"],
        ] == told(
            look(deployment(1), READY),
            look(rolling, READY),
            look(rolling, READY, new),
            look(done, new),
        )[1:]

    def test_scaling_is_everyday(self) -> None:
        """Pods that come and go are told by the autoscaler's Event, not by phases."""
        one = look(deployment(1), READY)
        starting = look(deployment(2, updated=1), READY)
        two = look(deployment(2), READY, pod("web-abc-2", running()))

        assert [[], []] == told(one, starting, two)[1:]

    def test_paused(self) -> None:
        """Pausing is told, and so is what is found afterwards."""
        well = look(deployment(1), READY)
        paused = look(deployment(1), READY, spec={"image": "web:v1", "paused": True})

        assert [
            ["Normal Paused: paused, nothing is changed; 1 of 1 pod ready"],
            ["Normal Ready: 1 of 1 pod ready"],
        ] == told(well, paused, well)[1:]

    def test_nothing_known(self) -> None:
        """A status without a phase or without conditions tells nothing."""
        found = tell(deployment(1), READY).status

        assert [] == transitions(found, found.model_copy(update={"phase": None}), ())
        assert [] == transitions(found, found.model_copy(update={"conditions": []}), ())


class TestReconciled:
    """Obstacles, told when they come and when they go."""

    def met(self, obstacle: Obstacle) -> Step:
        """A look that met an obstacle."""
        outcome = Outcome(problems=(Problem(obstacle, "Service: no"),))
        return look(deployment(1), READY, outcome=outcome)

    def test_comes_and_goes(self) -> None:
        """A refusal is told once, and its end."""
        well = look(deployment(1), READY)
        refused = self.met(Obstacle.QUOTA_EXCEEDED)

        assert [
            [
                "Warning QuotaExceeded: Service: no",
                "Warning Degraded: Service: no; 1 pod serves as before",
            ],
            [],
            [
                "Normal Reconciled: every child is as the spec says",
                "Normal Ready: 1 of 1 pod ready",
            ],
        ] == told(well, refused, refused, well)[1:]

    def test_told_by_the_phase(self) -> None:
        """An app that is Invalid says why once, not twice."""
        well = look(deployment(1), READY)

        assert [["Warning NameConflict: Service: no; 1 pod serves as before"]] == told(
            well, self.met(Obstacle.NAME_CONFLICT)
        )[1:]

    def test_what_passes_is_no_news(self) -> None:
        """A child that is still being deleted is waited for in silence."""
        well = look(deployment(1), READY)

        assert [[], ["Normal Ready: 1 of 1 pod ready"]] == told(
            well, self.met(Obstacle.CHILD_TERMINATING), well
        )[1:]


class TestRestarts:
    """Restarted containers."""

    def restarted(self, pod_name: str, reason: str = "Error", code: int | None = 1) -> Restart:
        """One restart."""
        return Restart(pod_name, "app", reason, code, 1)

    def notices(self, *restarts: Restart) -> list[Notice]:
        """What is told of restarts alone."""
        status = tell().status
        return transitions(status, status, restarts)

    def test_each_of_a_few(self) -> None:
        """With its cause; the exit code only where there is one."""
        assert [
            Notice(
                "Warning",
                "ContainerRestarted",
                "container app of pod web-abc-1 was restarted: LivenessProbe, exit code 137, "
                "SIGKILL",
            ),
            Notice(
                "Warning",
                "ContainerRestarted",
                "container app of pod web-abc-2 was restarted: Unknown",
            ),
        ] == self.notices(
            self.restarted("web-abc-1", "LivenessProbe", 137),
            self.restarted("web-abc-2", "Unknown", None),
        )

    def test_many_at_once(self) -> None:
        """A storm is one Event."""
        storm = [self.restarted(f"web-abc-{i}", "LivenessProbe") for i in range(5)]

        assert [
            Notice(
                "Warning",
                "ContainersRestarted",
                "6 containers of 5 pods were restarted: 5 LivenessProbe, 1 OOMKilled",
            )
        ] == self.notices(*storm, self.restarted("web-abc-0", "OOMKilled"))


class TestScaling:
    """What the autoscaler does."""

    def test_another_number(self) -> None:
        """With what it saw."""
        assert [
            ["Normal Scaled: the autoscaler changes from 1 to 4 pods (cpu 180%/50%)"],
            ["Normal Scaled: the autoscaler changes from 4 to 1 pod (cpu unknown/50%)"],
        ] == told(
            look(autoscaler(1, 1)),
            look(autoscaler(1, 4, cpu=180)),
            look(autoscaler(4, 1, cpu=None)),
        )[1:]

    def test_metrics_of_the_app(self) -> None:
        """What the app counts is a reason like CPU and memory."""
        target = {"type": "AverageValue", "averageValue": "10"}
        requests = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
        one, four = autoscaler(1, 1), autoscaler(1, 4)
        one["spec"]["metrics"] = four["spec"]["metrics"] = [requests]

        assert [
            ["Normal Scaled: the autoscaler changes from 1 to 4 pods (requests unknown/10)"]
        ] == told(look(one), look(four))[1:]

    def test_no_metrics(self) -> None:
        """An autoscaler that shows no metric says only the numbers."""
        one, four = autoscaler(1, 1), autoscaler(1, 4)
        one["spec"]["metrics"] = four["spec"]["metrics"] = []

        assert [["Normal Scaled: the autoscaler changes from 1 to 4 pods"]] == told(
            look(one), look(four)
        )[1:]

    def test_its_first_number(self) -> None:
        """An autoscaler that has just begun does not change anything."""
        assert [[], []] == told(look(autoscaler(0, 0)), look(autoscaler(1, 2)))

    def test_blind_and_seeing_again(self) -> None:
        """Losing its figures is a warning; that it has none at first is not."""
        blind = look(
            autoscaler(active="False", reason="FailedGetResourceMetric", message="no metrics")
        )
        seeing = look(autoscaler())

        assert [
            [],
            ["Normal ScalingActive: the HPA was able to compute the replica count"],
            ["Warning ScalingInactive: no metrics"],
            [],
        ] == told(blind, seeing, blind, blind)

    def test_scaled_to_zero(self) -> None:
        """An autoscaler that rests because there is nothing to scale is no fault."""
        rests = look(autoscaler(active="False", reason="ScalingDisabled", message="at zero"))

        assert [[], [], []] == told(look(autoscaler()), rests, look(autoscaler()))

    def test_unknown_is_no_loss(self) -> None:
        """From not reported to anything is no transition."""
        assert [[], []] == told(look(autoscaler(active=None)), look(autoscaler()))


def test_a_long_message_is_cut_by_bytes() -> None:
    """events.k8s.io/v1 counts bytes, and a character is not torn apart."""
    status = tell().status
    (notice,) = transitions(status, status, (Restart("ü" * 1024, "app", "Error", 1, 1),))

    assert MESSAGE_LIMIT - 1 == len(notice.message.encode())
