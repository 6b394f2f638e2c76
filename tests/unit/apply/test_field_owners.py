"""Who has changed a child, and what of it nobody asks for any more."""

from copy import deepcopy
from typing import Any

import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.apply.field_owners import (
    Contestant,
    find_contestants,
    find_drift_paths,
    remove_obsolete_fields,
)
from selfhealing.render import build_children
from tests.unit import builders
from tests.unit.template_edits import OWNER, Json, field_tree, merge


def build(kind: str = "Deployment", **spec: Any) -> Json:  # noqa: ANN401 - fields of the spec
    """Return a child that the operator applies."""
    children = build_children(OWNER, parse_spec({"image": builders.IMAGE, "port": 80, **spec}))
    return next(child for child in children if child["kind"] == kind)


def entry(manager: str, *values: Json, subresource: str = "") -> Json:
    """Return the entry of a manager that owns these values."""
    tree: Json = {}
    for value in values:
        tree = merge(tree, field_tree(value))
    more = {"subresource": subresource} if subresource else {}
    return {"manager": manager, "operation": "Update", "fieldsV1": tree, **more}


def live(applied: Json, *entries: Json) -> Json:
    """Return the child as it was applied, owned by the operator and by others."""
    own = entry(names.FIELD_MANAGER, {key: applied[key] for key in ("metadata", "spec")})
    raw = deepcopy(applied)
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "managedFields": [own, *entries]}
    return raw


def container(**fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a change of the app's container of a Deployment."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}


class TestContestants:
    """Field managers that own fields with other values."""

    def test_they_are_named_with_their_fields(self) -> None:
        """One that owns a field with the applied value, or a field of its own, is none."""
        desired = build(replicas=2, resources={"limits": {"cpu": "500m"}})
        edit = container(image="other:v1", resources={"limits": {"cpu": "0.5"}})
        scaled = {"spec": {"replicas": 5}}
        theirs = {"metadata": {"labels": {"team": "blue"}}}
        raw = live(
            desired,
            entry("kubectl-edit", edit),
            entry("kube-controller-manager", scaled, subresource="scale"),
            entry("helm", theirs),
            entry(names.RESET_MANAGER, scaled),
        )
        for change in (edit, scaled, theirs):
            raw = merge(raw, change)

        assert (
            Contestant("kubectl-edit", "", ("template.spec.containers[app].image",)),
            Contestant("kube-controller-manager", "scale", ("replicas",)),
        ) == find_contestants(raw, desired)

    def test_entries_may_hold_anything(self) -> None:
        """Whoever writes the object may write its entries."""
        desired = build()
        deep: Json = {}
        for _ in range(2000):
            deep = {"f:spec": deep}
        raw = live(desired)
        raw["metadata"]["managedFields"] = [
            None,
            {"manager": 7, "fieldsV1": "x"},
            {"manager": "a", "fieldsV1": deep},
            {"manager": "b", "fieldsV1": {"f:spec": {"f:replicas": 1, "k:{": {}}}},
        ]

        assert () == find_contestants(raw, desired)
        assert {} == remove_obsolete_fields(raw, desired)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({}, []),
        ({"spec": {"replicas": 3}}, ["replicas"]),
        (container(args=["a"]), ["template.spec.containers[app].args"]),
        (
            container(env=[{"name": "A", "value": "2"}]),
            ["template.spec.containers[app].env[A].value"],
        ),
        ({"metadata": {"labels": {"app": "x"}}}, ["metadata.labels.app"]),
    ],
)
def test_drift_has_paths(change: Json, paths: list[str]) -> None:
    """The lowest fields that differ are named."""
    desired = build(args=["b"], env=[{"name": "A", "value": "1"}])

    assert paths == list(find_drift_paths(merge(desired, change), desired))


def test_drift_of_a_whole_has_its_path() -> None:
    """Of an order, of a missing item and of an added key of an atomic map."""
    desired = build(
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}], nodeSelector={"a": "b"}
    )
    raw = deepcopy(desired)
    pod = raw["spec"]["template"]["spec"]
    pod["containers"][0]["env"].reverse()
    pod["nodeSelector"]["c"] = "d"

    assert ["template.spec.containers[app].env", "template.spec.nodeSelector"] == list(
        find_drift_paths(raw, desired)
    )
    pod["containers"] = []
    assert "template.spec.containers[app]" in list(find_drift_paths(raw, desired))


class TestObsoleteFields:
    """What the operator has applied once goes, whoever owns it beside the operator."""

    def test_what_another_manager_owns_too(self) -> None:
        """A variable, a sidecar and an annotation that somebody has written with the same value."""
        sidecar = {"name": "proxy", "image": "proxy:v1"}
        before = build(env=[{"name": "A", "value": "1"}], sidecars=[sidecar])
        same = container(env=[{"name": "A", "value": "1"}])
        proxy = {"spec": {"template": {"spec": {"containers": [sidecar]}}}}
        raw = live(before, entry("kubectl-set", same), entry("kubectl-edit", proxy))
        desired = build()

        parts = remove_obsolete_fields(raw, desired)

        assert ["/spec"] == list(parts)
        assert desired["spec"] == parts["/spec"]

    def test_what_only_another_manager_owns_stays(self) -> None:
        """And what is still asked for, and what only the operator owns: an apply removes that."""
        theirs = container(env=[{"name": "THEIRS", "value": "1"}], image=builders.IMAGE)
        raw = merge(
            live(build(env=[{"name": "A", "value": "1"}]), entry("kubectl-set", theirs)), theirs
        )

        assert {} == remove_obsolete_fields(raw, build())

    def test_a_shared_field_goes_and_its_neighbour_stays(self) -> None:
        """Of a list that both have written to; a whole item goes with what was added to it."""
        before = build(
            env=[{"name": "A", "value": "1"}], sidecars=[{"name": "proxy", "image": "proxy:v1"}]
        )
        theirs = [{"name": "THEIRS", "value": "1"}]
        proxy = {"name": "proxy", "env": theirs}
        change = container(env=[{"name": "A", "value": "1"}, *theirs])
        change["spec"]["template"]["spec"]["containers"].append(proxy)
        raw = merge(live(before, entry("kubectl-edit", change)), change)

        [app] = remove_obsolete_fields(raw, build())["/spec"]["template"]["spec"]["containers"]

        assert ("app", theirs) == (app["name"], app["env"])

    def test_metadata(self) -> None:
        """An annotation of the Service that kubectl annotate has written, too."""
        note = {"example.com/note": "a"}
        before = build("Service", service={"annotations": note})
        raw = live(before, entry("kubectl-annotate", {"metadata": {"annotations": note}}))
        desired = build("Service")

        parts = remove_obsolete_fields(raw, desired)

        assert ["/metadata/annotations"] == list(parts)
        assert note.keys().isdisjoint(parts["/metadata/annotations"])

    def test_what_a_restore_has_brought_back(self) -> None:
        """It brings the mark of an earlier manifest; addresses and scaled replicas stay."""
        old_port = {"name": "old", "port": 81, "targetPort": 81, "protocol": "TCP"}
        desired = build("Service")
        restored = {
            "metadata": {"annotations": {names.ANNOTATION_APPLIED_HASH: "earlier"}},
            "spec": {"ports": [old_port], "clusterIP": "10.0.0.9"},
        }
        raw = merge(live(desired, entry("kubectl-replace", restored)), restored)

        parts = remove_obsolete_fields(raw, desired)

        assert {"/spec": {**desired["spec"], "clusterIP": "10.0.0.9"}} == parts
        scaled = {"metadata": restored["metadata"], "spec": {"replicas": 7}}
        autoscaled = build(autoscaling={"maxReplicas": 9})
        assert {} == remove_obsolete_fields(
            merge(live(autoscaled, entry("velero", scaled)), scaled), autoscaled
        )


def test_what_a_controller_reports_is_nobodys_to_ask_for() -> None:
    """The fields of a subresource, such as the replicas that an autoscaler sets, are left alone."""
    earlier, desired = build(replicas=5), build(replicas=2)
    scaled = {"spec": {"replicas": 5}}
    raw = live(earlier, entry("kube-controller-manager", scaled, subresource="scale"))

    assert {} == remove_obsolete_fields(raw, desired)
