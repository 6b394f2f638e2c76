"""What people have reported of other operators, tried on a real API server and its controllers."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from hack.testkit.kube_client import Json, find_condition, run_kubectl
from hack.testkit.namespace import API_VERSION, FAKE_NODES, KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

ROLLOUT_SECONDS = 5.0
"""Longer than a change of the configuration takes to reach a Deployment (config_debounce)."""

VARIABLES = [{"name": "FIRST", "value": "1"}, {"name": "SECOND", "value": "$(FIRST)2"}]


def apply_config_map(space: AppNamespace, name: str, **data: str) -> None:
    """Let there be a ConfigMap that holds this."""
    meta = {"name": name, "namespace": space.name}
    space.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


def generation(space: AppNamespace, name: str) -> int:
    """How often the spec of the app's Deployment was changed."""
    found: int = space.get_deployment(name)["metadata"]["generation"]
    return found


def create(space: AppNamespace, name: str, **spec: object) -> int:
    """Create an app whose pods wait for a node; return the generation of its Deployment."""
    space.create_app(name, **{**UNSCHEDULABLE, **spec})
    space.wait_until_reconciled(name)
    return generation(space, name)


def require_unchanged(space: AppNamespace, name: str, known: int) -> None:
    """The Deployment is not written for a while."""
    consistently(lambda: generation(space, name) == known, seconds=ROLLOUT_SECONDS)


def test_twelve_config_maps_that_change_at_once_are_one_rollout(
    space: AppNamespace, name: str
) -> None:
    """And no quarrel with anybody."""
    maps = [f"{name}-{n}" for n in range(12)]
    for each in maps:
        apply_config_map(space, each, mode="fast")
    before = create(space, name, envFrom=[{"configMapRef": {"name": each}} for each in maps])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: apply_config_map(space, each, mode="slow"), maps))

    eventually(lambda: generation(space, name) > before, description="the pods are replaced")
    require_unchanged(space, name, before + 1)
    assert space.get_condition(name, "Reconciled")["status"] == "True"
    assert "Contested" not in space.count_events(name)


def test_a_change_of_another_key_changes_nothing(space: AppNamespace, name: str) -> None:
    """Nor an object that is deleted and made again with the same content."""
    apply_config_map(space, name, mine="1", other="1")
    key = {"configMapKeyRef": {"name": name, "key": "mine", "optional": True}}
    known = create(space, name, env=[{"name": "MINE", "valueFrom": key}])

    apply_config_map(space, name, mine="1", other="2")
    require_unchanged(space, name, known)
    space.kube.delete("ConfigMap", space.name, name)
    apply_config_map(space, name, mine="1", other="3")
    require_unchanged(space, name, known)

    apply_config_map(space, name, mine="2", other="3")
    eventually(lambda: generation(space, name) > known, description="the pods are replaced")


def test_what_the_spec_shared_with_an_edit_goes_with_the_spec(
    space: AppNamespace, name: str
) -> None:
    """Somebody has tried a variable by hand, then it came into the spec, and left it again."""
    create(space, name)
    run_kubectl("-n", space.name, "set", "env", f"deployment/{name}", "TRIED=1")
    space.patch_spec(name, env=[{"name": "TRIED", "value": "1"}])
    space.wait_until_reconciled(name)
    assert space.get_container(name)["env"] == [{"name": "TRIED", "value": "1"}]

    space.patch_spec(name, env=None)

    space.wait_until_reconciled(name)
    assert "env" not in space.get_container(name)


def test_what_kubectl_replace_brings_back_goes_again(space: AppNamespace, name: str) -> None:
    """A saved manifest of the Service has a port and an annotation of an earlier spec."""
    more = [{"name": "more", "port": 81, "protocol": "TCP"}]
    create(space, name, port=80, ports=more)
    saved = space.get_service(name)
    del saved["metadata"]["resourceVersion"], saved["metadata"]["managedFields"]
    space.patch_spec(name, ports=None)
    space.wait_until_reconciled(name)
    eventually(lambda: len(space.get_service(name)["spec"]["ports"]) == 1)
    address = space.get_service(name)["spec"]["clusterIP"]

    space.kube.run_kubectl("replace -f -", stdin=json.dumps(saved))

    eventually(lambda: space.count_events(name).get("Updated", 0) >= 2)
    eventually(lambda: len(space.get_service(name)["spec"]["ports"]) == 1)
    assert space.get_service(name)["spec"]["clusterIP"] == address


def test_an_autoscaler_may_scale_the_app(space: AppNamespace, name: str) -> None:
    """The scale subresource has a number although the spec has none."""
    create(space, name)
    space.kube.create(build_autoscaler(space, name, API_VERSION, KIND, minimum=2))

    eventually(lambda: space.get_app(name)["spec"]["replicas"] == 2, timeout=40)
    eventually(lambda: space.get_deployment(name)["spec"]["replicas"] == 2)
    scaler = space.kube.get("HorizontalPodAutoscaler", space.name, f"{name}-theirs")
    assert find_condition(scaler, "AbleToScale")["status"] == "True"


def test_a_second_autoscaler_is_named(space: AppNamespace, name: str) -> None:
    """With the one who made it."""
    create(space, name, replicas=1)
    space.kube.create(build_autoscaler(space, name, "apps/v1", "Deployment", minimum=3))

    message = str(space.wait_for_event(name, "DriftCorrected")["note"])

    assert f"the HorizontalPodAutoscaler {name}-theirs (written by " in message
    space.kube.delete("HorizontalPodAutoscaler", space.name, f"{name}-theirs")


def build_autoscaler(
    space: AppNamespace, name: str, api_version: str, kind: str, minimum: int
) -> Json:
    """Return an autoscaler of somebody else, which raises its target to the minimum."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{name}-theirs", "namespace": space.name},
        "spec": {
            "minReplicas": minimum,
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name},
        },
    }


def test_children_of_a_restore_are_taken_up_again(space: AppNamespace, name: str) -> None:
    """They come back from a backup without owners, with fields of the spec of that time."""
    spec: Json = {"port": 80, "ports": [{"name": "more", "port": 81, "protocol": "TCP"}]}
    create(space, name, env=VARIABLES, **spec)
    saved = [space.get_deployment(name), space.get_service(name)]
    space.kube.delete(KIND, space.name, name)
    eventually(lambda: not any(space.find_child(each["kind"], name) for each in saved))
    for each in saved:
        for field in ("uid", "resourceVersion", "managedFields", "ownerReferences"):
            del each["metadata"][field]
        for field in ("clusterIP", "clusterIPs"):  # another Service may have the address by now
            each["spec"].pop(field, None)
        space.kube.create(each)
    uids = [space.get_child(each["kind"], name)["metadata"]["uid"] for each in saved]

    create(space, name, port=80)

    assert uids == [space.get_child(each["kind"], name)["metadata"]["uid"] for each in saved]
    assert "env" not in space.get_container(name)
    assert len(space.get_service(name)["spec"]["ports"]) == 1
    assert "NameConflict" not in space.count_events(name)


def test_pods_get_no_variables_of_services(space: AppNamespace, name: str) -> None:
    """Kubernetes would set METER_PORT for a Service meter; who asks for that gets it."""
    create(space, name, port=80)
    assert space.get_deployment(name)["spec"]["template"]["spec"]["enableServiceLinks"] is False

    space.patch_spec(name, enableServiceLinks=True)

    space.wait_until_reconciled(name)
    assert space.get_deployment(name)["spec"]["template"]["spec"]["enableServiceLinks"] is True


def test_order_is_put_back_where_it_means_something(space: AppNamespace, name: str) -> None:
    """Of variables that refer to each other, and of arguments."""
    create(space, name, env=VARIABLES, args=["a", "b"])
    container = {"name": "app", "env": VARIABLES[::-1], "args": ["b", "a"]}
    containers = [{**space.get_container(name), **container}]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    space.kube.merge_patch("Deployment", space.name, name, template)

    def is_put_back() -> bool:
        found = space.get_container(name)
        return bool(found["env"] == VARIABLES and found["args"] == ["a", "b"])

    eventually(is_put_back)


def test_an_explicit_null_is_the_same_as_nothing(space: AppNamespace, name: str) -> None:
    """In every field that may be left out."""
    fields = ("env", "args", "probes", "autoscaling", "healing", "port", "service", "rollout")
    nulls: dict[str, None] = dict.fromkeys((*fields, "replicas", "resources", "podMetadata"))
    other = f"{name}-short"
    create(space, other)
    create(space, name, **nulls)

    found, expected = (space.get_deployment(each)["spec"] for each in (name, other))
    assert found["replicas"] == expected["replicas"] == 1
    assert found["template"]["spec"] == expected["template"]["spec"]


def test_a_resource_that_no_operator_has_seen_is_not_taken_for_done(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """By its status a tool sees that nobody has looked at the spec."""
    with operator.stop_temporarily():
        created = space.create_app(name, **UNSCHEDULABLE)
        assert created["status"] == {"observedGeneration": -1}

    space.wait_until_reconciled(name)
    assert space.get_status(name)["observedGeneration"] == 1


def test_a_name_of_63_letters(space: AppNamespace) -> None:
    """Every child has it, also those whose pods have longer ones."""
    name = "a" * 63
    create(space, name, port=80, replicas=2, podMetadata={"labels": {"example.com/a": "b"}})

    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert space.get_child(kind, name)["metadata"]["name"] == name


def test_twelve_quick_edits_are_no_quarrel(space: AppNamespace, name: str) -> None:
    """Each is followed."""
    create(space, name)
    for turn in range(12):
        space.patch_spec(name, env=[{"name": "TURN", "value": str(turn)}])
        space.wait_until_reconciled(name)

    assert "Contested" not in space.count_events(name)


def test_replace_force(space: AppNamespace, name: str) -> None:
    """It deletes the resource and makes it again; the children follow."""
    create(space, name, port=80)
    before = space.get_app(name)["metadata"]["uid"]
    manifest = json.dumps(space.build_manifest(name, port=80, **UNSCHEDULABLE))

    space.kube.run_kubectl("replace --force -f -", stdin=manifest)

    uid = space.wait_until_reconciled(name)["metadata"]["uid"]
    assert uid != before
    for kind in ("Deployment", "Service"):
        owners = space.get_child(kind, name)["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == [uid]


def test_a_paused_rollout_is_told_and_goes_on(space: AppNamespace, name: str) -> None:
    """The operator does not resume what somebody has paused."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    run_kubectl("-n", space.name, "rollout", "pause", f"deployment/{name}")
    space.patch_spec(name, image="demo:v2")

    eventually(lambda: space.get_condition(name, "Ready")["reason"] == "DeploymentPaused")
    run_kubectl("-n", space.name, "rollout", "resume", f"deployment/{name}")

    space.wait_for_phase(name, "Ready")


def test_a_deleted_pod_is_replaced_and_no_fault(space: AppNamespace, name: str) -> None:
    """Nor is a container for debugging."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    [pod] = space.list_pods(name)
    space.kube.delete("Pod", space.name, pod["metadata"]["name"])
    eventually(
        lambda: (
            [each["metadata"]["name"] != pod["metadata"]["name"] for each in space.list_pods(name)]
            == [True]
        )
    )
    space.wait_for_phase(name, "Ready")

    [pod] = space.list_pods(name)
    debugger = {"name": "debugger", "image": "busybox", "targetContainerName": "app"}
    space.kube.merge_patch(
        "Pod",
        space.name,
        pod["metadata"]["name"],
        {"spec": {"ephemeralContainers": [debugger]}},
        sub="ephemeralcontainers",
    )

    consistently(lambda: space.get_status(name)["phase"] == "Ready", seconds=1)
    assert space.get_status(name)["restarts"]["total"] == 0
    assert "Degraded" not in space.count_events(name)


def test_a_service_account_that_comes_late(space: AppNamespace, name: str) -> None:
    """Until then no pod can be made, and the message says why."""
    space.create_app(name, serviceAccountName=name, **FAKE_NODES)
    eventually(lambda: "serviceaccount" in space.get_status(name).get("message", "").lower())

    meta = {"name": name, "namespace": space.name}
    space.kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})

    space.wait_for_phase(name, "Ready", timeout=60)
