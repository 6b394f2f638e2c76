"""By which state of their ConfigMaps and Secrets the pods are to run: a mark in their template."""

from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.config_refs import ABSENT_DIGEST
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.render.references import hash_config_digests, required_references


def desired_config_hash(snapshot: AppSnapshot, spec: SelfHealingAppSpec) -> str:
    """The mark that the pod template is to carry; empty for none.

    While something is missing that no pod can start without, the mark stays as it is: new pods
    would wait for it in vain, in place of those that run. So a Secret may be deleted and made anew.
    """
    missing = {
        reference
        for reference, digest in snapshot.config_digests.items()
        if digest == ABSENT_DIGEST
    }
    if not missing.isdisjoint(required_references(spec)):
        return _live_config_hash(snapshot) or hash_config_digests(snapshot.config_digests)
    return hash_config_digests(snapshot.config_digests)


def _live_config_hash(snapshot: AppSnapshot) -> str:
    """The mark in the template of the Deployment that there is."""
    if snapshot.deployment is None:
        return ""
    manifest: dict[str, Any] = orjson.loads(snapshot.deployment.manifest_json)
    metadata = (manifest["spec"].get("template") or {}).get("metadata") or {}
    live_hash: str = (metadata.get("annotations") or {}).get(names.ANNOTATION_CONFIG_HASH, "")
    return live_hash
