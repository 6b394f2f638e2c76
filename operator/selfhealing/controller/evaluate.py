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
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.result import NON_BLOCKING, SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.assessment import assess_health
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.job_run import (
    JobRunSpec,
    build_job_status,
    job_run_from_status,
    parse_job_run_spec,
)
from selfhealing.health.pod_problems import is_active
from selfhealing.remediation.context import ExternalState, HealthInput, build_context
from selfhealing.remediation.engine import decide, new_record
from selfhealing.remediation.policy import build_policy
from selfhealing.render.deployment import min_replicas
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner
from selfhealing.render.pod import is_job
from selfhealing.status import restarts, sections, vpa
from selfhealing.status.conditions import build_conditions, evaluate_conditions
from selfhealing.status.events import Event, transition_events
from selfhealing.status.phase import summarize_phase
from selfhealing.status.pods import build_pod_statuses
from selfhealing.status.remediation import find_last_heal_time, remediation_events, with_remediation
from selfhealing.status.restarts import Restart

NO_EXTERNAL_STATE: Final = ExternalState()
"""Nothing is known from outside the app, and nothing stands in the way."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is to be written: the status, its difference to the stored one, and Events.

    ``patch`` is a JSON merge patch of the status; when it is empty there is nothing to tell either.
    ``ailing``: pods have something of their own, be it for a moment only (``Diagnosis.ailing``).
    ``again``: in how many seconds the report may be another although nothing happens, if ever.
    """

    status: SelfHealingAppStatus
    patch: Mapping[str, Any]
    events: tuple[Event, ...]
    new_restarts: tuple[Restart, ...]
    has_pod_problem: bool
    requeue_after: float | None


def evaluate(
    snapshot: AppSnapshot,
    spec: SelfHealingAppSpec | None,
    sync_result: SyncResult,
    now: datetime,
    external: ExternalState = NO_EXTERNAL_STATE,
) -> Evaluation:
    """Describe the app, and decide what is to be done for it.

    Args:
        facts: what is, after the outcome's changes.
        spec: what is wanted; None when it cannot be read, which ``outcome`` then says.
        outcome: what the reconcile did and met.
        now: for what depends on time, and the conditions that change their status.
        situation: what healing has to know from outside the app.
    """
    stored_status: dict[str, Any] = orjson.loads(snapshot.app.status)
    before = read_status(stored_status)
    paused = spec is not None and spec.paused
    deadlines = Deadlines(now)
    causes = restarts.collect_termination_causes(before.restarts, snapshot)
    restarts_status, new_restarts = restarts.count_restarts(before.restarts, snapshot, causes)
    runs_as_job = is_job(spec) if spec else snapshot.job is not None
    job = (
        build_job_status(snapshot, before.job, _build_job_run_spec(snapshot, spec))
        if spec
        else before.job
    )
    assessment = assess_health(
        snapshot, causes, deadlines, JOB if runs_as_job else DEPLOYMENT, job_run_from_status(job)
    )
    record = before.healing
    if spec is not None and not paused:
        is_in_sync = {error.reason for error in sync_result.errors} <= NON_BLOCKING
        health_input = HealthInput(
            snapshot, spec, assessment, causes, record or new_record(), is_in_sync
        )
        record = None if runs_as_job else _decide_remediation(health_input, external, deadlines)
    summary = with_remediation(
        snapshot.app.key, summarize_phase(snapshot, assessment, sync_result, paused=paused), record
    )
    progress = assessment.rollout or assessment.job_run
    live = [pod for pod in snapshot.pods if is_active(pod)]
    after = SelfHealingAppStatus(
        observed_generation=snapshot.app.generation,
        phase=summary.phase,
        ready=f"{progress.ready_wanted}/{progress.wanted}"
        if progress
        else f"0/{_desired_pods(spec)}",
        replicas=len(live),
        ready_replicas=sum(pod.ready for pod in live),
        updated_replicas=progress.updated if progress else 0,
        selector=f"{names.LABEL_APP}={snapshot.app.key.name}",
        image=spec.image if spec else before.image,
        endpoint=sections.find_endpoint(snapshot, before.endpoint),
        message=summary.message[:TEXT_LIMIT],
        restarts=restarts_status,
        pods=build_pod_statuses(
            snapshot.pods, (*assessment.current_problems, *assessment.old_problems), causes
        ),
        probes=sections.build_probes_status(spec) if spec else before.probes,
        autoscaling=sections.build_autoscaling_status(snapshot.hpa, before.autoscaling),
        job=job,
        disruption=sections.build_disruption_status(snapshot.pdb),
        vertical_scaling=vpa.build_vertical_scaling_status(snapshot.vpa, before.vertical_scaling),
        healing=record,
        last_heal_time=find_last_heal_time(restarts_status, record),
        conditions=build_conditions(
            evaluate_conditions(snapshot, assessment, sync_result, summary, paused=paused),
            before.conditions,
            snapshot.app.generation,
            now,
        ),
    )
    return Evaluation(
        status=after,
        patch=dict(_merge_patch(stored_status, after.to_json())),
        events=(
            *transition_events(before, after, new_restarts),
            *remediation_events(snapshot.app.key, before.healing, after.healing),
        ),
        new_restarts=new_restarts,
        has_pod_problem=assessment.has_pod_problem,
        requeue_after=deadlines.requeue_after,
    )


def _decide_remediation(
    health_input: HealthInput, external: ExternalState, deadlines: Deadlines
) -> HealingStatus:
    policy = build_policy(health_input.spec, external.time_scale)
    return decide(
        health_input.record,
        build_context(health_input, policy, external, deadlines),
        policy,
        deadlines,
    )


def _build_job_run_spec(snapshot: AppSnapshot, spec: SelfHealingAppSpec) -> JobRunSpec | None:
    """The run that a spec asks for, if it asks for one."""
    app = snapshot.app
    job = build_job(Owner(app.key.namespace, app.key.name, app.uid), spec)
    return parse_job_run_spec(job) if job is not None else None


def _desired_pods(spec: SelfHealingAppSpec | None) -> int:
    """The pods that a spec asks for at least, while there is no Deployment and no Job to ask."""
    if spec is None:
        return 0
    if is_job(spec):
        job = spec.job or JobSpec()
        parallelism = job.parallelism or 1
        return min(parallelism, job.completions or parallelism)
    return min_replicas(spec)


def _merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The JSON merge patch (RFC 7386) from ``old`` to ``new``, field by field."""
    for key in sorted(old.keys() | new.keys()):
        old_value, new_value = old.get(key), new.get(key)
        if old_value == new_value:
            continue
        if isinstance(old_value, Mapping) and isinstance(new_value, Mapping):
            yield key, dict(_merge_patch(old_value, new_value))
        else:
            yield key, new_value
