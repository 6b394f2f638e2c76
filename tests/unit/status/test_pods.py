"""status.pods: what it says of each pod, and the order of the pods."""

import pytest

from tests.unit.builders import (
    crash_loop,
    deployment,
    evicted_pod,
    iso,
    pod,
    probe_kill_event,
    running,
    terminated,
    termination,
    waiting,
)
from tests.unit.snapshots import Json, evaluate_app, status_json


def pods_in_status(*objects: Json, now: float = 100) -> list[Json]:
    """The pods in the status."""
    pods: list[Json] = status_json(evaluate_app(deployment(1), *objects, now=now))["pods"]
    return pods


def test_a_healthy_pod() -> None:
    """With its node, and without a reason."""
    assert [
        {
            "name": "web-abc-1",
            "node": "node-1",
            "phase": "Running",
            "ready": True,
            "restarts": 0,
        }
    ] == pods_in_status(pod("web-abc-1", running()))


def test_a_pod_that_fails() -> None:
    """With its reason, and with its last termination."""
    end = termination(137, started=0, finished=30)

    assert [
        {
            "name": "web-abc-1",
            "node": "node-1",
            "phase": "Running",
            "ready": False,
            "restarts": 3,
            "reason": "CrashLoopBackOff",
            "message": "keeps failing its liveness probe",
            "lastRestart": {
                "container": "app",
                "reason": "LivenessProbe",
                "exitCode": 137,
                "at": iso(30),
            },
        }
    ] == pods_in_status(pod("web-abc-1", crash_loop(3, end)), probe_kill_event("web-abc-1", 29))


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (pod("web-abc-1", node="", phase="Pending"), "Starting"),
        (pod("web-abc-1", waiting("ContainerCreating")), "Starting"),
        (pod("web-abc-1", running(ready=False)), "NotReady"),
        (pod("web-abc-1", running(), deletionTimestamp=iso(0)), "Terminating"),
        (pod("web-abc-1", phase="Succeeded"), "Completed"),
        (evicted_pod("web-abc-1"), "Evicted"),
        (pod("web-abc-1", phase="Failed"), "Failed"),
    ],
)
def test_a_pod_that_starts_or_terminates(thing: Json, reason: str) -> None:
    """It has a reason, but no problem."""
    assert [reason] == [found["reason"] for found in pods_in_status(thing)]


def test_a_terminating_pod_does_not_change() -> None:
    """From its deletion on the entry stays the same until the pod is gone."""
    steps = [
        pod("web-abc-1", running(restarts=1, last=termination()), deletionTimestamp=iso(0)),
        pod(
            "web-abc-1",
            running(restarts=1, last=termination(), ready=False),
            deletionTimestamp=iso(0),
        ),
        pod(
            "web-abc-1",
            terminated(termination(0), restarts=1, last=termination()),
            deletionTimestamp=iso(0),
            phase="Succeeded",
        ),
    ]
    stopping = {
        "name": "web-abc-1",
        "node": "node-1",
        "ready": False,
        "restarts": 1,
        "reason": "Terminating",
    }

    assert [[stopping]] * 3 == [pods_in_status(step) for step in steps]


def test_an_evicted_pod() -> None:
    """With the first sentence of its message: the others have changing numbers."""
    assert ["The node was low on resource: memory"] == [
        found["message"] for found in pods_in_status(evicted_pod("web-abc-1"))
    ]


def test_the_last_restart_of_several_containers() -> None:
    """The latest termination counts; one without a time does not."""
    both = pod(
        "web-abc-1",
        running(restarts=1, last=termination(finished=20)),
        running(name="proxy", restarts=1, last=termination(2, finished=40)),
        running(name="log", restarts=1, last=termination(3, finished=None)),
    )

    assert ["proxy"] == [found["lastRestart"]["container"] for found in pods_in_status(both)]


def test_restarts_of_init_containers() -> None:
    """As in kubectl: until the pod is initialized."""
    init = crash_loop(2, termination(1), name="migrate")
    through = terminated(termination(0), name="migrate", restarts=2)

    assert [2] == [
        found["restarts"]
        for found in pods_in_status(pod("web-abc-1", waiting("PodInitializing"), init=[init]))
    ]
    assert [0] == [
        found["restarts"] for found in pods_in_status(pod("web-abc-1", running(), init=[through]))
    ]


def test_the_worst_come_first() -> None:
    """Problems, then unready pods, then the most restarts; terminated pods come last."""
    assert [
        "web-abc-5",
        "web-abc-4",
        "web-abc-3",
        "web-abc-2",
        "web-abc-6",
        "web-abc-1",
        "web-abc-7",
    ] == [
        found["name"]
        for found in pods_in_status(
            evicted_pod("web-abc-1"),
            pod("web-abc-2", running()),
            pod("web-abc-3", running(restarts=1, last=termination())),
            pod("web-abc-4", waiting("ContainerCreating")),
            pod("web-abc-5", crash_loop(3, termination())),
            pod("web-abc-6", running()),
            pod("web-abc-7", running(), deletionTimestamp=iso(0)),
        )
    ]


def test_at_most_twenty() -> None:
    """Hundreds of evicted pods do not displace the active ones."""
    leftovers = [evicted_pod(f"web-abc-{i}") for i in range(100)]
    found = pods_in_status(*leftovers, pod("web-abc-x", running()))

    assert 20 == len(found)
    assert "web-abc-x" == found[0]["name"]


def test_a_long_reason_is_cut() -> None:
    """A reason from a node must not make the status invalid."""
    assert [128] == [
        len(found["reason"]) for found in pods_in_status(evicted_pod("web-abc-1", reason="E" * 200))
    ]
