"""Counts container restarts so that the total is exact and never decreases.

A pod has only its own count and its last termination, and both are gone when it is deleted. So
status.restarts.counted has an entry with the counted restarts of each container. New restarts are
the difference to that entry, so the total stays right if the operator counts again or restarts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from selfhealing.api.status import (
    MAX_COUNTED,
    MAX_REASONS,
    CountedRestarts,
    PodRestart,
    RestartsStatus,
)
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health.job_failures import find_failed_container_if_replaced, find_probe_kills
from selfhealing.health.termination_causes import (
    PROBE_REASONS,
    UNKNOWN,
    ContainerKey,
    RecordedTermination,
    TerminationCauses,
)
from selfhealing.status import pods

MAX_TOTAL: Final = 2**31 - 1
"""The largest int32: the API server refuses a status with a larger number."""

OTHER: Final = "Other"
"""The reason under which restarts are counted when byReason already has MAX_REASONS - 1 reasons."""


@dataclass(frozen=True, slots=True)
class Restart:
    """New restarts of one container.

    Attributes:
        pod: the name of the pod.
        container: the name of the container.
        reason: the reason of the last of these restarts.
        exit_code: the exit code before the last of these restarts.
        count: the number of new restarts.
        replaced_by_job: the container failed with its pod, and the Job created another pod.
    """

    pod: str
    container: str
    reason: str
    exit_code: int | None
    count: int
    replaced_by_job: bool = False


def collect_termination_causes(
    previous: RestartsStatus | None, snapshot: AppSnapshot
) -> TerminationCauses:
    """Collect why containers terminated, from current Events and from the stored status."""
    recorded = {
        _container_key(entry): RecordedTermination(entry.finished_at, entry.reason)
        for entry in (previous.counted if previous else ())
        if entry.reason
    }
    return TerminationCauses(find_probe_kills(snapshot), recorded)


def count_restarts(
    previous: RestartsStatus | None, snapshot: AppSnapshot, causes: TerminationCauses
) -> tuple[RestartsStatus, tuple[Restart, ...]]:
    """Count the new restarts.

    Returns:
        The new status.restarts, and the restarts that are counted for the first time.
    """
    counter = _RestartCounter(previous or RestartsStatus(), causes)
    by_job: set[tuple[str, str]] = set()
    for pod in (*snapshot.pods, *snapshot.deleted_pods):
        failed = find_failed_container_if_replaced(pod, snapshot.pods)
        for container in pod.containers:
            if failed is not None and failed[0] is container:
                by_job.add((pod.name, container.name))
                counter.add(pod, _restart_in_place(container))
            else:
                counter.add(pod, container)
    new_restarts = (
        replace(restart, replaced_by_job=(restart.pod, restart.container) in by_job)
        for restart in counter.new_restarts
    )
    return counter.result(sum(pods.count_pod_restarts(pod) for pod in snapshot.pods)), tuple(
        new_restarts
    )


def _restart_in_place(container: ContainerView) -> ContainerView:
    """Count a failed container that the Job started again in another pod as one restart."""
    return replace(
        container,
        restarts=container.restarts + 1,
        last_termination=container.terminated,
        terminated=None,
    )


class _RestartCounter:
    """Counts the restarts of one evaluation: compares the stored entries with the containers."""

    def __init__(self, previous: RestartsStatus, causes: TerminationCauses) -> None:
        self.new_restarts: list[Restart] = []
        self._causes = causes
        self._previous = previous
        self._previous_entries = {_container_key(entry): entry for entry in previous.counted}
        self._by_reason = dict(previous.by_reason)
        self._latest = previous.last
        self._known_entries: list[CountedRestarts] = []
        self._new_entries: list[CountedRestarts] = []

    def add(self, pod: PodView, container: ContainerView) -> None:
        """Count the new restarts of one container."""
        known = self._previous_entries.get(ContainerKey(pod.uid, container.name))
        if known is None:
            if container.restarts:
                self._new_entries.append(
                    self._count_container(pod, container, self._new_restarts_if_unknown(container))
                )
        elif container.restarts > known.count:
            new_count = container.restarts - known.count
            counted = self._count_container(pod, container, new_count)
            self._known_entries.append(_with_last_known_termination(counted, known))
        elif container.restarts < known.count and _is_newer(container, known.finished_at):
            # The kubelet has lost its count. If it counts again, there was at least one restart.
            if container.restarts:
                self._known_entries.append(self._count_container(pod, container, 1))
            else:
                self._known_entries.append(known.model_copy(update={"count": 0}))
        elif container.restarts < known.count:
            # The cache is behind, or nobody knows whether the kubelet has lost its count: a
            # termination that is taken for the counted one now would be counted next time.
            self._known_entries.append(known)
        else:
            self._known_entries.append(self._correct_reason(known, container))

    def result(self, current: int) -> RestartsStatus:
        """Return the new status.restarts; ``current`` is the number of restarts of existing pods.

        A known entry is never dropped in favour of a new one, so the entries are complete until
        they are full (see _new_restarts_if_unknown). A deleted pod alone does not change the
        status: its entries are removed with the next change.
        """
        counted = [*_sort_entries(self._known_entries), *_sort_entries(self._new_entries)][
            :MAX_COUNTED
        ]
        if all(self._previous_entries.get(_container_key(entry)) == entry for entry in counted):
            counted = self._previous.counted
        return RestartsStatus(
            current=current,
            total=_add(self._previous.total, sum(r.count for r in self.new_restarts)),
            by_reason=self._by_reason,
            last=self._latest,
            counted=list(_sort_entries(counted)),
        )

    def _new_restarts_if_unknown(self, container: ContainerView) -> int:
        """How many restarts of a container without an entry are new.

        All of them, unless the entries are full: then they may have been counted without an entry.
        A termination after the last counted one is new, and counts as one restart. So restarts
        above the limit may be missed, but none is counted twice.
        """
        if len(self._previous_entries) < MAX_COUNTED:
            return container.restarts
        latest = self._previous.last.at if self._previous.last else None
        finished_at = container.last_termination.finished_at if container.last_termination else None
        return 1 if latest is not None and finished_at is not None and finished_at > latest else 0

    def _count_container(
        self, pod: PodView, container: ContainerView, new_count: int
    ) -> CountedRestarts:
        termination = container.last_termination
        key = ContainerKey(pod.uid, container.name)
        reason = (
            self._causes.reason_without_termination(key, container.running_since)
            if termination is None and new_count == 1
            else self._causes.reason_for(key, termination)
        )
        at = termination.finished_at if termination else None
        if new_count:
            self._add_to_reason(reason, 1)
            self._add_to_reason(UNKNOWN, new_count - 1)
            code = termination.exit_code if termination else None
            self.new_restarts.append(Restart(pod.name, container.name, reason, code, new_count))
            if _is_later(at, self._latest):
                self._latest = PodRestart(
                    pod=pod.name, container=container.name, reason=reason, exit_code=code, at=at
                )
        return CountedRestarts(
            pod=pod.name,
            uid=pod.uid,
            container=container.name,
            count=container.restarts,
            reason=reason,
            finished_at=at,
        )

    def _correct_reason(self, known: CountedRestarts, container: ContainerView) -> CountedRestarts:
        """Change the reason if the kubelet reports its cause after the restart was counted.

        The Event of a probe may arrive later, and under load also the termination itself. The entry
        keeps the termination that it was counted for: a container in its back-off already shows the
        next one.
        """
        termination = container.last_termination
        if termination is None or termination.finished_at is None:
            return known
        is_late = known.finished_at is None and container.running_since is not None
        if termination.finished_at != known.finished_at and not is_late:
            return known
        reason = self._causes.reason_for(_container_key(known), termination)
        if not is_late and known.reason is not None and reason not in PROBE_REASONS.values():
            return known  # it may be another termination within the same second
        if reason == known.reason and not is_late:
            return known
        self._move_reason(known.reason or UNKNOWN, reason)
        corrected = {"reason": reason, "finished_at": termination.finished_at}
        last = self._latest
        restart_key = (known.pod, known.container, known.finished_at)
        if last is not None and (last.pod, last.container, last.at) == restart_key:
            self._latest = last.model_copy(
                update={
                    "reason": reason,
                    "exit_code": termination.exit_code,
                    "at": termination.finished_at,
                }
            )
        return known.model_copy(update=corrected)

    def _add_to_reason(self, reason: str, count: int) -> None:
        if count:
            has_room = reason in self._by_reason or len(self._by_reason) < MAX_REASONS - 1
            slot = reason if has_room else OTHER
            self._by_reason[slot] = _add(self._by_reason.get(slot, 0), count)

    def _move_reason(self, old: str, new: str) -> None:
        slot = old if old in self._by_reason else OTHER
        if not self._by_reason.get(slot):
            return
        self._by_reason[slot] -= 1
        if not self._by_reason[slot]:
            del self._by_reason[slot]
        self._add_to_reason(new, 1)


def _add(total: int, count: int) -> int:
    """Add to a stored total, which may be anything, without leaving the range of an int32."""
    return min(total + count, MAX_TOTAL)


def _with_last_known_termination(
    counted: CountedRestarts, known: CountedRestarts
) -> CountedRestarts:
    """Keep the termination of the older entry if the kubelet no longer reports one.

    Otherwise the next evaluation would not know the cause of a termination that this one knows.
    """
    if counted.finished_at is not None:
        return counted
    return counted.model_copy(update={"reason": known.reason, "finished_at": known.finished_at})


def _container_key(entry: CountedRestarts) -> ContainerKey:
    return ContainerKey(entry.uid, entry.container)


def _sort_entries(entries: list[CountedRestarts]) -> Iterator[CountedRestarts]:
    return iter(sorted(entries, key=lambda entry: (-entry.count, entry.uid, entry.container)))


def _is_newer(container: ContainerView, counted_until: datetime | None) -> bool:
    """Whether the state of a container is newer than the termination that was counted last.

    An older state comes from a stale cache: after a start of the operator the cache may be behind
    the status that the operator itself has written.
    """
    finished_at = container.last_termination.finished_at if container.last_termination else None
    times = [moment for moment in (container.running_since, finished_at) if moment is not None]
    return counted_until is not None and bool(times) and max(times) > counted_until


def _is_later(at: datetime | None, latest: PodRestart | None) -> bool:
    if latest is None or latest.at is None:
        return True
    return at is not None and at >= latest.at
