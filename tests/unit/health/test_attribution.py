"""The cause of a diagnosis: what the pods of a revision show, and where they run.

Whose fault it is in a whole situation is in test_attribution_situations.py.
"""

import pytest

from selfhealing.health.attribution import (
    AppEvidence,
    Cause,
    Confidence,
    Probation,
    attribute_cause,
)
from selfhealing.health.pod_diagnosis import DiagnosisType, PodDiagnosis
from selfhealing.health.template_change import TemplateChange, compare_templates
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


def build_change() -> TemplateChange:
    """Another image of the app's container."""
    good, new = (
        {"spec": {"containers": [{"name": "app", "image": image}]}} for image in ("v1", "v2")
    )
    return compare_templates(good, new)


ON_PROBATION = Probation(is_open=True, change=build_change())
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
    text: str = "",
) -> tuple[Cause, Confidence]:
    """The cause of the diagnosis of all unready pods; the current revision is def."""
    snapshot = build_snapshot(PROGRESSING_DEPLOYMENT, *pods)
    findings = [
        PodDiagnosis(view, diagnosis_type, "fails", "app", text)
        for view in snapshot.pods
        if not view.ready and view.phase != "Failed"
    ]
    uids = frozenset(finding.pod.uid for finding in findings)
    evidence = AppEvidence(snapshot, probation, {}, uids)
    return attribute_cause(evidence, diagnosis_type, findings)[:2]


class TestNewRevision:
    """A revision on probation."""

    def test_a_stable_revision(self) -> None:
        """After the probation the revision is not the cause."""
        assert (Cause.UNKNOWN, Confidence.LOW) == attribute(
            crashing_pod("web-def-1"), ready_pod("web-abc-1")
        )

    def test_pods_that_will_not_run_again(self) -> None:
        """They do not count."""
        failed = pod("web-def-9", phase="Failed")

        assert (Cause.NEW_VERSION, Confidence.LOW) == attribute(
            failed, crashing_pod("web-def-1"), probation=ON_PROBATION
        )

    def test_only_old_pods_are_affected(self) -> None:
        """The new version is not blamed for them."""
        for pods in (
            [crashing_pod("web-abc-1"), ready_pod("web-def-1")],
            [crashing_pod("web-abc-1"), ready_pod("web-abc-2")],
        ):
            assert Cause.NEW_VERSION is not attribute(*pods, probation=ON_PROBATION)[0]

    @pytest.mark.parametrize(
        ("created", "cause"),
        [(0, Cause.POD), (290, Cause.NEW_VERSION), (300, Cause.NEW_VERSION), (None, Cause.POD)],
    )
    def test_pods_created_before(self, created: float | None, cause: Cause) -> None:
        """Pods that are older than the revision belong to the previous one.

        The status with desiredSince is written some seconds after the first pod is created.
        """
        crashing = pod("web-def-1", crash_loop(5, termination()), created=created)
        probation = Probation(is_open=True, requested_since=at(300), change=build_change())

        assert cause is attribute(crashing, probation=probation)[0]

    def test_what_it_changed_is_unknown(self) -> None:
        """The template of the stable revision is gone: nothing is certain, not even likely."""
        unknown = Probation(is_open=True)
        pull = DiagnosisType.IMAGE_PULL_FAILING

        assert (Cause.NEW_VERSION, Confidence.LOW) == attribute(
            crashing_pod("web-def-1"), ready_pod("web-abc-1"), probation=unknown
        )
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == attribute(
            crashing_pod("web-def-1"), probation=unknown, diagnosis_type=pull, text="not found"
        )

    def test_the_good_version_is_ill_and_an_image_is_missing(self) -> None:
        """It is the version all the same; whether the good one is better is less certain."""
        pull = DiagnosisType.IMAGE_PULL_FAILING

        assert (Cause.NEW_VERSION, Confidence.MEDIUM) == attribute(
            crashing_pod("web-abc-1"),
            crashing_pod("web-def-1"),
            probation=ON_PROBATION,
            diagnosis_type=pull,
            text="not found",
        )

    def test_a_new_revision_that_can_be_ready(self) -> None:
        """If only one of two pods hangs, the revision can become ready."""
        hung = DiagnosisType.NOT_READY_TOO_LONG

        assert (
            Cause.POD
            is attribute(
                crashing_pod("web-def-1"),
                ready_pod("web-def-2"),
                probation=ON_PROBATION,
                diagnosis_type=hung,
            )[0]
        )
        assert (
            Cause.NEW_VERSION
            is attribute(
                crashing_pod("web-def-1"),
                crashing_pod("web-def-2"),
                probation=ON_PROBATION,
                diagnosis_type=hung,
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

    def test_what_has_changed_since_the_healthy_ones_started(self) -> None:
        """New pods of a proved version fail, and no pod that started long before does."""
        new = [pod(f"web-def-{n}", crash_loop(5, termination()), created=9000) for n in (1, 2)]
        old = [ready_pod("web-def-3", "node-2"), ready_pod("web-def-4", "node-3")]

        assert (Cause.UNKNOWN, Confidence.LOW) == attribute(*new, *old)

    @pytest.mark.parametrize(
        ("left", "expected"),
        [
            (False, (Cause.UNKNOWN, Confidence.LOW)),
            (True, (Cause.NEW_VERSION, Confidence.MEDIUM)),
        ],
        ids=["not tried elsewhere", "tried elsewhere"],
    )
    def test_a_new_version_that_runs_on_one_node_only(
        self, *, left: bool, expected: tuple[Cause, Confidence]
    ) -> None:
        """It may as well be the node, until another one was tried."""
        probation = Probation(
            is_open=True, has_stable_revision=True, change=build_change(), was_node_left=left
        )
        pods = [crashing_pod("web-def-1"), ready_pod("web-abc-1", "node-2")]

        assert expected == attribute(*pods, probation=probation)

    def test_a_node_from_which_images_cannot_be_pulled(self) -> None:
        """A proved version runs elsewhere; on probation it is only waited."""
        pods = [
            crashing_pod("web-def-1"),
            crashing_pod("web-def-2"),
            ready_pod("web-def-3", "node-2"),
        ]
        pull, text = DiagnosisType.IMAGE_PULL_FAILING, "dial tcp: i/o timeout"

        assert (Cause.NODE, Confidence.MEDIUM) == attribute(*pods, diagnosis_type=pull, text=text)
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == attribute(
            *pods, diagnosis_type=pull, text=text, probation=ON_PROBATION
        )

    def test_unschedulable(self) -> None:
        """The cause is the environment: a new node would help a proved revision."""
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == attribute(
            crashing_pod("web-def-1", ""), diagnosis_type=DiagnosisType.UNSCHEDULABLE
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
