"""Removes the fields of Kubernetes' own types that the resource does not have.

The reasons are those of the reference page; a test compares them with the overlays of the CRD,
which are not part of what is shipped.
"""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.importer.json_values import Json, as_map

_NO_WINDOWS: Final = "the nodes are Linux"
_HAS_CSI: Final = "deprecated, or replaced by CSI drivers"
_BLOCK: Final = "raw block devices belong to apps with state of their own"
_RULES: Final = "healing goes by restarts, of which a rule for exit codes hides some"
_CHOSEN: Final = "the cluster chooses it; for none there is `service.headless`"
_EMPTY: Final = "an ephemeral volume starts empty"
_PROVISIONED: Final = "an ephemeral volume is always provisioned"
_NO_HOOK: Final = "Kubernetes accepts it, but it has no effect"

_CONTAINER: Final = {"restartPolicyRules": _RULES, "volumeDevices": _BLOCK}
_VOLUME: Final = {
    **dict.fromkeys(
        (
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "flexVolume",
            "flocker",
            "gcePersistentDisk",
            "gitRepo",
            "glusterfs",
            "photonPersistentDisk",
            "portworxVolume",
            "quobyte",
            "rbd",
            "scaleIO",
            "storageos",
            "vsphereVolume",
        ),
        _HAS_CSI,
    ),
    **dict.fromkeys(("fc", "iscsi"), "a CSI driver does it better"),
}

POD: Final = {
    "activeDeadlineSeconds": "for a Job there is `job.activeDeadlineSeconds`; in a Deployment each"
    " pod would fail at that age",
    "ephemeralContainers": "`kubectl debug` adds them to running pods",
    "nodeName": "it bypasses the scheduler: write `nodeSelector` or `affinity`",
    "os": _NO_WINDOWS,
    "overhead": "Kubernetes sets it from the RuntimeClass",
    "preemptionPolicy": "Kubernetes sets it from the PriorityClass",
    "priority": "Kubernetes sets it from the PriorityClass",
    "resources": "healing and VPA change the resources of containers, which those of the whole pod"
    " would have to follow",
    "schedulingGates": "each new pod, also that of a rollback, would wait for another controller",
    "schedulingGroup": "behind a feature gate",
    "serviceAccount": "deprecated: `serviceAccountName`",
}
SERVICE: Final = {
    "clusterIP": _CHOSEN,
    "clusterIPs": _CHOSEN,
    "externalIPs": "whoever may set them can take over the traffic of others",
    "externalName": "it leads to another host, not to the pods",
    "healthCheckNodePort": "the cluster chooses it",
    "loadBalancerIP": "deprecated: an annotation of the load balancer",
}

LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "volumes": _VOLUME,
    "securityContext": {
        "procMount": "anything but the default shows more of the node's /proc",
        "windowsOptions": _NO_WINDOWS,
    },
    "lifecycle": {"stopSignal": "behind a feature gate"},
    "postStart": {"tcpSocket": _NO_HOOK},
    "preStop": {"tcpSocket": _NO_HOOK},
    "valueFrom": {"fileKeyRef": "beta: let the app read the file"},
    "sources": dict.fromkeys(("clusterTrustBundle", "podCertificate"), "behind feature gates"),
    "ports": {
        "hostIP": "a host port is open on every address of the node",
        "hostPort": "the app's own: `ports[].hostPort`",
    },
    "volumeClaimTemplate.spec": {
        "dataSource": _EMPTY,
        "dataSourceRef": _EMPTY,
        "selector": _PROVISIONED,
        "volumeName": _PROVISIONED,
        "volumeMode": _BLOCK,
    },
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


def _is_hollow(item: object) -> bool:
    """Whether nothing but a name is left of an item."""
    return not as_map(item).keys() - _NAME_ONLY if isinstance(item, dict) else False
