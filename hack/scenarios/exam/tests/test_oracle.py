from typing import Any

import pytest

from hack.scenarios.exam import oracle

DEPLOYMENT = {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}


def build_pod(
    phase: str = "Running",
    state: Any = None,  # noqa: ANN401 - JSON
    **meta: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """Return a pod with one container in this state."""
    entry = {"name": "app", "ready": state is None, "state": state or {"running": {}}}
    return {
        "metadata": {"name": "shop-1", **meta},
        "status": {"phase": phase, "containerStatuses": [entry]},
    }


@pytest.mark.parametrize(("updated", "count"), [(1, 0), (0, 1), (None, 1)])
def test_a_rollout_hangs_when_no_pod_of_it_could_be_made(updated: int | None, count: int) -> None:
    deployment = {"spec": {"replicas": 1}, "status": {"updatedReplicas": updated}}

    assert count == len(list(oracle.find_hanging_rollout(deployment)))


def test_a_healthy_app_has_no_problem() -> None:
    done = {"name": "wait", "state": {"terminated": {"reason": "Completed"}}}
    pod = build_pod()
    pod["status"]["initContainerStatuses"] = [done]

    assert [] == list(oracle.find_problems([pod], DEPLOYMENT, 1))


@pytest.mark.parametrize(
    ("pods", "deployment", "baseline", "says"),
    [
        ([build_pod()], DEPLOYMENT, 2, "1 of the 2 pods exist that there were"),
        ([build_pod()], {"spec": {"replicas": 0}}, 1, "no pod is wanted"),
        ([build_pod()], None, 1, "no pod is wanted"),
        ([build_pod()], {"spec": {"replicas": 2}}, 1, "0 pods are ready, 2 are wanted"),
        ([build_pod("Pending")], DEPLOYMENT, 1, "shop-1 is Pending"),
        ([build_pod("Failed")], DEPLOYMENT, 1, "0 of the 1 pods exist that there were"),
        (
            [build_pod(state={"waiting": {"reason": "CrashLoopBackOff"}})],
            DEPLOYMENT,
            1,
            "container app of shop-1 is waiting: CrashLoopBackOff",
        ),
        (
            [build_pod(state={"terminated": {"reason": "OOMKilled"}})],
            DEPLOYMENT,
            1,
            "container app of shop-1 has ended: OOMKilled",
        ),
        (
            [build_pod(state={"running": {}})],
            DEPLOYMENT,
            1,
            "container app of shop-1 is not ready",
        ),
        (
            [build_pod(deletionTimestamp="2026-11-30T12:00:00Z")],
            DEPLOYMENT,
            1,
            "0 of the 1 pods exist that there were",
        ),
    ],
)
def test_each_part_of_the_oracle_is_looked_at(
    pods: list[Any], deployment: dict[str, Any] | None, baseline: int, says: str
) -> None:
    assert says in list(oracle.find_problems(pods, deployment, baseline))
