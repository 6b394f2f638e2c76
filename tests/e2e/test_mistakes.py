"""Everyday mistakes: what a person reads in the status within a minute or two.

Each text is what leads to the line to change: the path and the answer of a probe, a limit and its
field, the name of an object. All apps are created together, and each test waits for its own.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "mistakes")

DEMO = "localhost/selfhealing-demo:dev"

TIMEOUT = 120
"""Seconds; a person waits for a minute, and a test for as long again on a busy machine."""

BASE: Json = {
    "image": DEMO,
    "port": 5000,
    "terminationGracePeriodSeconds": 1,
    "healing": {"mode": "Observe"},
}
"""Only the status is of interest: nothing is healed."""


class Mistake(NamedTuple):
    """A spec that is wrong, and what the status must say.

    Attributes:
        spec: the fields beside BASE.
        message: a part of status.message.
        pod: a part of the message of its pod; empty if no pod has one.
        event: the reason of the Event that says it.
    """

    spec: Json
    message: str
    pod: str
    event: str = "Degraded"


def http_probe(path: str, port: int | None = None) -> Json:
    """An HTTP probe that is asked every second."""
    target: Json = {"path": path} | ({"port": port} if port else {})
    return {"httpGet": target, "periodSeconds": 1}


MISTAKES: Final[Mapping[str, Mistake]] = {
    "readiness-path": Mistake(
        {"probes": {"readiness": http_probe("/readyz")}},
        "readiness GET :5000/readyz answers 404",
        "readiness GET :5000/readyz answers 404",
    ),
    "readiness-port": Mistake(
        {"probes": {"readiness": http_probe("/ready", 8080)}},
        "readiness GET :8080/ready: connection refused: nothing listens on 8080",
        "nothing listens on 8080",
    ),
    "liveness-path": Mistake(
        {"probes": {"liveness": http_probe("/livez") | {"initialDelaySeconds": 3}}},
        "liveness GET :5000/livez answers 404",
        "liveness GET :5000/livez answers 404",
    ),
    "memory": Mistake(
        {"resources": {"limits": {"memory": "12Mi"}, "requests": {"memory": "12Mi"}}},
        "its limit is 12Mi (spec.resources.limits.memory)",
        "its limit is 12Mi",
    ),
    "request": Mistake(
        {"autoscaling": {"maxReplicas": 2, "targetCPUUtilizationPercentage": 50}},
        "autoscaling needs spec.resources.requests.cpu",
        "",
        "MissingRequest",
    ),
    "image": Mistake(
        {"image": "localhost/selfhealing-demo:no-such-tag"},
        "cannot pull image localhost/selfhealing-demo:no-such-tag",
        "cannot pull image",
    ),
    "command": Mistake(
        {"command": ["/no/such/program"]},
        "/no/such/program",
        "cannot start",
    ),
    "variable": Mistake(
        {"envFrom": [{"configMapRef": {"name": "no-such-settings"}}]},
        'configmap "no-such-settings" not found',
        'configmap "no-such-settings" not found',
    ),
    "volume": Mistake(
        {
            "volumes": [{"name": "files", "secret": {"secretName": "no-such-files"}}],
            "volumeMounts": [{"name": "files", "mountPath": "/files"}],
        },
        'cannot mount volume files: secret "no-such-files" not found',
        'secret "no-such-files" not found',
    ),
    "size": Mistake(
        {"resources": {"requests": {"cpu": "500"}}},
        "no node takes it",
        "Insufficient cpu",
    ),
    "first-version": Mistake(
        {"command": ["python", "-c", "raise SystemExit(3)"], "healing": {"mode": "Auto"}},
        "there is no earlier version to go back to",
        "exit code 3",
        "CrashLooping",
    ),
}


@pytest.fixture(scope="module")
def mistakes(space: AppNamespace, operator: OperatorProcess) -> None:  # noqa: ARG001 - it must be running
    """All apps, each with its mistake."""
    for name, mistake in MISTAKES.items():
        space.create_app(name, **{**BASE, **mistake.spec})


@pytest.mark.parametrize("name", MISTAKES)
def test_a_person_reads_the_cause(space: AppNamespace, name: str) -> None:
    """In the message, of the pod, and in an Event; nobody has to describe a pod."""
    mistake = MISTAKES[name]

    def is_told() -> bool:
        status = space.get_status(name)
        pods = [pod.get("message", "") for pod in status.get("pods", ())]
        assert mistake.message in status.get("message", ""), (status.get("message"), pods)
        assert any(mistake.pod in message for message in pods) or not mistake.pod, pods
        return True

    eventually(is_told, timeout=TIMEOUT, description=f"the status names the cause of {name}")
    eventually(
        lambda: mistake.event in {event["reason"] for event in space.list_events(name)},
        timeout=TIMEOUT,
        description=f"an Event {mistake.event} about {name}",
    )


def test_a_pod_that_a_probe_kills_is_not_ready_in_between(space: AppNamespace) -> None:
    """Else a `kubectl wait --for=condition=Ready` would pass."""
    eventually(
        lambda: space.get_status("liveness-path").get("restarts", {}).get("total", 0) >= 1,
        timeout=TIMEOUT,
        description="the container is restarted",
    )
    consistently(
        lambda: space.get_condition("liveness-path", "Ready")["status"] == "False",
        seconds=20,
        description="the app is not Ready",
    )


def test_a_changed_config_map_is_named(space: AppNamespace) -> None:
    """The Event does not say that the spec has changed."""
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mode": "slow"}}
    meta = {"name": "settings", "namespace": space.name}
    space.kube.create({**settings, "metadata": meta})
    reads = [{"configMapRef": {"name": "settings"}}]
    space.create_app("reader", **{**BASE, "envFrom": reads})
    space.wait_for_phase("reader", "Ready", TIMEOUT)
    space.kube.merge_patch("ConfigMap", space.name, "settings", {"data": {"mode": "fast"}})
    expected = "ConfigMap settings (mode) changed: updated Deployment to replace the pods"

    eventually(
        lambda: expected in {event["note"] for event in space.list_events("reader", "Updated")},
        timeout=TIMEOUT,
        description="an Event names the ConfigMap and the key",
    )


def test_the_table_shows_it(space: AppNamespace) -> None:
    """The wide table of kubectl has the message."""
    table = run_kubectl("get", "sha", "-n", space.name, "-o", "wide")

    assert MISTAKES["readiness-path"].message in table
