"""Tells that a liveness probe kills a container that serves, because it is answered too slowly."""

from collections.abc import Iterable

from selfhealing.api import names
from selfhealing.cache.probes import AnswerKind
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.crash_loops import last_termination
from selfhealing.health.observations import Observations

_LIVENESS = ("liveness",)


def find_slow_pods(snapshot: AppSnapshot, pods: Iterable[PodView]) -> frozenset[str]:
    """Find the UIDs of the pods whose app was ready in its last run, and then answered too slowly.

    A wrong answer or a refused connection does not count: more time would not change it.
    """
    suspects = tuple(pods)
    observations = Observations(snapshot if suspects else None)
    return frozenset(pod.uid for pod in suspects if _is_slow(pod, observations))


def _is_slow(pod: PodView, observations: Observations) -> bool:
    container = pod.find_container(names.CONTAINER_NAME)
    end = last_termination(container) if container is not None else None
    if container is None or end is None or end.started_at is None:
        return False
    failing = observations.find_failing_probe(pod, container, _LIVENESS, end.started_at)
    has_served = pod.ready or (pod.ready_since is not None and pod.ready_since > end.started_at)
    return has_served and failing is not None and failing.answer.kind is AnswerKind.TIMEOUT
