"""What a child needs, by whose it is and how it is."""

import copy
from typing import Any

import pytest

from selfhealing.api.spec import parse
from selfhealing.api.status import JobStatus
from selfhealing.apply.child_diff import Need, Removal, handover, has_run, judge, leaving, removals
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ChildView
from selfhealing.render import Owner, children
from tests.unit import builders

OWNER = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)
MANAGER = "selfhealing-operator"

Json = dict[str, Any]


def desired(spec: Json | None = None) -> Json:
    """The Deployment that is wanted."""
    return children(OWNER, parse(spec or {"image": "web:v1"}))[0]


def live(change: Json | None = None, *, owner: str = builders.APP_UID, **meta: Any) -> ChildView:  # noqa: ANN401
    """The Deployment as the API server has it, with ``change`` laid over its spec."""
    found = copy.deepcopy(desired())
    found["metadata"] |= {"uid": "uid-of-Deployment", "resourceVersion": "7", **meta}
    if not owner:
        del found["metadata"]["ownerReferences"]
    else:
        found["metadata"]["ownerReferences"][0]["uid"] = owner
    found["spec"] |= change or {}
    return CHILD_VIEWS["Deployment"](found)


def stranger(kind: str, **reference: Any) -> ChildView:  # noqa: ANN401 - JSON
    """A Deployment that another controller owns."""
    return live(
        ownerReferences=[
            {"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": "u", "controller": True}
            | reference
        ],
        owner="u",
    )


def test_a_missing_child_is_made() -> None:
    """Nothing is there."""
    assert Need.CREATE is judge(builders.APP_UID, None, desired())


def test_a_right_child_is_left_alone() -> None:
    """Everything that was applied stands there."""
    assert Need.KEEP is judge(builders.APP_UID, live(), desired())


def test_a_new_spec_is_applied() -> None:
    """Also when it only leaves something out."""
    assert Need.UPDATE is judge(builders.APP_UID, live(), desired({"image": "web:v2"}))


def test_drift_is_put_right() -> None:
    """Somebody changed a field of ours."""
    assert Need.CORRECT is judge(builders.APP_UID, live({"replicas": 9}), desired())


def test_what_a_webhook_made_of_the_apply_is_kept() -> None:
    """Else the two would write for ever."""
    rewritten = live({"replicas": 9})

    assert Need.KEEP is judge(builders.APP_UID, rewritten, desired(), rewritten.document)


def test_a_child_that_goes_is_waited_for() -> None:
    """A new one can be made when it is gone."""
    going = live(deletionTimestamp=builders.iso(0))

    assert Need.WAIT is judge(builders.APP_UID, going, desired())


def test_a_child_of_another_controller_is_refused() -> None:
    """Whatever it looks like."""
    assert Need.REFUSE is judge(builders.APP_UID, stranger("Other"), desired())


def test_a_child_of_a_deleted_namesake_is_waited_for() -> None:
    """It goes with its owner."""
    old = stranger("SelfHealingApp", apiVersion="selfhealing.dev/v1alpha1")

    assert Need.WAIT is judge(builders.APP_UID, old, desired())


@pytest.mark.parametrize(
    ("annotations", "need"),
    [
        ({}, Need.REFUSE),
        ({"selfhealing.dev/adopt": "true"}, Need.ADOPT),
        ({"selfhealing.dev/adopt": "yes"}, Need.REFUSE),
        (desired()["metadata"]["annotations"], Need.CORRECT),
    ],
)
def test_a_child_of_nobody(annotations: Json, need: Need) -> None:
    """Refused, unless it asks to be taken over or is ours without its owner."""
    assert need is judge(builders.APP_UID, live(owner="", annotations=annotations), desired())


def facts(*views: ChildView) -> Facts:
    """An app with these children."""
    return Facts(app=app_view(builders.app()), children={view.kind: view for view in views})


def test_what_the_spec_no_longer_asks_for_goes() -> None:
    """Only what is the app's own and does not go already."""
    service = CHILD_VIEWS["Service"](builders.service())
    foreign = CHILD_VIEWS["HorizontalPodAutoscaler"](builders.autoscaler(owner="somebody"))

    assert (Removal("Service", "web", "uid-of-Service"),) == removals(
        facts(live(), service, foreign), (desired(),)
    )
    going = CHILD_VIEWS["Service"](builders.service(deletionTimestamp=builders.iso(0)))
    assert () == removals(facts(live(), going), (desired(),))


AUTOSCALED = {"image": "web:v1", "autoscaling": {"maxReplicas": 5}}


def owned(replicas: int, *managers: str) -> ChildView:
    """A Deployment whose ``replicas`` these managers own."""
    return live(
        {"replicas": replicas},
        managedFields=[
            {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}} for manager in managers
        ],
    )


@pytest.mark.parametrize(
    ("view", "spec", "minimum", "expected"),
    [
        (owned(3, MANAGER), {"image": "web:v1"}, 0, None),
        (None, AUTOSCALED, 1, None),
        (None, AUTOSCALED, 2, 2),
        (owned(3, MANAGER), AUTOSCALED, 1, 3),
        (owned(0, MANAGER), AUTOSCALED, 2, 2),
        (owned(3, MANAGER, "kube-controller-manager"), AUTOSCALED, 1, None),
        (owned(3), AUTOSCALED, 1, None),
        (CHILD_VIEWS["Service"](builders.service()), AUTOSCALED, 1, None),
    ],
)
def test_handover(view: ChildView | None, spec: Json, minimum: int, expected: int | None) -> None:
    """Only what the operator alone owns is handed over; 0 is raised to the minimum."""
    assert expected == handover(view, desired(spec), minimum)


NEVER: Json = {"image": "web:v1", "restartPolicy": "Never"}


def job(spec: Json | None = None, status: Json | None = None, **meta: Any) -> ChildView:  # noqa: ANN401
    """The Job as the API server has it."""
    found = copy.deepcopy(desired(spec or NEVER))
    annotations = {**found["metadata"]["annotations"], **meta.pop("annotations", {})}
    found["metadata"] |= {"uid": "uid-of-Job", "annotations": annotations, **meta}
    found["status"] = status or {}
    return CHILD_VIEWS["Job"](found)


GAVE_UP: Json = {
    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
}


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({}, Need.KEEP),
        ({"port": 80, "service": {"enabled": False}}, Need.REPLACE),
        ({"image": "web:v2"}, Need.REPLACE),
        ({"restartPolicy": "OnFailure"}, Need.REPLACE),
        ({"job": {"completions": 3}}, Need.REPLACE),
        ({"job": {"completions": 1, "parallelism": 3}}, Need.UPDATE),
        ({"job": {"backoffLimit": 1}}, Need.UPDATE),
        ({"job": {"activeDeadlineSeconds": 60}}, Need.UPDATE),
    ],
)
def test_a_job_is_replaced_only_if_it_has_to_be(change: Json, need: Need) -> None:
    """What can be changed in it is changed in it."""
    assert need is judge(builders.APP_UID, job(), desired({**NEVER, **change}))


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({"job": {"backoffLimit": 7}}, Need.REPLACE),
        ({"job": {"activeDeadlineSeconds": 60}}, Need.REPLACE),
        ({"job": {"backoffLimit": 6}}, Need.UPDATE),
        ({"job": {"completions": 1, "parallelism": 3}}, Need.UPDATE),
    ],
)
def test_another_limit_gives_a_job_that_has_given_up_another_try(change: Json, need: Need) -> None:
    """Six failures are Kubernetes' own limit."""
    failed = job(status=GAVE_UP)

    assert Need.KEEP is judge(builders.APP_UID, failed, desired(NEVER))
    assert need is judge(builders.APP_UID, failed, desired({**NEVER, **change}))


@pytest.mark.parametrize(("image", "need"), [("web:v1", Need.UPDATE), ("web:v2", Need.REPLACE)])
def test_a_job_without_its_marks_is_told_by_its_template(image: str, need: Need) -> None:
    """Somebody took the annotations off."""
    bare = job(annotations={"selfhealing.dev/run": "", "selfhealing.dev/applied": ""})

    assert need is judge(builders.APP_UID, bare, desired({**NEVER, "image": image}))


def test_a_changed_mark_is_put_right() -> None:
    """It is no reason to run again."""
    changed = job(annotations={"selfhealing.dev/run": "other"})

    assert Need.CORRECT is judge(builders.APP_UID, changed, desired(NEVER))


def test_a_job_that_has_run_and_is_gone_is_not_made_again() -> None:
    """Nor while it is being deleted; but for another run it is, and one that had not ended."""
    wanted = desired(NEVER)
    mark = wanted["metadata"]["annotations"]["selfhealing.dev/run"]
    done = JobStatus(run=mark, result="Complete")

    assert has_run(done, None, wanted)
    assert has_run(done, job(deletionTimestamp=builders.iso(0)), wanted)
    assert not has_run(done, job(), wanted)
    assert not has_run(None, None, wanted)
    assert not has_run(JobStatus(run=mark), None, wanted)
    assert not has_run(done, None, desired({**NEVER, "image": "web:v2"}))
    assert not has_run(done, None, desired())


def test_a_job_that_gave_up_and_is_gone_gets_another_try_with_another_limit() -> None:
    """The limits that it had are remembered with it."""
    mark = desired(NEVER)["metadata"]["annotations"]["selfhealing.dev/run"]
    over = JobStatus(run=mark, result="Failed", backoff_limit=6, active_deadline_seconds=None)

    assert has_run(over, None, desired(NEVER))
    assert has_run(over, None, desired({**NEVER, "job": {"backoffLimit": 6}}))
    assert not has_run(over, None, desired({**NEVER, "job": {"backoffLimit": 7}}))
    assert not has_run(over, None, desired({**NEVER, "job": {"activeDeadlineSeconds": 7}}))


def test_what_makes_pods_waits_for_what_made_them() -> None:
    """A Job for the Deployment and the other way round; nothing else has to wait."""
    facts = Facts(app_view(builders.app()), {"Deployment": live(deletionTimestamp=builders.iso(0))})
    foreign = Facts(app_view(builders.app()), {"Deployment": stranger("Other")})
    service = children(OWNER, parse({"image": "web:v1", "port": 80}))[1]

    assert "Deployment" == leaving(facts, desired(NEVER))
    assert "Job" == leaving(Facts(app_view(builders.app()), {"Job": job()}), desired())
    assert leaving(facts, desired()) is None
    assert leaving(facts, service) is None
    assert leaving(foreign, desired(NEVER)) is None


def test_what_makes_pods_is_removed_last() -> None:
    """An autoscaler would report that its target is gone."""
    held = {kind: CHILD_VIEWS[kind](builders.child(kind)) for kind in CHILD_VIEWS}
    kinds = [removal.kind for removal in removals(Facts(app_view(builders.app()), held), ())]

    assert {"Deployment", "Job"} == set(kinds[-2:])
    assert set(held) == set(kinds)
