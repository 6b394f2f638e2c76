"""Carries out what healing has decided, and knows what a decision needs from outside the app.

The decisions are ``heal.decision``'s, the steps ``heal.plan``'s. Each step has a precondition that
the API server checks: the pod is still the one that was seen.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.healing_status import HealingStatus, Hold
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.heal import ledger
from selfhealing.heal.ailments import is_live, is_lost
from selfhealing.heal.breaker import is_storm, too_many_lost
from selfhealing.heal.case import Situation
from selfhealing.heal.plan import (
    Delete,
    Evict,
    Isolate,
    Resize,
    Step,
    overrides,
    plan,
    unwitnessed,
    witness,
)
from selfhealing.observe.facts import Facts
from selfhealing.observe.parse import pod_view, version as version_in
from selfhealing.observe.store import Store
from selfhealing.observe.views import AppKey, AppView, PodView
from selfhealing.render.overrides import Overrides, raised, version
from selfhealing.render.pod import build_pod_template, runs_to_its_end
from selfhealing.runtime import metrics
from selfhealing.runtime.access import CHILDREN, PODS
from selfhealing.runtime.census import Census
from selfhealing.runtime.client import Client
from selfhealing.runtime.errors import ApiError, ConflictError, NotFoundError, UnavailableError
from selfhealing.runtime.evidence import EvidenceRoom
from selfhealing.runtime.keeper import Keeper
from selfhealing.runtime.queue import WorkQueue
from selfhealing.runtime.settings import Settings

logger = logging.getLogger(__name__)

Json = dict[str, Any]

AGAIN: Final = 5.0
"""Seconds until something is looked at again that no watch tells of: a storm, a budget of pods."""

RECENT: Final = timedelta(minutes=5)
"""How long after an app was left to people its evidence is still worth taking."""

OUTSIDE: Final = frozenset({Hold.STARTING_UP, Hold.STORM, Hold.NODES_LOST, Hold.STALE_FACTS})
"""Reasons to wait that end without any news of the app."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What one reconcile goes by: what stands in place of the spec, and the situation."""

    overrides: Overrides
    situation: Situation


class Healer:
    """The hands of healing."""

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._scale = settings.healing_scale
        self._quiet = settings.healing_quiet * settings.healing_scale
        self._clock = clock
        self._begun = clock()
        self._keeper = Keeper(client)
        self._evidence = EvidenceRoom(client)
        self._census = Census(client, clock)
        self._ill: set[AppKey] = set()
        self._stale: dict[AppKey, int] = {}
        self._witnessed: dict[AppKey, tuple[int, str | None]] = {}
        self._short: set[AppKey] = set()

    def begin(self) -> None:
        """Begin the quiet time: this process is the one that acts from now on."""
        self._begun = self._clock()

    async def prepare(
        self, facts: Facts, spec: SelfHealingAppSpec, record: HealingStatus | None, now: datetime
    ) -> Preparation:
        """Carry out what the ``record`` asks for, and gather what the next decision needs.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        if record is None or runs_to_its_end(spec):
            return Preparation(Overrides(), self._situation(facts, good_lost=False, lost=False))
        kept = await self._kept(facts.app, spec, record)
        standing = overrides(record, kept)
        evidence = await self._witness(facts, spec, record, kept, now)
        for step in plan(record, facts, now):
            await self._attempt(facts.app.key, self._carry_out(facts.app, step))
        lost = any(is_live(pod) and is_lost(pod) for pod in facts.pods)
        situation = self._situation(
            facts,
            good_lost=kept is None and record.good_template not in {None, _asked(facts, spec)},
            lost=lost and await self._many_lost(),
            evidence=evidence,
        )
        return Preparation(standing, situation)

    async def confirm(
        self, facts: Facts, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Whether an action that is to be started now was decided by what is still so."""
        action = ledger.running(after) if after else None
        known = ledger.running(before) if before else None
        if action is None or (known is not None and known.id == action.id):
            return True
        key, deployment = facts.app.key, facts.deployment
        seen: list[tuple[Any, str, int]] = []
        if deployment is not None:
            seen.append((CHILDREN["Deployment"], deployment.name, deployment.resource_version))
        seen += [
            (PODS, pod.name, pod.resource_version) for pod in facts.pods if pod.uid == action.uid
        ]
        for resource, name, known_version in seen:
            raw = await self._client.get(resource, key.namespace, name)
            if raw is None or version_in(raw["metadata"]) != known_version:
                self._stale[key] = _newest(facts)
                return False
        return True

    async def keep(
        self,
        facts: Facts,
        spec: SelfHealingAppSpec,
        before: HealingStatus | None,
        after: HealingStatus | None,
    ) -> None:
        """Keep the template of a version that has proved itself, before the status says so."""
        if after is None or after.good_template is None:
            return
        old = before.good_template if before else None
        if after.good_template == old:
            return
        template = build_pod_template(facts.app.key.name, spec)
        body = overrides(after, None).over(template)
        await self._keeper.keep(facts.app, after.good_template, body)
        if old is not None:
            await self._attempt(facts.app.key, self._keeper.forget(facts.app, old))

    def note(self, key: AppKey, after: HealingStatus | None) -> float | None:
        """Take in how an app is; returns in how many seconds to look again, if nothing happens."""
        acting = after is not None and ledger.running(after) is not None
        if after is not None and (after.diagnoses or acting):
            self._ill.add(key)
        else:
            self._ill.discard(key)
        metrics.BREAKER.set(self._is_storm())
        return AGAIN if after is not None and after.hold in OUTSIDE else None

    def count(self, key: AppKey, before: HealingStatus | None, after: HealingStatus | None) -> None:
        """Count what was written, for /metrics."""
        if after is None:
            return
        known = {action.id: action.outcome for action in before.history} if before else {}
        ailed = {found.type for found in before.diagnoses} if before else set()
        for action in after.history:
            if known.get(action.id) is not action.outcome:
                metrics.ACTIONS.labels(action.remedy, action.outcome).inc()
        for found in after.diagnoses:
            if found.type not in ailed:
                metrics.DIAGNOSES.labels(found.type, found.cause).inc()
        self._count_budget(key, after)

    def forget(self, key: AppKey) -> None:
        """The app is gone."""
        self._ill.discard(key)
        self._stale.pop(key, None)
        self._witnessed.pop(key, None)
        if key in self._short:
            self._short.discard(key)
            metrics.BUDGET_LEFT.remove(key.namespace, key.name)

    def _count_budget(self, key: AppKey, after: HealingStatus) -> None:
        """A time series only for apps that have spent some of their budget."""
        spent = any(action.outcome in ledger.COUNTED for action in after.history)
        if spent:
            self._short.add(key)
            metrics.BUDGET_LEFT.labels(key.namespace, key.name).set(after.budget_left)
        elif key in self._short:
            self._short.discard(key)
            metrics.BUDGET_LEFT.remove(key.namespace, key.name)

    def _is_storm(self) -> bool:
        return is_storm(len(self._ill), len(self._store.keys()))

    def _situation(
        self,
        facts: Facts,
        *,
        good_lost: bool,
        lost: bool,
        evidence: Mapping[int, str] | None = None,
    ) -> Situation:
        return Situation(
            scale=self._scale,
            hold=self._hold(facts),
            good_lost=good_lost,
            nodes_lost=lost,
            evidence=evidence or {},
        )

    def _hold(self, facts: Facts) -> Hold | None:
        key = facts.app.key
        if self._stale.get(key) == _newest(facts):
            return Hold.STALE_FACTS
        self._stale.pop(key, None)
        if self._clock() < self._begun + self._quiet:
            return Hold.STARTING_UP
        return Hold.STORM if self._is_storm() else None

    async def _kept(
        self, app: AppView, spec: SelfHealingAppSpec, record: HealingStatus
    ) -> Json | None:
        """The template to go back to, where what is asked for has yet to prove itself."""
        good = record.good_template
        if good is None or good == version(app.key.name, spec):
            return None
        return await self._keeper.load(app, good)

    async def _many_lost(self) -> bool:
        count = await self._census.look()
        return count is None or too_many_lost(len(count.silent), count.total)

    async def _witness(
        self,
        facts: Facts,
        spec: SelfHealingAppSpec,
        record: HealingStatus,
        kept: Json | None,
        now: datetime,
    ) -> Mapping[int, str]:
        """Take the evidence of a decision, once; returns where it is."""
        action = unwitnessed(record, now - RECENT)
        if action is None:
            return {}
        key = facts.app.key
        if self._witnessed.get(key, (-1, None))[0] != action.id:
            pod = witness(action, facts)
            wanted = build_pod_template(key.name, spec) if kept else None
            place = await self._evidence.take(
                facts.app, action, pod.name if pod else None, wanted, kept
            )
            self._witnessed[key] = action.id, place
        place = self._witnessed[key][1]
        return {action.id: place} if place else {}

    async def _attempt(self, key: AppKey, step: Awaitable[None]) -> None:
        """Carry out a step; what is refused is said, and tried again while it is asked for."""
        try:
            await step
        except NotFoundError:
            logger.debug("%s: gone already", key)
        except ConflictError as error:  # it has changed: the watch will bring it
            logger.debug("%s: %s", key, error)
            self._queue.add(key, 1.0)
        except UnavailableError:
            raise
        except ApiError as error:
            logger.warning("%s: a step of healing was refused: %s", key, error)
            self._queue.add(key, AGAIN)

    async def _carry_out(self, app: AppView, step: Step) -> None:
        key = app.key
        if isinstance(step, Evict):
            await self._evict(key, step.pod)
        elif isinstance(step, Delete):
            logger.warning("%s: deletes pod %s: %s", key, step.name, step.why)
            await self._client.delete(PODS, key.namespace, step.name, step.uid)
        elif isinstance(step, Resize):
            await self._resize(key, step.pod, step.limit)
        else:
            await self._isolate(app, step)

    async def _evict(self, key: AppKey, pod: PodView) -> None:
        logger.warning("%s: evicts pod %s", key, pod.name)
        if not await self._client.evict(key.namespace, pod.name, pod.uid, pod.resource_version):
            logger.info("%s: a PodDisruptionBudget keeps pod %s for now", key, pod.name)
            self._queue.add(key, AGAIN)

    async def _resize(self, key: AppKey, pod: PodView, limit: str) -> None:
        raw = await self._client.get(PODS, key.namespace, pod.name)
        if raw is None or raw["metadata"]["uid"] != pod.uid:
            return
        main = next(c for c in raw["spec"]["containers"] if c["name"] == names.CONTAINER_NAME)
        resources = raised(main.get("resources") or {}, limit)
        patch = {"spec": {"containers": [{"name": names.CONTAINER_NAME, "resources": resources}]}}
        logger.warning("%s: gives pod %s a memory limit of %s", key, pod.name, limit)
        self._store.put_pod(
            key, pod_view(await self._client.resize(key.namespace, pod.name, patch))
        )

    async def _isolate(self, app: AppView, step: Isolate) -> None:
        """Take a pod out of the app: its ReplicaSet makes another, and the app keeps this one."""
        key, pod = app.key, step.pod
        patch = {
            "metadata": {
                "uid": pod.uid,
                "resourceVersion": str(pod.resource_version),
                "labels": {names.LABEL_APP: None, names.LABEL_QUARANTINED: key.name},
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": names.KIND,
                        "name": key.name,
                        "uid": app.uid,
                    }
                ],
            }
        }
        logger.warning("%s: keeps pod %s apart, to be looked at", key, pod.name)
        raw = await self._client.merge(PODS, key.namespace, pod.name, patch)
        self._store.drop_pod(pod.uid, version_in(raw["metadata"]))


def _asked(facts: Facts, spec: SelfHealingAppSpec) -> str:
    return version(facts.app.key.name, spec)


def _newest(facts: Facts) -> int:
    """The newest version of what an action is decided by."""
    deployment = facts.deployment
    versions = [pod.resource_version for pod in facts.pods]
    return max([*versions, deployment.resource_version if deployment else 0])
