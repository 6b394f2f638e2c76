"""Renders the PodDisruptionBudget: how many pods a drain may evict at once."""

from typing import Any, Final

from selfhealing.api.spec import DisruptionSpec, SelfHealingAppSpec
from selfhealing.render.deployment import min_replicas
from selfhealing.render.meta import Owner, build_metadata, omit_none, selector

MIN_REPLICAS_FOR_PDB: Final = 2
"""With fewer pods a budget either protects nothing or blocks every drain."""


def build_pdb(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the policy/v1 PodDisruptionBudget of an app; None if it is disabled or of no use.

    Pods that are not ready may always be evicted, because they serve no requests.
    """
    disruption = spec.disruption or DisruptionSpec()
    if not disruption.enabled or min_replicas(spec) < MIN_REPLICAS_FOR_PDB:
        return None
    limit = omit_none(
        minAvailable=disruption.min_available, maxUnavailable=disruption.max_unavailable
    )
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": build_metadata(owner),
        "spec": {
            **(limit or {"maxUnavailable": 1}),
            "selector": {"matchLabels": selector(owner.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
