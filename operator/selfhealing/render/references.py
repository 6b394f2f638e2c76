"""Finds the ConfigMaps and Secrets that the pods of an app read, and hashes their digests.

References are in ``env`` and ``envFrom`` of all containers, and in volumes. Secrets that only the
kubelet or a storage driver reads are not included: their change does not require new pods.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath
from typing import Any, Final

import orjson

from selfhealing.api.config_refs import (
    CONFIG_MAP,
    ROOT_CA_CONFIG_MAP,
    SECRET,
    ConfigKeys,
    ConfigRef,
)
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.pod import is_job

Json = Mapping[str, Any]

MAX_TRACKED: Final = 128
"""ConfigMaps and Secrets of an app that are followed; an ordinary one reads a dozen. A spec of
128 KiB can refer to 1,400, of which ten times its size would be kept."""

_Reference = tuple[ConfigRef, bool, ConfigKeys]
"""A reference, whether a pod cannot start without its object, and the keys that it reads there."""

_FIELDS_IN_VALUE_FROM: Final = (
    ("configMapKeyRef", CONFIG_MAP, "name"),
    ("secretKeyRef", SECRET, "name"),
)
_FIELDS_IN_ENV_FROM: Final = (("configMapRef", CONFIG_MAP, "name"), ("secretRef", SECRET, "name"))
_FIELDS_IN_VOLUME: Final = (("configMap", CONFIG_MAP, "name"), ("secret", SECRET, "secretName"))
_FIELDS_IN_PROJECTION: Final = (("configMap", CONFIG_MAP, "name"), ("secret", SECRET, "name"))
"""The fields of each place that hold references: field, kind, field of the name."""


def find_references(spec: SelfHealingAppSpec) -> frozenset[ConfigRef]:
    """Return all references of the pods, optional ones included."""
    return frozenset(reference for reference, _, _ in _iter_references(spec))


def required_references(spec: SelfHealingAppSpec) -> frozenset[ConfigRef]:
    """Return the references that are not optional in at least one place."""
    return frozenset(
        reference for reference, is_required, _ in _iter_references(spec) if is_required
    )


def tracked_references(spec: SelfHealingAppSpec) -> dict[ConfigRef, ConfigKeys]:
    """Return the references whose change replaces the pods, with the keys that the pods read.

    Of more than MAX_TRACKED none. A Job has none: a change would rerun it.
    """
    found = _find_replacing(spec)
    return found if len(found) <= MAX_TRACKED else {}


def has_too_many_references(spec: SelfHealingAppSpec) -> bool:
    """Whether a change would replace the pods, if there were not more than MAX_TRACKED."""
    return len(_find_replacing(spec)) > MAX_TRACKED


def _find_replacing(spec: SelfHealingAppSpec) -> dict[ConfigRef, ConfigKeys]:
    if not spec.restart_on_config_change or is_job(spec):
        return {}
    found: dict[ConfigRef, ConfigKeys] = {}
    for reference, _, keys in _iter_references(spec):
        others = found.get(reference, frozenset())
        found[reference] = None if keys is None or others is None else others | keys
    return found


def hash_config_digests(digests: Mapping[ConfigRef, str]) -> str:
    """Return one hash of the digests of all tracked references; empty without any."""
    if not digests:
        return ""
    parts = sorted((*reference, digest) for reference, digest in digests.items())
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]


def mount_config_copies(template: Json, copies: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod template that reads copies of ConfigMaps.

    Args:
        template: the template.
        copies: the names of the copies, by the names of the ConfigMaps; others are read as before.
    """
    if not copies:
        return dict(template)
    spec = template["spec"]
    changed = {
        field: [_mount_in_container(container, copies) for container in spec[field]]
        for field in ("containers", "initContainers")
        if spec.get(field)
    }
    if spec.get("volumes"):
        changed["volumes"] = [_mount_in_volume(volume, copies) for volume in spec["volumes"]]
    return {**template, "spec": {**spec, **changed}}


def _mount_in_container(container: Json, copies: Mapping[str, str]) -> Json:
    result = dict(container)
    if container.get("env"):
        result["env"] = [
            {**each, "valueFrom": _refer_to_copy(each["valueFrom"], "configMapKeyRef", copies)}
            if each.get("valueFrom")
            else each
            for each in container["env"]
        ]
    if container.get("envFrom"):
        result["envFrom"] = [
            _refer_to_copy(each, "configMapRef", copies) for each in container["envFrom"]
        ]
    return result


def _mount_in_volume(volume: Json, copies: Mapping[str, str]) -> Json:
    projected = volume.get("projected")
    if not projected or not projected.get("sources"):
        return _refer_to_copy(volume, "configMap", copies)
    sources = [_refer_to_copy(each, "configMap", copies) for each in projected["sources"]]
    return {**volume, "projected": {**projected, "sources": sources}}


def _refer_to_copy(source: Json, field: str, copies: Mapping[str, str]) -> Json:
    target = source.get(field) or {}
    copy = copies.get(target.get("name", ""))
    return {**source, field: {**target, "name": copy}} if copy else source


def _iter_references(spec: SelfHealingAppSpec) -> Iterator[_Reference]:
    app = {"env": spec.env, "envFrom": spec.env_from, "volumeMounts": spec.volume_mounts}
    containers = (app, *spec.init_containers, *spec.sidecars)
    for container in containers:
        yield from _iter_container_references(container)
    for volume in spec.volumes:
        mounted = _mounted_keys(volume.get("name"), containers)
        yield from _iter_source_references(volume, _FIELDS_IN_VOLUME, mounted)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _iter_source_references(source, _FIELDS_IN_PROJECTION, mounted)


def _iter_container_references(container: Json) -> Iterator[_Reference]:
    for variable in container.get("env") or ():
        yield from _iter_source_references(variable.get("valueFrom") or {}, _FIELDS_IN_VALUE_FROM)
    for source in container.get("envFrom") or ():
        yield from _iter_source_references(source, _FIELDS_IN_ENV_FROM)


def _iter_source_references(
    source: Json, fields: tuple[tuple[str, str, str], ...], mounted: ConfigKeys = None
) -> Iterator[_Reference]:
    for field, kind, name in fields:
        target = source.get(field) or {}
        if target.get(name) and (kind, target[name]) != (CONFIG_MAP, ROOT_CA_CONFIG_MAP):
            is_required = not target.get("optional")
            yield ConfigRef(kind, target[name]), is_required, _read_keys(target, mounted)


def _read_keys(target: Json, mounted: ConfigKeys) -> ConfigKeys:
    """Return the keys that a reference names; ``mounted`` if it names none."""
    if target.get("key"):
        return frozenset({target["key"]})
    if target.get("items"):
        return frozenset(item.get("key") for item in target["items"])
    return mounted


def _mounted_keys(volume: str | None, containers: Iterable[Json]) -> ConfigKeys:
    """Return the files of a volume that containers mount one by one; None if one mounts it all."""
    mounts = [
        mount
        for container in containers
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") == volume
    ]
    files = {
        normpath(mount["subPath"]).split("/")[0] if mount.get("subPath") else "."
        for mount in mounts
    }
    return None if "." in files or not files else frozenset(files)
