"""Apps that run to their end, with real containers: lab step 7, and what comes after it.

Those that need no hand are applied at once, since each takes its time.
"""

import pytest

from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient

DEMO: Json = {"image": "localhost/selfhealing-demo:dev", "imagePullPolicy": "IfNotPresent"}
TIMEOUT = 90

SERVING_SPEC: Json = {
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

FAILING_COMMAND = ["sh", "-c", "python -m app; exit 1"]
"""A shell as the first process does not hear the SIGTERM, and is killed: exit code 137."""

SPECS: dict[str, Json] = {
    "on-failure": {"restartPolicy": "OnFailure", **SERVING_SPEC},
    "never": {
        "restartPolicy": "Never",
        "command": FAILING_COMMAND,
        "terminationGracePeriodSeconds": 1,
        **SERVING_SPEC,
    },
    "ends-well": {"restartPolicy": "Never", **SERVING_SPEC},
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
def apps(space: AppNamespace, operator: OperatorProcess) -> dict[str, AppClient]:
    """All of them, applied."""
    assert operator.is_running()
    for name, spec in SPECS.items():
        space.create_app(name, **DEMO, **spec)
    return {name: AppClient(space, name) for name in SPECS}


def test_on_failure_the_container_is_restarted_in_its_pod(apps: dict[str, AppClient]) -> None:
    """A failed liveness probe costs a container, not the pod; the status says why."""
    app = apps["on-failure"]
    app.wait_until_ready(TIMEOUT)
    pod = app.get_only_pod()["metadata"]["name"]
    app.wait_for_response("/fail")

    wait_for_restarts(app, {"LivenessProbe": 1})

    app.wait_until_ready(TIMEOUT)
    assert app.get_only_pod()["metadata"]["name"] == pod
    assert app.count_restarts() == 1
    assert app.get_status()["restarts"]["last"]["pod"] == pod
    assert app.get_status()["job"].get("result") is None
    assert app.get_status()["ready"] == "1/1"


def test_never_makes_another_pod(apps: dict[str, AppClient]) -> None:
    """The pod fails and another one comes; it counts as a restart, and the status says why."""
    app = apps["never"]
    app.wait_until_ready(TIMEOUT)
    first = app.get_only_pod()["metadata"]["name"]
    app.wait_for_response("/fail")

    wait_for_restarts(app, {"LivenessProbe": 1})

    status = app.wait_until_ready(TIMEOUT)
    old = next(pod for pod in status["pods"] if pod["name"] == first)
    assert (old["phase"], old["reason"]) == ("Failed", "LivenessProbe")
    assert old["message"] == "failed its liveness probe"
    assert [pod["name"] for pod in status["pods"] if pod["ready"]] != [first]
    assert (status["restarts"]["current"], status["restarts"]["total"]) == (0, 1)
    assert status["restarts"]["last"]["exitCode"] == 137
    eventually(lambda: app.space.count_events("never").get("PodReplaced"), description="an Event")


def test_an_app_that_ends_well_when_a_probe_stops_it_is_complete(
    apps: dict[str, AppClient],
) -> None:
    """Under Never only the exit code counts; the status does not hide it."""
    app = apps["ends-well"]
    app.wait_until_ready(TIMEOUT)
    app.wait_for_response("/fail")

    status = app.space.wait_for_phase("ends-well", "Completed", TIMEOUT)["status"]

    eventually(
        lambda: (
            "failed its liveness probe, but ended with exit code 0" in app.get_status()["message"]
        ),
        description="the message tells of the probe",
    )
    assert status["restarts"]["total"] == 0


def test_completed(apps: dict[str, AppClient]) -> None:
    """An app that ends well is Completed and Ready: whoever waits for it goes on."""
    app = apps["completes"]

    status = app.space.wait_for_phase("completes", "Completed", TIMEOUT)["status"]

    run_kubectl(
        "-n", app.space.name, "wait", "--for=condition=Ready", "sha/completes", "--timeout=9s"
    )
    assert (status["ready"], status["replicas"]) == ("0/0", 0)
    assert status["job"]["result"] == "Complete"
    assert status["job"]["startedAt"] < status["job"]["finishedAt"]
    assert status["restarts"]["total"] == 0
    assert app.space.get_condition("completes", "Healthy")["status"] == "True"
    assert not app.space.count_events("completes").get("Degraded")


def test_a_sidecar_does_not_keep_it_from_ending(apps: dict[str, AppClient]) -> None:
    """It is stopped when the app has ended."""
    apps["with-sidecar"].space.wait_for_phase("with-sidecar", "Completed", TIMEOUT)


@pytest.mark.parametrize(
    ("name", "reason", "restarts"),
    [
        ("retried", "BackoffLimitExceeded", {"Error": 1}),
        ("gives-up", "BackoffLimitExceeded", {"Error": 1}),
        ("too-slow", "DeadlineExceeded", {}),
    ],
)
def test_given_up(apps: dict[str, AppClient], name: str, reason: str, restarts: Json) -> None:
    """Degraded for good, by the Job's own reason, with what was tried."""
    app = apps[name]

    def given_up() -> Json:
        status = app.get_status()
        assert status["job"].get("result") == "Failed", status["message"]
        return status

    status = eventually(given_up, timeout=TIMEOUT, description="the Job has given up")

    ready = app.space.get_condition(name, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert (status["phase"], status["job"]["reason"]) == ("Degraded", reason)
    assert status["message"].startswith("the Job has given up: ")
    assert status["restarts"]["byReason"] == restarts
    assert app.space.get_condition(name, "Healthy")["status"] == "False"


def wait_for_restarts(app: AppClient, by_reason: Json) -> None:
    def counted() -> Json:
        block: Json = app.get_status()["restarts"]
        assert block["byReason"] == by_reason, block
        return block

    eventually(counted, timeout=TIMEOUT, description=f"restarts by reason {by_reason}")


def test_two_runs_never_overlap(space: AppNamespace) -> None:
    """A pod that is slow to stop holds the new run back until it has stopped."""
    slow = "trap 'sleep 6; exit 0' TERM; while :; do sleep 1; done"
    space.create_app(
        "overlap",
        **DEMO,
        restartPolicy="OnFailure",
        command=["sh", "-c", slow],
        terminationGracePeriodSeconds=30,
    )
    app = AppClient(space, "overlap")
    app.wait_until_ready(TIMEOUT)
    old = app.get_only_pod()["metadata"]["name"]

    space.patch_spec("overlap", env=[{"name": "RUN", "value": "2"}])

    def other() -> str:
        names: set[str] = {pod["metadata"]["name"] for pod in space.list_pods("overlap")}
        if len(names) > 1:
            raise RuntimeError(f"two runs at once: {names}")
        assert names
        assert names != {old}, "the old pod still stops"
        return names.pop()

    eventually(other, timeout=TIMEOUT, description="a pod of the new run")
    app.wait_until_ready(TIMEOUT)
