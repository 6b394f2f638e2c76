"""Carries out the steps that ``heal.plan`` plans: each is tried again for as long as it is planned.

A step has a precondition that the API server checks: the pod is still the one that was seen. What
is refused waits, longer each time: for a right that is missing, a budget that is spent, a webhook
that fails. It is neither asked for nor said every second, and it never keeps the children from
being kept right.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.parse import key_of_pod, pod_view, version as version_in
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView, PodView
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError
from selfhealing.kube.resources import PODS
from selfhealing.remediation.actions import Delete, Evict, Isolate, Resize, Step
from selfhealing.render.overrides import raised

logger = logging.getLogger(__name__)

FIRST: Final = 1.0
"""Seconds until a step is tried again; twice as long each time."""

SOON: Final = 30.0
"""At most so long where it is a matter of time: the pod has changed, or a budget is spent."""

LONGEST: Final = 600.0
"""At most so long where it was refused: that needs people, who are told each time."""

_Mark = tuple[str, str]
"""What makes a step the same one in the next reconcile: what is done, and the uid of the pod."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """A step that is not done yet; ``silent``: there was no answer from the API server."""

    tries: int
    until: float
    silent: bool = False


class Hands:
    """The hands of healing."""

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        clock: Callable[[], float],
    ) -> None:
        """Work by ``client``; ``clock`` is the queue's."""
        self._client = client
        self._store = store
        self._queue = queue
        self._clock = clock
        self._waits: dict[AppKey, dict[_Mark, _Wait]] = {}
        """By app, what is still planned and was not done: nothing else is remembered."""

    async def carry_out(self, app: AppView, steps: Sequence[Step]) -> frozenset[str]:
        """Carry out what is due of all that is planned for an app; no refusal is raised.

        Returns:
            The uids of the pods with which something is still to be done.
        """
        known = self._waits.pop(app.key, {})
        left: dict[_Mark, _Wait] = {}
        for step in steps:
            mark = _mark(step)
            wait = known.get(mark, _Wait(0, self._clock()))
            # The next one would wait for the same server for as long.
            is_away = any(other.silent for other in left.values())
            if wait.until <= self._clock() and not is_away:
                tried = await self._attempt(app, step, wait.tries)
                if tried is None:
                    continue
                wait = tried
            left[mark] = wait
        if left:
            self._waits[app.key] = left
            due = min(wait.until for wait in left.values())
            self._queue.add(app.key, max(FIRST, due - self._clock()))
        return frozenset(uid for _, uid in left)

    def forget(self, key: AppKey) -> None:
        """The app is gone."""
        self._waits.pop(key, None)

    async def _attempt(self, app: AppView, step: Step, tries: int) -> _Wait | None:
        """Try a step; returns how it waits, or None when it is done."""
        delay = min(FIRST * 2.0 ** min(tries, 16), LONGEST)
        what = f"{app.key}: healing: {_words(step)}"
        silent = False
        try:
            if await self._do(app, step):
                logger.warning("%s", what)
                return None
            delay = min(delay, SOON)
            logger.info("%s: a PodDisruptionBudget forbids it, again in %.0f s", what, delay)
        except ConflictError as error:  # it has changed: the watch will bring it
            delay = min(delay, SOON)
            logger.debug("%s: %s", what, error)
        except ApiError as error:
            silent = isinstance(error, UnavailableError) and not error.status
            logger.warning("%s: refused, again in %.0f s: %s", what, delay, error)
        except Exception:
            logger.exception("%s: a fault of the operator; again in %.0f s", what, delay)
        return _Wait(tries + 1, self._clock() + delay, silent)

    async def _do(self, app: AppView, step: Step) -> bool:
        """Do it; returns False where a budget forbids it for now."""
        key = app.key
        if isinstance(step, Evict):
            pod = step.pod
            return await self._client.evict(key.namespace, pod.name, pod.uid, pod.resource_version)
        if isinstance(step, Delete):
            await self._delete(key, step)
        elif isinstance(step, Resize):
            await self._resize(key, step.pod, step.limit)
        else:
            await self._isolate(app, step.pod)
        return True

    async def _delete(self, key: AppKey, step: Delete) -> None:
        raw = await self._client.delete(PODS, key.namespace, step.name, step.uid)
        # One that was set apart is no longer among the app's pods.
        if raw is not None and key_of_pod(raw) == key:
            self._store.put_pod(key, pod_view(raw))

    async def _resize(self, key: AppKey, pod: PodView, limit: str) -> None:
        raw = await self._client.get(PODS, key.namespace, pod.name)
        if raw is None or raw["metadata"]["uid"] != pod.uid:
            return
        containers = {each["name"]: each for each in raw["spec"]["containers"]}
        resources = raised(containers[names.CONTAINER_NAME].get("resources") or {}, limit)
        patch = {"spec": {"containers": [{"name": names.CONTAINER_NAME, "resources": resources}]}}
        live = await self._client.resize(key.namespace, pod.name, patch)
        self._store.put_pod(key, pod_view(live))

    async def _isolate(self, app: AppView, pod: PodView) -> None:
        """Take a pod out of the app: its ReplicaSet makes another, and the app keeps this one."""
        key = app.key
        patch: dict[str, Any] = {
            "metadata": {
                "uid": pod.uid,
                "resourceVersion": str(pod.resource_version),
                "labels": {names.LABEL_APP: None, names.LABEL_QUARANTINED: key.name},
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": names.KIND,
                        "name": key.name,
                        "uid": app.uid,
                    }
                ],
            }
        }
        raw = await self._client.merge(PODS, key.namespace, pod.name, patch)
        self._store.drop_pod(pod.uid, version_in(raw["metadata"]))


def _mark(step: Step) -> _Mark:
    kind = type(step).__name__
    if isinstance(step, Delete):
        return kind, step.uid
    return f"{kind} {step.limit}" if isinstance(step, Resize) else kind, step.pod.uid


def _words(step: Step) -> str:
    if isinstance(step, Evict):
        return f"evict pod {step.pod.name}"
    if isinstance(step, Delete):
        return f"delete pod {step.name}: {step.why}"
    if isinstance(step, Isolate):
        return f"keep pod {step.pod.name} apart, to be looked at"
    return f"give pod {step.pod.name} a memory limit of {step.limit}"
