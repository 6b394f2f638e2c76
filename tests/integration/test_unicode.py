"""Any text that JSON can hold reaches the pods as it is, or is refused with a clear message."""

import os

import pytest
from hypothesis import (
    HealthCheck,
    example,
    given,
    settings as hypothesis_settings,
    strategies as st,
)

from hack.testkit.kube_client import Json, find_condition
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually

EXAMPLES = int(os.environ.get("UNICODE_EXAMPLES", "25"))
MAX_LENGTH = 24

CHARACTERS = st.characters(exclude_categories=["Cs"])
"""The whole of Unicode; halves of characters cannot arrive as JSON in UTF-8."""
AWKWARD = st.sampled_from(
    [
        "🔥",
        "👩‍👩‍👧",
        "\u0085",
        "\u2028",
        "\ufeff",
        "\x7f",
        "\x00",
        "\uffff",
        "\U0010ffff",
        "\u202e",
        "'\"\\",
    ]
)
TEXTS = st.lists(CHARACTERS | AWKWARD, min_size=1, max_size=MAX_LENGTH).map("".join)


def build_spec(texts: list[str]) -> Json:
    """A spec with a text in each kind of field that takes one."""
    value, argument, command, path, header, annotation, folder, config = texts
    return {
        "replicas": 0,
        "port": 8080,
        "env": [{"name": "TEXT", "value": value}],
        "args": [argument],
        "command": ["app", command],
        "workingDir": folder or None,
        "probes": {
            "readiness": {
                "httpGet": {"path": path, "httpHeaders": [{"name": "X", "value": header}]}
            },
            "liveness": {"exec": {"command": [config]}},
        },
        "service": {"annotations": {"example.com/text": annotation}},
    }


@pytest.fixture(scope="module")
def name(space: AppNamespace) -> str:
    """One app, whose spec each example replaces."""
    space.create_app("unicode", replicas=0, port=8080)
    space.wait_until_reconciled("unicode")
    return "unicode"


@pytest.mark.usefixtures("operator")
def test_text_of_any_kind_is_applied_or_refused(space: AppNamespace, name: str) -> None:
    """Never an internal error, and never another text than the one that was asked for."""

    @hypothesis_settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(TEXTS, min_size=8, max_size=8))
    @example(["hi 🔥"] * 8)
    @example(["\u0085\u2028\u2029\ufeff\x7f\x9f"] * 8)
    def check(texts: list[str]) -> None:
        spec = build_spec(texts)
        response = space.kube.try_patch("SelfHealingApp", space.name, name, {"spec": spec})
        if response.status_code == 422:
            assert "spec." in response.json()["message"]
            return
        assert response.ok, response.text
        outcome = wait_for_outcome(space, name)
        if outcome["status"] == "False":
            assert "InvalidSpec" == outcome["reason"], outcome
            assert "Invalid value" in outcome["message"], outcome
            return
        container = space.get_container(name)
        assert spec["env"] == container["env"]
        assert (spec["args"], spec["command"]) == (container["args"], container["command"])
        assert texts[5] == space.get_service(name)["metadata"]["annotations"]["example.com/text"]

    check()


def wait_for_outcome(space: AppNamespace, name: str) -> Json:
    """Wait until the operator has applied the current spec, or says why it cannot."""

    def probe() -> Json:
        app = space.get_app(name)
        found = find_condition(app, "Reconciled")
        assert found.get("observedGeneration") == app["metadata"]["generation"], found
        assert found["reason"] in {"InSync", "InvalidSpec"} or found["status"] == "True", found
        return found

    return eventually(probe, timeout=20, description="the spec is applied, or refused")
