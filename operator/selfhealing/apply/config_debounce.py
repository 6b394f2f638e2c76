"""Waits until an app's configuration is quiet, so that many changes at once are one rollout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from selfhealing.api.config_refs import UNREAD_DIGEST, ConfigRef
from selfhealing.cache.views import AppKey

QUIET_SECONDS: Final = 2.0
"""Seconds without another change after which a changed configuration is rolled out. Chosen:
``kubectl apply`` of a dozen objects takes about a second, and a rollout takes longer."""

MAX_DELAY_SECONDS: Final = 15.0
"""Seconds after the first change when it is rolled out all the same. Chosen: the time of a rollout.
"""

MIN_INTERVAL_SECONDS: Final = 6.0
"""Seconds between two rollouts: a program that keeps rewriting a ConfigMap causes ten a minute."""

_MIN_WAIT_SECONDS: Final = 0.01
"""Seconds: a sum of times is not exact, and must not lead to a wait of nothing again and again."""

Digests = Mapping[ConfigRef, str]


@dataclass(slots=True)
class _AppDigests:
    """The digests of an app's configuration, with times of a monotonic clock.

    Attributes:
        settled: those that the children have.
        latest: those that were seen last.
        settled_at: when ``settled`` was rolled out; the first ones count as rolled out long ago.
        first_change: when ``latest`` began to differ from ``settled``.
        last_change: when ``latest`` changed.
    """

    settled: Digests
    latest: Digests
    settled_at: float = float("-inf")
    first_change: float = 0.0
    last_change: float = 0.0


class ConfigDebounce:
    """The digests of each app's configuration that are rolled out."""

    def __init__(self) -> None:
        self._apps: dict[AppKey, _AppDigests] = {}

    def settle(self, key: AppKey, digests: Digests, now: float) -> tuple[Digests, float]:
        """Return the digests to roll out, and the seconds until later ones may be due; 0 for none.

        The first digests of an app are rolled out at once, as are those of other references: then
        the spec has changed. Nothing is known while an object is unread.

        Args:
            key: the app.
            digests: what its pods would read now.
            now: seconds of a monotonic clock.
        """
        if UNREAD_DIGEST in digests.values():
            return digests, 0.0
        app = self._apps.get(key)
        if app is None or digests.keys() != app.settled.keys():
            self._apps[key] = _AppDigests(digests, digests)
            return digests, 0.0
        if digests == app.settled:
            app.latest = digests
            return digests, 0.0
        if digests != app.latest:
            if app.latest == app.settled:
                app.first_change = now
            app.latest, app.last_change = digests, now
        quiet = min(app.last_change + QUIET_SECONDS, app.first_change + MAX_DELAY_SECONDS)
        due = max(quiet, app.settled_at + MIN_INTERVAL_SECONDS)
        if now >= due:
            self._apps[key] = _AppDigests(digests, digests, settled_at=now)
            return digests, 0.0
        return app.settled, max(due - now, _MIN_WAIT_SECONDS)

    def forget(self, key: AppKey) -> None:
        """Drop what is known of an app."""
        self._apps.pop(key, None)
