"""Checks the saved pod template of a stable revision before it runs instead of the spec.

Whoever may write ControllerRevisions and the status may put any template there. It is used only if
it is the template whose hash the status names, has only the fields that the operator renders, and
gives its pods no privilege that the pods of the present spec do not have
(docs/adr/0020-kept-templates.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.render.overrides import get_limits, template_digest, template_revision

Json = Mapping[str, Any]

_TEMPLATE_FIELDS: Final = frozenset({"metadata", "spec"})
_METADATA_FIELDS: Final = frozenset({"labels", "annotations"})
_ANNOTATIONS: Final = frozenset({names.ANNOTATION_CONFIG_HASH})
_OPERATOR_LABELS: Final = ("app", names.LABEL_MANAGED_BY)
_POD_FIELDS: Final = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "hostAliases",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "imagePullSecrets",
        "initContainers",
        "nodeSelector",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "runtimeClassName",
        "schedulerName",
        "securityContext",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
    }
)
"""What ``render.pod`` renders for a Deployment: among others no nodeName."""

_HOST_NAMESPACES: Final = {
    "hostNetwork": "the network of the node",
    "hostPID": "the processes of the node",
    "hostIPC": "the shared memory of the node",
    "shareProcessNamespace": "the processes of the other containers",
}
"""Fields of a pod that give it something while they are true."""

_OWN_VOLUMES: Final = frozenset({"name", "configMap", "downwardAPI", "emptyDir", "hostPath"})
"""Fields of a volume that give the pods no data of others; host paths are told by themselves."""

_MAX_SHOWN: Final = 3
"""Privileges that a message names."""


@dataclass(frozen=True, slots=True)
class SavedRevision:
    """What is saved of a stable revision.

    Attributes:
        template: the pod template of the spec, without overrides: its hash is the revision.
        memory_limits: the memory limits that it was found to need, by container; those of the
            template for the others.
    """

    template: Mapping[str, Any]
    memory_limits: Mapping[str, str] = field(default_factory=dict)


def find_template_fault(saved: Json, revision: str, present: Json, digest: str = "") -> str:
    """Return why a saved template must not run; empty if it may.

    Args:
        saved: the saved template, which may have any content.
        revision: the revision that it is said to be.
        present: the template that the spec asks for now.
        digest: the whole hash of the template, as the status has it; empty if it has none. Then
            somebody may have found another template with the digits of the revision, which gets
            no Secret and no volume that the spec does not name now.
    """
    try:
        if (template_digest(saved) if digest else template_revision(saved)) != (digest or revision):
            return "its content is not the one that was saved"
        unknown = _find_unknown_field(saved, present)
        get_limits(saved)  # raises what a template never has
        added = sorted(_list_granted(saved, digest) - _list_granted(present, digest))
    except (AttributeError, KeyError, TypeError, ValueError):
        return "it is not a pod template"
    if unknown:
        return f"it has a field that the operator does not render: {unknown}"
    if added:
        return f"the spec no longer asks for {', '.join(added[:_MAX_SHOWN])}"
    return ""


def _list_granted(template: Json, digest: str) -> set[str]:
    """List what the pods of a template get and the present spec must ask for, too."""
    return {*_privileges(template), *(() if digest else _sources(template["spec"]))}


def _find_unknown_field(saved: Json, present: Json) -> str:
    """Return the first part of a template that is never rendered; empty if there is none."""
    metadata, spec = saved["metadata"], saved["spec"]
    for fields, known in (
        (saved, _TEMPLATE_FIELDS),
        (metadata, _METADATA_FIELDS),
        (dict.fromkeys(filter(_is_own, metadata.get("annotations") or ())), _ANNOTATIONS),
        (spec, _POD_FIELDS),
    ):
        if unknown := sorted(fields.keys() - known):
            return str(unknown[0])[:64]
    if _own_labels(metadata["labels"]) != _own_labels(present["metadata"]["labels"]):
        return "other labels"
    is_ours = any(container["name"] == names.CONTAINER_NAME for container in spec["containers"])
    return "" if is_ours else "no container of the app"


def _is_own(key: str) -> bool:
    """Whether a label or annotation is one of those that the spec cannot have."""
    return key.startswith(f"{names.GROUP}/")


def _own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels by which the operator and a NetworkPolicy know the pods."""
    is_given = names.LABEL_NAME in labels
    return {
        key: labels[key]
        for key in labels
        if _is_own(key) or (key in _OPERATOR_LABELS and not (key == "app" and is_given))
    }


def _privileges(template: Json) -> Iterator[str]:
    """What the pods of a template are granted beyond a plain one, each in a few words.

    The Pod Security Standards name most of them. What a plain template gets by Kubernetes' defaults
    is no privilege here: a rollback has to undo a hardening that an app does not stand.
    """
    metadata, spec = template["metadata"], template["spec"]
    yield from _metadata_privileges(metadata)
    context: Json = spec.get("securityContext") or {}
    if account := spec.get("serviceAccountName"):
        yield f"the service account {_shorten(account)}"
    if priority := spec.get("priorityClassName"):
        yield f"the priority class {_shorten(priority)}"
    if runtime := spec.get("runtimeClassName"):
        yield f"the runtime class {_shorten(runtime)}"
    yield from (given for field, given in _HOST_NAMESPACES.items() if spec.get(field))
    for claim in spec.get("resourceClaims") or ():
        yield f"the resource claim {_shorten(claim)}"
    for toleration in spec.get("tolerations") or ():
        yield f"the toleration {_shorten(toleration)}"
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            yield f"the host path {_shorten(volume['hostPath']['path'])}"
    yield from _pod_context_privileges(context)
    yield from _context_privileges(context)
    containers: Sequence[Json] = (*spec["containers"], *(spec.get("initContainers") or ()))
    for container in containers:
        own: Json = container.get("securityContext") or {}
        yield from _context_privileges(own)
        yield from _container_privileges(own)
        ports: Sequence[Json] = container.get("ports") or ()
        yield from (f"the host port {port['hostPort']}" for port in ports if "hostPort" in port)


def _sources(spec: Json) -> Iterator[str]:
    """The Secrets and the volumes with data of others that the pods read, each in a few words."""
    for entry in spec.get("imagePullSecrets") or ():
        yield _name_secret(entry["name"])
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        for entry in container.get("envFrom") or ():
            if "secretRef" in entry:
                yield _name_secret(entry["secretRef"]["name"])
        for variable in container.get("env") or ():
            if key := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield _name_secret(key["name"])
    for volume in spec.get("volumes") or ():
        if projected := volume.get("projected"):
            for source in projected.get("sources") or ():
                yield from _name_volume_sources(source)
        else:
            yield from _name_volume_sources(volume)


def _name_volume_sources(volume: Json) -> Iterator[str]:
    """Name the sources of a volume, or of a part of a projected one."""
    for kind, source in volume.items():
        if kind == "secret":
            yield _name_secret(source.get("secretName") or source.get("name"))
        elif kind == "persistentVolumeClaim":
            yield f"the claim {_shorten(source['claimName'])}"
        elif kind not in _OWN_VOLUMES:
            yield f"the volume source {_shorten(kind)} {_shorten(source)}"


def _name_secret(name: object) -> str:
    return f"the Secret {_shorten(name)}"


def _metadata_privileges(metadata: Json) -> Iterator[str]:
    """Labels and annotations of the spec: the former select pods, the latter may be rights.

    Those for Prometheus are none: they only say where the metrics are.
    """
    for kind, field_name in (("label", "labels"), ("annotation", "annotations")):
        for key in metadata.get(field_name) or ():
            if not _is_own(key) and key not in names.SCRAPE_ANNOTATIONS:
                yield f"the {kind} {_shorten(key)}"


def _pod_context_privileges(context: Json) -> Iterator[str]:
    for sysctl in context.get("sysctls") or ():
        yield f"the sysctl {_shorten(sysctl)}"
    if groups := context.get("supplementalGroups"):
        yield f"the groups {_shorten(groups)}"
    if context.get("fsGroup") == 0:
        yield "the group root of volumes"


def _context_privileges(context: Json) -> Iterator[str]:
    """The privileges of a security context, which the pod's and a container's have in common."""
    if context.get("runAsUser") == 0:
        yield "the user root"
    if context.get("runAsGroup") == 0:
        yield "the group root"
    for name in ("seccompProfile", "appArmorProfile"):
        profile: Json = context.get(name) or {}
        if profile.get("type") not in {None, "RuntimeDefault"}:
            yield f"the {name} {_shorten(profile)}"
    if options := context.get("seLinuxOptions"):
        yield f"the SELinux options {_shorten(options)}"
    if options := context.get("windowsOptions"):
        yield f"the Windows options {_shorten(options)}"


def _container_privileges(context: Json) -> Iterator[str]:
    if context.get("privileged"):
        yield "a privileged container"
    if context.get("allowPrivilegeEscalation"):
        yield "privilege escalation"
    if context.get("procMount") not in {None, "Default"}:
        yield "an unmasked /proc"
    for capability in (context.get("capabilities") or {}).get("add") or ():
        yield f"the capability {_shorten(capability)}"


def _shorten(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode().strip('"')[:128]
