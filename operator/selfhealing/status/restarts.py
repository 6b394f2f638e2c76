"""Counting container restarts so that the total is true and never falls.

A pod carries only its own count and the end of its previous container, and takes both with it when
it is deleted. So the resource's status keeps a ledger: for each container what has been counted.
Counting is then the difference to the ledger, whoever counts, however often, after any restart of
the operator.
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
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health.job_failures import replaced, told
from selfhealing.health.termination_causes import (
    PROBE_REASONS,
    UNKNOWN,
    Causes,
    ContainerKey,
    Remembered,
)
from selfhealing.status import pods

OTHER: Final = "Other"
"""Where the reasons beyond the limit are counted."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Restarts of one container that were counted now, ``news`` of them, the last by ``reason``.

    ``by_job``: the container failed with its pod, and a Job made another pod.
    """

    pod: str
    container: str
    reason: str
    exit_code: int | None
    news: int
    by_job: bool = False


def causes(previous: RestartsStatus | None, facts: Facts) -> Causes:
    """Why containers ended, as far as it is known now or was when they were counted."""
    remembered = {
        _key(entry): Remembered(entry.finished_at, entry.reason)
        for entry in (previous.counted if previous else ())
        if entry.reason
    }
    return Causes(told(facts), remembered)


def account(
    previous: RestartsStatus | None, facts: Facts, known: Causes
) -> tuple[RestartsStatus, tuple[Restart, ...]]:
    """Bring the count up to date.

    Returns:
        The new block of the status, and the restarts that are counted here for the first time.
    """
    book = _Book(previous or RestartsStatus(), known)
    by_job: set[tuple[str, str]] = set()
    for pod in (*facts.pods, *facts.departed):
        failed = replaced(pod, facts.pods)
        for container in pod.containers:
            if failed is not None and failed[0] is container:
                by_job.add((pod.name, container.name))
                book.enter(pod, _as_restarted(container))
            else:
                book.enter(pod, container)
    news = (replace(one, by_job=(one.pod, one.container) in by_job) for one in book.news)
    return book.balance(sum(pods.restarts(pod) for pod in facts.pods)), tuple(news)


def _as_restarted(container: ContainerView) -> ContainerView:
    """A container that a Job started again in another pod, as if it had been in this one."""
    return replace(
        container, restarts=container.restarts + 1, last=container.terminated, terminated=None
    )


class _Book:
    """One round of counting: the old ledger on one side, the new one on the other."""

    def __init__(self, before: RestartsStatus, known: Causes) -> None:
        self.news: list[Restart] = []
        self._causes = known
        self._before = before
        self._ledger = {_key(entry): entry for entry in before.counted}
        self._by_reason = dict(before.by_reason)
        self._latest = before.last
        self._kept: list[CountedRestarts] = []
        self._added: list[CountedRestarts] = []

    def enter(self, pod: PodView, container: ContainerView) -> None:
        """Count what is new of one container."""
        known = self._ledger.get(ContainerKey(pod.uid, container.name))
        if known is None:
            if container.restarts:
                self._added.append(self._counted(pod, container, self._of_stranger(container)))
        elif container.restarts > known.count:
            fresh = container.restarts - known.count
            self._kept.append(self._counted(pod, container, fresh))
        elif container.restarts < known.count and _is_newer(container, known.finished_at):
            # A kubelet's memory was lost. What it counts since then had an end of its own.
            if container.restarts:
                self._kept.append(self._counted(pod, container, 1))
            else:
                self._kept.append(known.model_copy(update={"count": 0}))
        else:
            self._kept.append(self._corrected(known, container))

    def balance(self, current: int) -> RestartsStatus:
        """Close the book.

        An entry is never given up for another one, so that the ledger is complete for as long as
        it is not full (see _of_stranger). That a pod is gone is no reason to write: its entries go
        with the next change.
        """
        counted = [*_ordered(self._kept), *_ordered(self._added)][:MAX_COUNTED]
        if all(self._ledger.get(_key(entry)) == entry for entry in counted):
            counted = self._before.counted
        return RestartsStatus(
            current=current,
            total=self._before.total + sum(restart.news for restart in self.news),
            by_reason=self._by_reason,
            last=self._latest,
            counted=list(_ordered(counted)),
        )

    def _of_stranger(self, container: ContainerView) -> int:
        """How many restarts are new of a container that is not in the ledger.

        All of them, unless the ledger was full: then they may have been counted and found no room.
        An end that is later than everything counted has not been, so it is counted as one; beyond
        the limit some may be missed, but none is counted twice.
        """
        if len(self._ledger) < MAX_COUNTED:
            return container.restarts
        latest = self._before.last.at if self._before.last else None
        ended = container.last.finished_at if container.last else None
        return 1 if latest is not None and ended is not None and ended > latest else 0

    def _counted(self, pod: PodView, container: ContainerView, fresh: int) -> CountedRestarts:
        end = container.last
        reason = self._causes.of(ContainerKey(pod.uid, container.name), end)
        at = end.finished_at if end else None
        if fresh:
            self._add(reason, 1)
            self._add(UNKNOWN, fresh - 1)
            code = end.exit_code if end else None
            self.news.append(Restart(pod.name, container.name, reason, code, fresh))
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

    def _corrected(self, known: CountedRestarts, container: ContainerView) -> CountedRestarts:
        """Name the probe as the reason, if its Event came after the restart had been counted.

        The entry keeps the end that it was counted for: a container that waits for its next start
        shows the next end already.
        """
        end = container.last
        if end is None or end.finished_at is None or end.finished_at != known.finished_at:
            return known
        reason = self._causes.of(_key(known), end)
        if known.reason is not None and reason not in PROBE_REASONS.values():
            return known  # it may be the next end, within the same second
        if reason == known.reason:
            return known
        self._move(known.reason or UNKNOWN, reason)
        last = self._latest
        slot = (known.pod, known.container, known.finished_at)
        if last is not None and (last.pod, last.container, last.at) == slot:
            self._latest = last.model_copy(update={"reason": reason})
        return known.model_copy(update={"reason": reason})

    def _add(self, reason: str, number: int) -> None:
        if number:
            room = reason in self._by_reason or len(self._by_reason) < MAX_REASONS - 1
            slot = reason if room else OTHER
            self._by_reason[slot] = self._by_reason.get(slot, 0) + number

    def _move(self, old: str, new: str) -> None:
        slot = old if old in self._by_reason else OTHER
        if not self._by_reason.get(slot):
            return
        self._by_reason[slot] -= 1
        if not self._by_reason[slot]:
            del self._by_reason[slot]
        self._add(new, 1)


def _key(entry: CountedRestarts) -> ContainerKey:
    return ContainerKey(entry.uid, entry.container)


def _ordered(entries: list[CountedRestarts]) -> Iterator[CountedRestarts]:
    return iter(sorted(entries, key=lambda entry: (-entry.count, entry.uid, entry.container)))


def _is_newer(container: ContainerView, counted: datetime | None) -> bool:
    """Whether a container's state is from after the end that was counted last.

    If it is not, it is an old state that came late: after a start of the operator its view may be
    behind the status that it wrote itself.
    """
    ended = container.last.finished_at if container.last else None
    times = [moment for moment in (container.running_since, ended) if moment is not None]
    return counted is not None and bool(times) and max(times) > counted


def _is_later(at: datetime | None, latest: PodRestart | None) -> bool:
    if latest is None or latest.at is None:
        return True
    return at is not None and at >= latest.at
