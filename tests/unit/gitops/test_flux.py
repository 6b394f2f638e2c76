"""The example in deploy/flux, evaluated by Flux's own evaluator of healthCheckExprs."""

from pathlib import Path
from typing import Final

import pytest

from hack.testkit.kube_client import ROOT, Json
from hack.testkit.verdicts import ask_flux
from hack.testkit.yaml_text import parse_yaml
from selfhealing.api import names
from tests.unit import builders
from tests.unit.gitops.situations import SITUATIONS

EXAMPLE: Final[Path] = ROOT / "deploy" / "flux" / "kustomization.yaml"


def read_check() -> Json:
    """Return the entry of healthCheckExprs."""
    kustomization = parse_yaml(EXAMPLE.read_text(encoding="utf-8"))
    (check,) = kustomization["spec"]["healthCheckExprs"]
    found: Json = check
    return found


def test_flux_agrees_with_kstatus() -> None:
    """By the expressions it says in every situation what it says without them."""
    verdicts = ask_flux(read_check(), (each.app for each in SITUATIONS))

    assert {each.name: each.kstatus for each in SITUATIONS} == {
        each.name: verdict["status"] for each, verdict in zip(SITUATIONS, verdicts, strict=True)
    }


def test_the_expressions_are_for_the_kind() -> None:
    """Flux compares them with the object."""
    check = read_check()

    assert (names.API_VERSION, names.KIND) == (check["apiVersion"], check["kind"])


def test_a_status_without_conditions() -> None:
    """The app is not taken for ready."""
    app = builders.app(status={"observedGeneration": 1})

    assert [{"status": "InProgress"}] == ask_flux(read_check(), [app])


def test_a_wrong_field_is_found() -> None:
    """The entry is read as Flux's API server would read it."""
    with pytest.raises(ValueError, match="unknown field"):
        ask_flux({**read_check(), "curent": "true"}, [SITUATIONS[0].app])
