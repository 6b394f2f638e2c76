"""The manager: builds the parts of the operator, starts them in order and stops them."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Sequence
from contextlib import suppress

from selfhealing import __version__
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import CacheSync
from selfhealing.controller.child_sync import MAX_LARGE_READS, ChildSync
from selfhealing.controller.config_reader import MAX_CONCURRENT_READS, ConfigReader
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.controller.http_endpoints import metrics_endpoint
from selfhealing.controller.liveness import Heartbeat
from selfhealing.controller.metrics_auth import MetricsAuthorizer
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.optional_kinds import OptionalKinds
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings, SettingsError
from selfhealing.controller.watches import build_watches, count_watches
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.credentials import load_configuration, own_namespace
from selfhealing.kube.leader_election import LeaderElectionConfig, LeaderElector
from selfhealing.kube.metrics import LEADER
from selfhealing.kube.resources import CONFIG_SOURCES

logger = logging.getLogger(__name__)

SPARE_CONNECTIONS = 4 + MAX_CONCURRENT_READS
"""Connections besides one for each worker and each watch: for Events, the Lease, lists, and the
ConfigMaps and Secrets that are read."""
POD_EVENTS_TIMEOUT = 10.0
"""Seconds that the start waits for the lists of Events about pods: without them, restarts from
before the start cannot be attributed, but apps must not wait for longer."""

MAX_NAMESPACE_SHARE = 0.75
"""The share of the workers that the apps of one namespace may occupy: its admission webhook may
delay each request until the time-out."""


class Manager:
    """All parts of the operator in one process.

    Attributes:
        event_handlers: handle the events of the watches.
        namespace_access: is told by kopf's watch which namespaces refuse the operator.
        failure: the error that ended the operator; None after an ordinary stop.
    """

    def __init__(self, client: Client, settings: Settings, namespaces: Sequence[str]) -> None:
        """Build the parts inside a running event loop; nothing is started."""
        clock, server_now = asyncio.get_running_loop().time, client.server_clock.now
        self._settings = settings
        self._client = client
        self._store = Store()
        self._queue: WorkQueue[AppKey] = WorkQueue(
            group_of=lambda key: key.namespace,
            group_limit=max_workers_of_namespace(settings.workers),
        )
        self.event_handlers = EventHandlers(self._store, self._queue, settings.debounce)
        self._recorder = EventRecorder(client, clock, server_now)
        self._optional_kinds = OptionalKinds(
            client, self._store, self.event_handlers, self._queue, namespaces, clock
        )
        self._config_reader = ConfigReader(
            client,
            self._store.config_index,
            self._queue,
            CONFIG_SOURCES[settings.config_watch],
            settings.debounce,
        )
        self.namespace_access = NamespaceAccess(self._store, self._queue, clock)
        self._watches = build_watches(
            client,
            self.event_handlers,
            self._config_reader,
            namespaces,
            settings.config_watch,
            self.namespace_access,
        )
        child_sync = ChildSync(
            client,
            self._store,
            self._optional_kinds,
            FairSlots(MAX_LARGE_READS, self._queue.add, clock),
        )
        self._remediator = Remediator(client, self._store, self._queue, settings, clock, server_now)
        self._reconciler = Reconciler(
            client,
            self._store,
            self._queue,
            self._recorder,
            child_sync,
            self._remediator,
            self._config_reader,
            settings,
            clock,
            server_now,
        )
        self._cache_sync = CacheSync(
            client, self._store, self.event_handlers, namespaces, self.namespace_access
        )
        self._heartbeat = Heartbeat(self._queue, settings.stall_limit)
        self._metrics_endpoint = metrics_endpoint(
            settings.metrics_port,
            MetricsAuthorizer(client, clock) if settings.metrics_auth == "token" else None,
            settings.metrics_tls_files,
        )
        election_config = leader_election_config(settings)
        self._leader_elector = (
            LeaderElector(client, election_config, clock, server_now) if election_config else None
        )
        self._task: asyncio.Task[None] | None = None
        self._is_reconciling = False
        self.failure: BaseException | None = None

    @classmethod
    async def create(cls, settings: Settings, namespaces: Sequence[str]) -> "Manager":
        """Load the credentials and build the manager."""
        configuration = await load_configuration()
        watches = count_watches(namespaces, settings.config_watch)
        client = Client(
            configuration, settings.request_timeout, settings.workers + SPARE_CONNECTIONS + watches
        )
        return cls(client, settings, namespaces)

    async def wait_for_crd(self) -> None:
        """Wait until the API server answers, and serves and names the SelfHealingApp kind."""
        await self._cache_sync.wait_for_crd()

    async def start(self) -> None:
        """Start the operator in the background."""
        await self._metrics_endpoint.start()
        self._task = asyncio.create_task(self._run(), name="selfhealing operator")

    async def stop(self) -> None:
        """Stop the workers, release the lease and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._leader_elector is not None:
            await self._leader_elector.release()
        await self._metrics_endpoint.stop()
        await self._client.__aexit__()

    def check_liveness(self) -> dict[str, float]:
        """Return how far behind the operator is; raises StalledError when it is too far."""
        return self._heartbeat.check_liveness(is_reconciling=self._is_reconciling)

    async def _run(self) -> None:
        """Run for ever; an error ends the process, so that Kubernetes restarts it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._heartbeat.run())
                tasks.create_task(self._recorder.run())
                for reflector in self._watches.objects:
                    tasks.create_task(reflector.run())
                await self._cache_sync.wait_for_sync()
                logger.info(
                    "selfhealing %s: caught up with %d apps", __version__, len(self._store.keys())
                )
                for reflector in (*self._watches.pod_events, *self._watches.configs):
                    tasks.create_task(reflector.run())
                await self._wait_for_pod_events()
                if self._leader_elector is not None:
                    await self._leader_elector.acquire()
                    tasks.create_task(self._leader_elector.renew())
                else:
                    LEADER.set(1)  # it acts, and no alert must say that none does
                await self._optional_kinds.list_all()
                tasks.create_task(self._optional_kinds.run())
                tasks.create_task(self._config_reader.run())
                self._is_reconciling = True
                self._reconciler.start_leading()
                tasks.create_task(self._remediator.usage_metrics.run())
                tasks.create_task(self._cache_sync.run(self._settings.relist_interval))
                tasks.create_task(self._cache_sync.run_retries())
                for _ in range(self._settings.workers):
                    tasks.create_task(self._reconciler.run_worker())
        except BaseExceptionGroup as group:
            self.failure = group.exceptions[0]
            logger.exception(
                "the operator stops, to be restarted: %s", self.failure, exc_info=self.failure
            )
            # Under `kopf run` a signal is the only way to make kopf stop its watches.
            signal.raise_signal(signal.SIGTERM)

    async def _wait_for_pod_events(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POD_EVENTS_TIMEOUT):
                for reflector in self._watches.pod_events:
                    await reflector.listed.wait()


def max_workers_of_namespace(workers: int) -> int:
    """Return how many workers may reconcile apps of one namespace at the same time."""
    return max(1, int(workers * MAX_NAMESPACE_SHARE))


def leader_election_config(settings: Settings) -> LeaderElectionConfig | None:
    """Return the configuration of the leader election; None when it is off.

    Raises:
        SettingsError: leader election is on, and the namespace of the Lease is unknown.
    """
    namespace = settings.lease_namespace or own_namespace()
    if settings.leader_election == "off" or (
        settings.leader_election == "auto" and own_namespace() is None
    ):
        return None
    if not namespace:
        raise SettingsError(
            "SELFHEALING_LEADER_ELECTION=on outside a cluster needs "
            "SELFHEALING_LEASE_NAMESPACE=NAMESPACE"
        )
    return LeaderElectionConfig(
        namespace=namespace,
        name=settings.lease_name,
        identity=f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}",
        lease_duration=settings.lease_duration,
        retry_period=settings.lease_renew,
    )
