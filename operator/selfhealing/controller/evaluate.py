"""The whole report of one reconcile: the status block and the Events that go with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.names import DEPLOYMENT, JOB
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.api.spec import JobSpec, SelfHealingAppSpec
from selfhealing.api.status import SelfHealingAppStatus, read
from selfhealing.apply.result import HARMLESS, Outcome
from selfhealing.cache.snapshot import Facts
from selfhealing.health.assessment import diagnose
from selfhealing.health.deadlines import Alarm
from selfhealing.health.job_run import Asked, asked, recorded, remembered
from selfhealing.health.pod_problems import is_live
from selfhealing.remediation.context import Examination, Situation, case_of
from selfhealing.remediation.engine import decide, fresh
from selfhealing.remediation.policy import policy
from selfhealing.render.deployment import guaranteed
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner
from selfhealing.render.pod import runs_to_its_end
from selfhealing.status import restarts, sentences, vpa
from selfhealing.status.conditions import conditions, findings
from selfhealing.status.event import Notice
from selfhealing.status.events import transitions
from selfhealing.status.phase import judge
from selfhealing.status.pods import pod_statuses
from selfhealing.status.remediation import last_heal, overlaid, story
from selfhealing.status.restarts import Restart

NOWHERE: Final = Situation()
"""Nothing is known from outside the app, and nothing stands in the way."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be written: the status, its difference to the stored one, and Events.

    ``patch`` is a JSON merge patch of the status; when it is empty there is nothing to tell either.
    ``ailing``: pods have something of their own, be it for a moment only (``Diagnosis.ailing``).
    ``again``: in how many seconds the report may be another although nothing happens, if ever.
    """

    status: SelfHealingAppStatus
    patch: Mapping[str, Any]
    notices: tuple[Notice, ...]
    restarts: tuple[Restart, ...]
    ailing: bool
    again: float | None


def report(
    facts: Facts,
    spec: SelfHealingAppSpec | None,
    outcome: Outcome,
    now: datetime,
    situation: Situation = NOWHERE,
) -> Report:
    """Describe the app, and decide what is to be done for it.

    Args:
        facts: what is, after the outcome's changes.
        spec: what is wanted; None when it cannot be read, which ``outcome`` then says.
        outcome: what the reconcile did and met.
        now: for what depends on time, and the conditions that change their status.
        situation: what healing has to know from outside the app.
    """
    stored: dict[str, Any] = orjson.loads(facts.app.status)
    before = read(stored)
    paused = spec is not None and spec.paused
    alarm = Alarm(now)
    causes = restarts.causes(before.restarts, facts)
    counted, news = restarts.account(before.restarts, facts, causes)
    is_job = runs_to_its_end(spec) if spec else facts.job is not None
    job = recorded(facts, before.job, _asked(facts, spec)) if spec else before.job
    diagnosis = diagnose(facts, causes, alarm, JOB if is_job else DEPLOYMENT, remembered(job))
    healing = before.healing
    if spec is not None and not paused:
        in_step = {problem.obstacle for problem in outcome.problems} <= HARMLESS
        found = Examination(facts, spec, diagnosis, causes, healing or fresh(), in_step)
        healing = None if is_job else _decided(found, situation, alarm)
    verdict = overlaid(facts.app.key, judge(facts, diagnosis, outcome, paused=paused), healing)
    shown = diagnosis.rollout or diagnosis.run
    live = [pod for pod in facts.pods if is_live(pod)]
    after = SelfHealingAppStatus(
        observed_generation=facts.app.generation,
        phase=verdict.phase,
        ready=f"{shown.shown}/{shown.wanted}" if shown else f"0/{_wanted(spec)}",
        replicas=len(live),
        ready_replicas=sum(pod.ready for pod in live),
        updated_replicas=shown.updated if shown else 0,
        selector=f"{names.LABEL_APP}={facts.app.key.name}",
        image=spec.image if spec else before.image,
        endpoint=sentences.endpoint(facts, before.endpoint),
        message=verdict.message[:TEXT_LIMIT],
        restarts=counted,
        pods=pod_statuses(facts.pods, (*diagnosis.current, *diagnosis.old), causes),
        probes=sentences.probes(spec) if spec else before.probes,
        autoscaling=sentences.autoscaling(facts.autoscaler, before.autoscaling),
        job=job,
        disruption=sentences.disruption(facts.budget),
        vertical_scaling=vpa.status(facts.vertical, before.vertical_scaling),
        healing=healing,
        last_heal_time=last_heal(counted, healing),
        conditions=conditions(
            findings(facts, diagnosis, outcome, verdict, paused=paused),
            before.conditions,
            facts.app.generation,
            now,
        ),
    )
    return Report(
        status=after,
        patch=dict(_difference(stored, after.to_json())),
        notices=(
            *transitions(before, after, news),
            *story(facts.app.key, before.healing, after.healing),
        ),
        restarts=news,
        ailing=diagnosis.ailing,
        again=alarm.delay,
    )


def _decided(found: Examination, situation: Situation, alarm: Alarm) -> HealingStatus:
    limits = policy(found.spec, situation.scale)
    return decide(found.record, case_of(found, limits, situation, alarm), limits, alarm)


def _asked(facts: Facts, spec: SelfHealingAppSpec) -> Asked | None:
    """The run that a spec asks for, if it asks for one."""
    app = facts.app
    job = build_job(Owner(app.key.namespace, app.key.name, app.uid), spec)
    return asked(job) if job is not None else None


def _wanted(spec: SelfHealingAppSpec | None) -> int:
    """The pods that a spec asks for at least, while there is no Deployment and no Job to ask."""
    if spec is None:
        return 0
    if runs_to_its_end(spec):
        job = spec.job or JobSpec()
        at_once = job.parallelism or 1
        return min(at_once, job.completions or at_once)
    return guaranteed(spec)


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The JSON merge patch (RFC 7386) from ``old`` to ``new``, field by field."""
    for key in sorted(old.keys() | new.keys()):
        was, will = old.get(key), new.get(key)
        if was == will:
            continue
        if isinstance(was, Mapping) and isinstance(will, Mapping):
            yield key, dict(_difference(was, will))
        else:
            yield key, will
