"""The conditions of the children that give access to the app from outside."""

from typing import Any

import pytest

from tests.unit.builders import child, deployment, pod, running
from tests.unit.snapshots import Json, evaluate_app, status_json

INGRESS_SPEC = {"image": "web:v1", "port": 80, "ingress": {"hosts": [{"host": "a.example.com"}]}}


def find_condition(kind: str, spec: Json, *objects: Json) -> tuple[str, str, str] | None:
    """Status, reason and message of one condition; None without it."""
    evaluation = evaluate_app(deployment(1), pod("web-abc-1", running()), *objects, spec=spec)
    return next(
        (
            (condition["status"], condition["reason"], condition["message"])
            for condition in status_json(evaluation)["conditions"]
            if condition["type"] == kind
        ),
        None,
    )


def ingress(*points: Json, **more: Any) -> Json:  # noqa: ANN401 - as child
    """Return the app's Ingress, with what an ingress controller says of its addresses."""
    return child("Ingress", {}, {"loadBalancer": {"ingress": list(points)}}, **more)


class TestIngressReady:
    """Whether an ingress controller serves the Ingress."""

    @pytest.mark.parametrize(
        ("spec", "objects"),
        [
            (INGRESS_SPEC, ()),
            (INGRESS_SPEC, (ingress(owner="somebody"),)),
            ({"image": "web:v1"}, (ingress(),)),
        ],
    )
    def test_none(self, spec: Json, objects: tuple[Json, ...]) -> None:
        """Without an Ingress that is the app's, and that its spec asks for."""
        assert find_condition("IngressReady", spec, *objects) is None

    def test_unknown(self) -> None:
        """No address; the message names the class."""
        named = {**INGRESS_SPEC, "ingress": {"className": "nginx", "hosts": [{}]}}
        default = find_condition("IngressReady", INGRESS_SPEC, ingress())
        found = find_condition("IngressReady", named, ingress())

        assert default is not None
        assert ("Unknown", "NoAddress") == default[:2]
        assert "serves the default IngressClass" in default[2]
        assert found is not None
        assert "serves the IngressClass nginx" in found[2]

    def test_true(self) -> None:
        """Of several addresses always the same is named, whatever their order."""
        points = ({"ip": "192.0.2.7"}, {"hostname": "lb.example.com"})
        told = {
            find_condition("IngressReady", INGRESS_SPEC, ingress(*order))
            for order in (points, points[::-1])
        }

        assert {
            ("True", "AddressAssigned", "requests for a.example.com enter at 192.0.2.7")
        } == told

    def test_many_hosts(self) -> None:
        """Three are named, the others are counted."""
        hosts: list[Json] = [{}, *({"host": f"{name}.example.com"} for name in "abcd")]
        found = find_condition(
            "IngressReady", {**INGRESS_SPEC, "ingress": {"hosts": hosts}}, ingress({"ip": "::1"})
        )

        assert found is not None
        assert (
            "requests for any host, a.example.com, b.example.com and 2 others enter at ::1"
            == found[2]
        )


ROUTE_SPEC = {
    "image": "web:v1",
    "port": 80,
    "route": {"parentRefs": [{"name": "public"}, {"name": "internal"}]},
}


def answer(gateway: str, *, generation: int | None = 2, **conditions: str) -> Json:
    """What the controller of a Gateway says of the route: by condition, its status."""
    observed = {} if generation is None else {"observedGeneration": generation}
    return {
        "parentRef": {"name": gateway},
        "conditions": [
            {"type": kind, "status": status, "reason": f"Why{kind}", "message": "m" * 9, **observed}
            for kind, status in conditions.items()
        ],
    }


def route(*parents: Json, **more: Any) -> Json:  # noqa: ANN401 - as child
    """Return the app's HTTPRoute of generation 2."""
    return child("HTTPRoute", {}, {"parents": list(parents)}, generation=2, **more)


class TestRouteAccepted:
    """Whether the Gateways serve the HTTPRoute."""

    @pytest.mark.parametrize(
        ("spec", "objects"),
        [
            (ROUTE_SPEC, ()),
            (ROUTE_SPEC, (route(owner="somebody"),)),
            ({"image": "web:v1"}, (route(),)),
        ],
    )
    def test_none(self, spec: Json, objects: tuple[Json, ...]) -> None:
        """Without an HTTPRoute that is the app's, and that its spec asks for."""
        assert find_condition("RouteAccepted", spec, *objects) is None

    def test_true(self) -> None:
        """Each Gateway has said so."""
        answers = (
            answer("public", Accepted="True", ResolvedRefs="True", Programmed="False"),
            answer("internal", Accepted="True", generation=None),
        )

        assert (
            "True",
            "Accepted",
            "Gateways that serve it: internal and public",
        ) == find_condition("RouteAccepted", ROUTE_SPEC, route(*answers))

    @pytest.mark.parametrize(
        "answers",
        [
            (),
            (answer("public", Accepted="True"),),
            (answer("public", Accepted="True"), answer("internal", Accepted="True", generation=1)),
            (answer("public", Accepted="True"), answer("internal", Programmed="True")),
        ],
    )
    def test_unknown(self, answers: tuple[Json, ...]) -> None:
        """A Gateway has not answered, not yet to this generation, or not to this question."""
        found = find_condition("RouteAccepted", ROUTE_SPEC, route(*answers))

        assert found is not None
        assert ("Unknown", "NotReported") == found[:2]
        assert "no controller has answered for the Gateway internal" in found[2]

    @pytest.mark.parametrize(("said", "shown"), [("False", "False"), ("Unknown", "Unknown")])
    def test_false(self, said: str, shown: str) -> None:
        """One Gateway does not serve it; its reason and its words are shown."""
        answers = (
            answer("public", Accepted="True", ResolvedRefs=said),
            answer("public", Accepted="True", ResolvedRefs="True"),
            answer("internal", Accepted="True"),
        )

        assert (shown, "WhyResolvedRefs", "Gateway public: mmmmmmmmm") == find_condition(
            "RouteAccepted", ROUTE_SPEC, route(*answers)
        )
