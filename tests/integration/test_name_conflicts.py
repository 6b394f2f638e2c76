"""A same-named object that is not ours is never taken over, unless its owner says so (api.md)."""

from collections.abc import Iterator
from functools import partial

import pytest

from hack.testkit.kube_client import Json, find_condition
from hack.testkit.namespace import FAKE_NODES, KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")

KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")
SCALED: Json = {"port": 80, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}}
SPEC: Json = {**SCALED, **UNSCHEDULABLE}
RECHECK = 45
"""A stranger without our label is looked at every 30 s, because no watch shows it."""

SELECTOR = {"who": "stranger"}


def create_foreign_object(
    space: AppNamespace, kind: str, name: str, *, labels: Json | None = None
) -> Json:
    """An object of somebody else."""
    specs: dict[str, Json] = {
        "Deployment": {
            "replicas": 1,
            "selector": {"matchLabels": SELECTOR},
            "template": {
                "metadata": {"labels": SELECTOR},
                "spec": {"containers": [{"name": "theirs", "image": "theirs:v1"}], **FAKE_NODES},
            },
        },
        "Service": {"ports": [{"name": "theirs", "port": 1234}], "selector": SELECTOR},
        "HorizontalPodAutoscaler": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs"},
            "maxReplicas": 2,
        },
        "PodDisruptionBudget": {"minAvailable": 1, "selector": {"matchLabels": SELECTOR}},
    }
    versions = {
        "Deployment": "apps/v1",
        "Service": "v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
        "PodDisruptionBudget": "policy/v1",
    }
    return {
        "apiVersion": versions[kind],
        "kind": kind,
        "metadata": {"name": name, "namespace": space.name, "labels": labels or {}},
        "spec": specs[kind],
    }


@pytest.fixture
def clean(space: AppNamespace, name: str) -> Iterator[None]:
    """The strangers are removed after the test."""
    yield
    for kind in KINDS:
        space.kube.delete(kind, space.name, name)


def wait_for_conflict(space: AppNamespace, name: str) -> Json:
    """Wait until an app says that its name is taken."""

    def probe() -> Json:
        found = space.get_condition(name, "Reconciled")
        assert (found.get("status"), found.get("reason")) == ("False", "NameConflict"), found
        return found

    return eventually(probe, description=f"{name}: NameConflict")


def has_one_event(space: AppNamespace, name: str, reason: str) -> bool:
    """Whether an Event has been told once."""
    return space.count_events(name).get(reason) == 1


def is_unchanged(space: AppNamespace, kind: str, name: str, before: Json) -> bool:
    """Whether a stranger's object is as its owner made it."""
    live = space.get_child(kind, name)
    return bool(
        live["metadata"].get("labels") == before["metadata"].get("labels")
        and "ownerReferences" not in live["metadata"]
        and live["spec"] == before["spec"]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("clean")
def test_stranger_is_left_alone(space: AppNamespace, name: str, kind: str) -> None:
    """Somebody's object is not touched; the app says which it is and what to do about it."""
    before = space.kube.create(create_foreign_object(space, kind, name))
    space.create_app(name, **SPEC)

    found = wait_for_conflict(space, name)

    assert f"there is a {kind} {name} that this resource did not make" in found["message"]
    way = (
        f"delete deployment/{name} --cascade=orphan"  # its selector can never change
        if kind == "Deployment"
        else f"annotate {kind.lower()}/{name} selfhealing.dev/adopt=true"
    )
    assert way in found["message"]
    assert found["observedGeneration"] == 1
    assert space.get_status(name)["phase"] == "Invalid"
    assert space.get_condition(name, "Ready")["status"] == "False"
    assert eventually(lambda: space.count_events(name).get("NameConflict")) == 1
    space.patch_spec(name, image="demo:v2")
    consistently(
        lambda: is_unchanged(space, kind, name, before),
        seconds=1,
        description="the stranger's as it was",
    )


@pytest.mark.usefixtures("clean")
def test_the_other_children_are_kept_right(space: AppNamespace, name: str) -> None:
    """A Service that is taken does not keep the Deployment from being made and corrected."""
    space.kube.create(create_foreign_object(space, "Service", name))
    space.create_app(name, **SPEC)
    wait_for_conflict(space, name)

    space.patch_spec(name, image="demo:v2")

    assert eventually(lambda: space.get_container(name)["image"] == "demo:v2")
    wait_for_conflict(space, name)


@pytest.mark.usefixtures("clean", "fake_nodes")
def test_autoscaler_does_not_scale_a_strangers_deployment(space: AppNamespace, name: str) -> None:
    """Where the Deployment is somebody else's there is no autoscaler that would act on it."""
    space.kube.create(create_foreign_object(space, "Deployment", name))
    space.create_app(name, **SCALED)
    wait_for_conflict(space, name)

    consistently(lambda: space.find_child("HorizontalPodAutoscaler", name) is None, seconds=1)
    assert space.get_deployment(name)["spec"]["replicas"] == 1


@pytest.mark.usefixtures("clean")
def test_object_of_another_controller(space: AppNamespace, name: str) -> None:
    """What belongs to another controller is not taken, whatever its annotation says."""
    other = space.kube.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": space.name},
        }
    )
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": name,
        "uid": other["metadata"]["uid"],
        "controller": True,
    }
    body = create_foreign_object(space, "Service", name)
    body["metadata"] |= {
        "ownerReferences": [owner],
        "annotations": {"selfhealing.dev/adopt": "true"},
    }
    space.kube.create(body)
    space.create_app(name, **SPEC)

    found = wait_for_conflict(space, name)

    assert "it belongs to another controller: rename one of the two" in found["message"]
    consistently(
        lambda: space.get_service(name)["metadata"]["ownerReferences"] == [owner],
        seconds=1,
        description="the other controller's as it was",
    )


@pytest.mark.usefixtures("fake_nodes")
def test_recovery(space: AppNamespace, name: str) -> None:
    """Once the stranger is gone, or its owner says take it, the app comes right by itself."""
    apps: dict[str, str] = {}
    for kind in KINDS:
        short = kind[:3].lower()
        for way in ("deleted", "adopted"):
            app = f"{name[:30]}-{short}-{way}"
            if (kind, way) != ("Deployment", "adopted"):  # its selector can never change
                apps[app] = kind
    for app, kind in apps.items():
        space.kube.create(create_foreign_object(space, kind, app))
        space.create_app(app, **SCALED, **FAKE_NODES)
    for app in apps:
        wait_for_conflict(space, app)

    adopt = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
    for app, kind in apps.items():
        if app.endswith("deleted"):
            space.kube.delete(kind, space.name, app)
        else:
            space.kube.merge_patch(kind, space.name, app, adopt)

    for app, kind in apps.items():
        uid = space.wait_until_reconciled(app, timeout=RECHECK)["metadata"]["uid"]
        child = space.get_child(kind, app)
        assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [uid]
        if app.endswith("adopted"):
            eventually(partial(has_one_event, space, app, "Adopted"))
        space.kube.delete(KIND, space.name, app)


@pytest.mark.usefixtures("clean", "fake_nodes")
def test_adopted_once_the_pods_serve(space: AppNamespace, name: str) -> None:
    """An object that says so from the start becomes as the spec says, and not before that."""
    body = create_foreign_object(space, "Service", name, labels={"team": "blue"})
    body["metadata"]["annotations"] = {"selfhealing.dev/adopt": "true"}
    body["spec"]["ports"] = [{"port": 1234}]  # one without a name cannot stay beside ours
    created = space.kube.create(body)
    space.create_app(name, **SPEC)

    def find_pending() -> Json:
        found = space.get_condition(name, "Reconciled")
        assert found.get("reason") == "AdoptionPending", found
        return found

    assert f"the Service {name} is taken over when" in eventually(find_pending)["message"]
    assert is_unchanged(space, "Service", name, created)
    removed = dict.fromkeys(UNSCHEDULABLE["nodeSelector"])
    space.patch_spec(name, **(FAKE_NODES | {"nodeSelector": removed | FAKE_NODES["nodeSelector"]}))

    message = find_condition(space.wait_until_reconciled(name), "Reconciled")["message"]
    assert message.endswith("; taken over: Service")
    service = space.get_service(name)
    assert service["metadata"]["uid"] == created["metadata"]["uid"]
    assert service["spec"]["selector"] == {"selfhealing.dev/app": name}
    assert service["spec"]["clusterIP"] == created["spec"]["clusterIP"]
    assert service["metadata"]["labels"]["team"] == "blue"
    assert [port["port"] for port in service["spec"]["ports"]] == [80]


@pytest.mark.usefixtures("clean")
def test_labelled_stranger_that_goes_away(space: AppNamespace, name: str) -> None:
    """The end of a stranger's object that carries our label is noticed at once."""
    space.kube.create(
        create_foreign_object(space, "Service", name, labels={"selfhealing.dev/app": name})
    )
    space.create_app(name, **SPEC)
    wait_for_conflict(space, name)

    space.kube.delete("Service", space.name, name)

    space.wait_until_reconciled(name, timeout=10)


def test_recreated_at_once(space: AppNamespace, name: str) -> None:
    """A resource that is deleted and made anew at once gets children of its own."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    old = {kind: space.get_child(kind, name)["metadata"]["uid"] for kind in KINDS}

    space.kube.delete(KIND, space.name, name)
    space.create_app(name, **(SPEC | {"image": "demo:v2"}))

    uid = space.wait_until_reconciled(name)["metadata"]["uid"]
    for kind in KINDS:
        meta = space.get_child(kind, name)["metadata"]
        assert meta["uid"] != old[kind]
        assert [owner["uid"] for owner in meta["ownerReferences"]] == [uid]
    assert "NameConflict" not in space.count_events(name)
    assert space.get_container(name)["image"] == "demo:v2"


def test_orphans_are_adopted(space: AppNamespace, name: str) -> None:
    """Children that were left behind on purpose are taken up again by an app of the same name."""
    space.create_app(name, port=80, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    old = space.get_deployment(name)["metadata"]["uid"]
    space.kube.delete(KIND, space.name, name, propagation="Orphan")
    eventually(lambda: space.find_child(KIND, name) is None, description="the resource is gone")
    eventually(
        lambda: (
            not any(
                "ownerReferences" in space.get_child(kind, name)["metadata"]
                for kind in ("Deployment", "Service")
            )
        )
    )

    space.create_app(name, port=80, **UNSCHEDULABLE)

    space.wait_until_reconciled(name)
    assert space.get_deployment(name)["metadata"]["uid"] == old


def test_pods_never_run_as_the_account_of_somebody_else(space: AppNamespace, name: str) -> None:
    """The Deployment waits until the name is free; then it has its own account."""
    account: Json = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": space.name},
    }
    space.kube.create(account)
    space.create_app(name, serviceAccount={"create": True}, **UNSCHEDULABLE)
    found = wait_for_conflict(space, name)

    assert f"there is a ServiceAccount {name} that this resource did not make" in found["message"]
    assert space.find_child("Deployment", name) is None
    space.kube.delete("ServiceAccount", space.name, name)
    space.patch_spec(name, args=["again"])
    space.wait_until_reconciled(name)
    assert name == space.get_deployment(name)["spec"]["template"]["spec"]["serviceAccountName"]
