"""kopf's handlers: the watch of the apps, login, startup, cleanup and the liveness probe.

Only level-triggered ``on.event`` handlers are used. A work queue replaces kopf's change handlers,
which need patches, annotations and finalizers on the user's resource
(docs/adr/0007-kopf-events-only.md). All other kinds are watched by reflectors, which hold no page
of large objects and can ask for metadata alone (docs/adr/0021-reflectors-beside-kopf.md).
"""

import secrets
from collections.abc import Sequence
from typing import Any, cast

import click
import kopf

from selfhealing.controller import kopf_apps, kopf_watches
from selfhealing.controller.http_endpoints import health_endpoint
from selfhealing.controller.manager import Manager
from selfhealing.controller.settings import Settings
from selfhealing.kube.credentials import build_connection_info
from selfhealing.kube.resources import APPS

LIST_PAGE_SIZE = 10
"""Apps in one page of kopf's list. kopf does not choose it by bytes, and an app may be 1.5 MiB
large: a page then takes 15 MiB, and the texts that ``kopf_apps`` keeps of it as much again."""

WORKER_IDLE_TIMEOUT = 0.02
"""Seconds for which kopf's worker of an object waits for its next event.

The worker holds the last raw object meanwhile, so this and LIST_PAGE_SIZE decide how many raw
objects are in memory during the first lists (measured in docs/adr/0007-kopf-events-only.md).
"""


def register_handlers(
    registry: kopf.OperatorRegistry, settings: Settings, health_port: int = 0
) -> "HandlerRegistry":
    """Register every handler; ``health_port`` is the port of ``/healthz``, 0 for none."""
    return HandlerRegistry(registry, settings, health_port)


class HandlerRegistry:
    """The handlers, and the manager that the startup handler creates."""

    def __init__(
        self, registry: kopf.OperatorRegistry, settings: Settings, health_port: int
    ) -> None:
        self._settings = settings
        self._health_endpoint = health_endpoint(health_port, self._check_health)
        self._is_started = False
        self.manager: Manager | None = None
        kopf.on.startup(registry=registry)(self._on_startup)
        kopf.on.cleanup(registry=registry)(self._on_cleanup)
        kopf.on.login(registry=registry)(self._on_login)
        kopf.on.probe(registry=registry, id="selfhealing")(self._on_probe)
        kopf.on.event(APPS.group, APPS.version, APPS.plural, registry=registry, id=APPS.plural)(
            self._on_app
        )

    async def _on_app(self, event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        if self.manager is not None:
            self.manager.event_handlers.on_app(event)
        kopf_apps.forget_texts(cast("dict[str, Any]", event["object"]))

    async def _on_startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:  # noqa: ANN401
        configure_kopf(settings, self._settings)
        self.manager = await Manager.create(self._settings, watched_namespaces(self._settings))
        kopf_watches.install(self.manager.namespace_access)
        # kopf reads which kinds are served after this, and later only when a CRD is created: too
        # soon if the API server is slow to serve the new kind.
        await self._health_endpoint.start()
        await self.manager.wait_for_crd()
        await self.manager.start()
        self._is_started = True

    async def _on_cleanup(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        if self.manager is not None:
            await self.manager.stop()
        await self._health_endpoint.stop()

    async def _on_login(self, **_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's kwargs
        return await build_connection_info()

    async def _on_probe(self, **_: Any) -> dict[str, float]:  # noqa: ANN401 - kopf's kwargs
        """Answer the server of ``kopf run --liveness``.

        ``python -m selfhealing`` has its own: kopf's server bounds no connections, and returns an
        old answer while the wall clock of the node is set back.
        """
        return self.manager.check_liveness() if self.manager is not None else {}

    def _check_health(self) -> dict[str, object]:
        if self.manager is None or not self._is_started:
            return {"waiting": "for the API server and the SelfHealingApp kind"}
        return {"selfhealing": self.manager.check_liveness()}


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last-seen state: kopf would copy every changed object, and nothing reads it."""

    def build(self, **_: Any) -> kopf.BodyEssence:  # noqa: ANN401 - kopf's kwargs
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        """Nothing is stored."""

    def store(self, **_: Any) -> None:  # noqa: ANN401 - kopf's kwargs
        """Nothing is stored."""


def configure_kopf(settings: kopf.OperatorSettings, operator_settings: Settings) -> None:
    """Configure kopf for level-triggered watches; docs/adr/0007 has the measurements."""
    kopf_apps.install()
    settings.posting.enabled = False  # the recorder writes Events
    settings.peering.standalone = (
        True  # another operator's peering must not pause this one: a Lease elects
    )
    settings.scanning.disabled = bool(operator_settings.namespaces)  # needs cluster-wide rights
    settings.queueing.worker_limit = None  # a limit would count idle workers and starve the rest
    settings.queueing.idle_timeout = WORKER_IDLE_TIMEOUT
    settings.watching.chunk_size = LIST_PAGE_SIZE
    settings.watching.server_timeout = 600
    settings.networking.error_backoffs = (0.5, 1, 2, 3, 5, 5, 5)  # kopf's own ends in 13 and 21 s
    settings.process.ultimate_exiting_timeout = 10
    settings.persistence.diffbase_storage = _NoDiffBase()
    # kopf removes its finalizer from every object that has it, which is refused, and then does not
    # pass the object on for minutes: it must be one that nobody can write.
    settings.persistence.finalizer = f"{APPS.group}/unused-{secrets.token_hex(16)}"


def watched_namespaces(settings: Settings) -> Sequence[str]:
    """The namespaces that kopf watches: those of ``kopf run --namespace``, else of the settings."""
    context = click.get_current_context(silent=True)
    from_command_line = context.params.get("namespaces") if context is not None else None
    return tuple(from_command_line or settings.namespaces)
