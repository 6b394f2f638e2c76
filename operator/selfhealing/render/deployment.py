"""The Deployment: pods, their number and how a new version replaces the old one."""

from typing import Any

from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_none, selector
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pod import is_job

DEFAULT_REPLICAS = 1
"""Pods of an app that names neither replicas nor autoscaling."""


def build_deployment(
    owner: Owner,
    spec: SelfHealingAppSpec,
    pod_template: dict[str, Any],
    overrides: Overrides = NO_OVERRIDES,
) -> dict[str, Any] | None:
    """Return the apps/v1 Deployment of ``owner``, or None for an app that runs to its end.

    With autoscaling ``replicas`` is left out: it belongs to the HorizontalPodAutoscaler.

    With vertical scaling the owner is not named as its controller: VPA takes the topmost controller
    that can be scaled for what it resizes, goes up to the SelfHealingApp, and recommends nothing to
    its Deployment (pkg/target/controller_fetcher of VPA 1.7).
    """
    if is_job(spec):
        return None
    rollout = spec.rollout
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": build_metadata(owner, is_controller=spec.vertical_scaling is None),
        "spec": {
            **omit_none(replicas=desired_replicas(spec)),
            "selector": {"matchLabels": selector(owner.name)},
            "template": overrides.apply_to(pod_template),
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


def desired_replicas(spec: SelfHealingAppSpec) -> int | None:
    """The number of pods that the operator sets; None when the autoscaler sets it."""
    if spec.autoscaling is not None:
        return None
    return DEFAULT_REPLICAS if spec.replicas is None else spec.replicas


def min_replicas(spec: SelfHealingAppSpec) -> int:
    """The number of pods that an app has at least, whoever sets it."""
    return spec.autoscaling.min_replicas if spec.autoscaling else desired_replicas(spec) or 0
