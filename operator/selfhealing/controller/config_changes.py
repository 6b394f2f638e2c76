"""Tells which ConfigMaps and Secrets have changed since an app was last in sync."""

from collections.abc import Mapping

from selfhealing.api.config_refs import UNREAD_DIGEST, ConfigRef
from selfhealing.cache.views import AppKey


class ConfigChanges:
    """The digests of each app's configuration at its last reconcile without an error."""

    def __init__(self) -> None:
        self._last_synced: dict[AppKey, tuple[int, Mapping[ConfigRef, str]]] = {}

    def find(
        self, key: AppKey, generation: int, digests: Mapping[ConfigRef, str]
    ) -> tuple[ConfigRef, ...]:
        """Find what has changed; none if the spec has changed, too, or at the first reconcile."""
        last_generation, last_digests = self._last_synced.get(key, (None, {}))
        if last_generation != generation or UNREAD_DIGEST in digests.values():
            return ()
        return tuple(ref for ref, digest in digests.items() if last_digests.get(ref) != digest)

    def note_synced(self, key: AppKey, generation: int, digests: Mapping[ConfigRef, str]) -> None:
        """Note that the children have this configuration."""
        if UNREAD_DIGEST not in digests.values():
            self._last_synced[key] = generation, digests

    def forget(self, key: AppKey) -> None:
        """Drop what is known of an app."""
        self._last_synced.pop(key, None)
