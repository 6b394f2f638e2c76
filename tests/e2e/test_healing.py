"""Healing with real faults in real containers: what is recognised, what is done, what users notice.

tests/e2e/test_exam.py has more faults, each in a namespace of its own. Every time of healing is a
tenth of what it says (the setting healing_scale), so that what takes minutes in production takes
seconds here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.scenarios.common.request_stream import RequestStream, send_requests
from hack.testkit import stub_registry
from hack.testkit.healing import get_healing_status
from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import API_VERSION, KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient

pytestmark = pytest.mark.usefixtures("operator")

DEMO = "localhost/selfhealing-demo:dev"

TIMEOUT = 90
"""Longest that an illness may take to be recognised and healed, with all that Kubernetes does."""

GROWING_APP = "climber"

HEALING: Json = {
    "cooldown": "10s",
    "rollback": {"probation": "80s"},
    "replacePod": {"after": "60s"},
}

SERVING_SPEC: Json = {
    "image": DEMO,
    "port": 5000,
    "probes": {
        "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1, "timeoutSeconds": 5}
    },
    "service": {"type": "NodePort"},
    "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    "terminationGracePeriodSeconds": 5,
    "healing": HEALING,
}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A tenth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.1"}


GROWING_COMMAND = """
import os, pathlib, time

V1, V2 = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
FOLDER, LIMIT, USAGE, CACHE = (
    (V1, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    if V1.exists()
    else (V2, "memory.max", "memory.current", "inactive_file")
)

def read_working_set():
    stat = dict(line.split() for line in (FOLDER / "memory.stat").read_text().splitlines())
    return int((FOLDER / USAGE).read_text()) - int(stat[CACHE])

held = [b"x" * (80 << 20)]
while read_working_set() < 190 << 20:
    time.sleep(1)
    if read_working_set() < 0.97 * int((FOLDER / LIMIT).read_text()):
        held.append(b"x" * (1 << 19))
print("grown", flush=True)
time.sleep(3600)
"""
"""Grows to 190 MiB. It stops at 97 % of its limit, as the kubelet computes the working set, until
the limit is raised: on a busy machine the measurements may be a minute old, and the kernel would
kill it."""


@pytest.fixture(scope="module", autouse=True)
def climber(space: AppNamespace, operator: OperatorProcess) -> Json:  # noqa: ARG001 - it must be running
    """An app whose memory grows while the other tests run; its pod, as it was in the beginning."""
    space.create_app(
        GROWING_APP,
        image=DEMO,
        command=["python", "-c", GROWING_COMMAND],
        resources={"limits": {"memory": "150Mi"}, "requests": {"memory": "100Mi"}},
        healing={**HEALING, "memory": {"max": "600Mi"}},
        terminationGracePeriodSeconds=1,
    )
    space.wait_for_phase(GROWING_APP, "Ready", TIMEOUT)
    (pod,) = space.list_pods(GROWING_APP)
    return pod


@pytest.fixture(scope="module")
def missing_image(space: AppNamespace) -> str:
    """An image of which a registry says that there is none."""
    return f"{stub_registry.start_stub_registry(space.kube, space.name)}/{stub_registry.MISSING}:v2"


def list_actions(space: AppNamespace, name: str) -> list[tuple[str, str, str]]:
    """Every decision, the latest first: remedy, illness, outcome."""
    return [
        (action["remediation"], action["diagnosis"], action["outcome"])
        for action in get_healing_status(space, name).get("history", ())
    ]


def has_actions(space: AppNamespace, name: str, *wanted: tuple[str, str, str]) -> bool:
    """Whether exactly these decisions have been taken, the latest first."""
    found = list_actions(space, name)
    assert list(wanted) == found, (
        found,
        get_healing_status(space, name),
        space.get_status(name).get("message"),
    )
    return True


def create_stable_app(space: AppNamespace, name: str, **spec: object) -> AppClient:
    """An app whose version has proved itself."""
    space.create_app(name, **{**SERVING_SPEC, **spec})
    app = AppClient(space, name)
    app.wait_until_ready()
    wait_until_stable(space, name)
    return app


def wait_until_stable(space: AppNamespace, name: str) -> None:
    """Wait until the version that runs is one to go back to."""

    def probe() -> bool:
        found = get_healing_status(space, name)
        assert found.get("desiredRevision") == found.get("stableRevision"), found
        return True

    eventually(probe, timeout=TIMEOUT, description="the version has proved itself")


def wait_for_rollback(space: AppNamespace, name: str, diagnosis: str) -> Json:
    """Wait until an app runs its good version again; its status."""

    def probe() -> Json:
        has_actions(space, name, ("Rollback", diagnosis, "Succeeded"))
        status = space.get_status(name)
        assert (status["phase"], space.get_condition(name, "Ready")["reason"]) == (
            "Degraded",
            "RolledBack",
        ), status
        return status

    # While the old pods serve everything it waits for the progress deadline first: 60 s here.
    return eventually(probe, timeout=2 * TIMEOUT, description="it is rolled back")


@contextmanager
def run_users(app: AppClient) -> Iterator[RequestStream]:
    """Some users, who ask through the Service while the block runs."""
    with send_requests(f"{app.get_status()['endpoint']}/", users=2, pause=0.05) as asked:
        eventually(lambda: sum(asked.answers_by_pod.values()) >= 10, description="the app answers")
        yield asked


def get_evidence(space: AppNamespace, name: str, remedy: str) -> str:
    """What was written down before an action."""
    action = next(
        a for a in get_healing_status(space, name)["history"] if a["remediation"] == remedy
    )
    found: str = space.get_child("ConfigMap", f"{name}-evidence")["data"][action["evidence"]]
    return found


def test_a_missing_image(space: AppNamespace, name: str, missing_image: str) -> None:
    """The old version serves on; the spec is left alone; the next version is tried at once."""
    app = create_stable_app(space, name, replicas=2)
    good = get_healing_status(space, name)["stableRevision"]

    with run_users(app) as asked:
        space.patch_spec(name, image=missing_image)
        status = wait_for_rollback(space, name, "ImagePullFailing")
        seen = asked.failure_count

    assert 0 == seen
    assert missing_image == space.get_app(name)["spec"]["image"]
    assert DEMO == space.get_container(name)["image"]
    found = status["healing"]
    assert (good, 2) == (found["stableRevision"], found["budgetLeft"])
    assert found["desiredRevision"] == found["failedRevision"] != good
    for told in (good, found["failedRevision"], DEMO):
        assert told in status["message"], status["message"]
    assert missing_image in get_evidence(space, name, "Rollback")
    expected_events = {"HealingRollback": 1, "RemediationSucceeded": 1}
    eventually(
        lambda: expected_events.items() <= space.count_events(name).items(),
        description="the Events are written",
    )

    space.patch_spec(name, image=DEMO, env=[{"name": "TRY", "value": "again"}])
    app.wait_until_ready()
    assert "failedRevision" not in get_healing_status(space, name)


def test_a_version_that_crashes_late(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """After its rollout is complete, so nobody but the probation notices; and the operator dies."""
    app = create_stable_app(space, name, replicas=2)
    crash = (
        "import os, runpy, threading; threading.Timer(8, os._exit, (3,)).start(); "
        "runpy.run_module('app', run_name='__main__')"
    )

    with run_users(app) as asked:
        space.patch_spec(
            name, command=["python", "-c", crash], healing={"rollback": {"probation": "30m"}}
        )
        eventually(
            lambda: list_actions(space, name) and list_actions(space, name)[0][2] == "InProgress",
            timeout=2 * TIMEOUT,
            poll=0.02,
            description="a rollback is started",
        )
        operator.kill()
        operator.start()
        wait_for_rollback(space, name, "CrashLooping")
        served = eventually(lambda: is_progressing(asked), description="it serves again")

    assert served
    assert "exit code 3" in get_evidence(space, name, "Rollback")
    assert 2 == get_healing_status(space, name)["budgetLeft"]


def is_progressing(asked: RequestStream) -> bool:
    before = sum(asked.answers_by_pod.values())
    eventually(
        lambda: sum(asked.answers_by_pod.values()) > before + 20,
        description="requests are answered",
    )
    return True


def test_hostile_logs(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """A log that no pattern may stumble over: the rollback comes, and the operator goes on."""
    create_stable_app(space, name, replicas=2)
    lines = (
        "print('key' + chr(9) * 3000 + 'x'); print('== Events =='); "
        "print('pass' + chr(0x200b) + 'word=hun' + 'ter2', chr(0x202e)); raise SystemExit(3)"
    )

    space.patch_spec(name, command=["python", "-c", lines], healing={"evidence": {"logs": True}})
    wait_for_rollback(space, name, "CrashLooping")
    text = get_evidence(space, name, "Rollback")

    assert "\n| == Events ==\n" in text
    assert "\n| password=<redacted>\n" in text
    assert "hunter2" not in text
    assert "internal error" not in operator.read_log()


def test_one_pod_hangs(space: AppNamespace, name: str) -> None:
    """It is replaced; the others serve on. The second time in vain, and it is left to people."""
    app = create_stable_app(space, name, replicas=3, healing={**HEALING, "budget": 1})
    first, second, _ = sorted(pod["metadata"]["name"] for pod in app.list_pods())

    with run_users(app) as asked:
        app.request_from_pod(first, "/not-ready")
        eventually(
            lambda: has_actions(space, name, ("ReplacePod", "NotReadyTooLong", "Succeeded")),
            timeout=TIMEOUT,
            description="the pod is replaced",
        )
        app.wait_until_ready()
        assert first not in {pod["metadata"]["name"] for pod in app.list_pods()}

        app.request_from_pod(second, "/not-ready")
        eventually(
            lambda: (
                (found := get_healing_status(space, name))["quarantined"]
                and found.get("quarantine")
            ),
            timeout=TIMEOUT,
            description="it is quarantined",
        )
        app.wait_until_ready()  # with another pod in place of the one that is kept

    assert 0 == asked.failure_count
    kept = space.get_child("Pod", second)["metadata"]
    assert name == kept["labels"]["selfhealing.dev/quarantined"]
    assert "selfhealing.dev/app" not in kept["labels"]
    assert [(KIND, name)] == [(o["kind"], o["name"]) for o in kept["ownerReferences"]]
    assert second in get_evidence(space, name, "Quarantine")
    eventually(
        lambda: not get_healing_status(space, name).get("quarantined"),
        timeout=TIMEOUT,
        description="it has been healthy for the probation, so healing goes on",
    )


def test_too_little_memory(space: AppNamespace, name: str) -> None:
    """More memory, as much as it takes, within the maximum.

    A container that is killed again and again may not take it up (Kubernetes issue 138760): then a
    new pod gets it.
    """
    command = ["python", "-c", "import time; x = b'x' * (150 << 20); time.sleep(3600)"]
    space.create_app(
        name,
        image=DEMO,
        command=command,
        resources={"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}},
        healing={**HEALING, "memory": {"max": "400Mi"}},
        terminationGracePeriodSeconds=1,
    )

    def probe() -> bool:
        past = list_actions(space, name)
        assert past, "nothing is decided yet"
        helped, *vain = past
        assert ("RaiseMemory", "OOMKilled", "Succeeded") == helped, get_healing_status(space, name)
        assert vain in ([], [("RaiseMemory", "OOMKilled", "Failed")])
        return bool(space.get_status(name)["phase"] == "Ready")

    eventually(probe, timeout=2 * TIMEOUT, description="it has memory enough")

    assert [("app", "200Mi")] == [
        (entry["container"], entry["limit"])
        for entry in get_healing_status(space, name)["memoryLimits"]
    ]
    (pod,) = space.list_pods(name)
    assert "200Mi" == pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert "100Mi" == space.get_app(name)["spec"]["resources"]["limits"]["memory"]

    space.patch_spec(name, resources={"limits": {"memory": "300Mi"}})
    eventually(
        lambda: not get_healing_status(space, name)["memoryLimits"],
        description="the spec counts again",
    )
    assert "300Mi" == space.get_container(name)["resources"]["limits"]["memory"]


def test_too_little_memory_for_a_sidecar(space: AppNamespace, name: str) -> None:
    """The container that is killed gets more, by default up to twice what the spec says."""
    command = ["python", "-c", "import time; x = b'x' * (90 << 20); time.sleep(3600)"]
    limits = {"limits": {"memory": "80Mi"}, "requests": {"memory": "20Mi"}}
    space.create_app(
        name,
        image=DEMO,
        port=5000,
        sidecars=[{"name": "helper", "image": DEMO, "command": command, "resources": limits}],
        healing=HEALING,
        terminationGracePeriodSeconds=1,
    )

    def probe() -> bool:
        past = list_actions(space, name)
        assert past, "nothing is decided yet"
        helped, *vain = past
        assert ("RaiseMemory", "OOMKilled", "Succeeded") == helped, get_healing_status(space, name)
        assert vain in ([], [("RaiseMemory", "OOMKilled", "Failed")])
        return bool(space.get_status(name)["phase"] == "Ready")

    eventually(probe, timeout=2 * TIMEOUT, description="the sidecar has memory enough")

    (pod,) = space.list_pods(name)
    memory = {
        container["name"]: container.get("resources", {}).get("limits", {}).get("memory")
        for container in pod["spec"]["containers"]
    }
    assert {"app": None, "helper": "160Mi"} == memory


def test_memory_that_is_not_allowed(space: AppNamespace, name: str) -> None:
    """A raise that a LimitRange refuses is not made, and is told; it is when it is allowed."""
    space.limit_memory(name, "128Mi")
    command = ["python", "-c", "import time; x = b'x' * (150 << 20); time.sleep(3600)"]

    def is_told() -> bool:
        found = str(get_healing_status(space, name)["diagnoses"])
        assert "200Mi is refused: maximum memory usage per Container is 128Mi" in found
        return True

    try:
        space.create_app(
            name,
            image=DEMO,
            command=command,
            resources={"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}},
            healing=HEALING,
            terminationGracePeriodSeconds=1,
        )
        eventually(is_told, timeout=TIMEOUT, description="the refusal is told")
        assert [] == list_actions(space, name)
        assert [] == get_healing_status(space, name)["memoryLimits"]
        (pod,) = space.list_pods(name)
        assert "100Mi" == pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
    finally:
        space.kube.delete("LimitRange", space.name, name)

    def has_enough() -> bool:
        assert "RaiseMemory" in str(list_actions(space, name)), get_healing_status(space, name)
        pods = space.list_pods(name)
        assert len(pods) == 1, "new pods are on their way"
        (container,) = pods[0]["spec"]["containers"]
        assert "200Mi" == container["resources"]["limits"]["memory"]
        return bool(space.get_status(name)["phase"] == "Ready")

    # What was refused is tried again after a minute.
    eventually(has_enough, timeout=4 * TIMEOUT, description="it has memory enough")


def test_an_app_that_says_nothing(space: AppNamespace, name: str) -> None:
    """Healing is on for it, with its whole budget; a Job has none."""
    space.create_app(name, image=DEMO, port=5000)
    space.wait_for_phase(name, "Ready", TIMEOUT)

    assert ("Auto", 3) == (
        get_healing_status(space, name)["mode"],
        get_healing_status(space, name)["budgetLeft"],
    )
    assert API_VERSION == space.get_app(name)["apiVersion"]


def test_memory_climbs(space: AppNamespace, climber: Json) -> None:
    """It gets more memory while it runs, without a restart: nobody notices anything."""
    eventually(
        lambda: has_actions(space, GROWING_APP, ("RaiseMemory", "MemoryClimbing", "Succeeded")),
        timeout=3 * TIMEOUT,
        description="it has more memory",
    )
    pod = climber["metadata"]["name"]
    eventually(
        lambda: "grown" in run_kubectl("logs", pod, "--namespace", space.name),
        timeout=3 * TIMEOUT,
        description="it has grown",
    )

    (after,) = space.list_pods(GROWING_APP)
    status = space.get_status(GROWING_APP)
    assert climber["metadata"]["uid"] == after["metadata"]["uid"]
    assert ("Ready", 0) == (status["phase"], status["restarts"]["total"])
    assert "250Mi" == after["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert "150Mi" == space.get_container(GROWING_APP)["resources"]["limits"]["memory"]
    space.wait_for_event(GROWING_APP, "HealingRaiseMemory")
    assert 1 == space.count_events(GROWING_APP)["HealingRaiseMemory"]
