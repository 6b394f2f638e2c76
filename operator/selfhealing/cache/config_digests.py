"""The digests of ConfigMaps and Secrets, and the apps whose pods read them.

Contents are never kept: a digest is enough to detect a change.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from selfhealing.api.config_refs import ABSENT_DIGEST, SECRET, ConfigRef
from selfhealing.cache.parse import parse_resource_version
from selfhealing.cache.views import AppKey

Json = Mapping[str, Any]

_DATA_FIELDS: Final = ("data", "binaryData", "stringData")

NO_READERS: Final[frozenset[AppKey]] = frozenset()


@dataclass(frozen=True, slots=True)
class ConfigDigest:
    """The identity of a ConfigMap or Secret, and a digest of its contents."""

    key: AppKey
    kind: str
    uid: str
    resource_version: int
    digest: str


def config_digest(raw: Json) -> ConfigDigest:
    """Compute the digest of a raw ConfigMap or Secret."""
    meta, kind = raw["metadata"], raw["kind"]
    return ConfigDigest(
        key=AppKey(sys.intern(meta["namespace"]), meta["name"]),
        kind=sys.intern(kind),
        uid=meta["uid"],
        resource_version=parse_resource_version(meta),
        digest=_hash_contents(raw),
    )


def _hash_contents(raw: Json) -> str:
    """Return a hash of the contents that does not reveal them.

    Together with others it is hashed into an annotation of pods, which more users may read than
    the Secret. The hash of a Secret is salted with its UID, which is random and unknown to those
    who may not read the Secret: else a short password could be guessed. As a consequence a Secret
    that is deleted and recreated has changed, even with the same contents.
    """
    salt = raw["metadata"]["uid"] if raw["kind"] == SECRET else ""
    parts = [salt, *(raw.get(field) or {} for field in _DATA_FIELDS)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


class ConfigIndex:
    """The digests of all watched ConfigMaps and Secrets, and the references of apps to them.

    Objects without a reference are kept too, as an app may refer to them later.
    """

    def __init__(self) -> None:
        self._digests: dict[tuple[str, ConfigRef], ConfigDigest] = {}
        self._references: dict[AppKey, frozenset[ConfigRef]] = {}
        self._readers: dict[tuple[str, ConfigRef], frozenset[AppKey]] = {}

    # upsert and delete return the apps that read the object, if its contents have changed.

    def upsert(self, view: ConfigDigest) -> frozenset[AppKey]:
        """Store a digest, unless a newer version is stored."""
        slot = view.key.namespace, ConfigRef(view.kind, view.key.name)
        stored = self._digests.get(slot)
        if stored is not None and stored.resource_version > view.resource_version:
            return NO_READERS
        self._digests[slot] = view
        has_changed = stored is None or stored.digest != view.digest
        return self._readers.get(slot, NO_READERS) if has_changed else NO_READERS

    def delete(self, kind: str, key: AppKey, uid: str) -> frozenset[AppKey]:
        """Remove a digest, if the UID of its object is ``uid``."""
        slot = key.namespace, ConfigRef(kind, key.name)
        stored = self._digests.get(slot)
        if stored is None or stored.uid != uid:
            return NO_READERS
        del self._digests[slot]
        return self._readers.get(slot, NO_READERS)

    def set_references(self, app: AppKey, references: frozenset[ConfigRef]) -> None:
        """Replace the references of an app."""
        previous = self._references.get(app, frozenset())
        for reference in previous - references:
            slot = app.namespace, reference
            remaining = self._readers.pop(slot) - {app}
            if remaining:
                self._readers[slot] = remaining
        for reference in references - previous:
            slot = app.namespace, reference
            self._readers[slot] = self._readers.get(slot, NO_READERS) | {app}
        if references:
            self._references[app] = references
        else:
            self._references.pop(app, None)

    def digests_for(self, app: AppKey) -> dict[ConfigRef, str]:
        """Return the digest of each object that an app refers to; ABSENT_DIGEST if missing."""
        return {
            reference: stored.digest
            if (stored := self._digests.get((app.namespace, reference)))
            else ABSENT_DIGEST
            for reference in self._references.get(app, ())
        }

    def uids(self, kind: str) -> dict[str, AppKey]:
        """Return namespace and name by UID of all objects of a kind, to compare with a list."""
        return {view.uid: view.key for view in self._digests.values() if view.kind == kind}
