"""The operator as a whole: what it is made of, in which order it starts, and how it ends."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Sequence

from selfhealing import __version__
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import Relister
from selfhealing.controller.child_sync import Children
from selfhealing.controller.event_handlers import Observer
from selfhealing.controller.http_endpoints import metrics_endpoint, waiting_endpoint
from selfhealing.controller.liveness import Heartbeat
from selfhealing.controller.optional_kinds import OptionalKinds
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import Recorder
from selfhealing.controller.remediator import Healer
from selfhealing.controller.settings import Settings, SettingsError
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.credentials import load_configuration, own_namespace
from selfhealing.kube.leader_election import Election, LeaseRules
from selfhealing.kube.resources import CONFIG_SOURCES

logger = logging.getLogger(__name__)

SPARE_CONNECTIONS = 4
"""Beside one for each worker: Events, the Lease, lists."""


class Operator:
    """Everything between the watches and the writes, for one process.

    Attributes:
        observer: takes what the watches bring.
        failure: what ended the operator, if it did not end by being asked to.
    """

    def __init__(self, client: Client, settings: Settings, namespaces: Sequence[str]) -> None:
        """Put the parts together, inside a running event loop; nothing is started yet."""
        clock = asyncio.get_running_loop().time
        self._settings = settings
        self._client = client
        self._store = Store()
        self._queue: WorkQueue[AppKey] = WorkQueue()
        self.observer = Observer(self._store, self._queue, settings.debounce)
        self._recorder = Recorder(client)
        self._optional = OptionalKinds(
            client, self._store, self.observer, self._queue, namespaces, clock
        )
        children = Children(client, self._store, self._optional)
        self._healer = Healer(client, self._store, self._queue, settings, clock)
        self._reconciler = Reconciler(
            client,
            self._store,
            self._queue,
            self._recorder,
            children,
            self._healer,
            settings,
            clock,
        )
        sources = CONFIG_SOURCES[settings.config_watch]
        self._relister = Relister(client, self._store, self.observer, namespaces, sources)
        self._heartbeat = Heartbeat(self._queue, settings.stall_limit)
        self._metrics = metrics_endpoint(settings.metrics_port)
        rules = lease_rules(settings)
        self._election = Election(client, rules, clock) if rules else None
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self.failure: BaseException | None = None

    @classmethod
    async def create(cls, settings: Settings, namespaces: Sequence[str]) -> "Operator":
        """Log in and put the operator together."""
        configuration = await load_configuration()
        client = Client(
            configuration, settings.request_timeout, settings.workers + SPARE_CONNECTIONS
        )
        return cls(client, settings, namespaces)

    async def wait_for_kind(self, health_port: int) -> None:
        """Wait until the API server answers and knows the SelfHealingApp kind.

        Meanwhile the probes of the operator's own pod are answered on ``health_port``, if not 0.
        """
        if not await self._relister.obstacle():
            return
        health = waiting_endpoint(health_port)
        await health.start()
        try:
            await self._relister.wait_for_kind()
        finally:
            await health.stop()

    async def start(self) -> None:
        """Start everything in the background."""
        await self._metrics.start()
        self._task = asyncio.create_task(self._run(), name="selfhealing operator")

    async def stop(self) -> None:
        """Stop working, give the lease back, close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._election is not None:
            await self._election.release()
        await self._metrics.stop()
        await self._client.__aexit__()

    def health(self) -> dict[str, float]:
        """Say how far behind the operator is; raises StalledError when that is too far."""
        return self._heartbeat.check(working=self._working)

    async def _run(self) -> None:
        """Run for ever; whatever fails ends the process, so that it is started again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._heartbeat.run())
                tasks.create_task(self._recorder.run())
                await self._relister.catch_up()
                logger.info(
                    "selfhealing %s: caught up with %d apps", __version__, len(self._store.keys())
                )
                if self._election is not None:
                    await self._election.wait()
                    tasks.create_task(self._election.keep())
                await self._optional.look()
                tasks.create_task(self._optional.run())
                self._working = True
                self._healer.begin()
                tasks.create_task(self._healer.usage.run())
                tasks.create_task(self._relister.run(self._settings.relist_interval))
                for _ in range(self._settings.workers):
                    tasks.create_task(self._reconciler.work())
        except BaseExceptionGroup as group:
            self.failure = group.exceptions[0]
            logger.exception(
                "the operator ends, to be started again: %s", self.failure, exc_info=self.failure
            )
            # kopf stops its watches on a signal; there is no other way to ask it under `kopf run`.
            signal.raise_signal(signal.SIGTERM)


def lease_rules(settings: Settings) -> LeaseRules | None:
    """The rules of the leader election, or None when there is none.

    Raises:
        SettingsError: an election is wanted but the Lease has no namespace to be in.
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
    return LeaseRules(
        namespace=namespace,
        name=settings.lease_name,
        identity=f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}",
        duration=settings.lease_duration,
        renew=settings.lease_renew,
    )
