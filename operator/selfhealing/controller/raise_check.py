"""Checks a higher memory limit before it is decided on: would it be accepted, and can it help?

A raise that a LimitRange, a ResourceQuota or an admission policy refuses would only cost time, and
in a pod template it would stop the rollout. So the resize is sent as a dry run first, which changes
nothing. What was refused is remembered, with a back-off for each container.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

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
from selfhealing.remediation.memory_ceiling import RefusedLimit, find_killed_containers
from selfhealing.remediation.memory_raise import container_of
from selfhealing.remediation.steps import Resize, plan_resizes
from selfhealing.render.overrides import resources_with_memory_limit

logger = logging.getLogger(__name__)

Json = dict[str, Any]

RETRY_INITIAL: Final = 60.0
"""Seconds for which a refused limit is not tried again; twice as long after each refusal."""

RETRY_MAX: Final = 3600.0
"""The longest such time, in seconds."""

_INVALID: Final = 422
"""The status of a resize that validation refuses. A status of 400 says nothing about the limit: a
webhook may not support dry runs."""

_ContainerOfApp = tuple[AppKey, str]


def build_resize_patch(live: Json, limits: Mapping[str, str]) -> Json:
    """Return the patch that sets the memory limits of some containers of a live pod.

    Args:
        live: the pod.
        limits: the limits by container; a sidecar may be a restartable init container.
    """
    spec = {}
    for field in ("containers", "initContainers"):
        changed = [
            {
                "name": container["name"],
                "resources": resources_with_memory_limit(
                    container.get("resources") or {}, limits[container["name"]]
                ),
            }
            for container in live["spec"].get(field) or ()
            if container["name"] in limits
        ]
        if changed:
            spec[field] = changed
    return {"metadata": {"uid": live["metadata"]["uid"]}, "spec": spec}


def describe_refusal(error: ApiError, app_name: str) -> str:
    """Return why a resize is refused; empty if the error is not about its limit."""
    if isinstance(error, ForbiddenError) or error.status == _INVALID:
        return strip_pod_names(refusal_cause(error.message), app_name)
    return ""


class RaiseCheck:
    """Checks raises of memory limits, and remembers what was refused. The memory is a cache."""

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
        self._backoff: Backoff[_ContainerOfApp] = Backoff(
            clock, initial=RETRY_INITIAL, maximum=RETRY_MAX
        )
        self._refused: dict[AppKey, dict[str, RefusedLimit]] = defaultdict(dict)

    def refused_limits(self, key: AppKey) -> dict[str, RefusedLimit]:
        """Return the limits of an app that were refused lately, by container."""
        return {
            container: refused
            for container, refused in self._refused.get(key, {}).items()
            if self._backoff.retry_after((key, container))
        }

    def note_refusals(self, key: AppKey, refused_limits: Mapping[str, RefusedLimit]) -> None:
        """Remember what was refused; the app is reconciled again when it may be retried."""
        for container, refused in refused_limits.items():
            self._refused[key][container] = refused
            delay = self._backoff.record_failure((key, container))
            self._queue.add(key, delay)
            logger.warning(
                "%s: a memory limit of %s of container %s is refused, retry in %.0f s: %s",
                key,
                refused.limit,
                container,
                delay,
                refused.reason,
            )

    async def is_acceptable(
        self, snapshot: AppSnapshot, record: HealingStatus, action: HealingAction
    ) -> bool:
        """Return whether a raise can help and would be accepted; a refusal is remembered.

        Args:
            snapshot: the app and its pods.
            record: the record that is about to be stored, with the new limit.
            action: the raise that it starts.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        key, container = snapshot.app.key, container_of(action)
        lacking = [step for step in plan_resizes(record, snapshot) if container in step.limits]
        killed = [step for step in lacking if container in find_killed_containers((step.pod,))]
        reason = await self._find_pressure([step.pod for step in killed])
        if not reason and lacking:
            reason = await self._try_resize(key, (killed or lacking)[0])
        if reason:
            self.note_refusals(key, {container: RefusedLimit(action.target, reason)})
            return False
        self._forget(key, container)
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
        for container in list(self._refused.get(key, ())):
            self._forget(key, container)

    def _forget(self, key: AppKey, container: str) -> None:
        self._backoff.forget((key, container))
        if key in self._refused:
            self._refused[key].pop(container, None)
            if not self._refused[key]:
                del self._refused[key]
