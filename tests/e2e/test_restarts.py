"""Why containers end, as the status tells it, with real kernels, kubelets and probes.

All apps are applied at once, since each takes its time to die.
"""

import pytest

from hack.testkit.kube_client import Json
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import READY_TIMEOUT, AppClient

DEMO = "localhost/selfhealing-demo:dev"
RESTART_LIMIT = 90

TEMPORARY_LISTENER = """
import socket, time
with socket.create_server(("", 5000)):
    time.sleep(3)
time.sleep(600)
"""

CHECK = ["python", "-m", "app.check", "http://127.0.0.1:5000/health"]

SPECS: dict[str, Json] = {
    "oom": {
        # Written, not only reserved: memory counts when it is touched.
        "command": ["python", "-c", "import time; x = b'x' * (200 << 20); time.sleep(600)"],
        "resources": {"limits": {"memory": "64Mi"}},
    },
    "crash": {"command": ["sh", "-c", "sleep 1; exit 3"]},
    "completed": {"command": ["sh", "-c", "sleep 1; exit 0"]},
    "tcp": {
        "command": ["python", "-c", TEMPORARY_LISTENER],
        "port": 5000,
        "probes": {"liveness": {"tcpSocket": {}, "periodSeconds": 1, "failureThreshold": 2}},
        "terminationGracePeriodSeconds": 1,
    },
    "exec": {
        "port": 5000,
        "probes": {
            "liveness": {
                "exec": {"command": CHECK},
                "initialDelaySeconds": 5,
                "periodSeconds": 2,
                "timeoutSeconds": 10,
                "failureThreshold": 1,
            },
            "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
        },
        "service": {"type": "NodePort"},
    },
    "grpc": {
        "port": 5000,
        "env": [{"name": "PORT_GRPC", "value": "50051"}],
        "probes": {
            "liveness": {
                "grpc": {"port": 50051},
                "initialDelaySeconds": 5,
                "periodSeconds": 2,
                "failureThreshold": 1,
            },
            "readiness": {"grpc": {"port": 50051, "service": "readiness"}, "periodSeconds": 1},
        },
        "service": {"type": "NodePort"},
    },
    "never-starts": {
        "command": ["sleep", "600"],
        "port": 5000,
        "probes": {
            "startup": {"httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 3}
        },
        "terminationGracePeriodSeconds": 1,
    },
    # The twin of examples/08-startup-probe.yaml, which survives.
    "slow": {
        "command": ["sh", "-c", "sleep 12 && exec python -m app"],
        "port": 5000,
        "probes": {
            # The Event of a kill may come seconds late, and that of the next kill replaces it.
            "liveness": {
                "httpGet": {"path": "/health"},
                "initialDelaySeconds": 5,
                "periodSeconds": 2,
                "failureThreshold": 1,
            }
        },
        "terminationGracePeriodSeconds": 1,
    },
    "counted": {
        "port": 5000,
        "probes": {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}},
    },
}

REASONS = [
    ("oom", "OOMKilled", 137),
    ("crash", "Error", 3),
    ("completed", "Completed", 0),
    ("tcp", "LivenessProbe", None),
    ("exec", "LivenessProbe", None),
    ("grpc", "LivenessProbe", None),
    ("never-starts", "StartupProbe", None),
    ("slow", "LivenessProbe", None),
]

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def apps(space: AppNamespace, operator: OperatorProcess) -> dict[str, AppClient]:
    """All of them, applied; those with an exec and a gRPC probe are told to be ill."""
    assert operator.is_running()
    for name, spec in SPECS.items():
        space.create_app(name, **{"image": DEMO, "imagePullPolicy": "IfNotPresent", **spec})
    apps = {name: AppClient(space, name) for name in SPECS}
    for name in ("exec", "grpc"):
        apps[name].wait_until_ready()
        apps[name].wait_for_response("/fail")
    return apps


@pytest.mark.parametrize(("name", "reason", "code"), REASONS, ids=[case[0] for case in REASONS])
def test_a_restart_is_told_by_its_true_reason(
    apps: dict[str, AppClient], name: str, reason: str, code: int | None
) -> None:
    """No other reason is counted, and the exit code is the container's."""
    app = apps[name]

    def restarts() -> Json:
        block: Json = app.get_status().get("restarts", {})
        assert block.get("total", 0) > 0, "no restart yet"
        counted = dict(block["byReason"])
        if reason == "OOMKilled":
            # containerd may learn of it only after the end; the cause of those before the first of
            # which it is told is lost.
            assert 2 * counted.pop("Error", 0) <= block["total"], block
        assert set(counted) == {reason}, block
        return block

    block = eventually(restarts, timeout=RESTART_LIMIT, description=f"{name} restarted by {reason}")

    assert block["last"]["reason"] == reason
    assert sum(block["byReason"].values()) == block["total"]
    if code is not None:
        assert block["last"]["exitCode"] == code
    # Events are sent after the status, when there is time.
    eventually(
        lambda: app.space.count_events(name).get("ContainerRestarted"), description="an Event"
    )


def test_an_ill_app_is_degraded_and_says_why(apps: dict[str, AppClient]) -> None:
    """A crash loop is no flicker between ready and not: it is told as what it is, with the code."""

    def told() -> str:
        status = apps["crash"].get_status()
        assert status["phase"] == "Degraded", status
        message: str = status["message"]
        assert "exit code 3" in message, message
        return message

    eventually(told, timeout=RESTART_LIMIT, description="the status tells of the crash loop")


def test_the_total_survives_the_pod_and_the_operator(
    apps: dict[str, AppClient], operator: OperatorProcess
) -> None:
    """Restarts of a pod that is gone, and those while the operator was away, stay in the total."""
    app = apps["counted"]
    app.wait_until_ready()

    end_process(app)
    has_restart_total(app, current=1, total=1)
    first = app.get_only_pod()["metadata"]["name"]
    app.space.kube.delete("Pod", app.space.name, first)
    eventually(
        lambda: first not in {pod["metadata"]["name"] for pod in app.space.list_pods(app.name)},
        timeout=60,
        description="the first pod is gone",
    )
    app.wait_until_ready()
    has_restart_total(app, current=0, total=1)

    with operator.stop_temporarily():
        end_process(app)
    has_restart_total(app, current=1, total=2)
    operator.kill()
    operator.start()
    end_process(app)
    has_restart_total(app, current=2, total=3)
    assert app.get_status()["restarts"]["byReason"] == {"Completed": 3}


def end_process(app: AppClient) -> None:
    """Have the app's process end by itself, and wait until it has been started again."""
    eventually(
        lambda: len(app.list_pods()) == 1, timeout=READY_TIMEOUT, description="there is one pod"
    )
    before, pod = app.count_restarts(), app.get_only_pod()["metadata"]["name"]
    eventually(lambda: is_running(app), timeout=60, description="the container runs")
    app.exec_in_pod(pod, "python", "-c", "import os; os.kill(1, 15)")
    # A second end in a row waits for the kubelet's back-off of 10 s.
    eventually(
        lambda: app.count_restarts() == before + 1 and is_running(app),
        timeout=60,
        description="it was restarted",
    )


def is_running(app: AppClient) -> bool:
    (status,) = app.get_only_pod()["status"]["containerStatuses"]
    return "running" in status["state"] and status["ready"]


def has_restart_total(app: AppClient, *, current: int, total: int) -> None:
    def probe() -> bool:
        block = app.get_status()["restarts"]
        assert (block["current"], block["total"]) == (current, total), block
        return True

    eventually(probe, timeout=30, description=f"{current} now, {total} in all")
