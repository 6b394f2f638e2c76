"""For how long each namespace keeps the circuit breaker of the cluster open.

A storm is bounded by app, but apps are made again, under their names or under others: a few
namespaces could keep all others from being remediated for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(slots=True)
class _Share:
    """What a namespace has given to storms of the cluster, in seconds.

    Attributes:
        given: for how long.
        last_counted: when an app of the namespace counted last.
    """

    last_counted: float
    given: float = 0.0


class StormShares:
    """The namespaces that open the breaker of the cluster, or have done so lately."""

    def __init__(self, limit: float, rest: float) -> None:
        """Create it without any namespace.

        Args:
            limit: seconds for which a namespace may keep the breaker open.
            rest: seconds without a counted app after which it may do so again.
        """
        self._limit = limit
        self._rest = rest
        self._shares: dict[str, _Share] = {}
        self._givers: Collection[str] = ()
        self._updated_at = 0.0

    def find_spent(self, counted: Collection[str], now: float) -> frozenset[str]:
        """Return the namespaces that do not count in the cluster, as they have for long enough.

        Args:
            counted: the namespaces with an app that counts.
            now: the time in seconds.
        """
        elapsed, self._updated_at = now - self._updated_at, now
        for namespace in self._givers:
            self._shares[namespace].given += elapsed
        for namespace in counted:
            if namespace in self._shares:
                self._shares[namespace].last_counted = now
        for namespace, share in list(self._shares.items()):
            if now - share.last_counted >= self._rest:
                del self._shares[namespace]
        self._givers = [namespace for namespace in self._givers if namespace in self._shares]
        return frozenset(
            namespace for namespace, share in self._shares.items() if share.given >= self._limit
        )

    def set_givers(self, namespaces: Collection[str], now: float) -> float:
        """Note which namespaces keep the breaker open from now on; none if it is closed.

        Returns:
            When the first of them has done so for long enough; infinity without one.
        """
        self._givers, self._updated_at = namespaces, now
        for namespace in namespaces:
            self._shares.setdefault(namespace, _Share(last_counted=now))
        return now + min(
            (self._limit - self._shares[namespace].given for namespace in namespaces),
            default=float("inf"),
        )
