"""All children of one app, sealed and in the order in which they are applied."""

from typing import Any

from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.deployment import build_deployment
from selfhealing.render.hpa import build_hpa
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner, with_applied_hash
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pdb import build_pdb
from selfhealing.render.pod import build_pod_template
from selfhealing.render.service import build_service
from selfhealing.render.vpa import build_vpa


def build_children(
    owner: Owner,
    spec: SelfHealingAppSpec,
    overrides: Overrides = NO_OVERRIDES,
    pod_template: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], ...]:
    """Render every child of ``owner`` as a plain dict that is ready to be applied.

    The Deployment or Job comes first: an autoscaler that finds no target reports an error.

    Args:
        owner: the app that the children belong to.
        spec: the desired state.
        overrides: what remediation puts in place of the spec.
        pod_template: the template of the spec where it is rendered already, as with the hash of
            the ConfigMaps and Secrets that the pods read; else it is rendered without one.
    """
    if pod_template is None:
        pod_template = build_pod_template(owner.name, spec)
    manifests = (
        build_deployment(owner, spec, pod_template, overrides),
        build_job(owner, spec, pod_template),
        build_service(owner, spec),
        build_hpa(owner, spec, overrides),
        build_pdb(owner, spec),
        build_vpa(owner, spec),
    )
    return tuple(with_applied_hash(child) for child in manifests if child is not None)
