"""What ConfigMaps and Secrets hold, as digests only, and which apps it concerns.

Their contents are never kept: a digest says that something has changed, and that is all that is
asked.
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
    """One ConfigMap or Secret: who it is, and a digest of what it holds."""

    key: AppKey
    kind: str
    uid: str
    resource_version: int
    digest: str


def config_digest(raw: Json) -> ConfigDigest:
    """View a ConfigMap or a Secret."""
    meta, kind = raw["metadata"], raw["kind"]
    return ConfigDigest(
        key=AppKey(sys.intern(meta["namespace"]), meta["name"]),
        kind=sys.intern(kind),
        uid=meta["uid"],
        resource_version=parse_resource_version(meta),
        digest=_hash_contents(raw),
    )


def _hash_contents(raw: Json) -> str:
    """A hash of the contents, which shows nothing of them.

    It goes, hashed with others, into an annotation of pods, which more people may read than the
    Secret. So that nobody can try out what a short password would come to, the Secret's uid goes
    into it: it is random, and not known to those who may not read the Secret. What it costs: a
    Secret that is deleted and made anew has changed, also when it holds the same.
    """
    salt = raw["metadata"]["uid"] if raw["kind"] == SECRET else ""
    parts = [salt, *(raw.get(field) or {} for field in _DATA_FIELDS)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


class ConfigIndex:
    """The digests of all that is watched, whether an app refers to it or not: one may, later."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, ConfigRef], ConfigDigest] = {}
        self._references: dict[AppKey, frozenset[ConfigRef]] = {}
        self._readers: dict[tuple[str, ConfigRef], frozenset[AppKey]] = {}

    # put and drop return the apps for which something has changed.

    def upsert(self, view: ConfigDigest) -> frozenset[AppKey]:
        """Take in that one is so, unless something newer is known of it."""
        slot = view.key.namespace, ConfigRef(view.kind, view.key.name)
        stored = self._digests.get(slot)
        if stored is not None and stored.resource_version > view.resource_version:
            return NO_READERS
        self._digests[slot] = view
        has_changed = stored is None or stored.digest != view.digest
        return self._readers.get(slot, NO_READERS) if has_changed else NO_READERS

    def delete(self, kind: str, key: AppKey, uid: str) -> frozenset[AppKey]:
        """Forget one, if it is still the one with ``uid``."""
        slot = key.namespace, ConfigRef(kind, key.name)
        stored = self._digests.get(slot)
        if stored is None or stored.uid != uid:
            return NO_READERS
        del self._digests[slot]
        return self._readers.get(slot, NO_READERS)

    def set_references(self, app: AppKey, references: frozenset[ConfigRef]) -> None:
        """Note what an app refers to, in place of what it referred to before."""
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
        """The digest of each thing that an app refers to; ABSENT for what is not there."""
        return {
            reference: stored.digest
            if (stored := self._digests.get((app.namespace, reference)))
            else ABSENT_DIGEST
            for reference in self._references.get(app, ())
        }

    def uids(self, kind: str) -> dict[str, AppKey]:
        """The uid and the namespace and name of each of a kind, to be compared with a list."""
        return {view.uid: view.key for view in self._digests.values() if view.kind == kind}
