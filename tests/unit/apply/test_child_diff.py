"""The action for a child, by its owner and its drift."""

import copy
from typing import Any

import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import JobStatus
from selfhealing.apply.child_diff import (
    ChildAction,
    PruneTarget,
    diff_child,
    find_blocking_workload,
    find_prune_targets,
    handover_replicas,
    has_already_run,
    initial_manifest,
    is_manifest_needed,
    scale_target_kind,
)
from selfhealing.cache.child_views import CHILD_VIEWS, bound_manifest, hash_manifest
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import MAX_MANIFEST_BYTES, ChildView
from selfhealing.render import Owner, build_children
from tests.unit import builders
from tests.unit.snapshots import KEY, put_object

OWNER = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)
MANAGER = "selfhealing-operator"

Json = dict[str, Any]


def desired(spec: Json | None = None) -> Json:
    """Return the desired Deployment."""
    return build_children(OWNER, parse_spec(spec or {"image": "web:v1"}))[0]


def live_child(
    change: Json | None = None,
    *,
    owner: str = builders.APP_UID,
    **meta: Any,  # noqa: ANN401 - metadata of any kind
) -> ChildView:
    """Return the live Deployment, with ``change`` merged into its spec."""
    manifest = copy.deepcopy(desired())
    manifest["metadata"] |= {"uid": "uid-of-Deployment", "resourceVersion": "7", **meta}
    if not owner:
        del manifest["metadata"]["ownerReferences"]
    else:
        manifest["metadata"]["ownerReferences"][0]["uid"] = owner
    manifest["spec"] |= change or {}
    return CHILD_VIEWS["Deployment"](manifest)


def foreign_child(kind: str, **reference: Any) -> ChildView:  # noqa: ANN401 - JSON
    """Return a child with another owner."""
    return live_child(
        ownerReferences=[
            {"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": "u", "controller": True}
            | reference
        ],
        owner="u",
    )


def test_a_missing_child_is_made() -> None:
    """A missing child is created."""
    assert ChildAction.CREATE is diff_child(builders.APP_UID, None, desired())


def test_an_up_to_date_child_needs_nothing() -> None:
    """A child with all applied fields needs nothing."""
    assert ChildAction.NOOP is diff_child(builders.APP_UID, live_child(), desired())


def test_a_new_spec_is_applied() -> None:
    """A removed field is an update as well."""
    assert ChildAction.UPDATE is diff_child(
        builders.APP_UID, live_child(), desired({"image": "web:v2"})
    )


def test_drift_is_reverted() -> None:
    """Another client changed a field of the manifest."""
    assert ChildAction.REVERT_DRIFT is diff_child(
        builders.APP_UID, live_child({"replicas": 9}), desired()
    )


def test_a_field_that_a_webhook_changed_is_kept() -> None:
    """Else the operator and the webhook would overwrite each other without end."""
    rewritten = live_child({"replicas": 9})

    assert ChildAction.NOOP is diff_child(
        builders.APP_UID, rewritten, desired(), hash_manifest(rewritten)
    )


@pytest.mark.parametrize(
    ("needed", "owner", "meta"),
    [
        (True, builders.APP_UID, {}),
        (True, builders.APP_UID, {"annotations": {}}),
        (False, "uid-of-another", {}),
        (True, "", {}),
        (True, "", {"annotations": {names.ANNOTATION_APPLIED_HASH: "earlier"}}),
        (False, "", {"annotations": {}}),
        (True, "", {"annotations": {names.ANNOTATION_ADOPT: "true"}}),
    ],
    ids=[
        "ours",
        "ours, changed",
        "another's",
        "orphaned",
        "of an earlier app",
        "nobody's",
        "to be adopted",
    ],
)
def test_what_is_not_ours_is_not_read(needed: bool, owner: str, meta: Json) -> None:  # noqa: FBT001 - a case
    """Nothing of an object is compared that the operator may not write."""
    assert needed is is_manifest_needed(builders.APP_UID, live_child(owner=owner, **meta))


def test_a_child_that_is_being_deleted_is_waited_for() -> None:
    """A new child can be created when the old one is gone."""
    going = live_child(deletionTimestamp=builders.iso(0))

    assert ChildAction.WAIT is diff_child(builders.APP_UID, going, desired())


def test_a_child_of_another_controller_is_a_conflict() -> None:
    """The fields of the child do not matter."""
    assert ChildAction.CONFLICT is diff_child(builders.APP_UID, foreign_child("Other"), desired())


def test_a_child_of_an_earlier_app_is_waited_for() -> None:
    """Garbage collection deletes it with its owner."""
    old = foreign_child("SelfHealingApp", apiVersion="selfhealing.dev/v1alpha1")

    assert ChildAction.WAIT is diff_child(builders.APP_UID, old, desired())


@pytest.mark.parametrize(
    ("annotations", "need"),
    [
        ({}, ChildAction.CONFLICT),
        ({"selfhealing.dev/adopt": "true"}, ChildAction.ADOPT),
        ({"selfhealing.dev/adopt": "yes"}, ChildAction.CONFLICT),
        (desired()["metadata"]["annotations"], ChildAction.REVERT_DRIFT),
    ],
)
def test_a_child_without_an_owner(annotations: Json, need: ChildAction) -> None:
    """It is a conflict, unless it has the adopt annotation or the applied hash of the app."""
    assert need is diff_child(
        builders.APP_UID, live_child(owner="", annotations=annotations), desired()
    )


def test_a_deployment_with_another_selector_is_never_taken_over() -> None:
    """The selector is immutable."""
    other = live_child(
        {"selector": {"matchLabels": {"app": "old"}}},
        owner="",
        annotations={names.ANNOTATION_ADOPT: "true"},
    )

    assert ChildAction.CONFLICT is diff_child(builders.APP_UID, other, desired())


EARLIER = {names.ANNOTATION_APPLIED_HASH: "earlier"}
"""The mark of another manifest of the operator: its app had another UID."""


@pytest.mark.parametrize(
    ("need", "meta", "change"),
    [
        (ChildAction.ADOPT, {}, {}),
        (ChildAction.ADOPT, {}, {"replicas": 7}),
        (ChildAction.CONFLICT, {"annotations": {}}, {}),
        (ChildAction.CONFLICT, {"labels": {"selfhealing.dev/app": "web"}}, {}),
        (ChildAction.CONFLICT, {"labels": None}, {}),
        (ChildAction.CONFLICT, {}, {"selector": {"matchLabels": {"app": "web"}}}),
    ],
    ids=[
        "as it was",
        "with another value",
        "not made by the operator",
        "half a mark",
        "no labels",
        "another selector",
    ],
)
def test_an_orphan_of_the_operator_is_taken_up_again(
    need: ChildAction, meta: Json, change: Json
) -> None:
    """It was left by --cascade=orphan or by a restore: the mark and the selector are the app's."""
    orphan = live_child(change, owner="", **{"annotations": EARLIER, **meta})

    assert need is diff_child(builders.APP_UID, orphan, desired())


def test_an_object_with_an_owner_is_no_orphan() -> None:
    """Also if that owner does not control it."""
    other = [{"kind": "Other", "apiVersion": "v1", "name": "x", "uid": "other"}]
    owned = live_child(owner="other", annotations=EARLIER, ownerReferences=other)

    assert "" == owned.owner_uid
    assert ChildAction.CONFLICT is diff_child(builders.APP_UID, owned, desired())


@pytest.mark.parametrize(
    ("image", "need"), [("web:v1", ChildAction.ADOPT), ("web:v2", ChildAction.CONFLICT)]
)
def test_an_orphaned_job_of_another_run_is_left_alone(image: str, need: ChildAction) -> None:
    """It would be deleted for the run that is wanted."""
    orphan = live_job({**JOB_SPEC, "image": image}, annotations=EARLIER, ownerReferences=[])

    assert need is diff_child(builders.APP_UID, orphan, desired(JOB_SPEC))


def test_a_large_orphan_is_not_taken() -> None:
    """Its manifest is not read: anybody may have made it."""
    orphan = bound_manifest(
        live_child({"fat": "x" * MAX_MANIFEST_BYTES}, owner="", annotations=EARLIER)
    )

    assert ChildAction.CONFLICT is diff_child(builders.APP_UID, orphan, desired())


def app_snapshot(*views: ChildView) -> AppSnapshot:
    """Return a snapshot of an app with these children."""
    return AppSnapshot(app=app_view(builders.app()), children={view.kind: view for view in views})


def test_unwanted_children_are_pruned() -> None:
    """Only owned children that are not being deleted are pruned."""
    service = CHILD_VIEWS["Service"](builders.service())
    foreign = CHILD_VIEWS["HorizontalPodAutoscaler"](builders.hpa(owner="somebody"))

    assert (PruneTarget("Service", "web", "uid-of-Service"),) == find_prune_targets(
        app_snapshot(live_child(), service, foreign), (desired(),)
    )
    going = CHILD_VIEWS["Service"](builders.service(deletionTimestamp=builders.iso(0)))
    assert () == find_prune_targets(app_snapshot(live_child(), going), (desired(),))


def snapshot_of(*objects: Json) -> AppSnapshot:
    """Return the snapshot of an app with these objects."""
    store = Store()
    for each in (builders.app(), *objects):
        put_object(store, each)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    return snapshot


LARGE = {"tenant.example/notes": "x" * (MAX_MANIFEST_BYTES + 1)}


def deployment_with_account(name: str = "", **more: Any) -> Json:  # noqa: ANN401 - as builder
    """Return a Deployment whose pods are of the ReplicaSet abc and run as an account."""
    thing = builders.deployment(**more)
    thing["spec"]["template"] = {"spec": {"serviceAccountName": name} if name else {}}
    return thing


@pytest.mark.parametrize(
    ("objects", "is_pruned"),
    [
        ([], True),
        ([builders.pod("web-abc-1")], False),
        ([deployment_with_account()], True),
        ([deployment_with_account(), builders.pod("web-abc-1")], True),
        ([deployment_with_account(), builders.pod("web-old-1")], False),
        ([deployment_with_account(), builders.pod("web-old-1", phase="Failed")], True),
        ([deployment_with_account(observed=False)], False),
        ([deployment_with_account("web")], False),
        ([deployment_with_account("other")], True),
        ([deployment_with_account("web", annotations=LARGE)], False),
        ([deployment_with_account("other", annotations=LARGE)], True),
        ([builders.job()], True),
        ([builders.job(), builders.pod("web-abc-1")], True),
    ],
    ids=[
        "nothing else",
        "pods without a workload",
        "no pods",
        "pods of the version",
        "pods of an earlier version",
        "an evicted pod of an earlier version",
        "an unobserved change",
        "still asked for",
        "another account",
        "still asked for, in a manifest that is not kept",
        "another account, in a manifest that is not kept",
        "a Job",
        "pods of a Job",
    ],
)
def test_an_account_is_pruned_when_no_pod_runs_as_it(
    objects: list[Json], *, is_pruned: bool
) -> None:
    """Without it their tokens would be invalid, and no pod of their version could be created."""
    snapshot = snapshot_of(builders.child("ServiceAccount"), *objects)
    pruned = {target.kind for target in find_prune_targets(snapshot, ())}

    assert is_pruned == ("ServiceAccount" in pruned)


AUTOSCALED = {"image": "web:v1", "autoscaling": {"maxReplicas": 5}}


def child_with_managers(replicas: int, *managers: str) -> ChildView:
    """Return a Deployment whose ``replicas`` have these field managers."""
    return live_child(
        {"replicas": replicas},
        managedFields=[
            {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}} for manager in managers
        ],
    )


@pytest.mark.parametrize(
    ("view", "spec", "minimum", "expected"),
    [
        (child_with_managers(3, MANAGER), {"image": "web:v1"}, 0, None),
        (None, AUTOSCALED, 1, None),
        (None, AUTOSCALED, 2, 2),
        (child_with_managers(3, MANAGER), AUTOSCALED, 1, 3),
        (child_with_managers(0, MANAGER), AUTOSCALED, 2, 2),
        (child_with_managers(3, MANAGER, "kube-controller-manager"), AUTOSCALED, 1, None),
        (child_with_managers(3), AUTOSCALED, 1, None),
        (CHILD_VIEWS["Service"](builders.service()), AUTOSCALED, 1, None),
    ],
)
def test_handover(view: ChildView | None, spec: Json, minimum: int, expected: int | None) -> None:
    """Replicas are handed over if only the operator owns them; 0 is raised to the minimum."""
    assert expected == handover_replicas(view, desired(spec), minimum)


JOB_SPEC: Json = {"image": "web:v1", "restartPolicy": "Never"}


def live_job(spec: Json | None = None, status: Json | None = None, **meta: Any) -> ChildView:  # noqa: ANN401
    """Return the live Job."""
    manifest = copy.deepcopy(desired(spec or JOB_SPEC))
    annotations = {**manifest["metadata"]["annotations"], **meta.pop("annotations", {})}
    manifest["metadata"] |= {"uid": "uid-of-Job", "annotations": annotations, **meta}
    manifest["status"] = status or {}
    return CHILD_VIEWS["Job"](manifest)


FAILED_JOB_STATUS: Json = {
    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
}


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({}, ChildAction.NOOP),
        ({"port": 80, "service": {"enabled": False}}, ChildAction.REPLACE),
        ({"image": "web:v2"}, ChildAction.REPLACE),
        ({"restartPolicy": "OnFailure"}, ChildAction.REPLACE),
        ({"job": {"completions": 3}}, ChildAction.REPLACE),
        ({"job": {"completions": 1, "parallelism": 3}}, ChildAction.UPDATE),
        ({"job": {"backoffLimit": 1}}, ChildAction.UPDATE),
        ({"job": {"activeDeadlineSeconds": 60}}, ChildAction.UPDATE),
    ],
)
def test_a_job_is_replaced_only_if_it_has_to_be(change: Json, need: ChildAction) -> None:
    """A change of mutable fields is an update."""
    assert need is diff_child(builders.APP_UID, live_job(), desired({**JOB_SPEC, **change}))


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({"job": {"backoffLimit": 7}}, ChildAction.REPLACE),
        ({"job": {"activeDeadlineSeconds": 60}}, ChildAction.REPLACE),
        ({"job": {"backoffLimit": 6}}, ChildAction.UPDATE),
        ({"job": {"completions": 1, "parallelism": 3}}, ChildAction.UPDATE),
    ],
)
def test_a_changed_limit_replaces_a_failed_job(change: Json, need: ChildAction) -> None:
    """Kubernetes' default of backoffLimit is 6."""
    failed = live_job(status=FAILED_JOB_STATUS)

    assert ChildAction.NOOP is diff_child(builders.APP_UID, failed, desired(JOB_SPEC))
    assert need is diff_child(builders.APP_UID, failed, desired({**JOB_SPEC, **change}))


@pytest.mark.parametrize(
    ("image", "need"), [("web:v1", ChildAction.UPDATE), ("web:v2", ChildAction.REPLACE)]
)
def test_a_job_without_annotations_is_compared_by_its_template(
    image: str, need: ChildAction
) -> None:
    """The annotations of the Job were removed."""
    bare = live_job(annotations={"selfhealing.dev/run": "", "selfhealing.dev/applied": ""})

    assert need is diff_child(builders.APP_UID, bare, desired({**JOB_SPEC, "image": image}))


def test_a_changed_run_hash_is_reverted() -> None:
    """A changed annotation is no reason to run again."""
    changed = live_job(annotations={"selfhealing.dev/run": "other"})

    assert ChildAction.REVERT_DRIFT is diff_child(builders.APP_UID, changed, desired(JOB_SPEC))


def test_a_completed_job_is_not_created_again() -> None:
    """The Job is created only for another run, or if it had not completed."""
    desired_job = desired(JOB_SPEC)
    run_hash = desired_job["metadata"]["annotations"]["selfhealing.dev/run"]
    done = JobStatus(run=run_hash, result="Complete")

    assert has_already_run(done, None, desired_job)
    assert has_already_run(done, live_job(deletionTimestamp=builders.iso(0)), desired_job)
    assert not has_already_run(done, live_job(), desired_job)
    assert not has_already_run(None, None, desired_job)
    assert not has_already_run(JobStatus(run=run_hash), None, desired_job)
    assert not has_already_run(done, None, desired({**JOB_SPEC, "image": "web:v2"}))
    assert not has_already_run(done, None, desired())


def test_a_failed_job_is_created_again_with_another_limit() -> None:
    """The status keeps the limits of the last run."""
    run_hash = desired(JOB_SPEC)["metadata"]["annotations"]["selfhealing.dev/run"]
    over = JobStatus(run=run_hash, result="Failed", backoff_limit=6, active_deadline_seconds=None)

    assert has_already_run(over, None, desired(JOB_SPEC))
    assert has_already_run(over, None, desired({**JOB_SPEC, "job": {"backoffLimit": 6}}))
    assert not has_already_run(over, None, desired({**JOB_SPEC, "job": {"backoffLimit": 7}}))
    assert not has_already_run(
        over, None, desired({**JOB_SPEC, "job": {"activeDeadlineSeconds": 7}})
    )


def test_a_workload_waits_for_the_other_kind() -> None:
    """A Job waits for the Deployment to be gone and vice versa; other kinds do not wait."""
    ending = {"Deployment": live_child(deletionTimestamp=builders.iso(0))}
    foreign = {"Deployment": foreign_child("Other")}
    service = build_children(OWNER, parse_spec({"image": "web:v1", "port": 80}))[1]
    uid = builders.APP_UID

    assert "Deployment" == find_blocking_workload(uid, ending, desired(JOB_SPEC))
    assert "Job" == find_blocking_workload(uid, {"Job": live_job()}, desired())
    assert find_blocking_workload(uid, ending, desired()) is None
    assert find_blocking_workload(uid, ending, service) is None
    assert find_blocking_workload(uid, foreign, desired(JOB_SPEC)) is None


def test_the_workload_is_pruned_last() -> None:
    """An autoscaler would report a missing target."""
    children_by_kind = {kind: CHILD_VIEWS[kind](builders.child(kind)) for kind in CHILD_VIEWS}
    kinds = [
        removal.kind
        for removal in find_prune_targets(
            AppSnapshot(app_view(builders.app()), children_by_kind), ()
        )
    ]

    assert {"Deployment", "Job"} == set(kinds[-2:])
    assert set(children_by_kind) == set(kinds)


AUTOSCALED = {"image": "web:v1", "autoscaling": {"maxReplicas": 5, "cpu": 50}}


def test_a_deployment_is_created_with_the_pods_that_its_autoscaler_starts_with() -> None:
    """Other children, and a Deployment without an autoscaler, are created as they are desired."""
    deployment, autoscaler = build_children(OWNER, parse_spec(AUTOSCALED))[:2]

    assert 3 == initial_manifest(deployment, 3)["spec"]["replicas"]
    assert "replicas" not in deployment["spec"]
    assert autoscaler == initial_manifest(autoscaler, 3)
    assert desired() == initial_manifest(desired(), 0)


def test_what_an_autoscaler_targets() -> None:
    """A horizontal one, a vertical one; another child targets nothing."""
    spec = {**AUTOSCALED, "verticalScaling": {"controls": ["memory"]}}
    children = build_children(OWNER, parse_spec(spec))

    assert {
        "Deployment": "",
        "HorizontalPodAutoscaler": "Deployment",
        "VerticalPodAutoscaler": "Deployment",
    } == {child["kind"]: scale_target_kind(child) for child in children}
