"""What ails an app as a whole: its pods together, its rollout, its quota, its autoscaler."""

import pytest

from selfhealing.api.spec import parse
from selfhealing.health.app_diagnosis import Illness, illnesses
from selfhealing.health.assessment import diagnose
from selfhealing.health.attribution import Cause, Confidence, Trial
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.health.termination_causes import Causes
from selfhealing.remediation.policy import policy
from tests.unit.builders import (
    at,
    autoscaler,
    crash_loop,
    deployment,
    ended,
    evicted,
    pod,
    progressing,
    refused,
    running,
    waiting,
)
from tests.unit.snapshots import Json, facts

STUCK = progressing("ProgressDeadlineExceeded", "def", status="False")
QUOTA = refused('pods "web-def-x7k2p" is forbidden: exceeded quota: small, requested: pods=1')
DENIED = refused('pods "web-def-x7k2p" is forbidden: violates PodSecurity "restricted:latest"')


def found(*objects: Json, now: float = 1000, trial: Trial | None = None) -> tuple[Illness, ...]:
    """Everything that ails an app."""
    known, causes, alarm = facts(*objects), Causes(), Alarm(at(now))
    limits = policy(parse({"image": "web:v1"}))
    diagnosis = diagnose(known, causes, alarm)
    return illnesses(known, diagnosis, causes, alarm, limits.thresholds, trial or Trial(open=False))


def types(*objects: Json) -> list[IllnessType]:
    """The types of everything that ails an app."""
    return [illness.type for illness in found(*objects)]


def hung(name: str, since: float = 500, *, started: float = 10) -> Json:
    """A pod that runs and is not ready since then."""
    return pod(name, running(started, ready=False), since=since)


def test_nothing() -> None:
    """An app that is well, or that is not there yet."""
    assert () == found()
    assert () == found(deployment(1), pod("web-abc-1", running()))


def test_pods_with_the_same_are_one_illness() -> None:
    """Named by the first of them, told once."""
    looping = [pod(f"web-abc-{n}", crash_loop(4, ended())) for n in (1, 2, 3)]
    (illness,) = found(deployment(3), *looping)

    assert (IllnessType.CRASH_LOOPING, Cause.UNKNOWN, Confidence.LOW) == (
        illness.type,
        illness.cause,
        illness.confidence,
    )
    assert ["web-abc-1", "web-abc-2", "web-abc-3"] == [p.name for p in illness.pods]
    assert "web-abc-1 and 2 more: keeps crashing, exit code 1" == illness.message


def test_the_gravest_comes_first() -> None:
    """What kills a pod, before what keeps it from starting, before what hinders the app."""
    assert [
        IllnessType.CRASH_LOOPING,
        IllnessType.IMAGE_PULL_FAILING,
        IllnessType.METRICS_UNAVAILABLE,
    ] == types(
        deployment(2),
        autoscaler(active="False", reason="FailedGetResourceMetric", since=0),
        pod("web-abc-1", waiting("ErrImagePull")),
        pod("web-abc-2", crash_loop(4, ended())),
    )


def test_old_and_new_pods_with_the_same() -> None:
    """Pods of both versions are one illness, for which the new version is not to blame."""
    (illness,) = found(
        deployment(2, conditions=[progressing("ReplicaSetUpdated", "def")]),
        pod("web-abc-1", crash_loop(4, ended())),
        pod("web-def-1", crash_loop(4, ended())),
        trial=Trial(open=True),
    )

    assert (2, Cause.UNKNOWN) == (len(illness.pods), illness.cause)


class TestDependency:
    """All pods stop being ready at once: what they need is gone, and no new pod helps."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            ([hung("web-abc-1"), hung("web-abc-2", 560)], IllnessType.DEPENDENCY_DOWN),
            ([hung("web-abc-1"), hung("web-abc-2", 561)], IllnessType.NOT_READY_TOO_LONG),
            ([hung("web-abc-1")], IllnessType.NOT_READY_TOO_LONG),
            (
                [hung("web-abc-1"), hung("web-abc-2"), pod("web-abc-3", running())],
                IllnessType.NOT_READY_TOO_LONG,
            ),
            (
                [hung("web-abc-1"), hung("web-abc-2"), evicted("web-abc-3")],
                IllnessType.DEPENDENCY_DOWN,
            ),
            (
                [hung("web-abc-1", 0), hung("web-abc-2", 0)],
                IllnessType.NOT_READY_TOO_LONG,
            ),
            (
                [hung("web-abc-1", 501, started=501), hung("web-abc-2")],
                IllnessType.NOT_READY_TOO_LONG,
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
    def test_all_at_once(self, pods: list[Json], expected: IllnessType) -> None:
        """Two pods at least, all that live, that had been ready."""
        assert [expected] == types(deployment(len(pods)), *pods)

    def test_nobody_knows_since_when(self) -> None:
        """Then nobody can say that it was at once."""
        timeless = hung("web-abc-1")
        del timeless["status"]["conditions"][1]["lastTransitionTime"]

        assert [IllnessType.NOT_READY_TOO_LONG] == types(deployment(2), timeless, hung("web-abc-2"))

    def test_a_sidecar_and_an_init_container(self) -> None:
        """Those that ran to their end do not count, those beside the app do."""
        done = {"name": "migrate", "ready": True, "state": {"terminated": ended(0)}}
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
        (illness,) = found(deployment(2), *pods)

        assert (IllnessType.DEPENDENCY_DOWN, Cause.ENVIRONMENT, Confidence.HIGH, 2) == (
            illness.type,
            illness.cause,
            illness.confidence,
            len(illness.pods),
        )
        assert (
            "all pods stopped being ready at once, though they run: look at what they need"
            == illness.message
        )

    def test_the_new_version_is_not_to_blame(self) -> None:
        """Nor is it gone back from: it was ready, and so were all its pods, until then."""
        (illness,) = found(
            deployment(2), hung("web-abc-1"), hung("web-abc-2"), trial=Trial(open=True)
        )

        assert Cause.ENVIRONMENT is illness.cause


class TestRollout:
    """What the Deployment itself says."""

    @pytest.mark.parametrize(
        ("conditions", "trial", "expected"),
        [
            ([STUCK], True, [(IllnessType.ROLLOUT_STALLED, Cause.NEW_VERSION)]),
            ([STUCK], False, [(IllnessType.ROLLOUT_STALLED, Cause.UNKNOWN)]),
            (
                [STUCK, QUOTA],
                True,
                [
                    (IllnessType.ROLLOUT_STALLED, Cause.ENVIRONMENT),
                    (IllnessType.QUOTA_EXCEEDED, Cause.ENVIRONMENT),
                ],
            ),
            (
                [progressing("ReplicaSetUpdated", "def"), DENIED],
                True,
                [(IllnessType.PODS_REFUSED, Cause.ENVIRONMENT)],
            ),
            ([progressing("ReplicaSetUpdated", "def")], True, []),
        ],
        ids=["stuck on trial", "stuck later", "no quota", "not allowed", "under way"],
    )
    def test_it_does_not_move(
        self,
        conditions: list[Json],
        trial: bool,  # noqa: FBT001 - a table's column
        expected: list[tuple[IllnessType, Cause]],
    ) -> None:
        """A version is not to blame for pods that nobody lets it have."""
        told = found(
            deployment(2, updated=1, conditions=conditions),
            pod("web-abc-1", running()),
            trial=Trial(open=trial),
        )

        assert expected == [(illness.type, illness.cause) for illness in told]

    def test_what_was_stuck_and_came_after_all(self) -> None:
        """What is complete has no illness, whatever a condition still says."""
        assert [] == types(deployment(1, conditions=[STUCK, QUOTA]), pod("web-def-1", running()))

    def test_the_words(self) -> None:
        """Without the name of a pod, which is another one at each try."""
        (illness,) = found(deployment(2, updated=1, conditions=[QUOTA]))

        assert "pods are refused: exceeded quota: small, requested: pods=1" == illness.message

    def test_nodes_turn_pods_away(self) -> None:
        """Told, although others of them may run."""
        away = [evicted(f"web-abc-{n}", created=900) for n in (1, 2)]
        (illness,) = found(deployment(1), pod("web-abc-3", running()), *away)

        assert (IllnessType.PODS_FAILED, Cause.ENVIRONMENT) == (illness.type, illness.cause)
        assert illness.message.startswith("nodes turn new pods away: Evicted, The node was low")


class TestMetrics:
    """An autoscaler that is blind."""

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
        """Five minutes, unless the spec says otherwise; a pause is not blindness."""
        well = pod("web-abc-1", running())

        assert ([IllnessType.METRICS_UNAVAILABLE] if blind else []) == types(
            deployment(1), well, autoscaler(**more)
        )

    def test_the_words(self) -> None:
        """Without the name of a pod."""
        message = "missing request for cpu in container app of Pod web-5d4f8c7b9-x7k2p"
        blind = autoscaler(
            active="False", reason="FailedGetResourceMetric", message=message, since=0
        )
        (illness,) = found(deployment(1), pod("web-abc-1", running()), blind)

        assert (
            "the autoscaler gets no metrics: missing request for cpu in container app of Pod web-…"
        ) == illness.message

    def test_other_conditions(self) -> None:
        """Of an autoscaler do not matter."""
        thing = autoscaler(active=None)
        thing["status"]["conditions"] = [
            {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale"}
        ]

        assert [] == types(deployment(1), pod("web-abc-1", running()), thing)
