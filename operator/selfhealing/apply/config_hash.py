"""The config hash of the pod template: a change of a ConfigMap or Secret becomes a rollout."""

from selfhealing.api.config_refs import ABSENT_DIGEST, UNREAD_DIGEST
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.render.references import hash_config_digests, required_references


def desired_config_hash(snapshot: AppSnapshot, spec: SelfHealingAppSpec) -> str:
    """Return the config hash for the pod template; empty without references.

    The live hash stays while an object is missing without which a pod cannot start, because new
    pods would wait for it. So a Secret can be deleted and recreated. It also stays while an object
    cannot be read, or there are too many to be followed: nobody knows whether it has changed.
    """
    live_hash = snapshot.deployment.config_hash if snapshot.deployment is not None else ""
    if snapshot.has_too_many_references or UNREAD_DIGEST in snapshot.config_digests.values():
        return live_hash
    missing = {
        reference
        for reference, digest in snapshot.config_digests.items()
        if digest == ABSENT_DIGEST
    }
    if not missing.isdisjoint(required_references(spec)):
        return live_hash or hash_config_digests(snapshot.config_digests)
    return hash_config_digests(snapshot.config_digests)
