"""The importer's table of left-out fields has the reasons of the reference page."""

import pytest

from selfhealing.crdgen.overlays import OVERLAYS
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.importer.left_out import LEFT_OUT, POD, SERVICE, remove_left_out

PLACES = {
    "Container": "containers",
    "Volume": "volumes",
    "SecurityContext": "securityContext",
    "PodSecurityContext": "securityContext",
    "Lifecycle": "lifecycle",
    "LifecycleHandler": "preStop",
    "EnvVarSource": "valueFrom",
    "VolumeProjection": "sources",
    "ContainerPort": "ports",
    "PersistentVolumeClaimSpec": "volumeClaimTemplate.spec",
}


def test_every_type_with_left_out_fields_has_a_place() -> None:
    types = {
        name.removeprefix(f"{CORE}.")
        for name, overlay in OVERLAYS.items()
        if overlay.drop and name.startswith(CORE)
    }

    assert types == PLACES.keys() | {"PodSpec", "ServiceSpec"}


@pytest.mark.parametrize(("kind", "place"), PLACES.items())
def test_the_reasons_are_those_of_the_reference(kind: str, place: str) -> None:
    drop = OVERLAYS[f"{CORE}.{kind}"].drop

    assert drop.items() <= LEFT_OUT[place].items()


def test_the_reasons_of_pod_and_service_are_those_of_the_reference() -> None:
    assert POD == OVERLAYS[f"{CORE}.PodSpec"].drop
    assert SERVICE == OVERLAYS[f"{CORE}.ServiceSpec"].drop


def test_a_volume_without_its_source_goes_as_a_whole() -> None:
    """It would be an empty directory, and the app would lose its files without a word."""
    pod = {"volumes": [{"name": "data", "rbd": {"image": "x"}}, {"name": "tmp", "emptyDir": {}}]}

    assert {"volumes": [{"name": "tmp", "emptyDir": {}}]} == remove_left_out(pod)


def test_a_variable_without_its_source_goes_as_a_whole() -> None:
    pod = {"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "a"}}}, {"name": "B"}]}

    assert {"env": [{"name": "B"}]} == remove_left_out(pod)
