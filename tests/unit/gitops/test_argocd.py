"""The scripts in deploy/argocd, run by the Lua interpreter of Argo CD.

Test data lie as Argo CD keeps its own: ``health_test.yaml``, ``actions/action_test.yaml`` and
``testdata``. ``REFRESH=1 pytest tests/unit/gitops`` writes the statuses and the expected health
anew from what the operator reports; then read the diff.
"""

import copy
import os
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hack.gitops.argocd import ACTIONS, CONFIG, SCRIPTS, build_config, main
from hack.testkit.kube_client import Json
from hack.testkit.verdicts import run_lua
from hack.testkit.yaml_text import parse_yaml
from selfhealing.api import names
from selfhealing.api.status import Phase
from tests.unit import builders
from tests.unit.gitops.situations import SITUATIONS

HEALTH_TESTS: Final = SCRIPTS / "health_test.yaml"
ACTION_TESTS: Final = SCRIPTS / "actions" / "action_test.yaml"
IS_REFRESH: Final = bool(os.environ.get("REFRESH"))
RESUME_TIME: Final = "1796000000"
"""Stands for the time of the click in what an action is expected to return."""
SLACK_SECONDS: Final = 600


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - YAML
    """Read a file."""
    return parse_yaml(path.read_text(encoding="utf-8"))


def compare(path: Path, wanted: Json) -> None:
    """Compare a file with what it should hold, or write it."""
    if IS_REFRESH:
        path.write_text(yaml.safe_dump(wanted, sort_keys=False, width=1000), encoding="utf-8")
    assert wanted == read_yaml(path), f"REFRESH=1 writes {path.name}"


def run(script: str, app: Json) -> Any:  # noqa: ANN401 - what the script returns
    """Run a script for one app."""
    return run_lua((SCRIPTS / script).read_text(encoding="utf-8"), [app])[0]


def test_the_test_data_are_what_the_operator_reports() -> None:
    """In every situation."""
    for each in SITUATIONS:
        compare(SCRIPTS / "testdata" / f"{each.name}.yaml", each.app)
    found = {path.stem for path in (SCRIPTS / "testdata").glob("*.yaml")}
    assert {each.name for each in SITUATIONS} == found


def test_the_health_of_every_situation() -> None:
    """The status that a person expects, with the message of the app."""
    waiting = "Waiting for the operator to look at the latest spec"
    wanted: list[Json] = [
        {
            "inputPath": f"testdata/{each.name}.yaml",
            "healthStatus": {
                "status": each.argocd,
                "message": waiting
                if each.name in {"new", "edited"}
                else each.app["status"]["message"],
            },
        }
        for each in SITUATIONS
    ]
    compare(HEALTH_TESTS, {"tests": wanted})
    script = (SCRIPTS / "health.lua").read_text(encoding="utf-8")
    found = run_lua(script, [read_yaml(SCRIPTS / each["inputPath"]) for each in wanted])

    assert [each["healthStatus"] for each in wanted] == found


@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": -1}])
def test_an_app_that_no_operator_has_seen(status: Json | None) -> None:
    """It is not healthy yet."""
    assert "Progressing" == run("health.lua", builders.app(status=status))["status"]


def test_a_phase_of_a_newer_operator() -> None:
    """It is not called healthy."""
    app = builders.app(status={"observedGeneration": 1, "phase": "Brewing"})

    assert {"status": "Unknown"} == run("health.lua", app)
    script = (SCRIPTS / "health.lua").read_text(encoding="utf-8")
    assert all(f"{phase} = " in script for phase in Phase)


@pytest.mark.parametrize(
    "test", read_yaml(ACTION_TESTS)["discoveryTests"], ids=lambda test: Path(test["inputPath"]).stem
)
def test_which_actions_are_offered(test: Json) -> None:
    """Each action where it has an effect."""
    app = read_yaml(ACTION_TESTS.parent / test["inputPath"])
    found = run("actions/discovery.lua", app)

    assert test["result"] == [{"name": name, **found[name]} for name in ACTIONS]


CHANGES: Final[dict[str, Json]] = {
    "approve": {"metadata": {"annotations": {names.ANNOTATION_APPROVE: "1"}}},
    "resume": {"metadata": {"annotations": {names.ANNOTATION_RESUME: RESUME_TIME}}},
    "retry": {"metadata": {"annotations": {names.ANNOTATION_RESUME: RESUME_TIME}}},
    "pause": {"spec": {"paused": True}},
    "unpause": {"spec": {"paused": None}},
}
"""What each action changes, as a JSON merge patch."""


def apply_patch(value: Json, patch: Json) -> Json:
    """Apply a JSON merge patch (RFC 7386)."""
    result = {key: value[key] for key in value if patch.get(key, "") is not None}
    for key, part in patch.items():
        if isinstance(part, dict):
            result[key] = apply_patch(value.get(key, {}), part)
        elif part is not None:
            result[key] = part
    return result


@pytest.mark.parametrize(
    "test", read_yaml(ACTION_TESTS)["actionTests"], ids=lambda test: test["action"]
)
def test_what_an_action_changes(test: Json) -> None:
    """An annotation, or spec.paused; nothing else."""
    app = read_yaml(ACTION_TESTS.parent / test["inputPath"])
    wanted = apply_patch(app, CHANGES[test["action"]])
    compare(ACTION_TESTS.parent / test["expectedOutputPath"], wanted)
    found = run(f"actions/{test['action']}/action.lua", app)
    annotations = found["metadata"].get("annotations", {})
    if resumed := annotations.get(names.ANNOTATION_RESUME):
        assert abs(int(resumed) - time.time()) < SLACK_SECONDS
        annotations[names.ANNOTATION_RESUME] = RESUME_TIME

    assert wanted == put_back_empty_maps(found, app)


def put_back_empty_maps(found: Any, before: Any) -> Any:  # noqa: ANN401 - JSON
    """As Argo CD does: Lua does not tell an empty map from an empty list."""
    if isinstance(found, dict) and isinstance(before, dict):
        return {key: put_back_empty_maps(value, before.get(key)) for key, value in found.items()}
    if isinstance(found, list) and isinstance(before, list):
        return [put_back_empty_maps(*pair) for pair in zip(found, before, strict=True)]
    return copy.deepcopy(before) if found == [] and before == {} else found


def test_every_action_has_its_tests() -> None:
    """And no test is of an action that there is not."""
    tests = read_yaml(ACTION_TESTS)

    assert set(ACTIONS) == {each["action"] for each in tests["actionTests"]}
    folders = {path.parent.name for path in (SCRIPTS / "actions").glob("*/action.lua")}
    assert set(ACTIONS) == folders


def test_a_proposal_that_is_gone() -> None:
    """To approve then changes nothing."""
    app = read_yaml(SCRIPTS / "testdata" / "ready.yaml")

    assert app == put_back_empty_maps(run("actions/approve/action.lua", app), app)


def test_the_configuration_holds_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """argocd-cm.yaml is generated, and Argo CD finds the scripts by these keys."""
    assert (0, "") == (main(["--check"]), capsys.readouterr().out)
    data = read_yaml(CONFIG)["data"]
    actions = parse_yaml(data["resource.customizations.actions.selfhealing.dev_SelfHealingApp"])

    assert build_config()["data"] == data
    assert (SCRIPTS / "health.lua").read_text(encoding="utf-8") == (
        data["resource.customizations.health.selfhealing.dev_SelfHealingApp"]
    )
    assert list(ACTIONS) == [each["name"] for each in actions["definitions"]]
    assert all(set(each) == {"name", "action.lua"} for each in actions["definitions"])


def test_a_stale_configuration_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check fails with the difference, and without it the file is written."""
    monkeypatch.setattr("hack.gitops.argocd.CONFIG", tmp_path / "argocd-cm.yaml")

    assert main(["--check"]) == 1
    assert "+kind: ConfigMap" in capsys.readouterr().out
    assert main([]) == main(["--check"]) == 0
