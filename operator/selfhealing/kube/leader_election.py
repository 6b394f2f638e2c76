"""Leader election on a Lease: of several replicas one writes, the others watch and wait.

The rules are client-go's (tools/leaderelection): a lease that somebody else holds is respected
until it has not changed for its own duration by *this* process's monotonic clock, so clocks that
differ or jump do no harm; the leader gives up before the others take over; on a clean stop it
gives the lease back at once. The official Python client's election is not used, for reasons in
docs/decisions/0006-leader-election.md.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError
from selfhealing.kube.metrics import LEADER
from selfhealing.kube.resources import LEASES

logger = logging.getLogger(__name__)


class LostLeadershipError(RuntimeError):
    """This replica led and does not any more: it must stop writing at once, so it ends."""


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """Where the Lease is and its times in seconds.

    ``duration``: how long a silent leader is respected; ``renew``: how often it renews. A leader
    that could not renew for two thirds of ``duration`` gives up.
    """

    namespace: str
    name: str
    identity: str
    duration: float
    renew: float

    @property
    def deadline(self) -> float:
        """Seconds without renewal after which a leader gives up."""
        return self.duration * 2 / 3


class Election:
    """Takes part in the election."""

    def __init__(self, client: Client, rules: LeaseRules, clock: Callable[[], float]) -> None:
        self._client = client
        self._rules = rules
        self._clock = clock
        self._seen: tuple[str, float] = ("", float("-inf"))
        self._void = float("-inf")
        self._renewed = float("-inf")
        self._holder = ""
        self.leads = False

    async def wait(self) -> None:
        """Wait until this replica leads."""
        # An answer that came too late is as good as none.
        while not await self._try() or self._left() <= 0:
            void = self._void - self._clock()
            await asyncio.sleep(min(self._rules.renew, void) if void > 0 else self._rules.renew)
        self.leads = True
        LEADER.set(1)
        logger.info("leading as %s", self._rules.identity)

    async def keep(self) -> None:
        """Renew the lease, for as long as that works.

        Raises:
            LostLeadershipError: another replica may lead from now on.
        """
        while True:
            await asyncio.sleep(min(self._rules.renew, max(0.0, self._left())))
            # A renewal that hangs must not outlive the deadline.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._left()):
                    await self._try()
            if self._left() <= 0 or self._taken():
                self.leads = False
                LEADER.set(0)
                late = self._clock() - self._renewed
                raise LostLeadershipError(f"the lease was not renewed for {late:.1f} s")

    async def release(self) -> None:
        """Give the lease back, if it is held, so that another replica need not wait."""
        if not self.leads:
            return
        self.leads = False
        LEADER.set(0)
        try:
            lease = await self._client.get(LEASES, self._rules.namespace, self._rules.name)
            if lease and (lease.get("spec") or {}).get("holderIdentity") == self._rules.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(LEASES, lease)
        except ApiError as error:
            logger.info("the lease was not given back: %s", error)

    def _left(self) -> float:
        """Seconds until a leader must give up, unless it renews."""
        return self._renewed + self._rules.deadline - self._clock()

    def _taken(self) -> bool:
        return bool(self._holder) and self._holder != self._rules.identity

    async def _try(self) -> bool:
        """Take or renew the lease; False when somebody else holds it or the server is away."""
        try:
            lease = await self._client.get(LEASES, self._rules.namespace, self._rules.name)
            # The others count from the write, which may be long before its answer.
            asked = self._clock()
            if lease is None:
                await self._client.create(LEASES, self._lease(None))
            elif self._free(lease):
                await self._client.replace(LEASES, self._lease(lease))
            else:
                return False
        except ConflictError:  # another replica was faster
            return False
        except ApiError as error:
            logger.warning("the lease could not be read or renewed: %s", error)
            return False
        self._holder = self._rules.identity
        self._renewed = asked
        return True

    def _free(self, lease: dict[str, Any]) -> bool:
        """Whether the lease is ours, given back, or silent for longer than it is good for."""
        spec = lease.get("spec") or {}
        self._holder = spec.get("holderIdentity") or ""
        version, since = self._seen
        if lease["metadata"]["resourceVersion"] != version:
            since = self._clock()
            self._seen = (lease["metadata"]["resourceVersion"], since)
        if self._holder in ("", self._rules.identity):
            return True
        self._void = since + float(spec.get("leaseDurationSeconds") or self._rules.duration)
        return self._clock() >= self._void

    def _lease(self, old: dict[str, Any] | None) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: dict[str, Any] = dict(old.get("spec") or {}) if old else {}
        if spec.get("holderIdentity") != self._rules.identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + (1 if old else 0)
        spec |= {
            "holderIdentity": self._rules.identity,
            "leaseDurationSeconds": round(self._rules.duration),
            "renewTime": now,
        }
        metadata = (
            old["metadata"]
            if old
            else {"name": self._rules.name, "namespace": self._rules.namespace}
        )
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": spec,
        }
