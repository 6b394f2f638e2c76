"""The Events of an app, and which changes give none."""

from typing import Any, ClassVar

import pytest

from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.result import ChildChange, SyncError, SyncErrorReason, SyncResult
from selfhealing.health.pod_security import ENFORCE_LABEL
from selfhealing.status.events import MAX_NOTE_BYTES, Event, child_events, transition_events
from selfhealing.status.restarts import Restart
from tests.unit.builders import (
    crash_loop,
    deployment,
    hpa,
    iso,
    pod,
    progressing_condition,
    running,
    terminated,
    termination,
    unreachable_toleration,
    waiting,
)
from tests.unit.snapshots import Json, evaluate_app, status_json

Observation = tuple[tuple[Json, ...], dict[str, Any]]

READY = pod("web-abc-1", running())
STARTING = pod("web-abc-1", waiting("ContainerCreating"))
ROLLING = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])


HEALING_OFF = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
"""The Events of healing are those of test_healing."""


def observe(*objects: Json, **more: Any) -> Observation:  # noqa: ANN401 - as tell
    """Evaluate the app with the status of the previous evaluation."""
    return objects, {"spec": HEALING_OFF} | more


def events_of(*steps: Observation) -> list[list[str]]:
    """The Events of several evaluations in a row."""
    status: Json = {}
    events = []
    for objects, more in steps:
        result = evaluate_app(*objects, previous_status=status, **more)
        status = status_json(result)
        events.append([f"{event.type} {event.reason}: {event.message}" for event in result.events])
    return events


class TestChildEvents:
    """Changes of the children."""

    @pytest.mark.parametrize(
        ("need", "expected"),
        [
            (ChildAction.CREATE, Event("Normal", "Created", "created Deployment and Service")),
            (
                ChildAction.UPDATE,
                Event("Normal", "Updated", "updated Deployment and Service to the current spec"),
            ),
            (
                ChildAction.REVERT_DRIFT,
                Event(
                    "Warning",
                    "DriftCorrected",
                    "somebody changed Deployment and Service; reverted to the spec",
                ),
            ),
            (
                ChildAction.ADOPT,
                Event(
                    "Normal",
                    "Adopted",
                    "took over Deployment and Service, which had no owner",
                ),
            ),
            (
                None,
                Event(
                    "Normal",
                    "Deleted",
                    "deleted Deployment and Service: the spec no longer asks for it",
                ),
            ),
        ],
    )
    def test_one_for_each_action(self, need: ChildAction | None, expected: Event) -> None:
        """All children with the same action share one Event."""
        changes = (ChildChange("Deployment", need), ChildChange("Service", need))

        assert [expected] == list(child_events(changes))

    def test_the_managers_of_removed_fields_are_named(self) -> None:
        """Each of them once, and whatever their names are."""
        revert = ChildAction.REVERT_DRIFT
        changes = (
            ChildChange("Deployment", revert, ("kubectl-edit", "{0.__class__}")),
            ChildChange("Service", revert, ("kubectl-edit",)),
        )

        message = (
            "kubectl-edit and {0.__class__} changed Deployment and Service; reverted to the spec"
        )
        assert [Event("Warning", "DriftCorrected", message)] == list(child_events(changes))

    def test_no_changes(self) -> None:
        """Without a change there is no Event."""
        assert [] == list(child_events(()))


class TestPhases:
    """Changes of the phase."""

    def test_first_deployment(self) -> None:
        """Pending and Progressing give no Event, Ready does."""
        new = deployment(1, updated=0, conditions=[progressing_condition("NewReplicaSetCreated")])

        assert [[], [], [], ["Normal Ready: 1 of 1 pod ready"], []] == events_of(
            observe(),
            observe(new),
            observe(ROLLING, STARTING),
            observe(deployment(1), READY),
            observe(deployment(1), READY),
        )

    def test_a_first_deployment_whose_pods_are_seen_late(self) -> None:
        """The Deployment controller has reported the end of the rollout before."""
        assert [[], [], ["Normal Ready: 1 of 1 pod ready"]] == events_of(
            observe(ROLLING, STARTING),
            observe(deployment(1), STARTING),
            observe(deployment(1), READY),
        )

    def test_degraded_once(self) -> None:
        """The states of a crash loop give one Event."""
        looping = [
            crash_loop(2, termination(1, finished=10)),
            running(
                since=95, restarts=2, last=termination(1, started=50, finished=60), ready=False
            ),
            crash_loop(2, termination(1, finished=10), back_off=40),
        ]
        restarted = "container app of pod web-abc-1 was restarted: Error, exit code 1"

        assert [
            [
                f"Warning ContainerRestarted: {restarted}",
                "Warning Degraded: 0 of 1 pod ready; web-abc-1: keeps crashing, exit code 1",
            ],
            [],
            [],
        ] == events_of(*(observe(deployment(1), pod("web-abc-1", status)) for status in looping))

    def test_too_little_memory_is_told_once(self) -> None:
        """Whether the container waits, runs or has just been killed; the limit is named."""
        killed = termination(137, "OOMKilled", started=50, finished=60)
        states = [
            terminated(killed, restarts=1),
            crash_loop(2, killed),
            running(since=95, restarts=3, last=killed, ready=False),
            crash_loop(3, killed, back_off=40),
        ]
        pods = [pod("web-abc-1", each, memory_limit="12Mi") for each in states]

        found = [
            event
            for events in events_of(*(observe(deployment(1), each) for each in pods))
            for event in events
            if not event.startswith("Warning ContainerRestarted")
        ]

        limit = "its limit is 12Mi (spec.resources.limits.memory)"
        assert [
            f"Warning Degraded: 0 of 1 pod ready; web-abc-1: ran out of memory: {limit}"
        ] == found

    def test_another_reason(self) -> None:
        """A fault with another reason gives another Event."""
        slow = pod("web-abc-1", running(since=0, ready=False), since=50)
        dead = pod("web-abc-1", terminated(termination(137, "OOMKilled")))

        assert [
            ["Warning Degraded: 0 of 1 pod ready; web-abc-1: does not pass its readiness probe"],
            ["Warning Degraded: 0 of 1 pod ready; web-abc-1: ran out of memory"],
        ] == events_of(observe(deployment(1), slow), observe(deployment(1), dead))

    def test_recovery(self) -> None:
        """From a fault to Ready, at once or after new pods."""
        bad = observe(deployment(1), pod("web-abc-1", crash_loop(0, termination(1))))
        good = observe(deployment(1), READY)

        assert [["Normal Ready: 1 of 1 pod ready"]] == events_of(bad, good)[1:]
        assert [["Normal Recovering: 0 of 1 pod ready; starting"], []] == events_of(
            bad, observe(deployment(1), STARTING), good
        )[1:]

    def test_a_lost_node(self) -> None:
        """The node, the time until its pods are replaced, and the duration of the recovery."""
        first, second = READY, pod("web-abc-2", running())
        here: Json = {"ready": False, "ready_reason": "", "since": 50, "node": "node-7"}
        lost = pod("web-abc-2", running(), tolerations=[unreachable_toleration()], **here)
        terminating = pod("web-abc-2", running(), deletionTimestamp=iso(0), **here)
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
        ] == events_of(
            observe(deployment(2), first, second),
            observe(deployment(2), first, lost, now=51),
            observe(deployment(2), first, lost, now=200),
            observe(deployment(2), first, terminating, coming, now=351),
            observe(deployment(2), first, terminating, new, now=358),
            observe(deployment(2), first, new, now=900),
        )[1:]

    def test_a_node_that_comes_back(self) -> None:
        """Before Kubernetes has replaced its pods."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50)

        assert [
            ["Normal Ready: 1 of 1 pod ready again, 42 s after the loss of a node was noticed"]
        ] == (
            events_of(
                observe(deployment(1), READY),
                observe(deployment(1), lost, now=51),
                observe(deployment(1), READY, now=93),
            )[2:]
        )

    def test_a_lost_node_of_a_paused_app(self) -> None:
        """A paused app that is not Ready gives no Event of a recovery."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50)
        paused = observe(deployment(1), lost, spec={"image": "web:v1", "paused": True}, now=60)
        (event,) = events_of(observe(deployment(1), lost, now=51), paused)[1]

        assert event.startswith("Normal Paused: paused, nothing is changed; 0 of 1 pod ready; ")
        assert "again" not in event

    def test_a_rollout(self) -> None:
        """Its start and its end give an Event."""
        rolling = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated", "def")])
        new = pod("web-def-1", running())
        done = deployment(1, conditions=[progressing_condition(current="def")])

        assert [
            ["Normal RollingOut: 0 of 1 pod ready; rolling out; 1 old pod still serves"],
            [],
            ["Normal Ready: 1 of 1 pod ready"],
        ] == events_of(
            observe(deployment(1), READY),
            observe(rolling, READY),
            observe(rolling, READY, new),
            observe(done, new),
        )[1:]

    def test_scaling_gives_no_phase_event(self) -> None:
        """The autoscaler's Event reports it."""
        one = observe(deployment(1), READY)
        starting = observe(deployment(2, updated=1), READY)
        two = observe(deployment(2), READY, pod("web-abc-2", running()))

        assert [[], []] == events_of(one, starting, two)[1:]

    def test_paused(self) -> None:
        """Pausing gives an Event, and so does the state after it."""
        healthy = observe(deployment(1), READY)
        paused = observe(deployment(1), READY, spec={"image": "web:v1", "paused": True})

        assert [
            ["Normal Paused: paused, nothing is changed; 1 of 1 pod ready"],
            ["Normal Ready: 1 of 1 pod ready"],
        ] == events_of(healthy, paused, healthy)[1:]

    def test_nothing_known(self) -> None:
        """A status without a phase or without conditions gives no Event."""
        found = evaluate_app(deployment(1), READY).status

        assert [] == transition_events(found, found.model_copy(update={"phase": None}), ())
        assert [] == transition_events(found, found.model_copy(update={"conditions": []}), ())


class TestReconciled:
    """Errors of the children: their begin and their end."""

    def observe_error(self, obstacle: SyncErrorReason) -> Observation:
        """An evaluation with an error."""
        outcome = SyncResult(errors=(SyncError(obstacle, "Service: no"),))
        return observe(deployment(1), READY, sync_result=outcome)

    def test_comes_and_goes(self) -> None:
        """An error gives one Event, and its end another."""
        healthy = observe(deployment(1), READY)
        refused = self.observe_error(SyncErrorReason.QUOTA_EXCEEDED)

        assert [
            [
                "Warning QuotaExceeded: Service: no",
                "Warning Degraded: Service: no; 1 pod serves as before",
            ],
            [],
            [
                "Normal Reconciled: every child matches the spec",
                "Normal Ready: 1 of 1 pod ready",
            ],
        ] == events_of(healthy, refused, refused, healthy)[1:]

    def test_invalid_has_one_event(self) -> None:
        """The phase Invalid gives the Event, so the condition gives none."""
        healthy = observe(deployment(1), READY)

        assert [["Warning NameConflict: Service: no; 1 pod serves as before"]] == events_of(
            healthy, self.observe_error(SyncErrorReason.NAME_CONFLICT)
        )[1:]

    def test_transient_errors_give_no_event(self) -> None:
        """A child that is still being deleted is not reported."""
        healthy = observe(deployment(1), READY)

        assert [[], ["Normal Ready: 1 of 1 pod ready"]] == events_of(
            healthy, self.observe_error(SyncErrorReason.CHILD_TERMINATING), healthy
        )[1:]


class TestRestarts:
    """Restarted containers."""

    def make_restart(self, pod_name: str, reason: str = "Error", code: int | None = 1) -> Restart:
        """One restart."""
        return Restart(pod_name, "app", reason, code, 1)

    def restart_events(self, *restarts: Restart) -> list[Event]:
        """The Events of restarts only."""
        status = evaluate_app().status
        return transition_events(status, status, restarts)

    def test_each_of_a_few(self) -> None:
        """With the cause, and with the exit code if there is one."""
        assert [
            Event(
                "Warning",
                "ContainerRestarted",
                "container app of pod web-abc-1 was restarted: LivenessProbe, exit code 137, "
                "SIGKILL",
            ),
            Event(
                "Warning",
                "ContainerRestarted",
                "container app of pod web-abc-2 was restarted: Unknown",
            ),
        ] == self.restart_events(
            self.make_restart("web-abc-1", "LivenessProbe", 137),
            self.make_restart("web-abc-2", "Unknown", None),
        )

    def test_many_at_once(self) -> None:
        """Many restarts share one Event."""
        storm = [self.make_restart(f"web-abc-{i}", "LivenessProbe") for i in range(5)]

        assert [
            Event(
                "Warning",
                "ContainersRestarted",
                "6 containers of 5 pods were restarted: 5 LivenessProbe, 1 OOMKilled",
            )
        ] == self.restart_events(*storm, self.make_restart("web-abc-0", "OOMKilled"))


class TestScaling:
    """Changes of the autoscaler."""

    def test_another_number(self) -> None:
        """With the metrics that caused it."""
        assert [
            ["Normal Scaled: the autoscaler changes from 1 to 4 pods (cpu 180%/50%)"],
            ["Normal Scaled: the autoscaler changes from 4 to 1 pod (cpu unknown/50%)"],
        ] == events_of(
            observe(hpa(1, 1)),
            observe(hpa(1, 4, cpu=180)),
            observe(hpa(4, 1, cpu=None)),
        )[1:]

    def test_metrics_of_the_app(self) -> None:
        """Metrics of the app are named like CPU and memory."""
        target = {"type": "AverageValue", "averageValue": "10"}
        requests = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
        one, four = hpa(1, 1), hpa(1, 4)
        one["spec"]["metrics"] = four["spec"]["metrics"] = [requests]

        assert [
            ["Normal Scaled: the autoscaler changes from 1 to 4 pods (requests unknown/10)"]
        ] == events_of(observe(one), observe(four))[1:]

    def test_no_metrics(self) -> None:
        """Without metrics the Event has the numbers only."""
        one, four = hpa(1, 1), hpa(1, 4)
        one["spec"]["metrics"] = four["spec"]["metrics"] = []

        assert [["Normal Scaled: the autoscaler changes from 1 to 4 pods"]] == events_of(
            observe(one), observe(four)
        )[1:]

    def test_its_first_number(self) -> None:
        """A new autoscaler does not change the number of pods."""
        assert [[], []] == events_of(observe(hpa(0, 0)), observe(hpa(1, 2)))

    def test_metrics_lost_and_back(self) -> None:
        """The loss of the metrics is a warning; a new autoscaler without metrics is not."""
        blind = observe(hpa(active="False", reason="FailedGetResourceMetric", message="no metrics"))
        seeing = observe(hpa())

        assert [
            [],
            ["Normal ScalingActive: the HPA was able to compute the replica count"],
            ["Warning ScalingInactive: no metrics"],
            [],
        ] == events_of(blind, seeing, blind, blind)

    def test_scaled_to_zero(self) -> None:
        """An autoscaler that is disabled by zero replicas is no fault."""
        rests = observe(hpa(active="False", reason="ScalingDisabled", message="at zero"))

        assert [[], [], []] == events_of(observe(hpa()), rests, observe(hpa()))

    def test_unknown_is_no_loss(self) -> None:
        """A change from Unknown gives no Event."""
        assert [[], []] == events_of(observe(hpa(active=None)), observe(hpa()))


class TestPodSecurity:
    """The Namespace would refuse the pods."""

    REFUSING: ClassVar[Json] = {"namespace_labels": {ENFORCE_LABEL: "restricted"}}

    def refusals_of(self, *steps: Observation) -> list[int]:
        """How often each of several evaluations tells of it."""
        return [
            len([event for event in events if event.startswith("Warning PodSecurityViolation: ")])
            for events in events_of(*steps)
        ]

    def test_once_for_each_version(self) -> None:
        """A version that changes nothing about it is told of again, a later look is not."""
        refused = observe(deployment(0), **self.REFUSING)
        next_version = observe(deployment(0), generation=2, **self.REFUSING)

        assert [1, 0, 1, 0] == self.refusals_of(refused, refused, next_version, next_version)

    def test_it_comes_and_goes(self) -> None:
        """As does the label of the Namespace."""
        admitted = observe(deployment(0), namespace_labels={})
        refused = observe(deployment(0), **self.REFUSING)

        assert [0, 1, 0, 1] == self.refusals_of(admitted, refused, admitted, refused)

    def test_another_level(self) -> None:
        """It says what to write for that one."""
        spec = {**HEALING_OFF, "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}
        levels = ("baseline", "baseline", "restricted")
        steps = [
            observe(deployment(0), spec=spec, namespace_labels={ENFORCE_LABEL: level})
            for level in levels
        ]

        assert [1, 0, 1] == self.refusals_of(*steps)


def test_a_long_message_is_cut_by_bytes() -> None:
    """events.k8s.io/v1 counts bytes, and no character is split."""
    status = evaluate_app().status
    (event,) = transition_events(status, status, (Restart("ü" * 1024, "app", "Error", 1, 1),))

    assert MAX_NOTE_BYTES - 1 == len(event.message.encode())
