"""Removes the fields of Kubernetes' own types that the resource does not have."""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.importer.json_values import Json, as_map, as_maps

POD: Final = LEFT_OUT_FIELDS["PodSpec"]
SERVICE: Final = LEFT_OUT_FIELDS["ServiceSpec"]

LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "containers": LEFT_OUT_FIELDS["Container"],
    "initContainers": LEFT_OUT_FIELDS["Container"],
    "volumes": LEFT_OUT_FIELDS["Volume"],
    "securityContext": {
        **LEFT_OUT_FIELDS["SecurityContext"],
        **LEFT_OUT_FIELDS["PodSecurityContext"],
    },
    "lifecycle": LEFT_OUT_FIELDS["Lifecycle"],
    "postStart": LEFT_OUT_FIELDS["LifecycleHandler"],
    "preStop": LEFT_OUT_FIELDS["LifecycleHandler"],
    "valueFrom": LEFT_OUT_FIELDS["EnvVarSource"],
    "sources": LEFT_OUT_FIELDS["VolumeProjection"],
    "ports": LEFT_OUT_FIELDS["ContainerPort"],
    "volumeClaimTemplate.spec": LEFT_OUT_FIELDS["PersistentVolumeClaimSpec"],
}
"""By the field that holds an object, or the list of objects: the fields and why they are left out.
"""

_NAME_ONLY: Final = {"name"}


def remove_left_out(value: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of a value without the fields that the resource does not have.

    An item that would say something else without them goes as a whole: a volume without its source
    would be an empty directory.

    Args:
        value: the value.
        field: the field that holds it.
    """
    if isinstance(value, list):
        items = [(item, remove_left_out(item, field)) for item in value]
        return [new for old, new in items if new == old or not _is_hollow(new)]
    if not isinstance(value, dict):
        return value
    result: Json = {}
    for key, item in value.items():
        if key in LEFT_OUT.get(field, {}):
            continue
        inner = (
            "volumeClaimTemplate.spec" if (field, key) == ("volumeClaimTemplate", "spec") else key
        )
        new = remove_left_out(item, inner)
        if new != item and not new:
            continue
        result[key] = new
    return result


def simplify_pod(pod_spec: Json) -> Json:
    """Return a copy of a pod's spec without what the resource does not have.

    The mounts of a volume that goes go with it: Kubernetes refuses a mount without a volume.
    """
    result: Json = remove_left_out(pod_spec)
    given, kept = (
        {str(volume.get("name")) for volume in as_maps(each.get("volumes"))}
        for each in (pod_spec, result)
    )
    for field in ("containers", "initContainers"):
        for container in as_maps(result.get(field)):
            mounts = as_maps(container.pop("volumeMounts", None))
            if left := [each for each in mounts if each.get("name") not in given - kept]:
                container["volumeMounts"] = left
    return result


def _is_hollow(item: object) -> bool:
    """Whether nothing but a name is left of an item."""
    return not as_map(item).keys() - _NAME_ONLY if isinstance(item, dict) else False
