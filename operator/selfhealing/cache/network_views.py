"""The frozen views of the children that carry traffic to an app."""

from dataclasses import dataclass

from selfhealing.cache.views import ChildView, ConditionView


@dataclass(frozen=True, slots=True)
class ServiceView(ChildView):
    """The address of a Service.

    Attributes:
        port: its first port of TCP; 0 if it has none.
        node_port: the port on every node that leads there; 0 without one.
        ingress: the load balancer's host name or IP.
        needs_load_balancer: it is of the type LoadBalancer.
    """

    port: int
    node_port: int
    ingress: str
    needs_load_balancer: bool = False


@dataclass(frozen=True, slots=True)
class IngressView(ChildView):
    """An Ingress; ``address`` is a host name or IP of its ingress controller, empty without one."""

    address: str


@dataclass(frozen=True, slots=True)
class RouteView(ChildView):
    """An HTTPRoute, as the controllers of its Gateways report it.

    Attributes:
        accepted_by: the Gateways that serve it, sorted.
        refused_by: a Gateway that does not; empty without one.
        refusal: the condition of ``refused_by`` that says why.
    """

    accepted_by: tuple[str, ...]
    refused_by: str
    refusal: ConditionView | None
