"""The two oracles of a row, as SREGym's exam has them. Pure.

The diagnosis oracle is in ``evaluation``: the fault is named, with its true cause. This module has
the mitigation oracle: 60 s after the remediation was due every pod of the baseline exists, some are
wanted, as many are ready as wanted, every pod is Running, and no container waits or has ended in
error; and it stays so for 60 s. As in its code, each container must be ready, too. The first minute
gives the remediation time, so it is multiplied by the scale of healing; the second gives
the kubelet's back-off time to show a container that crashes, so it is not. A pod that is being
deleted counts as gone, as does one that has ended, such as an evicted one: Kubernetes makes another
and keeps it, for a look.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

Json = dict[str, Any]

SETTLE_SECONDS: Final = 60.0
"""Seconds from when the remediation was due until the first look, at default times."""

HOLD_SECONDS: Final = 60.0
"""Seconds for which everything must stay so, at any scale."""

_COMPLETED: Final = "Completed"
_ENDED_PHASES: Final = ("Failed", "Succeeded")


def find_problems(pods: Sequence[Json], deployment: Json | None, baseline: int) -> Iterator[str]:
    """Yield what is not as it must be, in words; nothing if the app is healthy.

    Args:
        pods: the pods of the app.
        deployment: its Deployment; None if it does not exist.
        baseline: the number of pods before the fault.
    """
    remaining = [pod for pod in pods if not _is_gone(pod)]
    wanted = int(((deployment or {}).get("spec") or {}).get("replicas") or 0)
    if len(remaining) < baseline:
        yield f"{len(remaining)} of the {baseline} pods exist that there were"
    if wanted < 1:
        yield "no pod is wanted"
    ready = int(((deployment or {}).get("status") or {}).get("readyReplicas") or 0)
    if ready != wanted:
        yield f"{ready} pods are ready, {wanted} are wanted"
    for pod in remaining:
        yield from _pod_problems(pod)


def _is_gone(pod: Json) -> bool:
    has_ended = (pod.get("status") or {}).get("phase") in _ENDED_PHASES
    return has_ended or "deletionTimestamp" in pod["metadata"]


def find_hanging_rollout(deployment: Json | None) -> Iterator[str]:
    """Yield that the Deployment's version does not run, which the pods of the one before hide."""
    wanted = int(((deployment or {}).get("spec") or {}).get("replicas") or 0)
    updated = int(((deployment or {}).get("status") or {}).get("updatedReplicas") or 0)
    if updated < wanted:
        yield f"{updated} of {wanted} pods are of the Deployment's version"


def _pod_problems(pod: Json) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if status.get("phase") != "Running":
        yield f"{name} is {status.get('phase')}"
    for entry in status.get("containerStatuses") or ():
        if not entry.get("ready"):
            yield f"container {entry['name']} of {name} is not ready"
    lists = (status.get("initContainerStatuses"), status.get("containerStatuses"))
    for entry in (each for entries in lists for each in entries or ()):
        state = entry.get("state") or {}
        if reason := (state.get("waiting") or {}).get("reason"):
            yield f"container {entry['name']} of {name} is waiting: {reason}"
        reason = (state.get("terminated") or {}).get("reason")
        if reason and reason != _COMPLETED:
            yield f"container {entry['name']} of {name} has ended: {reason}"
