"""Removes what Kubernetes sets anyway, and what only the API server writes.

The defaults are those of pkg/apis/{core,apps,autoscaling}/v1/defaults.go of Kubernetes 1.36. A
default that the operator replaces by another value, such as enableServiceLinks, is not among them.
"""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.importer.json_values import Json, as_map, as_maps

_PROBE: Final = {
    "initialDelaySeconds": 0,
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_CONTAINER: Final = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "stdin": False,
    "stdinOnce": False,
    "tty": False,
}
_FILES: Final = {"defaultMode": 0o644}

DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Deployment.spec": {
        "replicas": 1,
        "minReadySeconds": 0,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "paused": False,
    },
    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "template.spec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "shareProcessNamespace": False,
        "setHostnameAsFQDN": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "hostUsers": True,
        # Of a name, empty means not given.
        **dict.fromkeys(
            ("priorityClassName", "runtimeClassName", "hostname", "subdomain", "nodeName"), ""
        ),
        **dict.fromkeys(("serviceAccountName", "serviceAccount"), ""),
    },
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "httpGet": {"scheme": "HTTP"},
    "fieldRef": {"apiVersion": "v1"},
    "resourceFieldRef": {"divisor": "0"},
    "volumeMounts": {"readOnly": False},
    "configMap": _FILES,
    "secret": _FILES,
    "projected": _FILES,
    "downwardAPI": _FILES,
    "hostPath": {"type": ""},
    "serviceAccountToken": {"expirationSeconds": 3600},
    "ports": {"protocol": "TCP"},
    "Service.spec": {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
        "publishNotReadyAddresses": False,
        "allocateLoadBalancerNodePorts": True,
    },
    "HorizontalPodAutoscaler.spec": {"minReplicas": 1},
}
"""By the field that holds an object, or the list of objects: the fields and their defaults."""

_WRITTEN_BY_SERVER: Final = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
)
_NOTES_OF_TOOLS: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
)
_CHOSEN_BY_CLUSTER: Final = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort")


def clean_object(live: Json) -> Json:
    """Return an object without its status, server-written metadata and Kubernetes' defaults."""
    result = {key: value for key, value in live.items() if key != "status"}
    meta = as_map(live.get("metadata"))
    is_from_cluster = "uid" in meta
    result["metadata"] = _clean_metadata(meta)
    kind = str(live.get("kind"))
    if kind == "Service" and is_from_cluster:
        result["spec"] = _without_cluster_choices(as_map(live.get("spec")))
    if kind == "Deployment":
        result["spec"] = _without_unused_metadata(as_map(live.get("spec")))
    return {
        key: _strip(value, f"{kind}.spec" if key == "spec" else key)
        for key, value in result.items()
    }


def _clean_metadata(meta: Json) -> Json:
    result = {key: value for key, value in meta.items() if key not in _WRITTEN_BY_SERVER}
    if isinstance(meta.get("annotations"), dict):
        result["annotations"] = {
            key: value for key, value in meta["annotations"].items() if key not in _NOTES_OF_TOOLS
        }
    return result


def _without_unused_metadata(spec: Json) -> Json:
    """Return a Deployment's spec without what no pod gets of its template's metadata.

    Pods get labels, annotations and finalizers (GetPodFromTemplate, pkg/controller/
    controller_utils.go of Kubernetes 1.36).
    """
    template = as_map(spec.get("template"))
    used = {
        key: value
        for key, value in as_map(template.get("metadata")).items()
        if key in {"labels", "annotations", "finalizers"}
    }
    return {**spec, "template": {**template, "metadata": used}}


def _without_cluster_choices(spec: Json) -> Json:
    """Return a Service's spec without the addresses that it was given, except that of headless."""
    if spec.get("clusterIP") == "None":
        return {key: value for key, value in spec.items() if key not in _CHOSEN_BY_CLUSTER[1:]}
    return {key: value for key, value in spec.items() if key not in _CHOSEN_BY_CLUSTER}


def _strip(value: Any, field: str) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_strip(item, field) for item in value]
    if not isinstance(value, dict) or field in {"labels", "annotations", "matchLabels", "data"}:
        return value
    result = {
        key: _strip(item, "template.spec" if (field, key) == ("template", "spec") else key)
        for key, item in value.items()
        if not _is_default(field, key, item, value)
    }
    if field == "Deployment.spec" and as_map(result.get("strategy")) in (
        {"type": "RollingUpdate"},
        {"type": "RollingUpdate", "rollingUpdate": {}},
        {"rollingUpdate": {}},
    ):
        del result["strategy"]
    return result


def _is_default(field: str, key: str, value: object, holder: Json) -> bool:
    if field in {"containers", "initContainers"} and key == "imagePullPolicy":
        return value == _default_pull_policy(str(holder.get("image", "")))
    default = DEFAULTS.get(field, {}).get(key)
    return default is not None and type(value) is type(default) and value == default


def _default_pull_policy(image: str) -> str:
    """Return Kubernetes' default: Always for the tag latest, or for no tag."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def container_ports(pod_spec: Json) -> dict[str, int]:
    """Return the numbers of the named ports of all containers; the first one of a name counts."""
    numbers: dict[str, int] = {}
    for container in as_maps(pod_spec.get("containers")):
        for port in as_maps(container.get("ports")):
            if isinstance(port.get("name"), str) and isinstance(port.get("containerPort"), int):
                numbers.setdefault(port["name"], port["containerPort"])
    return numbers
