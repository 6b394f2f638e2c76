"""An operator that heals the app of a `Cluster`, and that can be killed at any moment.

What it knows after that is the resource alone. It does what the reconciler does, in the same order:
carry out what the record asks for, apply the Deployment, decide, write the record.
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from selfhealing.api.healing_status import HealingStatus, Hold
from selfhealing.api.spec import SelfHealingAppSpec, parse
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import AppView
from selfhealing.health.assessment import diagnose
from selfhealing.health.deadlines import Alarm
from selfhealing.health.termination_causes import Causes
from selfhealing.remediation import history
from selfhealing.remediation.actions import Step, due, overrides, plan
from selfhealing.remediation.context import Case, Examination, Situation, case_of
from selfhealing.remediation.engine import decide, fresh
from selfhealing.remediation.policy import policy
from selfhealing.render.overrides import version
from tests.unit import builders
from tests.unit.remediation.sim_cluster import LIMIT, Cluster, Template
from tests.unit.snapshots import KEY

MOST: Final = "300Mi"
FALLBACK: Final = 5

Json = dict[str, Any]


@dataclass
class App:
    """The resource: what people write, and what the operator has written."""

    image: str = "v1"
    healing: Json = field(default_factory=dict)
    approve: str = ""
    resume: str = ""
    rv: int = 1
    record: Json | None = None

    def spec(self) -> SelfHealingAppSpec:
        """The spec as the operator reads it."""
        return _spec(self.image, orjson.dumps(self.healing))


@cache
def _spec(image: str, healing: bytes) -> SelfHealingAppSpec:
    more = {"memory": {"max": MOST}, "scalingFallback": {"replicas": FALLBACK}}
    return parse(
        {
            "image": image,
            "port": 5000,
            "resources": {"limits": {"memory": LIMIT}},
            "healing": {**more, **orjson.loads(healing)},
        }
    )


@cache
def version_of(image: str) -> str:
    """The version that a spec with this image asks for."""
    return version(builders.APP, _spec(image, b"{}"))


class Look(NamedTuple):
    """What one look was made of: for whoever checks it."""

    before: HealingStatus
    after: HealingStatus
    case: Case
    app: App
    now: float


class Operator:
    """One process after another. ``killed_at`` names the moments at which it can die."""

    MOMENTS: Final = ("plan", "step", "apply", "write", "written")

    def __init__(self, cluster: Cluster, app: App) -> None:
        self.cluster = cluster
        self.app = app
        self.kept: dict[str, Template] = {}
        self.steps: list[tuple[HealingStatus, Facts, Step]] = []
        self.skew = 0.0
        self.hold: Hold | None = None
        self.many_lost = False
        self.again: float | None = None
        self.restart()

    @property
    def now(self) -> float:
        """The time by the operator's clock."""
        return self.cluster.clock + self.skew

    def restart(self) -> None:
        """A new process has listed everything."""
        self.known = replace(self.app)

    def look(self, seen: Facts | None = None, dies: str = "") -> Look | None:
        """Reconcile once; returns what was written, if anything was.

        Args:
            seen: older facts, by which it goes.
            dies: the moment at which it is killed, and started again.
        """
        written = self._reconcile(seen, dies)
        if dies:
            self.restart()
        return written

    def _reconcile(self, seen: Facts | None, dies: str) -> Look | None:
        app, cluster = replace(self.known), self.cluster
        spec = app.spec()
        asked = version(builders.APP, spec)
        facts = replace(seen or cluster.facts(view(app)), app=view(app))
        before = read(app.record)
        if dies == "plan":
            return None
        good = before.good_template
        kept = None if good in {None, asked} else self.kept.get(str(good))
        now = builders.at(self.now)
        for step in plan(due(before, asked, policy(spec), now), facts, now):
            self.steps.append((before, facts, step))
            cluster.carry_out(step)
            if dies == "step":
                return None
        standing = overrides(before, {} if kept else None)
        base = kept if kept and standing.template is not None else Template(app.image)
        wanted = Template(base.image, standing.memory or base.memory)
        applied = cluster.apply(wanted, standing.min_replicas)
        if applied or dies == "apply":
            return None  # the status is written when Kubernetes had time to answer
        facts = replace(seen or cluster.facts(view(app)), app=view(app))
        situation = Situation(
            hold=self.hold,
            good_lost=kept is None and good not in {None, asked},
            nodes_lost=self.many_lost,
        )
        case, after = self.decided(facts, before, situation)
        if store(after) == app.record or dies == "write":
            return None
        if not self._confirmed(facts, before, after) or self.app.rv != app.rv:
            self.known = replace(self.app)
            return None
        if after.good_template not in {None, before.good_template}:
            memory = overrides(after, None).memory
            self.kept[str(after.good_template)] = Template(app.image, memory)
        self.app.record = store(after)
        self.app.rv = cluster.news()
        self.known = replace(self.app)
        return Look(before, read(self.app.record), case, app, self.now)

    def decided(
        self, facts: Facts, record: HealingStatus, situation: Situation
    ) -> tuple[Case, HealingStatus]:
        """What the engine says; it says the same when it is asked again."""
        spec = self.known.spec()
        limits = policy(spec)

        def once() -> tuple[Case, HealingStatus, float | None]:
            alarm, causes = Alarm(builders.at(self.now)), Causes()
            diagnosis = diagnose(facts, causes, alarm)
            found = Examination(facts, spec, diagnosis, causes, record, in_step=True)
            case = case_of(found, limits, situation, alarm)
            return case, decide(record, case, limits, alarm), alarm.delay

        case, after, self.again = once()

        assert (case, after, self.again) == once()

        return case, after

    def _confirmed(self, facts: Facts, before: HealingStatus, after: HealingStatus) -> bool:
        """Whether what is to be started was decided by what is still so."""
        action, known = history.running(after), history.running(before)
        if action is None or (known is not None and known.id == action.id):
            return True
        live = self.cluster.facts(facts.app)
        target = [pod.resource_version for pod in facts.pods if pod.uid == action.uid]
        found = [pod.resource_version for pod in live.pods if pod.uid == action.uid]
        return target == found and facts.deployment == live.deployment


def read(record: Json | None) -> HealingStatus:
    """The record as it is read from the resource."""
    if record is None:
        return fresh()
    return HealingStatus.model_validate(record, by_alias=True, by_name=False)


def store(record: HealingStatus) -> Json:
    """The record as it stands in the resource."""
    stored: Json = orjson.loads(
        orjson.dumps(record.model_dump(mode="json", by_alias=True, exclude_none=True))
    )
    return stored


def view(app: App) -> AppView:
    """The resource as it is observed."""
    return AppView(
        key=KEY,
        uid=builders.APP_UID,
        resource_version=app.rv,
        generation=1,
        deleting=False,
        approve=app.approve,
        resume=app.resume,
        spec=b"",
        status=b"",
    )
