"""Diagnoses of the app as a whole: pods, rollout, quota, autoscaler."""

from collections.abc import Sequence

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.api.status import RestartsStatus
from selfhealing.health.app_diagnosis import AppDiagnosis, diagnose_app
from selfhealing.health.assessment import assess_health
from selfhealing.health.attribution import Cause, Confidence, Probation
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.policy import build_policy
from selfhealing.status.restarts import collect_termination_causes
from tests.unit.builders import (
    at,
    crash_loop,
    deployment,
    evicted_pod,
    hpa,
    http_probe,
    iso,
    pod,
    probe_kill_event,
    progressing_condition,
    replica_failure_condition,
    running,
    termination,
    unhealthy_event,
    waiting,
)
from tests.unit.snapshots import Json, build_snapshot

STALLED = progressing_condition("ProgressDeadlineExceeded", "def", status="False")
QUOTA = replica_failure_condition(
    'pods "web-def-x7k2p" is forbidden: exceeded quota: small, requested: pods=1'
)
DENIED = replica_failure_condition(
    'pods "web-def-x7k2p" is forbidden: violates PodSecurity "restricted:latest"'
)


def diagnose_objects(
    *objects: Json, now: float = 1000, probation: Probation | None = None
) -> tuple[AppDiagnosis, ...]:
    """Diagnose the app."""
    snapshot, causes, deadlines = build_snapshot(*objects), TerminationCauses(), Deadlines(at(now))
    limits = build_policy(parse_spec({"image": "web:v1"}))
    assessment = assess_health(snapshot, causes, deadlines)
    return diagnose_app(
        snapshot,
        assessment,
        causes,
        deadlines,
        limits.thresholds,
        probation or Probation(is_open=False),
    )


def diagnose_killed(
    names: Sequence[str], well: Sequence[str], probation: Probation, *others: Json
) -> tuple[AppDiagnosis, ...]:
    """Diagnose an app of which some pods are killed again and again by their liveness probe."""
    snapshot = build_snapshot(
        deployment(len(names) + len(well) + len(others)),
        *(pod(name, crash_loop(4, termination(137))) for name in names),
        *(probe_kill_event(name, 10) for name in names),
        *(pod(name, running()) for name in well),
        *others,
    )
    causes, deadlines = collect_termination_causes(RestartsStatus(), snapshot), Deadlines(at(1000))
    thresholds = build_policy(parse_spec({"image": "web:v1"})).thresholds
    assessment = assess_health(snapshot, causes, deadlines)
    return diagnose_app(snapshot, assessment, causes, deadlines, thresholds, probation)


def diagnosis_types(*objects: Json) -> list[DiagnosisType]:
    """The types of the app's diagnoses."""
    return [diagnosis.type for diagnosis in diagnose_objects(*objects)]


def unready_pod(name: str, since: float = 500, *, started: float = 10) -> Json:
    """A pod that runs, and is not ready since ``since``."""
    return pod(name, running(started, ready=False), since=since)


def test_nothing() -> None:
    """A healthy app and an app without objects have no diagnosis."""
    assert () == diagnose_objects()
    assert () == diagnose_objects(deployment(1), pod("web-abc-1", running()))


def test_pods_with_the_same_problem_share_one_diagnosis() -> None:
    """The message names the first pod and the number of the others."""
    looping = [pod(f"web-abc-{n}", crash_loop(4, termination())) for n in (1, 2, 3)]
    first_version = Probation(is_open=True)
    (diagnosis,) = diagnose_objects(deployment(3), *looping, probation=first_version)

    assert (DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.LOW) == (
        diagnosis.type,
        diagnosis.cause,
        diagnosis.confidence,
    )
    assert ["web-abc-1", "web-abc-2", "web-abc-3"] == [p.name for p in diagnosis.pods]
    assert "web-abc-1 and 2 more: keeps crashing, exit code 1" == diagnosis.message


def test_the_most_severe_comes_first() -> None:
    """A crash comes before a failed pull, and both before missing metrics."""
    assert [
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.IMAGE_PULL_FAILING,
        DiagnosisType.METRICS_UNAVAILABLE,
    ] == diagnosis_types(
        deployment(2),
        hpa(active="False", reason="FailedGetResourceMetric", since=0),
        pod("web-abc-1", waiting("ErrImagePull")),
        pod("web-abc-2", crash_loop(4, termination())),
        pod("web-abc-3", running()),
    )


def test_old_and_new_pods_with_the_same_problem() -> None:
    """Pods of two revisions share a diagnosis, whose cause is what both depend on."""
    (diagnosis,) = diagnose_objects(
        deployment(2, conditions=[progressing_condition("ReplicaSetUpdated", "def")]),
        pod("web-abc-1", crash_loop(4, termination())),
        pod("web-def-1", crash_loop(4, termination())),
        probation=Probation(is_open=True),
    )

    assert (2, Cause.ENVIRONMENT) == (len(diagnosis.pods), diagnosis.cause)


def test_metrics_of_an_app_without_a_ready_pod() -> None:
    """There is nothing to measure: the metrics are not what is wrong."""
    scaled = hpa(active="False", reason="FailedGetResourceMetric", since=0)

    assert DiagnosisType.METRICS_UNAVAILABLE not in diagnosis_types(
        deployment(1), scaled, unready_pod("web-abc-1")
    )
    assert [DiagnosisType.METRICS_UNAVAILABLE] == diagnosis_types(
        deployment(1), scaled, pod("web-abc-1", running())
    )


class TestDependency:
    """All pods become not ready at once: the cause is a dependency, and new pods do not help."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            (
                [unready_pod("web-abc-1"), unready_pod("web-abc-2", 560)],
                DiagnosisType.DEPENDENCY_DOWN,
            ),
            (
                [unready_pod("web-abc-1"), unready_pod("web-abc-2", 561)],
                DiagnosisType.NOT_READY_TOO_LONG,
            ),
            ([unready_pod("web-abc-1")], DiagnosisType.DEPENDENCY_DOWN),
            (
                [unready_pod("web-abc-1"), unready_pod("web-abc-2"), pod("web-abc-3", running())],
                DiagnosisType.NOT_READY_TOO_LONG,
            ),
            (
                [unready_pod("web-abc-1"), unready_pod("web-abc-2"), evicted_pod("web-abc-3")],
                DiagnosisType.DEPENDENCY_DOWN,
            ),
            (
                [unready_pod("web-abc-1", 0), unready_pod("web-abc-2", 0)],
                DiagnosisType.DEPENDENCY_DOWN,
            ),
            (
                [unready_pod("web-abc-1", 501, started=501), unready_pod("web-abc-2")],
                DiagnosisType.NOT_READY_TOO_LONG,
            ),
        ],
        ids=[
            "within a minute",
            "one after the other",
            "a single pod",
            "one is well",
            "one has failed long ago",
            "they were never ready",
            "one was never ready",
        ],
    )
    def test_all_at_once(self, pods: list[Json], expected: DiagnosisType) -> None:
        """It takes all active pods of a proved version, unless it took them one by one."""
        assert [expected] == diagnosis_types(deployment(len(pods)), *pods)

    def test_a_change_that_is_under_way(self) -> None:
        """Whose pods they are is not known yet."""
        (found,) = diagnose_objects(
            deployment(1),
            pod("web-abc-1", crash_loop(4, termination())),
            probation=Probation(is_open=False, is_awaited=True),
        )

        assert DiagnosisType.CRASH_LOOPING is found.type

    def test_each_ran_well_after_its_start(self) -> None:
        """And was ready: what they depend on was there then, they crash by themselves."""
        last = termination(started=100, finished=900)

        assert [DiagnosisType.CRASH_LOOPING] == diagnosis_types(
            deployment(2), *(pod(f"web-abc-{n}", crash_loop(4, last), since=900) for n in (1, 2))
        )

    def test_the_time_is_unknown(self) -> None:
        """The version is proved, and no pod of it is ready: that is enough."""
        timeless = unready_pod("web-abc-1")
        del timeless["status"]["conditions"][1]["lastTransitionTime"]

        assert [DiagnosisType.DEPENDENCY_DOWN] == diagnosis_types(
            deployment(2), timeless, unready_pod("web-abc-2")
        )

    def test_a_sidecar_and_an_init_container(self) -> None:
        """Init containers do not count, sidecars do."""
        done = {"name": "migrate", "ready": True, "state": {"terminated": termination(0)}}
        pods = [
            pod(
                f"web-abc-{n}",
                running(10, ready=False),
                running(10, name="proxy"),
                init=[done],
                since=500,
            )
            for n in (1, 2)
        ]
        (diagnosis,) = diagnose_objects(deployment(2), *pods)

        assert (DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT, Confidence.HIGH, 2) == (
            diagnosis.type,
            diagnosis.cause,
            diagnosis.confidence,
            len(diagnosis.pods),
        )
        assert (
            "all pods stopped being ready at once, though they run: check their dependencies"
            == diagnosis.message
        )

    def test_kills_by_a_probe_keep_their_name(self) -> None:
        """The probe may be at fault, too; no pod is replaced all the same."""
        crashed = pod("web-abc-1", crash_loop(4, termination()))
        found = diagnose_killed(["web-abc-2"], (), Probation(is_open=False), crashed)

        assert [
            (DiagnosisType.LIVENESS_KILLED, Cause.ENVIRONMENT),
            (DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT),
        ] == [(each.type, each.cause) for each in found]

    @pytest.mark.parametrize(
        ("pods", "probation", "expected"),
        [
            (2, Probation(is_open=False), (Cause.ENVIRONMENT, Confidence.MEDIUM)),
            (1, Probation(is_open=False), (Cause.ENVIRONMENT, Confidence.LOW)),
            (2, Probation(is_open=False, is_young=True), (Cause.NEW_VERSION, Confidence.LOW)),
        ],
        ids=["all", "the only one", "an earlier version may be better"],
    )
    def test_every_pod_is_killed_by_its_probe(
        self, pods: int, probation: Probation, expected: tuple[Cause, Confidence]
    ) -> None:
        """The probe may ask for the database: a proved version is not to blame."""
        names = [f"web-abc-{n}" for n in range(pods)]
        found = diagnose_killed(names, (), probation)

        assert {expected} == {(each.cause, each.confidence) for each in found}
        assert probation.is_young != (DiagnosisType.DEPENDENCY_DOWN in {e.type for e in found})

    def test_every_pod_is_killed_because_it_answers_too_slowly(self) -> None:
        """They may be overloaded: no dependency is named, and the probe may be relaxed."""
        last = termination(137, started=100, finished=160)
        names = ["web-abc-1", "web-abc-2"]
        slow = 'Get "http://10.1.2.3:5000/livez": context deadline exceeded'
        probes = {"livenessProbe": http_probe("/livez")}
        found = diagnose_killed(
            (),
            (),
            Probation(is_open=False),
            *(pod(n, crash_loop(4, last), since=160, container_spec=probes) for n in names),
            *(probe_kill_event(n, 159) for n in names),
            *(unhealthy_event(n, 158, answer=slow, probe="Liveness") for n in names),
        )

        assert [(DiagnosisType.LIVENESS_KILLED, Cause.UNKNOWN)] == [
            (e.type, e.cause) for e in found
        ]

    def test_one_of_two_pods_is_killed_by_its_probe(self) -> None:
        """The other is well, so what both depend on is there."""
        found = diagnose_killed(["web-abc-0"], ["web-abc-1"], Probation(is_open=False))

        assert [(DiagnosisType.LIVENESS_KILLED, Cause.POD)] == [(e.type, e.cause) for e in found]

    def test_the_new_revision_is_not_the_cause(self) -> None:
        """All its pods were ready before, so there is no rollback."""
        (diagnosis,) = diagnose_objects(
            deployment(2),
            unready_pod("web-abc-1"),
            unready_pod("web-abc-2"),
            probation=Probation(is_open=True),
        )

        assert Cause.ENVIRONMENT is diagnosis.cause


class TestRollout:
    """Diagnoses from the Deployment's conditions."""

    @pytest.mark.parametrize(
        ("conditions", "trial", "expected"),
        [
            ([STALLED], True, [(DiagnosisType.ROLLOUT_STALLED, Cause.UNKNOWN)]),
            ([STALLED], False, [(DiagnosisType.ROLLOUT_STALLED, Cause.UNKNOWN)]),
            (
                [STALLED, QUOTA],
                True,
                [
                    (DiagnosisType.ROLLOUT_STALLED, Cause.ENVIRONMENT),
                    (DiagnosisType.QUOTA_EXCEEDED, Cause.ENVIRONMENT),
                ],
            ),
            (
                [progressing_condition("ReplicaSetUpdated", "def"), DENIED],
                True,
                [(DiagnosisType.PODS_REFUSED, Cause.ENVIRONMENT)],
            ),
            ([progressing_condition("ReplicaSetUpdated", "def")], True, []),
        ],
        ids=["stuck on trial", "stuck later", "no quota", "not allowed", "under way"],
    )
    def test_it_makes_no_progress(
        self,
        conditions: list[Json],
        trial: bool,  # noqa: FBT001 - a table's column
        expected: list[tuple[DiagnosisType, Cause]],
    ) -> None:
        """The new revision is not the cause if its pods are refused."""
        diagnoses = diagnose_objects(
            deployment(2, updated=1, conditions=conditions),
            pod("web-abc-1", running()),
            probation=Probation(is_open=trial),
        )

        assert expected == [(diagnosis.type, diagnosis.cause) for diagnosis in diagnoses]

    def test_a_completed_rollout(self) -> None:
        """A complete rollout has no diagnosis, although a condition still reports a stall."""
        assert [] == diagnosis_types(
            deployment(1, conditions=[STALLED, QUOTA]), pod("web-def-1", running())
        )

    def test_the_message(self) -> None:
        """It has no pod name, which is another one on each retry."""
        (diagnosis,) = diagnose_objects(deployment(2, updated=1, conditions=[QUOTA]))

        assert "pods are refused: exceeded quota: small, requested: pods=1" == diagnosis.message

    def test_nodes_reject_pods(self) -> None:
        """It is diagnosed although other pods may run."""
        rejected_pods = [evicted_pod(f"web-abc-{n}", created=900) for n in (1, 2)]
        (diagnosis,) = diagnose_objects(deployment(1), pod("web-abc-3", running()), *rejected_pods)

        assert (DiagnosisType.PODS_FAILED, Cause.ENVIRONMENT) == (diagnosis.type, diagnosis.cause)
        assert diagnosis.message.startswith("nodes reject new pods: Evicted, The node was low")


class TestMetrics:
    """An autoscaler without metrics."""

    @pytest.mark.parametrize(
        ("more", "blind"),
        [
            ({"active": "False", "reason": "FailedGetResourceMetric", "since": 700}, True),
            ({"active": "False", "reason": "FailedGetExternalMetric", "since": 0}, True),
            ({"active": "False", "reason": "FailedGetResourceMetric", "since": 701}, False),
            ({"active": "False", "reason": "FailedGetResourceMetric"}, False),
            ({"active": "False", "reason": "ScalingDisabled", "since": 0}, False),
            ({"active": "True", "since": 0}, False),
            ({"active": None}, False),
        ],
        ids=["5 minutes", "long", "not yet", "since when", "scaled to zero", "it sees", "new"],
    )
    def test_for_too_long(self, more: Json, blind: bool) -> None:  # noqa: FBT001 - a table's column
        """After five minutes, unless the spec sets another time; a pause is no loss of metrics."""
        well = pod("web-abc-1", running())

        assert ([DiagnosisType.METRICS_UNAVAILABLE] if blind else []) == diagnosis_types(
            deployment(1), well, hpa(**more)
        )

    def test_the_message(self) -> None:
        """It has no pod name."""
        message = "no metrics known for pod web-5d4f8c7b9-x7k2p"
        blind = hpa(active="False", reason="FailedGetResourceMetric", message=message, since=0)
        (diagnosis,) = diagnose_objects(deployment(1), pod("web-abc-1", running()), blind)

        assert "the autoscaler gets no metrics: no metrics known for pod web-…" == diagnosis.message
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == (diagnosis.cause, diagnosis.confidence)

    @pytest.mark.parametrize("resource", ["cpu", "memory"])
    def test_a_request_that_the_spec_does_not_have(self, resource: str) -> None:
        """The field is named, and the environment is not blamed."""
        message = f"missing request for {resource} in container app of Pod web-5d4f8c7b9-x7k2p"
        blind = hpa(active="False", reason="FailedGetResourceMetric", message=message, since=0)
        (diagnosis,) = diagnose_objects(deployment(1), pod("web-abc-1", running()), blind)

        assert diagnosis.message.endswith(f": spec.resources.requests.{resource} is not set")
        assert (Cause.UNKNOWN, Confidence.LOW) == (diagnosis.cause, diagnosis.confidence)

    @pytest.mark.parametrize(
        ("reason", "now", "expected"),
        [
            ("TooManyReplicas", 599, []),
            ("TooManyReplicas", 600, [DiagnosisType.SCALING_LIMITED]),
            ("TooFewReplicas", 600, []),
        ],
    )
    def test_at_the_maximum(self, reason: str, now: float, expected: list[DiagnosisType]) -> None:
        """An autoscaler that wants more for ten minutes is told, with the field that limits it."""
        limited = hpa()
        limited["status"]["conditions"].append(
            {
                "type": "ScalingLimited",
                "status": "True",
                "reason": reason,
                "lastTransitionTime": iso(0),
            }
        )
        found = diagnose_objects(deployment(1), pod("web-abc-1", running()), limited, now=now)

        assert expected == [diagnosis.type for diagnosis in found]
        assert all("spec.autoscaling.maxReplicas" in diagnosis.message for diagnosis in found)

    def test_other_conditions(self) -> None:
        """Other conditions of the autoscaler do not matter."""
        thing = hpa(active=None)
        thing["status"]["conditions"] = [
            {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale"}
        ]

        assert [] == diagnosis_types(deployment(1), pod("web-abc-1", running()), thing)
