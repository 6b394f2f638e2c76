"""Remembered results of pure functions of the operator, which save a third of the time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson
from cachetools import LRUCache

from hack.worlds.model import Json
from selfhealing.api import names
from selfhealing.api.duration import parse_duration
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.child_diff import ChildAction, diff_child
from selfhealing.cache.views import ChildView
from selfhealing.controller import child_sync, child_writer, reconciler, remediator
from selfhealing.health.template_change import TemplateChange, compare_templates
from selfhealing.remediation import policy, probation, reconcile_input
from selfhealing.remediation.template_check import find_template_fault

_diffs: LRUCache[tuple[Any, ...], ChildAction] = LRUCache(4096)


def _diff_child(
    owner_uid: str, live: ChildView | None, desired: Json, last_response: bytes = b""
) -> ChildAction:
    """`diff_child`, remembered: it compares the same manifests again and again."""
    if live is None:
        return diff_child(owner_uid, live, desired, last_response)
    key = (
        owner_uid,
        live.kind,
        live.deleting,
        live.adopt,
        live.owner_uid,
        live.applied_hash,
        live.manifest_json,
        desired["metadata"]["annotations"].get(names.ANNOTATION_APPLIED_HASH),
        last_response,
    )
    found = _diffs.get(key)
    if found is None:
        found = _diffs[key] = diff_child(owner_uid, live, desired, last_response)
    return found


@lru_cache(maxsize=512)
def _parse_stored_spec(spec: bytes) -> SelfHealingAppSpec:
    return parse_spec(orjson.loads(spec))


def _parse_spec(spec: Mapping[str, Any]) -> SelfHealingAppSpec:
    return _parse_stored_spec(orjson.dumps(spec))


@lru_cache(maxsize=4096)
def _read_stored_status(status: bytes) -> SelfHealingAppStatus:
    return read_status(orjson.loads(status))


def _read_status(status: Mapping[str, Any]) -> SelfHealingAppStatus:
    return _read_stored_status(orjson.dumps(status))


@lru_cache(maxsize=4096)
def _find_stored_template_fault(saved: bytes, revision: str, present: bytes, digest: str) -> str:
    return find_template_fault(orjson.loads(saved), revision, orjson.loads(present), digest)


def _find_template_fault(saved: Json, revision: str, present: Json, digest: str = "") -> str:
    return _find_stored_template_fault(orjson.dumps(saved), revision, orjson.dumps(present), digest)


@lru_cache(maxsize=4096)
def _compare_stored_templates(good: bytes, desired: bytes) -> TemplateChange:
    return compare_templates(orjson.loads(good), orjson.loads(desired))


def _compare_templates(good: Json | None, desired: Json) -> TemplateChange:
    return _compare_stored_templates(orjson.dumps(good), orjson.dumps(desired))


_SUBSTITUTES: tuple[tuple[Any, str, Any], ...] = (
    (child_sync, "diff_child", _diff_child),
    (child_writer, "diff_child", _diff_child),
    (reconciler, "parse_spec", _parse_spec),
    (reconcile_input, "read_status", _read_status),
    (remediator, "find_template_fault", _find_template_fault),
    (probation, "compare_templates", _compare_templates),
    (policy, "parse_duration", lru_cache(maxsize=512)(parse_duration)),
)


@contextmanager
def substitutes() -> Iterator[None]:
    """Put the remembered functions in place of the operator's."""
    originals = [(module, name, getattr(module, name)) for module, name, _ in _SUBSTITUTES]
    for module, name, value in _SUBSTITUTES:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in originals:
            setattr(module, name, value)
