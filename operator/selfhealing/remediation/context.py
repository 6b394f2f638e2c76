"""One app as the engine of healing sees it: what ails it, what is there, what people asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from selfhealing.api.healing_status import HealingStatus, Hold
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.config_hash import config_mark
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import Illness, illnesses
from selfhealing.health.assessment import Diagnosis
from selfhealing.health.attribution import Trial
from selfhealing.health.deadlines import Alarm
from selfhealing.health.memory_trend import Usage, warnings
from selfhealing.health.pod_problems import is_live
from selfhealing.health.rollout import template_hash
from selfhealing.health.termination_causes import Causes
from selfhealing.remediation.policy import Policy
from selfhealing.render.overrides import memory_limit, version
from selfhealing.render.pod import build_pod_template


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known from outside the app.

    Attributes:
        scale: what every time of healing is multiplied by.
        hold: why nothing may be done now.
        good_lost: the version to go back to is no longer kept.
        nodes_lost: so many nodes are silent, or nobody can tell how many, that none is given up.
        unkept: the version that is asked for cannot be kept, so it is not one to go back to.
        specimen_left: the pod that was kept long enough could not be deleted yet.
        evidence: where the evidence of actions is, by their id.
        usage: how much memory the pods used lately, by their uid.
    """

    scale: float = 1.0
    hold: Hold | None = None
    good_lost: bool = False
    nodes_lost: bool = False
    unkept: bool = False
    specimen_left: bool = False
    evidence: Mapping[int, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything besides the record and the time that a decision depends on.

    Attributes:
        version: the hash of the pod template that the spec asks for, and of its configuration.
        image: the image that the spec asks for.
        memory: the memory limit that the spec asks for; empty when there is none.
        illnesses: what ails the app, the gravest first.
        well: every pod that is wanted is there and ready, and nothing ails one of them; a warning
            does not count.
        idle: no pod is wanted.
        wanted: pods that are wanted.
        pods: those that live.
        approve: the annotation by which somebody approves of a proposal: its id.
        resume: the annotation by which somebody has healing begin anew: any text.
        held: somebody has paused the Deployment.
        recreates: a rollout stops all pods before it makes others.
        situation: what is known from outside the app.
    """

    version: str
    image: str
    memory: str = ""
    illnesses: tuple[Illness, ...] = ()
    well: bool = False
    idle: bool = False
    wanted: int = 1
    pods: tuple[PodView, ...] = ()
    approve: str = ""
    resume: str = ""
    held: bool = False
    recreates: bool = False
    situation: Situation = field(default_factory=Situation)

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(pod.ready for pod in self.pods)

    @property
    def uids(self) -> frozenset[str]:
        """The pods that live."""
        return frozenset(pod.uid for pod in self.pods)


@dataclass(frozen=True, slots=True)
class Examination:
    """What an app is examined with: the facts, what has been found, and what is remembered.

    ``in_step``: the Deployment is known to be what it should be, nothing stood in the way.
    """

    facts: Facts
    spec: SelfHealingAppSpec
    diagnosis: Diagnosis
    causes: Causes
    record: HealingStatus
    in_step: bool = False


def case_of(found: Examination, policy: Policy, situation: Situation, alarm: Alarm) -> Case:
    """The case of an app that is a Deployment."""
    facts, spec, diagnosis = found.facts, found.spec, found.diagnosis
    asked = version(facts.app.key.name, spec, config_mark(facts, spec))
    trial = _trial(found, asked, alarm.now)
    ill = illnesses(facts, diagnosis, found.causes, alarm, policy.thresholds, trial)
    rollout = diagnosis.rollout
    wanted = rollout.wanted if rollout else 0
    # What does not concern a pod that lives (one that a lost node never lets go, an autoscaler
    # without metrics) may last for days: it says nothing about the version that runs.
    is_free = not any(is_live(pod) for illness in ill for pod in illness.pods)
    is_well = rollout is not None and rollout.complete and diagnosis.worst is None and is_free
    # Only who may be given more memory is warned that it will be needed.
    soon = warnings(facts, situation.usage, policy.horizon) if policy.memory_max else ()
    return Case(
        version=asked,
        image=spec.image,
        memory=memory_limit(build_pod_template(facts.app.key.name, spec)),
        illnesses=(*ill, *soon),
        well=is_well and wanted > 0,
        idle=wanted == 0,
        wanted=wanted,
        pods=tuple(pod for pod in facts.pods if is_live(pod)),
        approve=facts.app.approve,
        resume=facts.app.resume,
        held=rollout is not None and rollout.held,
        recreates=_recreates(spec),
        situation=situation,
    )


def _trial(found: Examination, asked: str, now: datetime) -> Trial:
    """Whether the version that is asked for runs, and has yet to prove itself.

    Until the Deployment has taken up a change, the pods that are seen are not of that version. Once
    it is known to have done so, all pods of its current template are, however long ago they were
    made: the operator may have been away before it could write down since when.

    A Deployment that goes back to a ReplicaSet that it had has observed the change some time before
    it names that one (syncRolloutStatus in pkg/controller/deployment of Kubernetes 1.36). Its count
    of updated pods is then not that of the pods that seem to be current.
    """
    record, rollout = found.record, found.diagnosis.rollout
    since = record.template_since if record.template == asked else now
    is_open = asked not in {record.good_template, record.failed_template}
    return Trial(
        open=is_open and rollout is not None and rollout.observed and _named(found.facts),
        since=None if found.in_step else since,
        same_image=record.good_image == found.spec.image,
        returns=record.good_template is not None,
    )


def _recreates(spec: SelfHealingAppSpec) -> bool:
    strategy = (spec.rollout.strategy if spec.rollout else None) or {}
    return strategy.get("type") == "Recreate"


def _named(facts: Facts) -> bool:
    """Whether the template that the Deployment names is the one whose pods it counts."""
    current = template_hash(facts)
    live = sum(is_live(pod) and pod.template_hash == current for pod in facts.pods)
    return facts.deployment is not None and facts.deployment.updated_replicas == live
