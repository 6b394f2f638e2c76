"""How much memory the pods use, of those apps that want more of it before they are killed.

Asked of the metrics API at a steady pace, in one list for each namespace with such apps; nothing is
asked where there are none. That API may not be served: then this says so once and asks seldom.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from selfhealing.api import names
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.memory_trend import Sample, climbing, sample
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, NotFoundError
from selfhealing.kube.resources import POD_METRICS
from selfhealing.remediation.policy import horizon

logger = logging.getLogger(__name__)

PACE: Final = 15.0
"""Seconds between two looks, times the scale of healing: metrics-server measures as often."""

SHORTEST_PACE: Final = 5.0
"""However small the scale is."""

AWAY_PACE: Final = 300.0
"""Seconds until it is tried again where the API is not served, or not to this operator."""

KEPT: Final = 10
"""Measurements that are kept of each pod."""

LONGEST_SELECTOR: Final = 50
"""Apps that are asked for by name; of more in one namespace, all that there are."""

ASKING: Final = b'"memory":{"max":'
"""What stands in the stored spec of an app that asks for it. A text that happens to be in another
field costs a list, no more."""


class MemoryUsage:
    """Watches how the use of memory develops, and wakes the apps where it comes near the limit."""

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        scale: float,
        clock: Callable[[], float],
    ) -> None:
        """Ask by ``client`` for the apps of ``store``; ``clock`` gives steady seconds."""
        self._client = client
        self._store = store
        self._queue = queue
        self._pace = max(SHORTEST_PACE, PACE * scale)
        self._horizon = horizon(scale)
        self._clock = clock
        self._until = float("-inf")
        self._told = False
        self._samples: dict[str, tuple[Sample, ...]] = {}
        """By the uid of the pod."""
        self._climbing: dict[AppKey, frozenset[str]] = {}
        """The pods that climbed at the last look, of the apps that have such."""

    def of(self, facts: Facts) -> Mapping[str, tuple[Sample, ...]]:
        """What was measured of an app's pods, by uid."""
        return {p.uid: self._samples[p.uid] for p in facts.pods if p.uid in self._samples}

    async def run(self) -> None:
        """Look at the pace, for ever."""
        while True:
            await asyncio.sleep(self._pace)
            await self.look()

    async def look(self) -> None:
        """Look once, if somebody asks for it and the API is not known to be away."""
        asking = [app.key for app in self._store.apps() if ASKING in app.spec]
        if asking and self._clock() >= self._until:
            await self._measure(asking)
        elif not asking:
            self._samples.clear()
        self._wake(asking)

    async def _measure(self, asking: Iterable[AppKey]) -> None:
        apps: dict[str, list[str]] = defaultdict(list)
        for key in asking:
            apps[key.namespace].append(key.name)
        kept: dict[str, tuple[Sample, ...]] = {}
        try:
            for namespace, wanted in apps.items():
                kept |= await self._list(namespace, wanted)
        except ApiError as error:
            # Half of what there was is none: what is not measured any more cannot be judged.
            self._samples = {}
            self._missed(error)
            return
        if self._told:
            logger.info("the use of memory is measured again")
        self._told = False
        self._samples = kept

    async def _list(self, namespace: str, wanted: Sequence[str]) -> dict[str, tuple[Sample, ...]]:
        """The measurements of the pods of some apps, with what was kept of them before."""
        pods = {
            pod.name: pod.uid
            for name in wanted
            if (facts := self._store.facts(AppKey(namespace, name))) is not None
            for pod in facts.pods
        }
        few = len(wanted) <= LONGEST_SELECTOR
        labels = f"{names.LABEL_APP} in ({','.join(wanted)})" if few else names.LABEL_APP
        found: dict[str, tuple[Sample, ...]] = {}
        async for item in self._client.objects(POD_METRICS, namespace, labels):
            read = sample(item)
            if read is None or read[0] not in pods:
                continue
            name, latest = read
            past = self._samples.get(pods[name], ())
            is_news = not past or past[-1].at < latest.at  # else it was not measured anew
            found[pods[name]] = (*past, latest)[-KEPT:] if is_news else past
        return found

    def _missed(self, error: ApiError) -> None:
        is_away = isinstance(error, NotFoundError | ForbiddenError)
        pace = AWAY_PACE if is_away else self._pace
        self._until = self._clock() + (pace if is_away else 0.0)
        if not self._told:
            logger.warning(
                "the use of memory is not known (spec.healing.memory), asked again every %.0f s: "
                "%s; is metrics-server installed?",
                pace,
                error,
            )
        self._told = True

    def _wake(self, asking: Iterable[AppKey]) -> None:
        """Have those apps looked at of which another pod climbs now, or one no longer does."""
        now: dict[AppKey, frozenset[str]] = {}
        for key in asking:
            facts = self._store.facts(key)
            pods = climbing(facts, self._samples, self._horizon) if facts else ()
            if pods:
                now[key] = frozenset(pod.uid for pod in pods)
        for key in now.keys() | self._climbing.keys():
            if now.get(key) != self._climbing.get(key):
                self._queue.add(key)
        self._climbing = now
