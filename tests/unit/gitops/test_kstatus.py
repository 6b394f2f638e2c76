"""What kstatus says of apps: helm --wait, Flux and others decide by it."""

import pytest

from hack.testkit.kube_client import Json
from hack.testkit.verdicts import ask_kstatus
from selfhealing.api.status import Phase
from tests.unit.gitops.situations import SITUATIONS


def test_every_phase_is_there() -> None:
    """So that none is forgotten."""
    assert {str(phase) for phase in Phase} == {
        each.app["status"]["phase"] for each in SITUATIONS if not each.is_new
    }


def test_kstatus_says_what_a_person_would_say() -> None:
    """InProgress while it moves, Failed when it waits for a person, else Current."""
    verdicts = ask_kstatus(each.app for each in SITUATIONS)

    assert {each.name: each.kstatus for each in SITUATIONS} == {
        each.name: verdict["status"] for each, verdict in zip(SITUATIONS, verdicts, strict=True)
    }


@pytest.mark.parametrize("kind", ["Reconciling", "Stalled"])
def test_the_message_is_that_of_the_app(kind: str) -> None:
    """Whoever shows the verdict shows what is wrong and what to do."""
    marked = [each.app for each in SITUATIONS if kind in list_conditions(each.app)]

    assert marked
    for app, verdict in zip(marked, ask_kstatus(marked), strict=True):
        if app["metadata"]["generation"] == app["status"]["observedGeneration"]:
            assert app["status"]["message"] == verdict["message"]


def test_a_deleted_app() -> None:
    """It is Terminating, however it was."""
    meta = {"deletionTimestamp": "2026-01-01T12:00:00Z"}
    apps = [{**each.app, "metadata": {**each.app["metadata"], **meta}} for each in SITUATIONS]

    assert {"Terminating"} == {verdict["status"] for verdict in ask_kstatus(apps)}


def list_conditions(app: Json) -> list[str]:
    """The types of the conditions of an app."""
    return [each["type"] for each in app["status"].get("conditions", ())]
