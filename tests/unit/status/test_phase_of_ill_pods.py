"""The status of an app whose images, processes or probes fail."""

from typing import Any

import pytest

from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    deployment,
    pod,
    probe_kill_event,
    progressing_condition,
    running,
    terminated,
    termination,
    unreachable_toleration,
    waiting,
)
from tests.unit.snapshots import Json
from tests.unit.status.phase_scenarios import (
    ROLLING,
    STUCK,
    evaluate_scenario,
    make_ready_pod,
    summarize,
    summarize_with_message,
)

pytestmark = pytest.mark.usefixtures("compare_wording")

IMAGE_NOT_FOUND_MESSAGE = (
    'Back-off pulling image "web:v1": ErrImagePull: rpc error: code = NotFound desc = failed to '
    'pull and unpack image "docker.io/library/web:v1": failed to resolve reference '
    '"docker.io/library/web:v1": docker.io/library/web:v1: not found'
)


def make_unreachable_pod(name: str, **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A pod on an unreachable node."""
    return pod(name, running(), ready=False, ready_reason="", since=50, node="node-7", **more)


def make_starting_pod(name: str) -> Json:
    """A pod that starts."""
    return pod(name, waiting("ContainerCreating"), phase="Pending")


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
