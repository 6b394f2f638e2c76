"""Raw objects of the API server to views. Missing fields become empty values, never errors."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.cache.views import (
    TEXT_LIMIT,
    AppKey,
    AppView,
    ConditionView,
    ContainerKillEvent,
    ContainerView,
    PodView,
    Termination,
)

Json = Mapping[str, Any]

_PROBE_KILL_MESSAGE: Final = re.compile(
    r"^(?:Init c|C)ontainer (?P<container>\S+) failed (?P<probe>liveness|startup) probe"
)
"""The kubelet's message on a Killing event (pkg/kubelet/kuberuntime, Kubernetes 1.36)."""

JOB_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
"""On a pod: the uid of the Job that made it."""

_RESTARTING_PROBE_FIELDS: Final = ("startupProbe", "livenessProbe")
_RESTARTING_PROBES: Final[Mapping[tuple[bool, ...], tuple[str, ...]]] = {
    (False, False): (),
    (True, False): ("startup",),
    (False, True): ("liveness",),
    (True, True): ("startup", "liveness"),
}
"""By whether it has the fields; one object for all containers alike."""

_POD_STOP_MESSAGE: Final = re.compile(r"^Stopping container (?P<container>\S+)$")
"""Its message when it stops a whole pod, also because a container of a pod that restarts nothing
failed a probe: which one, it does not say."""

UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"
"""The taint of a node whose kubelet has fallen silent; its value is empty."""

_PERSISTENT_VOLUME_SOURCES: Final = frozenset({"persistentVolumeClaim", "ephemeral"})
"""Sources of a volume that claim storage."""

_START_FAILURE_REASONS: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Reasons of an end whose message is the container runtime's, not the app's."""


def compact_json(value: Json) -> bytes:
    """A document as JSON, in no more memory than its length.

    orjson leaves the buffer that it wrote to as large as it was: 4 KiB where 1 is needed.
    """
    return bytes(memoryview(orjson.dumps(value)))


def key_of_app(raw: Json) -> AppKey:
    """The key of a SelfHealingApp."""
    meta = raw["metadata"]
    return AppKey(sys.intern(meta["namespace"]), sys.intern(meta["name"]))


def key_of_child(raw: Json) -> AppKey:
    """The key of the app that a child is named after.

    Not that in its label, which somebody may have changed: that is drift, and must be seen.
    """
    return key_of_app(raw)


def key_of_pod(raw: Json) -> AppKey | None:
    """The key of the app that a pod carries in its label, or None."""
    meta = raw["metadata"]
    app = (meta.get("labels") or {}).get(names.LABEL_APP)
    return AppKey(sys.intern(meta["namespace"]), sys.intern(app)) if app else None


def app_view(raw: Json) -> AppView:
    """View a SelfHealingApp."""
    meta = raw["metadata"]
    annotations = meta.get("annotations") or {}
    return AppView(
        key=key_of_app(raw),
        uid=meta["uid"],
        resource_version=parse_resource_version(meta),
        generation=meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        approve=_truncate(annotations.get(names.ANNOTATION_APPROVE)),
        resume=_truncate(annotations.get(names.ANNOTATION_RESUME)),
        spec=compact_json(raw.get("spec") or {}),
        status=compact_json(raw.get("status") or {}),
    )


def pod_view(raw: Json) -> PodView:
    """View a pod."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    scheduled = conditions.get("PodScheduled", {})
    init_container_specs = {c["name"]: c for c in spec.get("initContainers") or ()}
    container_specs = {
        **init_container_specs,
        **{c["name"]: c for c in spec.get("containers") or ()},
    }
    return PodView(
        uid=meta["uid"],
        name=meta["name"],
        resource_version=parse_resource_version(meta),
        node=sys.intern(spec.get("nodeName", "")),
        host_ip=sys.intern(status.get("hostIP", "")),
        phase=sys.intern(status.get("phase", "Pending")),
        reason=sys.intern(status.get("reason", "")),
        message=_truncate(status.get("message")),
        ready=ready.get("status") == "True",
        ready_since=parse_time(ready.get("lastTransitionTime")),
        ready_reason=sys.intern(ready.get("reason", "")),
        initialized=conditions.get("Initialized", {}).get("status") == "True",
        created=parse_time(meta.get("creationTimestamp")),
        deleting="deletionTimestamp" in meta,
        deleted_at=parse_time(meta.get("deletionTimestamp")),
        finalizers=tuple(map(sys.intern, meta.get("finalizers") or ())),
        template_hash=sys.intern(_template_hash(meta.get("labels") or {})),
        restart_policy=sys.intern(spec.get("restartPolicy", "Always")),
        unschedulable=_truncate(scheduled.get("message"))
        if scheduled.get("status") == "False"
        else "",
        unreachable_toleration_seconds=_unreachable_toleration_seconds(
            spec.get("tolerations") or ()
        ),
        memory_limit=_memory_limit(spec.get("containers") or ()),
        applied_memory_limit=_memory_limit(status.get("containerStatuses") or ()),
        has_persistent_volumes=any(
            not _PERSISTENT_VOLUME_SOURCES.isdisjoint(volume)
            for volume in spec.get("volumes") or ()
        ),
        containers=(
            *(
                _container_view(
                    c,
                    container_specs,
                    init=not _is_sidecar(init_container_specs.get(c["name"], {})),
                )
                for c in status.get("initContainerStatuses") or ()
            ),
            *(
                _container_view(c, container_specs, init=False)
                for c in status.get("containerStatuses") or ()
            ),
        ),
    )


def _template_hash(labels: Json) -> str:
    hash_: str = labels.get("pod-template-hash") or labels.get(JOB_UID_LABEL, "")
    return hash_


def _unreachable_toleration_seconds(tolerations: Iterable[Json]) -> int | None:
    """How long a pod is left on a node with the taint UNREACHABLE, as Kubernetes reckons it.

    The first toleration that fits counts (GetMatchingTolerations in k8s.io/component-helpers); an
    admission plugin adds one of 300 s to pods that have none of their own.
    """
    for toleration in tolerations:
        if (
            (toleration.get("key") or UNREACHABLE_TAINT) == UNREACHABLE_TAINT
            and (toleration.get("effect") or "NoExecute") == "NoExecute"
            and (toleration.get("operator") == "Exists" or not toleration.get("value"))
        ):
            seconds = toleration.get("tolerationSeconds")
            return None if seconds is None else max(0, seconds)
    return 0


def _memory_limit(containers: Iterable[Json]) -> str:
    """The memory limit of the app's own container: in a spec, or in a status as it is applied."""
    for container in containers:
        if container["name"] == names.CONTAINER_NAME:
            limits = (container.get("resources") or {}).get("limits") or {}
            return sys.intern(limits.get("memory", ""))
    return ""


def _is_sidecar(init_container: Json) -> bool:
    """Whether an init container is one that runs on beside the app."""
    return init_container.get("restartPolicy") == "Always"


def _container_view(raw: Json, container_specs: Mapping[str, Json], *, init: bool) -> ContainerView:
    state = raw.get("state") or {}
    waiting = state.get("waiting") or {}
    return ContainerView(
        name=sys.intern(raw["name"]),
        image=sys.intern(container_specs.get(raw["name"], {}).get("image", "")),
        restarting_probes=_RESTARTING_PROBES[
            tuple(f in container_specs.get(raw["name"], {}) for f in _RESTARTING_PROBE_FIELDS)
        ],
        is_init=init,
        ready=bool(raw.get("ready")),
        restarts=raw.get("restartCount", 0),
        waiting_reason=sys.intern(waiting.get("reason", "")),
        waiting_message=_truncate(waiting.get("message")),
        running_since=parse_time((state.get("running") or {}).get("startedAt")),
        starting=bool(state.get("running")) and raw.get("started") is False,
        terminated=_termination(state.get("terminated")),
        last_termination=_termination((raw.get("lastState") or {}).get("terminated")),
    )


def _termination(raw: Json | None) -> Termination | None:
    if not raw:
        return None
    reason = raw.get("reason") or "Error"
    return Termination(
        reason=sys.intern(reason),
        exit_code=raw.get("exitCode", 0),
        started_at=parse_time(raw.get("startedAt")),
        finished_at=parse_time(raw.get("finishedAt")),
        message=_truncate(raw.get("message")) if reason in _START_FAILURE_REASONS else "",
    )


def container_kill_event(raw: Json) -> ContainerKillEvent | None:
    """View an Event by which the kubelet says that it kills a container.

    Returns None for any other Event.
    """
    target = raw.get("involvedObject") or {}
    message = raw.get("message") or ""
    match = _PROBE_KILL_MESSAGE.match(message) or _POD_STOP_MESSAGE.match(message)
    series = raw.get("series") or {}
    at = parse_time(
        series.get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"].get("creationTimestamp")
    )
    if match is None or at is None or target.get("kind") != "Pod":
        return None
    return ContainerKillEvent(
        pod_uid=target.get("uid", ""),
        container=sys.intern(match["container"]),
        probe=sys.intern(match.groupdict().get("probe", "")),
        at=at,
    )


def is_node_unreachable(raw: Json) -> bool:
    """Whether nothing is heard of a node; one that says that it is not ready is heard of."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    return any(
        condition["type"] == "Ready" and condition["status"] == "Unknown"
        for condition in status.get("conditions") or ()
    ) or any(taint["key"] == UNREACHABLE_TAINT for taint in spec.get("taints") or ())


def condition_views(status: Json) -> tuple[ConditionView, ...]:
    """View the conditions of a child's status."""
    return tuple(
        ConditionView(
            type=sys.intern(c["type"]),
            status=sys.intern(c["status"]),
            reason=sys.intern(c.get("reason", "")),
            message=_truncate(c.get("message")),
            since=parse_time(c.get("lastTransitionTime")),
        )
        for c in status.get("conditions") or ()
    )


def parse_resource_version(meta: Json) -> int:
    """The resource version as a number.

    Versions of one resource type order as whole numbers (Kubernetes KEP-5504, stable in 1.35; so in
    every release before it, by etcd's revisions).
    """
    value = str(meta.get("resourceVersion", "0"))
    return int(value) if value.isdigit() else 0


def parse_time(value: str | None) -> datetime | None:
    """Read an RFC 3339 time to the whole second; None when there is none."""
    return datetime.fromisoformat(value).replace(microsecond=0) if value else None


def _truncate(value: str | None) -> str:
    return (value or "")[:TEXT_LIMIT]
