"""Renders all children of one app, in the order in which they are applied."""

from collections.abc import Iterable
from typing import Any

from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.deployment import build_deployment
from selfhealing.render.hpa import build_hpa
from selfhealing.render.ingress import build_ingress
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner, with_applied_hash
from selfhealing.render.monitoring import build_pod_monitor
from selfhealing.render.network_policy import (
    PodLabels,
    build_network_policy,
    has_other_labels,
)
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pdb import build_pdb
from selfhealing.render.pod import build_pod_template
from selfhealing.render.route import build_route
from selfhealing.render.service import build_service
from selfhealing.render.service_account import build_service_account
from selfhealing.render.vpa import build_vpa


def build_children(
    owner: Owner,
    spec: SelfHealingAppSpec,
    overrides: Overrides = NO_OVERRIDES,
    pod_template: dict[str, Any] | None = None,
    pods: Iterable[PodLabels] = (),
) -> tuple[dict[str, Any], ...]:
    """Return the manifests of an app's children, with their applied hashes.

    The workload comes before its autoscaler, which reports an error without a target, and after
    its ServiceAccount, without which no pod is created.

    Args:
        owner: the app.
        spec: the app's spec.
        overrides: values that replace parts of the spec.
        pod_template: the pod template of the spec, with its config hash; rendered without a config
            hash if not given.
        pods: the pods that run, which a NetworkPolicy must select, too.
    """
    if pod_template is None:
        pod_template = build_pod_template(owner.name, spec)
    manifests = (
        build_service_account(owner, spec),
        build_deployment(owner, spec, pod_template, overrides),
        build_job(owner, spec, pod_template),
        build_service(owner, spec),
        build_ingress(owner, spec),
        build_route(owner, spec),
        build_network_policy(owner, spec, selects_by_app=has_other_labels(pods, spec)),
        build_hpa(owner, spec, overrides),
        build_pdb(owner, spec),
        build_vpa(owner, spec),
        build_pod_monitor(owner, spec),
    )
    return tuple(with_applied_hash(child) for child in manifests if child is not None)
