"""All children of one app, sealed and in the order in which they are applied."""

from typing import Any

from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.autoscaler import build_autoscaler
from selfhealing.render.deployment import build_deployment
from selfhealing.render.job import build_job
from selfhealing.render.meta import Owner, seal
from selfhealing.render.overrides import NOTHING, Overrides
from selfhealing.render.pdb import build_budget
from selfhealing.render.service import build_service
from selfhealing.render.vpa import build_vertical_autoscaler


def children(
    owner: Owner, spec: SelfHealingAppSpec, overrides: Overrides = NOTHING, config: str = ""
) -> tuple[dict[str, Any], ...]:
    """Return every object that ``owner`` stands for, as plain dicts ready to be applied.

    What ``overrides`` says stands in place of the spec; ``config`` is the mark of the ConfigMaps
    and Secrets that the pods read.

    What makes pods comes first: an autoscaler that finds no target reports an error of its own.
    """
    built = (
        build_deployment(owner, spec, overrides, config),
        build_job(owner, spec),
        build_service(owner, spec),
        build_autoscaler(owner, spec, overrides),
        build_budget(owner, spec),
        build_vertical_autoscaler(owner, spec),
    )
    return tuple(seal(child) for child in built if child is not None)
