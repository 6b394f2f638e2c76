"""Turns raw objects of the API server into views. A missing field becomes an empty value."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.status import UNOBSERVED_STATUS
from selfhealing.api.text import clean_line
from selfhealing.cache.probes import probe_views
from selfhealing.cache.views import (
    MAX_CONDITIONS,
    MAX_IMAGE_LENGTH,
    MAX_SPEC_BYTES,
    MAX_STATUS_BYTES,
    MAX_WORD_LENGTH,
    NO_QUANTITIES,
    TEXT_LIMIT,
    AppKey,
    AppView,
    ConditionView,
    ContainerView,
    PodView,
    ReplicaSetView,
    ResourceQuantities,
    Termination,
)

Json = Mapping[str, Any]

_ESCAPED_BYTES: Final = 6
"""Bytes of one character that JSON may have as it is, and the API server escapes (``\\u003c``)."""

MAX_FINALIZERS: Final = 3
"""Finalizers of a pod that are kept: a message names them. A pod may have 80,000."""

JOB_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
"""On a pod: the UID of the Job that created it."""

UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"
"""The taint of an unreachable node; its value is empty."""

_PERSISTENT_VOLUME_SOURCES: Final = frozenset({"persistentVolumeClaim", "ephemeral"})
"""Volume sources that use a PersistentVolumeClaim."""

_START_FAILURE_REASONS: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Termination reasons whose message comes from the container runtime, not from the app."""


def compact_json(value: Json) -> bytes:
    """Serialise to JSON bytes of minimal size.

    The bytes of ``orjson.dumps`` keep the buffer that they were written to, up to four times as
    large as the text.
    """
    return bytes(memoryview(orjson.dumps(value)))


_UNOBSERVED: Final = compact_json(UNOBSERVED_STATUS)
"""The default of the CRD for the status: nothing is known yet."""


def key_of_app(raw: Json) -> AppKey:
    """Return the key of a SelfHealingApp."""
    meta = raw["metadata"]
    return AppKey(sys.intern(meta["namespace"]), sys.intern(meta["name"]))


def key_of_child(raw: Json) -> AppKey:
    """Return the key of the app that a child belongs to: the child has the app's name.

    The child's label is not used, because a changed label is drift that must be detected.
    """
    return key_of_app(raw)


def key_of_pod(raw: Json) -> AppKey | None:
    """Return the key of the app in a pod's label; None without the label."""
    meta = raw["metadata"]
    app = (meta.get("labels") or {}).get(names.LABEL_APP)
    return AppKey(sys.intern(meta["namespace"]), sys.intern(app)) if app else None


def longest_json_text(limit: int) -> int:
    """Return the most bytes of a text of the API server that may have ``limit`` bytes here.

    The API server writes ``<``, ``>`` and ``&`` as six characters, as encoding/json of Go does.
    """
    return _ESCAPED_BYTES * limit


def app_view(raw: Json) -> AppView:
    """View a SelfHealingApp, whose spec and status may be their JSON text, or the bytes of one."""
    meta = raw["metadata"]
    annotations = meta.get("annotations") or {}
    spec, oversized_spec = _write_part(raw.get("spec"), MAX_SPEC_BYTES)
    status, oversized_status = _write_part(raw.get("status"), MAX_STATUS_BYTES)
    return AppView(
        key=key_of_app(raw),
        uid=meta["uid"],
        resource_version=parse_resource_version(meta),
        generation=meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        approve=clean_message(annotations.get(names.ANNOTATION_APPROVE)),
        resume=_shorten_key(annotations.get(names.ANNOTATION_RESUME)),
        spec=spec,
        status=b"{}" if status == _UNOBSERVED else status,
        created=parse_time(meta.get("creationTimestamp")),
        oversized_spec=oversized_spec,
        oversized_status=oversized_status,
    )


def _write_part(part: Json | bytes | int | None, limit: int) -> tuple[bytes, int]:
    """Return the spec or the status of an app as JSON, and 0; of a large one nothing and its bytes.

    Args:
        part: the parsed part, its JSON text, or the bytes of a text that was too long to be kept.
        limit: the most bytes of the result.
    """
    if isinstance(part, int):
        return b"", part
    text = compact_json(orjson.loads(part) if isinstance(part, bytes) else part or {})
    return (text, 0) if len(text) <= limit else (b"", len(text))


def pod_view(raw: Json) -> PodView:
    """View a pod."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    scheduled = conditions.get("PodScheduled", {})
    disruption = conditions.get("DisruptionTarget", {})
    init_container_specs = {c["name"]: c for c in spec.get("initContainers") or ()}
    container_specs = {
        **init_container_specs,
        **{c["name"]: c for c in spec.get("containers") or ()},
    }
    resize_reason, resize_message = _pending_resize(conditions)
    return PodView(
        uid=meta["uid"],
        name=meta["name"],
        resource_version=parse_resource_version(meta),
        node=sys.intern(spec.get("nodeName", "")),
        host_ip=sys.intern(status.get("hostIP", "")),
        phase=sys.intern(status.get("phase", "Pending")),
        reason=_clean_word(status.get("reason")),
        message=clean_message(status.get("message")),
        ready=ready.get("status") == "True",
        ready_since=parse_time(ready.get("lastTransitionTime")),
        ready_reason=_clean_word(ready.get("reason")),
        initialized=conditions.get("Initialized", {}).get("status") == "True",
        created=parse_time(meta.get("creationTimestamp")),
        deleting="deletionTimestamp" in meta,
        deleted_at=parse_time(meta.get("deletionTimestamp")),
        finalizers=tuple(map(sys.intern, (meta.get("finalizers") or ())[:MAX_FINALIZERS])),
        template_hash=sys.intern(_template_hash(meta.get("labels") or {})),
        controller_uid=sys.intern(parse_controller_uid(meta)),
        restart_policy=sys.intern(spec.get("restartPolicy", "Always")),
        unschedulable=clean_message(scheduled.get("message"))
        if scheduled.get("status") == "False"
        else "",
        unreachable_toleration_seconds=_unreachable_toleration_seconds(
            spec.get("tolerations") or ()
        ),
        has_persistent_volumes=any(
            not _PERSISTENT_VOLUME_SOURCES.isdisjoint(volume)
            for volume in spec.get("volumes") or ()
        ),
        disruption=_clean_word(disruption.get("reason"))
        if disruption.get("status") == "True"
        else "",
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
        resize_reason=resize_reason,
        resize_message=resize_message,
        is_marked=names.LABEL_NAME in (meta.get("labels") or {}),
    )


def replica_set_view(raw: Json) -> ReplicaSetView:
    """View a ReplicaSet."""
    meta = raw["metadata"]
    return ReplicaSetView(
        uid=sys.intern(meta["uid"]),
        resource_version=parse_resource_version(meta),
        controller_uid=sys.intern(parse_controller_uid(meta)),
    )


def parse_controller_uid(meta: Json) -> str:
    """Return the UID of an object's controller owner; empty without one.

    An object has one controller at most (ValidateOwnerReferences in k8s.io/apimachinery).
    """
    references = meta.get("ownerReferences") or ()
    return next((owner["uid"] for owner in references if owner.get("controller")), "")


def has_owner(meta: Json, uid: str) -> bool:
    """Whether an owner of an object has this UID, whether it controls the object or not."""
    return any(owner.get("uid") == uid for owner in meta.get("ownerReferences") or ())


def parse_owner_uid(meta: Json) -> str:
    """Return the UID of the controller owner, else of an owning SelfHealingApp; else empty.

    A Deployment that VPA scales has no controller owner (``render.deployment``).
    """
    apps = (
        owner["uid"]
        for owner in meta.get("ownerReferences") or ()
        if owner["kind"] == names.KIND and owner["apiVersion"].startswith(f"{names.GROUP}/")
    )
    return parse_controller_uid(meta) or next(apps, "")


def _template_hash(labels: Json) -> str:
    hash_: str = labels.get("pod-template-hash") or labels.get(JOB_UID_LABEL, "")
    return hash_


def _unreachable_toleration_seconds(tolerations: Iterable[Json]) -> int | None:
    """Return how many seconds Kubernetes leaves a pod on a node with UNREACHABLE_TAINT.

    The first matching toleration counts (GetMatchingTolerations in k8s.io/component-helpers). The
    admission plugin DefaultTolerationSeconds adds one of 300 s to pods without one.

    Returns:
        0 without a matching toleration; None if the toleration has no limit.
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


def _pending_resize(conditions: Mapping[str, Json]) -> tuple[str, str]:
    """Return why a resize of the pod is not carried out, and the kubelet's message; else empty.

    The conditions are those of KEP-1287. PodResizeInProgress has the reason Error when the kubelet
    has tried and failed, and else none.
    """
    for condition_type in ("PodResizePending", "PodResizeInProgress"):
        condition = conditions.get(condition_type, {})
        if condition.get("status") == "True" and condition.get("reason"):
            return _clean_word(condition["reason"]), clean_message(condition.get("message"))
    return "", ""


def _limits(raw: Json) -> ResourceQuantities:
    """Return the limits of a container, from a pod's spec or status."""
    limits = (raw.get("resources") or {}).get("limits")
    if not limits:
        return NO_QUANTITIES
    return ResourceQuantities(
        parse_word(limits.get("cpu", "")), parse_word(limits.get("memory", ""))
    )


def _is_sidecar(init_container: Json) -> bool:
    """Whether an init container is a sidecar, which keeps running beside the app."""
    return init_container.get("restartPolicy") == "Always"


def _container_view(raw: Json, container_specs: Mapping[str, Json], *, init: bool) -> ContainerView:
    state = raw.get("state") or {}
    waiting = state.get("waiting") or {}
    return ContainerView(
        name=sys.intern(raw["name"]),
        image=sys.intern(container_specs.get(raw["name"], {}).get("image", "")[:MAX_IMAGE_LENGTH]),
        probes=probe_views(container_specs.get(raw["name"], {})),
        is_init=init,
        ready=bool(raw.get("ready")),
        restarts=raw.get("restartCount", 0),
        waiting_reason=_clean_word(waiting.get("reason")),
        waiting_message=clean_message(waiting.get("message")),
        running_since=parse_time((state.get("running") or {}).get("startedAt")),
        starting=bool(state.get("running")) and raw.get("started") is False,
        terminated=_termination(state.get("terminated")),
        last_termination=_termination((raw.get("lastState") or {}).get("terminated")),
        limits=_limits(container_specs.get(raw["name"], {})),
        applied_limits=_limits(raw),
    )


def _termination(raw: Json | None) -> Termination | None:
    if not raw:
        return None
    reason = raw.get("reason") or "Error"
    return Termination(
        reason=_clean_word(reason),
        exit_code=raw.get("exitCode", 0),
        started_at=parse_time(raw.get("startedAt")),
        finished_at=parse_time(raw.get("finishedAt")),
        message=clean_message(raw.get("message")) if reason in _START_FAILURE_REASONS else "",
    )


def condition_views(status: Json) -> tuple[ConditionView, ...]:
    """View the conditions of a child's status, at most MAX_CONDITIONS."""
    return tuple(
        ConditionView(
            type=parse_word(c["type"]),
            status=parse_word(c["status"]),
            reason=_clean_word(c.get("reason")),
            message=clean_message(c.get("message")),
            since=parse_time(c.get("lastTransitionTime")),
        )
        for c in (status.get("conditions") or ())[:MAX_CONDITIONS]
    )


def parse_word(value: object) -> str:
    """Return a hash, a quantity or a type, which many objects share, cut to MAX_WORD_LENGTH."""
    return sys.intern(str(value)[:MAX_WORD_LENGTH])


def parse_resource_version(meta: Json) -> int:
    """Return the resource version as a number; 0 if it is missing or not a number.

    Resource versions of one kind are comparable as integers: guaranteed by Kubernetes KEP-5504
    (stable in 1.35), and true before it because they are etcd revisions.
    """
    value = str(meta.get("resourceVersion", "0"))
    return int(value) if value.isdigit() else 0


def parse_time(value: str | None) -> datetime | None:
    """Parse an RFC 3339 time, cut to whole seconds; None for an empty value."""
    try:
        return datetime.fromisoformat(value).replace(microsecond=0) if value else None
    except ValueError:  # the API server takes the year 0, too
        return None


def clean_message(value: str | None) -> str:
    """Return a message of the cluster in one clean line, cut to TEXT_LIMIT."""
    # Cut before, too: a message of 1 MB is not worth the time.
    return clean_line((value or "")[: 2 * TEXT_LIMIT])[:TEXT_LIMIT] if value else ""


def _shorten_key(value: str | None) -> str:
    """Return a text that is only compared; of one that is too long for a word the digest."""
    text = value or ""
    if len(text) <= MAX_WORD_LENGTH:
        return clean_line(text)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _clean_word(value: str | None) -> str:
    """Return a reason, which Kubernetes and others write, cut; many pods share it."""
    return sys.intern(clean_message(value)[:MAX_WORD_LENGTH])
