"""The input of one reconcile beside the snapshot: read and rendered once, then only passed on.

It stands in this package because it is the lowest one that knows all of its parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import orjson

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppView
from selfhealing.remediation.history import new_record
from selfhealing.remediation.policy import Policy, build_policy
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import template_revision
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
        stored_status: the status as JSON, also what of it this operator cannot read.
        previous_status: the status as far as this operator can read it.
        namespace_labels: the labels of the app's Namespace; empty when they cannot be read.
    """

    owner: Owner
    spec: SelfHealingAppSpec
    policy: Policy
    pod_template: Json
    revision: str
    stored_status: Mapping[str, Any]
    previous_status: SelfHealingAppStatus
    namespace_labels: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def spec(self) -> None:
        """There is none."""
        return


AnyInput = ReconcileInput | InvalidSpecInput


def build_reconcile_input(
    snapshot: AppSnapshot,
    spec: SelfHealingAppSpec,
    time_scale: float = 1.0,
    namespace_labels: Mapping[str, str] | None = None,
) -> ReconcileInput:
    """Read the stored status and render what ``spec`` asks for.

    Args:
        snapshot: the app, with the digests of the ConfigMaps and Secrets that it refers to.
        spec: the parsed spec.
        time_scale: what every time of healing is multiplied by.
        namespace_labels: the labels of the app's Namespace; None when they cannot be read.
    """
    app = snapshot.app
    # A Job is not replaced when its configuration changes: it would run again.
    config_hash = "" if is_job(spec) else desired_config_hash(snapshot, spec)
    pod_template = build_pod_template(app.key.name, spec, config_hash)
    stored_status, previous_status = _read_stored_status(app)
    return ReconcileInput(
        owner=Owner(app.key.namespace, app.key.name, app.uid),
        spec=spec,
        policy=build_policy(spec, time_scale),
        pod_template=pod_template,
        revision=template_revision(pod_template),
        stored_status=stored_status,
        previous_status=previous_status,
        namespace_labels=namespace_labels or {},
    )


def build_invalid_spec_input(app: AppView, message: str) -> InvalidSpecInput:
    """Read the stored status of an app whose spec cannot be read."""
    return InvalidSpecInput(message, *_read_stored_status(app))


def is_active(inputs: AnyInput) -> TypeGuard[ReconcileInput]:
    """Whether the children are applied and remediations are decided: a valid spec, not paused."""
    return inputs.spec is not None and not inputs.spec.paused


def _read_stored_status(app: AppView) -> tuple[Mapping[str, Any], SelfHealingAppStatus]:
    stored: Mapping[str, Any] = orjson.loads(app.status)
    return stored, read_status(stored)
