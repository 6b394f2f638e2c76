"""The children follow the spec, also what it no longer says, also while nobody looked."""

from functools import partial

import pytest

from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")

PROBE: Json = {"periodSeconds": 5, "timeoutSeconds": 3}
HTTP: Json = {"httpGet": {"path": "/health"}, **PROBE}
TCP: Json = {"tcpSocket": {"port": 5000}, **PROBE}
EXEC: Json = {"exec": {"command": ["true"]}, **PROBE}
GRPC: Json = {"grpc": {"port": 5000}, **PROBE}
CONFIG: Json = {"configMap": {"name": "settings"}}
RECREATE: Json = {"strategy": {"type": "Recreate"}}
ROLLING: Json = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}}
FIELD: Json = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
SECRET: Json = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}

SPEC: Json = {
    "port": 5000,
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "command": ["serve"],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
    "probes": {"liveness": HTTP, "readiness": HTTP},
    "volumes": [{"name": "data", "emptyDir": {}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    "sidecars": [{"name": "proxy", "image": "proxy:v1"}],
    "terminationGracePeriodSeconds": 5,
    **UNSCHEDULABLE,
}

REMOVALS: dict[str, tuple[Json, str]] = {
    "probe": ({"probes": {"liveness": None}}, "livenessProbe"),
    "probes": ({"probes": None}, "readinessProbe"),
    "env": ({"env": None}, "env"),
    "command": ({"command": None}, "command"),
    "mount": ({"volumes": None, "volumeMounts": None}, "volumeMounts"),
}
"""A change of the spec, and the field that is then no longer in the container."""


@pytest.mark.parametrize("removal", REMOVALS)
def test_removed_field(space: AppNamespace, name: str, removal: str) -> None:
    """A field that is removed from the spec disappears from the container."""
    change, field = REMOVALS[removal]
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    assert field in space.get_container(name)

    space.patch_spec(name, **change)
    space.wait_until_reconciled(name)

    assert field not in space.get_container(name)


def test_removed_entries(space: AppNamespace, name: str) -> None:
    """Entries that are removed from lists and maps of the spec disappear one by one."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    resources = {"limits": None}
    space.patch_spec(name, env=[{"name": "B", "value": "2"}], resources=resources, sidecars=None)
    space.wait_until_reconciled(name)

    container = space.get_container(name)
    containers = space.get_deployment(name)["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "B", "value": "2"}]
    assert container["resources"] == {"requests": {"cpu": "100m"}}
    assert [c["name"] for c in containers] == ["app"]


def test_changes_while_the_operator_is_away(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """What was changed, removed or made while nobody looked is so after the start."""
    other = f"{name}-2"
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    with operator.stop_temporarily():
        space.patch_spec(
            name,
            image="demo:v2",
            command=None,
            terminationGracePeriodSeconds=None,
            probes={"readiness": None, "liveness": {"httpGet": None, **TCP}},
            port=None,
            sidecars=None,
        )
        space.create_app(other, **SPEC)

    space.wait_until_reconciled(name)
    container = space.get_container(name)
    template = space.get_deployment(name)["spec"]["template"]["spec"]
    assert container["image"] == "demo:v2"
    assert not container.keys() & {"command", "readinessProbe", "ports"}
    assert container["livenessProbe"]["tcpSocket"] == {"port": 5000}
    assert template["terminationGracePeriodSeconds"] == 30  # Kubernetes' default
    assert [c["name"] for c in template["containers"]] == ["app"]
    assert eventually(lambda: space.find_child("Service", name) is None)
    space.wait_until_reconciled(other)
    space.kube.delete(KIND, space.name, other)


@pytest.mark.parametrize(
    ("first", "then"),
    [(HTTP, TCP), (HTTP, EXEC), (TCP, GRPC), (GRPC, HTTP)],
    ids=["http-tcp", "http-exec", "tcp-grpc", "grpc-http"],
)
def test_other_probe_handler(space: AppNamespace, name: str, first: Json, then: Json) -> None:
    """One way of probing replaces another, although a probe may have only one."""
    space.create_app(name, port=5000, probes={"liveness": first}, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    old, new = (next(key for key in probe if key not in PROBE) for probe in (first, then))
    space.patch_spec(name, probes={"liveness": {old: None, **then}})
    space.wait_until_reconciled(name)

    probe = space.get_container(name)["livenessProbe"]
    assert new in probe
    assert old not in probe


def test_other_volume_source(space: AppNamespace, name: str) -> None:
    """A volume becomes another kind of volume, there and back."""
    volumes = [{"name": "data", **CONFIG}]
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    space.patch_spec(name, volumes=volumes)
    space.wait_until_reconciled(name)
    space.patch_spec(name, volumes=SPEC["volumes"])
    space.wait_until_reconciled(name)

    assert space.get_deployment(name)["spec"]["template"]["spec"]["volumes"] == SPEC["volumes"]


@pytest.mark.parametrize("source", [FIELD, SECRET], ids=["field", "secret"])
def test_other_source_of_a_variable(space: AppNamespace, name: str, source: Json) -> None:
    """A variable's value becomes a reference, there and back."""
    space.create_app(name, env=[{"name": "A", "value": "1"}], **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    space.patch_spec(name, env=[{"name": "A", **source}])
    space.wait_until_reconciled(name)
    assert "value" not in space.get_container(name)["env"][0]

    space.patch_spec(name, env=[{"name": "A", "value": "1"}])
    space.wait_until_reconciled(name)
    assert space.get_container(name)["env"] == [{"name": "A", "value": "1"}]


@pytest.mark.parametrize("before", [None, ROLLING], ids=["default", "rolling"])
def test_other_rollout_strategy(space: AppNamespace, name: str, before: Json | None) -> None:
    """Recreate can be chosen later, and given up again."""
    space.create_app(name, rollout=before, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    space.patch_spec(name, rollout={"strategy": {"type": "Recreate", "rollingUpdate": None}})
    space.wait_until_reconciled(name)
    assert space.get_deployment(name)["spec"]["strategy"] == {"type": "Recreate"}

    space.patch_spec(name, rollout=None)
    space.wait_until_reconciled(name)
    assert space.get_deployment(name)["spec"]["strategy"]["type"] == "RollingUpdate"


def test_recreate_from_the_start(space: AppNamespace, name: str) -> None:
    """Recreate is at rest once it is applied."""
    space.create_app(name, rollout=RECREATE, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    space.patch_spec(name, image="demo:v2")
    space.wait_until_reconciled(name)

    assert space.get_deployment(name)["spec"]["strategy"] == {"type": "Recreate"}
    assert "DriftCorrected" not in space.count_events(name)


def test_other_port(space: AppNamespace, name: str) -> None:
    """The app's port and the Service's change together and apart."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    space.patch_spec(name, port=6000, service={"port": 81})
    space.wait_until_reconciled(name)

    assert [port["containerPort"] for port in space.get_container(name)["ports"]] == [6000]
    assert [port["port"] for port in space.get_service(name)["spec"]["ports"]] == [81]
    assert space.get_container(name)["livenessProbe"]["httpGet"]["port"] == 6000


def test_disabled_service(space: AppNamespace, name: str) -> None:
    """A Service that the spec no longer asks for is deleted, by either way of not asking."""
    space.create_app(name, port=5000, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    space.patch_spec(name, service={"enabled": False})
    space.wait_until_reconciled(name)
    assert space.find_child("Service", name) is None

    space.patch_spec(name, service=None)
    space.wait_until_reconciled(name)
    assert space.find_child("Service", name) is not None

    space.patch_spec(name, port=None)
    space.wait_until_reconciled(name)
    assert space.find_child("Service", name) is None
    assert eventually(lambda: space.count_events(name).get("Deleted") == 2)


def test_strangers_of_a_kind_that_is_not_asked_for(space: AppNamespace, name: str) -> None:
    """A Service of somebody else by the app's name is none of ours to delete."""
    stranger = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": space.name,
            "labels": {"selfhealing.dev/app": name},
        },
        "spec": {"ports": [{"port": 1}]},
    }
    space.kube.create(stranger)
    space.create_app(name, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    consistently(
        lambda: space.find_child("Service", name),
        seconds=1,
        description="the stranger's Service is there",
    )
    space.kube.delete("Service", space.name, name)


def is_autoscaler_observed(space: AppNamespace, name: str) -> bool:
    """Whether the autoscaler's controller has found out that there are no metrics."""
    return bool(space.get_condition(name, "ScalingActive").get("status") == "False")


@pytest.mark.usefixtures("fake_nodes")
def test_unchanged_app_costs_no_write(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """A restart of the operator writes nothing at all to apps that are as they should be."""
    names = [f"{name}-{i}" for i in range(3)]
    for app in names:
        space.create_app(app, **(SPEC | FAKE_NODES), autoscaling={"maxReplicas": 3})
    for app in names:
        space.wait_for_phase(app, "Ready")
        # The autoscaler's controller has looked: that is the last news there is.
        eventually(partial(is_autoscaler_observed, space, app))
    kinds = (KIND, "Deployment", "Service")
    before = {
        (kind, app): space.get_child(kind, app)["metadata"] for kind in kinds for app in names
    }

    with operator.stop_temporarily():
        pass

    # Every app has been looked at when the phases are counted.
    eventually(lambda: operator.read_metric("selfhealing_apps", phase="Ready") >= len(names))
    consistently(lambda: operator.count_writes() == {}, seconds=1, description="no write")
    assert operator.count_writes() == {}
    for (kind, app), meta in before.items():
        assert space.get_child(kind, app)["metadata"] == meta
    for app in names:
        space.kube.delete(KIND, space.name, app)
