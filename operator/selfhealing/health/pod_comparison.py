"""Compares the pods of a new revision with those of earlier ones: which fail, and how many."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.crash_loops import CRASH_LOOP_BACK_OFF
from selfhealing.health.fault_origin import FaultOrigin, FaultSource, classify_fault
from selfhealing.health.faults import NOT_READY, READINESS_FLAPPING
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import (
    IMAGE_PULL_BACK_OFF,
    NODE_LOST,
    UNSCHEDULABLE,
    PodProblem,
    is_active,
)
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.termination_causes import OOM_KILLED

STATUS_WRITE_DELAY: Final = timedelta(seconds=10)
"""The first pod of a revision may be created this long before the status has desiredSince. A pod of
the previous revision that was created so shortly before cannot have a diagnosis yet."""

INNOCENT_PROBLEMS: Final = frozenset({NODE_LOST, UNSCHEDULABLE})
"""Problems of a pod that say nothing about its version."""

_RUNTIME_PROBLEMS: Final = frozenset(
    {NOT_READY, READINESS_FLAPPING, CRASH_LOOP_BACK_OFF, OOM_KILLED, "Error", "Completed"}
)
"""Problems of a container that has started: their text is about the app, such as the answer to a
probe."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The pods of one earlier revision, without those that only start.

    Attributes:
        ill: those that fail.
        healthy: those that are ready and do not fail.
    """

    ill: tuple[PodView, ...] = ()
    healthy: tuple[PodView, ...] = ()

    @property
    def total(self) -> int:
        """The number of its pods."""
        return len(self.ill) + len(self.healthy)

    @property
    def failed_share(self) -> float:
        """The share of its pods that fail; 0 without any."""
        return len(self.ill) / self.total if self.total else 0.0

    def describe(self) -> str:
        """Say how many of its pods fail."""
        if not self.total:
            return "no pod of an earlier version runs beside it"
        pods = "pod" if self.total == 1 else "pods"
        return f"{len(self.ill)} of {self.total} {pods} of the earlier version have it, too"


def split_by_revision(
    snapshot: AppSnapshot, requested_since: datetime | None
) -> tuple[list[PodView], list[PodView]]:
    """Return the active pods of the new revision, and those of earlier ones.

    Args:
        snapshot: the app.
        requested_since: when the spec first asked for the revision; None if all pods of the current
            template belong to it.
    """
    current_hash = current_template_hash(snapshot)
    new_pods: list[PodView] = []
    old_pods: list[PodView] = []
    for pod in snapshot.pods:
        if is_active(pod):
            is_new = pod.template_hash == current_hash and (
                requested_since is None
                or (pod.created is not None and pod.created >= requested_since - STATUS_WRITE_DELAY)
            )
            (new_pods if is_new else old_pods).append(pod)
    return new_pods, old_pods


def choose_control_group(
    old_pods: Sequence[PodView],
    problems: Mapping[str, PodProblem],
    diagnosed_uids: Collection[str],
) -> ControlGroup:
    """Return the earlier revision with the oldest pod: that is the good version.

    The pods of a version, a configuration or a node that was tried in between are younger, and
    neither acquit nor accuse.
    """
    pods_by_hash: dict[str, list[PodView]] = defaultdict(list)
    for pod in sorted(old_pods, key=lambda pod: str(pod.created)):
        pods_by_hash[pod.template_hash].append(pod)
    for pods in pods_by_hash.values():
        ill = tuple(pod for pod in pods if _is_ill(pod, problems, diagnosed_uids))
        healthy = tuple(pod for pod in pods if pod.ready and pod not in ill)
        if ill or healthy:
            return ControlGroup(ill, healthy)
    return ControlGroup()


def classify_problem(problem: PodProblem) -> FaultSource:
    """Tell what the text of a problem proves."""
    if problem.reason in _RUNTIME_PROBLEMS:
        return FaultSource(FaultOrigin.UNDETERMINED)
    is_pull = problem.reason == IMAGE_PULL_BACK_OFF
    kind = DiagnosisType.IMAGE_PULL_FAILING if is_pull else DiagnosisType.START_FAILING
    return classify_fault(kind, problem.text)


def _is_ill(
    pod: PodView, problems: Mapping[str, PodProblem], diagnosed_uids: Collection[str]
) -> bool:
    """Whether a pod fails, if only for a moment so far.

    A pod that only starts does not, nor one that its surroundings keep from starting. Which of its
    containers fails does not matter: what they depend on shows in the one that uses it.
    """
    problem = problems.get(pod.name)
    if problem is None or problem.reason in INNOCENT_PROBLEMS:
        return pod.uid in diagnosed_uids
    return classify_problem(problem).origin is not FaultOrigin.ENVIRONMENT
