"""Evaluates a pod template against the level of the Pod Security Standards of its namespace.

A namespace with the label ``pod-security.kubernetes.io/enforce`` refuses pods, not the Deployment
that asks for them. The template is evaluated here so that the status names what is missing. A
namespace that pins an older version of the standards (``enforce-version``) may refuse less.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from selfhealing.health.pod_security_checks import (
    BASELINE_CAPABILITIES,
    BASELINE_CHECKS,
    OVERRIDDEN,
    RESTRICTED_CAPABILITIES,
    RESTRICTED_CHECKS,
    RESTRICTED_VOLUMES,
    SAFE_SYSCTLS,
    SELINUX_TYPES,
    Control,
    PodSpecReader,
)

Json = Mapping[str, Any]

ENFORCE_LABEL: Final = "pod-security.kubernetes.io/enforce"
"""The label of a namespace that names the level which its pods must meet."""


class PodSecurityLevel(StrEnum):
    """A level of the standards that refuses pods; the third level, privileged, refuses none."""

    BASELINE = "baseline"
    RESTRICTED = "restricted"


ADVICE: Final[Mapping[Control, str]] = {
    Control.HOST_NAMESPACES: "remove hostNetwork, hostPID and hostIPC",
    Control.HOST_PROCESS: "remove windowsOptions.hostProcess",
    Control.PRIVILEGED: "remove securityContext.privileged",
    Control.ADDED_CAPABILITIES: "write in securityContext.capabilities.add only "
    f"{', '.join(BASELINE_CAPABILITIES)}",
    Control.HOST_PATH_VOLUMES: "replace the hostPath volumes, for example by emptyDir or "
    "persistentVolumeClaim",
    Control.HOST_PORTS: "remove hostPort",
    Control.APP_ARMOR: "write appArmorProfile.type: RuntimeDefault, or remove appArmorProfile",
    Control.SELINUX: "write in seLinuxOptions only level, and a type of "
    f"{', '.join(SELINUX_TYPES[1:])}",
    Control.PROC_MOUNT: "remove procMount",
    Control.UNCONFINED_SECCOMP: "write seccompProfile.type: RuntimeDefault, or remove "
    "seccompProfile",
    Control.SYSCTLS: f"write in podSecurityContext.sysctls only {', '.join(SAFE_SYSCTLS)}",
    Control.PROBE_HOSTS: "remove host from the probes and lifecycle hooks",
    Control.VOLUME_TYPES: f"use only volumes of {', '.join(RESTRICTED_VOLUMES)}",
    Control.PRIVILEGE_ESCALATION: "write securityContext.allowPrivilegeEscalation: false",
    Control.RUN_AS_NON_ROOT: "write podSecurityContext.runAsNonRoot: true, and nowhere false",
    Control.RUN_AS_USER: "write no runAsUser: 0",
    Control.SECCOMP_PROFILE: "write podSecurityContext.seccompProfile.type: RuntimeDefault",
    Control.DROPPED_CAPABILITIES: "write securityContext.capabilities.drop: [ALL], and under add "
    f"only {', '.join(RESTRICTED_CAPABILITIES)}",
}
"""What to write in the spec of a SelfHealingApp to meet a control."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A control that a pod template does not meet.

    Attributes:
        control: the control.
        containers: the names of the containers that do not meet it; empty where it is the pod.
    """

    control: Control
    containers: tuple[str, ...] = ()


def parse_enforced_level(labels: Mapping[str, str]) -> PodSecurityLevel | None:
    """Return the level that a namespace with these labels enforces; None if no pod is refused.

    The API server treats a value that it does not know as restricted (PolicyToEvaluate in
    staging/src/k8s.io/pod-security-admission/api/helpers.go).
    """
    value = labels.get(ENFORCE_LABEL, "privileged")
    if value == "privileged":
        return None
    return PodSecurityLevel.BASELINE if value == "baseline" else PodSecurityLevel.RESTRICTED


def find_violations(template: Json, level: PodSecurityLevel) -> tuple[Violation, ...]:
    """Return the controls of ``level`` that the pods of a template would not meet.

    Args:
        template: a core/v1 PodTemplateSpec.
        level: the level that the namespace enforces.
    """
    checks = dict(BASELINE_CHECKS)
    if level is PodSecurityLevel.RESTRICTED:
        checks = {control: checks[control] for control in checks if control not in OVERRIDDEN}
        checks |= RESTRICTED_CHECKS
    pod = PodSpecReader.from_template(template)
    found = {control: tuple(check(pod)) for control, check in checks.items()}
    return tuple(
        Violation(control, tuple(name for name in places if name))
        for control, places in found.items()
        if places
    )


def describe_violations(level: PodSecurityLevel, violations: tuple[Violation, ...]) -> str:
    """Return a sentence that names the level, and what to write to meet it."""
    advice = "; ".join(_describe_violation(violation) for violation in violations)
    return (
        f"the namespace enforces the Pod Security Standard {level} and refuses the pods: {advice}"
    )


def _describe_violation(violation: Violation) -> str:
    containers = f" (containers: {', '.join(violation.containers)})" if violation.containers else ""
    return f"{ADVICE[violation.control]}{containers}"
