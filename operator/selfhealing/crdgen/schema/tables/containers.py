"""Containers: the main one's fields, init containers and sidecars."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.limits import RESOURCE_DOMAIN_PATTERN, at_most, one_of
from selfhealing.api.names import CONTAINER_NAME
from selfhealing.api.rules import BIDIRECTIONAL, IMAGE
from selfhealing.crdgen.schema.overlay import Overlay
from selfhealing.crdgen.schema.tables.meta import CORE
from selfhealing.crdgen.schema.tables.probes import ALIVE, READY

PULL_POLICY: Final = one_of("Always", "IfNotPresent", "Never")

_QUANTITY_OF = "(type({0}) == int ? double({0}) : quantity({0}).asApproximateFloat())"
_REQUEST = _QUANTITY_OF.format("self.requests[name]")
_LIMIT = _QUANTITY_OF.format("self.limits[name]")
_TOO_HIGH = f"name in self.limits && {_REQUEST} > {_LIMIT} * 1.000001"
_WHOLE_PAGES = (
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
BYTES: Final = Rule(
    cel="['memory', 'ephemeral-storage'].all(name, !(name in self) || type(self[name]) == int"
    " || !self[name].endsWith('m'))",
    message="m is a thousandth of a byte here: write Mi for mebibytes, such as 128Mi",
)
WHOLE_DEVICES: Final = Rule(
    cel="self.all(name, !name.contains('/') || type(self[name]) == int"
    " || (isQuantity(self[name]) && quantity(self[name]).isInteger()))",
    message="a device is counted in whole numbers",
)
WHOLE_PAGES: Final = Rule(
    cel=f"self.all(name, !name.startsWith('hugepages-') || {_WHOLE_PAGES.format('self')})",
    message="huge pages are a whole multiple of their size, such as hugepages-2Mi: 64Mi",
)
RESOURCES: Final = Overlay(
    keywords={"maxProperties": 8}, rules=(RESOURCE_NAMES, BYTES, WHOLE_DEVICES, WHOLE_PAGES)
)

OVERLAYS: Final = {
    f"{CORE}.ResourceRequirements": Overlay(
        drop=("claims",),  # they name entries of the pod's resourceClaims, which is not offered
        fields={"requests": RESOURCES, "limits": RESOURCES},
        rules=(
            Rule(
                cel="!has(self.requests) || !has(self.limits)"
                f" || !self.requests.exists(name, {_TOO_HIGH})",
                message="a request is at most its limit: lower the request or raise the limit",
                path=".requests",
            ),
            Rule(
                cel="!has(self.requests) || self.requests.all(name,"
                " !(name.contains('/') || name.startsWith('hugepages-'))"
                f" || (has(self.limits) && name in self.limits && {_REQUEST} == {_LIMIT}))",
                message="devices and huge pages cannot be overcommitted:"
                " give them under limits, with the same value",
                path=".requests",
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
        # A pod with a host port keeps its own replacement from its node.
        drop=("hostIP", "hostPort"),
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
            "subPath": limits.path_below,
            "subPathExpr": limits.path_below,
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
        drop=(
            "restartPolicyRules",  # behind a feature gate
            "volumeDevices",  # raw block devices
        ),
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
                        message=f"{CONTAINER_NAME} is the name of the main container:"
                        " choose another one",
                    ),
                ),
            ),
            "image": Overlay(keywords={"maxLength": 512}, rules=(IMAGE,)),
            "imagePullPolicy": PULL_POLICY,
            "terminationMessagePolicy": one_of("File", "FallbackToLogsOnError"),
            "env": at_most(256),
            "envFrom": at_most(32),
            "volumeMounts": at_most(48),
            "ports": Overlay(
                keywords=at_most(16),
                rules=(
                    Rule(
                        cel="self.all(p, !has(p.name)"
                        " || self.exists_one(q, has(q.name) && q.name == p.name))",
                        message="each port has its own name",
                    ),
                ),
            ),
            "livenessProbe": ALIVE,
            "startupProbe": ALIVE,
            "readinessProbe": READY,
            "resizePolicy": at_most(
                2,
                **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["resourceName"]},
            ),
        },
        rules=(BIDIRECTIONAL,),
    ),
    f"{CORE}.PodSpec": Overlay(
        fields={
            "imagePullSecrets": at_most(16),
            "tolerations": at_most(32),
            "topologySpreadConstraints": at_most(8),
            "volumes": at_most(32),
        }
    ),
}

ENDS: Final = Rule(
    cel="!has(self.restartPolicy)",
    message="an init container runs to its end: write one that keeps running under sidecars",
    path=".restartPolicy",
    reason="FieldValueForbidden",
)
RUNS: Final = Rule(
    cel="!has(self.restartPolicy)",
    message="a sidecar restarts as the pod does: remove restartPolicy",
    path=".restartPolicy",
    reason="FieldValueForbidden",
)

VARIANTS: Final = {
    "init": Overlay(
        keywords=at_most(8),
        items=Overlay(
            # They end before anything could be asked of them.
            drop=("lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "resizePolicy"),
            rules=(ENDS,),
        ),
    ),
    "sidecar": Overlay(keywords=at_most(8), items=Overlay(rules=(RUNS,))),
}
