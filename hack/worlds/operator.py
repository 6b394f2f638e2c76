"""The operator's processes on a simulated cluster: the real code, with a simulated client.

This is the only module that knows how a process of the operator is put together.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final, cast

import orjson

from hack.worlds import raw
from hack.worlds.api_server import OperatorKilledError, SimClient
from hack.worlds.cluster import Cluster
from hack.worlds.model import Json, Program, SimObject, SimPod
from hack.worlds.requests import Requests
from hack.worlds.substitutes import substitutes
from hack.worlds.timeline import to_datetime
from selfhealing.api import names
from selfhealing.api.config_refs import ConfigObject, ConfigRef
from selfhealing.cache.parse import parse_resource_version
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.child_sync import MAX_LARGE_READS, ChildSync
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.controller.optional_kinds import OptionalKinds
from selfhealing.controller.reconcile_order import CollectedEvidence
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.usage_metrics import POLL_INTERVAL
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import CONFIG_SOURCES
from selfhealing.kube.server_clock import ServerClock

KEY: Final = AppKey(raw.NAMESPACE, raw.APP)
DEBOUNCE: Final = 1.0
"""Seconds from a change to the reconcile: longer than the default, so that a world costs less."""

MAX_BACK_OFF: Final = 15.0
"""Seconds. The longest back-off of a failed reconcile."""

CONFIG_KINDS: Final = frozenset({"ConfigMap", "Secret"})
ORDINARY_CPU: Final = Program().cpu
"""Millicores."""


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """How the processes of a world differ from the ordinary ones.

    Attributes:
        sees_pods: the process is told of pods; without it it applies the spec and nothing else.
        skew: seconds by which the operator's clock is ahead of the API server's.
        watches_secrets: the setting config_watch is all.
    """

    sees_pods: bool = True
    skew: float = 0.0
    watches_secrets: bool = False


class SimQueue:
    """A work queue in simulated time: `selfhealing.controller.workqueue.WorkQueue`."""

    def __init__(
        self, cluster: Cluster, handle: Callable[[Any], None], longest: float = float("inf")
    ) -> None:
        """``longest``: keys that are to be handled later than that are dropped."""
        self._cluster = cluster
        self._longest = longest
        self._handle = handle
        self._due: dict[Any, float] = {}
        self._failures: dict[Any, int] = {}
        self.is_stopped = False

    def add(self, key: Any, delay: float = 0.0) -> None:  # noqa: ANN401 - a key of any kind
        """Handle a key in ``delay`` seconds, or sooner if that was asked for."""
        if delay > self._longest:
            return
        at = self._cluster.now + max(delay, 0.0)
        due = self._due.get(key)
        if due is not None and due <= at:
            return
        self._due[key] = at
        self._cluster.timeline.at(at, lambda: self._pop(key, at))

    def _pop(self, key: Any, at: float) -> None:  # noqa: ANN401 - a key of any kind
        if self._due.get(key) == at and not self.is_stopped:
            del self._due[key]
            self._handle(key)

    def add_rate_limited(self, key: Any) -> float:  # noqa: ANN401 - a key of any kind
        """Handle a key after its back-off; returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(0.5 * 2.0**failures, MAX_BACK_OFF)
        self.add(key, delay)
        return delay

    def forget(self, key: Any) -> None:  # noqa: ANN401 - a key of any kind
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def done(self, key: Any) -> None:  # noqa: ANN401 - a key of any kind
        """Note that a key was handled."""


class _NoEvidence:
    """Collects no evidence."""

    async def collect(self, *_: Any) -> CollectedEvidence:  # noqa: ANN401 - of no interest
        return CollectedEvidence()

    def forget_app(self, _: AppKey) -> None:
        """There is nothing to forget."""


class _EventList:
    """Takes the Events that the operator records."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.count = 0

    def record_event(self, _: Any, event: Any) -> None:  # noqa: ANN401 - of the recorder
        self.count += 1
        self._cluster.tell("operator", f"Event {event.reason}: {event.message}")


class SimProcess:
    """One process of the operator.

    Attributes:
        frozen_kinds: the kinds of which its watches bring nothing at present.
        is_alive: it runs.
    """

    def __init__(
        self,
        cluster: Cluster,
        requests: Requests,
        options: OperatorOptions,
        loop: asyncio.AbstractEventLoop,
        on_killed: Callable[["SimProcess"], None],
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._loop = loop
        self._on_killed = on_killed
        self.client = SimClient(cluster, requests)
        self.frozen_kinds: set[str] = set()
        self.is_alive = True
        self._pending: dict[tuple[str, str], tuple[str, Any]] = {}
        self._is_flush_planned = False
        self._seen_versions: dict[str, str] = {}
        self.reconciles = 0
        self.errors: list[str] = []
        self._start()

    def _start(self) -> None:
        cluster, client = self._cluster, cast("Client", self.client)
        settings = Settings(
            debounce=DEBOUNCE, config_watch="all" if self._options.watches_secrets else "configmaps"
        )
        clock = self._read_clock
        self._server_clock = ServerClock(clock, self._read_wall_clock)
        self._hear_time()
        server_now = self._server_clock.now
        self.store = Store()
        # Time alone changes nothing of what a process does that only applies the spec.
        longest = float("inf") if self._options.sees_pods else MAX_BACK_OFF
        queue: Any = SimQueue(cluster, self._reconcile, longest)
        config_queue: Any = SimQueue(cluster, self._read_config)
        self._queues: tuple[SimQueue, ...] = (queue, config_queue)
        self._handlers = EventHandlers(self.store, queue, settings.debounce)
        self._config_reader = ConfigReader(
            client,
            self.store.config_index,
            queue,
            CONFIG_SOURCES[settings.config_watch],
            settings.debounce,
        )
        self._config_reader._queue = config_queue  # noqa: SLF001 - it would wait in real time
        optional_kinds = OptionalKinds(client, self.store, self._handlers, queue, (), clock)
        self._remediator = Remediator(client, self.store, queue, settings, clock, server_now)
        self._remediator._evidence_collector = cast("Any", _NoEvidence())  # noqa: SLF001 - costs time
        self.recorder = _EventList(cluster)
        self._reconciler = Reconciler(
            client,
            self.store,
            queue,
            cast("Any", self.recorder),
            ChildSync(
                client, self.store, optional_kinds, FairSlots(MAX_LARGE_READS, queue.add, clock)
            ),
            self._remediator,
            self._config_reader,
            settings,
            clock,
            server_now,
        )
        self._list_all()
        self._reconciler.start_leading()
        if self._options.sees_pods:
            cluster.timeline.after(POLL_INTERVAL, self._poll_usage)

    def _poll_usage(self) -> None:
        """Look at what containers use; in most worlds it is not worth a look."""
        if not self.is_alive:
            return
        if any(program.cpu > ORDINARY_CPU for program in self._cluster.laws.programs.values()):
            self._run(self._remediator.usage_metrics.poll())
        self._cluster.timeline.after(POLL_INTERVAL, self._poll_usage)

    def _read_clock(self) -> float:
        return 1000.0 + self._cluster.now

    def kill(self) -> None:
        """End the process."""
        self.is_alive = False
        self.client.is_dead = True
        for queue in self._queues:
            queue.is_stopped = True

    # What the watches bring.

    def observe(self, kind: str, event_type: str, item: Any) -> None:  # noqa: ANN401 - of any kind
        """Take a change of the cluster, to be handled in a moment."""
        if not self.is_alive or kind == "Node":
            return
        if not self._options.sees_pods and self._is_ignored(kind, item):
            return
        uid = item["metadata"]["name"] if kind == "Event" else _uid_of(item)
        self._pending[kind, uid] = event_type, item
        if not self._is_flush_planned:
            self._is_flush_planned = True
            self._cluster.timeline.after(0.0, self._flush)

    def _is_ignored(self, kind: str, item: Any) -> bool:  # noqa: ANN401 - of any kind
        """Whether a process that only applies the spec needs to know of a change."""
        if kind in CONFIG_KINDS or kind == names.KIND:
            return False
        if kind != "Deployment":
            return True
        generation = str(item.raw["metadata"]["generation"])
        is_same = self._seen_versions.get(kind) == generation
        self._seen_versions[kind] = generation
        return is_same

    def thaw(self) -> None:
        """Let the watches bring everything again."""
        self.frozen_kinds.clear()
        self._flush()

    def _flush(self) -> None:
        self._is_flush_planned = False
        if not self.is_alive:
            return
        pending, self._pending = self._pending, {}
        for (kind, uid), (event_type, item) in pending.items():
            if kind in self.frozen_kinds:
                self._pending[kind, uid] = event_type, item
            else:
                self._deliver(kind, event_type, item)

    def _deliver(self, kind: str, event_type: str, item: Any) -> None:  # noqa: ANN401 - of any kind
        handlers: Any = self._handlers
        if kind == "Event":
            handle = getattr(handlers, "on_pod_event", None) or handlers.on_kill_event
            handle({"type": event_type, "object": item})
        elif kind in CONFIG_KINDS:
            target = ConfigObject(raw.NAMESPACE, ConfigRef(kind, item["metadata"]["name"]))
            if event_type == "DELETED":
                self._config_reader.on_deleted(target)
            else:
                self._config_reader.on_changed(target, parse_resource_version(item["metadata"]))
        elif kind == names.KIND:
            handlers.on_app({"type": event_type, "object": self._cluster.app})
        elif kind == "Pod":
            handlers.on_pod({"type": event_type, "object": raw.render_pod(item)})
        elif kind == "ReplicaSet":
            deployment = self._cluster.children["Deployment"]
            rendered = raw.render_replica_set(item, deployment.uid)
            handlers.on_replica_set({"type": event_type, "object": rendered})
        elif event_type == "DELETED":
            handlers.on_child({"type": event_type, "object": {**item.raw, "status": item.status}})
        else:
            handlers.on_child({"type": event_type, "object": self._cluster.render_child(kind)})

    def _list_all(self) -> None:
        """List everything, as a new process does."""
        cluster = self._cluster
        if not cluster.app:
            return
        self._deliver(names.KIND, "ADDED", cluster.app)
        for kind in list(cluster.children):
            self._deliver(kind, "ADDED", cluster.children[kind])
        if self._options.sees_pods:
            for replica_set in cluster.replica_sets.values():
                self._deliver("ReplicaSet", "ADDED", replica_set)
            for pod in cluster.pods.values():
                self._deliver("Pod", "ADDED", pod)
        self._queues[0].add(KEY)

    # What it does.

    def _run(self, coroutine: Any) -> Any:  # noqa: ANN401 - any coroutine
        """Run a coroutine of the operator, which waits for nothing."""
        self._hear_time()
        with substitutes():
            return self._loop.run_until_complete(_guard(coroutine))

    def _hear_time(self) -> None:
        """Take the time of a response of the API server, in whole seconds."""
        self._server_clock.observe(
            _format_date(int(self._cluster.now)), self._server_clock.start_request()
        )

    def _read_wall_clock(self) -> float:
        return to_datetime(self._cluster.now).timestamp() + self._options.skew

    def _reconcile(self, key: AppKey) -> None:
        self.reconciles += 1
        result = self._run(self._reconciler._reconcile(key))  # noqa: SLF001 - what a worker calls
        self._handle_result(result, key)

    def _handle_result(self, result: Any, key: AppKey) -> None:  # noqa: ANN401 - a result or an error
        if isinstance(result, OperatorKilledError):
            self.kill()
            self._on_killed(self)
        elif isinstance(result, ApiError):
            self._queues[0].add_rate_limited(key)
        elif isinstance(result, BaseException):
            self.errors.append(f"{type(result).__name__}: {result}")
            raise result

    def _read_config(self, target: Any) -> None:  # noqa: ANN401 - a ConfigObject
        result = self._run(self._config_reader._read(target))  # noqa: SLF001 - what a worker calls
        if isinstance(result, ApiError):
            self._config_reader._retry_later(target)  # noqa: SLF001 - what a worker calls


@lru_cache(maxsize=65536)
def _format_date(seconds: int) -> str:
    """Format a time as the API server does in the header of a response."""
    return format_datetime(to_datetime(seconds), usegmt=True)


async def _guard(coroutine: Any) -> Any:  # noqa: ANN401 - any coroutine
    """Return the error of a coroutine: a BaseException would end the loop."""
    try:
        return await coroutine
    except BaseException as error:  # noqa: BLE001 - the caller handles each kind
        return error


def _uid_of(item: Any) -> str:  # noqa: ANN401 - of any kind
    if isinstance(item, SimPod | SimObject):
        return item.uid
    if isinstance(item, dict):
        uid: str = item["metadata"]["uid"]
        return uid
    return str(item.uid)


def read_record(app: Json) -> Json:
    """Return the record of healing in the app's status; empty without one."""
    record: Json = (app.get("status") or {}).get("healing") or {}
    return record


def copy_json(value: Json) -> Json:
    """Return a deep copy."""
    copied: Json = orjson.loads(orjson.dumps(value))
    return copied
