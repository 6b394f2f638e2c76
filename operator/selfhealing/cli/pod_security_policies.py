"""The ValidatingAdmissionPolicies that warn of pods which the namespace would refuse.

Pod Security Admission warns who applies a Deployment, but does not know SelfHealingApps. These
policies warn who applies one, with the words that the status uses (health/pod_security.py). They
evaluate the fields that the spec of an app has.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from selfhealing.cli.admission_policies import (
    SPEC_CHANGES,
    PolicyScope,
    app_constraints,
    build_policy,
    namespace_is_one_of,
)
from selfhealing.health.pod_security import ADVICE, ENFORCE_LABEL, PodSecurityLevel
from selfhealing.health.pod_security_checks import (
    BASELINE_CAPABILITIES,
    CONFINED_PROFILES,
    RESTRICTED_CAPABILITIES,
    RESTRICTED_VOLUMES,
    SAFE_SYSCTLS,
    SELINUX_TYPES,
    Control,
)

Json = dict[str, Any]

Expressions = Mapping[Control, str]
"""By control, the CEL that is true for a spec that meets it."""


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(repr(value) for value in values)}]"


# Written out, as a variable does not keep an optional value.
_POD: Final = "variables.spec.?podSecurityContext"

_VARIABLES: Final = {
    # dyn: the containers have different types in the schema.
    "spec": "dyn(object.spec)",
    "others": "variables.spec.?sidecars.orValue([]) + variables.spec.?initContainers.orValue([])",
    "containers": "[variables.spec.?securityContext] + variables.others.map(c, c.?securityContext)",
    "contexts": f"[{_POD}] + variables.containers",
    "handlers": "['liveness', 'readiness', 'startup'].map(p, variables.spec.?probes[?p])"
    " + ['postStart', 'preStop'].map(h, variables.spec.?lifecycle[?h])"
    " + variables.others.map(c, c.?livenessProbe) + variables.others.map(c, c.?readinessProbe)"
    " + variables.others.map(c, c.?startupProbe) + variables.others.map(c, c.?lifecycle.?postStart)"
    " + variables.others.map(c, c.?lifecycle.?preStop)",
    "volumes": "variables.spec.?volumes.orValue([])",
    "hasUserNamespace": "variables.spec.?hostUsers.orValue(true) == false",
}
"""Variables of the expressions. ``containers`` are the security contexts of the containers, to
which ``contexts`` adds that of the pod; ``handlers`` are the probes and hooks. All are optional."""

_CONFINED = _list(CONFINED_PROFILES)
_IS_CONFINED = "c.?{0}.?type.orValue('RuntimeDefault') in " + _CONFINED

BASELINE_EXPRESSIONS: Final[Expressions] = {
    Control.HOST_NAMESPACES: "['hostNetwork', 'hostPID', 'hostIPC'].all(field,"
    " !variables.spec[?field].orValue(false))",
    Control.HOST_PORTS: "variables.spec.?ports.orValue([]).all(port, !('hostPort' in port))",
    Control.PRIVILEGED: "!variables.containers.exists(c, c.?privileged.orValue(false))",
    Control.ADDED_CAPABILITIES: "variables.containers.all(c,"
    f" c.?capabilities.?add.orValue([]).all(name, name in {_list(BASELINE_CAPABILITIES)}))",
    Control.HOST_PATH_VOLUMES: "!variables.volumes.exists(volume, 'hostPath' in volume)",
    Control.APP_ARMOR: f"variables.contexts.all(c, {_IS_CONFINED.format('appArmorProfile')})",
    Control.SELINUX: "variables.contexts.all(c,"
    f" c.?seLinuxOptions.?type.orValue('') in {_list(SELINUX_TYPES)}"
    " && c.?seLinuxOptions.?user.orValue('') == '' && c.?seLinuxOptions.?role.orValue('') == '')",
    Control.UNCONFINED_SECCOMP: "variables.contexts.all(c,"
    f" {_IS_CONFINED.format('seccompProfile')})",
    Control.SYSCTLS: f"{_POD}.?sysctls.orValue([])"
    f".all(sysctl, sysctl.name in {_list(SAFE_SYSCTLS)})",
    Control.PROBE_HOSTS: "variables.handlers.all(h, h.?httpGet.?host.orValue('') == ''"
    " && h.?tcpSocket.?host.orValue('') == '')",
}
RESTRICTED_EXPRESSIONS: Final[Expressions] = {
    Control.VOLUME_TYPES: "variables.volumes.all(volume,"
    f" {_list(RESTRICTED_VOLUMES)}.exists(source, source in volume))",
    Control.PRIVILEGE_ESCALATION: "!variables.containers.exists(c,"
    " c.?allowPrivilegeEscalation.orValue(true))",
    Control.RUN_AS_NON_ROOT: "variables.hasUserNamespace ||"
    f" ({_POD}.?runAsNonRoot.orValue(true) && variables.containers.all(c,"
    f" c.?runAsNonRoot.orValue({_POD}.?runAsNonRoot.orValue(false))))",
    Control.RUN_AS_USER: "variables.hasUserNamespace ||"
    " variables.contexts.all(c, c.?runAsUser.orValue(1) != 0)",
    Control.SECCOMP_PROFILE: f"{_POD}.?seccompProfile.?type.orValue('RuntimeDefault')"
    f" in {_CONFINED} && variables.containers.all(c, c.?seccompProfile.?type.orValue("
    f"{_POD}.?seccompProfile.?type.orValue('')) in {_CONFINED})",
    Control.DROPPED_CAPABILITIES: "variables.containers.all(c,"
    " 'ALL' in c.?capabilities.?drop.orValue([]) && c.?capabilities.?add.orValue([])"
    f".all(name, name in {_list(RESTRICTED_CAPABILITIES)}))",
}


def build_pod_security_policies(scope: PolicyScope) -> Iterator[Json]:
    """Yield one policy for each level, with its binding to the namespaces that enforce it."""
    restricted = [PodSecurityLevel.RESTRICTED]
    yield from _build_level(
        scope, "pod-security-baseline", BASELINE_EXPRESSIONS, list(PodSecurityLevel)
    )
    yield from _build_level(scope, "pod-security-restricted", RESTRICTED_EXPRESSIONS, restricted)


def _build_level(
    scope: PolicyScope, name: str, expressions: Expressions, levels: list[PodSecurityLevel]
) -> Iterator[Json]:
    requirements: list[Json] = [
        {"key": ENFORCE_LABEL, "operator": "In", "values": [str(level) for level in levels]}
    ]
    if scope.namespaces:
        requirements.append(namespace_is_one_of(scope.namespaces))
    yield from build_policy(
        scope, name, _policy_spec(expressions), {"matchExpressions": requirements}, action="Warn"
    )


def _policy_spec(expressions: Expressions) -> Json:
    return {
        # A warning that cannot be evaluated must not keep anybody from applying an app.
        "failurePolicy": "Ignore",
        "matchConstraints": app_constraints(),
        "matchConditions": [SPEC_CHANGES],
        "variables": [
            {"name": name, "expression": expression} for name, expression in _VARIABLES.items()
        ],
        "validations": [
            {
                "expression": expression,
                "message": f"the namespace would refuse the pods: {ADVICE[control]}",
            }
            for control, expression in expressions.items()
        ],
    }
