"""What others own in a pod template, from managedFields of any content."""

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from selfhealing.api import names
from selfhealing.cache.managed_fields import MAX_TEMPLATE_EDITS, parse_template_edits
from tests.unit import builders

Json = dict[str, Any]


def entry(manager: str, template: Any, seconds: float = 0, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """An entry of a manager of fields of the pod template."""
    return {
        "manager": manager,
        "time": builders.iso(seconds),
        "fieldsV1": {"f:spec": {"f:template": template}},
        **more,
    }


def fields_of(*entries: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """By manager, the fields of its edit."""
    edits = parse_template_edits({"managedFields": list(entries)})
    return {edit.manager: orjson.loads(edit.fields) for edit in edits}


OWN = entry(
    names.FIELD_MANAGER,
    {"f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}}}}},
)


def test_what_the_operator_owns_is_no_edit() -> None:
    """A shared field is the operator's, and so is the item that contains it."""
    theirs: Json = {
        "f:spec": {
            "f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}, "f:tty": {}}},
            "f:dnsPolicy": {},
        }
    }

    assert {
        "kubectl-edit": {
            "f:spec": {"f:containers": {'k:{"name":"app"}': {"f:tty": {}}}, "f:dnsPolicy": {}}
        }
    } == fields_of(OWN, entry("kubectl-edit", theirs))


@pytest.mark.parametrize(
    "other",
    [
        entry("kubectl-set", {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}),
        entry(
            "kubectl",
            {"f:metadata": {"f:annotations": {f"f:{names.ANNOTATION_RESTARTED_AT}": {}}}},
        ),
        entry("kube-controller-manager", {"f:spec": {"f:x": {}}}, subresource="status"),
        entry(names.RESET_MANAGER, {"f:spec": {"f:x": {}}}),
        {"manager": "kubectl-scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {},
        "text",
        {"manager": "x", "fieldsV1": {"f:spec": []}},
        entry("x", 5),
    ],
)
def test_no_edit(other: Any) -> None:  # noqa: ANN401 - JSON
    """The operator's fields, a restart, a status, other fields, and what is no entry."""
    assert {} == fields_of(OWN, other)


def test_the_newest_edits_come_first_and_are_few() -> None:
    """An edit without a time is the oldest."""
    edits = [entry(f"m{at}", {"f:spec": {"f:x": {}}}, at) for at in range(MAX_TEMPLATE_EDITS)]
    edits.append({**entry("never", {"f:spec": {"f:x": {}}}), "time": None})
    edits.append({**entry("caesar", {"f:spec": {"f:x": {}}}), "time": "0044-03-15T12:00:00Z"})

    assert [f"m{at}" for at in reversed(range(MAX_TEMPLATE_EDITS))] == list(fields_of(*edits))


def test_an_undo_owns_the_applied_hash() -> None:
    """Kubectl brings back the annotations of the ReplicaSet with its template."""
    undo = entry("kubectl", {"f:spec": {"f:x": {}}})
    undo["fieldsV1"]["f:metadata"] = {"f:annotations": {f"f:{names.ANNOTATION_APPLIED_HASH}": {}}}

    assert [True] == [edit.is_undo for edit in parse_template_edits({"managedFields": [OWN, undo]})]


def test_deeply_nested_fields_are_cut() -> None:
    """A tree of any depth is read."""
    tree: Json = {}
    for _ in range(500):
        tree = {"f:a": tree}

    assert fields_of(OWN, entry("x", tree))


TREES: st.SearchStrategy[Json] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "."]), inner)
)


@given(TREES, TREES)
def test_an_edit_is_what_is_not_ours(ours: Json, theirs: Json) -> None:
    """Nothing of an edit is a leaf that the operator owns."""

    def leaves(tree: Json, path: str = "") -> set[str]:
        inner = [leaves(value, path + key) for key, value in tree.items() if key != "."]
        return set().union(*inner) if inner else {path}

    edits = fields_of(entry(names.FIELD_MANAGER, ours), entry("x", theirs))
    own_leaves = leaves(ours) if ours else set()
    assert not own_leaves & leaves(edits.get("x", {})) - {""}
