"""Apps that run to their end, with real containers: lab step 7, and what comes after it.

Those that need no hand are applied at once, since each takes its time.
"""

import pytest

from hack.testkit.kube_client import Json, kubectl
from hack.testkit.namespace import Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import LabApp

DEMO: Json = {"image": "localhost/selfhealing-demo:dev", "imagePullPolicy": "IfNotPresent"}
LIMIT = 90

SERVES: Json = {
    "port": 5000,
    "probes": {
        # Not strict: since Kubernetes 1.35 the liveness probe of a container that was restarted may
        # ask before its startup probe has succeeded (kubernetes/kubernetes#141155).
        "liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 1, "timeoutSeconds": 5},
        "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
        "startup": {"httpGet": {"path": "/ready"}, "periodSeconds": 1, "failureThreshold": 60},
    },
    "service": {"type": "NodePort"},
}

DOES_NOT_END_WELL = ["sh", "-c", "python -m app; exit 1"]
"""A shell as the first process does not hear the SIGTERM, and is killed: exit code 137."""

SPECS: dict[str, Json] = {
    "on-failure": {"restartPolicy": "OnFailure", **SERVES},
    "never": {
        "restartPolicy": "Never",
        "command": DOES_NOT_END_WELL,
        "terminationGracePeriodSeconds": 1,
        **SERVES,
    },
    "ends-well": {"restartPolicy": "Never", **SERVES},
    "completes": {"restartPolicy": "OnFailure", "command": ["sleep", "3"]},
    "retried": {
        "restartPolicy": "Never",
        "command": ["sh", "-c", "exit 3"],
        "job": {"backoffLimit": 1},
    },
    "gives-up": {
        "restartPolicy": "OnFailure",
        "command": ["sh", "-c", "exit 4"],
        "job": {"backoffLimit": 1},
    },
    "too-slow": {
        "restartPolicy": "OnFailure",
        "command": ["sleep", "600"],
        "terminationGracePeriodSeconds": 1,
        "job": {"activeDeadlineSeconds": 8},
    },
    "with-sidecar": {
        "restartPolicy": "Never",
        "command": ["sleep", "3"],
        "sidecars": [{"name": "beside", **DEMO, "command": ["sleep", "600"]}],
        "terminationGracePeriodSeconds": 1,
    },
}

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def apps(space: Space, operator: OperatorProcess) -> dict[str, LabApp]:
    """All of them, applied."""
    assert operator.alive()
    for name, spec in SPECS.items():
        space.create(name, **DEMO, **spec)
    return {name: LabApp(space, name) for name in SPECS}


def test_on_failure_the_container_is_restarted_in_its_pod(apps: dict[str, LabApp]) -> None:
    """A failed liveness probe costs a container, not the pod; the status says why."""
    app = apps["on-failure"]
    app.ready(LIMIT)
    pod = app.pod()["metadata"]["name"]
    app.answers("/fail")

    _restarted(app, {"LivenessProbe": 1})

    app.ready(LIMIT)
    assert app.pod()["metadata"]["name"] == pod
    assert app.restarts() == 1
    assert app.status()["restarts"]["last"]["pod"] == pod
    assert app.status()["job"].get("result") is None
    assert app.status()["ready"] == "1/1"


def test_never_makes_another_pod(apps: dict[str, LabApp]) -> None:
    """The pod fails and another one comes; it counts as a restart, and the status says why."""
    app = apps["never"]
    app.ready(LIMIT)
    first = app.pod()["metadata"]["name"]
    app.answers("/fail")

    _restarted(app, {"LivenessProbe": 1})

    status = app.ready(LIMIT)
    old = next(pod for pod in status["pods"] if pod["name"] == first)
    assert (old["phase"], old["reason"]) == ("Failed", "LivenessProbe")
    assert old["message"] == "failed its liveness probe"
    assert [pod["name"] for pod in status["pods"] if pod["ready"]] != [first]
    assert (status["restarts"]["current"], status["restarts"]["total"]) == (0, 1)
    assert status["restarts"]["last"]["exitCode"] == 137
    eventually(lambda: app.space.told("never").get("PodReplaced"), says="an Event")


def test_an_app_that_ends_well_when_a_probe_stops_it_is_complete(apps: dict[str, LabApp]) -> None:
    """Under Never only the exit code counts; the status does not hide it."""
    app = apps["ends-well"]
    app.ready(LIMIT)
    app.answers("/fail")

    status = app.space.is_("ends-well", "Completed", LIMIT)["status"]

    eventually(
        lambda: "failed its liveness probe, but ended with exit code 0" in app.status()["message"],
        says="the message tells of the probe",
    )
    assert status["restarts"]["total"] == 0


def test_completed(apps: dict[str, LabApp]) -> None:
    """An app that ends well is Completed and Ready: whoever waits for it goes on."""
    app = apps["completes"]

    status = app.space.is_("completes", "Completed", LIMIT)["status"]

    kubectl("-n", app.space.name, "wait", "--for=condition=Ready", "sha/completes", "--timeout=9s")
    assert (status["ready"], status["replicas"]) == ("0/0", 0)
    assert status["job"]["result"] == "Complete"
    assert status["job"]["startedAt"] < status["job"]["finishedAt"]
    assert status["restarts"]["total"] == 0
    assert app.space.condition("completes", "Healthy")["status"] == "True"
    assert not app.space.told("completes").get("Degraded")


def test_a_sidecar_does_not_keep_it_from_ending(apps: dict[str, LabApp]) -> None:
    """It is stopped when the app has ended."""
    apps["with-sidecar"].space.is_("with-sidecar", "Completed", LIMIT)


@pytest.mark.parametrize(
    ("name", "reason", "restarts"),
    [
        ("retried", "BackoffLimitExceeded", {"Error": 1}),
        ("gives-up", "BackoffLimitExceeded", {"Error": 1}),
        ("too-slow", "DeadlineExceeded", {}),
    ],
)
def test_given_up(apps: dict[str, LabApp], name: str, reason: str, restarts: Json) -> None:
    """Degraded for good, by the Job's own reason, with what was tried."""
    app = apps[name]

    def given_up() -> Json:
        status = app.status()
        assert status["job"].get("result") == "Failed", status["message"]
        return status

    status = eventually(given_up, timeout=LIMIT, says="the Job has given up")

    ready = app.space.condition(name, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert (status["phase"], status["job"]["reason"]) == ("Degraded", reason)
    assert status["message"].startswith("the Job has given up: ")
    assert status["restarts"]["byReason"] == restarts
    assert app.space.condition(name, "Healthy")["status"] == "False"


def _restarted(app: LabApp, by_reason: Json) -> None:
    def counted() -> Json:
        block: Json = app.status()["restarts"]
        assert block["byReason"] == by_reason, block
        return block

    eventually(counted, timeout=LIMIT, says=f"restarts by reason {by_reason}")


def test_two_runs_never_overlap(space: Space) -> None:
    """A pod that is slow to stop holds the new run back until it has stopped."""
    slow = "trap 'sleep 6; exit 0' TERM; while :; do sleep 1; done"
    space.create(
        "overlap",
        **DEMO,
        restartPolicy="OnFailure",
        command=["sh", "-c", slow],
        terminationGracePeriodSeconds=30,
    )
    app = LabApp(space, "overlap")
    app.ready(LIMIT)
    old = app.pod()["metadata"]["name"]

    space.edit("overlap", env=[{"name": "RUN", "value": "2"}])

    def other() -> str:
        names: set[str] = {pod["metadata"]["name"] for pod in space.pods("overlap")}
        if len(names) > 1:
            raise RuntimeError(f"two runs at once: {names}")
        assert names
        assert names != {old}, "the old pod still stops"
        return names.pop()

    eventually(other, timeout=LIMIT, says="a pod of the new run")
    app.ready(LIMIT)
