"""What differs from run to run is left out, and everything else is compared."""

from unittest.mock import Mock

from hypothesis import given, strategies as st

from hack.sieve.end_state import list_differences, read_end_state
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import AppNamespace

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def build_space(objects: dict[str, list[Json]]) -> AppNamespace:
    kube = Mock(spec=KubeClient)
    kube.list.side_effect = lambda kind, _: objects.get(kind, [])
    return AppNamespace(kube, "x")


def build_meta(name: str, uid: str, owner: tuple[str, str, str] | None = None) -> Json:
    owners = [dict(zip(("kind", "name", "uid"), owner, strict=True))] if owner else []
    return {"name": name, "uid": uid, "ownerReferences": owners, "resourceVersion": uid}


def build_objects(suffix: str, address: str) -> dict[str, list[Json]]:
    replica_set = ("ReplicaSet", "app-1", f"rs{suffix}")
    return {
        "ReplicaSet": [{"metadata": build_meta("app-1", f"rs{suffix}"), "spec": {"replicas": 2}}],
        "Pod": [
            {
                "metadata": build_meta(f"app-1-{number}{suffix}", f"p{number}", replica_set),
                "spec": {"containers": [{"image": "a"}]},
                "status": {"phase": "Running"},
            }
            for number in range(2)
        ],
        "Service": [
            {
                "metadata": build_meta("app", suffix),
                "spec": {"clusterIP": address, "ports": [{"port": 1, "nodePort": len(suffix)}]},
            }
        ],
        "ConfigMap": [{"metadata": build_meta("kube-root-ca.crt", suffix)}],
    }


def test_two_runs_are_equal() -> None:
    one = read_end_state(build_space(build_objects("a", "10.0.0.1")))
    two = read_end_state(build_space(build_objects("bc", "10.0.0.2")))

    assert one == two
    assert {"ReplicaSet/app-1", "Pods of ReplicaSet/app-1", "Service/app"} == set(one)
    assert 2 == len(one["Pods of ReplicaSet/app-1"])


def test_an_owner_that_is_gone() -> None:
    objects = build_objects("a", "")
    objects["ReplicaSet"] = []

    assert "Pods of ReplicaSet/app-1 (gone)" in read_end_state(build_space(objects))


@given(json_values, json_values)
def test_differences_are_found(one: object, two: object) -> None:
    assert [] == list_differences(one, one)
    assert bool(list_differences(one, two)) == (one != two)


def test_a_difference_names_its_path() -> None:
    lines = list_differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})

    assert ["a.b: 3 instead of 1"] == lines
