"""What healing needs from outside the app, and what has to be there before a record is written.

The decisions are ``heal.decision``'s, the steps ``heal.plan``'s; ``runtime.hands`` carries them
out. The order is what makes it safe: an action is written as Started, then its evidence is taken,
then it is carried out; a version is kept, then the status says so, then the one before goes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from selfhealing.api.healing_status import HealingStatus, Hold
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.config_hash import config_mark
from selfhealing.cache.parse import version as version_in
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, ChildView, DeploymentView, PodView
from selfhealing.controller.action_executor import Hands
from selfhealing.controller.evidence_collector import Witness
from selfhealing.controller.memory_metrics import MemoryUsage
from selfhealing.controller.node_health import Census
from selfhealing.controller.revision_store import Keeper, RefusedError
from selfhealing.controller.settings import Settings
from selfhealing.controller.unhealthy_apps import Ward, count
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.pod_problems import is_live, is_lost
from selfhealing.kube.client import Client
from selfhealing.kube.errors import UnavailableError
from selfhealing.kube.resources import CHILDREN, PODS, Resource
from selfhealing.remediation import history, policy as modes
from selfhealing.remediation.actions import due, farewell, overrides, plan
from selfhealing.remediation.circuit_breaker import too_many_lost
from selfhealing.remediation.context import Situation
from selfhealing.remediation.engine import fresh
from selfhealing.remediation.policy import Policy, policy
from selfhealing.render.overrides import Overrides, version
from selfhealing.render.pod import build_pod_template, runs_to_its_end

Json = dict[str, Any]

AGAIN: Final = 5.0
"""Seconds until something is looked at again that no watch tells of: a storm, lost nodes."""

OUTSIDE: Final = frozenset({Hold.STARTING_UP, Hold.STORM, Hold.NODES_LOST, Hold.STALE_FACTS})
"""Reasons to wait that end without any news of the app."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What one reconcile goes by: what stands in place of the spec, and the situation."""

    overrides: Overrides
    situation: Situation


class Healer:
    """Healing's memory between reconciles, and its eyes for what no watch shows.

    Nothing that it remembers is needed: a new process begins without it.

    Attributes:
        usage: what the pods use; it has to be run.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._queue = queue
        self._scale = settings.healing_scale
        self._quiet = settings.healing_quiet * settings.healing_scale
        self._clock = clock
        self._begun = clock()
        self._hands = Hands(client, store, queue, clock)
        self._keeper = Keeper(client, clock)
        self._witness = Witness(client)
        self._census = Census(client, clock)
        self._ward = Ward(store)
        self.usage = MemoryUsage(client, store, queue, self._scale, clock)
        self._stale: dict[AppKey, tuple[str, int]] = {}
        """By app, the uid and the version of what was known of an object that has changed."""

    def begin(self) -> None:
        """Begin the quiet time: this process is the one that acts from now on."""
        self._begun = self._clock()

    async def prepare(
        self, facts: Facts, spec: SelfHealingAppSpec, record: HealingStatus | None, now: datetime
    ) -> Preparation:
        """Carry out what the ``record`` asks for, and gather what the next decision needs.

        Raises:
            UnavailableError: the API server is out of reach; or what stands in place of the spec
                cannot be read, so that nothing can be said of what should be there.
        """
        record = record or fresh()
        if runs_to_its_end(spec):
            await self._hands.carry_out(facts.app, farewell(record))
            return Preparation(Overrides(), Situation(scale=self._scale))
        limits = policy(spec, self._scale)
        asked = version(facts.app.key.name, spec, config_mark(facts, spec))
        kept, hold = await self._kept(facts, record, asked, limits)
        evidence = await self._witness.see(facts, spec, record, kept, now)
        steps = plan(due(record, asked, limits, now), facts, now)
        undone = await self._hands.carry_out(facts.app, steps)
        wait = self._keeper.wait(facts.app, asked)
        if wait:
            self._queue.add(facts.app.key, wait)
        lost = any(is_live(pod) and is_lost(pod) for pod in facts.pods)
        situation = Situation(
            scale=self._scale,
            hold=hold or self._hold(facts),
            good_lost=hold is None and kept is None and _may_go_back(record, asked, limits),
            nodes_lost=lost and await self._many_lost(),
            unkept=wait > 0,
            specimen_left=record.quarantine is not None and record.quarantine.uid in undone,
            evidence=evidence,
            usage=self.usage.of(facts),
        )
        return Preparation(overrides(record, kept), situation)

    async def confirm(
        self, facts: Facts, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Whether an action that is to be started now was decided by what is still so.

        If not, nothing is started until the watch has brought what has changed.
        """
        action = history.running(after) if after else None
        known = history.running(before) if before else None
        if action is None or (known is not None and known.id == action.id):
            return True
        seen: list[tuple[Resource, PodView | DeploymentView]] = []
        seen += [(PODS, pod) for pod in facts.pods if pod.uid == action.uid]
        if facts.deployment is not None:
            seen.append((CHILDREN["Deployment"], facts.deployment))
        for resource, view in seen:
            raw = await self._client.get(resource, facts.app.key.namespace, view.name)
            if raw is None or version_in(raw["metadata"]) != view.resource_version:
                self._stale[facts.app.key] = view.uid, view.resource_version
                return False
        return True

    async def keep(
        self,
        facts: Facts,
        spec: SelfHealingAppSpec,
        before: HealingStatus | None,
        after: HealingStatus | None,
    ) -> bool:
        """Keep the template of a version that has proved itself, before the status says so.

        Returns:
            False when it cannot be kept; then the status must not say so, and no decision will,
            until it is tried again.
        """
        good = after.good_template if after else None
        if after is None or good is None or good == (before.good_template if before else None):
            return True
        template = build_pod_template(facts.app.key.name, spec, config_mark(facts, spec))
        # With the memory that made it work, but not with what keeps it away from a node of today.
        standing = replace(overrides(after, None), avoid="")
        return await self._keeper.keep(facts.app, good, standing.over(template))

    async def stored(
        self, facts: Facts, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Take in that a record was stored: what it says is new is counted, what is old goes."""
        if after is None:
            return
        count(before, after)
        old = before.good_template if before else None
        if old is not None and after.good_template not in {None, old}:
            await self._keeper.forget(facts.app, old)

    def note(self, key: AppKey, record: HealingStatus | None, *, ailing: bool) -> float | None:
        """Take in how an app is; returns in how many seconds to look again, if nothing happens.

        The ``record`` is None where healing has nothing to do with it: a Job, or one at rest.
        ``ailing`` as in ``status.report.Report``.
        """
        self._ward.note(key, record, ailing=ailing)
        return AGAIN if record is not None and record.hold in OUTSIDE else None

    def forget(self, key: AppKey) -> None:
        """The app is gone."""
        self._ward.forget(key)
        self._hands.forget(key)
        self._stale.pop(key, None)
        self._witness.forget(key)

    def _hold(self, facts: Facts) -> Hold | None:
        key = facts.app.key
        stale = self._stale.get(key)
        if stale is not None:
            seen: tuple[PodView | ChildView, ...] = (*facts.pods, *facts.children.values())
            if stale in {(view.uid, view.resource_version) for view in seen}:
                return Hold.STALE_FACTS
            del self._stale[key]
        if self._clock() < self._begun + self._quiet:
            return Hold.STARTING_UP
        return Hold.STORM if self._ward.storm else None

    async def _kept(
        self, facts: Facts, record: HealingStatus, asked: str, limits: Policy
    ) -> tuple[Json | None, Hold | None]:
        """The template to go back to, if there is one; with a hold where nobody can tell."""
        good = record.good_template
        if good is None or not _may_go_back(record, asked, limits):
            return None, None
        try:
            return await self._keeper.load(facts.app, good), None
        except RefusedError as error:
            if record.failed_template is None:
                return None, Hold.STALE_FACTS
            message = f"version {good}, which runs, cannot be read: {error}"
            raise UnavailableError(0, "", message) from error

    async def _many_lost(self) -> bool:
        found = await self._census.look()
        return found is None or too_many_lost(len(found.silent), found.total)


def _may_go_back(record: HealingStatus, asked: str, limits: Policy) -> bool:
    """Whether there is another version than the one that is ``asked`` for, to go back to."""
    return record.good_template not in {None, asked} and limits.mode != modes.OFF
