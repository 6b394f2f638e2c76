"""A field of ours that somebody changed is put back; a field of theirs is left alone (api.md)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hack.testkit.kube_client import STRATEGIC_PATCH, Json, kubectl
from hack.testkit.namespace import KIND, NOWHERE, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator")

SECONDS = 5
"""Drift is put back within this; it takes a fraction of a second on an idle machine."""

SPEC: Json = {
    "port": 5000,
    "env": [{"name": "A", "value": "1"}],
    "resources": {"requests": {"cpu": "100m"}},
    "probes": {"liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5}},
    "service": {"annotations": {"example.com/ours": "yes"}},
    "volumes": [{"name": "data", "emptyDir": {}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    **NOWHERE,
}
AUTOSCALED: Json = {
    **SPEC,
    "autoscaling": {"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
}


def template(**fields: Any) -> Json:  # noqa: ANN401 - fields of a pod's spec
    """A patch of the Deployment's pod template."""
    return {"spec": {"template": {"spec": fields}}}


def container(**fields: Any) -> Json:  # noqa: ANN401 - fields of a container
    """A strategic patch of the main container."""
    return template(containers=[{"name": "app", **fields}])


def essence(child: Json) -> Json:
    """What of a child is ours to keep: its labels, annotations, owners and spec."""
    kept = ("labels", "annotations", "ownerReferences")
    meta = {field: child["metadata"].get(field) for field in kept}
    meta["annotations"] = {
        key: value
        for key, value in (meta["annotations"] or {}).items()
        if not key.startswith("deployment.kubernetes.io/")
    }
    return {"metadata": meta, "spec": child["spec"]}


DRIFTS: dict[str, tuple[str, Json | list[Json]]] = {
    "image": ("Deployment", container(image="other:v2")),
    "replicas": ("Deployment", {"spec": {"replicas": 4}}),
    "env-value": ("Deployment", container(env=[{"name": "A", "value": "2"}])),
    "env-removed": ("Deployment", container(env=[{"name": "A", "$patch": "delete"}])),
    "request": ("Deployment", container(resources={"requests": {"cpu": "200m"}})),
    "probe-timing": ("Deployment", container(livenessProbe={"periodSeconds": 60})),
    "probe-removed": ("Deployment", container(livenessProbe=None)),
    "probe-handler": (
        "Deployment",
        container(livenessProbe={"httpGet": None, "tcpSocket": {"port": 5000}}),
    ),
    "container-port": (
        "Deployment",
        [{"op": "replace", "path": "{app}/ports/0/containerPort", "value": 5001}],
    ),
    "volume-source": (
        "Deployment",
        template(volumes=[{"name": "data", "emptyDir": None, "configMap": {"name": "x"}}]),
    ),
    "node-selector": ("Deployment", template(nodeSelector={"more": "x"})),
    "template-label": (
        "Deployment",
        {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
    ),
    "label": ("Deployment", {"metadata": {"labels": {"app.kubernetes.io/part-of": "x"}}}),
    "label-removed": ("Deployment", {"metadata": {"labels": {"app": None}}}),
    "selector-label-removed": (
        "Deployment",
        {"metadata": {"labels": {"selfhealing.dev/app": None}}},
    ),
    "selector-label-changed": (
        "Deployment",
        {"metadata": {"labels": {"selfhealing.dev/app": "nobody"}}},
    ),
    "all-labels-removed": ("Deployment", {"metadata": {"labels": None}}),
    "owner-removed": ("Deployment", [{"op": "remove", "path": "/metadata/ownerReferences"}]),
    "service-port": ("Service", [{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]),
    "service-target": (
        "Service",
        [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 1}],
    ),
    "service-type": ("Service", {"spec": {"type": "NodePort"}}),
    "service-selector": ("Service", {"spec": {"selector": {"selfhealing.dev/app": "other"}}}),
    "service-selector-narrowed": ("Service", {"spec": {"selector": {"version": "v2"}}}),
    "service-annotation": ("Service", {"metadata": {"annotations": {"example.com/ours": "no"}}}),
    "service-label": ("Service", {"metadata": {"labels": {"selfhealing.dev/app": None}}}),
    "service-owner": ("Service", [{"op": "remove", "path": "/metadata/ownerReferences"}]),
}
"""What somebody does to a child, by JSON patch or by strategic merge."""

AUTOSCALER_DRIFTS: dict[str, Json | list[Json]] = {
    "max": {"spec": {"maxReplicas": 50}},
    "min": {"spec": {"minReplicas": 3}},
    "target": {
        "spec": {
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 90},
                    },
                }
            ]
        }
    },
    "scale-target": {"spec": {"scaleTargetRef": {"name": "other"}}},
    "label": {"metadata": {"labels": {"selfhealing.dev/app": None}}},
}


def patch(space: Space, kind: str, name: str, change: Json | list[Json]) -> None:
    """Do ``change`` to a child; ``{app}`` in a path is the main container."""
    if isinstance(change, list):
        place = "/spec/template/spec/containers/0"
        change = [{**step, "path": step["path"].replace("{app}", place)} for step in change]
    space.kube.patch(kind, space.name, name, change, form=STRATEGIC_PATCH)


def put_back(space: Space, kind: str, name: str, before: Json) -> None:
    """Wait until a child is as it was."""

    def probe() -> bool:
        assert essence(space.child(kind, name)) == before
        return True

    eventually(probe, timeout=SECONDS, says=f"{kind} is as before")


@pytest.fixture(scope="module")
def apps(space: Space, operator: OperatorProcess) -> Iterator[Mapping[str, str]]:
    """An app for each drift, made together: the names of the apps by those of the drifts."""
    assert operator.alive()
    specs = dict.fromkeys(DRIFTS, SPEC)
    specs |= {f"autoscaler-{drift}": AUTOSCALED for drift in AUTOSCALER_DRIFTS}
    names = {drift: f"drift-{drift}" for drift in specs}
    for drift, spec in specs.items():
        space.create(names[drift], **spec)
    for name in names.values():
        space.reconciled(name)
    yield names
    for name in names.values():
        space.kube.delete(KIND, space.name, name)


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift(space: Space, apps: Mapping[str, str], drift: str) -> None:
    """What somebody changes or removes of a Deployment or a Service is put back in seconds."""
    kind, change = DRIFTS[drift]
    name = apps[drift]
    before = essence(space.child(kind, name))

    patch(space, kind, name, change)

    put_back(space, kind, name, before)
    space.reconciled(name)
    assert eventually(lambda: space.told(name).get("DriftCorrected")) == 1


@pytest.mark.parametrize("drift", AUTOSCALER_DRIFTS)
def test_autoscaler_drift(space: Space, apps: Mapping[str, str], drift: str) -> None:
    """What somebody changes of an autoscaler is put back in seconds."""
    name = apps[f"autoscaler-{drift}"]
    before = essence(space.autoscaler(name))

    patch(space, "HorizontalPodAutoscaler", name, AUTOSCALER_DRIFTS[drift])

    put_back(space, "HorizontalPodAutoscaler", name, before)
    space.reconciled(name)


@pytest.mark.parametrize(
    "kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]
)
def test_deleted(space: Space, name: str, kind: str) -> None:
    """A child that somebody deletes is made anew in seconds."""
    space.create(name, **AUTOSCALED)
    space.reconciled(name)
    uid = space.child(kind, name)["metadata"]["uid"]

    kubectl("-n", space.name, "delete", kind.lower(), name, "--wait=false")

    eventually(
        lambda: (space.find(kind, name) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid,
        timeout=SECONDS,
        says=f"a new {kind}",
    )
    space.reconciled(name)


def _quiet(space: Space, kind: str, name: str, still: Callable[[Json], bool]) -> None:
    """Check that the operator leaves a child alone, and finds nothing wrong with it."""
    before = space.child(kind, name)["metadata"]["resourceVersion"]
    generation = space.child(kind, name)["metadata"]["generation"] if kind != "Service" else 0
    stays(lambda: still(space.child(kind, name)), seconds=1, says="left alone")
    child = space.child(kind, name)["metadata"]
    assert child.get("generation", 0) == generation, f"rewritten since {before}"
    assert "DriftCorrected" not in space.told(name)


def test_foreign_annotation_and_label(space: Space, name: str) -> None:
    """Others' annotations and labels stay, also when the spec changes."""
    theirs = {"labels": {"team": "blue"}, "annotations": {"example.com/theirs": "1"}}
    space.create(name, **SPEC)
    space.reconciled(name)

    for kind in ("Deployment", "Service"):
        space.kube.merge(kind, space.name, name, {"metadata": theirs})
    _quiet(space, "Deployment", name, lambda child: child["metadata"]["labels"]["team"] == "blue")
    space.edit(name, image="demo:v2", service={"port": 81})
    space.reconciled(name)

    for kind in ("Deployment", "Service"):
        meta = space.child(kind, name)["metadata"]
        assert meta["labels"]["team"] == "blue"
        assert meta["annotations"]["example.com/theirs"] == "1"


def test_injected_sidecar_env_and_volume(space: Space, name: str) -> None:
    """An injected sidecar, its volume and an extra variable stay, also when the spec changes."""
    space.create(name, **SPEC)
    space.reconciled(name)

    injected = template(
        containers=[
            {"name": "injected", "image": "proxy:v1", "env": [{"name": "X", "value": "x"}]},
            {"name": "app", "env": [{"name": "B", "value": "theirs"}]},
        ],
        volumes=[{"name": "injected", "emptyDir": {}}],
    )
    patch(space, "Deployment", name, injected)
    names = ["app", "injected"]

    def containers(child: Json) -> list[str]:
        return sorted(c["name"] for c in child["spec"]["template"]["spec"]["containers"])

    _quiet(space, "Deployment", name, lambda child: containers(child) == names)
    space.edit(name, env=[{"name": "A", "value": "9"}])
    space.reconciled(name)

    deployment = space.deployment(name)
    volumes = [v["name"] for v in deployment["spec"]["template"]["spec"]["volumes"]]
    assert containers(deployment) == names
    assert sorted(volumes) == ["data", "injected"]
    assert {e["name"]: e["value"] for e in space.container(name)["env"]} == {
        "A": "9",
        "B": "theirs",
    }


def test_field_that_the_spec_leaves_open(space: Space, name: str) -> None:
    """A field that the spec does not give belongs to whoever sets it."""
    space.create(name, **SPEC)
    space.reconciled(name)

    patch(space, "Deployment", name, {"spec": {"revisionHistoryLimit": 2}})
    patch(space, "Deployment", name, container(imagePullPolicy="Never"))
    _quiet(space, "Deployment", name, lambda child: child["spec"]["revisionHistoryLimit"] == 2)

    assert space.container(name)["imagePullPolicy"] == "Never"


def test_additional_port_of_the_service(space: Space, name: str) -> None:
    """A port that somebody adds to the Service stays beside ours."""
    space.create(name, **SPEC)
    space.reconciled(name)

    more = {"name": "metrics", "port": 9090, "protocol": "TCP", "targetPort": 9090}
    space.kube.patch(
        "Service", space.name, name, [{"op": "add", "path": "/spec/ports/-", "value": more}]
    )
    _quiet(space, "Service", name, lambda child: more in child["spec"]["ports"])


def test_replicas_of_the_autoscaler(space: Space, name: str) -> None:
    """With autoscaling the number of pods is the autoscaler's: whatever it is, it stays."""
    space.create(name, **AUTOSCALED)
    space.reconciled(name)

    kubectl("-n", space.name, "scale", "deployment", name, "--replicas=4")
    space.edit(name, image="demo:v2")
    space.reconciled(name)

    assert space.deployment(name)["spec"]["replicas"] == 4
    assert "DriftCorrected" not in space.told(name)


def test_mark_removed(space: Space, name: str) -> None:
    """A child without the operator's mark is applied once more, and has it again."""
    space.create(name, **SPEC)
    space.reconciled(name)
    before = essence(space.deployment(name))

    unmarked = {"metadata": {"annotations": {"selfhealing.dev/applied": None}}}
    patch(space, "Deployment", name, unmarked)

    put_back(space, "Deployment", name, before)


def test_mount_moved_elsewhere(space: Space, name: str) -> None:
    """A mount is known by its path: ours comes back, and the one that was made of it is theirs."""
    space.create(name, **SPEC)
    space.reconciled(name)

    moved = [{"op": "replace", "path": "{app}/volumeMounts/0/mountPath", "value": "/other"}]
    patch(space, "Deployment", name, moved)

    def paths() -> list[str]:
        return sorted(mount["mountPath"] for mount in space.container(name)["volumeMounts"])

    assert eventually(lambda: paths() == ["/data", "/other"], timeout=SECONDS)


def test_drift_while_the_operator_is_away(
    space: Space, operator: OperatorProcess, name: str
) -> None:
    """What changed while nobody looked is put back after the start."""
    space.create(name, **SPEC)
    space.reconciled(name)
    before = essence(space.deployment(name))
    service = essence(space.service(name))

    with operator.away():
        patch(space, "Deployment", name, container(image="other:v2"))
        patch(space, "Deployment", name, {"metadata": {"labels": None}})
        patch(space, "Service", name, [{"op": "remove", "path": "/spec/selector"}])

    put_back(space, "Deployment", name, before)
    put_back(space, "Service", name, service)


def test_endless_tug_of_war_is_told_once(space: Space, name: str) -> None:
    """Somebody who changes the same field again and again gets one Event with a count."""
    space.create(name, **SPEC)
    space.reconciled(name)
    before = essence(space.deployment(name))

    for turn in range(5):
        patch(space, "Deployment", name, container(image=f"other:v{turn}"))
        put_back(space, "Deployment", name, before)

    assert eventually(lambda: space.told(name).get("DriftCorrected") == 5)
    assert len(space.events(name, "DriftCorrected")) == 1


def test_quarrel(space: Space, operator: OperatorProcess, name: str) -> None:
    """Somebody who never stops is not fought at full speed; a change of the spec ends the pause."""
    space.create(name, **SPEC)
    space.reconciled(name)
    before = essence(space.deployment(name))
    for turn in range(10):
        patch(space, "Deployment", name, container(image=f"other:v{turn}"))
        put_back(space, "Deployment", name, before)

    patch(space, "Deployment", name, container(image="other:v10"))

    def contested() -> bool:
        found = space.condition(name, "Reconciled")
        assert (found["status"], found["reason"]) == ("False", "Contested"), found
        return True

    eventually(contested)
    written = operator.wrote()["patch Deployment"]
    stays(lambda: space.container(name)["image"] == "other:v10", seconds=1)
    assert operator.wrote()["patch Deployment"] == written
    space.edit(name, env=[{"name": "A", "value": "2"}])
    space.reconciled(name)
    assert space.container(name)["image"] == "demo:v1"
