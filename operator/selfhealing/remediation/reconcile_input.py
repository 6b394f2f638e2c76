"""The input of one reconcile beside the snapshot: read and rendered once, then only passed on.

It stands in this package because it is the lowest one that knows all of its parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

import orjson

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppView
from selfhealing.remediation.findings import Finding, FindingReason
from selfhealing.remediation.history import new_record
from selfhealing.remediation.policy import Policy, build_policy
from selfhealing.remediation.record_check import check_record
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import get_limits, template_revision
from selfhealing.render.pod import build_pod_template, is_job

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReconcileInput:
    """What a reconcile goes by when the spec can be read.

    Attributes:
        owner: the app as the owner of its children.
        spec: the desired state.
        policy: the limits of healing that the spec sets.
        pod_template: the pod template that the spec asks for, without overrides; in it, the hash of
            the ConfigMaps and Secrets that the pods read.
        revision: the hash of that template.
        stored_status: the status as JSON, also what of it this operator cannot read; empty if it
            is too large to be kept.
        previous_status: the status as far as this operator can read it, and the spec allows it
            (``remediation.record_check``).
        namespace_labels: the labels of the app's Namespace; None when they cannot be read.
        findings: what was rejected of the stored status.
    """

    owner: Owner
    spec: SelfHealingAppSpec
    policy: Policy
    pod_template: Json
    revision: str
    stored_status: Mapping[str, Any]
    previous_status: SelfHealingAppStatus
    namespace_labels: Mapping[str, str] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def record(self) -> HealingStatus:
        """The stored record of healing; a new one where there is none."""
        return self.previous_status.healing or new_record()


@dataclass(frozen=True, slots=True)
class InvalidSpecInput:
    """What a reconcile goes by when the spec cannot be read, for the reason ``message``."""

    message: str
    stored_status: Mapping[str, Any]
    previous_status: SelfHealingAppStatus
    findings: tuple[Finding, ...] = ()

    @property
    def spec(self) -> None:
        """None, because the spec cannot be read."""
        return


AnyInput = ReconcileInput | InvalidSpecInput


def build_reconcile_input(  # noqa: PLR0913 - what a reconcile goes by
    snapshot: AppSnapshot,
    spec: SelfHealingAppSpec,
    now: datetime,
    time_scale: float = 1.0,
    *,
    namespace_labels: Mapping[str, str] | None = None,
    written_record: Mapping[str, Any] | None = None,
    is_new: bool = False,
) -> ReconcileInput:
    """Read and check the stored status, and render what ``spec`` asks for.

    Args:
        snapshot: the app, with the digests of the ConfigMaps and Secrets that it refers to.
        spec: the parsed spec.
        now: the time, by which the stored times are checked.
        time_scale: what every time of healing is multiplied by.
        namespace_labels: the labels of the app's Namespace; None when they cannot be read.
        written_record: ``status.healing`` as this process has written it last; None where it has
            not. Another one that is stored is somebody else's, and has no effect.
        is_new: no operator can have written a status yet.
    """
    app = snapshot.app
    # A Job is not replaced when its configuration changes: it would run again.
    config_hash = "" if is_job(spec) else desired_config_hash(snapshot, spec)
    pod_template = build_pod_template(app.key.name, spec, config_hash)
    stored_status, previous_status, rejected = _read_stored_status(
        app, written_record, is_new=is_new
    )
    policy, revision = build_policy(spec, time_scale), template_revision(pod_template)
    if previous_status.healing is not None:
        checked = check_record(
            previous_status.healing,
            snapshot,
            policy,
            now,
            revision=revision,
            spec_limits=get_limits(pod_template),
        )
        previous_status = previous_status.model_copy(update={"healing": checked.record})
        rejected += checked.rejected
    return ReconcileInput(
        owner=Owner(app.key.namespace, app.key.name, app.uid),
        spec=spec,
        policy=policy,
        pod_template=pod_template,
        revision=revision,
        stored_status=stored_status,
        previous_status=previous_status,
        namespace_labels=namespace_labels,
        findings=_describe_rejected(app, rejected),
    )


def _describe_rejected(app: AppView, rejected: Sequence[str]) -> tuple[Finding, ...]:
    clauses = []
    if app.oversized_status:
        size = app.oversized_status // 1024
        clauses.append(f"a status of {size} KiB, which no operator writes, is replaced")
    if rejected:
        clauses.append(f"parts of status.healing are ignored: {', '.join(rejected)}")
    return tuple(Finding(FindingReason.RECORD_REJECTED, clause) for clause in clauses)


def build_invalid_spec_input(
    app: AppView,
    message: str,
    written_record: Mapping[str, Any] | None = None,
    *,
    is_new: bool = False,
) -> InvalidSpecInput:
    """Read the stored status of an app whose spec cannot be read.

    Nothing can be checked by the spec, and nothing of the record has an effect meanwhile.
    """
    stored_status, previous_status, rejected = _read_stored_status(
        app, written_record, is_new=is_new
    )
    findings = _describe_rejected(app, rejected)
    return InvalidSpecInput(message, stored_status, previous_status, findings)


def is_active(inputs: AnyInput) -> TypeGuard[ReconcileInput]:
    """Whether the children are applied and remediations are decided: a valid spec, not paused."""
    return inputs.spec is not None and not inputs.spec.paused


def _read_stored_status(
    app: AppView, written_record: Mapping[str, Any] | None, *, is_new: bool
) -> tuple[Mapping[str, Any], SelfHealingAppStatus, tuple[str, ...]]:
    """Return the stored status, what of it can be read, and what is rejected.

    A record that is not the one that this process has written is replaced by that, and one that no
    operator can have written by none. Of a status that is too large to be kept nothing is read.
    """
    stored: Mapping[str, Any] = orjson.loads(app.status) if app.status else {}
    is_trusted = written_record is None and not is_new
    if is_trusted or stored.get("healing") == written_record:
        return stored, read_status(stored), ()
    found, own = read_status(stored), read_status({**stored, "healing": written_record})
    if found.healing == own.healing:  # a newer CRD gives stored objects its own defaults
        return stored, found, ()
    return stored, own, ("what somebody else has written",)
