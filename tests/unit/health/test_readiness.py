"""A probe that fails is named with its path, port and last answer; flapping is told."""

from datetime import timedelta

import pytest

from selfhealing.cache.parse import pod_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.observations import Observations
from selfhealing.health.pod_diagnosis import DiagnosisType, Thresholds, diagnose_pod
from selfhealing.health.pod_problems import PodProblem, find_pod_problem
from selfhealing.health.readiness import describe_start
from selfhealing.health.termination_causes import TerminationCauses
from tests.unit.builders import (
    Json,
    app,
    at,
    deployment,
    http_probe,
    pod,
    probe_kill_event,
    progressing_condition,
    running,
    termination,
    unhealthy_event,
)
from tests.unit.snapshots import build_snapshot, evaluate_app, status_json

PROBES = {
    "readinessProbe": http_probe("/readyz"),
    "livenessProbe": http_probe("/livez", timeoutSeconds=2),
}
SLOW_START = {"startupProbe": http_probe("/started", failureThreshold=30)}
REFUSED = 'Get "http://10.1.2.3:5000/": dial tcp 10.1.2.3:5000: connect: connection refused'
LATE = 'Get "http://10.1.2.3:5000/": context deadline exceeded'


def starting(name: str = "web-abc-1", probes: Json | None = None, **more: bool) -> Json:
    """A pod that runs since noon, and was never ready."""
    return pod(name, running(ready=False, **more), container_spec=probes or PROBES)


def find_problem(snapshot: AppSnapshot, now: float = 100) -> PodProblem | None:
    """The problem of the first pod."""
    return find_pod_problem(
        snapshot.pods[0],
        TerminationCauses(snapshot.kill_events),
        Deadlines(at(now)),
        timedelta(minutes=10),
        Observations(snapshot),
    )


def problem_of(*objects: Json, now: float = 100) -> tuple[str, str] | None:
    """The reason and the message of the first pod's problem."""
    found = find_problem(build_snapshot(*objects), now)
    return None if found is None else (found.reason, found.message)


@pytest.mark.parametrize(
    ("probe", "answer", "expected"),
    [
        (
            http_probe("/readyz"),
            "HTTP probe failed with statuscode: 404",
            "GET :5000/readyz answers 404",
        ),
        (
            http_probe("/ready", 8080),
            REFUSED,
            "GET :8080/ready: connection refused: nothing listens on 8080",
        ),
        (http_probe("/", timeoutSeconds=3), LATE, "GET :5000/: no answer within 3s"),
        ({"tcpSocket": {"port": 5000}}, "no route to host", "tcp :5000: the pod cannot be reached"),
        (
            {"httpGet": {"port": 5000, "scheme": "HTTPS"}},
            "http: server gave HTTP response to HTTPS client",
            "https GET :5000/: the app speaks HTTP, not HTTPS",
        ),
        (
            {"exec": {"command": ["sh", "-c", "${A}{b}"]}},
            "HTTP probe failed with statuscode: 404",
            "exec sh -c ${A}{b} fails",
        ),
        ({"exec": {"command": ["check"]}}, "timed out", "exec check: no answer within 1s"),
        ({"grpc": {"port": 9}}, "service unhealthy", "grpc :9 answers NOT_SERVING"),
    ],
)
def test_the_cause_after_three_failures(probe: Json, answer: str, expected: str) -> None:
    """Path, port and the last answer; of a command nothing that it has printed."""
    probes = {"readinessProbe": probe}

    assert ("NotReady", f"readiness {expected}") == problem_of(
        starting(probes=probes), unhealthy_event("web-abc-1", answer=answer)
    )


@pytest.mark.parametrize(
    ("thing", "events"),
    [
        (starting(), []),
        (starting(), [unhealthy_event("web-abc-1", count=2)]),
        (starting(probes={"livenessProbe": http_probe()}), [unhealthy_event("web-abc-1")]),
        (starting(), [unhealthy_event("web-abc-1", name="proxy")]),
        (starting(), [unhealthy_event("web-abc-1", -2)]),
        (pod("web-abc-1", running(), container_spec=PROBES), [unhealthy_event("web-abc-1")]),
    ],
    ids=["no failure", "two failures", "no such probe", "no such container", "earlier", "ready"],
)
def test_no_problem(thing: Json, events: list[Json]) -> None:
    """A pod that only starts has none, nor one of which somebody tells what cannot be."""
    assert None is problem_of(thing, *events)


@pytest.mark.parametrize(
    ("answer", "now", "expected"),
    [
        (REFUSED, 29, False),
        (REFUSED, 30, True),
        ("HTTP probe failed with statuscode: 503", 29, False),
        ("HTTP probe failed with statuscode: 404", 5, True),
    ],
)
def test_a_start_takes_a_moment(answer: str, now: float, *, expected: bool) -> None:
    """A probe may be asked every second: only a definite answer counts at once."""
    event = unhealthy_event("web-abc-1", 4, answer=answer)

    assert expected == (problem_of(starting(), event, now=now) is not None)


def test_answers_that_change() -> None:
    """The failures count together, and the last answer is told."""
    events = [
        unhealthy_event("web-abc-1", 10, answer=REFUSED, count=2),
        unhealthy_event("web-abc-1", 30, count=1),
    ]

    assert ("NotReady", "readiness GET :5000/readyz answers 404") == problem_of(starting(), *events)


def test_a_pod_that_is_scaled_up_is_not_ill() -> None:
    """While another pod of the template is ready, the template is known to start."""
    sibling = pod("web-abc-2", running())
    objects = (starting(), sibling, unhealthy_event("web-abc-1", answer=REFUSED))

    assert None is problem_of(*objects)
    snapshot = build_snapshot(*objects)
    wait = describe_start(snapshot.pods[0], Observations(snapshot), Deadlines(at(5)))
    assert wait.endswith("listens on 5000")


@pytest.mark.parametrize(
    ("now", "probes", "expected"),
    [
        (29, PROBES, ""),
        (30, PROBES, "waits for readiness GET :5000/readyz"),
        (30, {"livenessProbe": http_probe()}, ""),
    ],
)
def test_without_an_event(now: float, probes: Json, expected: str) -> None:
    """A kubelet under load reports none: the probe is named at least."""
    status = status_json(evaluate_app(deployment(1), starting(probes=probes), now=now))

    assert ("Progressing", expected) == (status["phase"], status["pods"][0].get("message", ""))
    assert expected in status["message"]


@pytest.mark.parametrize(
    ("answer", "count", "expected"),
    [
        (REFUSED, 3, False),
        (REFUSED, 14, False),
        (REFUSED, 15, True),
        ("HTTP probe failed with statuscode: 503", 3, False),
        ("HTTP probe failed with statuscode: 404", 3, True),
    ],
)
def test_a_startup_probe(answer: str, count: int, *, expected: bool) -> None:
    """It is there because the start takes long: only a definite answer counts at once."""
    event = unhealthy_event("web-abc-1", answer=answer, probe="Startup", count=count)
    thing = starting(probes=SLOW_START, started=False)

    assert expected == (problem_of(thing, event) is not None)
    evaluation = evaluate_app(deployment(1), thing, event)
    pod_status = status_json(evaluation)["pods"][0]
    assert pod_status["message"].startswith("startup GET :5000/started")
    assert "startup GET :5000/started" in status_json(evaluation)["message"]


def test_the_probe_that_holds_the_start() -> None:
    """While the startup probe runs, no other probe does: an old answer of one says nothing."""
    thing = starting(probes=PROBES | SLOW_START, started=False)

    assert None is problem_of(thing, unhealthy_event("web-abc-1"))


def test_a_pod_that_was_ready() -> None:
    """The kubelet has counted the failures already."""
    thing = pod("web-abc-1", running(ready=False), since=50, container_spec=PROBES)

    assert ("NotReady", "does not pass its readiness probe") == problem_of(thing)
    assert ("NotReady", "readiness GET :5000/readyz: no answer within 1s") == problem_of(
        thing, unhealthy_event("web-abc-1", 49, answer=LATE, count=1)
    )


def test_a_pod_that_has_restarted() -> None:
    """What failed before the restart says nothing."""
    back = running(60, ready=False, restarts=1, last=termination(finished=59))
    thing = pod("web-abc-1", back, container_spec=PROBES, created=-3600)

    assert ("NotReady", "was restarted and is not ready yet") == problem_of(
        thing, unhealthy_event("web-abc-1", 40), now=7200
    )
    assert ("NotReady", "readiness GET :5000/readyz answers 404") == problem_of(
        thing, unhealthy_event("web-abc-1", 70), now=7200
    )


def test_a_sidecar_is_named() -> None:
    """Of the app's own container the name is left out."""
    thing = pod("web-abc-1", running(), running(ready=False, name="proxy"), container_spec=PROBES)

    assert (
        "NotReady",
        "container proxy readiness GET :5000/readyz answers 404",
    ) == problem_of(thing, unhealthy_event("web-abc-1", name="proxy"))


@pytest.mark.parametrize(
    ("failed_at", "now", "phase"),
    [
        (38, 41, "Degraded"),
        (38, 59, "Degraded"),
        (38, 60, "Ready"),
        (49, 60, "Degraded"),
        (49, 68, "Degraded"),
        (49, 69, "Ready"),
    ],
)
def test_a_container_that_a_probe_has_killed(failed_at: float, now: float, phase: str) -> None:
    """It is not well because it runs again: the probe must have had time to fail once more."""
    back = running(40, restarts=1, last=termination(137, started=0, finished=39))
    objects = (
        deployment(1),
        pod("web-abc-1", back, container_spec=PROBES),
        probe_kill_event("web-abc-1", 38),
        unhealthy_event("web-abc-1", failed_at, probe="Liveness"),
    )
    expected = "failed its liveness probe: liveness GET :5000/livez answers 404"

    status = status_json(evaluate_app(*objects, now=now))
    assert (phase, expected if phase == "Degraded" else None) == (
        status["phase"],
        status["pods"][0].get("message"),
    )


@pytest.mark.parametrize(
    ("last", "probes"),
    [
        (termination(137, started=-700, finished=39), PROBES),
        (termination(137, started=0, finished=39), {"readinessProbe": http_probe()}),
    ],
    ids=["it ran for long", "the probe is gone"],
)
def test_a_container_that_is_well_after_a_kill(last: Json, probes: Json) -> None:
    """It has passed the probe for long, or nothing kills it any more."""
    back = pod("web-abc-1", running(40, restarts=1, last=last), container_spec=probes)

    assert None is problem_of(back, probe_kill_event("web-abc-1", 38), now=41)


def test_message_pods_and_one_event() -> None:
    """The cause is told in the status, of the pod and of the app, and in one Event."""
    app_of = app()
    rollout = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])
    before = status_json(evaluate_app(app_of, rollout, starting(), now=5))
    after = evaluate_app(
        rollout, starting(), unhealthy_event("web-abc-1"), previous_status=before, now=40
    )
    cause = "readiness GET :5000/readyz answers 404"
    status = status_json(after)

    assert ("Degraded", True) == (status["phase"], cause in status["message"])
    assert cause == status["pods"][0]["message"]
    assert [f"0 of 1 pod ready; web-abc-1: {cause}"] == [event.message for event in after.events]
    again = evaluate_app(
        rollout,
        starting(),
        unhealthy_event("web-abc-1", 60, count=9),
        previous_status=status,
        now=61,
    )
    assert {} == again.patch
    assert () == again.events


THRESHOLDS = Thresholds(
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=5), timedelta(minutes=10)
)


def diagnosis_of(snapshot: AppSnapshot, now: float) -> tuple[DiagnosisType, str] | None:
    """The diagnosis of the first pod, and its message."""
    deadlines = Deadlines(at(now))
    problem = find_problem(snapshot, now)
    found = diagnose_pod(snapshot.pods[0], problem, TerminationCauses(), deadlines, THRESHOLDS)
    return None if found is None else (found.type, found.message)


def test_a_diagnosis_names_the_answer() -> None:
    """It comes when a pod that was never ready has not become so by the progress deadline."""
    snapshot = build_snapshot(starting(), unhealthy_event("web-abc-1"))

    assert None is diagnosis_of(snapshot, 599)
    assert (
        DiagnosisType.NOT_READY_TOO_LONG,
        "runs but has not been ready for 10 minutes: readiness GET :5000/readyz answers 404",
    ) == diagnosis_of(snapshot, 600)


def flapping(losses: int, *events: Json, every: float = 7) -> AppSnapshot:
    """A pod that is ready now, and was not at these times."""
    snapshot = build_snapshot(pod("web-abc-1", running(), container_spec=PROBES), *events)
    times = tuple(at(every * number) for number in range(losses))
    return AppSnapshot(
        app=snapshot.app,
        pods=snapshot.pods,
        probe_failures=snapshot.probe_failures,
        ready_losses={"uid-of-web-abc-1": times},
    )


@pytest.mark.parametrize(
    ("losses", "every", "now", "expected"),
    [
        (4, 7, 30, False),
        (5, 7, 30, True),
        (8, 7, 60, True),
        (5, 149, 599, True),
        (5, 7, 600, False),
        (8, 150, 1050, False),
    ],
    ids=["four times", "five times", "more", "slowly", "ten minutes ago", "too seldom"],
)
def test_flapping(losses: int, every: float, now: float, *, expected: bool) -> None:
    """Five losses within ten minutes are named; the pod is not well while it is ready."""
    snapshot = flapping(losses, every=every)
    found = find_problem(snapshot, now)

    assert expected == (found is not None and found.reason == "ReadinessFlapping")
    assert expected == (diagnosis_of(snapshot, now) is not None)


def test_flapping_names_the_answer() -> None:
    """The last one within the window, although the pod is ready now."""
    message = "becomes ready and unready again and again, 5 times in 10 minutes"
    snapshot = flapping(5, unhealthy_event("web-abc-1", answer=LATE))

    assert (DiagnosisType.READINESS_FLAPPING, message) == diagnosis_of(flapping(5), 30)
    assert (
        DiagnosisType.READINESS_FLAPPING,
        f"{message}: readiness GET :5000/readyz: no answer within 1s",
    ) == diagnosis_of(snapshot, 30)


def test_a_pod_that_flapped_and_hangs() -> None:
    """A pod that has not been ready for long is diagnosed as such."""
    hung = pod_view(pod("web-abc-1", running(ready=False), since=28))
    snapshot = flapping(5)
    snapshot = AppSnapshot(app=snapshot.app, pods=(hung,), ready_losses=snapshot.ready_losses)
    found = diagnosis_of(snapshot, 400)

    assert found is not None
    assert DiagnosisType.NOT_READY_TOO_LONG is found[0]
