"""Decides when an object that a user offers by ANNOTATION_ADOPT is taken over.

The callers of what it replaces must be served all the time: what leads to pods, or protects them,
goes over to the app's pods when these serve.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from selfhealing.api.names import DEPLOYMENT, SERVICE_ACCOUNT, WORKLOAD_KINDS
from selfhealing.apply.drift import matches
from selfhealing.cache.views import ChildView, DeploymentView

Json = Mapping[str, Any]

_SERVICE: Final = "Service"
_LEADS_TO_SERVICE: Final = frozenset({"Ingress", "HTTPRoute"})
_SELECTORS: Final = ("selector", "podSelector", "scaleTargetRef", "targetRef")
"""The fields that say what a child is about."""

_SELECTS_PODS: Final = frozenset({_SERVICE, "PodDisruptionBudget"})


def selects_the_same(live: ChildView, desired: Json) -> bool:
    """Whether an object is about the same pods or workload as the one that is rendered.

    False if its manifest is not known.
    """
    if not live.manifest_json:
        return False
    live_spec = orjson.loads(live.manifest_json)["spec"]
    desired_spec = desired.get("spec") or {}
    return all(
        matches(live_spec.get(field), desired_spec[field], field)
        for field in _SELECTORS
        if field in desired_spec
    )


def has_other_selector(live: ChildView, desired: Json) -> bool:
    """Whether a Deployment has another selector, which is immutable; False if it is not known."""
    is_known = live.kind == DEPLOYMENT and bool(live.manifest_json)
    return is_known and not selects_the_same(live, desired)


def must_wait(
    live: ChildView,
    desired: Json,
    deployment: DeploymentView | None,
    unusable_kinds: Collection[str],
) -> bool:
    """Whether an object is left as it is for now, because its callers would lose their pods.

    Only of an app with a Deployment: the pods of a Job serve nobody.

    Args:
        live: the object.
        desired: the manifest that would replace it.
        deployment: that of the app; None while there is none.
        unusable_kinds: the kinds of the app's children that belong to somebody else.
    """
    if live.kind in WORKLOAD_KINDS or live.kind == SERVICE_ACCOUNT:
        return False
    if DEPLOYMENT in unusable_kinds:
        return True
    changes_pods = live.kind in _LEADS_TO_SERVICE or (
        live.kind in _SELECTS_PODS and not selects_the_same(live, desired)
    )
    return changes_pods and not _is_serving(deployment)


def _is_serving(deployment: DeploymentView | None) -> bool:
    """Whether all pods of the current spec are there and available."""
    return (
        deployment is not None
        and deployment.observed_generation >= deployment.generation
        and min(deployment.updated_replicas, deployment.available_replicas)
        >= deployment.replicas
        > 0
    )
