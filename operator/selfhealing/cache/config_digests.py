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

from selfhealing.api.config import ABSENT, SECRET, ConfigRef
from selfhealing.cache.parse import version
from selfhealing.cache.views import AppKey

Json = Mapping[str, Any]

_CONTENTS: Final = ("data", "binaryData", "stringData")

NOBODY: Final[frozenset[AppKey]] = frozenset()


@dataclass(frozen=True, slots=True)
class ConfigView:
    """One ConfigMap or Secret: who it is, and a digest of what it holds."""

    key: AppKey
    kind: str
    uid: str
    resource_version: int
    digest: str


def config_view(raw: Json) -> ConfigView:
    """View a ConfigMap or a Secret."""
    meta, kind = raw["metadata"], raw["kind"]
    return ConfigView(
        key=AppKey(sys.intern(meta["namespace"]), meta["name"]),
        kind=sys.intern(kind),
        uid=meta["uid"],
        resource_version=version(meta),
        digest=_digest(raw),
    )


def _digest(raw: Json) -> str:
    """A hash of the contents, which shows nothing of them.

    It goes, hashed with others, into an annotation of pods, which more people may read than the
    Secret. So that nobody can try out what a short password would come to, the Secret's uid goes
    into it: it is random, and not known to those who may not read the Secret. What it costs: a
    Secret that is deleted and made anew has changed, also when it holds the same.
    """
    salt = raw["metadata"]["uid"] if raw["kind"] == SECRET else ""
    parts = [salt, *(raw.get(field) or {} for field in _CONTENTS)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


class Configs:
    """The digests of all that is watched, whether an app refers to it or not: one may, later."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, ConfigRef], ConfigView] = {}
        self._references: dict[AppKey, frozenset[ConfigRef]] = {}
        self._readers: dict[tuple[str, ConfigRef], frozenset[AppKey]] = {}

    # put and drop return the apps for which something has changed.

    def put(self, view: ConfigView) -> frozenset[AppKey]:
        """Take in that one is so, unless something newer is known of it."""
        slot = view.key.namespace, ConfigRef(view.kind, view.key.name)
        known = self._views.get(slot)
        if known is not None and known.resource_version > view.resource_version:
            return NOBODY
        self._views[slot] = view
        is_news = known is None or known.digest != view.digest
        return self._readers.get(slot, NOBODY) if is_news else NOBODY

    def drop(self, kind: str, key: AppKey, uid: str) -> frozenset[AppKey]:
        """Forget one, if it is still the one with ``uid``."""
        slot = key.namespace, ConfigRef(kind, key.name)
        known = self._views.get(slot)
        if known is None or known.uid != uid:
            return NOBODY
        del self._views[slot]
        return self._readers.get(slot, NOBODY)

    def refer(self, app: AppKey, references: frozenset[ConfigRef]) -> None:
        """Note what an app refers to, in place of what it referred to before."""
        before = self._references.get(app, frozenset())
        for reference in before - references:
            slot = app.namespace, reference
            left = self._readers.pop(slot) - {app}
            if left:
                self._readers[slot] = left
        for reference in references - before:
            slot = app.namespace, reference
            self._readers[slot] = self._readers.get(slot, NOBODY) | {app}
        if references:
            self._references[app] = references
        else:
            self._references.pop(app, None)

    def of(self, app: AppKey) -> dict[ConfigRef, str]:
        """The digest of each thing that an app refers to; ABSENT for what is not there."""
        return {
            reference: held.digest
            if (held := self._views.get((app.namespace, reference)))
            else ABSENT
            for reference in self._references.get(app, ())
        }

    def uids(self, kind: str) -> dict[str, AppKey]:
        """The uid and the namespace and name of each of a kind, to be compared with a list."""
        return {view.uid: view.key for view in self._views.values() if view.kind == kind}
