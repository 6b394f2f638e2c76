"""The cause of a diagnosis, in scenarios that an engineer on call meets."""

import pytest

from selfhealing.health.attribution import Cause, Confidence, Probation, attribute_cause
from selfhealing.health.pod_diagnosis import DiagnosisType
from tests.unit.builders import (
    at,
    crash_loop,
    deployment,
    pod,
    progressing_condition,
    running,
    termination,
)
from tests.unit.snapshots import Json, build_snapshot

PROGRESSING_DEPLOYMENT = deployment(
    2, conditions=[progressing_condition("ReplicaSetUpdated", "def")]
)
FAILED_POD = pod("web-def-9", phase="Failed")
ON_PROBATION = Probation(is_open=True)
PROBATION_OVER = Probation(is_open=False)


def ready_pod(name: str, node: str = "node-1") -> Json:
    """A ready pod."""
    return pod(name, running(), node=node)


def crashing_pod(name: str, node: str = "node-1") -> Json:
    """A pod in a crash loop."""
    return pod(name, crash_loop(5, termination()), node=node)


def attribute(
    *pods: Json,
    probation: Probation = PROBATION_OVER,
    diagnosis_type: DiagnosisType = DiagnosisType.CRASH_LOOPING,
) -> tuple[Cause, Confidence]:
    """The cause of the diagnosis of all unready pods; the current revision is def."""
    snapshot = build_snapshot(PROGRESSING_DEPLOYMENT, *pods)
    failing_pods = [view for view in snapshot.pods if not view.ready and view.phase != "Failed"]
    return attribute_cause(snapshot, diagnosis_type, failing_pods, probation)


class TestNewRevision:
    """A revision on probation."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            (
                [ready_pod("web-abc-1"), crashing_pod("web-def-1")],
                (Cause.NEW_VERSION, Confidence.HIGH),
            ),
            (
                [crashing_pod("web-def-1"), crashing_pod("web-def-2")],
                (Cause.NEW_VERSION, Confidence.MEDIUM),
            ),
            ([crashing_pod("web-def-1")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
            (
                [crashing_pod("web-def-1"), ready_pod("web-def-2")],
                (Cause.NEW_VERSION, Confidence.MEDIUM),
            ),
            (
                [crashing_pod("web-def-1"), ready_pod("web-def-2"), ready_pod("web-def-3")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            (
                [crashing_pod("web-abc-1"), crashing_pod("web-def-1")],
                (Cause.UNKNOWN, Confidence.LOW),
            ),
            ([crashing_pod("web-abc-1"), ready_pod("web-def-1")], (Cause.UNKNOWN, Confidence.LOW)),
            ([crashing_pod("web-abc-1"), ready_pod("web-abc-2")], (Cause.POD, Confidence.MEDIUM)),
            ([FAILED_POD, crashing_pod("web-def-1")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
        ],
        ids=[
            "the old one is well",
            "nothing is left to compare with",
            "a single pod",
            "half of it",
            "less than half of it",
            "the old one has it too",
            "only the old one has it",
            "one of the old one has it",
            "pods that will not run again do not count",
        ],
    )
    def test_compared_with_the_old_one(
        self, pods: list[Json], expected: tuple[Cause, Confidence]
    ) -> None:
        """The new revision is the cause if only its pods are affected."""
        assert expected == attribute(*pods, probation=ON_PROBATION)

    def test_a_stable_revision(self) -> None:
        """After the probation the revision is not the cause."""
        assert (Cause.UNKNOWN, Confidence.LOW) == attribute(
            crashing_pod("web-def-1"), ready_pod("web-abc-1")
        )

    @pytest.mark.parametrize(
        ("created", "cause"),
        [(0, Cause.POD), (290, Cause.NEW_VERSION), (300, Cause.NEW_VERSION), (None, Cause.POD)],
    )
    def test_pods_created_before(self, created: float | None, cause: Cause) -> None:
        """Pods that are older than the revision belong to the previous one.

        The status with desiredSince is written some seconds after the first pod is created.
        """
        crashing = pod("web-def-1", crash_loop(5, termination()), created=created)

        assert (
            cause
            is attribute(crashing, probation=Probation(is_open=True, requested_since=at(300)))[0]
        )

    def test_an_image_that_could_be_pulled_before(self) -> None:
        """The cause is the registry or a Secret: the stable revision has the same image."""
        image_unchanged = Probation(is_open=True, is_image_unchanged=True)
        diagnosis_type = DiagnosisType.IMAGE_PULL_FAILING

        assert (Cause.ENVIRONMENT, Confidence.MEDIUM) == attribute(
            ready_pod("web-abc-1"),
            crashing_pod("web-def-1"),
            probation=image_unchanged,
            diagnosis_type=diagnosis_type,
        )
        assert (
            Cause.NEW_VERSION
            is attribute(
                crashing_pod("web-def-1"), probation=ON_PROBATION, diagnosis_type=diagnosis_type
            )[0]
        )
        assert (
            Cause.NEW_VERSION is attribute(crashing_pod("web-def-1"), probation=image_unchanged)[0]
        )

    def test_a_new_revision_that_can_be_ready(self) -> None:
        """If only one of two pods hangs, the revision can become ready."""
        diagnosis_type = DiagnosisType.NOT_READY_TOO_LONG

        assert (
            Cause.POD
            is attribute(
                crashing_pod("web-def-1"),
                ready_pod("web-def-2"),
                probation=ON_PROBATION,
                diagnosis_type=diagnosis_type,
            )[0]
        )
        assert (
            Cause.NEW_VERSION
            is attribute(
                crashing_pod("web-def-1"),
                crashing_pod("web-def-2"),
                probation=ON_PROBATION,
                diagnosis_type=diagnosis_type,
            )[0]
        )


class TestPlaces:
    """A stable revision: the cause is found by comparing pods and nodes."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            (
                [
                    crashing_pod("web-def-1"),
                    crashing_pod("web-def-2"),
                    ready_pod("web-def-3", "node-2"),
                ],
                (Cause.NODE, Confidence.MEDIUM),
            ),
            (
                [crashing_pod("web-def-1"), crashing_pod("web-def-2"), ready_pod("web-def-3")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            (
                [
                    crashing_pod("web-def-1"),
                    crashing_pod("web-def-2", "node-2"),
                    ready_pod("web-def-3", "node-3"),
                ],
                (Cause.POD, Confidence.MEDIUM),
            ),
            (
                [crashing_pod("web-def-1"), ready_pod("web-def-2", "node-2")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            (
                [crashing_pod("web-def-1"), crashing_pod("web-def-2")],
                (Cause.UNKNOWN, Confidence.LOW),
            ),
            ([crashing_pod("web-def-1"), ready_pod("web-abc-1")], (Cause.UNKNOWN, Confidence.LOW)),
            ([crashing_pod("web-def-1")], (Cause.POD, Confidence.LOW)),
            (
                [crashing_pod("web-def-1", ""), ready_pod("web-def-2")],
                (Cause.POD, Confidence.MEDIUM),
            ),
        ],
        ids=[
            "two on one node, and others are well elsewhere",
            "two on one node, and one is well there",
            "two on two nodes",
            "one on one node",
            "all of them",
            "well is only another version",
            "there is only one",
            "it has no node",
        ],
    )
    def test_compared_with_others(
        self, pods: list[Json], expected: tuple[Cause, Confidence]
    ) -> None:
        """Only pods of the same revision show whether another pod would be healthy."""
        assert expected == attribute(*pods)

    def test_unschedulable(self) -> None:
        """The cause is the environment: a new node would help any revision."""
        diagnosis_type, alone = DiagnosisType.UNSCHEDULABLE, crashing_pod("web-def-1", "")

        for probation in (ON_PROBATION, PROBATION_OVER):
            assert (Cause.ENVIRONMENT, Confidence.HIGH) == attribute(
                alone, probation=probation, diagnosis_type=diagnosis_type
            )

    @pytest.mark.parametrize("trial", [ON_PROBATION, PROBATION_OVER])
    def test_what_no_revision_can_cause(self, trial: Probation) -> None:
        """An unreachable node has the same effect on every revision."""
        assert (Cause.NODE, Confidence.HIGH) == attribute(
            crashing_pod("web-def-1"), probation=trial, diagnosis_type=DiagnosisType.NODE_LOST
        )

    def test_a_pod_that_is_stuck_terminating(self) -> None:
        """The cause is its node, or the environment if the pod has a finalizer."""
        stuck = pod("web-def-1", running(ready=False), finalizers=["example.com/slow"])
        diagnosis_type = DiagnosisType.STUCK_TERMINATING

        assert (Cause.NODE, Confidence.HIGH) == attribute(
            crashing_pod("web-def-1"), diagnosis_type=diagnosis_type
        )
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == attribute(
            stuck, diagnosis_type=diagnosis_type
        )
