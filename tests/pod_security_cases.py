"""Pod specs with what the Pod Security Standards refuse in them.

The unit tests evaluate them with the operator's own checks; the integration tests create the pods
on a real API server, and must get the same verdict.
"""

from dataclasses import dataclass
from typing import Any

from selfhealing.health.pod_security import PodSecurityLevel
from selfhealing.health.pod_security_checks import Control

Json = dict[str, Any]

CONFINED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The security context of a container that meets the level restricted."""


@dataclass(frozen=True)
class PodSecurityCase:
    """A pod spec, and the controls that it does not meet.

    Attributes:
        name: what is special about the pod.
        spec: the pod spec.
        baseline: the controls of the level baseline that it does not meet.
        restricted: the same for the level restricted.
    """

    name: str
    spec: Json
    baseline: frozenset[Control] = frozenset()
    restricted: frozenset[Control] = frozenset()

    def controls(self, level: PodSecurityLevel) -> frozenset[Control]:
        """The controls of a level that the pod does not meet."""
        return self.baseline if level is PodSecurityLevel.BASELINE else self.restricted


def make_pod_spec(
    context: Json | None = None,
    pod: Json | None = None,
    other: Json | None = None,
    fields: Json | None = None,
    **spec: Any,  # noqa: ANN401 - fields of a pod spec
) -> Json:
    """A pod spec that meets the level restricted, but for what is given.

    Args:
        context: added to the security context of the container; None removes a field.
        pod: the security context of the pod.
        other: added to the security context of a second container, which is there only then.
        fields: further fields of the container.
        spec: further fields of the pod spec.
    """
    containers = [_make_container("app", context or {}) | (fields or {})]
    if other is not None:
        containers.append(_make_container("proxy", other))
    return {"containers": containers, **({"securityContext": pod} if pod else {}), **spec}


def _make_container(name: str, context: Json) -> Json:
    merged = {key: value for key, value in (CONFINED | context).items() if value is not None}
    return {"name": name, "image": "demo:v1", "securityContext": merged}


def _case(name: str, spec: Json, *, both: str = "", **controls: str) -> PodSecurityCase:
    """Name the controls by their members: of both levels, of baseline, of restricted."""
    return PodSecurityCase(
        name,
        spec,
        frozenset(Control[each] for each in (both + " " + controls.get("baseline", "")).split()),
        frozenset(Control[each] for each in (both + " " + controls.get("restricted", "")).split()),
    )


def _volume(source: str, **fields: Any) -> list[Json]:  # noqa: ANN401 - a volume source
    return [{"name": "data", source: fields}]


_HTTP = {"path": "/", "port": 80}

CASES = (
    _case("confined", make_pod_spec()),
    _case(
        "confined by the pod",
        make_pod_spec(
            {"runAsNonRoot": None, "seccompProfile": None},
            pod={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        ),
    ),
    _case(
        "nothing said",
        {"containers": [{"name": "app", "image": "demo:v1"}]},
        restricted="PRIVILEGE_ESCALATION RUN_AS_NON_ROOT SECCOMP_PROFILE DROPPED_CAPABILITIES",
    ),
    _case("host network", make_pod_spec(hostNetwork=True), both="HOST_NAMESPACES"),
    _case("host PIDs", make_pod_spec(hostPID=True), both="HOST_NAMESPACES"),
    _case("host IPC", make_pod_spec(hostIPC=True), both="HOST_NAMESPACES"),
    _case(
        "privileged",
        make_pod_spec({"privileged": True, "allowPrivilegeEscalation": True}),
        both="PRIVILEGED",
        restricted="PRIVILEGE_ESCALATION",
    ),
    _case("not privileged", make_pod_spec({"privileged": False})),
    _case(
        "a capability of baseline",
        make_pod_spec({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
        restricted="DROPPED_CAPABILITIES",
    ),
    _case(
        "a capability of none",
        make_pod_spec({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}),
        baseline="ADDED_CAPABILITIES",
        restricted="DROPPED_CAPABILITIES",
    ),
    _case(
        "a capability of both",
        make_pod_spec({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
    ),
    _case(
        "capabilities dropped one by one",
        make_pod_spec({"capabilities": {"drop": ["NET_RAW"]}}),
        restricted="DROPPED_CAPABILITIES",
    ),
    _case(
        "a second container without capabilities",
        make_pod_spec(other={"capabilities": None}),
        restricted="DROPPED_CAPABILITIES",
    ),
    _case(
        "hostPath",
        make_pod_spec(volumes=_volume("hostPath", path="/")),
        baseline="HOST_PATH_VOLUMES",
        restricted="VOLUME_TYPES",
    ),
    _case(
        "nfs",
        make_pod_spec(volumes=_volume("nfs", server="files.example", path="/")),
        restricted="VOLUME_TYPES",
    ),
    _case("emptyDir", make_pod_spec(volumes=_volume("emptyDir"))),
    _case("an image", make_pod_spec(volumes=_volume("image", reference="data:v1"))),
    _case("a Secret", make_pod_spec(volumes=_volume("secret", secretName="x"))),
    _case(
        "a host port",
        make_pod_spec(fields={"ports": [{"containerPort": 80, "hostPort": 80}]}),
        both="HOST_PORTS",
    ),
    _case("a container port", make_pod_spec(fields={"ports": [{"containerPort": 80}]})),
    _case(
        "AppArmor off",
        make_pod_spec({"appArmorProfile": {"type": "Unconfined"}}),
        both="APP_ARMOR",
    ),
    _case(
        "AppArmor off for the pod",
        make_pod_spec(pod={"appArmorProfile": {"type": "Unconfined"}}),
        both="APP_ARMOR",
    ),
    _case("AppArmor", make_pod_spec({"appArmorProfile": {"type": "RuntimeDefault"}})),
    _case("an SELinux type", make_pod_spec({"seLinuxOptions": {"type": "spc_t"}}), both="SELINUX"),
    _case("an SELinux user", make_pod_spec({"seLinuxOptions": {"user": "root"}}), both="SELINUX"),
    _case("an SELinux role", make_pod_spec(pod={"seLinuxOptions": {"role": "r"}}), both="SELINUX"),
    _case(
        "an SELinux type for containers",
        make_pod_spec({"seLinuxOptions": {"type": "container_engine_t", "level": "s0"}}),
    ),
    _case(
        "unmasked /proc",
        make_pod_spec({"procMount": "Unmasked"}, hostUsers=False),
        restricted="PROC_MOUNT",
    ),
    _case("masked /proc", make_pod_spec({"procMount": "Default"})),
    _case(
        "seccomp off",
        make_pod_spec({"seccompProfile": {"type": "Unconfined"}}),
        baseline="UNCONFINED_SECCOMP",
        restricted="SECCOMP_PROFILE",
    ),
    _case(
        "seccomp off for the pod",
        make_pod_spec(pod={"seccompProfile": {"type": "Unconfined"}}),
        baseline="UNCONFINED_SECCOMP",
        restricted="SECCOMP_PROFILE",
    ),
    _case(
        "a seccomp profile of the node",
        make_pod_spec({"seccompProfile": {"type": "Localhost", "localhostProfile": "audit.json"}}),
    ),
    _case(
        "an unsafe sysctl",
        make_pod_spec(pod={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}),
        both="SYSCTLS",
    ),
    _case(
        "a safe sysctl",
        make_pod_spec(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "4096 1 2"}]}),
    ),
    _case(
        "a probe of another host",
        make_pod_spec(fields={"livenessProbe": {"httpGet": _HTTP | {"host": "10.0.0.1"}}}),
        both="PROBE_HOSTS",
    ),
    _case(
        "a connection to another host",
        make_pod_spec(fields={"startupProbe": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}}),
        both="PROBE_HOSTS",
    ),
    _case(
        "a hook of another host",
        make_pod_spec(fields={"lifecycle": {"preStop": {"httpGet": _HTTP | {"host": "10.0.0.1"}}}}),
        both="PROBE_HOSTS",
    ),
    _case(
        "probes and hooks of the pod",
        make_pod_spec(
            fields={
                "readinessProbe": {"httpGet": _HTTP},
                "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
            }
        ),
    ),
    _case(
        "escalation not excluded",
        make_pod_spec({"allowPrivilegeEscalation": None}),
        restricted="PRIVILEGE_ESCALATION",
    ),
    _case(
        "root not excluded",
        make_pod_spec({"runAsNonRoot": None}),
        restricted="RUN_AS_NON_ROOT",
    ),
    _case(
        "root allowed for the pod",
        make_pod_spec(pod={"runAsNonRoot": False}),
        restricted="RUN_AS_NON_ROOT",
    ),
    _case(
        "root allowed for one container",
        make_pod_spec(pod={"runAsNonRoot": True}, other={"runAsNonRoot": False}),
        restricted="RUN_AS_NON_ROOT",
    ),
    _case(
        "root by number",
        make_pod_spec({"runAsUser": 0, "runAsNonRoot": None}),
        restricted="RUN_AS_USER RUN_AS_NON_ROOT",
    ),
    _case(
        "root by number for the pod", make_pod_spec(pod={"runAsUser": 0}), restricted="RUN_AS_USER"
    ),
    _case("a user", make_pod_spec({"runAsUser": 1000})),
    _case(
        "root of a user namespace",
        make_pod_spec({"runAsUser": 0, "runAsNonRoot": None}, hostUsers=False),
    ),
    _case(
        "an init container",
        make_pod_spec(initContainers=[{"name": "prepare", "image": "demo:v1"}]),
        restricted="PRIVILEGE_ESCALATION RUN_AS_NON_ROOT SECCOMP_PROFILE DROPPED_CAPABILITIES",
    ),
)
"""At least one pod that violates each control that Linux pods can, and one that meets it."""
