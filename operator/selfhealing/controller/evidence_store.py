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
from selfhealing.evidence.bundle import Exhibit, Log, config_map, is_of, key, update, write
from selfhealing.evidence.format import Source, sources
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, is_outage
from selfhealing.kube.resources import CONFIG_MAPS, EVENTS, POD_METRICS, PODS
from selfhealing.render.meta import Owner, metadata

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds for the pod, and again for its Events and logs: a silent node's kubelet never answers."""
LOG_LINES: Final = 40
LOG_BYTES: Final = 64 * 1024
"""So much of a log is read at most. Far more than is kept: the server cuts the end, and the end
tells the most."""
EVENTS_LIMIT: Final = 200
"""Events that are read; there are more only if somebody makes them up."""


class EvidenceRoom:
    """Keeps what was found before each of an app's last actions, in one ConfigMap per app."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def take(
        self,
        app: AppView,
        action: HealingAction,
        pod_name: str | None,
        wanted: Json | None,
        kept: Json | None,
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
        name = config_map(app.key.name)
        try:
            live = await self._client.get(CONFIG_MAPS, app.key.namespace, name)
            if live is not None and not _is_owned(live, app):
                logger.warning(
                    "%s: no evidence is kept: there is a ConfigMap %s that this app did not make",
                    app.key,
                    name,
                )
                return None
            data = (live or {}).get("data") or {}
            if not is_of(action, data.get(key(action), "")):
                found = await self._look(app.key, action, pod_name, wanted, kept)
                await self._keep(app, live, update(action, write(found), data))
        except ApiError as error:
            if is_outage(error):
                raise
            logger.warning("%s: no evidence is kept: %s", app.key, error)
            return None
        return key(action)

    async def _look(
        self,
        app: AppKey,
        action: HealingAction,
        pod_name: str | None,
        wanted: Json | None,
        kept: Json | None,
    ) -> Exhibit:
        """Look at everything at once: no gap makes another one."""
        gaps: list[str] = []
        pod: Json | None = None
        events: list[Json] | None = None
        use: Sequence[Json] | None = None
        logs: Sequence[Log | None] = ()
        if pod_name is not None:
            pod = await _had(f"the pod {pod_name}", self._pod(app, pod_name), gaps)
        if pod is not None:
            asked = [_had(_log_of(log), self._log(app, pod, log), gaps) for log in sources(pod)]
            events, use, logs = await asyncio.gather(
                _had("its Events", self._events(app, pod["metadata"]["uid"]), gaps),
                _had("its use of CPU and memory", self._use(app, pod["metadata"]["name"]), gaps),
                asyncio.gather(*asked),
            )
        return Exhibit(
            app=app,
            action=action,
            taken=datetime.now(UTC),
            pod=pod,
            events=events or (),
            logs=[log for log in logs if log is not None],
            wanted=wanted,
            kept=kept,
            use=use or (),
            gaps=gaps,
        )

    async def _pod(self, app: AppKey, name: str) -> Json:
        pod = await self._client.get(PODS, app.namespace, name)
        if pod is None:
            raise NotFoundError(404, "NotFound", "it is gone already")
        return pod

    async def _events(self, app: AppKey, uid: str) -> list[Json]:
        found: list[Json] = []
        selector = f"involvedObject.uid={uid}"
        async for event in self._client.objects(EVENTS, app.namespace, fields=selector):
            found.append(event)
            if len(found) == EVENTS_LIMIT:
                break
        return found

    async def _use(self, app: AppKey, pod: str) -> Sequence[Json]:
        labels = f"{names.LABEL_APP}={app.name}"
        async for item in self._client.objects(POD_METRICS, app.namespace, labels):
            if item["metadata"]["name"] == pod:
                found: Sequence[Json] = item.get("containers") or ()
                return found
        raise NotFoundError(404, "NotFound", "it has not been measured yet")

    async def _log(self, app: AppKey, pod: Json, source: Source) -> Log:
        text = await self._client.log(
            app.namespace,
            pod["metadata"]["name"],
            source.container,
            previous=source.previous,
            lines=LOG_LINES,
            limit_bytes=LOG_BYTES,
        )
        return Log(source, text)

    async def _keep(self, app: AppView, live: Json | None, data: dict[str, str | None]) -> None:
        """Write into the ConfigMap that was looked at, or make it.

        With its uid in the patch, another that has taken its name meanwhile refuses it.
        """
        name = config_map(app.key.name)
        if live is not None:
            patch = {"metadata": {"uid": live["metadata"]["uid"]}, "data": data}
            await self._client.merge(CONFIG_MAPS, app.key.namespace, name, patch)
            return
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        body = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {**metadata(owner, controlled=False), "name": name},
            "data": data,
        }
        await self._client.create(CONFIG_MAPS, body)


async def _had(what: str, asked: Awaitable[T], gaps: list[str]) -> T | None:
    """What was asked for; None when it cannot be had, of which ``gaps`` then tells."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asked
    except TimeoutError:
        gaps.append(f"{what}: no answer in {PATIENCE:.0f} s")
    except ApiError as error:
        gaps.append(f"{what}: {error.message}")
    return None


def _log_of(source: Source) -> str:
    run = "the previous log" if source.previous else "the log"
    return f"{run} of its container {source.container}"


def _is_owned(live: Json, app: AppView) -> bool:
    owners = live["metadata"].get("ownerReferences") or ()
    return app.uid in {owner["uid"] for owner in owners}
