"""Carries out the steps of remediation; each is retried for as long as it is planned.

Before a step is sent, the pod is read, and the live objects have to prove that it is the app's
(``controller.live_ownership``): nothing is done to any other pod, whatever the stored record says.
The API server checks the precondition of a step: the pod has not changed since it was observed. A
step that is refused (a missing right, an exhausted PodDisruptionBudget, a failing webhook) is
retried with back-off, and never keeps the children from being applied.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.container_limits import LimitKey
from selfhealing.cache.parse import key_of_pod, parse_resource_version, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView, PodView
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.live_ownership import is_isolated_pod_of_app, is_pod_of_app
from selfhealing.controller.raise_check import build_resize_patch, describe_refusal
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError
from selfhealing.kube.resources import PODS
from selfhealing.remediation.limit_ceiling import RefusedLimit
from selfhealing.remediation.steps import Delete, Evict, Isolate, Resize, Step, StepResults

logger = logging.getLogger(__name__)

Json = dict[str, Any]

BACKOFF_INITIAL: Final = 1.0
"""Seconds until the first retry of a step; twice as long after each failure."""

BACKOFF_SHORT_MAX: Final = 30.0
"""The longest delay, in seconds, where time helps: the pod has changed, a budget is exhausted."""

BACKOFF_MAX: Final = 600.0
"""The longest delay, in seconds, where a person has to act: the request was refused."""

_StepKey = tuple[str, str]
"""Identifies a step across reconciles: its kind and the UID of its pod."""


class _Attempt(Enum):
    """The outcome of one attempt at a step."""

    DONE = auto()
    FOREIGN = auto()
    """The pod is not the app's; nothing was sent."""
    REFUSED = auto()
    UNANSWERED = auto()
    """The API server did not answer."""


class ActionExecutor:
    """Carries out steps, with a back-off for each."""

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        clock: Callable[[], float],
    ) -> None:
        """``clock`` returns the seconds of the queue's clock."""
        self._client = client
        self._store = store
        self._queue = queue
        self._backoff: Backoff[tuple[AppKey, _StepKey]] = Backoff(
            clock, initial=BACKOFF_INITIAL, maximum=BACKOFF_MAX
        )
        self._pending: dict[AppKey, dict[_StepKey, bool]] = {}
        """By app, the steps that are not done; the value says whether the last attempt had no
        answer."""

    async def execute(self, app: AppView, steps: Sequence[Step]) -> StepResults:
        """Carry out the steps of an app that are due; a refusal is not raised.

        Args:
            app: the app.
            steps: all steps that are planned; the others are forgotten.
        """
        previous = self._pending.pop(app.key, {})
        pending: dict[_StepKey, bool] = {}
        foreign_pods: dict[str, str] = {}
        refused_limits: dict[LimitKey, RefusedLimit] = {}
        for step in steps:
            step_key = _step_key(step)
            is_unanswered = previous.pop(step_key, False)
            # Another request would run into the same time-out.
            is_server_unreachable = any(pending.values())
            if not self._backoff.retry_after((app.key, step_key)) and not is_server_unreachable:
                attempt = await self._attempt_step(app, step, refused_limits)
                if attempt is _Attempt.FOREIGN:
                    foreign_pods[_uid_of(step)] = _name_of(step)
                if attempt in {_Attempt.DONE, _Attempt.FOREIGN}:
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
        return StepResults(frozenset(uid for _, uid in pending), foreign_pods, refused_limits)

    def forget_app(self, key: AppKey) -> None:
        """Forget the steps of an app that is deleted."""
        for step_key in self._pending.pop(key, {}):
            self._backoff.forget((key, step_key))

    async def _attempt_step(
        self, app: AppView, step: Step, refused_limits: dict[LimitKey, RefusedLimit]
    ) -> _Attempt:
        """Attempt one step; limits that are refused are added to ``refused_limits``."""
        key = app.key, _step_key(step)
        description = f"{app.key}: healing: {_describe_step(step)}"
        try:
            pod = await self._client.get(PODS, app.key.namespace, _name_of(step))
            if pod is None or pod["metadata"]["uid"] != _uid_of(step):
                return _Attempt.DONE  # the watch brings the deletion
            if not await self._is_of_app(app, step, pod):
                logger.warning("%s: not done, because the pod is not the app's", description)
                return _Attempt.FOREIGN
            if await self._execute_step(app, step, pod):
                logger.warning("%s", description)
                return _Attempt.DONE
            delay = self._backoff.record_failure(key, BACKOFF_SHORT_MAX)
            logger.info("%s: blocked by a PodDisruptionBudget, retry in %.0f s", description, delay)
        except ConflictError as error:  # the pod has changed: the watch brings it
            self._backoff.record_failure(key, BACKOFF_SHORT_MAX)
            logger.debug("%s: %s", description, error)
        except ApiError as error:
            delay = self._backoff.record_failure(key)
            logger.warning("%s: refused, retry in %.0f s: %s", description, delay, error)
            if isinstance(step, Resize) and (reason := describe_refusal(error, app.key.name)):
                refused_limits |= {
                    limit_key: RefusedLimit(limit, reason)
                    for limit_key, limit in step.limits.items()
                }
            if isinstance(error, UnavailableError) and not error.status:
                return _Attempt.UNANSWERED
        except Exception:
            delay = self._backoff.record_failure(key)
            logger.exception("%s: internal error; retry in %.0f s", description, delay)
        return _Attempt.REFUSED

    async def _is_of_app(self, app: AppView, step: Step, pod: Json) -> bool:
        if isinstance(step, Delete) and step.is_isolated:
            return is_isolated_pod_of_app(app, pod)
        return await is_pod_of_app(self._client, app, pod)

    async def _execute_step(self, app: AppView, step: Step, live: Json) -> bool:
        """Send the request; returns False when a PodDisruptionBudget blocks an eviction.

        Args:
            app: the app.
            step: the step, with the pod as it was when the step was planned.
            live: the pod as it was proved to be the app's.
        """
        key = app.key
        if isinstance(step, Evict):
            pod = step.pod
            return await self._client.evict_pod(
                key.namespace, pod.name, pod.uid, pod.resource_version
            )
        if isinstance(step, Delete):
            await self._delete_pod(key, step, live)
        elif isinstance(step, Resize):
            await self._resize_pod(key, step, live)
        else:
            await self._isolate_pod(app, step.pod)
        return True

    async def _delete_pod(self, key: AppKey, step: Delete, live: Json) -> None:
        version = live["metadata"]["resourceVersion"]
        raw = await self._client.delete(
            PODS, key.namespace, step.name, step.uid, resource_version=version
        )
        # An isolated pod is not among the app's pods any more.
        if raw is not None and key_of_pod(raw) == key:
            self._store.upsert_pod(key, pod_view(raw))

    async def _resize_pod(self, key: AppKey, step: Resize, live: Json) -> None:
        patch = build_resize_patch(live, step.limits)
        patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        raw = await self._client.resize_pod(key.namespace, step.pod.name, patch)
        self._store.upsert_pod(key, pod_view(raw))

    async def _isolate_pod(self, app: AppView, pod: PodView) -> None:
        """Take a pod out of its ReplicaSet, which creates another; the app owns it from now on."""
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
        self._store.delete_pod(pod.uid, parse_resource_version(raw["metadata"]))


def _step_key(step: Step) -> _StepKey:
    kind = type(step).__name__
    return f"{kind} {_describe_limits(step)}" if isinstance(step, Resize) else kind, _uid_of(step)


def _describe_limits(step: Resize) -> str:
    return ", ".join(
        f"{key.container}={limit} ({key.resource.label})"
        for key, limit in sorted(step.limits.items())
    )


def _uid_of(step: Step) -> str:
    return step.uid if isinstance(step, Delete) else step.pod.uid


def _name_of(step: Step) -> str:
    return step.name if isinstance(step, Delete) else step.pod.name


def _describe_step(step: Step) -> str:
    if isinstance(step, Evict):
        return f"evict pod {step.pod.name}"
    if isinstance(step, Delete):
        return f"delete pod {step.name}: {step.reason}"
    if isinstance(step, Isolate):
        return f"isolate pod {step.pod.name} for inspection"
    return f"resize pod {step.pod.name} to the limits {_describe_limits(step)}"
