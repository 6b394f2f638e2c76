"""Takes evidence before an action: looks at what the action will destroy, and keeps it.

Evidence is a courtesy to people: what of it cannot be had, in time or at all, is left out with a
word about why, and healing goes on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from selfhealing.api import names
from selfhealing.api.healing_status import HealingAction
from selfhealing.cache.views import AppKey, AppView
from selfhealing.evidence.bundle import (
    ContainerLog,
    EvidenceBundle,
    build_retention_patch,
    config_map_name,
    evidence_key,
    is_evidence_of,
    render_evidence,
)
from selfhealing.evidence.format import LogSource, find_log_sources
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, is_outage
from selfhealing.kube.resources import CONFIG_MAPS, EVENTS, POD_METRICS, PODS
from selfhealing.render.meta import Owner, build_metadata

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")

READ_TIMEOUT: Final = 5.0
"""Seconds for the pod, and again for its Events and logs: a silent node's kubelet never answers."""
LOG_TAIL_LINES: Final = 40
LOG_LIMIT_BYTES: Final = 64 * 1024
"""So much of a log is read at most. Far more than is kept: the server cuts the end, and the end
tells the most."""
MAX_EVENTS: Final = 200
"""Events that are read; there are more only if somebody makes them up."""


class EvidenceStore:
    """Keeps what was found before each of an app's last actions, in one ConfigMap per app."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def save(
        self,
        app: AppView,
        action: HealingAction,
        pod_name: str | None,
        desired_template: Json | None,
        stable_template: Json | None,
    ) -> str | None:
        """Write down what there is to be seen, unless that has been done for this action before.

        What was found first stays: an operator that comes back after a crash may look at what is
        left after the action.

        Args:
            app: the app that is healed.
            action: what will be done.
            pod_name: the pod that it will be done to, or one that shows the illness.
            wanted: the pod template that the spec asks for; only where another is gone back to.
            kept: that other pod template.

        Returns:
            The key of the evidence; None when it could not be kept.

        Raises:
            UnavailableError: the API server is out of reach; the same may succeed later.
        """
        name = config_map_name(app.key.name)
        try:
            live = await self._client.get(CONFIG_MAPS, app.key.namespace, name)
            if live is not None and not _is_owned_by(live, app):
                logger.warning(
                    "%s: no evidence is kept: there is a ConfigMap %s that this app did not make",
                    app.key,
                    name,
                )
                return None
            data = (live or {}).get("data") or {}
            if not is_evidence_of(action, data.get(evidence_key(action), "")):
                bundle = await self._collect(
                    app.key, action, pod_name, desired_template, stable_template
                )
                await self._write_config_map(
                    app, live, build_retention_patch(action, render_evidence(bundle), data)
                )
        except ApiError as error:
            if is_outage(error):
                raise
            logger.warning("%s: no evidence is kept: %s", app.key, error)
            return None
        return evidence_key(action)

    async def _collect(
        self,
        app: AppKey,
        action: HealingAction,
        pod_name: str | None,
        desired_template: Json | None,
        stable_template: Json | None,
    ) -> EvidenceBundle:
        """Look at everything at once: no gap makes another one."""
        missing: list[str] = []
        pod: Json | None = None
        events: list[Json] | None = None
        usage: Sequence[Json] | None = None
        logs: Sequence[ContainerLog | None] = ()
        if pod_name is not None:
            pod = await _try_read(f"the pod {pod_name}", self._get_pod(app, pod_name), missing)
        if pod is not None:
            log_reads = [
                _try_read(_describe_log(log), self._read_log(app, pod, log), missing)
                for log in find_log_sources(pod)
            ]
            events, usage, logs = await asyncio.gather(
                _try_read("its Events", self._list_events(app, pod["metadata"]["uid"]), missing),
                _try_read(
                    "its use of CPU and memory",
                    self._get_usage(app, pod["metadata"]["name"]),
                    missing,
                ),
                asyncio.gather(*log_reads),
            )
        return EvidenceBundle(
            app=app,
            action=action,
            collected_at=datetime.now(UTC),
            pod=pod,
            events=events or (),
            logs=[log for log in logs if log is not None],
            desired_template=desired_template,
            stable_template=stable_template,
            usage=usage or (),
            missing=missing,
        )

    async def _get_pod(self, app: AppKey, name: str) -> Json:
        pod = await self._client.get(PODS, app.namespace, name)
        if pod is None:
            raise NotFoundError(404, "NotFound", "it is gone already")
        return pod

    async def _list_events(self, app: AppKey, uid: str) -> list[Json]:
        events: list[Json] = []
        selector = f"involvedObject.uid={uid}"
        async for event in self._client.list_objects(EVENTS, app.namespace, fields=selector):
            events.append(event)
            if len(events) == MAX_EVENTS:
                break
        return events

    async def _get_usage(self, app: AppKey, pod: str) -> Sequence[Json]:
        labels = f"{names.LABEL_APP}={app.name}"
        async for item in self._client.list_objects(POD_METRICS, app.namespace, labels):
            if item["metadata"]["name"] == pod:
                containers: Sequence[Json] = item.get("containers") or ()
                return containers
        raise NotFoundError(404, "NotFound", "it has not been measured yet")

    async def _read_log(self, app: AppKey, pod: Json, source: LogSource) -> ContainerLog:
        text = await self._client.read_log(
            app.namespace,
            pod["metadata"]["name"],
            source.container,
            previous=source.previous,
            lines=LOG_TAIL_LINES,
            limit_bytes=LOG_LIMIT_BYTES,
        )
        return ContainerLog(source, text)

    async def _write_config_map(
        self, app: AppView, live: Json | None, data: dict[str, str | None]
    ) -> None:
        """Write into the ConfigMap that was looked at, or make it.

        With its uid in the patch, another that has taken its name meanwhile refuses it.
        """
        name = config_map_name(app.key.name)
        if live is not None:
            patch = {"metadata": {"uid": live["metadata"]["uid"]}, "data": data}
            await self._client.merge_patch(CONFIG_MAPS, app.key.namespace, name, patch)
            return
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        body = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {**build_metadata(owner, is_controller=False), "name": name},
            "data": data,
        }
        await self._client.create(CONFIG_MAPS, body)


async def _try_read(description: str, request: Awaitable[T], missing: list[str]) -> T | None:
    """What was asked for; None when it cannot be had, of which ``gaps`` then tells."""
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            return await request
    except TimeoutError:
        missing.append(f"{description}: no answer in {READ_TIMEOUT:.0f} s")
    except ApiError as error:
        missing.append(f"{description}: {error.message}")
    return None


def _describe_log(source: LogSource) -> str:
    run = "the previous log" if source.previous else "the log"
    return f"{run} of its container {source.container}"


def _is_owned_by(live: Json, app: AppView) -> bool:
    owners = live["metadata"].get("ownerReferences") or ()
    return app.uid in {owner["uid"] for owner in owners}
