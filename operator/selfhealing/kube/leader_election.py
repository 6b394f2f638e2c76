"""Leader election with a Lease: one replica writes, the others fill their caches and wait.

The rules are those of client-go (tools/leaderelection). A Lease of another holder expires when it
has not changed for its duration, by the monotonic clock of *this* process, so clocks that differ
or jump do no harm. The leader stops before the others may take over. On a clean stop it releases
the Lease at once. docs/adr/0006-leader-election.md says why the official Python client's election
is not used.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError
from selfhealing.kube.metrics import LEADER
from selfhealing.kube.resources import LEASES
from selfhealing.kube.server_clock import format_micro_time

logger = logging.getLogger(__name__)


class LostLeadershipError(RuntimeError):
    """This replica is no longer the leader; its process ends, so that it writes nothing more."""


@dataclass(frozen=True, slots=True)
class LeaderElectionConfig:
    """The Lease and its times.

    Attributes:
        namespace: the Lease's namespace.
        name: the Lease's name.
        identity: the holder identity of this replica.
        lease_duration: seconds after which a Lease that was not renewed expires.
        retry_period: seconds between two attempts to acquire or renew the Lease.
    """

    namespace: str
    name: str
    identity: str
    lease_duration: float
    retry_period: float

    @property
    def renew_deadline(self) -> float:
        """Seconds without a renewal after which a leader stops: two thirds of the duration."""
        return self.lease_duration * 2 / 3


class LeaderElector:
    """Acquires, renews and releases the Lease for this replica."""

    def __init__(
        self,
        client: Client,
        config: LeaderElectionConfig,
        clock: Callable[[], float],
        server_now: Callable[[], datetime],
    ) -> None:
        """``clock`` returns monotonic seconds; ``server_now`` the time for people to read."""
        self._client = client
        self._config = config
        self._clock = clock
        self._server_now = server_now
        self._observed_lease: tuple[str, float] = ("", float("-inf"))
        self._held_until = float("-inf")
        self._renewed_at = float("-inf")
        self._holder = ""
        self.is_leader = False

    async def acquire(self) -> None:
        """Wait until this replica is the leader."""
        # A response after the deadline does not count: the Lease may have expired meanwhile.
        while not await self._try_acquire_or_renew() or self._seconds_until_deadline() <= 0:
            remaining = self._held_until - self._clock()
            await asyncio.sleep(
                min(self._config.retry_period, remaining)
                if remaining > 0
                else self._config.retry_period
            )
        self.is_leader = True
        LEADER.set(1)
        logger.info("leading as %s", self._config.identity)

    async def renew(self) -> None:
        """Renew the Lease until that fails.

        Raises:
            LostLeadershipError: another replica may be the leader from now on.
        """
        while True:
            await asyncio.sleep(
                min(self._config.retry_period, max(0.0, self._seconds_until_deadline()))
            )
            # A request that hangs must not delay the stop.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_until_deadline()):
                    await self._try_acquire_or_renew()
            if self._seconds_until_deadline() <= 0 or self._is_held_by_other():
                self.is_leader = False
                LEADER.set(0)
                elapsed = self._clock() - self._renewed_at
                raise LostLeadershipError(f"the Lease was not renewed for {elapsed:.1f} s")

    async def release(self) -> None:
        """Release the Lease if this replica holds it, so that another one need not wait."""
        if not self.is_leader:
            return
        self.is_leader = False
        LEADER.set(0)
        try:
            lease = await self._client.get(LEASES, self._config.namespace, self._config.name)
            if lease and (lease.get("spec") or {}).get("holderIdentity") == self._config.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(LEASES, lease)
        except ApiError as error:
            logger.info("the Lease was not released: %s", error)

    def _seconds_until_deadline(self) -> float:
        """Return the seconds until the leader must stop, unless it renews the Lease."""
        return self._renewed_at + self._config.renew_deadline - self._clock()

    def _is_held_by_other(self) -> bool:
        return bool(self._holder) and self._holder != self._config.identity

    async def _try_acquire_or_renew(self) -> bool:
        """Acquire or renew the Lease; False if another replica holds it or the request failed."""
        try:
            lease = await self._client.get(LEASES, self._config.namespace, self._config.name)
            # The other replicas count from the write, which may be long before the response.
            requested_at = self._clock()
            if lease is None:
                await self._client.create(LEASES, self._build_lease(None))
            elif self._can_acquire(lease):
                await self._client.replace(LEASES, self._build_lease(lease))
            else:
                return False
        except ConflictError:  # another replica was faster
            return False
        except ApiError as error:
            logger.warning("the Lease could not be read or renewed: %s", error)
            return False
        self._holder = self._config.identity
        self._renewed_at = requested_at
        return True

    def _can_acquire(self, lease: dict[str, Any]) -> bool:
        """Whether the Lease is held by this replica, released or expired."""
        spec = lease.get("spec") or {}
        self._holder = spec.get("holderIdentity") or ""
        resource_version, observed_at = self._observed_lease
        if lease["metadata"]["resourceVersion"] != resource_version:
            observed_at = self._clock()
            self._observed_lease = (lease["metadata"]["resourceVersion"], observed_at)
        if self._holder in ("", self._config.identity):
            return True
        self._held_until = observed_at + float(
            spec.get("leaseDurationSeconds") or self._config.lease_duration
        )
        return self._clock() >= self._held_until

    def _build_lease(self, old: dict[str, Any] | None) -> dict[str, Any]:
        now = format_micro_time(self._server_now())
        spec: dict[str, Any] = dict(old.get("spec") or {}) if old else {}
        if spec.get("holderIdentity") != self._config.identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + (1 if old else 0)
        spec |= {
            "holderIdentity": self._config.identity,
            "leaseDurationSeconds": round(self._config.lease_duration),
            "renewTime": now,
        }
        metadata = (
            old["metadata"]
            if old
            else {"name": self._config.name, "namespace": self._config.namespace}
        )
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": spec,
        }
