"""Attribution in rollouts that stall, by what a dry run of a pod shows."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.experiments import DryRun, Experiments, NodeFit
from selfhealing.health.pod_diagnosis import DiagnosisType
from tests.unit.builders import (
    evicted_pod,
    pod,
    replica_failure_condition,
    running,
    unschedulable_condition,
)
from tests.unit.health.situations import (
    NOW,
    RESOLVE,
    STALLED,
    UNDER_WAY,
    blames_version,
    build_template,
    diagnose,
    good_pods,
    judge,
    waiting_pod,
)

ONLY_NEW_REFUSED: Final = Experiments(DryRun.ONLY_NEW_REFUSED, "violates PodSecurity: privileged")


class TestExperiments:
    """What a dry run and the nodes decide."""

    @pytest.mark.parametrize(
        ("refusal", "diagnosis_type"),
        [
            ('violates PodSecurity "restricted:latest"', DiagnosisType.PODS_REFUSED),
            ("exceeded quota: small, requested: cpu=4", DiagnosisType.QUOTA_EXCEEDED),
        ],
    )
    @pytest.mark.parametrize(
        ("result", "cause", "confidence"),
        [
            (DryRun.ONLY_NEW_REFUSED, Cause.NEW_VERSION, Confidence.HIGH),
            (DryRun.BOTH_REFUSED, Cause.ENVIRONMENT, Confidence.HIGH),
            (DryRun.ONLY_STABLE_REFUSED, Cause.ENVIRONMENT, Confidence.HIGH),
            (DryRun.BOTH_ACCEPTED, Cause.ENVIRONMENT, Confidence.MEDIUM),
            (DryRun.UNKNOWN, Cause.ENVIRONMENT, Confidence.LOW),
        ],
    )
    def test_refused_pods(
        self,
        refusal: str,
        diagnosis_type: DiagnosisType,
        result: DryRun,
        cause: Cause,
        confidence: Confidence,
    ) -> None:
        """It is the version if only its pods are refused."""
        conditions = [
            UNDER_WAY,
            replica_failure_condition(f'pods "web-def-x7k2p" is forbidden: {refusal}'),
        ]
        situation: Mapping[str, Any] = {
            "conditions": conditions,
            "experiments": Experiments(result, refusal),
        }

        assert [(diagnosis_type, cause, confidence)] == judge(*good_pods(), **situation)
        assert [(diagnosis_type, Cause.ENVIRONMENT, Confidence.HIGH)] == judge(
            *good_pods(), proved=True, **situation
        )

    def test_both_pods_are_refused_and_the_new_one_asks_for_more(self) -> None:
        """The new pods that exist may use up the quota that the good one would need."""
        refusal = "exceeded quota: small, requested: memory=512Mi"
        found = judge(
            *good_pods(),
            conditions=[UNDER_WAY, replica_failure_condition(refusal)],
            experiments=Experiments(DryRun.BOTH_REFUSED, refusal),
            new=build_template("web:v2", resources={"requests": {"memory": "512Mi"}}),
        )

        assert [(DiagnosisType.QUOTA_EXCEEDED, Cause.ENVIRONMENT, Confidence.LOW)] == found

    def test_the_comparison_names_the_experiment(self) -> None:
        """And what the version changed."""
        conditions = [UNDER_WAY, replica_failure_condition("no")]
        (found,) = diagnose(*good_pods(), conditions=conditions, experiments=ONLY_NEW_REFUSED)

        assert (
            "dry run: only the new pod is refused: violates PodSecurity: privileged; "
            "differs in: image of app: web:v1 -> web:v2"
        ) == found.comparison

    @pytest.mark.parametrize(
        ("result", "cause", "confidence"),
        [
            (NodeFit.ONLY_STABLE_FITS, Cause.NEW_VERSION, Confidence.HIGH),
            (NodeFit.ONLY_STABLE_FITS_NOW, Cause.NEW_VERSION, Confidence.MEDIUM),
            (NodeFit.ONLY_AFFINITY_FAILS, Cause.NEW_VERSION, Confidence.MEDIUM),
            (NodeFit.FITS, Cause.ENVIRONMENT, Confidence.HIGH),
            (NodeFit.NOTHING_FITS, Cause.ENVIRONMENT, Confidence.HIGH),
            (NodeFit.UNKNOWN, Cause.ENVIRONMENT, Confidence.LOW),
        ],
    )
    def test_pods_that_no_node_takes(
        self, result: NodeFit, cause: Cause, confidence: Confidence
    ) -> None:
        """A node that is only full may become free, or another one is on its way."""
        pending = pod(
            "web-def-1",
            phase="Pending",
            node="",
            conditions=[unschedulable_condition("0/2 nodes are available: 2 Insufficient cpu.")],
        )
        experiments = Experiments(node_fit=result)

        for conditions in ([UNDER_WAY], [STALLED]):
            verdicts = judge(*good_pods(), pending, conditions=conditions, experiments=experiments)

            assert {(cause, confidence)} == {verdict[1:] for verdict in verdicts}

    def test_a_claim_that_does_not_exist(self) -> None:
        """A volume that the version introduced is likely its fault."""
        text = '0/2 nodes are available: persistentvolumeclaim "data" not found.'
        pending = pod(
            "web-def-1", phase="Pending", node="", conditions=[unschedulable_condition(text)]
        )
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]

        assert [(DiagnosisType.UNSCHEDULABLE, Cause.NEW_VERSION, Confidence.MEDIUM)] == judge(
            *good_pods(), pending, new=build_template(volumes=volumes)
        )


class TestStalls:
    """A rollout that makes no progress has the cause of what keeps it."""

    def test_pods_that_are_not_ready(self) -> None:
        """They are compared like pods with a diagnosis."""
        hung = pod("web-def-1", running(310, ready=False), since=310, created=300)

        assert (DiagnosisType.ROLLOUT_STALLED, Cause.NEW_VERSION, Confidence.MEDIUM) in judge(
            *good_pods(), hung, conditions=[STALLED]
        )
        assert not blames_version(
            judge(
                *good_pods(),
                hung,
                pod("web-def-2", running()),
                conditions=[STALLED],
            )
        )

    @pytest.mark.parametrize(
        ("started", "node"), [(900, "node-1"), (310, "node-2")], ids=["just started", "one node"]
    )
    def test_what_the_stall_does_not_prove(self, started: float, node: str) -> None:
        """An obstacle may have ended a moment ago, and the node may be the cause as well."""
        hung = pod("web-def-1", running(started, ready=False), since=started, node=node)

        assert (DiagnosisType.ROLLOUT_STALLED, Cause.UNKNOWN, Confidence.LOW) in judge(
            *good_pods(), hung, conditions=[STALLED]
        )

    def test_a_registry_that_is_away(self) -> None:
        """The stall is the registry's, too."""
        text = f"{RESOLVE}429 Too Many Requests"
        verdicts = judge(
            *good_pods(), waiting_pod("web-def-1", "ErrImagePull", text), conditions=[STALLED]
        )

        assert {(Cause.ENVIRONMENT, Confidence.HIGH)} == {verdict[1:] for verdict in verdicts}

    def test_pods_that_nodes_reject(self) -> None:
        """No version is at fault, nor for a pod that has only just found no node."""
        rejected = [evicted_pod(f"web-def-{n}", created=900) for n in (1, 2)]
        pending = pod(
            "web-def-3",
            phase="Pending",
            node="",
            created=NOW - 5,
            conditions=[unschedulable_condition("0/2 nodes are available: 2 Insufficient cpu.")],
        )

        for pods in (rejected, [pending]):
            verdicts = judge(*good_pods(), *pods, conditions=[STALLED])

            assert (DiagnosisType.ROLLOUT_STALLED, Cause.ENVIRONMENT) in {
                verdict[:2] for verdict in verdicts
            }

    def test_nothing_is_wrong_with_the_pods(self) -> None:
        """Then nobody knows."""
        assert [(DiagnosisType.ROLLOUT_STALLED, Cause.UNKNOWN, Confidence.LOW)] == judge(
            *good_pods(), conditions=[STALLED]
        )
