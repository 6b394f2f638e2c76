"""All children of one app, sealed and in the order in which they are applied."""

from typing import Any

from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.deployment import build_deployment
from selfhealing.render.hpa import build_hpa
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner, with_applied_hash
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pdb import build_pdb
from selfhealing.render.service import build_service
from selfhealing.render.vpa import build_vpa


def build_children(
    owner: Owner,
    spec: SelfHealingAppSpec,
    overrides: Overrides = NO_OVERRIDES,
    config_hash: str = "",
) -> tuple[dict[str, Any], ...]:
    """Return every object that ``owner`` stands for, as plain dicts ready to be applied.

    What ``overrides`` says stands in place of the spec; ``config`` is the mark of the ConfigMaps
    and Secrets that the pods read.

    What makes pods comes first: an autoscaler that finds no target reports an error of its own.
    """
    manifests = (
        build_deployment(owner, spec, overrides, config_hash),
        build_job(owner, spec),
        build_service(owner, spec),
        build_hpa(owner, spec, overrides),
        build_pdb(owner, spec),
        build_vpa(owner, spec),
    )
    return tuple(with_applied_hash(child) for child in manifests if child is not None)
