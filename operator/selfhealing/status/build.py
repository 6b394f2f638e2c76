"""Builds the status of an app, its patch and its Events from what is known and decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from selfhealing.api import names
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.api.spec import JobSpec, SelfHealingAppSpec
from selfhealing.api.status import JobStatus, RestartsStatus, SelfHealingAppStatus
from selfhealing.apply.result import SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.evidence.known_values import build_known_values, find_env_values
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.pod_problems import is_active
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.findings import Finding
from selfhealing.remediation.reconcile_input import AnyInput, ReconcileInput
from selfhealing.render.deployment import min_replicas
from selfhealing.render.pod import is_job
from selfhealing.status import access, restarts, sections, vpa
from selfhealing.status.conditions import (
    build_conditions,
    evaluate_conditions,
    evaluate_pod_security,
    evaluate_scaling_active,
)
from selfhealing.status.events import MISSING_REQUEST, Event, transition_events
from selfhealing.status.kstatus import evaluate_kstatus
from selfhealing.status.ownership import evaluate_ownership
from selfhealing.status.phase import PhaseSummary, continue_rollout, summarize_phase
from selfhealing.status.pods import build_pod_statuses
from selfhealing.status.remediation import find_last_heal_time, remediation_events, with_remediation
from selfhealing.status.restarts import Restart
from selfhealing.status.safe_text import make_status_safe
from selfhealing.status.sections import join_clauses
from selfhealing.status.size_limit import limit_status_size


@dataclass(frozen=True, slots=True)
class StatusInput:
    """What a status is built from.

    Attributes:
        snapshot: the app after the children were applied.
        inputs: the spec and the stored status.
        sync_result: what was written to the children, and what kept them from being written.
        assessment: the health of the app.
        causes: why containers ended.
        job: the latest run of an app that is a Job.
        healing: the record of healing as it was decided; None for an app that is not healed.
        findings: what was found that is not the app's.
    """

    snapshot: AppSnapshot
    inputs: AnyInput
    sync_result: SyncResult
    assessment: HealthAssessment
    causes: TerminationCauses
    job: JobStatus | None
    healing: HealingStatus | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The status of an app and what it changes.

    Attributes:
        status: the whole status.
        patch: the JSON merge patch from the stored status; empty when nothing is to be written.
        events: the Events that lead from the stored status to this one.
        new_restarts: the restarts that this status counts for the first time.
    """

    status: SelfHealingAppStatus
    patch: Mapping[str, Any]
    events: tuple[Event, ...]
    new_restarts: tuple[Restart, ...]


def build_status(facts: StatusInput, now: datetime) -> StatusUpdate:
    """Build the status; ``now`` is the time of the conditions that change."""
    before, key = facts.inputs.previous_status, facts.snapshot.app.key
    restarts_status, new_restarts = restarts.count_restarts(
        before.restarts, facts.snapshot, facts.causes
    )
    described = _describe_app(facts, restarts_status, now)
    after = limit_status_size(make_status_safe(described, _find_known_values(facts)))
    return StatusUpdate(
        status=after,
        patch=dict(_merge_patch(facts.inputs.stored_status, after.to_json())),
        events=(
            *transition_events(before, after, new_restarts),
            *remediation_events(key, before.healing, after.healing),
        ),
        new_restarts=new_restarts,
    )


def _find_known_values(facts: StatusInput) -> tuple[str, ...]:
    """Find the values that no message may contain: those of the app's own variables."""
    inputs = facts.inputs
    if not isinstance(inputs, ReconcileInput):
        return ()
    return build_known_values(
        find_env_values(inputs.pod_template["spec"], (facts.snapshot.app.key.name,))
    )


def _describe_app(
    facts: StatusInput, restarts_status: RestartsStatus, now: datetime
) -> SelfHealingAppStatus:
    snapshot, spec, assessment = facts.snapshot, facts.inputs.spec, facts.assessment
    before = facts.inputs.previous_status
    summary = _summarize(facts)
    scaling_active = evaluate_scaling_active(snapshot, facts.inputs)
    missing_request = (text for _, _, reason, text in scaling_active if reason == MISSING_REQUEST)
    progress = assessment.rollout or assessment.job_run
    live = [pod for pod in snapshot.pods if is_active(pod)]
    return SelfHealingAppStatus(
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
        message=join_clauses(summary.message, *missing_request)[:TEXT_LIMIT],
        restarts=restarts_status,
        pods=build_pod_statuses(
            snapshot.pods,
            (*assessment.current_problems, *assessment.old_problems),
            facts.causes,
            assessment.start_waits,
            assessment.evictions,
        ),
        probes=sections.build_probes_status(spec) if spec else before.probes,
        autoscaling=sections.build_autoscaling_status(snapshot.hpa, before.autoscaling),
        job=facts.job,
        disruption=sections.build_disruption_status(snapshot.pdb),
        vertical_scaling=vpa.build_vertical_scaling_status(snapshot.vpa, before.vertical_scaling),
        healing=facts.healing,
        last_heal_time=find_last_heal_time(restarts_status, facts.healing),
        conditions=build_conditions(
            (
                *evaluate_conditions(
                    snapshot, assessment, facts.sync_result, summary, paused=_is_paused(facts)
                ),
                *evaluate_kstatus(summary, assessment.job_run, facts.healing),
                *scaling_active,
                *access.evaluate_ingress(snapshot, facts.inputs),
                *access.evaluate_route(snapshot, facts.inputs),
                *evaluate_pod_security(facts.inputs),
                *evaluate_ownership(facts.findings),
            ),
            before.conditions,
            snapshot.app.generation,
            now,
        ),
    )


def _summarize(facts: StatusInput) -> PhaseSummary:
    summary = summarize_phase(
        facts.snapshot, facts.assessment, facts.sync_result, paused=_is_paused(facts)
    )
    if facts.snapshot.deployment is not None:
        conditions = facts.inputs.previous_status.conditions
        previous = next((c.reason for c in conditions if c.type == "Ready"), "")
        summary = continue_rollout(summary, previous)
    return with_remediation(facts.snapshot.app.key, summary, facts.healing)


def _is_paused(facts: StatusInput) -> bool:
    return facts.inputs.spec is not None and facts.inputs.spec.paused


def _desired_pods(spec: SelfHealingAppSpec | None) -> int:
    """The least number of pods that a spec asks for, while there is no Deployment and no Job."""
    if spec is None:
        return 0
    if is_job(spec):
        job = spec.job or JobSpec()
        parallelism = job.parallelism or 1
        return min(parallelism, job.completions or parallelism)
    return min_replicas(spec)


def _merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Compute the JSON merge patch (RFC 7386) from ``old`` to ``new``, field by field."""
    for key in sorted(old.keys() | new.keys()):
        old_value, new_value = old.get(key), new.get(key)
        if old_value == new_value:
            continue
        if isinstance(old_value, Mapping) and isinstance(new_value, Mapping):
            yield key, dict(_merge_patch(old_value, new_value))
        else:
            yield key, new_value
