"""Which ConfigMaps and Secrets the pods of an app read, and one mark for what is in them.

Looked at are variables (``env``, ``envFrom``) of all containers, and volumes. Left out are Secrets
that only the kubelet or a driver reads (to pull images, to mount storage): pods need not be made
anew for these.
"""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

import orjson

from selfhealing.api.config import CONFIG_MAP, ROOT_CA, SECRET, ConfigRef
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.pod import runs_to_its_end

Json = Mapping[str, Any]

_Found = tuple[ConfigRef, bool]
"""A reference, and whether a pod cannot start without what it is to."""

_IN_VALUE: Final = (("configMapKeyRef", CONFIG_MAP, "name"), ("secretKeyRef", SECRET, "name"))
_IN_ENV_FROM: Final = (("configMapRef", CONFIG_MAP, "name"), ("secretRef", SECRET, "name"))
_IN_VOLUME: Final = (("configMap", CONFIG_MAP, "name"), ("secret", SECRET, "secretName"))
_IN_PROJECTION: Final = (("configMap", CONFIG_MAP, "name"), ("secret", SECRET, "name"))
"""The fields that refer to something, by where they stand: field, kind, field of the name."""


def references(spec: SelfHealingAppSpec) -> frozenset[ConfigRef]:
    """Everything that the pods read, whether it must be there or not."""
    return frozenset(found for found, _ in _all(spec))


def required(spec: SelfHealingAppSpec) -> frozenset[ConfigRef]:
    """What a pod cannot start without: not marked as optional, at one place at least."""
    return frozenset(found for found, needed in _all(spec) if needed)


def followed(spec: SelfHealingAppSpec) -> frozenset[ConfigRef]:
    """What the pods are made anew for when it changes.

    Nothing for an app that runs to its end: its Job would run again.
    """
    if not spec.restart_on_config_change or runs_to_its_end(spec):
        return frozenset()
    return references(spec)


def mark(digests: Mapping[ConfigRef, str]) -> str:
    """One hash for all that is followed, by the digest of each; empty where nothing is."""
    if not digests:
        return ""
    parts = sorted((*reference, digest) for reference, digest in digests.items())
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]


def _all(spec: SelfHealingAppSpec) -> Iterator[_Found]:
    yield from _container({"env": spec.env, "envFrom": spec.env_from})
    for container in chain(spec.init_containers, spec.sidecars):
        yield from _container(container)
    for volume in spec.volumes:
        yield from _in(volume, _IN_VOLUME)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _in(source, _IN_PROJECTION)


def _container(container: Json) -> Iterator[_Found]:
    for variable in container.get("env") or ():
        yield from _in(variable.get("valueFrom") or {}, _IN_VALUE)
    for source in container.get("envFrom") or ():
        yield from _in(source, _IN_ENV_FROM)


def _in(source: Json, fields: tuple[tuple[str, str, str], ...]) -> Iterator[_Found]:
    for field, kind, name in fields:
        target = source.get(field) or {}
        if target.get(name) and (kind, target[name]) != (CONFIG_MAP, ROOT_CA):
            yield ConfigRef(kind, target[name]), not target.get("optional")
