"""The ValidatingAdmissionPolicy that warns of what is valid in the spec and rarely meant."""

from collections.abc import Iterator
from typing import Any, Final

from selfhealing.cli.admission_policies import (
    SPEC_CHANGES,
    PolicyScope,
    app_constraints,
    build_policy,
    served_namespaces,
)

Json = dict[str, Any]

_VARIABLES: Final = {
    # dyn: an absent field has no type that could be compared.
    "spec": "dyn(object.spec)",
    "usesHostPorts": "variables.spec.?hostNetwork.orValue(false)"
    " || variables.spec.?ports.orValue([]).exists(port, 'hostPort' in port)",
    "usesClaims": "variables.spec.?volumes.orValue([]).exists(volume,"
    " 'persistentVolumeClaim' in volume"
    " && !volume.persistentVolumeClaim.?readOnly.orValue(false))",
    "maxPods": "variables.spec.?autoscaling.?maxReplicas.orValue("
    "variables.spec.?replicas.orValue(1))",
    "isDeployment": "variables.spec.?restartPolicy.orValue('Always') == 'Always'",
}

# Written out, as a variable does not keep an optional value.
_STRATEGY: Final = "variables.spec.?rollout.?strategy"

_REPLACES_IN_PLACE: Final = (
    f"{_STRATEGY}.?type.orValue('') == 'Recreate'"
    f" || {_STRATEGY}.?rollingUpdate.?maxSurge.orValue('25%') in [dyn(0), dyn('0%')]"
)
"""CEL: a pod stops before its replacement starts. 25% is Kubernetes' default."""

HOST_PORTS: Final = {
    "expression": f"!variables.isDeployment || !variables.usesHostPorts || {_REPLACES_IN_PLACE}",
    "message": "a port of the node (hostPort, hostNetwork) is for one pod: the pods of a new"
    " version wait for nodes without a pod of this app; where there are none, write"
    " rollout.strategy.rollingUpdate.maxSurge: 0, or remove hostPort and hostNetwork",
}

CLAIMS: Final = {
    "expression": "!variables.isDeployment || !variables.usesClaims"
    f" || (variables.maxPods <= 1 && ({_REPLACES_IN_PLACE}))",
    "message": "a ReadWriteOnce claim is mounted on one node at a time: a pod on another node"
    " waits, also one of a new version; unless the claim is ReadWriteMany, write one pod at most"
    " (replicas, autoscaling.maxReplicas) and rollout.strategy.type: Recreate",
}
"""The access modes of the claim are not in the spec, so the message has the condition."""


def build_spec_warnings(scope: PolicyScope) -> Iterator[Json]:
    """Yield the policy with its binding to the namespaces that the operator serves."""
    spec = {
        # A warning that cannot be evaluated must not keep anybody from applying an app.
        "failurePolicy": "Ignore",
        "matchConstraints": app_constraints(),
        "matchConditions": [SPEC_CHANGES],
        "variables": [
            {"name": name, "expression": expression} for name, expression in _VARIABLES.items()
        ],
        "validations": [HOST_PORTS, CLAIMS],
    }
    yield from build_policy(scope, "spec-warnings", spec, served_namespaces(scope), action="Warn")
