"""Renders the Deployment."""

from typing import Any

from selfhealing.api import names
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_none, selector
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pod import is_job


def build_deployment(
    owner: Owner,
    spec: SelfHealingAppSpec,
    pod_template: dict[str, Any],
    overrides: Overrides = NO_OVERRIDES,
) -> dict[str, Any] | None:
    """Return the apps/v1 Deployment of an app; None if the app is a Job.

    With autoscaling it has no ``replicas``: the HorizontalPodAutoscaler owns that field.

    With vertical scaling its owner reference is not the controller reference. VPA follows these up
    to the topmost scalable controller, which would be the SelfHealingApp, and would make no
    recommendation for the Deployment (pkg/target/controller_fetcher of VPA 1.7).
    """
    if is_job(spec):
        return None
    rollout = spec.rollout
    metadata = build_metadata(owner, is_controller=spec.vertical_scaling is None)
    if overrides.failed_revision:
        failed = {names.ANNOTATION_FAILED_REVISION: overrides.failed_revision}
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **failed}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            **omit_none(replicas=desired_replicas(spec)),
            "selector": {"matchLabels": selector(owner.name)},
            "template": _with_account_alias(overrides.apply_to(pod_template)),
            **(
                omit_none(
                    strategy=rollout.strategy,
                    minReadySeconds=rollout.min_ready_seconds,
                    progressDeadlineSeconds=rollout.progress_deadline_seconds,
                    revisionHistoryLimit=rollout.revision_history_limit,
                )
                if rollout
                else {}
            ),
        },
    }


def _with_account_alias(template: dict[str, Any]) -> dict[str, Any]:
    """Set the deprecated ``serviceAccount`` beside ``serviceAccountName``.

    The API server fills in each from the other. If only the name were applied, then a version
    without an account could not be applied over one with it: the alias, which nobody would remove,
    would bring the name back.
    """
    pod_spec = template["spec"]
    if "serviceAccountName" not in pod_spec:
        return template
    alias = {"serviceAccount": pod_spec["serviceAccountName"]}
    return {**template, "spec": {**pod_spec, **alias}}


def desired_replicas(spec: SelfHealingAppSpec) -> int | None:
    """Return the ``replicas`` that the operator sets; None if the autoscaler sets them."""
    return spec.replicas if spec.autoscaling is None else None


def min_replicas(spec: SelfHealingAppSpec) -> int:
    """Return the minimum number of pods, with or without an autoscaler."""
    return spec.autoscaling.min_replicas if spec.autoscaling else desired_replicas(spec) or 0
