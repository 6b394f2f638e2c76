"""A liveness probe that kills a pod which serves, because it is answered too slowly."""

from typing import Any

import pytest

from selfhealing.health.slow_liveness import find_slow_pods
from tests.unit.builders import (
    Json,
    crash_loop,
    http_probe,
    pod,
    running,
    termination,
    unhealthy_event,
)
from tests.unit.snapshots import build_snapshot

PROBES = {"livenessProbe": http_probe("/livez")}
SLOW = 'Get "http://10.1.2.3:5000/livez": context deadline exceeded'
END = termination(137, started=100, finished=160)


def killed(since: float = 160, **more: Any) -> Json:  # noqa: ANN401 - as builders.pod
    """A pod that its liveness probe has killed; ``since``: when it stopped being ready."""
    state = more.pop("state", crash_loop(3, END))
    return pod("web-abc-1", state, since=since, container_spec=PROBES, **more)


def without_ready_time() -> Json:
    """A pod of which it is not known when its readiness changed."""
    found = killed()
    for condition in found["status"]["conditions"]:
        condition.pop("lastTransitionTime", None)
    return found


def event(answer: str = SLOW, seconds: float = 158, probe: str = "Liveness") -> Json:
    """The Event of a failed probe."""
    return unhealthy_event("web-abc-1", seconds, answer=answer, probe=probe)


@pytest.mark.parametrize(
    "state",
    [
        crash_loop(3, END),
        running(170, ready=False, restarts=4, last=END),
        running(170, restarts=4, last=END),
    ],
    ids=["it waits", "it runs", "it is ready again"],
)
def test_it_was_ready_in_its_last_run(state: Json) -> None:
    """Whatever it does now."""
    snapshot = build_snapshot(killed(state=state), event())

    assert {"uid-of-web-abc-1"} == find_slow_pods(snapshot, snapshot.pods)


@pytest.mark.parametrize(
    "objects",
    [
        (killed(),),
        (killed(), event("HTTP probe failed with statuscode: 404")),
        (killed(), event('Get "http://10.1.2.3:5000/": dial tcp: connect: connection refused')),
        (killed(), event(seconds=90)),
        (killed(), event(probe="Readiness")),
        (killed(since=100), event()),
        (without_ready_time(), event()),
        (killed(state=running(ready=False)), event()),
        (killed(state=crash_loop(3, termination(137, started=None))), event()),
        (killed(state=crash_loop(3, END, name="proxy")), event()),
    ],
    ids=[
        "no answer is known",
        "a wrong path",
        "nothing listens",
        "in an earlier run",
        "another probe",
        "never ready",
        "readiness is not known",
        "not restarted",
        "its start is not known",
        "another container",
    ],
)
def test_patience_would_not_help(objects: tuple[Json, ...]) -> None:
    """Or it is not known whether it would."""
    snapshot = build_snapshot(*objects)

    assert frozenset() == find_slow_pods(snapshot, snapshot.pods)


def test_nobody_is_suspected() -> None:
    """Nothing is looked for."""
    assert frozenset() == find_slow_pods(build_snapshot(), ())
