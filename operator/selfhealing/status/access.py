"""Evaluates the conditions of the children that give access to the app from outside."""

from typing import Final

from selfhealing.api.status import ConditionStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.messages import shorten
from selfhealing.remediation.reconcile_input import AnyInput
from selfhealing.status.conditions import ConditionFields
from selfhealing.status.sections import join_words, pluralize

INGRESS_READY: Final = "IngressReady"
"""The type of the condition that says whether an ingress controller serves the Ingress."""

ROUTE_ACCEPTED: Final = "RouteAccepted"
"""The type of the condition that says whether the Gateways serve the HTTPRoute."""

MAX_NAMED_HOSTS: Final = 3
"""Host names that a message has."""


def evaluate_ingress(snapshot: AppSnapshot, inputs: AnyInput) -> tuple[ConditionFields, ...]:
    """Evaluate whether an ingress controller serves the Ingress; empty without an Ingress.

    Only an address shows that one does. Some controllers publish none, so it is Unknown without.
    """
    view, spec = snapshot.ingress, inputs.spec
    if view is None or spec is None or spec.ingress is None:
        return ()
    if view.address:
        hosts = [host.host or "any host" for host in spec.ingress.hosts]
        message = f"requests for {_join_some(hosts)} enter at {shorten(view.address)}"
        return ((INGRESS_READY, ConditionStatus.TRUE, "AddressAssigned", message),)
    class_name = spec.ingress.class_name
    which = f"the IngressClass {class_name}" if class_name else "the default IngressClass"
    message = (
        f"no ingress controller has given it an address: look whether one serves {which}; some "
        "controllers never do, and serve it all the same"
    )
    return ((INGRESS_READY, ConditionStatus.UNKNOWN, "NoAddress", message),)


def evaluate_route(snapshot: AppSnapshot, inputs: AnyInput) -> tuple[ConditionFields, ...]:
    """Evaluate whether every Gateway serves the HTTPRoute; empty without an HTTPRoute."""
    view, spec = snapshot.route, inputs.spec
    if view is None or spec is None or spec.route is None:
        return ()
    if view.refusal is not None:
        status = (
            ConditionStatus.FALSE if view.refusal.status == "False" else ConditionStatus.UNKNOWN
        )
        message = f"Gateway {view.refused_by}: {shorten(view.refusal.message)}"
        return ((ROUTE_ACCEPTED, status, view.refusal.reason, message),)
    silent = sorted({parent.name for parent in spec.route.parent_refs} - set(view.accepted_by))
    if silent:
        message = (
            f"no controller has answered for the Gateway {silent[0]}: look whether it exists, and "
            "allows HTTPRoutes of this namespace"
        )
        return ((ROUTE_ACCEPTED, ConditionStatus.UNKNOWN, "NotReported", message),)
    message = f"Gateways that serve it: {_join_some(list(view.accepted_by))}"
    return ((ROUTE_ACCEPTED, ConditionStatus.TRUE, "Accepted", message),)


def _join_some(names: list[str]) -> str:
    """Join the first names, and count the others."""
    others = len(names) - MAX_NAMED_HOSTS
    more = [pluralize(others, "other")] if others > 0 else []
    return join_words([*names[:MAX_NAMED_HOSTS], *more])
