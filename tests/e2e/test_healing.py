"""Healing with real faults in real containers: what is recognised, what is done, what users notice.

Every time of healing is a tenth of what it says (the setting healing_scale), so that what takes
minutes in production takes seconds here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from hack.scenarios.common.request_stream import Stream, stream
from hack.testkit.healing import healing
from hack.testkit.kube_client import Json, kubectl
from hack.testkit.namespace import API_VERSION, KIND, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays
from tests.e2e.app_client import LabApp

pytestmark = pytest.mark.usefixtures("operator")

DEMO = "localhost/selfhealing-demo:dev"
MISSING = "localhost/selfhealing-demo:no-such-tag"

LIMIT = 90
"""Longest that an illness may take to be recognised and healed, with all that Kubernetes does."""

CLIMBER = "climber"

HEALING: Json = {
    "cooldown": "10s",
    "rollback": {"probation": "80s"},
    "recycle": {"after": "60s"},
}

SERVES: Json = {
    "image": DEMO,
    "port": 5000,
    "probes": {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}},
    "service": {"type": "NodePort"},
    "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    "terminationGracePeriodSeconds": 5,
    "healing": HEALING,
}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A tenth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.1"}


@pytest.fixture(scope="module", autouse=True)
def climber(space: Space, operator: OperatorProcess) -> Json:  # noqa: ARG001 - it must be running
    """An app whose memory grows while the other tests run; its pod, as it was in the beginning.

    It grows from some 90 MiB to 190, slowly: the kubelet and metrics-server measure every 10 to
    15 s each, and the last 15 % of the limit take it 45 s.
    """
    command = (
        "import time; held = [b'x' * (80 << 20)]\n"
        "for _ in range(200): held.append(b'x' * (1 << 19)); time.sleep(1)\n"
        "print('grown', flush=True); time.sleep(3600)"
    )
    space.create(
        CLIMBER,
        image=DEMO,
        command=["python", "-c", command],
        resources={"limits": {"memory": "150Mi"}, "requests": {"memory": "100Mi"}},
        healing={**HEALING, "memory": {"max": "600Mi"}},
        terminationGracePeriodSeconds=1,
    )
    space.is_(CLIMBER, "Ready", LIMIT)
    (pod,) = space.pods(CLIMBER)
    return pod


def history(space: Space, name: str) -> list[tuple[str, str, str]]:
    """Every decision, the latest first: remedy, illness, outcome."""
    return [
        (action["remedy"], action["diagnosis"], action["outcome"])
        for action in healing(space, name).get("history", ())
    ]


def has(space: Space, name: str, *wanted: tuple[str, str, str]) -> bool:
    """Whether exactly these decisions have been taken, the latest first."""
    found = history(space, name)
    assert list(wanted) == found, (found, healing(space, name), space.status(name).get("message"))
    return True


def proven(space: Space, name: str, **spec: object) -> LabApp:
    """An app whose version has proved itself."""
    space.create(name, **{**SERVES, **spec})
    app = LabApp(space, name)
    app.ready()
    is_proven(space, name)
    return app


def is_proven(space: Space, name: str) -> None:
    """Wait until the version that runs is one to go back to."""

    def probe() -> bool:
        found = healing(space, name)
        assert found.get("template") == found.get("goodTemplate"), found
        return True

    eventually(probe, timeout=LIMIT, says="the version has proved itself")


def rolled_back(space: Space, name: str, illness: str) -> Json:
    """Wait until an app runs its good version again; its status."""

    def probe() -> Json:
        has(space, name, ("Rollback", illness, "Helped"))
        status = space.status(name)
        assert (status["phase"], space.condition(name, "Ready")["reason"]) == (
            "Degraded",
            "RolledBack",
        ), status
        return status

    return eventually(probe, timeout=LIMIT, says="it is rolled back")


@contextmanager
def users(app: LabApp) -> Iterator[Stream]:
    """Some users, who ask through the Service while the block runs."""
    with stream(f"{app.status()['endpoint']}/", users=2, pause=0.05) as asked:
        eventually(lambda: sum(asked.answers.values()) >= 10, says="the app answers")
        yield asked


def evidence(space: Space, name: str, remedy: str) -> str:
    """What was written down before an action."""
    action = next(a for a in healing(space, name)["history"] if a["remedy"] == remedy)
    found: str = space.child("ConfigMap", f"{name}-evidence")["data"][action["evidence"]]
    return found


def test_a_missing_image(space: Space, name: str) -> None:
    """The old version serves on; the spec is left alone; the next version is tried at once."""
    app = proven(space, name, replicas=2)
    good = healing(space, name)["goodTemplate"]

    with users(app) as asked:
        space.edit(name, image=MISSING)
        status = rolled_back(space, name, "ImagePullFailing")
        seen = asked.failures

    assert 0 == seen
    assert MISSING == space.app(name)["spec"]["image"]
    assert DEMO == space.container(name)["image"]
    found = status["healing"]
    assert (good, 2) == (found["goodTemplate"], found["budgetLeft"])
    assert found["template"] == found["failedTemplate"] != good
    for told in (good, found["failedTemplate"], DEMO):
        assert told in status["message"], status["message"]
    assert MISSING in evidence(space, name, "Rollback")
    assert {"HealingRollback": 1, "HealingHelped": 1}.items() <= space.told(name).items()

    space.edit(name, image=DEMO, env=[{"name": "TRY", "value": "again"}])
    app.ready()
    assert "failedTemplate" not in healing(space, name)


def test_a_version_that_crashes_late(space: Space, operator: OperatorProcess, name: str) -> None:
    """After its rollout is complete, so nobody but the probation notices; and the operator dies."""
    app = proven(space, name, replicas=2)
    crash = (
        "import os, runpy, threading; threading.Timer(8, os._exit, (3,)).start(); "
        "runpy.run_module('app', run_name='__main__')"
    )

    with users(app) as asked:
        space.edit(
            name, command=["python", "-c", crash], healing={"rollback": {"probation": "30m"}}
        )
        eventually(
            lambda: history(space, name) and history(space, name)[0][2] == "Started",
            timeout=2 * LIMIT,
            poll=0.02,
            says="a rollback is started",
        )
        operator.kill()
        operator.start()
        rolled_back(space, name, "CrashLooping")
        served = eventually(lambda: _goes_on(asked), says="it serves again")

    assert served
    assert "exit code 3" in evidence(space, name, "Rollback")
    assert 2 == healing(space, name)["budgetLeft"]


def _goes_on(asked: Stream) -> bool:
    before = sum(asked.answers.values())
    eventually(lambda: sum(asked.answers.values()) > before + 20, says="requests are answered")
    return True


def test_a_missing_secret(space: Space, name: str) -> None:
    """A container that cannot be made for want of its configuration."""
    app = proven(space, name, replicas=2)

    with users(app) as asked:
        space.edit(name, envFrom=[{"secretRef": {"name": "no-such-secret"}}])
        rolled_back(space, name, "ConfigError")

    assert 0 == asked.failures
    assert "no-such-secret" in evidence(space, name, "Rollback")


def test_one_pod_hangs(space: Space, name: str) -> None:
    """It is replaced; the others serve on. The second time in vain, and it is left to people."""
    app = proven(space, name, replicas=3, healing={**HEALING, "budget": 1})
    first, second, _ = sorted(pod["metadata"]["name"] for pod in app.pods())

    with users(app) as asked:
        app.ask_pod(first, "/not-ready")
        eventually(
            lambda: has(space, name, ("Recycle", "NotReadyTooLong", "Helped")),
            timeout=LIMIT,
            says="the pod is replaced",
        )
        app.ready()
        assert first not in {pod["metadata"]["name"] for pod in app.pods()}

        app.ask_pod(second, "/not-ready")
        eventually(
            lambda: healing(space, name).get("quarantine"), timeout=LIMIT, says="it is quarantined"
        )
        app.ready()  # with another pod in place of the one that is kept

    assert 0 == asked.failures
    kept = space.child("Pod", second)["metadata"]
    assert name == kept["labels"]["selfhealing.dev/quarantined"]
    assert "selfhealing.dev/app" not in kept["labels"]
    assert [(KIND, name)] == [(o["kind"], o["name"]) for o in kept["ownerReferences"]]
    assert healing(space, name)["quarantined"]
    assert second in evidence(space, name, "Quarantine")

    note = {"metadata": {"annotations": {"selfhealing.dev/resume": "1"}}}
    space.kube.merge(KIND, space.name, name, note)
    eventually(lambda: not healing(space, name).get("quarantined"), says="it is resumed")


def test_too_little_memory(space: Space, name: str) -> None:
    """More memory, as much as it takes, within the maximum.

    A container that is killed again and again may not take it up (Kubernetes issue 138760): then a
    new pod gets it.
    """
    command = ["python", "-c", "import time; x = b'x' * (150 << 20); time.sleep(3600)"]
    space.create(
        name,
        image=DEMO,
        command=command,
        resources={"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}},
        healing={**HEALING, "memory": {"max": "400Mi"}},
        terminationGracePeriodSeconds=1,
    )

    def probe() -> bool:
        past = history(space, name)
        assert past, "nothing is decided yet"
        helped, *vain = past
        assert ("RaiseMemory", "OOMKilled", "Helped") == helped, healing(space, name)
        assert vain in ([], [("RaiseMemory", "OOMKilled", "NoHelp")])
        return bool(space.status(name)["phase"] == "Ready")

    eventually(probe, timeout=2 * LIMIT, says="it has memory enough")

    assert "200Mi" == healing(space, name)["memoryLimit"]
    (pod,) = space.pods(name)
    assert "200Mi" == pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert "100Mi" == space.app(name)["spec"]["resources"]["limits"]["memory"]

    space.edit(name, resources={"limits": {"memory": "300Mi"}})
    eventually(lambda: "memoryLimit" not in healing(space, name), says="the spec counts again")
    assert "300Mi" == space.container(name)["resources"]["limits"]["memory"]


def test_a_full_quota(space: Space, name: str) -> None:
    """Nothing here can help, and nothing is done: it is said, and goes away with its cause."""
    space.limit(name, pods="0")
    try:
        space.create(name, **SERVES)
        eventually(
            lambda: [d["type"] for d in healing(space, name)["diagnoses"]] == ["QuotaExceeded"],
            timeout=LIMIT,
            says="the quota is named",
        )
        assert "NoRemedy" == healing(space, name)["hold"]
        stays(partial(has, space, name), seconds=3)
    finally:
        space.kube.delete("ResourceQuota", space.name, name)


def test_an_app_that_says_nothing(space: Space, name: str) -> None:
    """Healing is on for it, with its whole budget; a Job has none."""
    space.create(name, image=DEMO, port=5000)
    space.is_(name, "Ready", LIMIT)

    assert ("Auto", 3) == (healing(space, name)["mode"], healing(space, name)["budgetLeft"])
    assert API_VERSION == space.app(name)["apiVersion"]


def test_memory_climbs(space: Space, climber: Json) -> None:
    """It gets more while it runs, before the kernel kills it: nobody notices anything."""
    eventually(
        lambda: has(space, CLIMBER, ("RaiseMemory", "MemoryClimbing", "Helped")),
        timeout=3 * LIMIT,
        says="it has more memory",
    )
    pod = climber["metadata"]["name"]
    eventually(
        lambda: "grown" in kubectl("logs", pod, "--namespace", space.name),
        timeout=3 * LIMIT,
        says="it has grown",
    )

    (after,) = space.pods(CLIMBER)
    status = space.status(CLIMBER)
    assert climber["metadata"]["uid"] == after["metadata"]["uid"]
    assert ("Ready", 0) == (status["phase"], status["restarts"]["total"])
    assert "250Mi" == after["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert "150Mi" == space.container(CLIMBER)["resources"]["limits"]["memory"]
    assert 1 == space.told(CLIMBER)["HealingRaiseMemory"]
