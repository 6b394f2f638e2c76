"""Every field that Kubernetes publishes for a pod and its app container is rendered or left out.

A field of a new Kubernetes version fails these tests until it is offered, or left out with a reason
in ``api.left_out_fields``, which the reference page shows.
"""

from typing import Any

import pytest

from hack.localcluster.versions import KUBERNETES
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.spec import parse_spec
from selfhealing.crdgen.overlays import OVERLAYS
from selfhealing.crdgen.overlays.meta import CORE, META
from selfhealing.crdgen.schema.published import KUBERNETES_VERSION, load_definitions
from selfhealing.render import Owner, build_children
from tests.unit.render.test_golden import SPECS

Json = dict[str, Any]

OWNER = Owner("shop", "web", "uid-of-web")
THE_PODS_OWN = {"restartPolicy": "the app's container has the restart policy of its pod"}
"""Fields of a container that the app's container does not have, while others do."""


@pytest.fixture(scope="module")
def pod_specs() -> list[Json]:
    """The pod specs of a Deployment with every field, and of a Job."""
    return [
        build_children(OWNER, parse_spec(SPECS[name]))[0]["spec"]["template"]["spec"]
        for name in ("everything", "job")
    ]


def list_published_fields(kind: str) -> set[str]:
    return set(load_definitions()[f"{CORE}.{kind}"]["properties"])


def test_every_field_of_a_pod(pod_specs: list[Json]) -> None:
    """A field that is offered is in no table of what is left out."""
    rendered = {field for spec in pod_specs for field in spec}
    left_out = OVERLAYS[f"{CORE}.PodSpec"].drop.keys()

    assert list_published_fields("PodSpec") == rendered - {"serviceAccount"} | left_out
    assert {"serviceAccount"} == rendered & left_out


def test_every_field_of_a_container(pod_specs: list[Json]) -> None:
    """Those of the app's container are fields of the spec; others have the published type."""
    rendered = {field for spec in pod_specs for field in spec["containers"][0]}
    left_out = OVERLAYS[f"{CORE}.Container"].drop.keys() | THE_PODS_OWN.keys()

    assert list_published_fields("Container") == rendered | left_out
    assert not rendered & left_out


@pytest.fixture(scope="module")
def service_spec() -> Json:
    """The spec of a Service with every field."""
    children = build_children(OWNER, parse_spec(SPECS["everything"]))
    (spec,) = (child["spec"] for child in children if child["kind"] == "Service")
    return dict(spec)


def test_every_field_of_a_service(service_spec: Json) -> None:
    """That there is no address is rendered for a headless Service only."""
    left_out = OVERLAYS[f"{CORE}.ServiceSpec"].drop.keys()

    assert list_published_fields("ServiceSpec") == service_spec.keys() | left_out
    assert not service_spec.keys() & left_out


def test_every_field_of_a_port(pod_specs: list[Json], service_spec: Json) -> None:
    """Of the app's container, and of the Service."""
    container_ports = {field for port in pod_specs[0]["containers"][0]["ports"] for field in port}
    service_ports = {field for port in service_spec["ports"] for field in port}

    assert list_published_fields("ContainerPort") == container_ports | {"hostIP"}
    assert list_published_fields("ServicePort") == service_ports


def test_every_reason_is_given() -> None:
    """The reference page shows them."""
    assert all(why for overlay in OVERLAYS.values() for why in overlay.drop.values())


def test_nothing_else_is_left_out() -> None:
    """What the CRD drops of a published type is in the one table, which ``import`` reads."""
    dropped = {
        name.removeprefix(f"{CORE}."): overlay.drop
        for name, overlay in OVERLAYS.items()
        if overlay.drop and not name.startswith(META)
    }

    assert LEFT_OUT_FIELDS == dropped


def test_the_table_is_of_the_version_of_the_cluster() -> None:
    """What the local cluster runs is what the schemas are of."""
    assert KUBERNETES_VERSION.rpartition(".")[0] == KUBERNETES.rpartition(".")[0]
