"""Says why a value of a manifest is rendered otherwise, or not at all."""

from typing import Final

from selfhealing.api import names
from selfhealing.importer.build_spec import DEFAULT_CONTAINER
from selfhealing.importer.compare import Mismatch
from selfhealing.importer.json_values import Where
from selfhealing.importer.left_out import LEFT_OUT, POD, SERVICE

_OWN_NAME: Final = "all objects of an app have its name"
_OWN_METADATA: Final = "the operator labels its own objects; labels of the pods are in podMetadata"
_NO_VOLUME: Final = "its volume is left out, too: a PersistentVolumeClaim can take its place"
_OWNER: Final = "the app becomes the owner of its objects"
_APP_LABELS: Final = (
    "this label or annotation is the operator's or Kubernetes' own: select the pods by"
    f" {names.LABEL_APP}"
)

ALWAYS_REPLACED: Final = {
    ("*", "apiVersion"): "the same object in another version of its API",
    ("*", "metadata", "labels"): _OWN_METADATA,
    ("Deployment", "spec", "selector"): "immutable, and the app has one of its own: its"
    " Deployment replaces this one, with new pods",
    ("Deployment", "spec", "replicas"): "the HorizontalPodAutoscaler sets the number of pods",
    ("Deployment", "spec", "template", "metadata", "labels", "app.kubernetes.io/managed-by"): (
        "the operator manages the pods"
    ),
    ("Deployment", "spec", "template", "metadata", "annotations", DEFAULT_CONTAINER): (
        f"the app's container is called {names.CONTAINER_NAME}"
    ),
    ("Deployment", "spec", "template", "metadata", "annotations", names.ANNOTATION_RESTARTED_AT): (
        "written by kubectl rollout restart"
    ),
    ("Deployment", "spec", "template", "spec", "containers", "name"): (
        f"the app's container is called {names.CONTAINER_NAME}"
    ),
    ("Deployment", "spec", "template", "spec", "initContainers", "name"): (
        f"{names.CONTAINER_NAME} is the name of the app's container"
    ),
    ("Service", "spec", "selector"): "it selects the app's pods",
    ("PodDisruptionBudget", "spec", "selector"): "it selects the app's pods",
    ("Deployment", "metadata", "name"): _OWN_NAME,
    ("HorizontalPodAutoscaler", "metadata", "name"): _OWN_NAME,
    ("PodDisruptionBudget", "metadata", "name"): _OWN_NAME,
    ("Ingress", "metadata", "name"): _OWN_NAME,
    ("HorizontalPodAutoscaler", "spec", "scaleTargetRef"): "it scales the app's Deployment",
}
"""What the operator replaces by design; no pod runs otherwise. By the kind and a path."""

_REASONS: Final = {
    ("*", "metadata", "ownerReferences"): _OWNER,
    ("*", "metadata", "finalizers"): _OWNER,
    ("*", "metadata", "annotations"): "only the pods, the Service, the Ingress and the"
    " ServiceAccount have annotations of the user",
    ("Service", "metadata", "annotations"): "instead of this annotation there is a field",
    ("Ingress", "metadata", "annotations"): "className says the same, or it is the operator's own",
    ("Service", "metadata", "name"): "the Service has the app's name, by which DNS finds it:"
    " callers must use it, or keep the old Service, with this label as its selector:"
    f" {names.LABEL_APP}",
    ("Service", "spec", "ports"): "a port of the Service leads to a port of the pods, and"
    " without an address of its own (headless) has the pods' number",
    ("Deployment", "spec", "progressDeadlineSeconds"): "a rollout without a deadline never ends: a"
    " day is the longest",
    ("Deployment", "spec", "paused"): "a rollout is not paused for long: `paused` of an app keeps"
    " the operator from any change",
    ("Deployment", "spec", "template", "metadata", "labels"): _APP_LABELS,
    ("Deployment", "spec", "template", "metadata", "annotations"): "only the operator or Kubernetes"
    " writes it; instead of apparmor and seccomp write securityContext",
    ("Deployment", "spec", "template", "spec", "containers", "volumeMounts"): _NO_VOLUME,
    ("Deployment", "spec", "template", "spec", "initContainers", "volumeMounts"): _NO_VOLUME,
    ("Deployment", "spec", "template", "spec", "containers", "ports", "name"): "a port has the name"
    " that it has in the Service",
    ("Deployment", "spec", "template", "spec", "containers", "ports", "hostPort"): "of an app's"
    " port that the Service has once only: `ports[].hostPort`",
    ("PodDisruptionBudget", "spec"): "it lets no pod be evicted and no node be drained: the app's"
    " budget lets one",
    ("PodDisruptionBudget", "spec", "unhealthyPodEvictionPolicy"): "pods that are not ready serve"
    " nobody, and may always be evicted (AlwaysAllow)",
    ("HorizontalPodAutoscaler", "metadata", "annotations"): _OWN_METADATA,
    ("PodDisruptionBudget", "metadata", "annotations"): _OWN_METADATA,
    ("Ingress", "spec", "defaultBackend"): "write a host without a name instead",
}

_NO_FIELD: Final = "the resource has no field for it"


def is_replaced(kind: str, mismatch: Mismatch) -> bool:
    """Whether the operator replaces a value by design, and no pod runs otherwise for it."""
    if _find(ALWAYS_REPLACED, kind, mismatch.where) is not None:
        return True
    last = mismatch.where[-1]
    is_reference = last in {"containerName", "container"} and mismatch.rendered is not None
    is_backend = kind == "Ingress" and mismatch.where[-2:] == ("service", "name")
    return is_reference or is_backend or "matchLabels" in mismatch.where


def explain(kind: str, mismatch: Mismatch) -> str:
    """Return the reason why a value is rendered otherwise, or not at all."""
    where = mismatch.where
    fields = [part for part in where if not part.startswith("[")]
    if reason := _left_out_reason(kind, fields, mismatch.given):
        return reason
    for table in (ALWAYS_REPLACED, _REASONS):
        if (found := _find(table, kind, where)) is not None:
            return found
    if is_replaced(kind, mismatch):
        return "it follows a new name or label of the app"
    return _NO_FIELD


def _left_out_reason(kind: str, fields: list[str], given: object) -> str | None:
    """Return the reason from the table of left-out fields, for the field or one within it."""
    if kind == "Service" and fields[:1] == ["spec"] and fields[1:2]:
        return SERVICE.get(fields[1])
    if kind != "Deployment":
        return None
    if fields[:3] == ["spec", "template", "spec"] and fields[3:4] and fields[3] in POD:
        return POD[fields[3]]
    parent = ".".join(fields[-3:-1]) if fields[-2:-1] == ["spec"] else fields[-2]
    if reason := LEFT_OUT.get(parent, {}).get(fields[-1]):
        return reason
    inner = given.keys() if isinstance(given, dict) else ()
    return next(
        (why for key, why in LEFT_OUT.get(fields[-1], {}).items() if key in inner),
        next(
            (
                why
                for key in inner
                for field, why in LEFT_OUT.get(key, {}).items()
                if isinstance(given, dict) and field in _keys_of(given[key])
            ),
            None,
        ),
    )


def _keys_of(value: object) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def _find(table: dict[tuple[str, ...], str], kind: str, where: Where) -> str | None:
    """Return the reason of the longest path in a table that leads to a value."""
    fields = [part for part in where if not part.startswith("[")]
    for length in range(len(fields), 0, -1):
        for start in (kind, "*"):
            if (found := table.get((start, *fields[:length]))) is not None:
                return found
    return None
