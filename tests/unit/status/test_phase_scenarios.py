"""The status of an app in the scenarios that an engineer on call meets.

The tests compare the phase, the reason and the ready pods. The full wording of each scenario is in
golden/messages.yaml, for one evaluation after the other: the phase, the messages of the conditions,
and the Events. ``REFRESH=1 pytest tests/unit/status/test_phase_scenarios.py`` writes the file; then
read the diff.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testkit.yaml_text import parse_yaml
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.controller.evaluate import Evaluation
from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    deployment,
    evicted_pod,
    pod,
    probe_kill_event,
    progressing_condition,
    replica_failure_condition,
    running,
    terminated,
    termination,
    unreachable_toleration,
    unschedulable_condition,
    waiting,
)
from tests.unit.snapshots import Json, evaluate_app

IMAGE_NOT_FOUND_MESSAGE = (
    'Back-off pulling image "web:v1": ErrImagePull: rpc error: code = NotFound desc = failed to '
    'pull and unpack image "docker.io/library/web:v1": failed to resolve reference '
    '"docker.io/library/web:v1": docker.io/library/web:v1: not found'
)
ROLLING = [progressing_condition("ReplicaSetUpdated", "def")]
STUCK = [progressing_condition("ProgressDeadlineExceeded", "def", status="False")]
UNSCHEDULABLE_MESSAGE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: "
    "0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
QUOTA_MESSAGE = (
    'pods "web-abc-x7k2p" is forbidden: exceeded quota: small, requested: pods=1, used: pods=6, '
    "limited: pods=6"
)


HEALING_OFF = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
"""Without healing the status shows the app only, and no remediation."""

GOLDEN = Path(__file__).parent / "golden" / "messages.yaml"
UNREMARKABLE = ("Reconciled ChildrenApplied", "Paused NotPaused")
"""Conditions with these reasons are left out of the golden file."""

_golden: dict[str, list[Json]] = parse_yaml(GOLDEN.read_text())
_evaluations: list[Json] = []
"""The wording of each evaluation of the running test."""


@pytest.fixture(autouse=True)
def compare_wording(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compare the wording of every evaluation of a test with the golden file."""
    _evaluations.clear()
    yield
    scenario = request.node.nodeid.partition("::")[2]
    if os.environ.get("REFRESH") and _evaluations:
        _golden[scenario] = list(_evaluations)
        GOLDEN.write_text(
            yaml.safe_dump(dict(sorted(_golden.items())), sort_keys=False, width=1000)
        )
    assert _golden.get(scenario, []) == _evaluations


def evaluate_scenario(*objects: Json, **more: Any) -> Evaluation:  # noqa: ANN401 - as evaluate_app
    """Evaluate the app, and keep the wording for the comparison with the golden file."""
    evaluation = evaluate_app(*objects, **more)
    conditions = [
        f"{condition.type} {condition.reason}: {condition.message}"
        for condition in evaluation.status.conditions
    ]
    wording: Json = {
        "phase": str(evaluation.status.phase),
        "conditions": [line for line in conditions if not line.startswith(UNREMARKABLE)],
        "events": [f"{event.type} {event.reason}: {event.message}" for event in evaluation.events],
    }
    _evaluations.append(wording)
    return evaluation


def test_the_golden_file_has_no_stale_scenarios() -> None:
    """Every entry of the golden file belongs to a test of this module."""
    for scenario in _golden:
        owner, _, name = scenario.partition("[")[0].rpartition("::")
        assert hasattr(globals()[owner], name), scenario


def summarize(*objects: Json, **more: Any) -> tuple[str, str, str]:  # noqa: ANN401 - as evaluate_app
    """Phase, reason and ready pods, as in the columns of kubectl."""
    return summarize_with_message(*objects, **more)[:3]


def summarize_with_message(
    *objects: Json,
    **more: Any,  # noqa: ANN401 - as evaluate_app
) -> tuple[str, str, str, str]:
    """Phase, reason, ready pods and message, for a test whose parameter is the message."""
    evaluation = evaluate_scenario(*objects, **{"spec": HEALING_OFF, **more})
    ready = next(c for c in evaluation.status.conditions if c.type == "Ready")
    assert (ready.status == "True") == (evaluation.status.phase == "Ready")
    assert ready.message == evaluation.status.message
    return (
        str(evaluation.status.phase),
        ready.reason,
        evaluation.status.ready or "",
        ready.message,
    )


def make_ready_pod(name: str, **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A ready pod."""
    return pod(name, running(), **more)


def make_unreachable_pod(name: str, **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A pod on an unreachable node."""
    return pod(name, running(), ready=False, ready_reason="", since=50, node="node-7", **more)


def make_starting_pod(name: str) -> Json:
    """A pod that starts."""
    return pod(name, waiting("ContainerCreating"), phase="Pending")


class TestFirstDeployment:
    """From nothing to Ready."""

    def test_nothing_yet(self) -> None:
        """Without a Deployment the app is Pending; the wanted number comes from the spec."""
        spec = {"image": "web:v1", "replicas": 3}

        assert ("Pending", "Creating", "0/3") == summarize(spec=spec)

    def test_nothing_yet_with_autoscaling(self) -> None:
        """The wanted number is the autoscaler's minimum."""
        spec = {"image": "web:v1", "autoscaling": {"minReplicas": 2, "maxReplicas": 4}}

        assert "0/2" == summarize(spec=spec)[2]

    def test_no_pods_yet(self) -> None:
        """A new Deployment has no pods."""
        new = deployment(2, updated=0, conditions=[progressing_condition("NewReplicaSetCreated")])

        assert ("Pending", "PodsPending", "0/2") == summarize(new)

    def test_pods_wait_for_a_node(self) -> None:
        """An app whose pods are not scheduled is Pending, too."""
        new = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])

        assert ("Pending", "PodsPending", "0/1") == summarize(new, pod(node="", phase="Pending"))

    def test_containers_are_created(self) -> None:
        """Pulling the image and starting containers is progress."""
        new = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])
        starting = pod("web-abc-1", waiting("ContainerCreating"), phase="Pending")

        assert ("Progressing", "RollingOut", "0/1") == summarize(new, starting)

    def test_half_ready(self) -> None:
        """One pod is ready, the other one does not pass its readiness probe yet."""
        new = deployment(2, conditions=[progressing_condition("ReplicaSetUpdated")])

        assert ("Progressing", "RollingOut", "1/2") == summarize(
            new, make_ready_pod("web-abc-1"), pod("web-abc-2", running(since=50, ready=False))
        )

    def test_ready(self) -> None:
        """Everything exists and is ready."""
        assert ("Ready", "AllPodsReady", "2/2") == summarize(
            deployment(2), make_ready_pod("web-abc-1"), make_ready_pod("web-abc-2")
        )

    def test_ready_but_not_for_long_enough(self) -> None:
        """With minReadySeconds a ready pod is not available at once."""
        new = deployment(
            1,
            available=0,
            min_ready_seconds=30,
            conditions=[progressing_condition("NewReplicaSetAvailable")],
        )

        assert ("Progressing", "PodsSettling", "1/1") == summarize(new, make_ready_pod("web-abc-1"))


class TestImages:
    """Images that cannot be pulled."""

    @pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
    def test_the_two_names_of_a_failed_pull(self, reason: str) -> None:
        """The kubelet alternates between two reasons; the status has one."""
        message = (
            IMAGE_NOT_FOUND_MESSAGE
            if reason == "ImagePullBackOff"
            else IMAGE_NOT_FOUND_MESSAGE.partition("ErrImagePull: ")[2]
        )

        assert ("Degraded", "ImagePullBackOff", "0/1") == summarize(
            deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")]),
            pod("web-abc-1", waiting(reason, message), phase="Pending"),
        )

    def test_a_bad_new_revision(self) -> None:
        """The message says that old pods serve while the new revision cannot start."""
        bad = pod(
            "web-def-1",
            waiting("ImagePullBackOff", IMAGE_NOT_FOUND_MESSAGE),
            phase="Pending",
            image="web:v2",
        )

        assert ("Degraded", "ImagePullBackOff", "0/2") == summarize(
            deployment(2, updated=1, conditions=ROLLING),
            make_ready_pod("web-abc-1"),
            make_ready_pod("web-abc-2"),
            bad,
        )

    def test_a_bad_new_revision_past_the_deadline(self) -> None:
        """After progressDeadlineSeconds the message says that the rollout is stuck, and why."""
        bad = pod(
            "web-def-1",
            waiting("ImagePullBackOff", IMAGE_NOT_FOUND_MESSAGE),
            phase="Pending",
            image="web:v2",
        )

        assert ("Degraded", "ProgressDeadlineExceeded", "0/1") == summarize(
            deployment(1, conditions=STUCK), make_ready_pod("web-abc-1"), bad
        )


class TestCrashes:
    """Containers that terminate."""

    def test_the_first_crash(self) -> None:
        """The message has the exit code."""
        assert ("Degraded", "Error", "0/1") == summarize(
            deployment(1), pod("web-abc-1", terminated(termination(1)))
        )

    @pytest.mark.parametrize(
        "status",
        [
            crash_loop(3, termination(1, finished=10), back_off=20),
            crash_loop(3, termination(1, finished=10), back_off=40),
            running(since=95, restarts=3, last=termination(1, started=50, finished=60)),
            terminated(termination(1, started=50, finished=60), restarts=3),
        ],
        ids=["waits", "waits longer", "runs for a moment", "has just ended"],
    )
    def test_a_loop_has_one_name(self, status: Json) -> None:
        """The states of a crash loop have the same phase, reason and message."""
        phase, reason, _, message = summarize_with_message(deployment(1), pod("web-abc-1", status))

        assert ("Degraded", "CrashLoopBackOff") == (phase, reason)
        assert message.endswith("pod ready; web-abc-1: keeps crashing, exit code 1")

    def test_it_runs_longer_than_before(self) -> None:
        """A container that runs 1.5 times as long as before has recovered."""
        proven = running(since=75, restarts=3, last=termination(1, started=50, finished=60))

        assert "Ready" == summarize(deployment(1), pod("web-abc-1", proven), now=100)[0]
        assert "Degraded" == summarize(deployment(1), pod("web-abc-1", proven), now=99)[0]

    @pytest.mark.parametrize(
        ("restarts", "life", "phase"),
        [(1, 9, "Degraded"), (1, 10, "Ready"), (3, 29, "Degraded"), (3, 30, "Ready"),
         (9, 59, "Degraded"), (9, 60, "Ready")],
    )  # fmt: skip
    def test_which_restarts_need_a_recovery(self, restarts: int, life: int, phase: str) -> None:
        """The minimum uptime grows with the number of restarts."""
        back = running(
            since=95, restarts=restarts, last=termination(1, started=90 - life, finished=90)
        )

        assert phase == summarize(deployment(1), pod("web-abc-1", back))[0]

    def test_one_restart_is_no_loop(self) -> None:
        """A container that was restarted once and is ready is healthy."""
        healed = running(since=95, restarts=1, last=termination(137, started=80, finished=90))

        assert "Ready" == summarize(deployment(1), pod("web-abc-1", healed))[0]

    def test_rare_crashes_are_no_loop(self) -> None:
        """Five crashes in five days are five faults; each ends when the container is ready."""
        day = 24 * 3600
        healed = running(
            since=5 * day, restarts=5, last=termination(1, started=4 * day, finished=5 * day)
        )

        assert "Ready" == summarize(deployment(1), pod("web-abc-1", healed), now=5 * day + 1)[0]

    def test_a_crash_after_a_long_run(self) -> None:
        """After ten minutes it is a new fault, and no loop, as for the kubelet."""
        end = termination(1, started=0, finished=600)

        assert ("Degraded", "Error", "0/1") == summarize(
            deployment(1), pod("web-abc-1", terminated(end, restarts=5))
        )

    @pytest.mark.parametrize(
        ("end", "reason", "words"),
        [
            (termination(137, "OOMKilled"), "OOMKilled", "runs out of memory again and again"),
            (termination(0), "CrashLoopBackOff", "keeps ending by itself, exit code 0"),
            (termination(139), "CrashLoopBackOff", "keeps crashing, exit code 139, SIGSEGV"),
            (
                termination(
                    128,
                    "StartError",
                    message="failed to create containerd task: failed to create shim task: OCI "
                    "runtime create failed: runc create failed: unable to start container process: "
                    'error during container init: exec: "nope": executable file not found in $PATH',
                ),
                "RunContainerError",
                'cannot start: exec: "nope": executable file not found in $PATH',
            ),
        ],
        ids=["memory", "exit 0", "signal", "no such command"],
    )
    def test_the_cause_of_a_loop(self, end: Json, reason: str, words: str) -> None:
        """The reason is the cause, not the state of the container."""
        assert (
            "Degraded",
            reason,
            "0/1",
            f"0 of 1 pod ready; web-abc-1: {words}",
        ) == summarize_with_message(deployment(1), pod("web-abc-1", crash_loop(4, end)))

    @pytest.mark.parametrize(
        ("end", "reason", "words"),
        [
            (termination(137, "OOMKilled"), "OOMKilled", "ran out of memory"),
            (termination(0), "Completed", "ended by itself, exit code 0"),
        ],
    )
    def test_the_cause_of_a_single_crash(self, end: Json, reason: str, words: str) -> None:
        """The message does not speak of a loop."""
        assert ("Degraded", reason, f"0 of 1 pod ready; web-abc-1: {words}") == tuple(
            summarize_with_message(deployment(1), pod("web-abc-1", terminated(end)))[i]
            for i in (0, 1, 3)
        )

    @pytest.mark.parametrize(
        ("restarts", "probe", "words"),
        [
            (0, "liveness", "failed its liveness probe"),
            (4, "liveness", "keeps failing its liveness probe"),
            (4, "startup", "does not pass its startup probe in time"),
        ],
    )
    def test_probes_kill(self, restarts: int, probe: str, words: str) -> None:
        """The kubelet's Event tells a kill by a probe from a crash with the same exit code."""
        status = terminated(termination(137, started=0, finished=30), restarts=restarts)

        message = summarize_with_message(
            deployment(1), pod("web-abc-1", status), probe_kill_event("web-abc-1", 29, probe=probe)
        )[3]

        assert f"0 of 1 pod ready; web-abc-1: {words}" == message

    def test_a_sidecar_and_an_init_container(self) -> None:
        """A container other than the app's own is named."""
        sidecar = crash_loop(2, termination(1), name="proxy")
        init = crash_loop(2, termination(2), name="migrate")

        assert summarize_with_message(deployment(1), pod("web-abc-1", running(), sidecar))[
            3
        ].endswith("web-abc-1: container proxy keeps crashing, exit code 1")
        assert summarize_with_message(
            deployment(1),
            pod("web-abc-1", waiting("PodInitializing"), init=[init], phase="Pending"),
        )[3].endswith("web-abc-1: init container migrate keeps crashing, exit code 2")

    def test_several_pods(self) -> None:
        """The most severe problem, the first pod that has it, and the number of the others."""
        assert ("Degraded", "OOMKilled", "1/4") == summarize(
            deployment(4),
            make_ready_pod("web-abc-1"),
            pod("web-abc-2", crash_loop(5, termination(137, "OOMKilled"))),
            pod("web-abc-3", crash_loop(5, termination(137, "OOMKilled"))),
            pod("web-abc-4", running(since=0, ready=False), since=50),
        )

    def test_a_container_that_cannot_be_configured(self) -> None:
        """The kubelet's message is used."""
        status = waiting("CreateContainerConfigError", 'secret "db" not found')

        assert ("Degraded", "CreateContainerConfigError", "0/1") == summarize(
            deployment(1), pod("web-abc-1", status, phase="Pending")
        )

    def test_a_container_that_cannot_be_started(self) -> None:
        """The two reasons of a failed start become one."""
        message = (
            "failed to create containerd task: failed to create shim task: OCI runtime create "
            'failed: runc create failed: unable to start container process: exec: "/x": stat /x: '
            "no such file or directory: unknown"
        )

        assert ("Degraded", "RunContainerError", "0/1") == summarize(
            deployment(1), pod("web-abc-1", waiting("RunContainerError", message))
        )


class TestReadiness:
    """Pods that run and are not ready."""

    def test_lost_readiness(self) -> None:
        """A pod that was ready and is not any more is a fault: it gets no requests."""
        lost = pod("web-abc-2", running(since=0, ready=False), since=50)

        assert ("Degraded", "NotReady", "1/2") == summarize(
            deployment(2), make_ready_pod("web-abc-1"), lost
        )

    def test_restarted_and_not_ready_yet(self) -> None:
        """After a restart a pod needs some time to be ready."""
        back = running(
            since=95, ready=False, restarts=1, last=termination(137, started=0, finished=90)
        )

        assert ("Degraded", "NotReady", "0/1") == summarize(deployment(1), pod("web-abc-1", back))

    @pytest.mark.parametrize(
        ("tolerations", "wait"),
        [
            (
                [unreachable_toleration()],
                "Kubernetes waits 5 minutes, until 12:05:50, before it replaces it",
            ),
            (
                [unreachable_toleration(20)],
                "Kubernetes waits 20 seconds, until 12:01:10, before it replaces it",
            ),
            (
                [unreachable_toleration(None)],
                "its tolerations keep it there until the node is back",
            ),
            ([], "Kubernetes replaces it at once"),
        ],
    )
    def test_the_node_is_lost(self, tolerations: list[Json], wait: str) -> None:
        """The control plane sets the pods of an unreachable node to not ready."""
        lost = make_unreachable_pod("web-abc-2", tolerations=tolerations)

        assert (
            "Degraded",
            "NodeLost",
            "1/2",
            (
                "1 of 2 pods ready; web-abc-2: its node node-7 does not answer, "
                f"noticed 2026-01-01 12:00:50 UTC; {wait}"
            ),
        ) == summarize_with_message(deployment(2), make_ready_pod("web-abc-1"), lost)

    def test_the_node_is_lost_at_an_unknown_time(self) -> None:
        """Without a time the message has the node only."""
        lost = make_unreachable_pod("web-abc-1")
        del lost["status"]["conditions"][1]["lastTransitionTime"]

        assert (
            "0 of 1 pod ready; web-abc-1: its node node-7 does not answer"
            == (summarize_with_message(deployment(1), lost)[3])
        )

    def test_the_pods_of_a_lost_node_are_replaced(self) -> None:
        """The message names the old pods, and what they wait for."""
        lost = make_unreachable_pod("web-abc-2", deletionTimestamp=builders.iso(0))
        found = evaluate_scenario(
            deployment(2), make_ready_pod("web-abc-1"), lost, make_starting_pod("web-abc-3")
        )

        assert ("Progressing", "PodsMoving", "1/2") == summarize(
            deployment(2), make_ready_pod("web-abc-1"), lost, make_starting_pod("web-abc-3")
        )
        assert {
            "web-abc-2": "its node node-7 does not answer; it goes when the node is back or deleted"
        } == {pod.name: pod.message for pod in found.status.pods if pod.message}

    def test_a_pod_on_a_lost_node_is_no_fault_once_replaced(self) -> None:
        """With its replacement the app is Ready, however long the node is away."""
        lost = make_unreachable_pod("web-abc-2", deletionTimestamp=builders.iso(0))

        assert ("Ready", "AllPodsReady", "2/2") == summarize(
            deployment(2), make_ready_pod("web-abc-1"), lost, make_ready_pod("web-abc-3")
        )

    def test_a_readiness_gate_is_closed(self) -> None:
        """A closed readiness gate is neither a lost node nor a failing probe."""
        gated = pod("web-abc-1", running(), ready=False, ready_reason="ReadinessGatesNotReady")

        assert ("Progressing", "PodsStarting", "0/1") == summarize(deployment(1), gated)

    @pytest.mark.parametrize(
        ("status", "reason", "words"),
        [
            (running(since=5, ready=False), "NotReady", "runs but is not ready after 10 minutes"),
            (
                waiting("ContainerCreating"),
                "ContainerCreating",
                "has not started after 10 minutes: see kubectl describe pod web-abc-1",
            ),
        ],
    )
    def test_it_takes_too_long(self, status: Json, reason: str, words: str) -> None:
        """A pod that is never ready has a problem after the deadline, also without a rollout."""
        slow = pod("web-abc-1", status)

        assert "Progressing" == summarize(deployment(1), slow, now=599)[0]
        assert (
            "Degraded",
            reason,
            "0/1",
            f"0 of 1 pod ready; web-abc-1: {words}",
        ) == summarize_with_message(deployment(1), slow, now=600)

    def test_how_long_is_too_long(self) -> None:
        """The deadline is the Deployment's progressDeadlineSeconds."""
        slow = pod("web-abc-1", running(since=5, ready=False))

        assert "Progressing" == summarize(deployment(1, deadline=900), slow, now=899)[0]
        assert (
            "web-abc-1: runs but is not ready after 15 minutes"
            in summarize_with_message(deployment(1, deadline=900), slow, now=900)[3]
        )


class TestRollout:
    """A new revision replaces the old one."""

    def test_in_progress(self) -> None:
        """Only pods of the current spec count as ready; old pods are in the message."""
        assert ("Progressing", "RollingOut", "1/2") == summarize(
            deployment(2, conditions=ROLLING),
            make_ready_pod("web-abc-1"),
            make_ready_pod("web-def-1"),
            pod("web-def-2", waiting("ContainerCreating")),
        )

    def test_all_new_pods_are_ready_but_an_old_one_exists(self) -> None:
        """The rollout is complete when the last old pod terminates."""
        current = (make_ready_pod("web-def-1"), make_ready_pod("web-def-2"))
        done = deployment(2, conditions=[progressing_condition("NewReplicaSetAvailable", "def")])
        going = pod("web-abc-1", running(), deletionTimestamp=builders.iso(0))

        assert ("Progressing", "RollingOut", "2/2") == summarize(
            deployment(2, conditions=ROLLING), make_ready_pod("web-abc-1"), *current
        )
        assert ("Progressing", "PodsSettling") == summarize(
            done, make_ready_pod("web-abc-1"), *current
        )[:2]
        assert "Ready" == summarize(done, going, *current)[0]

    def test_the_change_is_not_observed_yet(self) -> None:
        """The Deployment's status is about the previous spec."""
        assert ("Progressing", "RolloutStarting", "1/1") == summarize(
            deployment(1, observed=False), make_ready_pod("web-abc-1")
        )

    def test_a_new_revision_replaces_failing_pods(self) -> None:
        """While failing pods are replaced, the app is Progressing and not Degraded."""
        assert ("Progressing", "RollingOut", "0/1") == summarize(
            deployment(1, conditions=ROLLING),
            pod("web-abc-1", crash_loop(5, termination(1))),
            pod("web-def-1", waiting("ContainerCreating")),
        )

    def test_an_old_pod_that_nothing_replaces(self) -> None:
        """Without a rollout a problem of an old pod is a fault."""
        assert ("Degraded", "CrashLoopBackOff") == summarize(
            deployment(1, conditions=[progressing_condition("NewReplicaSetAvailable", "def")]),
            make_ready_pod("web-def-1"),
            pod("web-abc-1", crash_loop(5, termination(1))),
        )[:2]

    def test_stuck_without_a_cause(self) -> None:
        """If no pod has a problem, the Deployment's message is used."""
        assert ("Degraded", "ProgressDeadlineExceeded", "0/1") == summarize(
            deployment(1, conditions=STUCK), pod("web-def-1", running(since=5, ready=False)), now=60
        )

    def test_stuck_for_refused_pods(self) -> None:
        """A quota can stop a rollout: the extra pod is refused while the old pods serve."""
        assert ("Degraded", "ProgressDeadlineExceeded", "0/1") == summarize(
            deployment(1, updated=0, conditions=[*STUCK, replica_failure_condition(QUOTA_MESSAGE)]),
            make_ready_pod("web-abc-1"),
        )

    def test_stuck_for_rejected_pods(self) -> None:
        """Nodes that reject new pods can stop a rollout, too."""
        message = summarize_with_message(
            deployment(1, conditions=STUCK),
            evicted_pod("web-def-1"),
            evicted_pod("web-def-2"),
            now=60,
        )[3]

        assert (
            "0 of 1 pod ready; the rollout is stuck; nodes reject new pods: Evicted, The node "
            "was low on resource: memory"
        ) == message

    def test_somebody_paused_the_deployment(self) -> None:
        """``kubectl rollout pause`` stops a rollout until it is resumed."""
        paused = [progressing_condition("DeploymentPaused", status="Unknown")]

        assert ("Progressing", "DeploymentPaused", "1/1") == summarize(
            deployment(1, updated=0, conditions=paused), make_ready_pod("web-abc-1")
        )

    def test_without_a_progress_deadline(self) -> None:
        """Without the condition Progressing the newest pod has the current template."""
        old, new = make_ready_pod("web-abc-1", created=0), make_ready_pod("web-def-1", created=50)

        assert ("Progressing", "1/2") == summarize(
            deployment(2, updated=1, conditions=[]), old, new
        )[::2]
        assert "Ready" == summarize(deployment(1, conditions=[]), new)[0]


class TestScaling:
    """More and fewer pods than before."""

    def test_up(self) -> None:
        """New pods that start are no fault."""
        assert ("Progressing", "PodsStarting", "2/4") == summarize(
            deployment(4, updated=3),
            make_ready_pod("web-abc-1"),
            make_ready_pod("web-abc-2"),
            pod("web-abc-3", waiting("ContainerCreating")),
        )

    def test_down(self) -> None:
        """Surplus and terminating pods are no fault."""
        pods = [make_ready_pod(f"web-abc-{i}") for i in range(4)]

        assert ("Ready", "AllPodsReady", "2/2") == summarize(deployment(2, updated=4), *pods)
        assert ("Ready", "AllPodsReady", "2/2") == summarize(
            deployment(2),
            *pods[:2],
            *(make_ready_pod(f"web-abc-{i}", deletionTimestamp=builders.iso(0)) for i in (2, 3)),
        )

    def test_to_zero(self) -> None:
        """With zero wanted pods the app is Ready."""
        assert ("Ready", "ScaledToZero", "0/0") == summarize(deployment(0))

    def test_a_deleted_pod_is_replaced(self) -> None:
        """The app is Progressing while the replacement starts."""
        assert ("Progressing", "PodsStarting") == summarize(
            deployment(2, updated=2),
            make_ready_pod("web-abc-1"),
            make_ready_pod("web-abc-2", deletionTimestamp=builders.iso(0)),
            pod("web-abc-3", waiting("ContainerCreating")),
        )[:2]


class TestScheduling:
    """Pods that cannot be created or scheduled, or that nodes reject."""

    def test_unschedulable(self) -> None:
        """After a grace it is a fault, with the scheduler's message."""
        stranded = pod(
            node="", phase="Pending", conditions=[unschedulable_condition(UNSCHEDULABLE_MESSAGE)]
        )

        assert ("Pending", "PodsPending", "0/1") == summarize(deployment(1), stranded, now=29)
        assert ("Degraded", "Unschedulable", "0/1") == summarize(deployment(1), stranded, now=30)

    def test_quota(self) -> None:
        """The message has no pod name, which is another one on each retry."""
        assert ("Degraded", "FailedCreate", "1/2") == summarize(
            deployment(
                2,
                updated=1,
                conditions=[progressing_condition(), replica_failure_condition(QUOTA_MESSAGE)],
            ),
            make_ready_pod("web-abc-1"),
        )

    def test_evicted_pods_that_were_replaced(self) -> None:
        """Evicted pods stay as failed pods; enough other pods serve."""
        leftovers = [evicted_pod(f"web-abc-{i}") for i in range(2, 9)]

        assert ("Ready", "AllPodsReady", "1/1") == summarize(
            deployment(1), make_ready_pod("web-abc-1"), *leftovers
        )

    def test_old_evictions_say_nothing_about_today(self) -> None:
        """Pods that failed long ago do not degrade an app that scales up now."""
        leftovers = [evicted_pod(f"web-abc-{i}") for i in range(2, 9)]
        starting = pod("web-abc-1", waiting("ContainerCreating"), created=3600)

        assert "Progressing" == summarize(deployment(1), starting, *leftovers, now=3601)[0]

    def test_one_rejected_pod_is_replaced(self) -> None:
        """It takes two rejected pods to make a fault."""
        starting = pod("web-abc-1", waiting("ContainerCreating"))

        assert "Progressing" == summarize(deployment(1), starting, evicted_pod("web-abc-2"))[0]

    def test_nodes_reject_pods(self) -> None:
        """A node that rejects each new pod leaves several failed pods."""
        message = (
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 100, used: 1950, "
            "capacity: 2000"
        )
        rejected = [
            evicted_pod(f"web-abc-{i}", reason="OutOfcpu", message=message) for i in range(3)
        ]

        assert ("Degraded", "PodsRejected", "0/1") == summarize(deployment(1), *rejected)


class TestSpecAndChildren:
    """Changes by a person, and errors of the children."""

    def test_paused(self) -> None:
        """A paused app says so, and still has its state in the message."""
        spec = {"image": "web:v1", "paused": True}
        found = evaluate_scenario(deployment(1), make_ready_pod("web-abc-1"), spec=spec)

        assert ("Paused", "paused, nothing is changed; 1 of 1 pod ready") == (
            found.status.phase,
            found.status.message,
        )
        assert ["True"] == [c.status for c in found.status.conditions if c.type == "Ready"]

    def test_paused_before_anything_was_created(self) -> None:
        """There is no Deployment, and none is created."""
        found = evaluate_scenario(spec={"image": "web:v1", "paused": True})

        assert "paused, nothing is changed; there is no Deployment" == found.status.message

    def test_the_deployment_is_deleted(self) -> None:
        """A terminating Deployment is not what the spec asks for, whatever its pods do."""
        assert ("Progressing", "Recreating", "1/1") == summarize(
            deployment(1, deletionTimestamp=builders.iso(0)), make_ready_pod("web-abc-1")
        )

    def test_a_spec_that_cannot_be_read(self) -> None:
        """The author must correct it; the pods go on."""
        wrong = SyncResult(
            errors=(SyncError(SyncErrorReason.INVALID_SPEC, "spec.image: is missing"),)
        )

        assert ("Invalid", "InvalidSpec", "1/1") == summarize(
            deployment(1), make_ready_pod("web-abc-1"), sync_result=wrong
        )

    def test_a_name_that_is_taken(self) -> None:
        """Another owner has a Deployment of the same name."""
        taken = SyncResult(
            errors=(SyncError(SyncErrorReason.NAME_CONFLICT, "there is a Deployment web"),)
        )

        assert ("Invalid", "NameConflict", "0/1") == summarize(sync_result=taken)

    def test_a_change_that_is_refused(self) -> None:
        """All pods are ready, but they do not have what the spec asks for."""
        no = SyncResult(
            errors=(SyncError(SyncErrorReason.FORBIDDEN, "Deployment: denied by policy"),)
        )

        assert ("Degraded", "Forbidden", "1/1") == summarize(
            deployment(1), make_ready_pod("web-abc-1"), sync_result=no
        )

    def test_a_transient_error(self) -> None:
        """The operator waits for a child that is still being deleted."""
        old = SyncResult(
            errors=(SyncError(SyncErrorReason.CHILD_TERMINATING, "the old Service is going"),)
        )

        assert ("Progressing", "ChildTerminating", "2/2") == summarize(
            deployment(2), make_ready_pod("web-abc-1"), make_ready_pod("web-abc-2"), sync_result=old
        )

    def test_an_error_without_effect_on_the_app(self) -> None:
        """The condition Reconciled and an Event report it; the app stays Ready."""
        no = SyncResult(
            errors=(SyncError(SyncErrorReason.VPA_NOT_INSTALLED, "there is no such kind"),)
        )
        found = evaluate_scenario(deployment(1), make_ready_pod("web-abc-1"), sync_result=no)
        conditions = {c.type: (c.status, c.reason) for c in found.status.conditions}

        assert ("Ready", "AllPodsReady", "1/1") == summarize(
            deployment(1), make_ready_pod("web-abc-1"), sync_result=no
        )
        assert ("False", "VerticalPodAutoscalerNotInstalled") == conditions["Reconciled"]
        assert ("Warning", "VerticalPodAutoscalerNotInstalled") in {
            (event.type, event.reason) for event in found.events
        }

    def test_a_blocking_error_beside_a_harmless_one(self) -> None:
        """The reason is that of the blocking error."""
        no = SyncResult(
            errors=(
                SyncError(SyncErrorReason.VPA_NOT_INSTALLED, "there is no such kind"),
                SyncError(SyncErrorReason.FORBIDDEN, "Service: denied by policy"),
            )
        )

        assert (
            "Forbidden" == summarize(deployment(1), make_ready_pod("web-abc-1"), sync_result=no)[1]
        )

    def test_failing_pods_have_priority_over_an_error(self) -> None:
        """The condition Reconciled reports the error."""
        no = SyncResult(
            errors=(SyncError(SyncErrorReason.QUOTA_EXCEEDED, "Service: exceeded quota"),)
        )

        assert (
            "CrashLoopBackOff"
            == summarize(
                deployment(1), pod("web-abc-1", crash_loop(5, termination(1))), sync_result=no
            )[1]
        )

    def test_a_foreign_pod_with_the_label(self) -> None:
        """A pod that only has the app's label does not count."""
        foreign = pod("web-abc-9", running(), labels={"selfhealing.dev/app": builders.APP})

        assert ("Ready", "AllPodsReady", "1/1") == summarize(
            deployment(1), make_ready_pod("web-abc-1"), foreign
        )
