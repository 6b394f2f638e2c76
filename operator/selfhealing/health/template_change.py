"""Compares the pod template of a version with the one of the stable revision.

A version can only be the cause of what it changed. Values of environment variables are compared,
but never part of a text: they may be secrets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.config_refs import CONFIG_MAP, SECRET
from selfhealing.api.quantity import parse_quantity
from selfhealing.api.text import join_first
from selfhealing.health.messages import shorten

Json = Mapping[str, Any]

PERSISTENT_VOLUME_CLAIM: Final = "PersistentVolumeClaim"

ADDED: Final = "added"
"""Stands for all fields of a container that the stable revision does not have."""

MAX_IMAGE_LENGTH: Final = 60
"""Characters of an image in a text."""

MAX_NAMES: Final = 3
"""Variables that a text names."""

_CONTAINER_LISTS: Final = ("initContainers", "containers")
_COMPARED_APART: Final = frozenset({*_CONTAINER_LISTS, "volumes"})

_INERT_POD_FIELDS: Final = frozenset(
    {
        "imagePullSecrets",
        "priorityClassName",
        "schedulerName",
        "terminationGracePeriodSeconds",
        "topologySpreadConstraints",
    }
)
"""Fields of a pod that cannot make its containers fail once they run. A node selector can: it may
choose nodes of another kind."""


class Reference(NamedTuple):
    """An object that a pod cannot start without; ``key`` is empty if no key of it is named."""

    kind: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        """Return kind, name and key for a message."""
        return f"{self.kind} {self.name}" if not self.key else f"{self.kind} {self.name}/{self.key}"


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What a version changed in the pod template.

    Attributes:
        containers: by the name of each container that differs, its fields that do; ADDED for a new
            one.
        removed_containers: the containers that only the stable revision has.
        images: by container, the images of the stable and of the new version, if they differ.
        lowered_memory: the containers whose memory limit is new, or lower than that of the stable
            revision.
        variables: by container, the names of the environment variables that differ.
        pod_fields: the fields of the pod that differ, except containers and volumes; its labels
            and annotations are fields of it.
        volumes: the volumes that are new, or differ.
        affected_containers: the containers that differ themselves, read a configuration that has
            changed, mount a volume that differs, or are in a pod whose own fields differ.
        configuration_changed: the objects that both versions read have other contents.
        references: what the version cannot start without, and the stable revision does not read.
        all_containers: the names of all containers of the version. A container of a pod that is not
            among them was added by an admission webhook.
        is_first: there is no stable revision to compare with: everything is new.
    """

    containers: Mapping[str, tuple[str, ...]]
    removed_containers: tuple[str, ...]
    images: Mapping[str, tuple[str, str]]
    lowered_memory: frozenset[str]
    variables: Mapping[str, tuple[str, ...]]
    pod_fields: tuple[str, ...]
    volumes: tuple[str, ...]
    affected_containers: frozenset[str]
    configuration_changed: bool
    references: frozenset[Reference]
    all_containers: frozenset[str]
    is_first: bool

    def introduces(self, kind: str, name: str, key: str = "") -> bool:
        """Whether the version introduced a reference.

        Args:
            kind: the kind of the object; empty for any.
            name: its name; empty for any, because the kubelet does not always name it.
            key: the key in it; empty for the object as a whole.
        """
        return any(
            (not kind or reference.kind == kind)
            and (not name or reference.name == name)
            and reference.key == key
            for reference in self.references
        )

    def describe(self) -> str:
        """Name what differs: "image of app: web:1 -> web:2; env LOG_LEVEL of app"."""
        if self.is_first:
            return "everything: there is no earlier version"
        parts = chain(
            (f"image of {name}: {_arrow(*both)}" for name, both in self.images.items()),
            (_describe_container(name, fields) for name, fields in self.containers.items()),
            (
                f"env {join_first(found, MAX_NAMES)} of {name}"
                for name, found in self.variables.items()
            ),
            (f"container {name} removed" for name in self.removed_containers),
            (f"volume {name}" for name in self.volumes),
            self.pod_fields,
            ("the contents of its ConfigMaps or Secrets",) if self.configuration_changed else (),
        )
        return "; ".join(part for part in parts if part) or "nothing"


def compare_templates(stable: Json | None, desired: Json) -> TemplateChange:
    """Compare the pod template of a version with the stable one.

    Args:
        stable: the template of the stable revision; None if there is none.
        desired: the template of the version.
    """
    stable_spec: Json = stable["spec"] if stable else {}
    spec: Json = desired["spec"]
    before, after = _containers_by_name(stable_spec), _containers_by_name(spec)
    changed = {
        name: fields
        for name, container in after.items()
        if (fields := _changed_fields(before.get(name), container))
    }
    volumes_before = {volume["name"]: volume for volume in stable_spec.get("volumes") or ()}
    volumes = tuple(
        volume["name"]
        for volume in spec.get("volumes") or ()
        if volumes_before.get(volume["name"]) != volume
    )
    pod_fields = tuple(
        sorted(
            field
            for field in (stable_spec.keys() | spec.keys()) - _COMPARED_APART
            if stable_spec.get(field) != spec.get(field)
        )
    ) + tuple(_changed_metadata(stable, desired) if stable else ())
    references_before = frozenset(find_required_references(stable_spec))
    references = frozenset(find_required_references(spec))
    # With other references the hash differs, too, and says nothing of the contents.
    has_new_contents = (
        stable is not None
        and references == references_before
        and "" != _config_hash(stable) != _config_hash(desired) != ""
    )
    return TemplateChange(
        containers=changed,
        removed_containers=tuple(sorted(before.keys() - after.keys())) if stable else (),
        images={
            name: (str(before.get(name, {}).get("image", "")), str(after[name].get("image", "")))
            for name, fields in changed.items()
            if "image" in fields
        },
        lowered_memory=frozenset(
            name
            for name in before.keys() & after.keys()
            if _lowers_memory(before[name], after[name])
        ),
        variables={
            name: _changed_variables(before.get(name, {}), after[name])
            for name, fields in changed.items()
            if "env" in fields
        },
        pod_fields=pod_fields,
        volumes=volumes,
        affected_containers=frozenset(
            name
            for name, container in after.items()
            if name in changed
            or not _INERT_POD_FIELDS.issuperset(pod_fields)
            or not _mounts(container).isdisjoint(volumes)
            or (has_new_contents and _reads_configuration(container, spec))
        ),
        configuration_changed=has_new_contents,
        references=references - references_before,
        all_containers=frozenset(after),
        is_first=stable is None,
    )


def find_required_references(spec: Json) -> Iterator[Reference]:
    """Return the objects, and the keys of objects, that the pods of a spec cannot start without.

    A named key yields the object itself, too.
    """
    for container in _containers_by_name(spec).values():
        for variable in container.get("env") or ():
            source: Json = variable.get("valueFrom") or {}
            yield from _key_references(CONFIG_MAP, source.get("configMapKeyRef"))
            yield from _key_references(SECRET, source.get("secretKeyRef"))
        for source in container.get("envFrom") or ():
            yield from _object_references(CONFIG_MAP, source.get("configMapRef"))
            yield from _object_references(SECRET, source.get("secretRef"))
    for volume in spec.get("volumes") or ():
        yield from _object_references(CONFIG_MAP, volume.get("configMap"))
        yield from _object_references(SECRET, volume.get("secret"), "secretName")
        claim: Json = volume.get("persistentVolumeClaim") or {}
        if claim.get("claimName"):
            yield Reference(PERSISTENT_VOLUME_CLAIM, claim["claimName"])
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _object_references(CONFIG_MAP, source.get("configMap"))
            yield from _object_references(SECRET, source.get("secret"))


def _changed_metadata(stable: Json, desired: Json) -> Iterator[str]:
    """Yield ``labels`` and ``annotations`` if they differ, other than by the config hash."""
    before, after = (_metadata_without_config_hash(template) for template in (stable, desired))
    yield from (field for field in ("labels", "annotations") if before[field] != after[field])


def _metadata_without_config_hash(template: Json) -> Json:
    metadata: Json = template.get("metadata") or {}
    annotations: Json = metadata.get("annotations") or {}
    return {
        "labels": dict(metadata.get("labels") or {}),
        "annotations": {
            key: value for key, value in annotations.items() if key != names.ANNOTATION_CONFIG_HASH
        },
    }


def _key_references(kind: str, target: Json | None) -> Iterator[Reference]:
    if target and target.get("name") and not target.get("optional"):
        yield Reference(kind, target["name"])
        yield Reference(kind, target["name"], target.get("key") or "")


def _object_references(
    kind: str, target: Json | None, name_field: str = "name"
) -> Iterator[Reference]:
    if not target or not target.get(name_field) or target.get("optional"):
        return
    yield Reference(kind, target[name_field])
    for item in target.get("items") or ():
        yield Reference(kind, target[name_field], item.get("key") or "")


def _containers_by_name(spec: Json) -> dict[str, Json]:
    return {
        container["name"]: container
        for field in _CONTAINER_LISTS
        for container in spec.get(field) or ()
    }


def _changed_fields(before: Json | None, after: Json) -> tuple[str, ...]:
    if before is None:
        return (ADDED, "image")
    fields = before.keys() | after.keys()
    return tuple(sorted(field for field in fields if before.get(field) != after.get(field)))


def _lowers_memory(before: Json, after: Json) -> bool:
    old, new = (
        parse_quantity(((c.get("resources") or {}).get("limits") or {}).get("memory"))
        for c in (before, after)
    )
    return new is not None and (old is None or new < old)


def _changed_variables(before: Json, after: Json) -> tuple[str, ...]:
    old, new = ({v["name"]: v for v in c.get("env") or ()} for c in (before, after))
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _mounts(container: Json) -> frozenset[str]:
    return frozenset(mount["name"] for mount in container.get("volumeMounts") or ())


def _reads_configuration(container: Json, spec: Json) -> bool:
    """Whether a container reads a ConfigMap or a Secret, by a variable or from a volume."""
    if container.get("envFrom") or any(
        not {"configMapKeyRef", "secretKeyRef"}.isdisjoint(variable.get("valueFrom") or {})
        for variable in container.get("env") or ()
    ):
        return True
    mounts = _mounts(container)
    return any(
        volume["name"] in mounts and not {"configMap", "secret", "projected"}.isdisjoint(volume)
        for volume in spec.get("volumes") or ()
    )


def _config_hash(template: Json) -> str:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_CONFIG_HASH, ""))


def _arrow(before: str, after: str) -> str:
    old, new = (shorten(image, MAX_IMAGE_LENGTH) for image in (before, after))
    return f"{old} -> {new}" if old else new


def _describe_container(name: str, fields: Sequence[str]) -> str:
    """Name the fields of a container that differ, except those that have a part of their own."""
    if ADDED in fields:
        return f"container {name} added"
    rest = [field for field in fields if field not in {"image", "env"}]
    return f"{', '.join(rest)} of {name}" if rest else ""
