"""Tells which ConfigMaps and Secrets have changed since an app was last in sync."""

from collections.abc import Mapping
from typing import NamedTuple

from selfhealing.api.config_refs import UNREAD_DIGEST, ChangedConfig, ConfigRef
from selfhealing.cache.views import AppKey


class Configuration(NamedTuple):
    """What the pods of an app read, at one generation of its spec.

    Attributes:
        generation: of the spec.
        digests: of each ConfigMap and Secret.
        keys: of the values of each ConfigMap, by key, as far as they are known.
    """

    generation: int
    digests: Mapping[ConfigRef, str]
    keys: Mapping[ConfigRef, Mapping[str, str]]


class ConfigChanges:
    """The configuration of each app at its last reconcile without an error."""

    def __init__(self) -> None:
        self._last_synced: dict[AppKey, Configuration] = {}

    def find(self, key: AppKey, now: Configuration) -> tuple[ChangedConfig, ...]:
        """Find what has changed; none if the spec has changed, too, or at the first reconcile."""
        last = self._last_synced.get(key)
        if (
            last is None
            or last.generation != now.generation
            or UNREAD_DIGEST in now.digests.values()
        ):
            return ()
        return tuple(
            ChangedConfig(ref, _find_changed_keys(last.keys.get(ref), now.keys.get(ref)))
            for ref, digest in now.digests.items()
            if last.digests.get(ref) != digest
        )

    def note_synced(self, key: AppKey, now: Configuration) -> None:
        """Note that the children have this configuration.

        The values of an object that has changed, but is not applied yet, are not known: those of
        the version that the pods read stay.
        """
        if UNREAD_DIGEST in now.digests.values():
            return
        last = self._last_synced.get(key)
        kept = {
            ref: last.keys[ref]
            for ref, digest in now.digests.items()
            if last is not None and ref in last.keys and last.digests.get(ref) == digest
        }
        self._last_synced[key] = now._replace(keys={**now.keys, **kept})

    def forget(self, key: AppKey) -> None:
        """Drop what is known of an app."""
        self._last_synced.pop(key, None)


def _find_changed_keys(
    before: Mapping[str, str] | None, after: Mapping[str, str] | None
) -> tuple[str, ...]:
    """Return the keys that differ; none if they are not known of both."""
    if before is None or after is None:
        return ()
    return tuple(
        sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    )
