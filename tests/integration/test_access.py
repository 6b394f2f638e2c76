"""The children that give access to the app from outside, and that limit it."""

import pytest

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.optional_kinds import SPECS as OPTIONAL_KINDS, ensure_kind_served
from hack.testkit.wait import eventually
from selfhealing.kube.resources import CHILDREN

pytestmark = pytest.mark.usefixtures("served", "operator", "fake_nodes")

HOST: Json = {"host": "shop.example.com"}
SPECS: dict[str, Json] = {
    "Ingress": {"ingress": {"hosts": [HOST]}},
    "NetworkPolicy": {"networkPolicy": {"allowFrom": [{"app": "checkout"}], "allowTo": []}},
    "HTTPRoute": {"route": {"parentRefs": [{"name": "public"}]}},
    "PodMonitor": {"monitoring": {"interval": "30s"}},
}
"""By kind, the part of the spec that asks for it."""

FOREIGN: dict[str, Json] = {
    "Ingress": {"defaultBackend": {"service": {"name": "theirs", "port": {"number": 80}}}},
    "NetworkPolicy": {"podSelector": {"matchLabels": {"who": "stranger"}}},
    "HTTPRoute": {"parentRefs": [{"name": "theirs"}]},
    "PodMonitor": {"selector": {}, "podMetricsEndpoints": []},
}
"""By kind, the spec of somebody else's object."""

DRIFTS: dict[str, tuple[str, Json]] = {
    "Ingress rules": ("Ingress", {"spec": {"rules": [{"host": "other.example.com"}]}}),
    "NetworkPolicy everybody": ("NetworkPolicy", {"spec": {"ingress": [{}]}}),
    "NetworkPolicy more egress": ("NetworkPolicy", {"spec": {"egress": [{}]}}),
    "NetworkPolicy other pods": (
        "NetworkPolicy",
        {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}},
    ),
}
"""By name, a manual change of a child."""


@pytest.fixture(scope="module")
def served(kube: KubeClient) -> None:
    """The kinds of all these children are served."""
    for kind in OPTIONAL_KINDS:
        ensure_kind_served(kube, kind)


@pytest.mark.parametrize("kind", SPECS)
def test_made_and_taken_away(space: AppNamespace, name: str, kind: str) -> None:
    """Owned and labelled as every child, at rest, and gone when the spec asks no more."""
    space.create_app(name, port=80, **SPECS[kind], **FAKE_NODES)
    space.wait_until_reconciled(name)

    meta = space.get_child(kind, name)["metadata"]
    assert [owner["uid"] for owner in meta["ownerReferences"]] == [
        space.get_app(name)["metadata"]["uid"]
    ]
    assert meta["labels"]["selfhealing.dev/app"] == name
    space.wait_for_phase(name, "Ready")
    assert meta["generation"] == 1
    assert "DriftCorrected" not in space.count_events(name)

    space.patch_spec(name, **dict.fromkeys(SPECS[kind]))
    space.wait_until_reconciled(name)
    assert eventually(lambda: space.find_child(kind, name) is None)


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift(space: AppNamespace, name: str, drift: str) -> None:
    """What somebody changes is put back, and what is deleted is made anew."""
    kind, change = DRIFTS[drift]
    space.create_app(name, port=80, **SPECS[kind], **FAKE_NODES)
    space.wait_until_reconciled(name)
    before = space.get_child(kind, name)

    space.kube.merge_patch(kind, space.name, name, change)
    eventually(
        lambda: space.get_child(kind, name)["spec"] == before["spec"],
        description="the change is reverted",
    )
    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1

    space.kube.delete(kind, space.name, name)
    eventually(lambda: space.find_child(kind, name), description=f"a new {kind}")
    assert space.get_child(kind, name)["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.parametrize("kind", SPECS)
def test_somebody_elses_is_left_alone(space: AppNamespace, name: str, kind: str) -> None:
    """One of the same name is a NameConflict; with the annotation it is taken over."""
    space.kube.create(
        {
            "apiVersion": CHILDREN[kind].api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": space.name},
            "spec": FOREIGN[kind],
        }
    )
    before = space.get_child(kind, name)["spec"]
    space.create_app(name, port=80, **SPECS[kind], **FAKE_NODES)

    def find_conflict() -> Json:
        found = space.get_condition(name, "Reconciled")
        assert found.get("reason") == "NameConflict", found
        return found

    message = eventually(find_conflict)["message"]
    assert f"there is a {kind} {name} that this resource did not make" in message
    assert space.get_child(kind, name)["spec"] == before

    adopt = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
    space.kube.merge_patch(kind, space.name, name, adopt)
    space.wait_until_reconciled(name, timeout=45)
    assert space.get_child(kind, name)["metadata"]["ownerReferences"][0]["name"] == name


def test_every_field_of_the_ingress_and_its_address(space: AppNamespace, name: str) -> None:
    """What the spec no longer has goes; the address of a controller reaches the conditions."""
    ingress = {
        "className": "nginx",
        "hosts": [{**HOST, "paths": [{"path": "/api", "pathType": "Exact"}]}, {}],
        "tls": [{"secretName": "cert"}],
        "labels": {"team": "blue"},
        "annotations": {"example.com/limit": "8m"},
    }
    space.create_app(name, port=80, ingress=ingress, **FAKE_NODES)
    space.wait_until_reconciled(name)
    found = space.get_child("Ingress", name)
    assert found["spec"]["ingressClassName"] == "nginx"
    assert found["spec"]["tls"] == [{"hosts": ["shop.example.com"], "secretName": "cert"}]
    assert space.get_condition(name, "IngressReady")["status"] == "Unknown"

    removed = dict.fromkeys(("className", "tls", "labels", "annotations"))
    space.patch_spec(name, ingress={**removed, "hosts": [HOST]})
    space.wait_until_reconciled(name)
    found = space.get_child("Ingress", name)
    assert found["spec"].keys() == {"rules"}
    assert "team" not in found["metadata"]["labels"]
    assert "example.com/limit" not in found["metadata"]["annotations"]

    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    space.kube.merge_patch("Ingress", space.name, name, status, sub="status")
    eventually(lambda: space.get_condition(name, "IngressReady")["status"] == "True")
    message = space.get_condition(name, "IngressReady")["message"]
    assert message == "requests for shop.example.com enter at 192.0.2.7"
