"""Checks a higher limit before it is decided on: would it be accepted, and can it help?

A raise that a LimitRange, a ResourceQuota or an admission policy refuses would only cost time, and
in a pod template it would stop the rollout. So the resize is sent as a dry run first, which changes
nothing. What was refused is remembered, with a back-off for each container.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import HealingAction, HealingStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, PodView
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.messages import refusal_cause, strip_pod_names
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError
from selfhealing.kube.resources import PODS
from selfhealing.remediation.limit_ceiling import RefusedLimit, find_killed_containers
from selfhealing.remediation.steps import Resize, plan_resizes
from selfhealing.render.overrides import resources_with_limit

logger = logging.getLogger(__name__)

Json = dict[str, Any]

RETRY_INITIAL: Final = 60.0
"""Seconds for which a refused limit is not tried again; twice as long after each refusal."""

RETRY_MAX: Final = 3600.0
"""The longest such time, in seconds."""

_INVALID: Final = 422
"""The status of a resize that validation refuses. A status of 400 says nothing about the limit: a
webhook may not support dry runs."""

_LimitOfApp = tuple[AppKey, LimitKey]


def build_resize_patch(live: Json, limits: Mapping[LimitKey, str]) -> Json:
    """Return the patch that sets some limits of the containers of a live pod.

    Args:
        live: the pod.
        limits: the limits; a sidecar may be a restartable init container.
    """
    raised_containers = {key.container for key in limits}
    spec = {}
    for field in ("containers", "initContainers"):
        changed = [
            {"name": container["name"], "resources": _raise_limits(container, limits)}
            for container in live["spec"].get(field) or ()
            if container["name"] in raised_containers
        ]
        if changed:
            spec[field] = changed
    return {"metadata": {"uid": live["metadata"]["uid"]}, "spec": spec}


def _raise_limits(container: Json, limits: Mapping[LimitKey, str]) -> Json:
    resources: Json = container.get("resources") or {}
    for (name, resource), limit in limits.items():
        if name == container["name"]:
            resources = resources_with_limit(resources, resource, limit)
    return resources


def describe_refusal(error: ApiError, app_name: str) -> str:
    """Return why a resize is refused; empty if the error is not about its limit."""
    if isinstance(error, ForbiddenError) or error.status == _INVALID:
        return strip_pod_names(refusal_cause(error.message), app_name)
    return ""


class RaiseCheck:
    """Checks raises of limits, and remembers what was refused. The memory is a cache."""

    def __init__(
        self,
        client: Client,
        queue: WorkQueue[AppKey],
        node_health: NodeHealth,
        clock: Callable[[], float],
    ) -> None:
        """``clock`` returns the seconds of the queue's clock."""
        self._client = client
        self._queue = queue
        self._node_health = node_health
        self._backoff: Backoff[_LimitOfApp] = Backoff(
            clock, initial=RETRY_INITIAL, maximum=RETRY_MAX
        )
        self._refused: dict[AppKey, dict[LimitKey, RefusedLimit]] = defaultdict(dict)

    def refused_limits(self, key: AppKey) -> dict[LimitKey, RefusedLimit]:
        """Return the limits of an app that were refused lately."""
        return {
            limit_key: refused
            for limit_key, refused in self._refused.get(key, {}).items()
            if self._backoff.retry_after((key, limit_key))
        }

    def note_refusals(self, key: AppKey, refused_limits: Mapping[LimitKey, RefusedLimit]) -> None:
        """Remember what was refused; the app is reconciled again when it may be retried."""
        for limit_key, refused in refused_limits.items():
            self._refused[key][limit_key] = refused
            delay = self._backoff.record_failure((key, limit_key))
            self._queue.add(key, delay)
            logger.warning(
                "%s: a %s limit of %s of container %s is refused, retry in %.0f s: %s",
                key,
                limit_key.resource.label,
                refused.limit,
                limit_key.container,
                delay,
                refused.reason,
            )

    async def is_acceptable(
        self, snapshot: AppSnapshot, record: HealingStatus, action: HealingAction, raised: LimitKey
    ) -> bool:
        """Return whether a raise can help and would be accepted; a refusal is remembered.

        Args:
            snapshot: the app and its pods.
            record: the record that is about to be stored, with the new limit.
            action: the raise that it starts.
            raised: the limit that is raised.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        key = snapshot.app.key
        lacking = [step for step in plan_resizes(record, snapshot) if raised in step.limits]
        killed = [
            step
            for step in lacking
            if raised.resource is LimitedResource.MEMORY
            and raised.container in find_killed_containers((step.pod,))
        ]
        reason = await self._find_pressure([step.pod for step in killed])
        if not reason and lacking:
            reason = await self._try_resize(key, (killed or lacking)[0])
        if reason:
            self.note_refusals(key, {raised: RefusedLimit(action.target, reason)})
            return False
        self._forget(key, raised)
        return True

    async def _find_pressure(self, killed_pods: list[PodView]) -> str:
        """Find why a kill is not due to the limit: the nodes of all pods run out of memory."""
        nodes = await self._node_health.list_nodes() if killed_pods else None
        under_pressure = {node.name for node in nodes or () if node.has_memory_pressure}
        if not killed_pods or any(pod.node not in under_pressure for pod in killed_pods):
            return ""
        return f"node {killed_pods[0].node} reports MemoryPressure"

    async def _try_resize(self, key: AppKey, step: Resize) -> str:
        """Send a resize as a dry run; return why it is refused, or an empty text."""
        live = await self._client.get(PODS, key.namespace, step.pod.name)
        if live is None or live["metadata"]["uid"] != step.pod.uid:
            return ""
        patch = build_resize_patch(live, step.limits)
        try:
            await self._client.resize_pod(key.namespace, step.pod.name, patch, dry_run=True)
        except ApiError as error:
            return describe_refusal(error, key.name)
        return ""

    def forget_app(self, key: AppKey) -> None:
        """Forget an app that is deleted."""
        for limit_key in list(self._refused.get(key, ())):
            self._forget(key, limit_key)

    def _forget(self, key: AppKey, limit_key: LimitKey) -> None:
        self._backoff.forget((key, limit_key))
        if key in self._refused:
            self._refused[key].pop(limit_key, None)
            if not self._refused[key]:
                del self._refused[key]
