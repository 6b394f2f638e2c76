"""Overlays of containers: the app's container, init containers and sidecars."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.cel_rules import IMAGE_REFERENCE
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import RESOURCE_DOMAIN_PATTERN, max_items, one_of
from selfhealing.api.names import CONTAINER_NAME
from selfhealing.api.pod_rules import BIDIRECTIONAL_NEEDS_PRIVILEGED
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.overlays.probes import LIVENESS_OR_STARTUP_PROBE, READINESS_PROBE
from selfhealing.crdgen.schema.overlay import Overlay

PULL_POLICY: Final = one_of("Always", "IfNotPresent", "Never")

_QUANTITY_OF = "(type({0}) == int ? double({0}) : quantity({0}).asApproximateFloat())"
_REQUESTED_QUANTITY = _QUANTITY_OF.format("self.requests[name]")
_LIMIT_QUANTITY = _QUANTITY_OF.format("self.limits[name]")
_REQUEST_ABOVE_LIMIT = (
    f"name in self.limits && {_REQUESTED_QUANTITY} > {_LIMIT_QUANTITY} * 1.000001"
)
_IS_WHOLE_HUGE_PAGES = (
    "(type({0}[name]) == string && isQuantity({0}[name])"
    " && quantity({0}[name]).asApproximateFloat() > 0.0"
    " && quantity({0}[name]).isInteger()"
    " && quantity({0}[name]).asInteger()"
    " % quantity(name.substring(10)).asInteger() == 0)"
)

RESOURCE_NAMES: Final = Rule(
    cel="self.all(name, name in ['cpu', 'memory', 'ephemeral-storage']"
    " || name.matches('^hugepages-[1-9][0-9]{0,3}[KMG]i$')"
    f" || (name.matches(r'{RESOURCE_DOMAIN_PATTERN}') && name.size() <= 200"
    " && !name.startsWith('requests.')))",
    message="a container has cpu, memory, ephemeral-storage, hugepages-SIZE,"
    " or a device such as example.com/gpu",
)
WHOLE_BYTES: Final = Rule(
    cel="['memory', 'ephemeral-storage'].all(name, !(name in self) || type(self[name]) == int"
    " || !self[name].endsWith('m'))",
    message="m is a thousandth of a byte here: write Mi for mebibytes, such as 128Mi",
)
WHOLE_DEVICES: Final = Rule(
    cel="self.all(name, !name.contains('/') || type(self[name]) == int"
    " || (isQuantity(self[name]) && quantity(self[name]).isInteger()))",
    message="a device is counted in whole numbers",
)
WHOLE_HUGE_PAGES: Final = Rule(
    cel=f"self.all(name, !name.startsWith('hugepages-') || {_IS_WHOLE_HUGE_PAGES.format('self')})",
    message="huge pages are a whole multiple of their size, such as hugepages-2Mi: 64Mi",
)
RESOURCE_QUANTITIES: Final = Overlay(
    keywords={"maxProperties": 8},
    rules=(RESOURCE_NAMES, WHOLE_BYTES, WHOLE_DEVICES, WHOLE_HUGE_PAGES),
)

OVERLAYS: Final = {
    f"{CORE}.ResourceRequirements": Overlay(
        fields={
            "requests": RESOURCE_QUANTITIES,
            "limits": RESOURCE_QUANTITIES,
            "claims": max_items(16),
        },
        rules=(
            Rule(
                cel="!has(self.requests) || !has(self.limits)"
                f" || !self.requests.exists(name, {_REQUEST_ABOVE_LIMIT})",
                message="a request is at most its limit: lower the request or raise the limit",
                field_path=".requests",
            ),
            Rule(
                cel="!has(self.requests) || self.requests.all(name,"
                " !(name.contains('/') || name.startsWith('hugepages-'))"
                " || (has(self.limits) && name in self.limits"
                f" && {_REQUESTED_QUANTITY} == {_LIMIT_QUANTITY}))",
                message="devices and huge pages cannot be overcommitted:"
                " give them under limits, with the same value",
                field_path=".requests",
            ),
            Rule(
                cel="!(has(self.limits) && self.limits.exists(name, name.startsWith('hugepages-')))"
                " || ['cpu', 'memory'].exists(name, name in self.limits"
                " || (has(self.requests) && name in self.requests))",
                message="huge pages need cpu or memory beside them",
            ),
        ),
    ),
    f"{CORE}.ContainerPort": Overlay(
        drop=LEFT_OUT_FIELDS["ContainerPort"],
        fields={
            "containerPort": limits.port,
            "name": limits.port_name,
            "protocol": {**one_of("TCP", "UDP", "SCTP"), "default": "TCP"},
        },
    ),
    f"{CORE}.ContainerResizePolicy": Overlay(
        fields={
            "resourceName": one_of("cpu", "memory"),
            "restartPolicy": one_of("NotRequired", "RestartContainer"),
        }
    ),
    f"{CORE}.VolumeMount": Overlay(
        fields={
            "name": limits.dns_label,
            "mountPath": {"pattern": "^[^:]+$", "maxLength": 1024},
            "subPath": limits.relative_path_or_empty,
            "subPathExpr": limits.relative_path_or_empty,
            "mountPropagation": one_of("None", "HostToContainer", "Bidirectional"),
            "recursiveReadOnly": one_of("Disabled", "IfPossible", "Enabled"),
        },
        rules=(
            Rule(
                cel="!has(self.subPath) || !has(self.subPathExpr) || self.subPath == ''"
                " || self.subPathExpr == ''",
                message="write subPath or subPathExpr, not both",
            ),
            Rule(
                cel="!has(self.recursiveReadOnly) || self.recursiveReadOnly == 'Disabled'"
                " || (has(self.readOnly) && self.readOnly && (!has(self.mountPropagation)"
                " || self.mountPropagation == 'None'))",
                message="recursiveReadOnly needs readOnly: true and no mountPropagation",
            ),
        ),
    ),
    f"{CORE}.Container": Overlay(
        drop=LEFT_OUT_FIELDS["Container"],
        require=("image",),
        fields={
            "name": Overlay(
                keywords={"maxLength": 63},
                rules=(
                    Rule(
                        cel=f"self.matches('{limits.dns_label['pattern']}')",
                        message="a container's name has small letters, digits and '-' inside",
                    ),
                    Rule(
                        cel=f"self != '{CONTAINER_NAME}'",
                        message=f"{CONTAINER_NAME} is the name of the app's container:"
                        " choose another one",
                    ),
                ),
            ),
            "image": Overlay(keywords={"maxLength": 512}, rules=(IMAGE_REFERENCE,)),
            "imagePullPolicy": PULL_POLICY,
            "terminationMessagePolicy": one_of("File", "FallbackToLogsOnError"),
            "command": max_items(256),
            "args": max_items(256),
            "env": max_items(256),
            "envFrom": max_items(32),
            "volumeMounts": max_items(48),
            "ports": Overlay(
                keywords=max_items(16),
                rules=(
                    Rule(
                        cel="self.all(p, !has(p.name)"
                        " || self.exists_one(q, has(q.name) && q.name == p.name))",
                        message="each port has its own name",
                    ),
                ),
            ),
            "livenessProbe": LIVENESS_OR_STARTUP_PROBE,
            "startupProbe": LIVENESS_OR_STARTUP_PROBE,
            "readinessProbe": READINESS_PROBE,
            "resizePolicy": max_items(
                2,
                **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["resourceName"]},
            ),
        },
        rules=(BIDIRECTIONAL_NEEDS_PRIVILEGED,),
    ),
}

NATIVE_SIDECAR_FIELDS: Final = Rule(
    cel="has(self.restartPolicy) || !(has(self.lifecycle) || has(self.livenessProbe)"
    " || has(self.readinessProbe) || has(self.startupProbe) || has(self.resizePolicy))",
    message="an init container completes before a probe or hook could run, or a resize:"
    " remove them, or write restartPolicy: Always for a native sidecar, which runs beside the app",
)
SIDECAR_RESTART_POLICY: Final = Rule(
    cel="!has(self.restartPolicy)",
    message="a sidecar has the pod's restart policy: remove restartPolicy; one that must run"
    " before the app is an init container with restartPolicy: Always",
    field_path=".restartPolicy",
    reason="FieldValueForbidden",
)

VARIANTS: Final = {
    "init": Overlay(
        keywords=max_items(8),
        items=Overlay(
            fields={"restartPolicy": one_of("Always")},
            rules=(NATIVE_SIDECAR_FIELDS,),
        ),
    ),
    "sidecar": Overlay(keywords=max_items(8), items=Overlay(rules=(SIDECAR_RESTART_POLICY,))),
}
