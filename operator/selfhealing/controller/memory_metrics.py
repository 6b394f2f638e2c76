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
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.memory_trend import (
    MemorySample,
    find_pods_trending_to_limit,
    parse_pod_metrics,
)
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, NotFoundError
from selfhealing.kube.resources import POD_METRICS
from selfhealing.remediation.policy import scale_memory_horizon

logger = logging.getLogger(__name__)

POLL_INTERVAL: Final = 15.0
"""Seconds between two looks, times the scale of healing: metrics-server measures as often."""

MIN_POLL_INTERVAL: Final = 5.0
"""However small the scale is."""

UNAVAILABLE_POLL_INTERVAL: Final = 300.0
"""Seconds until it is tried again where the API is not served, or not to this operator."""

MAX_SAMPLES: Final = 10
"""Measurements that are kept of each pod."""

MAX_SELECTOR_APPS: Final = 50
"""Apps that are asked for by name; of more in one namespace, all that there are."""

OPT_IN: Final = b'"memory":{"max":'
"""What stands in the stored spec of an app that asks for it. A text that happens to be in another
field costs a list, no more."""


class MemoryMetrics:
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
        self._poll_interval = max(MIN_POLL_INTERVAL, POLL_INTERVAL * scale)
        self._horizon = scale_memory_horizon(scale)
        self._backoff: Backoff[str] = Backoff(
            clock, initial=UNAVAILABLE_POLL_INTERVAL, maximum=UNAVAILABLE_POLL_INTERVAL
        )
        self._warned = False
        self._samples: dict[str, tuple[MemorySample, ...]] = {}
        """By the uid of the pod."""
        self._trending_pods: dict[AppKey, frozenset[str]] = {}
        """The pods that climbed at the last look, of the apps that have such."""

    def samples_for(self, snapshot: AppSnapshot) -> Mapping[str, tuple[MemorySample, ...]]:
        """What was measured of an app's pods, by uid."""
        return {p.uid: self._samples[p.uid] for p in snapshot.pods if p.uid in self._samples}

    async def run(self) -> None:
        """Look at the pace, for ever."""
        while True:
            await asyncio.sleep(self._poll_interval)
            await self.poll()

    async def poll(self) -> None:
        """Look once, if somebody asks for it and the API is not known to be away."""
        opted_in = [app.key for app in self._store.apps() if OPT_IN in app.spec]
        if opted_in and not self._backoff.retry_after(POD_METRICS.kind):
            await self._collect_samples(opted_in)
        elif not opted_in:
            self._samples.clear()
        self._enqueue_changed(opted_in)

    async def _collect_samples(self, opted_in: Iterable[AppKey]) -> None:
        names_by_namespace: dict[str, list[str]] = defaultdict(list)
        for key in opted_in:
            names_by_namespace[key.namespace].append(key.name)
        samples: dict[str, tuple[MemorySample, ...]] = {}
        try:
            for namespace, app_names in names_by_namespace.items():
                samples |= await self._list_samples(namespace, app_names)
        except ApiError as error:
            # Half of what there was is none: what is not measured any more cannot be judged.
            self._samples = {}
            self._handle_list_error(error)
            return
        if self._warned:
            logger.info("the use of memory is measured again")
        self._warned = False
        self._samples = samples

    async def _list_samples(
        self, namespace: str, app_names: Sequence[str]
    ) -> dict[str, tuple[MemorySample, ...]]:
        """The measurements of the pods of some apps, with what was kept of them before."""
        pods = {
            pod.name: pod.uid
            for name in app_names
            if (snapshot := self._store.snapshot(AppKey(namespace, name))) is not None
            for pod in snapshot.pods
        }
        fits_selector = len(app_names) <= MAX_SELECTOR_APPS
        labels = (
            f"{names.LABEL_APP} in ({','.join(app_names)})" if fits_selector else names.LABEL_APP
        )
        samples: dict[str, tuple[MemorySample, ...]] = {}
        async for item in self._client.list_objects(POD_METRICS, namespace, labels):
            parsed = parse_pod_metrics(item)
            if parsed is None or parsed[0] not in pods:
                continue
            name, latest = parsed
            previous = self._samples.get(pods[name], ())
            is_new = (
                not previous or previous[-1].measured_at < latest.measured_at
            )  # else it was not measured anew
            samples[pods[name]] = (*previous, latest)[-MAX_SAMPLES:] if is_new else previous
        return samples

    def _handle_list_error(self, error: ApiError) -> None:
        is_unavailable = isinstance(error, NotFoundError | ForbiddenError)
        interval = (
            self._backoff.record_failure(POD_METRICS.kind)
            if is_unavailable
            else self._poll_interval
        )
        if not self._warned:
            logger.warning(
                "the use of memory is not known (spec.healing.memory), asked again every %.0f s: "
                "%s; is metrics-server installed?",
                interval,
                error,
            )
        self._warned = True

    def _enqueue_changed(self, opted_in: Iterable[AppKey]) -> None:
        """Have those apps looked at of which another pod climbs now, or one no longer does."""
        trending: dict[AppKey, frozenset[str]] = {}
        for key in opted_in:
            snapshot = self._store.snapshot(key)
            pods = (
                find_pods_trending_to_limit(snapshot, self._samples, self._horizon)
                if snapshot
                else ()
            )
            if pods:
                trending[key] = frozenset(pod.uid for pod in pods)
        for key in trending.keys() | self._trending_pods.keys():
            if trending.get(key) != self._trending_pods.get(key):
                self._queue.add(key)
        self._trending_pods = trending
