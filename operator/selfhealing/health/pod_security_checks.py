"""The checks of the Pod Security Standards: one for each control.

The controls are those of Kubernetes 1.36: its documentation, "Pod Security Standards", and the
checks in staging/src/k8s.io/pod-security-admission/policy. They include fields that a
SelfHealingApp does not offer, such as host ports.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

Json = Mapping[str, Any]


class Control(StrEnum):
    """A control of the standards; its value is the field that it restricts."""

    HOST_NAMESPACES = "hostNetwork, hostPID and hostIPC"
    HOST_PROCESS = "windowsOptions.hostProcess"
    PRIVILEGED = "privileged"
    ADDED_CAPABILITIES = "capabilities.add"
    HOST_PATH_VOLUMES = "hostPath"
    HOST_PORTS = "hostPort"
    APP_ARMOR = "appArmorProfile"
    SELINUX = "seLinuxOptions"
    PROC_MOUNT = "procMount"
    UNCONFINED_SECCOMP = "seccompProfile: Unconfined"
    SYSCTLS = "sysctls"
    PROBE_HOSTS = "host of probes and hooks"
    VOLUME_TYPES = "volumes"
    PRIVILEGE_ESCALATION = "allowPrivilegeEscalation"
    RUN_AS_NON_ROOT = "runAsNonRoot"
    RUN_AS_USER = "runAsUser"
    SECCOMP_PROFILE = "seccompProfile"
    DROPPED_CAPABILITIES = "capabilities"


BASELINE_CAPABILITIES: Final = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
RESTRICTED_CAPABILITIES: Final = ("NET_BIND_SERVICE",)
SELINUX_TYPES: Final = (
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
)
SAFE_SYSCTLS: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
RESTRICTED_VOLUMES: Final = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
CONFINED_PROFILES: Final = ("RuntimeDefault", "Localhost")
"""The types of seccomp and AppArmor profiles that confine a container."""


@dataclass(frozen=True)
class PodSpecReader:
    """A pod spec; a part of a wrong type is treated as absent: the API server refuses it anyway."""

    spec: Json

    @classmethod
    def from_template(cls, template: Json) -> "PodSpecReader":
        """Return the reader of the pod spec in a core/v1 PodTemplateSpec."""
        return cls(_mapping(template.get("spec")))

    @cached_property
    def security_context(self) -> Json:
        """The security context of the pod."""
        return _mapping(self.spec.get("securityContext"))

    @cached_property
    def containers(self) -> tuple[tuple[str, Json], ...]:
        """The names and the fields of all containers."""
        return tuple(
            (str(container.get("name", "")) or "?", container)
            for field in ("initContainers", "containers")
            for container in _mappings(self.spec.get(field))
        )

    @cached_property
    def contexts(self) -> tuple[tuple[str, Json], ...]:
        """The names and the security contexts of all containers."""
        return tuple(
            (name, _mapping(container.get("securityContext")))
            for name, container in self.containers
        )

    @property
    def has_user_namespace(self) -> bool:
        """Whether root of the containers is no user of the node."""
        return self.spec.get("hostUsers") is False


Check = Callable[[PodSpecReader], Iterator[str]]
"""Yields the containers that do not meet a control; an empty name stands for the pod."""

POD: Final = ""


def _host_namespaces(pod: PodSpecReader) -> Iterator[str]:
    if any(pod.spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
        yield POD


def _host_process(pod: PodSpecReader) -> Iterator[str]:
    for name, context in ((POD, pod.security_context), *pod.contexts):
        if _mapping(context.get("windowsOptions")).get("hostProcess"):
            yield name


def _privileged(pod: PodSpecReader) -> Iterator[str]:
    return (name for name, context in pod.contexts if context.get("privileged"))


def _added_capabilities(pod: PodSpecReader) -> Iterator[str]:
    return (name for name, context in pod.contexts if _adds_other(context, BASELINE_CAPABILITIES))


def _host_path_volumes(pod: PodSpecReader) -> Iterator[str]:
    if any("hostPath" in volume for volume in _mappings(pod.spec.get("volumes"))):
        yield POD


def _host_ports(pod: PodSpecReader) -> Iterator[str]:
    for name, container in pod.containers:
        if any(port.get("hostPort") for port in _mappings(container.get("ports"))):
            yield name


def _app_armor(pod: PodSpecReader) -> Iterator[str]:
    for name, context in ((POD, pod.security_context), *pod.contexts):
        profile = _profile_type(context, "appArmorProfile")
        if profile is not None and profile not in CONFINED_PROFILES:
            yield name


def _selinux(pod: PodSpecReader) -> Iterator[str]:
    for name, context in ((POD, pod.security_context), *pod.contexts):
        options = _mapping(context.get("seLinuxOptions"))
        if (
            options.get("type", "") not in SELINUX_TYPES
            or options.get("user")
            or options.get("role")
        ):
            yield name


def _baseline_proc_mount(pod: PodSpecReader) -> Iterator[str]:
    return iter(()) if pod.has_user_namespace else _proc_mount(pod)


def _proc_mount(pod: PodSpecReader) -> Iterator[str]:
    return (
        name for name, context in pod.contexts if context.get("procMount", "Default") != "Default"
    )


def _unconfined_seccomp(pod: PodSpecReader) -> Iterator[str]:
    for name, context in ((POD, pod.security_context), *pod.contexts):
        profile = _profile_type(context, "seccompProfile")
        if profile is not None and profile not in CONFINED_PROFILES:
            yield name


def _sysctls(pod: PodSpecReader) -> Iterator[str]:
    sysctls = _mappings(pod.security_context.get("sysctls"))
    if any(sysctl.get("name") not in SAFE_SYSCTLS for sysctl in sysctls):
        yield POD


def _probe_hosts(pod: PodSpecReader) -> Iterator[str]:
    for name, container in pod.containers:
        lifecycle = _mapping(container.get("lifecycle"))
        handlers = [
            *(container.get(f"{probe}Probe") for probe in ("liveness", "readiness", "startup")),
            *(lifecycle.get(hook) for hook in ("postStart", "preStop")),
        ]
        if any(
            _mapping(_mapping(handler).get(request)).get("host")
            for handler in handlers
            for request in ("httpGet", "tcpSocket")
        ):
            yield name


def _volume_types(pod: PodSpecReader) -> Iterator[str]:
    if any(
        not any(source in volume for source in RESTRICTED_VOLUMES)
        for volume in _mappings(pod.spec.get("volumes"))
    ):
        yield POD


def _privilege_escalation(pod: PodSpecReader) -> Iterator[str]:
    return (
        name
        for name, context in pod.contexts
        if context.get("allowPrivilegeEscalation") is not False
    )


def _run_as_non_root(pod: PodSpecReader) -> Iterator[str]:
    if pod.has_user_namespace:
        return
    of_pod = pod.security_context.get("runAsNonRoot")
    if of_pod is False:
        yield POD
    for name, context in pod.contexts:
        of_container = context.get("runAsNonRoot")
        if not (of_pod if of_container is None else of_container):
            yield name


def _run_as_user(pod: PodSpecReader) -> Iterator[str]:
    if pod.has_user_namespace:
        return
    for name, context in ((POD, pod.security_context), *pod.contexts):
        if context.get("runAsUser") == 0:
            yield name


def _seccomp_profile(pod: PodSpecReader) -> Iterator[str]:
    of_pod = _profile_type(pod.security_context, "seccompProfile")
    if of_pod is not None and of_pod not in CONFINED_PROFILES:
        yield POD
    for name, context in pod.contexts:
        of_container = _profile_type(context, "seccompProfile")
        if (of_pod if of_container is None else of_container) not in CONFINED_PROFILES:
            yield name


def _dropped_capabilities(pod: PodSpecReader) -> Iterator[str]:
    for name, context in pod.contexts:
        capabilities = _mapping(context.get("capabilities"))
        drops_all = "ALL" in _values(capabilities.get("drop"))
        if not drops_all or _adds_other(context, RESTRICTED_CAPABILITIES):
            yield name


def _adds_other(context: Json, allowed: tuple[str, ...]) -> bool:
    added = _values(_mapping(context.get("capabilities")).get("add"))
    return any(capability not in allowed for capability in added)


def _profile_type(context: Json, field: str) -> str | None:
    """Return the type of a profile; None if the context has no such profile."""
    profile = context.get(field)
    return str(_mapping(profile).get("type")) if profile is not None else None


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _values(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: object) -> list[Json]:
    return [_mapping(item) for item in _values(value)]


BASELINE_CHECKS: Final[Mapping[Control, Check]] = {
    Control.HOST_NAMESPACES: _host_namespaces,
    Control.HOST_PROCESS: _host_process,
    Control.PRIVILEGED: _privileged,
    Control.ADDED_CAPABILITIES: _added_capabilities,
    Control.HOST_PATH_VOLUMES: _host_path_volumes,
    Control.HOST_PORTS: _host_ports,
    Control.APP_ARMOR: _app_armor,
    Control.SELINUX: _selinux,
    Control.PROC_MOUNT: _baseline_proc_mount,
    Control.UNCONFINED_SECCOMP: _unconfined_seccomp,
    Control.SYSCTLS: _sysctls,
    Control.PROBE_HOSTS: _probe_hosts,
}
RESTRICTED_CHECKS: Final[Mapping[Control, Check]] = {
    Control.PROC_MOUNT: _proc_mount,
    Control.VOLUME_TYPES: _volume_types,
    Control.PRIVILEGE_ESCALATION: _privilege_escalation,
    Control.RUN_AS_NON_ROOT: _run_as_non_root,
    Control.RUN_AS_USER: _run_as_user,
    Control.SECCOMP_PROFILE: _seccomp_profile,
    Control.DROPPED_CAPABILITIES: _dropped_capabilities,
}
OVERRIDDEN: Final = frozenset(
    {
        Control.ADDED_CAPABILITIES,
        Control.HOST_PATH_VOLUMES,
        Control.PROC_MOUNT,
        Control.UNCONFINED_SECCOMP,
    }
)
"""Controls of baseline that a stricter one of restricted takes the place of."""
