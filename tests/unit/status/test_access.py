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
