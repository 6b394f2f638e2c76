"""Everything that is found out about one app: where its rollout stands and what ails its pods."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from selfhealing.api.names import DEPLOYMENT
from selfhealing.cache.child_views import DEADLINE
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.deadlines import Alarm
from selfhealing.health.job_failures import last_failure, stopped_early
from selfhealing.health.job_run import Run, run
from selfhealing.health.pod_problems import NODE, Ailment, ailments
from selfhealing.health.rollout import Rollout, rollout, template_hash
from selfhealing.health.termination_causes import Causes

PODLESS_GRACE: Final = timedelta(seconds=30)
"""How long a Job may have no pod at all before that is a fault."""

REJECTED_WITHIN: Final = timedelta(minutes=10)
"""A failed pod that was made within this time counts as turned away. What a node evicts later
leaves failed pods behind that say nothing about the pods of today."""

REJECTED_PODS: Final = 2
"""So many make a fault: a single one is replaced, and that is that."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is found: ``current`` ails pods of the current template, ``old`` those of former ones.

    ``workload`` is what the spec asks for. ``rejected`` says why nodes turn new pods away; empty
    when they do not. An app has either a ``rollout`` or a ``run``; of that, ``failure`` is why its
    latest pod failed, ``stopped`` a pod that counts as a success although a probe stopped it;
    ``podless``: nobody makes pods for it.
    """

    workload: str
    rollout: Rollout | None
    current: tuple[Ailment, ...]
    old: tuple[Ailment, ...]
    rejected: str
    run: Run | None = None
    failure: Ailment | None = None
    stopped: Ailment | None = None
    podless: bool = False

    @property
    def worst(self) -> Ailment | None:
        """The gravest ailment, those of the current template first."""
        return next(iter((*self.current, *self.old)), None)

    @property
    def ailing(self) -> bool:
        """Whether pods have something of their own, for however short a time; a lost node is not.

        A pod that only starts ails from nothing.
        """
        return any(found.reason != NODE for found in (*self.current, *self.old))


def diagnose(
    facts: Facts, causes: Causes, alarm: Alarm, workload: str = DEPLOYMENT, ended: Run | None = None
) -> Diagnosis:
    """Examine one app.

    Args:
        facts: what is.
        causes: why containers ended.
        alarm: the time.
        workload: DEPLOYMENT or JOB, as the spec asks for.
        ended: the run of a Job that is gone.
    """
    deadline = facts.deployment.progress_deadline_seconds if facts.deployment else DEADLINE
    found = ailments(facts.pods, causes, alarm, timedelta(seconds=deadline))
    current = template_hash(facts)
    return Diagnosis(
        workload=workload,
        rollout=rollout(facts),
        current=tuple(a for a in found if a.template_hash in {"", current}),
        old=tuple(a for a in found if a.template_hash not in {"", current}),
        rejected=_rejected(facts.pods, alarm),
        run=run(facts) or ended,
        failure=last_failure(facts, causes),
        stopped=stopped_early(facts, causes),
        podless=_podless(facts, alarm),
    )


def _podless(facts: Facts, alarm: Alarm) -> bool:
    """Whether a Job has had no pod for a while: a Job does not say that its pods are refused."""
    job = facts.job
    if job is None or job.started_at is None:
        return False
    if any(pod.template_hash == job.uid for pod in facts.pods):
        return False
    return alarm.passed(job.started_at + PODLESS_GRACE)


def _rejected(pods: Iterable[PodView], alarm: Alarm) -> str:
    lately = [
        pod
        for pod in pods
        if pod.phase == "Failed" and pod.created and not alarm.passed(pod.created + REJECTED_WITHIN)
    ]
    if len(lately) < REJECTED_PODS:
        return ""
    counted = Counter(pod.reason or "Failed" for pod in lately)
    reason = min(counted, key=lambda name: (-counted[name], name))
    message = min(pod.message for pod in lately if (pod.reason or "Failed") == reason)
    return f"{reason}, {messages.first_sentence(message)}" if message else reason
