"""What ails a pod, where the situations of tests/unit/status do not show it."""

from datetime import timedelta

import pytest

from selfhealing.cache.parse import pod_view
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_problems import Ailment, ailment, ailments
from selfhealing.health.termination_causes import Causes
from tests.unit.builders import (
    at,
    crash_loop,
    ended,
    evicted,
    iso,
    pod,
    running,
    terminated,
    unschedulable,
    waiting,
)
from tests.unit.snapshots import Json

PATIENCE = timedelta(minutes=10)


def found(thing: Json, now: float = 100) -> Ailment | None:
    """What ails one pod."""
    return ailment(pod_view(thing), Causes(), Alarm(at(now)), PATIENCE)


@pytest.mark.parametrize(
    "thing",
    [
        pod("web-abc-1", running()),
        pod("web-abc-1"),
        pod("web-abc-1", running(ready=False)),
        pod("web-abc-1", crash_loop(9, ended()), deletionTimestamp=iso(0)),
        evicted("web-abc-1"),
        pod("web-abc-1", phase="Succeeded"),
        pod("web-abc-1", running(), init=[terminated(ended(0), name="migrate")]),
        pod("web-abc-1", waiting("PodInitializing"), init=[running(name="migrate", ready=False)]),
        pod("web-abc-1", waiting("ContainerCreating"), created=None),
        pod(node="", created=None, conditions=[unschedulable("no room")]),
    ],
    ids=[
        "well",
        "new",
        "starts",
        "leaves",
        "evicted",
        "done",
        "initialized",
        "initializes",
        "no times",
        "no node and no times",
    ],
)
def test_nothing(thing: Json) -> None:
    """A pod that is well, starts or goes has no ailment."""
    assert None is found(thing)


def test_a_crash_loop_of_unknown_ends() -> None:
    """Where the pod does not say how the container ended, that it ends is all there is."""
    status = waiting("CrashLoopBackOff", "back-off 10s", restarts=3)

    assert Ailment("web-abc-1", "abc", "CrashLoopBackOff", "keeps ending") == found(
        pod("web-abc-1", status)
    )


@pytest.mark.parametrize(
    "last",
    [None, ended(started=None), ended(finished=None), ended(started=0, finished=60)],
    ids=["no end", "no start", "no finish", "a long life"],
)
def test_nothing_to_prove(last: Json | None) -> None:
    """A container whose last life was long, or is unknown, is believed at once."""
    assert None is found(pod("web-abc-1", running(since=99, restarts=5, last=last)))


def test_a_start_error_without_a_message() -> None:
    """Its reason is told instead."""
    end = ended(128, "ContainerCannotRun")

    assert "cannot start: ContainerCannotRun" == getattr(
        found(pod("web-abc-1", crash_loop(1, end))), "message", None
    )


def test_a_waiting_reason_without_a_message() -> None:
    """As with a start error."""
    assert Ailment(
        "web-abc-1", "abc", "CreateContainerError", "cannot start: CreateContainerError"
    ) == found(pod("web-abc-1", waiting("CreateContainerError")))


def test_an_image_without_a_cause() -> None:
    """A kubelet that has just started does not know why the pull failed before."""
    status = waiting("ImagePullBackOff", 'Back-off pulling image "web:v1"')

    assert Ailment("web-abc-1", "abc", "ImagePullBackOff", "cannot pull image web:v1") == found(
        pod("web-abc-1", status)
    )


def test_one_of_two_containers_is_not_ready() -> None:
    """It is named, and the one that is ready does not matter."""
    thing = pod("web-abc-1", running(), running(ready=False, name="proxy"), since=50)

    assert Ailment(
        "web-abc-1", "abc", "NotReady", "container proxy does not pass its readiness probe"
    ) == found(thing)


def test_readiness_that_was_never_there() -> None:
    """A pod whose Ready condition has no time has not lost it."""
    thing = pod("web-abc-1", running(ready=False))
    del thing["status"]["conditions"][1]["lastTransitionTime"]

    assert None is found(thing)


def test_the_gravest_comes_first() -> None:
    """Causes before symptoms; of the same kind by name."""
    pods = [
        pod("web-abc-1", running(ready=False), since=50),
        pod("web-abc-2", running(), ready=False, ready_reason=""),
        pod("web-abc-3", node="", phase="Pending", conditions=[unschedulable("no room")]),
        pod("web-abc-4", terminated(ended(0))),
        pod("web-abc-5", terminated(ended(1))),
        pod("web-abc-6", crash_loop(3, ended())),
        pod("web-abc-7", waiting("ErrImagePull")),
    ]
    known = ailments(
        [pod_view(thing) for thing in reversed(pods)], Causes(), Alarm(at(100)), PATIENCE
    )

    assert [
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "Completed",
        "Error",
        "Unschedulable",
        "NodeLost",
        "NotReady",
    ] == [ailing.reason for ailing in known]
