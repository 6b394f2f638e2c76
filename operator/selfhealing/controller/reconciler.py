"""One reconcile: a key in, facts from the store, the pure rooms, writes of what differs."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import orjson

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec, parse
from selfhealing.api.status import read_healing
from selfhealing.apply.child_diff import Need
from selfhealing.apply.rate_limit import LIMIT, WINDOW, Damper
from selfhealing.apply.result import HARMLESS, NEEDS_PEOPLE, Obstacle, Outcome, Problem
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.child_sync import Children
from selfhealing.controller.evaluate import Report, report
from selfhealing.controller.recorder import Recorder
from selfhealing.controller.remediator import Healer
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube import metrics
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, GoneError, NotFoundError
from selfhealing.kube.resources import APPS, CONFIG_SOURCES
from selfhealing.remediation.context import Situation
from selfhealing.render.references import followed
from selfhealing.status.event import Notice
from selfhealing.status.events import deeds

logger = logging.getLogger(__name__)

RECHECK: Final = 30.0
"""Seconds between two looks at an obstacle that only people can remove and that no watch shows."""

CONTESTED: Final = Problem(
    Obstacle.CONTESTED,
    f"something else keeps changing the children (put right {LIMIT} times in {WINDOW:.0f} s): look "
    "in their metadata.managedFields for who it is; it is tried again at that pace",
)

UNCHANGED: Final = "unchanged"
CHANGED: Final = "changed"
FAILED: Final = "failed"


class Reconciler:
    """Brings apps to what their specs say, and says how they are."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        recorder: Recorder,
        children: Children,
        healer: Healer,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._recorder = recorder
        self._children = children
        self._healer = healer
        self._interval = settings.status_interval
        self._sources = {source.kind for source in CONFIG_SOURCES[settings.config_watch]}
        self._clock = clock
        self._written: dict[AppKey, float] = {}
        self._phases: dict[AppKey, str] = {}
        self._generations: dict[AppKey, int] = {}
        self._damper: Damper[AppKey] = Damper()
        self._apps_by_phase: Counter[str] = Counter()

    async def work(self) -> None:
        """Take keys from the queue and reconcile them, for ever."""
        while True:
            key = await self._queue.get()
            started = perf_counter()
            try:
                result = await self._reconcile(key)
            except ApiError as error:
                result = FAILED
                delay = self._queue.retry(key)
                logger.warning(
                    "%s: %s; again in %.1f s", key, error, delay, extra={"app": str(key)}
                )
            except Exception:
                result = FAILED
                delay = self._queue.retry(key)
                logger.exception(
                    "%s: a fault of the operator; again in %.1f s",
                    key,
                    delay,
                    extra={"app": str(key)},
                )
            finally:
                self._queue.done(key)
            metrics.RECONCILES.labels(result).inc()
            metrics.RECONCILE_SECONDS.observe(perf_counter() - started)

    async def _reconcile(self, key: AppKey) -> str:
        facts = self._store.facts(key)
        if facts is None or facts.app.deleting:
            self._forget(key)
            return UNCHANGED
        now = datetime.now(UTC)
        facts, spec, outcome = self._read(facts)
        situation = Situation()
        try:
            if spec is not None and not spec.paused:
                outcome, situation = await self._sync(facts, spec, now)
        except GoneError as error:  # the watch, or the next list of everything, will say so
            logger.debug("%s: %s", key, error)
            self._queue.retry(key)
            return UNCHANGED
        # What was written is in the store already: look again before speaking about it.
        # The app itself stays the one whose spec was read: if it has changed since, the write of
        # the status is a conflict, and nothing is started by a spec that is no longer wanted.
        # So does what its pods are configured by, which is in what was written.
        facts = replace(self._store.facts(key) or facts, app=facts.app, config=facts.config)
        self._tell(facts, deeds(outcome.changes, healing=outcome.healing))
        if any(change.need in {Need.CREATE, Need.UPDATE} for change in outcome.changes):
            self._written[key] = self._clock()  # Kubernetes will have news of them in a moment
        found = report(facts, spec, outcome, now, situation)
        written = await self._report(facts, spec, found)
        self._plan_next(key, outcome)
        return CHANGED if written or outcome.changes else UNCHANGED

    def _read(self, facts: Facts) -> tuple[Facts, SelfHealingAppSpec | None, Outcome]:
        """Read the spec, and look at the state of what it refers to."""
        key = facts.app.key
        try:
            spec = parse(orjson.loads(facts.app.spec))
        except InvalidSpecError as error:
            problem = Problem(Obstacle.INVALID_SPEC, str(error))
            return facts, None, Outcome(problems=(problem,))
        references = frozenset(each for each in followed(spec) if each.kind in self._sources)
        self._store.configs.refer(key, references)
        return replace(facts, config=self._store.configs.of(key)), spec, Outcome()

    async def _sync(
        self, facts: Facts, spec: SelfHealingAppSpec, now: datetime
    ) -> tuple[Outcome, Situation]:
        key = facts.app.key
        if self._generations.get(key) != facts.app.generation:
            self._generations[key] = facts.app.generation
            self._damper.forget(key)
        prepared = await self._healer.prepare(facts, spec, _record(facts), now)
        wait = self._damper.wait(key, self._clock())
        if wait:
            self._queue.add(key, wait)
            return Outcome(problems=(CONTESTED,)), prepared.situation
        outcome = await self._children.sync(facts, spec, prepared.overrides)
        if any(
            change.need in {Need.UPDATE, Need.CORRECT, Need.REPLACE} for change in outcome.changes
        ):
            self._damper.note(key, self._clock())
        return outcome, prepared.situation

    async def _report(self, facts: Facts, spec: SelfHealingAppSpec | None, found: Report) -> bool:
        key = facts.app.key
        before, after = _record(facts), found.status.healing
        self._count_phase(key, str(found.status.phase))
        in_care = spec is not None and not spec.paused
        again = self._healer.note(key, after if in_care else None, ailing=found.ailing)
        for delay in (found.again, again):
            if delay is not None:
                self._queue.add(key, delay)
        if not found.patch:
            self._store.settle(key, facts.departed)
            return False
        wait = self._written.get(key, -self._interval) + self._interval - self._clock()
        if wait > 0:
            self._queue.add(key, wait)
            return False
        if not await self._may_be_written(facts, spec, before, after):
            self._queue.retry(key)
            return False
        patch = {
            "metadata": {"resourceVersion": str(facts.app.resource_version)},
            "status": found.patch,
        }
        try:
            raw = await self._client.merge(APPS, key.namespace, key.name, patch, "status")
        except NotFoundError:  # deleted meanwhile; the watch will say so
            return False
        except ConflictError:
            # The resource has changed since it was seen: the ledger of restarts must be read anew.
            logger.debug("%s: the resource changed meanwhile", key)
            self._queue.retry(key)
            return False
        self._written[key] = self._clock()
        self._store.put_app(app_view(raw))
        self._store.settle(key, facts.departed)
        for restart in found.restarts:
            metrics.RESTARTS.labels(restart.reason).inc(restart.news)
        self._tell(facts, found.notices)
        await self._healer.stored(facts, before, after)
        if "healing" in found.patch:
            # What is to be carried out now stands in the store: the watch will bring no news of it.
            self._queue.add(key)
        return True

    async def _may_be_written(
        self,
        facts: Facts,
        spec: SelfHealingAppSpec | None,
        before: HealingStatus | None,
        after: HealingStatus | None,
    ) -> bool:
        """Whether what a record says is so: that its action is due, that its version is kept."""
        if not await self._healer.confirm(facts, before, after):
            logger.info("%s: not healed by what is known: it has changed since", facts.app.key)
            return False
        return spec is None or await self._healer.keep(facts, spec, before, after)

    def _tell(self, facts: Facts, notices: Iterable[Notice]) -> None:
        for notice in notices:
            logger.log(
                logging.WARNING if notice.type == "Warning" else logging.INFO,
                "%s: %s: %s",
                facts.app.key,
                notice.reason,
                notice.message,
                extra={"app": str(facts.app.key), "reason": notice.reason},
            )
            self._recorder.tell(facts.app, notice)

    def _plan_next(self, key: AppKey, outcome: Outcome) -> None:
        obstacles = {problem.obstacle for problem in outcome.problems}
        if obstacles - NEEDS_PEOPLE - HARMLESS - {Obstacle.CONTESTED}:
            self._queue.retry(key)
            return
        self._queue.forget(key)
        if obstacles & NEEDS_PEOPLE:
            self._queue.add(key, RECHECK)

    def _count_phase(self, key: AppKey, phase: str) -> None:
        old = self._phases.get(key)
        if old != phase:
            self._phases[key] = phase
            self._apps_by_phase[phase] += 1
            metrics.APPS.labels(phase).set(self._apps_by_phase[phase])
            self._uncount(old)

    def _uncount(self, phase: str | None) -> None:
        if phase is not None:
            self._apps_by_phase[phase] -= 1
            metrics.APPS.labels(phase).set(self._apps_by_phase[phase])

    def _forget(self, key: AppKey) -> None:
        self._uncount(self._phases.pop(key, None))
        self._written.pop(key, None)
        self._generations.pop(key, None)
        self._damper.forget(key)
        self._healer.forget(key)
        self._queue.forget(key)


def _record(facts: Facts) -> HealingStatus | None:
    """What is remembered about healing an app."""
    return read_healing(orjson.loads(facts.app.status))
