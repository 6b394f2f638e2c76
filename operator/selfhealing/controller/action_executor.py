"""Carries out the steps that ``heal.plan`` plans: each is tried again for as long as it is planned.

A step has a precondition that the API server checks: the pod is still the one that was seen. What
is refused waits, longer each time: for a right that is missing, a budget that is spent, a webhook
that fails. It is neither asked for nor said every second, and it never keeps the children from
being kept right.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.parse import key_of_pod, parse_resource_version as version_in, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView, PodView
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError
from selfhealing.kube.resources import PODS
from selfhealing.remediation.steps import Delete, Evict, Isolate, Resize, Step
from selfhealing.render.overrides import resources_with_memory_limit

logger = logging.getLogger(__name__)

BACKOFF_INITIAL: Final = 1.0
"""Seconds until a step is tried again; twice as long each time."""

BACKOFF_SHORT_MAX: Final = 30.0
"""At most so long where it is a matter of time: the pod has changed, or a budget is spent."""

BACKOFF_MAX: Final = 600.0
"""At most so long where it was refused: that needs people, who are told each time."""

_StepKey = tuple[str, str]
"""What makes a step the same one in the next reconcile: what is done, and the uid of the pod."""


class _Attempt(Enum):
    """What an attempt at a step came to."""

    DONE = auto()
    REFUSED = auto()
    UNANSWERED = auto()
    """The API server did not answer."""


class ActionExecutor:
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
        self._backoff: Backoff[tuple[AppKey, _StepKey]] = Backoff(
            clock, initial=BACKOFF_INITIAL, maximum=BACKOFF_MAX
        )
        self._pending: dict[AppKey, dict[_StepKey, bool]] = {}
        """By app, the steps that are planned and not done, and whether the last attempt at each had
        no answer."""

    async def execute(self, app: AppView, steps: Sequence[Step]) -> frozenset[str]:
        """Carry out what is due of all that is planned for an app; no refusal is raised.

        Returns:
            The uids of the pods with which something is still to be done.
        """
        previous = self._pending.pop(app.key, {})
        pending: dict[_StepKey, bool] = {}
        for step in steps:
            step_key = _step_key(step)
            is_unanswered = previous.pop(step_key, False)
            # The next request would wait for the same server for as long.
            is_server_unreachable = any(pending.values())
            if not self._backoff.retry_after((app.key, step_key)) and not is_server_unreachable:
                attempt = await self._attempt_step(app, step)
                if attempt is _Attempt.DONE:
                    self._backoff.forget((app.key, step_key))
                    continue
                is_unanswered = attempt is _Attempt.UNANSWERED
            pending[step_key] = is_unanswered
        for step_key in previous:
            self._backoff.forget((app.key, step_key))
        if pending:
            self._pending[app.key] = pending
            next_retry = min(self._backoff.retry_after((app.key, key)) for key in pending)
            self._queue.add(app.key, max(BACKOFF_INITIAL, next_retry))
        return frozenset(uid for _, uid in pending)

    def forget_app(self, key: AppKey) -> None:
        """Forget the steps of an app that is deleted."""
        for step_key in self._pending.pop(key, {}):
            self._backoff.forget((key, step_key))

    async def _attempt_step(self, app: AppView, step: Step) -> _Attempt:
        key = app.key, _step_key(step)
        description = f"{app.key}: healing: {_describe_step(step)}"
        try:
            if await self._execute_step(app, step):
                logger.warning("%s", description)
                return _Attempt.DONE
            delay = self._backoff.record_failure(key, BACKOFF_SHORT_MAX)
            logger.info("%s: a PodDisruptionBudget forbids it, again in %.0f s", description, delay)
        except ConflictError as error:  # it has changed: the watch will bring it
            self._backoff.record_failure(key, BACKOFF_SHORT_MAX)
            logger.debug("%s: %s", description, error)
        except ApiError as error:
            delay = self._backoff.record_failure(key)
            logger.warning("%s: refused, again in %.0f s: %s", description, delay, error)
            if isinstance(error, UnavailableError) and not error.status:
                return _Attempt.UNANSWERED
        except Exception:
            delay = self._backoff.record_failure(key)
            logger.exception("%s: a fault of the operator; again in %.0f s", description, delay)
        return _Attempt.REFUSED

    async def _execute_step(self, app: AppView, step: Step) -> bool:
        """Do it; returns False where a budget forbids it for now."""
        key = app.key
        if isinstance(step, Evict):
            pod = step.pod
            return await self._client.evict_pod(
                key.namespace, pod.name, pod.uid, pod.resource_version
            )
        if isinstance(step, Delete):
            await self._delete_pod(key, step)
        elif isinstance(step, Resize):
            await self._resize_pod(key, step.pod, step.limit)
        else:
            await self._isolate_pod(app, step.pod)
        return True

    async def _delete_pod(self, key: AppKey, step: Delete) -> None:
        raw = await self._client.delete(PODS, key.namespace, step.name, step.uid)
        # One that was set apart is no longer among the app's pods.
        if raw is not None and key_of_pod(raw) == key:
            self._store.upsert_pod(key, pod_view(raw))

    async def _resize_pod(self, key: AppKey, pod: PodView, limit: str) -> None:
        raw = await self._client.get(PODS, key.namespace, pod.name)
        if raw is None or raw["metadata"]["uid"] != pod.uid:
            return
        containers = {container["name"]: container for container in raw["spec"]["containers"]}
        resources = resources_with_memory_limit(
            containers[names.CONTAINER_NAME].get("resources") or {}, limit
        )
        patch = {"spec": {"containers": [{"name": names.CONTAINER_NAME, "resources": resources}]}}
        live = await self._client.resize_pod(key.namespace, pod.name, patch)
        self._store.upsert_pod(key, pod_view(live))

    async def _isolate_pod(self, app: AppView, pod: PodView) -> None:
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
        raw = await self._client.merge_patch(PODS, key.namespace, pod.name, patch)
        self._store.delete_pod(pod.uid, version_in(raw["metadata"]))


def _step_key(step: Step) -> _StepKey:
    kind = type(step).__name__
    if isinstance(step, Delete):
        return kind, step.uid
    return f"{kind} {step.limit}" if isinstance(step, Resize) else kind, step.pod.uid


def _describe_step(step: Step) -> str:
    if isinstance(step, Evict):
        return f"evict pod {step.pod.name}"
    if isinstance(step, Delete):
        return f"delete pod {step.name}: {step.reason}"
    if isinstance(step, Isolate):
        return f"keep pod {step.pod.name} apart, to be looked at"
    return f"give pod {step.pod.name} a memory limit of {step.limit}"
