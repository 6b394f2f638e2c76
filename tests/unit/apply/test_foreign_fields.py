"""What others put into a pod template is found and removed, and nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from selfhealing.api import names
from selfhealing.apply.foreign_fields import (
    UNKNOWN_FIELDS,
    EditSelection,
    ForeignEdit,
    find_foreign_edits,
    remove_foreign_fields,
    select_edits,
)
from selfhealing.cache.child_views import bound_manifest, deployment_view
from selfhealing.cache.views import MAX_EDIT_BYTES, MAX_MANIFEST_BYTES, DeploymentView
from tests.unit import builders
from tests.unit.template_edits import (
    SNIPPETS,
    Json,
    build_desired,
    build_edited,
    container_edit,
    merge,
    view_edited,
)

DESIRED = build_desired(
    port=5000,
    env=[{"name": "A", "value": "1"}],
    resources={"requests": {"cpu": "1"}},
    volumes=[{"name": "data", "emptyDir": {}}],
    volumeMounts=[{"name": "data", "mountPath": "/data"}],
)
TEMPLATE = DESIRED["spec"]["template"]
EVERY = EditSelection(all=True)

KINDS = st.lists(st.sampled_from(sorted(SNIPPETS)), unique=True)
SPECS = st.sampled_from([DESIRED, build_desired(), build_desired(nodeSelector={"a": "b"})])


def snippets(kinds: Sequence[str], desired: Json) -> list[Json]:
    """The snippets of these names; an atomic map of the spec is the spec's."""
    is_set = "nodeSelector" in desired["spec"]["template"]["spec"]
    return [SNIPPETS[kind] for kind in kinds if kind != "node" or not is_set]


@given(SPECS, KINDS)
def test_without_all_edits_the_template_is_what_a_fresh_apply_gives(
    desired: Json, kinds: list[str]
) -> None:
    """Whatever others have set is gone, and all of the manifest is there."""
    live = view_edited(desired, ("kubectl-edit", 5, snippets(kinds, desired)))
    rendered = desired["spec"]["template"]
    edits = select_edits(live, desired, EVERY)

    assert remove_foreign_fields(live, edits, rendered) == rendered
    assert bool(edits) is bool(snippets(kinds, desired))


@given(SPECS, KINDS, KINDS)
def test_the_edits_of_others_stay(desired: Json, first: list[str], second: list[str]) -> None:
    """Only the fields of the chosen edit are removed."""
    kept = snippets([kind for kind in second if kind not in first], desired)
    live = view_edited(desired, ("kubectl-edit", 5, snippets(first, desired)), ("helm", 9, kept))
    rendered = desired["spec"]["template"]
    chosen = select_edits(live, desired, EditSelection(one=("kubectl-edit", builders.at(5))))

    expected = rendered
    for change in kept:
        expected = merge(expected, change)
    assert sort(remove_foreign_fields(live, chosen, rendered)) == sort(expected)


def sort(value: object) -> object:
    """Lists in any order: an item that was added earlier comes earlier."""
    if isinstance(value, dict):
        return {key: sort(inner) for key, inner in value.items()}
    return sorted(map(sort, value), key=str) if isinstance(value, list) else value


@given(SPECS, KINDS)
def test_nothing_is_chosen_unless_it_is_asked_for(desired: Json, kinds: list[str]) -> None:
    """Fields that others have set are tolerated."""
    live = view_edited(desired, ("kubectl-edit", 5, snippets(kinds, desired)))

    assert () == select_edits(live, desired, EditSelection())
    assert () == select_edits(live, desired, EditSelection(one=("helm", builders.at(5))))
    assert () == select_edits(live, desired, EditSelection(one=("kubectl-edit", builders.at(6))))


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("command", "containers[app].command"),
        ("variable", "containers[app].env[THEIRS]"),
        ("probe", "containers[app].livenessProbe"),
        ("port", "containers[app].ports[9]"),
        ("limits", "containers[app].resources.limits"),
        ("mount", "containers[app].volumeMounts[/theirs]"),
        ("sidecar", "containers[proxy]"),
        ("volume", "volumes[theirs]"),
        ("dns", "dnsPolicy"),
        ("init", "initContainers"),
        ("node", "nodeSelector"),
        ("annotation", "metadata.annotations"),
        ("label", "metadata.labels[team]"),
    ],
)
def test_paths(kind: str, path: str) -> None:
    """A path names the highest field that the manifest does not set."""
    live = view_edited(DESIRED, ("kubectl-edit", 5, [SNIPPETS[kind]]))
    path = path.replace("labels[team]", "labels.team")

    assert (ForeignEdit("kubectl-edit", builders.at(5), (path,)),) == find_foreign_edits(
        live, TEMPLATE
    )


@given(SPECS, KINDS, KINDS)
def test_the_edits_of_a_manifest_that_is_too_large(
    desired: Json, first: list[str], second: list[str]
) -> None:
    """They are found as those of any other: a diagnosis has to be attributed to them."""
    edits = [
        (manager, at, snippets(kinds, desired))
        for manager, at, kinds in (("kubectl-edit", 5.0, first), ("helm", 9.0, second))
    ]
    fat = {**desired["metadata"]["annotations"], "fat": "x" * MAX_MANIFEST_BYTES}
    live = deployment_view(build_edited(desired, *edits, annotations=fat))
    kept = bound_manifest(live)
    rendered = desired["spec"]["template"]

    assert isinstance(kept, DeploymentView)
    assert b"" == kept.manifest_json
    assert find_foreign_edits(live, rendered) == find_foreign_edits(kept, rendered)


def test_an_edit_of_more_fields_than_are_kept() -> None:
    """Its manager and its time are still known, and what it has set is not silent."""
    many = container_edit(env=[{"name": f"V{number:05}", "value": "1"} for number in range(500)])
    fat = {**DESIRED["metadata"]["annotations"], "fat": "x" * MAX_MANIFEST_BYTES}
    live = deployment_view(
        build_edited(
            DESIRED,
            ("helm", 5.0, [many]),
            ("kubectl-edit", 9.0, [SNIPPETS["dns"]]),
            annotations=fat,
        )
    )
    kept = bound_manifest(live)

    assert isinstance(kept, DeploymentView)
    assert sum(len(edit.fields) for edit in kept.template_edits) <= MAX_EDIT_BYTES
    assert (
        ForeignEdit("kubectl-edit", builders.at(9), ("dnsPolicy",)),
        ForeignEdit("helm", builders.at(5), (UNKNOWN_FIELDS,)),
    ) == find_foreign_edits(kept, TEMPLATE)


def test_a_description_names_a_few_fields() -> None:
    """It has no values."""
    assert "a, b, c" == ForeignEdit("x", None, ("a", "b", "c")).description
    assert "a, b, c and 2 more" == ForeignEdit("x", None, tuple("abcde")).description


def test_no_edits() -> None:
    """There is no Deployment, or nobody has edited it, or only what the manifest sets."""
    ours = container_edit(image="other:v1")

    assert () == find_foreign_edits(None, TEMPLATE)
    assert () == find_foreign_edits(view_edited(DESIRED), TEMPLATE)
    live = deployment_view(
        build_edited(DESIRED, ("kubectl-set", 5, [ours]), managedFields=kubectl_alone(ours))
    )
    assert live.template_edits
    assert () == find_foreign_edits(live, TEMPLATE)
    assert () == select_edits(live, DESIRED, EVERY)


def kubectl_alone(change: Json) -> list[Json]:
    """The entries in managedFields without the operator's."""
    entries: list[Json] = build_edited(DESIRED, ("kubectl-set", 5, [change]))["metadata"][
        "managedFields"
    ]
    return entries[1:]


def test_a_field_that_two_others_own_stays_until_both_edits_are_removed() -> None:
    """The other manager still sets it."""
    dns = SNIPPETS["dns"]
    live = view_edited(DESIRED, ("kubectl-edit", 5, [dns]), ("helm", 9, [dns]))

    assert "dnsPolicy" in remove_foreign_fields(live, live.template_edits[:1], TEMPLATE)["spec"]
    assert TEMPLATE == remove_foreign_fields(live, live.template_edits, TEMPLATE)


def test_a_restart_is_not_undone() -> None:
    """Without the annotation of `kubectl rollout restart` the pods would be replaced again."""
    restart = {"metadata": {"annotations": {names.ANNOTATION_RESTARTED_AT: "now"}}}
    live = view_edited(DESIRED, ("kubectl-edit", 5, [restart, SNIPPETS["annotation"]]))

    template = remove_foreign_fields(live, live.template_edits, TEMPLATE)

    assert restart["metadata"]["annotations"] == template["metadata"]["annotations"]


def test_an_undo_is_always_removed() -> None:
    """It brings back what the spec asked for before, and its hash tells so."""
    annotations = {names.ANNOTATION_APPLIED_HASH: "earlier"}
    edit = ("kubectl", 5.0, [SNIPPETS["sidecar"]])
    undone = deployment_view(build_edited(DESIRED, edit, annotations=annotations))

    assert undone.template_edits == select_edits(undone, DESIRED, EditSelection())
    for applied in ("", DESIRED["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]):
        same = deployment_view(
            build_edited(DESIRED, edit, annotations={names.ANNOTATION_APPLIED_HASH: applied})
        )
        assert () == select_edits(same, DESIRED, EditSelection())


@pytest.mark.parametrize(
    "tree",
    [
        {"k:{": {}, "k:[]": {}, 'k:{"other":1}': {}, "v:1": {}, "i:0": {}},
        {"f:spec": {"f:containers": {"f:x": {}, 'k:{"name":"gone"}': {}}, "f:gone": {}}},
        {"f:spec": {"f:dnsPolicy": {"f:x": {}, 'k:{"name":"x"}': {}}}},
    ],
)
def test_a_tree_that_does_not_fit(tree: Json) -> None:
    """Keys that are none, and fields that the object does not have, are ignored."""
    live = build_edited(DESIRED, ("kubectl-edit", 5, []))
    live["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:template"] = tree
    live["spec"]["template"]["spec"] |= {"restartPolicy": "Always"}
    view = deployment_view(live)

    assert () == find_foreign_edits(view, TEMPLATE)
    kept = remove_foreign_fields(view, view.template_edits, TEMPLATE)
    assert live["spec"]["template"] == kept


def test_items_that_are_no_objects_stay() -> None:
    """A list of a field that has another type than the tree says."""
    live = build_edited(DESIRED, ("kubectl-edit", 5, [SNIPPETS["variable"]]))
    live["spec"]["template"]["spec"]["containers"][0]["env"].append("text")
    view = deployment_view(live)

    env = remove_foreign_fields(view, view.template_edits, TEMPLATE)["spec"]["containers"][0]["env"]

    assert [{"name": "A", "value": "1"}, "text"] == env
