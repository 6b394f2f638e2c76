"""What a person can do with an app, and what is written for it."""

import pytest

from selfhealing.kube.errors import ConflictError, NotFoundError
from selfhealing.plugin.cluster.operate import MAX_TRIES, operate
from selfhealing.plugin.cluster.reader import AppNotFoundError, list_apps
from selfhealing.plugin.view.actions import Operation, OperationRefusedError, plan_change
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.objects import AppObjects
from tests.unit import builders as b
from tests.unit.plugin import apps
from tests.unit.plugin.test_explain import healing

PROPOSED = {
    "id": 3,
    "remediation": "ReplacePod",
    "diagnosis": "NotReadyTooLong",
    "outcome": "Proposed",
    "at": b.iso(3500),
}


def app(record: apps.Json | None = None, **spec: object) -> AppObjects:
    status = {} if record is None else {"healing": record}
    return AppObjects(b.app({"image": "web:v1", **spec}, status, resourceVersion="42"), apps.NOW)


def test_an_approval_names_the_proposal_and_the_version_that_was_seen() -> None:
    change = plan_change(build_app(app(healing(history=[PROPOSED]))), Operation.APPROVE)

    assert {
        "metadata": {"resourceVersion": "42", "annotations": {"selfhealing.dev/approve": "3"}}
    } == change.patch
    assert "approved ReplacePod (id 3) for NotReadyTooLong" in change.effect


def test_another_proposal_is_not_approved() -> None:
    model = build_app(app(healing(history=[PROPOSED])))

    with pytest.raises(OperationRefusedError, match="now it is ReplacePod \\(id 3\\)"):
        plan_change(model, Operation.APPROVE, 2)


@pytest.mark.parametrize(
    ("record", "operation", "text"),
    [
        (healing(), Operation.APPROVE, "nothing of web waits for approval \\(healing mode Auto\\)"),
        (None, Operation.APPROVE, "healing mode Off"),
        (healing(), Operation.RETRY, "is not rolled back"),
        (None, Operation.RESUME, "has no healing"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    record: apps.Json | None, operation: Operation, text: str
) -> None:
    with pytest.raises(OperationRefusedError, match=text):
        plan_change(build_app(app(record)), operation)


def test_each_resume_has_a_new_value() -> None:
    value = str(int(apps.NOW.timestamp()))
    first = plan_change(build_app(app(healing(quarantined=True))), Operation.RESUME)
    second = plan_change(build_app(app(healing(observedResume=value))), Operation.RESUME)

    assert value == first.patch["metadata"]["annotations"]["selfhealing.dev/resume"]
    assert value != second.patch["metadata"]["annotations"]["selfhealing.dev/resume"]
    assert "resumed: the quarantine ends, the budget is whole again" in first.effect


def test_a_retry_says_that_the_revision_is_tried_again() -> None:
    change = plan_change(build_app(app(healing(failedRevision="rev-2"))), Operation.RETRY)

    assert "retry: the revision that was rolled back is tried again" in change.effect


def test_a_pause_and_its_end() -> None:
    paused = plan_change(build_app(app()), Operation.PAUSE)
    unpaused = plan_change(build_app(app(paused=True)), Operation.UNPAUSE)

    assert {"paused": True} == paused.patch["spec"]
    assert {"paused": None} == unpaused.patch["spec"]


@pytest.mark.parametrize(
    ("paused", "operation", "state"),
    [(True, Operation.PAUSE, "paused already"), (False, Operation.UNPAUSE, "not paused")],
)
def test_nothing_is_written_twice(
    paused: bool,  # noqa: FBT001 - of a table
    operation: Operation,
    state: str,
) -> None:
    cluster = apps.FakeCluster(app(paused=paused))

    assert state in operate(cluster, "shop", "web", operation)
    assert [] == cluster.patches


def test_a_change_meanwhile_is_looked_at_again() -> None:
    cluster = apps.FakeCluster(app(healing(history=[PROPOSED])))
    cluster.conflicts = [ConflictError(409, "Conflict", "modified")] * (MAX_TRIES - 1)
    operate(cluster, "shop", "web", Operation.APPROVE)

    assert 1 == len(cluster.patches)


def test_the_tries_end() -> None:
    cluster = apps.FakeCluster(app(healing()))
    cluster.conflicts = [ConflictError(409, "Conflict", "modified")] * MAX_TRIES

    with pytest.raises(ConflictError):
        operate(cluster, "shop", "web", Operation.PAUSE)


def test_a_new_proposal_is_not_approved_in_place_of_the_one_that_was_seen() -> None:
    class ChangingCluster(apps.FakeCluster):
        """The app has another proposal after the first patch, which is refused."""

        def merge_patch(self, *_: object) -> apps.Json:
            self.objects = app(healing(history=[{**PROPOSED, "id": 4}]))
            raise ConflictError(409, "Conflict", "modified")

    cluster = ChangingCluster(app(healing(history=[PROPOSED])))

    with pytest.raises(OperationRefusedError, match="the action 3 does not wait"):
        operate(cluster, "shop", "web", Operation.APPROVE)
    assert [] == cluster.patches


def test_a_missing_app_is_told_with_those_that_exist() -> None:
    cluster = apps.FakeCluster(app())

    with pytest.raises(AppNotFoundError, match=r"there is no SelfHealingApp wev in shop.*are: web"):
        operate(cluster, "shop", "wev", Operation.PAUSE)
    with pytest.raises(AppNotFoundError, match=r"there is no SelfHealingApp in other; .*status -A"):
        operate(cluster, "other", "web", Operation.PAUSE)


def test_a_cluster_without_the_kind() -> None:
    cluster = apps.FakeCluster(app(), {"SelfHealingApp": NotFoundError(404, "NotFound", "no kind")})

    with pytest.raises(AppNotFoundError, match="this cluster has no SelfHealingApps"):
        operate(cluster, "shop", "web", Operation.PAUSE)
    with pytest.raises(AppNotFoundError, match="this cluster has no SelfHealingApps"):
        list_apps(cluster, None)
