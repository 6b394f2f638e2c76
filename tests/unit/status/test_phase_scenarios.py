"""The status of an app in the scenarios that an engineer on call meets.

The tests compare the phase, the reason and the ready pods; phase_scenarios.py compares the wording.
"""

import pytest

from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    deployment,
    evicted_pod,
    pod,
    progressing_condition,
    replica_failure_condition,
    running,
    termination,
    unschedulable_condition,
    waiting,
)
from tests.unit.status import test_phase_of_ill_pods
from tests.unit.status.phase_scenarios import (
    ROLLING,
    STUCK,
    evaluate_scenario,
    golden_messages,
    make_ready_pod,
    summarize,
    summarize_with_message,
)

pytestmark = pytest.mark.usefixtures("compare_wording")

UNSCHEDULABLE_MESSAGE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: "
    "0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)

QUOTA_MESSAGE = (
    'pods "web-abc-x7k2p" is forbidden: exceeded quota: small, requested: pods=1, used: pods=6, '
    "limited: pods=6"
)


def test_the_golden_file_has_no_stale_scenarios() -> None:
    """Every entry of the golden file belongs to a test of the modules of scenarios."""
    owners = {**globals(), **vars(test_phase_of_ill_pods)}
    for scenario in golden_messages:
        owner, _, name = scenario.partition("[")[0].rpartition("::")
        assert hasattr(owners[owner], name), scenario


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
