"""Measures what the containers of some apps use.

Of apps with spec.healing.memory, to warn before a container is killed; and of those whose probes
fail under a CPU limit, to tell whether they are throttled.

The metrics API is polled with one list for each namespace that has such apps. A namespace whose
list fails is retried later and later, and the others go on. When the API is not served, that is
logged once and retried every UNAVAILABLE_POLL_INTERVAL.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, PodView
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.cpu_throttling import find_cpu_throttling, may_be_throttled
from selfhealing.health.memory_trend import find_trending_containers
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import UsageSample, parse_pod_metrics
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
"""Seconds until the next poll when the API is not served or forbidden, and at most of a namespace
whose list fails."""

MAX_CONCURRENT_LISTS: Final = 4
"""Namespaces that are listed at the same time: a slow one does not hold up the others."""

MAX_SAMPLES: Final = 10
"""The samples that are kept of each container."""

MAX_SUSPECTS: Final = 100
"""The most apps that are measured because they may be throttled."""

MAX_NAMESPACE_SUSPECTS: Final = 20
"""The most of them in one namespace."""

MAX_SELECTOR_APPS: Final = 50
"""The most apps of a namespace that a label selector names; of more, all pods are listed."""

OPT_IN: Final = b'"memory":{'
"""The text in the stored spec of an app with spec.healing.memory. The same text in another field
only costs a list."""


class UsageMetrics:
    """Polls the usage of containers; enqueues an app when those near a limit change."""

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
        self._api_backoff: Backoff[str] = Backoff(
            clock, initial=UNAVAILABLE_POLL_INTERVAL, maximum=UNAVAILABLE_POLL_INTERVAL
        )
        self._namespace_backoff: Backoff[str] = Backoff(
            clock, initial=self._poll_interval, maximum=UNAVAILABLE_POLL_INTERVAL
        )
        self._failed: set[str] = set()
        """The namespaces whose last list failed."""
        self._is_api_missing = False
        self._samples: dict[ContainerKey, tuple[UsageSample, ...]] = {}
        """By container, the oldest sample first."""
        self._suspects: set[AppKey] = set()
        """The apps that may be throttled, and are measured for that."""
        self._near_limit: dict[AppKey, frozenset[ContainerKey]] = {}
        """By app, the containers that neared a limit at the last poll."""

    def samples_for(self, snapshot: AppSnapshot) -> Mapping[ContainerKey, tuple[UsageSample, ...]]:
        """Return the samples of an app's containers.

        From now on an app is measured, too, of which a pod may be throttled.
        """
        if snapshot.app.key not in self._suspects and any(map(may_be_throttled, snapshot.pods)):
            self._add_suspect(snapshot.app.key)
        keys = (ContainerKey(pod.uid, c.name) for pod in snapshot.pods for c in pod.containers)
        return {key: self._samples[key] for key in keys if key in self._samples}

    async def run(self) -> None:
        """Poll at the interval, for ever."""
        while True:
            await asyncio.sleep(self._poll_interval)
            await self.poll()

    async def poll(self) -> None:
        """Poll once, if there is an app to be measured and no back-off is running."""
        self._suspects = {key for key in self._suspects if self._is_suspect(key)}
        opted_in = {app.key for app in self._store.apps() if OPT_IN in app.spec}
        measured = sorted(opted_in | self._suspects)
        if measured and not self._api_backoff.retry_after(POD_METRICS.kind):
            await self._collect_samples(measured)
        elif not measured:
            self._samples.clear()
        self._enqueue_changed(measured)

    def _is_suspect(self, key: AppKey) -> bool:
        snapshot = self._store.snapshot(key)
        return snapshot is not None and any(map(may_be_throttled, snapshot.pods))

    def _add_suspect(self, key: AppKey) -> None:
        """Measure an app, if there is room: of a full list the fullest namespace gives one up."""
        counts = Counter(suspect.namespace for suspect in self._suspects)
        if counts[key.namespace] >= MAX_NAMESPACE_SUSPECTS:
            return
        if len(self._suspects) >= MAX_SUSPECTS:
            [(fullest, most)] = counts.most_common(1)
            if most <= counts[key.namespace] + 1:
                return
            self._suspects.remove(
                next(each for each in self._suspects if each.namespace == fullest)
            )
        self._suspects.add(key)

    async def _collect_samples(self, measured: Iterable[AppKey]) -> None:
        names_by_namespace: dict[str, list[str]] = defaultdict(list)
        for key in measured:
            names_by_namespace[key.namespace].append(key.name)
        for namespace in self._failed - names_by_namespace.keys():
            self._namespace_backoff.forget(namespace)
        self._failed &= names_by_namespace.keys()
        due = {
            namespace: app_names
            for namespace, app_names in names_by_namespace.items()
            if not self._namespace_backoff.retry_after(namespace)
        }
        slots = asyncio.Semaphore(MAX_CONCURRENT_LISTS)

        async def list_namespace(namespace: str) -> dict[ContainerKey, tuple[UsageSample, ...]]:
            async with slots:
                return await self._list_samples(namespace, due[namespace])

        results = await asyncio.gather(*map(list_namespace, due), return_exceptions=True)
        # The samples of a namespace whose list fails are dropped: they would look current.
        samples: dict[ContainerKey, tuple[UsageSample, ...]] = {}
        # A namespace that refuses says nothing about the API, unless no other one answers.
        is_refused = all(isinstance(result, ForbiddenError) for result in results)
        for namespace, result in zip(due, results, strict=True):
            if isinstance(result, NotFoundError) or (
                is_refused and isinstance(result, ForbiddenError)
            ):
                self._note_api_missing(result)
                return
            if isinstance(result, ApiError):
                self._note_failure(namespace, result)
            elif isinstance(result, BaseException):
                raise result
            else:
                self._note_success(namespace)
                samples |= result
        self._samples = samples
        if due and self._is_api_missing:
            logger.info("the usage of containers is available again")
            self._is_api_missing = False

    async def _list_samples(
        self, namespace: str, app_names: Sequence[str]
    ) -> dict[ContainerKey, tuple[UsageSample, ...]]:
        """List the samples of the containers of some apps, and append them to the earlier ones."""
        pods = {
            pod.name: pod
            for name in app_names
            if (snapshot := self._store.snapshot(AppKey(namespace, name))) is not None
            for pod in snapshot.pods
        }
        fits_selector = len(app_names) <= MAX_SELECTOR_APPS
        labels = (
            f"{names.LABEL_APP} in ({','.join(app_names)})" if fits_selector else names.LABEL_APP
        )
        # A container that waits for its restart is not measured, and will lack CPU again.
        samples = {
            key: tuple(replace(sample, memory_bytes=None) for sample in self._samples[key])
            for pod in pods.values()
            for container in pod.containers
            if container.running_since is None
            and (key := ContainerKey(pod.uid, container.name)) in self._samples
        }
        async for item in self._client.list_objects(POD_METRICS, namespace, labels):
            pod = pods.get(item["metadata"]["name"])
            if pod is not None:
                samples |= self._append_samples(pod, item)
        return samples

    def _append_samples(
        self, pod: PodView, item: Mapping[str, Any]
    ) -> dict[ContainerKey, tuple[UsageSample, ...]]:
        """Return the samples of the containers of a pod, with those of its PodMetrics.

        A container that the pod does not have is left out: whoever serves the metrics API may name
        any.
        """
        known = {container.name for container in pod.containers}
        samples: dict[ContainerKey, tuple[UsageSample, ...]] = {}
        for name, latest in parse_pod_metrics(item):
            if name not in known:
                continue
            key = ContainerKey(pod.uid, name)
            previous = self._samples.get(key, ())
            is_new = not previous or previous[-1].measured_at < latest.measured_at
            samples[key] = (*previous, latest)[-MAX_SAMPLES:] if is_new else previous
        return samples

    def _note_api_missing(self, error: ApiError) -> None:
        """Note that nobody serves the metrics API, or not to the operator."""
        self._samples = {}
        interval = self._api_backoff.record_failure(POD_METRICS.kind)
        if not self._is_api_missing:
            logger.warning(
                "the usage of containers is unknown, retry every %.0f s: "
                "%s; is metrics-server installed?",
                interval,
                error,
            )
        self._is_api_missing = True

    def _note_failure(self, namespace: str, error: ApiError) -> None:
        self._namespace_backoff.record_failure(namespace)
        if namespace not in self._failed:
            logger.warning(
                "the usage of containers in the namespace %s is unknown, it is retried: %s",
                namespace,
                error,
            )
        self._failed.add(namespace)

    def _note_success(self, namespace: str) -> None:
        self._namespace_backoff.forget(namespace)
        if namespace in self._failed:
            logger.info("the usage of containers in the namespace %s is known again", namespace)
        self._failed.discard(namespace)

    def _enqueue_changed(self, measured: Iterable[AppKey]) -> None:
        """Enqueue the apps whose set of containers that near a limit has changed."""
        near_limit: dict[AppKey, frozenset[ContainerKey]] = {}
        for key in measured:
            snapshot = self._store.snapshot(key)
            if snapshot is not None and (found := self._find_near_limit(snapshot)):
                near_limit[key] = found
        for key in near_limit.keys() | self._near_limit.keys():
            if near_limit.get(key) != self._near_limit.get(key):
                self._queue.add(key)
        self._near_limit = near_limit

    def _find_near_limit(self, snapshot: AppSnapshot) -> frozenset[ContainerKey]:
        """Find the containers that near their memory limit, or are at their CPU limit."""
        trending = find_trending_containers(snapshot, self._samples, self._horizon)
        throttled = find_cpu_throttling(snapshot.pods, self._samples)
        return frozenset(
            ContainerKey(pod.uid, container)
            for container, pods in (
                *trending.items(),
                *((diagnosis.container, diagnosis.pods) for diagnosis in throttled),
            )
            for pod in pods
        )
