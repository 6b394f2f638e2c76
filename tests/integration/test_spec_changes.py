"""The children follow the spec, also what it no longer says, also while nobody looked."""

from functools import partial

import pytest

from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, KIND, NOWHERE, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

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
    **NOWHERE,
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
def test_removed_field(space: Space, name: str, removal: str) -> None:
    """A field that is removed from the spec disappears from the container."""
    change, field = REMOVALS[removal]
    space.create(name, **SPEC)
    space.reconciled(name)
    assert field in space.container(name)

    space.edit(name, **change)
    space.reconciled(name)

    assert field not in space.container(name)


def test_removed_entries(space: Space, name: str) -> None:
    """Entries that are removed from lists and maps of the spec disappear one by one."""
    space.create(name, **SPEC)
    space.reconciled(name)

    resources = {"limits": None}
    space.edit(name, env=[{"name": "B", "value": "2"}], resources=resources, sidecars=None)
    space.reconciled(name)

    container = space.container(name)
    containers = space.deployment(name)["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "B", "value": "2"}]
    assert container["resources"] == {"requests": {"cpu": "100m"}}
    assert [c["name"] for c in containers] == ["app"]


def test_changes_while_the_operator_is_away(
    space: Space, operator: OperatorProcess, name: str
) -> None:
    """What was changed, removed or made while nobody looked is so after the start."""
    other = f"{name}-2"
    space.create(name, **SPEC)
    space.reconciled(name)

    with operator.away():
        space.edit(
            name,
            image="demo:v2",
            command=None,
            terminationGracePeriodSeconds=None,
            probes={"readiness": None, "liveness": {"httpGet": None, **TCP}},
            port=None,
            sidecars=None,
        )
        space.create(other, **SPEC)

    space.reconciled(name)
    container = space.container(name)
    template = space.deployment(name)["spec"]["template"]["spec"]
    assert container["image"] == "demo:v2"
    assert not container.keys() & {"command", "readinessProbe", "ports"}
    assert container["livenessProbe"]["tcpSocket"] == {"port": 5000}
    assert template["terminationGracePeriodSeconds"] == 30  # Kubernetes' default
    assert [c["name"] for c in template["containers"]] == ["app"]
    assert eventually(lambda: space.find("Service", name) is None)
    space.reconciled(other)
    space.kube.delete(KIND, space.name, other)


@pytest.mark.parametrize(
    ("first", "then"),
    [(HTTP, TCP), (HTTP, EXEC), (TCP, GRPC), (GRPC, HTTP)],
    ids=["http-tcp", "http-exec", "tcp-grpc", "grpc-http"],
)
def test_other_probe_handler(space: Space, name: str, first: Json, then: Json) -> None:
    """One way of probing replaces another, although a probe may have only one."""
    space.create(name, port=5000, probes={"liveness": first}, **NOWHERE)
    space.reconciled(name)

    old, new = (next(key for key in probe if key not in PROBE) for probe in (first, then))
    space.edit(name, probes={"liveness": {old: None, **then}})
    space.reconciled(name)

    probe = space.container(name)["livenessProbe"]
    assert new in probe
    assert old not in probe


def test_other_volume_source(space: Space, name: str) -> None:
    """A volume becomes another kind of volume, there and back."""
    volumes = [{"name": "data", **CONFIG}]
    space.create(name, **SPEC)
    space.reconciled(name)

    space.edit(name, volumes=volumes)
    space.reconciled(name)
    space.edit(name, volumes=SPEC["volumes"])
    space.reconciled(name)

    assert space.deployment(name)["spec"]["template"]["spec"]["volumes"] == SPEC["volumes"]


@pytest.mark.parametrize("source", [FIELD, SECRET], ids=["field", "secret"])
def test_other_source_of_a_variable(space: Space, name: str, source: Json) -> None:
    """A variable's value becomes a reference, there and back."""
    space.create(name, env=[{"name": "A", "value": "1"}], **NOWHERE)
    space.reconciled(name)

    space.edit(name, env=[{"name": "A", **source}])
    space.reconciled(name)
    assert "value" not in space.container(name)["env"][0]

    space.edit(name, env=[{"name": "A", "value": "1"}])
    space.reconciled(name)
    assert space.container(name)["env"] == [{"name": "A", "value": "1"}]


@pytest.mark.parametrize("before", [None, ROLLING], ids=["default", "rolling"])
def test_other_rollout_strategy(space: Space, name: str, before: Json | None) -> None:
    """Recreate can be chosen later, and given up again."""
    space.create(name, rollout=before, **NOWHERE)
    space.reconciled(name)

    space.edit(name, rollout={"strategy": {"type": "Recreate", "rollingUpdate": None}})
    space.reconciled(name)
    assert space.deployment(name)["spec"]["strategy"] == {"type": "Recreate"}

    space.edit(name, rollout=None)
    space.reconciled(name)
    assert space.deployment(name)["spec"]["strategy"]["type"] == "RollingUpdate"


def test_recreate_from_the_start(space: Space, name: str) -> None:
    """Recreate is at rest once it is applied."""
    space.create(name, rollout=RECREATE, **NOWHERE)
    space.reconciled(name)

    space.edit(name, image="demo:v2")
    space.reconciled(name)

    assert space.deployment(name)["spec"]["strategy"] == {"type": "Recreate"}
    assert "DriftCorrected" not in space.told(name)


def test_other_port(space: Space, name: str) -> None:
    """The app's port and the Service's change together and apart."""
    space.create(name, **SPEC)
    space.reconciled(name)

    space.edit(name, port=6000, service={"port": 81})
    space.reconciled(name)

    assert [port["containerPort"] for port in space.container(name)["ports"]] == [6000]
    assert [port["port"] for port in space.service(name)["spec"]["ports"]] == [81]
    assert space.container(name)["livenessProbe"]["httpGet"]["port"] == 6000


def test_disabled_service(space: Space, name: str) -> None:
    """A Service that the spec no longer asks for is deleted, by either way of not asking."""
    space.create(name, port=5000, **NOWHERE)
    space.reconciled(name)

    space.edit(name, service={"enabled": False})
    space.reconciled(name)
    assert space.find("Service", name) is None

    space.edit(name, service=None)
    space.reconciled(name)
    assert space.find("Service", name) is not None

    space.edit(name, port=None)
    space.reconciled(name)
    assert space.find("Service", name) is None
    assert eventually(lambda: space.told(name).get("Deleted") == 2)


def test_strangers_of_a_kind_that_is_not_asked_for(space: Space, name: str) -> None:
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
    space.create(name, **NOWHERE)
    space.reconciled(name)

    stays(lambda: space.find("Service", name), seconds=1, says="the stranger's Service is there")
    space.kube.delete("Service", space.name, name)


def autoscaler_has_looked(space: Space, name: str) -> bool:
    """Whether the autoscaler's controller has found out that there are no metrics."""
    return bool(space.condition(name, "ScalingActive").get("status") == "False")


@pytest.mark.usefixtures("fake_nodes")
def test_unchanged_app_costs_no_write(space: Space, operator: OperatorProcess, name: str) -> None:
    """A restart of the operator writes nothing at all to apps that are as they should be."""
    names = [f"{name}-{i}" for i in range(3)]
    for app in names:
        space.create(app, **(SPEC | FAKE_NODES), autoscaling={"maxReplicas": 3})
    for app in names:
        space.is_(app, "Ready")
        # The autoscaler's controller has looked: that is the last news there is.
        eventually(partial(autoscaler_has_looked, space, app))
    kinds = (KIND, "Deployment", "Service")
    before = {(kind, app): space.child(kind, app)["metadata"] for kind in kinds for app in names}

    with operator.away():
        pass

    # Every app has been looked at when the phases are counted.
    eventually(lambda: operator.metric("selfhealing_apps", phase="Ready") >= len(names))
    stays(lambda: operator.wrote() == {}, seconds=1, says="no write")
    assert operator.wrote() == {}
    for (kind, app), meta in before.items():
        assert space.child(kind, app)["metadata"] == meta
    for app in names:
        space.kube.delete(KIND, space.name, app)
