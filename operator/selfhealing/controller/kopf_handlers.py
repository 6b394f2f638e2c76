"""kopf's side: what is watched, how it logs in, starts, stops and is asked whether it lives.

Only level-triggered ``on.event`` handlers are used, each a line: an own queue does what kopf's
change handlers would do with patches, annotations and finalizers on the user's resource
(docs/decisions/0007-kopf-events-only.md).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import click
import kopf

from selfhealing.api import names
from selfhealing.controller.event_handlers import Event, Observer
from selfhealing.controller.manager import Operator
from selfhealing.controller.settings import Settings
from selfhealing.kube.credentials import connection_info
from selfhealing.kube.resources import (
    APPS,
    CONFIG_SELECTORS,
    CONFIG_SOURCES,
    EVENTS,
    PODS,
    WATCHED,
    Resource,
)

logger = logging.getLogger(__name__)

PAGE = 100
"""Objects in one page of kopf's first lists: bounds the memory that a large cluster needs."""

IDLE_TIMEOUT = 0.02
"""Seconds for which kopf's worker of an object waits for its next event.

It holds the last raw object meanwhile, so this and ``PAGE`` together say how many whole objects are
alive during the first lists; the figures are in docs/decisions/0007-kopf-events-only.md.
"""


def register(
    registry: kopf.OperatorRegistry, settings: Settings, health_port: int = 0
) -> "Register":
    """Put every handler into ``registry``; ``health_port`` is that of the process' own probes."""
    return Register(registry, settings, health_port)


class Register:
    """The handlers, around the operator that the startup handler makes."""

    def __init__(
        self, registry: kopf.OperatorRegistry, settings: Settings, health_port: int
    ) -> None:
        self._settings = settings
        self._health_port = health_port
        self.operator: Operator | None = None
        kopf.on.startup(registry=registry)(self._startup)
        kopf.on.cleanup(registry=registry)(self._cleanup)
        kopf.on.login(registry=registry)(self._login)
        kopf.on.probe(registry=registry, id="selfhealing")(self._probe)
        self._watch(registry, APPS, Observer.app)
        for child in WATCHED:
            self._watch(registry, child, Observer.child)
        self._watch(registry, PODS, Observer.pod)
        self._watch(registry, EVENTS, Observer.event)
        for source in CONFIG_SOURCES[settings.config_watch]:
            self._watch(registry, source, Observer.config)

    def _watch(
        self,
        registry: kopf.OperatorRegistry,
        resource: Resource,
        take: Callable[[Observer, Event], None],
    ) -> None:
        async def handler(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
            if self.operator is not None:
                try:
                    take(self.operator.observer, event)
                except Exception:
                    # kopf never retries an event; the next one of the object, or the next list,
                    # brings the same again.
                    logger.exception("a %s could not be taken in", resource.kind)

        kopf.on.event(
            resource.group or "",
            resource.version,
            resource.plural,
            registry=registry,
            id=resource.plural,
        )(handler)

    async def _startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:  # noqa: ANN401
        configure(settings, self._settings)
        self.operator = await Operator.create(self._settings, served(self._settings))
        # kopf looks what is served right after this, and later only at the moment in which a CRD
        # is made: too soon, when the API server is slow to serve the new kind.
        await self.operator.wait_for_kind(self._health_port)
        await self.operator.start()

    async def _cleanup(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        if self.operator is not None:
            await self.operator.stop()

    async def _login(self, **_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's kwargs
        return await connection_info()

    async def _probe(self, **_: Any) -> dict[str, float]:  # noqa: ANN401 - kopf's kwargs
        return self.operator.health() if self.operator is not None else {}


class _NoEssence(kopf.DiffBaseStorage):
    """No last-seen states: kopf would copy every object that changes, and nobody would read it."""

    def build(self, **_: Any) -> kopf.BodyEssence:  # noqa: ANN401 - kopf's kwargs
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        """Nothing is stored."""

    def store(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        """Nothing is stored."""


def configure(settings: kopf.OperatorSettings, ours: Settings) -> None:
    """Set kopf up for level-triggered watching; the figures behind this are in docs/decisions."""
    settings.posting.enabled = False  # Events are the recorder's
    settings.peering.standalone = True  # a stranger's peering must not pause us; we use a Lease
    settings.scanning.disabled = bool(ours.namespaces)  # needs cluster-wide rights
    settings.queueing.worker_limit = None  # a limit would count idle workers and starve the rest
    settings.queueing.idle_timeout = IDLE_TIMEOUT
    settings.watching.chunk_size = PAGE
    settings.watching.server_timeout = 600
    settings.networking.error_backoffs = (0.5, 1, 2, 3, 5, 5, 5)  # kopf's own ends in 13 and 21 s
    settings.process.ultimate_exiting_timeout = 10
    settings.persistence.diffbase_storage = _NoEssence()
    for resource in (*WATCHED, PODS):
        settings.watching.label_selectors[_selector(resource)] = names.LABEL_APP
    settings.watching.field_selectors[_selector(EVENTS)] = "involvedObject.kind=Pod,reason=Killing"
    for resource in CONFIG_SOURCES[ours.config_watch]:
        settings.watching.field_selectors[_selector(resource)] = CONFIG_SELECTORS[resource.kind]


def _selector(resource: Resource) -> tuple[str, str, str]:
    return resource.group or "", resource.version, resource.plural


def served(settings: Settings) -> Sequence[str]:
    """The namespaces that kopf watches: ours, or those of ``kopf run --namespace``."""
    context = click.get_current_context(silent=True)
    given = context.params.get("namespaces") if context is not None else None
    return tuple(given or settings.namespaces)
