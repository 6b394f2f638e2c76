"""Memory usage of pods, for apps with spec.healing.memory: it warns before a pod is killed.

The metrics API is polled with one list for each namespace that has such apps. When the API is not
served, that is logged once and retried every UNAVAILABLE_POLL_INTERVAL.
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
"""Seconds between two polls, times the setting healing_scale: metrics-server measures as often."""

MIN_POLL_INTERVAL: Final = 5.0
"""The shortest interval, however small the scale is."""

UNAVAILABLE_POLL_INTERVAL: Final = 300.0
"""Seconds until the next poll when the API is not served or forbidden."""

MAX_SAMPLES: Final = 10
"""The samples that are kept of each pod."""

MAX_SELECTOR_APPS: Final = 50
"""The most apps of a namespace that a label selector names; of more, all pods are listed."""

OPT_IN: Final = b'"memory":{"max":'
"""The text in the stored spec of an app with spec.healing.memory. The same text in another field
only costs a list."""


class MemoryMetrics:
    """Polls the memory usage of pods; enqueues an app when another pod nears its limit, or not."""

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        scale: float,
        clock: Callable[[], float],
    ) -> None:
        """``scale`` is the setting healing_scale; ``clock`` returns monotonic seconds."""
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
        """By the UID of the pod, the oldest sample first."""
        self._trending_pods: dict[AppKey, frozenset[str]] = {}
        """By app, the UIDs of the pods that neared the limit at the last poll."""

    def samples_for(self, snapshot: AppSnapshot) -> Mapping[str, tuple[MemorySample, ...]]:
        """Return the samples of an app's pods, by UID."""
        return {p.uid: self._samples[p.uid] for p in snapshot.pods if p.uid in self._samples}

    async def run(self) -> None:
        """Poll at the interval, for ever."""
        while True:
            await asyncio.sleep(self._poll_interval)
            await self.poll()

    async def poll(self) -> None:
        """Poll once, if an app has opted in and no back-off is running."""
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
            # Discard all samples when a list fails: partial data would look current.
            self._samples = {}
            self._handle_list_error(error)
            return
        if self._warned:
            logger.info("memory usage is available again")
        self._warned = False
        self._samples = samples

    async def _list_samples(
        self, namespace: str, app_names: Sequence[str]
    ) -> dict[str, tuple[MemorySample, ...]]:
        """List the samples of the pods of some apps, and append them to the earlier ones."""
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
            is_new = not previous or previous[-1].measured_at < latest.measured_at
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
                "memory usage is unknown (spec.healing.memory), retry every %.0f s: "
                "%s; is metrics-server installed?",
                interval,
                error,
            )
        self._warned = True

    def _enqueue_changed(self, opted_in: Iterable[AppKey]) -> None:
        """Enqueue the apps whose set of pods that near the limit has changed."""
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
