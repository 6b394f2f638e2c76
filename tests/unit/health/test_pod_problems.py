"""Problems of pods that the scenarios in tests/unit/status do not cover."""

from datetime import timedelta

import pytest

from selfhealing.cache.parse import pod_view
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_problems import PodProblem, find_pod_problem, find_pod_problems
from selfhealing.health.termination_causes import TerminationCauses
from tests.unit.builders import (
    at,
    crash_loop,
    evicted_pod,
    iso,
    pod,
    running,
    terminated,
    termination,
    unschedulable_condition,
    waiting,
)
from tests.unit.snapshots import Json

PROGRESS_DEADLINE = timedelta(minutes=10)


def find_problem(thing: Json, now: float = 100) -> PodProblem | None:
    """The problem of one pod."""
    return find_pod_problem(
        pod_view(thing), TerminationCauses(), Deadlines(at(now)), PROGRESS_DEADLINE
    )


@pytest.mark.parametrize(
    "thing",
    [
        pod("web-abc-1", running()),
        pod("web-abc-1"),
        pod("web-abc-1", running(ready=False)),
        pod("web-abc-1", crash_loop(9, termination()), deletionTimestamp=iso(0)),
        evicted_pod("web-abc-1"),
        pod("web-abc-1", phase="Succeeded"),
        pod("web-abc-1", running(), init=[terminated(termination(0), name="migrate")]),
        pod("web-abc-1", waiting("PodInitializing"), init=[running(name="migrate", ready=False)]),
        pod("web-abc-1", waiting("ContainerCreating"), created=None),
        pod(node="", created=None, conditions=[unschedulable_condition("no room")]),
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
    """A pod that is healthy, starts or terminates has no problem."""
    assert None is find_problem(thing)


def test_a_crash_loop_without_a_termination() -> None:
    """Without a termination in the status the message has no cause."""
    status = waiting("CrashLoopBackOff", "back-off 10s", restarts=3)

    assert PodProblem(
        "web-abc-1", "abc", "CrashLoopBackOff", "keeps ending", "app"
    ) == find_problem(pod("web-abc-1", status))


@pytest.mark.parametrize(
    "last",
    [
        None,
        termination(started=None),
        termination(finished=None),
        termination(started=0, finished=60),
    ],
    ids=["no end", "no start", "no finish", "a long life"],
)
def test_a_container_that_has_recovered(last: Json | None) -> None:
    """After a long or unknown previous run a container counts as recovered at once."""
    assert None is find_problem(pod("web-abc-1", running(since=99, restarts=5, last=last)))


def test_a_start_error_without_a_message() -> None:
    """The reason takes its place."""
    end = termination(128, "ContainerCannotRun")

    assert "cannot start: ContainerCannotRun" == getattr(
        find_problem(pod("web-abc-1", crash_loop(1, end))), "message", None
    )


def test_a_waiting_reason_without_a_message() -> None:
    """The reason takes its place."""
    assert PodProblem(
        "web-abc-1", "abc", "CreateContainerError", "cannot start: CreateContainerError", "app"
    ) == find_problem(pod("web-abc-1", waiting("CreateContainerError")))


def test_an_image_without_a_cause() -> None:
    """A kubelet that has just started does not know why the pull failed."""
    status = waiting("ImagePullBackOff", 'Back-off pulling image "web:v1"')

    assert PodProblem(
        "web-abc-1",
        "abc",
        "ImagePullBackOff",
        "cannot pull image web:v1",
        "app",
        'Back-off pulling image "web:v1"',
    ) == find_problem(pod("web-abc-1", status))


def test_one_of_two_containers_is_not_ready() -> None:
    """The message names the container that is not ready."""
    thing = pod("web-abc-1", running(), running(ready=False, name="proxy"), since=50)

    assert PodProblem(
        "web-abc-1", "abc", "NotReady", "container proxy does not pass its readiness probe", "proxy"
    ) == find_problem(thing)


def test_a_pod_that_never_was_ready() -> None:
    """A pod whose Ready condition has no time has not lost its readiness."""
    thing = pod("web-abc-1", running(ready=False))
    del thing["status"]["conditions"][1]["lastTransitionTime"]

    assert None is find_problem(thing)


def test_an_init_container_that_does_not_end() -> None:
    """It is named after the progress deadline."""
    thing = pod(
        "web-abc-1", waiting("PodInitializing"), init=[running(name="migrate", ready=False)]
    )
    problem = find_problem(thing, now=601)

    assert problem is not None
    assert "init container migrate has not ended after 10 minutes" in problem.message


def test_the_most_severe_comes_first() -> None:
    """Causes come before effects; problems with the same reason are sorted by name."""
    pods = [
        pod("web-abc-1", running(ready=False), since=50),
        pod("web-abc-2", running(), ready=False, ready_reason=""),
        pod("web-abc-3", node="", phase="Pending", conditions=[unschedulable_condition("no room")]),
        pod("web-abc-4", terminated(termination(0))),
        pod("web-abc-5", terminated(termination(1))),
        pod("web-abc-6", crash_loop(3, termination())),
        pod("web-abc-7", waiting("ErrImagePull")),
    ]
    problems = find_pod_problems(
        [pod_view(thing) for thing in reversed(pods)],
        TerminationCauses(),
        Deadlines(at(100)),
        PROGRESS_DEADLINE,
    )

    assert [
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "Completed",
        "Error",
        "Unschedulable",
        "NodeLost",
        "NotReady",
    ] == [problem.reason for problem in problems]
