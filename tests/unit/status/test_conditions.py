"""Every condition, in each of its states."""

from typing import Any

import pytest

from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.health.pod_security import ENFORCE_LABEL
from selfhealing.status.events import POD_SECURITY_ADMITTED
from tests.unit.builders import (
    crash_loop,
    deployment,
    hpa,
    iso,
    pdb,
    pod,
    progressing_condition,
    running,
    service,
    termination,
)
from tests.unit.snapshots import Json, evaluate_app, evaluate_invalid_app, status_json

ConditionTuple = tuple[str, str, str]


def find_condition(kind: str, *objects: Json, **more: Any) -> ConditionTuple | None:  # noqa: ANN401 - as tell
    """Status, reason and message of one condition."""
    conditions = status_json(evaluate_app(*objects, **more))["conditions"]
    return next(
        ((c["status"], c["reason"], c["message"]) for c in conditions if c["type"] == kind), None
    )


class TestReconciled:
    """Whether the children match the spec."""

    def test_true(self) -> None:
        """There is no error."""
        assert ("True", "ChildrenApplied", "every child matches the spec") == find_condition(
            "Reconciled"
        )

    def test_taken_over(self) -> None:
        """What somebody else had made is named for as long as its annotation says so."""
        offer: Json = {"annotations": {"selfhealing.dev/adopt": "true"}}

        assert (
            "True",
            "ChildrenApplied",
            "every child matches the spec; taken over: PodDisruptionBudget, Service",
        ) == find_condition("Reconciled", service(**offer), pdb(**offer), deployment(2))
        assert ("True", "ChildrenApplied", "every child matches the spec") == find_condition(
            "Reconciled", service(owner="", **offer)
        )

    def test_false(self) -> None:
        """The message has all errors, the reason is that of the first one."""
        outcome = SyncResult(
            errors=(
                SyncError(SyncErrorReason.QUOTA_EXCEEDED, "Service: exceeded quota"),
                SyncError(SyncErrorReason.FORBIDDEN, "Deployment: denied"),
            )
        )

        assert (
            "False",
            "QuotaExceeded",
            "Service: exceeded quota; Deployment: denied",
        ) == find_condition("Reconciled", sync_result=outcome)

    def test_unknown(self) -> None:
        """The children of a paused app are not reconciled."""
        assert (
            "Unknown",
            "Paused",
            "spec.paused: the children are not reconciled",
        ) == find_condition("Reconciled", spec={"image": "web:v1", "paused": True})


class TestPaused:
    """Whether spec.paused is set."""

    @pytest.mark.parametrize(
        ("paused", "expected"),
        [
            (True, ("True", "SpecPaused", "spec.paused is true: nothing is changed")),
            (False, ("False", "NotPaused", "the operator reconciles the children")),
        ],
    )
    def test_paused(self, paused: bool, expected: ConditionTuple) -> None:  # noqa: FBT001 - a table's column
        """It has the value of spec.paused."""
        assert expected == find_condition("Paused", spec={"image": "web:v1", "paused": paused})


class TestProgressing:
    """Whether pods are being replaced or added."""

    def test_no_deployment(self) -> None:
        """It is unknown."""
        assert ("Unknown", "NoDeployment", "there is no Deployment yet") == find_condition(
            "Progressing"
        )

    def test_starting(self) -> None:
        """The Deployment's status is about an earlier spec."""
        assert (
            "True",
            "RolloutStarting",
            "the Deployment controller has not observed the latest change yet",
        ) == find_condition("Progressing", deployment(observed=False))

    def test_rolling_out(self) -> None:
        """Pods of the new template start."""
        rolling = deployment(2, updated=1, conditions=[progressing_condition("ReplicaSetUpdated")])

        assert ("True", "RollingOut", "1 of 2 pods made from the current spec") == find_condition(
            "Progressing", rolling
        )

    def test_all_made_but_not_ready(self) -> None:
        """A rollout is complete if the Deployment says so, or if all pods are ready."""
        made = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])

        assert ("True", "RollingOut", "1 of 1 pod made from the current spec") == find_condition(
            "Progressing", made, pod("web-abc-1", running(ready=False))
        )
        assert ("False", "RolloutComplete") == (
            find_condition("Progressing", made, pod("web-abc-1", running())) or ()
        )[:2]

    def test_scaling(self) -> None:
        """More pods of the same template are no rollout."""
        assert ("True", "Scaling", "2 of 4 pods made from the current spec") == find_condition(
            "Progressing", deployment(4, updated=2)
        )

    def test_complete(self) -> None:
        """A pod that is replaced later does not start another rollout."""
        assert (
            "False",
            "RolloutComplete",
            "every pod is made from the current spec",
        ) == find_condition("Progressing", deployment(2))

    def test_stuck(self) -> None:
        """After the progress deadline it is False."""
        stuck = deployment(
            1,
            updated=0,
            conditions=[progressing_condition("ProgressDeadlineExceeded", status="False")],
        )

        assert (
            "False",
            "ProgressDeadlineExceeded",
            'ReplicaSet "web-abc" has timed out progressing.',
        ) == find_condition("Progressing", stuck)

    def test_paused_deployment(self) -> None:
        """A person has paused the Deployment itself."""
        paused = deployment(
            1, updated=0, conditions=[progressing_condition("DeploymentPaused", status="Unknown")]
        )

        assert (
            "Unknown",
            "DeploymentPaused",
            "somebody has paused the Deployment",
        ) == find_condition("Progressing", paused)


class TestHealthy:
    """Whether a pod has a problem."""

    def test_true(self) -> None:
        """A pod that starts has no problem."""
        assert ("True", "NothingFails", "nothing fails in the pods") == find_condition(
            "Healthy", deployment(1), pod("web-abc-1", running(ready=False))
        )

    def test_false(self) -> None:
        """The most severe problem, also of a pod that a rollout will replace."""
        assert (
            "False",
            "CrashLoopBackOff",
            "web-abc-1: keeps crashing, exit code 1",
        ) == find_condition(
            "Healthy",
            deployment(1, conditions=[progressing_condition("ReplicaSetUpdated", "def")]),
            pod("web-abc-1", crash_loop(3, termination(1))),
        )


class TestScalingActive:
    """Whether the autoscaler has metrics and scales."""

    def test_no_autoscaler(self) -> None:
        """There is no such condition."""
        assert None is find_condition("ScalingActive", deployment())

    def test_not_reported(self) -> None:
        """A new autoscaler has no condition yet."""
        assert ("Unknown", "NotReported", "the autoscaler has not reported yet") == find_condition(
            "ScalingActive", hpa(active=None)
        )

    def test_its_own_message(self) -> None:
        """Without the pod name, which is another one each time."""
        blind = hpa(
            active="False",
            reason="FailedGetResourceMetric",
            message="missing request for cpu in container app of Pod web-5d4f8c7b9-x7k2p",
        )

        assert (
            "False",
            "FailedGetResourceMetric",
            "missing request for cpu in container app of Pod web-…",
        ) == find_condition("ScalingActive", blind)


class TestPodSecurityAdmitted:
    """Whether the Namespace admits the pods of the spec."""

    @pytest.mark.parametrize("labels", [None, {}, {ENFORCE_LABEL: "baseline"}])
    def test_admitted(self, labels: dict[str, str] | None) -> None:
        """There is no such condition; nor where the labels are unknown."""
        assert None is find_condition(POD_SECURITY_ADMITTED, namespace_labels=labels)

    def test_refused(self) -> None:
        """It says what to write, before a pod is refused."""
        condition = find_condition(
            POD_SECURITY_ADMITTED, namespace_labels={ENFORCE_LABEL: "restricted"}
        )

        assert condition is not None
        assert ("False", "PodSecurityViolation") == condition[:2]
        assert "write securityContext.allowPrivilegeEscalation: false" in condition[2]

    @pytest.mark.parametrize("restart_policy", ["Always", "Never"])
    def test_a_deployment_and_a_job(self, restart_policy: str) -> None:
        """Both have pods."""
        spec = {
            "image": "web:v1",
            "restartPolicy": restart_policy,
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
        }
        condition = find_condition(
            POD_SECURITY_ADMITTED, spec=spec, namespace_labels={ENFORCE_LABEL: "baseline"}
        )

        assert condition is not None
        assert "hostPath" in condition[2]

    def test_a_spec_that_cannot_be_read(self) -> None:
        """Nothing is known of its pods."""
        conditions = status_json(evaluate_invalid_app())["conditions"]

        assert POD_SECURITY_ADMITTED not in {each["type"] for each in conditions}


def test_an_invalid_reason() -> None:
    """A reason that metav1.Condition does not allow would make the status invalid."""
    strange = hpa(reason="not camel case")

    assert "Unknown" == (find_condition("ScalingActive", strange) or ("", ""))[1]


class TestTimes:
    """lastTransitionTime and observedGeneration."""

    def test_the_transition_time_moves_with_the_status_only(self) -> None:
        """A new reason or message does not change it."""
        first = status_json(evaluate_app(deployment(1), now=100))
        same = status_json(
            evaluate_app(
                deployment(1),
                pod("web-abc-1", crash_loop(3, termination(1))),
                previous_status=first,
                now=200,
            )
        )
        ready = status_json(
            evaluate_app(deployment(1), pod("web-abc-1", running()), previous_status=same, now=300)
        )

        assert [iso(100), iso(100), iso(300)] == [
            next(c["lastTransitionTime"] for c in s["conditions"] if c["type"] == "Ready")
            for s in (first, same, ready)
        ]

    def test_the_generation(self) -> None:
        """Each condition has the generation of its spec."""
        assert {1} == {c["observedGeneration"] for c in status_json(evaluate_app())["conditions"]}
