"""What is large costs the operator next to nothing, however much there is of it.

The objects are in the served namespace: to the operator they are strangers' as long as no app
names them.
"""

import uuid
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import run_operator
from hack.testkit.wait import eventually
from selfhealing.api import names

MIB = 2**20
FAT_OBJECTS = 30
"""ConfigMaps, and as many Secrets, pods and Deployments: the operator held all of them."""
MAX_GROWTH = 40 * MIB
"""More of the peak than without them: a page of metadata, and noise."""
FAT_APPS = 60
"""Apps of 1 MiB each: more than MAX_GROWTH, if they were kept."""
EVENTS = 300


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Everything is watched that can be."""
    return {"SELFHEALING_CONFIG_WATCH": "all", "SELFHEALING_HEALING_QUIET": "3600"}


def measure_start(
    namespace: str, log: Path, settings: dict[str, str], space: AppNamespace, app: str
) -> int:
    """Start an operator, let it reconcile a new app; return its peak memory in bytes."""
    with run_operator([namespace], log, settings=settings) as operator:
        space.create_app(app, **UNSCHEDULABLE)
        space.wait_until_reconciled(app)
        return operator.read_memory().peak


def build_fat_objects(namespace: str, number: int) -> list[Json]:
    """Return a ConfigMap, a Secret and a pod that are as large as the API server allows."""
    meta = {"name": f"fat-{number}", "namespace": namespace}
    annotations = {"tenant.example/notes": "x" * 250 * 1024}
    content = "x" * (MIB * 3 // 4)
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "env": [{"name": "FAT", "value": "x" * MIB}],
    }
    labels = {names.LABEL_APP: "stranger"}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**meta, "labels": labels, "annotations": annotations},
            "spec": {
                "paused": True,
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**meta, "annotations": annotations},
            "data": {"content": content},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "data": {"content": b64encode(content.encode()).decode()},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **meta,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": {
                "schedulingGates": [{"name": "tenant.example/never"}],
                "containers": [container],
            },
        },
    ]


KINDS_OF_EVENTS: Sequence[tuple[str, str, str]] = (
    ("Killing", "Normal", "Container app failed liveness probe, will be restarted"),
    ("Unhealthy", "Warning", "Readiness probe failed: HTTP probe failed with statuscode: 404"),
    ("BackOff", "Warning", "Back-off restarting failed container app in pod " + "x" * 900),
)
"""Reason, type and text of Events that the watches bring."""


def build_pod_event(namespace: str, number: int) -> Json:
    """Return an Event as the kubelet's, of a pod that nobody knows."""
    reason, event_type, note = KINDS_OF_EVENTS[number % len(KINDS_OF_EVENTS)]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"event-{number}", "namespace": namespace},
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": f"stranger-{number}",
            "uid": str(uuid.uuid4()),
        },
        "reason": reason,
        "type": event_type,
        "note": note,
        "action": "Tell",
        "reportingController": "kubelet",
        "reportingInstance": "kubelet-node",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }


def test_fat_objects_of_strangers_cost_no_memory(
    kube: KubeClient, tmp_path: Path, settings: dict[str, str]
) -> None:
    """The operator starts among them, with the memory that it needs without them."""
    with temporary_namespace(kube, "test-strangers") as where:
        space, log = AppNamespace(kube, where), tmp_path / "log"
        before = measure_start(where, log, settings, space, "first")
        for number in range(FAT_OBJECTS):
            for manifest in build_fat_objects(where, number):
                kube.create(manifest)
        for number in range(EVENTS):
            kube.create(build_pod_event(where, number))
        after = measure_start(where, log, settings, space, "second")

        assert after - before <= MAX_GROWTH, f"{before / MIB:.0f} MiB, then {after / MIB:.0f} MiB"


def test_apps_that_are_too_large_are_told_and_not_kept(
    kube: KubeClient, tmp_path: Path, settings: dict[str, str]
) -> None:
    """Their status says how large a spec may be, and another app is served."""
    with temporary_namespace(kube, "test-strangers") as where:
        space, log = AppNamespace(kube, where), tmp_path / "log"
        with run_operator([where], log, settings=settings) as operator:
            space.create_app("first", **UNSCHEDULABLE)
            space.wait_until_reconciled("first")
            before = operator.read_memory().rss
            fat_apps = [f"fat-{number}" for number in range(FAT_APPS)]
            for name in fat_apps:
                space.create_app(name, **UNSCHEDULABLE, args=["x" * MIB])
            for name in fat_apps:
                space.wait_for_phase(name, "Invalid")
            space.create_app("second", **UNSCHEDULABLE)
            space.wait_until_reconciled("second")

            assert "write at most 128 KiB" in space.get_app(fat_apps[0])["status"]["message"]
            eventually(
                lambda: operator.read_memory().rss - before <= MAX_GROWTH,
                description="what the apps took for a moment is given back",
            )


def test_fat_objects_that_come_while_the_operator_runs(
    kube: KubeClient, tmp_path: Path, settings: dict[str, str]
) -> None:
    """An app that reads one of them follows it; the others are not even read."""
    with temporary_namespace(kube, "test-strangers") as where:
        space = AppNamespace(kube, where)
        with run_operator([where], tmp_path / "log", settings=settings) as operator:
            reads = [{"configMapRef": {"name": "fat-0", "optional": True}}]
            space.create_app("reader", **UNSCHEDULABLE, envFrom=reads)
            space.wait_until_reconciled("reader")
            first = get_config_hash(space, "reader")
            before, gets = operator.read_memory().peak, operator.count_requests()["get ConfigMap"]
            for number in range(FAT_OBJECTS):
                for manifest in build_fat_objects(where, number):
                    kube.create(manifest)
            eventually(
                lambda: get_config_hash(space, "reader") != first,
                description="the reader's pods are replaced",
            )

            assert operator.read_memory().peak - before <= MAX_GROWTH
            assert 1 == operator.count_requests()["get ConfigMap"] - gets
            assert not operator.count_requests()["get Secret"]


def get_config_hash(space: AppNamespace, name: str) -> str:
    """Return the config hash in the Deployment's pod template."""
    annotations = space.get_deployment(name)["spec"]["template"]["metadata"]["annotations"]
    config_hash: str = annotations["selfhealing.dev/config"]
    return config_hash
