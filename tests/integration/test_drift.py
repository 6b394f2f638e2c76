"""A field of ours that somebody changed is put back; a field of theirs is left alone (api.md)."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hack.testkit.kube_client import STRATEGIC_PATCH, Json, run_kubectl
from hack.testkit.namespace import KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")

REVISION = "deployment.kubernetes.io/revision"

SECONDS = 5
"""Drift is put back within this; it takes a fraction of a second on an idle machine."""

SPEC: Json = {
    "port": 5000,
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}],
    "resources": {"requests": {"cpu": "100m"}},
    "probes": {"liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5}},
    "service": {"annotations": {"example.com/ours": "yes"}},
    "volumes": [{"name": "data", "emptyDir": {}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    **UNSCHEDULABLE,
}
AUTOSCALED: Json = {
    **SPEC,
    "autoscaling": {"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
}


def build_template_patch(**fields: Any) -> Json:  # noqa: ANN401 - fields of a pod's spec
    """A patch of the Deployment's pod template."""
    return {"spec": {"template": {"spec": fields}}}


def build_container_patch(**fields: Any) -> Json:  # noqa: ANN401 - fields of a container
    """A strategic patch of the main container."""
    return build_template_patch(containers=[{"name": "app", **fields}])


def owned_fields(child: Json) -> Json:
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
    "image": ("Deployment", build_container_patch(image="other:v2")),
    "replicas": ("Deployment", {"spec": {"replicas": 4}}),
    "env-value": ("Deployment", build_container_patch(env=[{"name": "A", "value": "2"}])),
    "env-order": (
        "Deployment",
        [{"op": "move", "from": "{app}/env/1", "path": "{app}/env/0"}],
    ),
    "env-removed": ("Deployment", build_container_patch(env=[{"name": "A", "$patch": "delete"}])),
    "request": ("Deployment", build_container_patch(resources={"requests": {"cpu": "200m"}})),
    "probe-timing": ("Deployment", build_container_patch(livenessProbe={"periodSeconds": 60})),
    "probe-removed": ("Deployment", build_container_patch(livenessProbe=None)),
    "probe-handler": (
        "Deployment",
        build_container_patch(livenessProbe={"httpGet": None, "tcpSocket": {"port": 5000}}),
    ),
    "container-port": (
        "Deployment",
        [{"op": "replace", "path": "{app}/ports/0/containerPort", "value": 5001}],
    ),
    "volume-source": (
        "Deployment",
        build_template_patch(
            volumes=[{"name": "data", "emptyDir": None, "configMap": {"name": "x"}}]
        ),
    ),
    "node-selector": ("Deployment", build_template_patch(nodeSelector={"more": "x"})),
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
    "service-traffic-policy": ("Service", {"spec": {"internalTrafficPolicy": "Local"}}),
    "service-not-ready": ("Service", {"spec": {"publishNotReadyAddresses": True}}),
    "service-affinity": ("Service", {"spec": {"sessionAffinity": "ClientIP"}}),
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


def apply_change(space: AppNamespace, kind: str, name: str, change: Json | list[Json]) -> None:
    """Do ``change`` to a child; ``{app}`` in a path is the main container."""
    if isinstance(change, list):
        place = "/spec/template/spec/containers/0"
        change = [
            {
                field: value.replace("{app}", place) if field in {"path", "from"} else value
                for field, value in step.items()
            }
            for step in change
        ]
    space.kube.patch(kind, space.name, name, change, form=STRATEGIC_PATCH)


def wait_until_restored(space: AppNamespace, kind: str, name: str, before: Json) -> None:
    """Wait until a child is as it was."""

    def probe() -> bool:
        assert owned_fields(space.get_child(kind, name)) == before
        return True

    eventually(probe, timeout=SECONDS, description=f"{kind} is as before")


@pytest.fixture(scope="module")
def apps(space: AppNamespace, operator: OperatorProcess) -> Iterator[Mapping[str, str]]:
    """An app for each drift, made together: the names of the apps by those of the drifts."""
    assert operator.is_running()
    specs = dict.fromkeys(DRIFTS, SPEC)
    specs |= {f"autoscaler-{drift}": AUTOSCALED for drift in AUTOSCALER_DRIFTS}
    names = {drift: f"drift-{drift}" for drift in specs}
    for drift, spec in specs.items():
        space.create_app(names[drift], **spec)
    for name in names.values():
        space.wait_until_reconciled(name)
    yield names
    for name in names.values():
        space.kube.delete(KIND, space.name, name)


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift(space: AppNamespace, apps: Mapping[str, str], drift: str) -> None:
    """What somebody changes or removes of a Deployment or a Service is put back in seconds."""
    kind, change = DRIFTS[drift]
    name = apps[drift]
    before = owned_fields(space.get_child(kind, name))

    apply_change(space, kind, name, change)

    wait_until_restored(space, kind, name, before)
    space.wait_until_reconciled(name)
    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1


@pytest.mark.parametrize("drift", AUTOSCALER_DRIFTS)
def test_autoscaler_drift(space: AppNamespace, apps: Mapping[str, str], drift: str) -> None:
    """What somebody changes of an autoscaler is put back in seconds."""
    name = apps[f"autoscaler-{drift}"]
    before = owned_fields(space.get_autoscaler(name))

    apply_change(space, "HorizontalPodAutoscaler", name, AUTOSCALER_DRIFTS[drift])

    wait_until_restored(space, "HorizontalPodAutoscaler", name, before)
    space.wait_until_reconciled(name)


@pytest.mark.parametrize(
    "kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]
)
def test_deleted(space: AppNamespace, name: str, kind: str) -> None:
    """A child that somebody deletes is made anew in seconds."""
    space.create_app(name, **AUTOSCALED)
    space.wait_until_reconciled(name)
    uid = space.get_child(kind, name)["metadata"]["uid"]

    run_kubectl("-n", space.name, "delete", kind.lower(), name, "--wait=false")

    eventually(
        lambda: (
            (space.find_child(kind, name) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid
        ),
        timeout=SECONDS,
        description=f"a new {kind}",
    )
    space.wait_until_reconciled(name)


def require_unchanged(
    space: AppNamespace,
    kind: str,
    name: str,
    seconds: Callable[[Json], bool],
    events: int | None = None,
) -> None:
    """Check that the operator leaves a child alone, and finds nothing wrong with it."""
    before = space.get_child(kind, name)["metadata"]["resourceVersion"]
    generation = space.get_child(kind, name)["metadata"]["generation"] if kind != "Service" else 0
    consistently(lambda: seconds(space.get_child(kind, name)), seconds=1, description="left alone")
    child = space.get_child(kind, name)["metadata"]
    assert child.get("generation", 0) == generation, f"rewritten since {before}"
    assert space.count_events(name).get("DriftCorrected") == events


def test_foreign_annotation_and_label(space: AppNamespace, name: str) -> None:
    """Others' annotations and labels stay, also when the spec changes."""
    theirs = {"labels": {"team": "blue"}, "annotations": {"example.com/theirs": "1"}}
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    for kind in ("Deployment", "Service"):
        space.kube.merge_patch(kind, space.name, name, {"metadata": theirs})
    require_unchanged(
        space, "Deployment", name, lambda child: child["metadata"]["labels"]["team"] == "blue"
    )
    space.patch_spec(name, image="demo:v2", service={"port": 81})
    space.wait_until_reconciled(name)

    for kind in ("Deployment", "Service"):
        meta = space.get_child(kind, name)["metadata"]
        assert meta["labels"]["team"] == "blue"
        assert meta["annotations"]["example.com/theirs"] == "1"


def test_injected_sidecar_env_and_volume(space: AppNamespace, name: str) -> None:
    """An injected sidecar, its volume and an extra variable stay, also when the spec changes."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    injected = build_template_patch(
        containers=[
            {"name": "injected", "image": "proxy:v1", "env": [{"name": "X", "value": "x"}]},
            {"name": "app", "env": [{"name": "C", "value": "theirs"}]},
        ],
        volumes=[{"name": "injected", "emptyDir": {}}],
    )
    apply_change(space, "Deployment", name, injected)
    names = ["app", "injected"]

    def containers(child: Json) -> list[str]:
        return sorted(c["name"] for c in child["spec"]["template"]["spec"]["containers"])

    require_unchanged(space, "Deployment", name, lambda child: containers(child) == names)
    space.patch_spec(name, env=[{"name": "A", "value": "9"}])
    space.wait_until_reconciled(name)

    deployment = space.get_deployment(name)
    volumes = [v["name"] for v in deployment["spec"]["template"]["spec"]["volumes"]]
    assert containers(deployment) == names
    assert sorted(volumes) == ["data", "injected"]
    assert {e["name"]: e["value"] for e in space.get_container(name)["env"]} == {
        "A": "9",
        "C": "theirs",
    }


FOREIGN_EDIT = build_template_patch(
    dnsPolicy="None",
    dnsConfig={"nameservers": ["192.0.2.1"]},
    containers=[
        {"name": "injected", "image": "proxy:v1"},
        {
            "name": "app",
            "command": ["/bin/false"],
            "env": [{"name": "C", "value": "theirs"}],
            "readinessProbe": {"httpGet": {"path": "/wrong", "port": 1}},
        },
    ],
    volumes=[{"name": "injected", "emptyDir": {}}],
)
"""What the exams of others inject into a Deployment by hand."""


def test_foreign_fields_are_removed_where_the_spec_asks_for_it(
    space: AppNamespace, name: str
) -> None:
    """With `drift: Correct` the pod template is what a fresh apply gives, in one rollout."""
    space.create_app(name, **SPEC, drift="Correct")
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))

    apply_change(space, "Deployment", name, FOREIGN_EDIT)

    wait_until_restored(space, "Deployment", name, before)
    space.wait_until_reconciled(name)
    event = eventually(lambda: space.list_events(name, "DriftCorrected"))[0]
    assert event["note"].endswith(" changed Deployment; reverted to the spec"), event
    assert not event["note"].startswith("somebody"), event
    managers = {
        entry["manager"] for entry in space.get_deployment(name)["metadata"]["managedFields"]
    }
    assert "selfhealing-operator-reset" not in managers
    run_kubectl("-n", space.name, "rollout", "restart", f"deployment/{name}")
    require_unchanged(
        space,
        "Deployment",
        name,
        lambda child: (
            "kubectl.kubernetes.io/restartedAt"
            in child["spec"]["template"]["metadata"]["annotations"]
        ),
        events=1,
    )


def test_foreign_fields_go_when_drift_is_set_to_correct(space: AppNamespace, name: str) -> None:
    """They are tolerated before."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))

    apply_change(space, "Deployment", name, FOREIGN_EDIT)
    require_unchanged(
        space,
        "Deployment",
        name,
        lambda child: child["spec"]["template"]["spec"]["dnsPolicy"] == "None",
    )
    space.patch_spec(name, drift="Correct")

    wait_until_restored(space, "Deployment", name, before)


def test_a_default_that_somebody_writes_is_no_quarrel(space: AppNamespace, name: str) -> None:
    """Its removal changes nothing, and is not repeated."""
    space.create_app(name, **SPEC, drift="Correct")
    space.wait_until_reconciled(name)

    written = {"spec": {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}}
    run_kubectl(
        "apply",
        "--server-side",
        "--field-manager=helm",
        "-f",
        "-",
        stdin=json.dumps(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"namespace": space.name, "name": name},
                **written,
            }
        ),
    )
    require_unchanged(
        space,
        "Deployment",
        name,
        lambda child: child["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst",
    )
    space.wait_until_reconciled(name)


def test_rollout_undo(space: AppNamespace, name: str) -> None:
    """What an earlier version had, and the spec no longer asks for, goes again."""
    earlier: Json = {
        "env": [*SPEC["env"], {"name": "OLD", "value": "1"}],
        "probes": {**SPEC["probes"], "readiness": {"tcpSocket": {}}},
        "sidecars": [{"name": "old", "image": "old:v1"}],
        "volumes": [*SPEC["volumes"], {"name": "old", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 5,
    }
    space.create_app(name, **SPEC | earlier)
    space.wait_until_reconciled(name)
    eventually(lambda: space.get_deployment(name)["metadata"]["annotations"][REVISION] == "1")
    removed = {
        **{field: SPEC.get(field) for field in earlier if field != "probes"},
        "probes": {"readiness": None},
    }
    space.patch_spec(name, **removed)
    space.wait_until_reconciled(name)
    eventually(lambda: space.get_deployment(name)["metadata"]["annotations"][REVISION] == "2")
    before = owned_fields(space.get_deployment(name))

    run_kubectl("-n", space.name, "rollout", "undo", f"deployment/{name}")

    def has_corrected() -> bool:
        return bool(space.count_events(name).get("DriftCorrected"))

    eventually(has_corrected, timeout=SECONDS, description="the undo is corrected")
    wait_until_restored(space, "Deployment", name, before)
    space.wait_until_reconciled(name)


@pytest.mark.parametrize(
    "spec",
    [
        {"env": [{"name": "EMPTY", "value": ""}]},
        {"probes": {"liveness": {"httpGet": {"path": ""}}}},
        {"workingDir": ""},
    ],
    ids=["value", "probe", "directory"],
)
def test_an_empty_value_is_no_drift(
    space: AppNamespace, operator: OperatorProcess, name: str, spec: Json
) -> None:
    """The API server leaves it out, or puts a default in its place."""
    space.create_app(name, **SPEC | spec)
    space.wait_until_reconciled(name)

    space.patch_spec(name, image="demo:v2")
    space.wait_until_reconciled(name)

    consistently(lambda: "DriftCorrected" not in space.count_events(name), seconds=1)
    assert f"{space.name}/{name}: something rewrites" not in operator.read_log()


def test_field_that_the_spec_leaves_open(space: AppNamespace, name: str) -> None:
    """A field that the spec does not give belongs to whoever sets it."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    apply_change(space, "Deployment", name, {"spec": {"revisionHistoryLimit": 2}})
    apply_change(space, "Deployment", name, build_container_patch(imagePullPolicy="Never"))
    require_unchanged(
        space, "Deployment", name, lambda child: child["spec"]["revisionHistoryLimit"] == 2
    )

    assert space.get_container(name)["imagePullPolicy"] == "Never"


def test_additional_port_of_the_service(space: AppNamespace, name: str) -> None:
    """A port that somebody adds to the Service stays beside ours."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    more = {"name": "metrics", "port": 9090, "protocol": "TCP", "targetPort": 9090}
    space.kube.patch(
        "Service", space.name, name, [{"op": "add", "path": "/spec/ports/-", "value": more}]
    )
    require_unchanged(space, "Service", name, lambda child: more in child["spec"]["ports"])


def test_replicas_of_the_autoscaler(space: AppNamespace, name: str) -> None:
    """With autoscaling the number of pods is the autoscaler's: whatever it is, it stays."""
    space.create_app(name, **AUTOSCALED)
    space.wait_until_reconciled(name)

    run_kubectl("-n", space.name, "scale", "deployment", name, "--replicas=4")
    space.patch_spec(name, image="demo:v2")
    space.wait_until_reconciled(name)

    assert space.get_deployment(name)["spec"]["replicas"] == 4
    assert "DriftCorrected" not in space.count_events(name)


def test_mark_removed(space: AppNamespace, name: str) -> None:
    """A child without the operator's mark is applied once more, and has it again."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))

    unmarked = {"metadata": {"annotations": {"selfhealing.dev/applied": None}}}
    apply_change(space, "Deployment", name, unmarked)

    wait_until_restored(space, "Deployment", name, before)


def test_mount_moved_elsewhere(space: AppNamespace, name: str) -> None:
    """A mount is known by its path: ours comes back, and the one that was made of it is theirs."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    moved = [{"op": "replace", "path": "{app}/volumeMounts/0/mountPath", "value": "/other"}]
    apply_change(space, "Deployment", name, moved)

    def paths() -> list[str]:
        return sorted(mount["mountPath"] for mount in space.get_container(name)["volumeMounts"])

    assert eventually(lambda: paths() == ["/data", "/other"], timeout=SECONDS)


def test_drift_while_the_operator_is_away(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """What changed while nobody looked is put back after the start."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))
    service = owned_fields(space.get_service(name))

    with operator.stop_temporarily():
        apply_change(space, "Deployment", name, build_container_patch(image="other:v2"))
        apply_change(space, "Deployment", name, {"metadata": {"labels": None}})
        apply_change(space, "Service", name, [{"op": "remove", "path": "/spec/selector"}])

    wait_until_restored(space, "Deployment", name, before)
    wait_until_restored(space, "Service", name, service)


def test_endless_tug_of_war_is_told_once(space: AppNamespace, name: str) -> None:
    """Somebody who changes the same field again and again gets one Event with a count."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))

    for turn in range(5):
        apply_change(space, "Deployment", name, build_container_patch(image=f"other:v{turn}"))
        wait_until_restored(space, "Deployment", name, before)

    assert eventually(lambda: space.count_events(name).get("DriftCorrected") == 5)
    assert len(space.list_events(name, "DriftCorrected")) == 1


def test_quarrel(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """Somebody who never stops is not fought at full speed; a change of the spec ends the pause."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    before = owned_fields(space.get_deployment(name))
    for turn in range(10):
        apply_change(space, "Deployment", name, build_container_patch(image=f"other:v{turn}"))
        wait_until_restored(space, "Deployment", name, before)

    apply_change(space, "Deployment", name, build_container_patch(image="other:v10"))

    def contested() -> bool:
        found = space.get_condition(name, "Reconciled")
        assert (found["status"], found["reason"]) == ("False", "Contested"), found
        return True

    eventually(contested)
    written = operator.count_writes()["patch Deployment"]
    consistently(lambda: space.get_container(name)["image"] == "other:v10", seconds=1)
    assert operator.count_writes()["patch Deployment"] == written
    space.patch_spec(name, env=[{"name": "A", "value": "2"}])
    space.wait_until_reconciled(name)
    assert space.get_container(name)["image"] == "demo:v1"
