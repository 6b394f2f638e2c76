"""The report as a whole: the status block, its patch, and when to look again."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.api.healing_status import BlockedReason
from selfhealing.api.status import read_status
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.cache.views import AppKey
from selfhealing.remediation.context import ExternalState
from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    deployment,
    evicted_pod,
    hpa,
    iso,
    pod,
    probe_kill_event,
    progressing_condition,
    replica_failure_condition,
    running,
    service,
    terminated,
    termination,
    unschedulable_condition,
    waiting,
)
from tests.unit.examples import scale_examples
from tests.unit.snapshots import (
    Json,
    build_snapshot,
    evaluate_app,
    evaluate_invalid_app,
    revision_of_spec,
    status_json,
)


def apply_merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Apply a JSON merge patch: the pseudocode of RFC 7386, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


ENDS = [
    termination(1),
    termination(137, "OOMKilled"),
    termination(0),
    termination(137, started=50, finished=60),
]
STATUSES = st.one_of(
    st.builds(running, st.sampled_from([0, 61, 95]), ready=st.booleans()),
    st.builds(
        lambda restarts, end, since: running(since, restarts=restarts, last=end),
        st.integers(1, 4),
        st.sampled_from(ENDS),
        st.sampled_from([61, 95]),
    ),
    st.builds(crash_loop, st.integers(0, 4), st.sampled_from(ENDS)),
    st.builds(terminated, st.sampled_from(ENDS), restarts=st.integers(0, 3)),
    st.sampled_from(
        [
            waiting("ContainerCreating"),
            waiting("ErrImagePull", "failed: not found"),
            waiting("CreateContainerConfigError", 'secret "x" not found'),
        ]
    ),
)


@st.composite
def pods(draw: st.DrawFn) -> list[Json]:
    """Pods of two templates in all states."""
    names = [
        f"web-{draw(st.sampled_from(['abc', 'def']))}-{i}" for i in range(draw(st.integers(0, 4)))
    ]
    found = []
    for name in names:
        kind = draw(st.sampled_from(["pod", "pod", "pod", "evicted", "unplaced", "leaving"]))
        if kind == "evicted":
            found.append(evicted_pod(name))
        elif kind == "unplaced":
            condition = unschedulable_condition("0/1 nodes are available: 1 Insufficient cpu.")
            found.append(pod(name, node="", phase="Pending", conditions=[condition]))
        else:
            leaving: dict[str, Any] = (
                {"deletionTimestamp": builders.iso(0)} if kind == "leaving" else {}
            )
            found.append(pod(name, draw(STATUSES), since=draw(st.sampled_from([0, 90])), **leaving))
    return found


@st.composite
def cluster_objects(draw: st.DrawFn) -> list[Json]:
    """Everything that can be around an app."""
    reasons = ["NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"]
    reason = draw(st.sampled_from(reasons))
    status = "False" if reason == "ProgressDeadlineExceeded" else "True"
    conditions = draw(
        st.sampled_from(
            [
                [progressing_condition(reason, "def", status=status)],
                [replica_failure_condition("exceeded quota")],
                [],
            ]
        )
    )
    objects = [
        deployment(
            draw(st.integers(0, 3)),
            updated=draw(st.integers(0, 3)),
            conditions=conditions,
            observed=draw(st.booleans()),
        ),
        service("NodePort", node_port=30080),
        hpa(cpu=draw(st.sampled_from([None, 31, 80]))),
        probe_kill_event("web-abc-0", 9),
    ]
    chosen = draw(st.lists(st.sampled_from(range(4)), unique=True))
    return [*(objects[i] for i in chosen), *draw(pods())]


SYNC_RESULTS = st.sampled_from(
    [
        None,
        SyncResult(errors=(SyncError(SyncErrorReason.FORBIDDEN, "no"),)),
        SyncResult(errors=(SyncError(SyncErrorReason.INVALID_SPEC, "wrong"),)),
        SyncResult(errors=(SyncError(SyncErrorReason.CONFLICT, "again"),)),
    ]
)


@settings(max_examples=scale_examples(150), deadline=None)
@given(cluster_objects(), cluster_objects(), SYNC_RESULTS)
def test_the_patch_makes_the_new_status_of_the_old_one(
    first: list[Json], second: list[Json], outcome: SyncResult | None
) -> None:
    """RFC 7386, by a small implementation of it; reporting again changes and tells nothing."""
    before = status_json(evaluate_app(*first, now=90))
    found = evaluate_app(*second, previous_status=before, sync_result=outcome, now=100)
    after = apply_merge_patch(before, orjson.loads(orjson.dumps(found.patch)))
    again = evaluate_app(*second, previous_status=after, sync_result=outcome, now=100)

    assert status_json(found) == after
    assert ({}, (), ()) == (again.patch, again.events, again.new_restarts)


@settings(max_examples=scale_examples(100), deadline=None)
@given(cluster_objects(), SYNC_RESULTS, st.integers(0, 700))
def test_ready_means_that_all_is_there(
    world: list[Json], outcome: SyncResult | None, now: int
) -> None:
    """The phase, the condition and the figures never disagree."""
    found = evaluate_app(*world, sync_result=outcome, now=now)
    status = status_json(found)
    ready, wanted = status["ready"].split("/")
    condition = next(c["status"] for c in status["conditions"] if c["type"] == "Ready")

    assert (status["phase"] == "Ready") == (condition == "True")
    if condition == "True":
        assert ready == wanted
    for_kstatus = {c["type"] for c in status["conditions"]} & {"Reconciling", "Stalled"}
    assert len(for_kstatus) == (condition != "True")
    assert int(ready) <= int(wanted)
    assert status["message"]
    assert found.requeue_after is None or found.requeue_after > 0
    assert status == read_status(status).to_json()


@settings(max_examples=scale_examples(60), deadline=None)
@given(cluster_objects(), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(world: list[Json], random: Any) -> None:  # noqa: ANN401
    """Two operators that saw the same in another order say the same."""
    shuffled = list(world)
    random.shuffle(shuffled)

    assert status_json(evaluate_app(*world)) == status_json(evaluate_app(*shuffled))


def test_everything() -> None:
    """A whole status, as a user reads it."""
    spec = {
        "image": "web:v1",
        "port": 5000,
        "probes": {"liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5}},
        "autoscaling": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
    }
    once = running(11, restarts=1, last=termination(137, started=0, finished=10))
    found = evaluate_app(
        deployment(1),
        service(),
        hpa(1, 1),
        pod("web-abc-1", once),
        probe_kill_event("web-abc-1", 9),
        spec=spec,
    )

    assert {
        "observedGeneration": 1,
        "phase": "Ready",
        "ready": "1/1",
        "lastHealTime": iso(10),
        "replicas": 1,
        "readyReplicas": 1,
        "updatedReplicas": 1,
        "selector": "selfhealing.dev/app=web",
        "image": "web:v1",
        "endpoint": "http://web.shop.svc:80",
        "message": "1 of 1 pod ready",
        "restarts": {
            "current": 1,
            "total": 1,
            "byReason": {"LivenessProbe": 1},
            "last": {
                "pod": "web-abc-1",
                "container": "app",
                "reason": "LivenessProbe",
                "exitCode": 137,
                "at": iso(10),
            },
            "counted": [
                {
                    "pod": "web-abc-1",
                    "uid": "uid-of-web-abc-1",
                    "container": "app",
                    "count": 1,
                    "reason": "LivenessProbe",
                    "finishedAt": iso(10),
                }
            ],
        },
        "pods": [
            {
                "name": "web-abc-1",
                "node": "node-1",
                "phase": "Running",
                "ready": True,
                "restarts": 1,
                "lastRestart": {
                    "container": "app",
                    "reason": "LivenessProbe",
                    "exitCode": 137,
                    "at": iso(10),
                },
            }
        ],
        "probes": {"liveness": "http GET :5000/health every 5s, 3 failures"},
        "autoscaling": {"current": 1, "desired": 1, "min": 1, "max": 5, "cpu": "31%/50%"},
        "healing": {
            "mode": "Auto",
            "budgetLeft": 3,
            "quarantined": False,
            "quarantinedByBudget": False,
            "desiredRevision": revision_of_spec(spec),
            "desiredSince": iso(100),
            "desiredGeneration": 1,
            "failedForCertain": False,
            "retries": 0,
            "healthySince": iso(100),
            "memoryLimits": [],
            "memoryInTemplate": False,
            "cpuLimits": [],
            "nextId": 1,
            "diagnoses": [],
            "history": [],
        },
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": iso(100),
                "observedGeneration": 1,
            }
            for kind, status, reason, message in (
                ("Ready", "True", "AllPodsReady", "1 of 1 pod ready"),
                ("Reconciled", "True", "ChildrenApplied", "every child matches the spec"),
                (
                    "Progressing",
                    "False",
                    "RolloutComplete",
                    "every pod is made from the current spec",
                ),
                ("Healthy", "True", "NothingFails", "nothing fails in the pods"),
                ("Paused", "False", "NotPaused", "the operator reconciles the children"),
                (
                    "ScalingActive",
                    "True",
                    "ValidMetricFound",
                    "the HPA was able to compute the replica count",
                ),
            )
        ],
    } == status_json(found)
    assert 600 == found.requeue_after


def test_a_spec_that_cannot_be_read() -> None:
    """What stood in the status about the spec before stays."""
    stored = {
        "image": "web:v0",
        "probes": {"liveness": "tcp :80 every 10s, 3 failures"},
        "unknown": {"to": "this operator"},
    }
    found = evaluate_invalid_app(previous_status=stored)

    assert "web:v0" == found.status.image
    assert stored["probes"] == status_json(found)["probes"]
    assert ("0/0", "Invalid") == (found.status.ready, found.status.phase)
    assert None is found.patch["unknown"]


class TestAgain:
    """When time alone will change the report."""

    def test_nothing_to_wait_for(self) -> None:
        """An app that is well, of a version that has proved itself, waits for what happens."""
        well = (deployment(1), pod("web-abc-1", running()))
        first = status_json(evaluate_app(*well, now=100))
        proved = evaluate_app(*well, previous_status=first, now=700)

        assert "RevisionStable" in {event.reason for event in proved.events}
        assert None is proved.requeue_after

    def test_a_version_that_has_to_prove_itself(self) -> None:
        """Until its probation is over, reckoned from when the app was first seen well."""
        well = (deployment(1), pod("web-abc-1", running()))
        first = evaluate_app(*well, now=100)

        assert 600 == first.requeue_after
        assert 400 == evaluate_app(*well, previous_status=status_json(first), now=300).requeue_after

    def test_nobody_heals(self) -> None:
        """With mode Off there is no probation to wait for either."""
        spec = {"image": "web:v1", "healing": {"mode": "Off"}}

        assert (
            None
            is evaluate_app(deployment(1), pod("web-abc-1", running()), spec=spec).requeue_after
        )

    def test_a_pod_without_a_node(self) -> None:
        """Until the grace is over, and then until it is an illness."""
        lost = pod(node="", phase="Pending", conditions=[unschedulable_condition("no room")])

        assert 20 == evaluate_app(deployment(1), lost, now=10).requeue_after
        assert 30 == evaluate_app(deployment(1), lost, now=30).requeue_after
        assert None is evaluate_app(deployment(1), lost, now=60).requeue_after

    def test_a_container_that_has_to_prove_itself(self) -> None:
        """Until it has lived long enough."""
        back = running(since=90, restarts=3, last=termination(started=50, finished=60))

        assert 15 == evaluate_app(deployment(1), pod("web-abc-1", back), now=100).requeue_after

    def test_a_pod_that_starts(self) -> None:
        """Until it takes too long."""
        assert (
            500 == evaluate_app(deployment(1), pod("web-abc-1", waiting("")), now=100).requeue_after
        )


@pytest.mark.parametrize(
    ("blocked_reason", "expected"),
    [
        (BlockedReason.STARTING_UP, True),
        (BlockedReason.STORM, True),
        (BlockedReason.STALE_CACHE, True),
        (BlockedReason.NOT_DUE, False),
    ],
)
def test_a_reason_outside_the_app(blocked_reason: BlockedReason, *, expected: bool) -> None:
    """No watch event tells of its end: the app is evaluated again after a while."""
    external = ExternalState(blocked_reason=blocked_reason if expected else None)
    spec = {"image": "web:v1", "healing": {"replacePod": {"enabled": True}}}
    objects = (
        deployment(2),
        pod("web-abc-1", crash_loop(5, termination())),
        pod("web-abc-2", running()),
    )
    found = evaluate_app(*objects, spec=spec, external=external, now=1000)

    assert (blocked_reason, expected) == (
        found.status.healing and found.status.healing.blocked_reason,
        found.is_blocked_from_outside,
    )
    paused = evaluate_app(
        *objects,
        spec={**spec, "paused": True},
        previous_status=status_json(found),
        external=external,
    )

    assert (None, False) == (paused.record, paused.is_blocked_from_outside)


def test_another_app() -> None:
    """The selector and the endpoint are the app's own."""
    assert AppKey("shop", "web") == build_snapshot().app.key
