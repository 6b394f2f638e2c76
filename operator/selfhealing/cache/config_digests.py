"""The digests of the ConfigMaps and Secrets that apps refer to, and the apps whose pods read them.

Contents are never kept: a digest is enough to detect a change. Of objects without a reference
nothing is kept at all.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from selfhealing.api.config_refs import (
    ABSENT_DIGEST,
    CONFIG_MAP,
    SECRET,
    UNREAD_DIGEST,
    ConfigKeys,
    ConfigObject,
    ConfigRef,
)
from selfhealing.cache.parse import parse_resource_version
from selfhealing.cache.views import AppKey

Json = Mapping[str, Any]

_DATA_FIELDS: Final = ("data", "binaryData", "stringData")

MAX_KEYS: Final = 32
"""The keys of a ConfigMap of which each value has a digest; most have fewer."""

_SHORT: Final = 16
_WHOLE: Final = 64
"""Hexadecimal digits of a digest that is stored, and of one from which others are made."""

NO_READERS: Final[frozenset[AppKey]] = frozenset()


@dataclass(frozen=True, slots=True)
class ConfigDigest:
    """Digests of the contents of a ConfigMap or Secret, and the version that was read.

    Attributes:
        resource_version: the version.
        digest: the digest of all contents.
        keys: the digest of each value of a ConfigMap of at most MAX_KEYS; the keys of a Secret are
            for those alone who may read it.
        by_keys: the digests of the contents of some keys together, by these keys.
    """

    resource_version: int
    digest: str
    keys: Mapping[str, str] = field(default_factory=dict)
    by_keys: Mapping[frozenset[str], str] = field(default_factory=dict)

    def of_keys(self, keys: ConfigKeys) -> str | None:
        """Return the digest of the contents of ``keys``; None if it was not computed."""
        if keys is None or self.digest == ABSENT_DIGEST:
            return self.digest
        return self.by_keys.get(keys)


ABSENT: Final = ConfigDigest(0, ABSENT_DIGEST)
"""What is known of an object that does not exist."""


def config_digest(raw: Json, selections: Iterable[ConfigKeys] = ()) -> ConfigDigest:
    """Compute the digests of a raw ConfigMap or Secret.

    Args:
        raw: the object.
        selections: the keys of which a digest is needed beside that of all contents.
    """
    wanted = {selected for selected in selections if selected is not None}
    values = {
        key: (name, value) for name in _DATA_FIELDS for key, value in (raw.get(name) or {}).items()
    }
    has_keys = raw["kind"] == CONFIG_MAP and len(values) <= MAX_KEYS
    # Each value is hashed once, however many apps read it.
    hashed = {
        key: _hash([values[key][1]], _WHOLE)
        for key in (values if has_keys else values.keys() & frozenset().union(*wanted))
    }
    salt = _salt(raw)
    by_keys = {
        selected: _hash(
            [salt, {key: [values[key][0], hashed[key]] for key in selected & hashed.keys()}]
        )
        for selected in wanted
    }
    keys = {key: value[:_SHORT] for key, value in hashed.items()} if has_keys else {}
    version = parse_resource_version(raw["metadata"])
    return ConfigDigest(version, _hash_contents(raw), keys, by_keys)


def copy_digests(raw: Json) -> frozenset[str]:
    """Return the digests that a ConfigMap with these contents can be a copy for.

    Either all of the contents was copied, or only the keys that the pods read.
    """
    keys = frozenset(key for name in _DATA_FIELDS for key in raw.get(name) or {})
    found = config_digest({**raw, "kind": CONFIG_MAP}, [keys])
    return frozenset({found.digest, found.by_keys[keys]})


def select_contents(raw: Json, keys: ConfigKeys) -> Json:
    """Return a raw ConfigMap or Secret with the contents of ``keys`` alone."""
    if keys is None:
        return raw
    selected = {
        name: {key: value for key, value in (raw.get(name) or {}).items() if key in keys}
        for name in _DATA_FIELDS
    }
    return {**raw, **selected}


def _hash_contents(raw: Json) -> str:
    """Return a hash of the contents that does not reveal them.

    Together with others it is hashed into an annotation of pods, which more users may read than
    the Secret. The hash of a Secret is salted with its UID, which is random and unknown to those
    who may not read the Secret: else a short password could be guessed. As a consequence a Secret
    that is deleted and recreated has changed, even with the same contents.
    """
    parts = [_salt(raw), *(raw.get(field) or {} for field in _DATA_FIELDS)]
    return _hash(parts)


def _salt(raw: Json) -> str:
    uid: str = raw["metadata"]["uid"]
    return uid if raw["kind"] == SECRET else ""


def _hash(parts: list[Any], length: int = _SHORT) -> str:
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:length]


class ConfigIndex:
    """The references of apps to ConfigMaps and Secrets, and the digests of these objects.

    An object is in the index for as long as an app refers to it.
    """

    def __init__(self) -> None:
        self._digests: dict[ConfigObject, ConfigDigest] = {}
        self._references: dict[AppKey, Mapping[ConfigRef, ConfigKeys]] = {}
        self._readers: dict[ConfigObject, frozenset[AppKey]] = {}

    def set_references(self, app: AppKey, references: Mapping[ConfigRef, ConfigKeys]) -> None:
        """Replace the references of an app, each with the keys that it reads."""
        previous = self._references.get(app, {})
        for reference in previous.keys() - references.keys():
            target = ConfigObject(app.namespace, reference)
            remaining = self._readers.pop(target) - {app}
            if remaining:
                self._readers[target] = remaining
            else:
                self._digests.pop(target, None)
        for reference in references.keys() - previous.keys():
            target = ConfigObject(app.namespace, reference)
            self._readers[target] = self._readers.get(target, NO_READERS) | {app}
        if references:
            self._references[app] = references
        else:
            self._references.pop(app, None)

    def upsert(self, target: ConfigObject, digest: ConfigDigest) -> frozenset[AppKey]:
        """Store what was read of an object, if an app refers to it.

        Returns:
            The apps for which the digest of the keys that they read is new.
        """
        readers = self._readers.get(target, NO_READERS)
        if not readers:
            return NO_READERS
        stored = self._digests.get(target)
        self._digests[target] = digest
        return frozenset(
            app
            for app in readers
            if stored is None
            or stored.of_keys(keys := self._keys(app, target)) != digest.of_keys(keys)
        )

    def selections(self, target: ConfigObject) -> frozenset[ConfigKeys]:
        """Return the keys that apps read of an object, a set of them for each app."""
        return frozenset(self._keys(app, target) for app in self.readers(target))

    def _keys(self, app: AppKey, target: ConfigObject) -> ConfigKeys:
        return self._references[app][target.reference]

    def readers(self, target: ConfigObject) -> frozenset[AppKey]:
        """Return the apps that refer to an object."""
        return self._readers.get(target, NO_READERS)

    def is_outdated(self, target: ConfigObject, resource_version: int) -> bool:
        """Whether an app refers to the object, and the version that was read is an older one."""
        stored = self._digests.get(target)
        return target in self._readers and (
            stored is None or stored.resource_version < resource_version
        )

    def find_unread(self, app: AppKey) -> Iterator[ConfigObject]:
        """Iterate over the objects that an app refers to and whose keys have not been read."""
        for reference, digest in self.digests_for(app).items():
            if digest == UNREAD_DIGEST:
                yield ConfigObject(app.namespace, reference)

    def find_existing(self, kind: str, namespace: str | None) -> set[ConfigObject]:
        """Return the objects of a kind that existed when they were read.

        Args:
            kind: ConfigMap or Secret.
            namespace: where; None for everywhere.
        """
        return {
            target
            for target, stored in self._digests.items()
            if target.reference.kind == kind
            and namespace in {None, target.namespace}
            and stored is not ABSENT
        }

    def digests_for(self, app: AppKey) -> dict[ConfigRef, str]:
        """Return the digest of each object that an app refers to, of the keys that it reads.

        ABSENT_DIGEST stands for a missing object, UNREAD_DIGEST for one that has not been read.
        """
        return {
            reference: self._digest_of(ConfigObject(app.namespace, reference), keys)
            for reference, keys in self._references.get(app, {}).items()
        }

    def key_digests_for(self, app: AppKey) -> dict[ConfigRef, Mapping[str, str]]:
        """Return the digests of the values of each ConfigMap that an app reads, by key."""
        return {
            reference: {
                key: digest for key, digest in stored.keys.items() if keys is None or key in keys
            }
            for reference, keys in self._references.get(app, {}).items()
            if (stored := self._digests.get(ConfigObject(app.namespace, reference))) and stored.keys
        }

    def _digest_of(self, target: ConfigObject, keys: ConfigKeys) -> str:
        stored = self._digests.get(target)
        digest = None if stored is None else stored.of_keys(keys)
        return UNREAD_DIGEST if digest is None else digest
