"""The generated files of deploy/: fresh, and values that fit their schema and the settings."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hack.testkit.yaml_text import parse_yaml
from selfhealing.cli.chart import build_chart, list_files, main
from selfhealing.cli.chart_values import FIXED_SETTINGS, list_values
from selfhealing.controller.settings import Settings, load_settings

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "chart"


@pytest.fixture
def schema() -> Json:
    found: Json = json.loads((CHART / "values.schema.json").read_text())
    return found


def test_the_published_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--check"])
    assert "" == capsys.readouterr().out


def test_a_stale_file_is_shown_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("crd/selfhealingapp.yaml", "deploy/operator.yaml"):
        (tmp_path / file).parent.mkdir()
        shutil.copy(ROOT / file, tmp_path / file)

    assert 0 == main([], tmp_path)
    service = tmp_path / "deploy/chart/templates/service.yaml"
    service.write_text(service.read_text().replace("8080", "80"))

    assert 1 == main(["--check"], tmp_path)
    shown = capsys.readouterr().out
    assert shown.startswith("--- deploy/chart/templates/service.yaml\n+++ generated\n")
    assert "-    port: 80\n+    port: 8080\n" in shown
    assert 0 == main([], tmp_path)
    assert 0 == main(["--check"], tmp_path)


def test_no_file_of_the_chart_is_left_over() -> None:
    """Every template and file is generated, except those that are written by hand."""
    by_hand = {"Chart.yaml", ".helmignore", "templates/NOTES.txt", "values-high-availability.yaml"}
    found = {path for path in CHART.rglob("*") if path.is_file()}

    assert found - set(list_files(ROOT)) == {CHART / name for name in by_hand}


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = parse_yaml((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert (project["version"], project["version"]) == (chart["version"], chart["appVersion"])
    assert project["name"] == chart["name"]


@pytest.mark.parametrize("file", ["values.yaml", "values-high-availability.yaml"])
def test_the_values_fit_their_schema(schema: Json, file: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(parse_yaml((CHART / file).read_text()), schema)


@pytest.mark.parametrize(
    "values",
    [
        {"namespace": "shop"},
        {"namespaces": "shop"},
        {"namespaces": ["shop", "shop"]},
        {"namespaces": ["Shop"]},
        {"configWatch": False},  # off without quotes is a boolean in YAML
        {"metricsAuth": "basic"},
        {"replicas": -1},
        {"replicas": "2"},
        {"image": {"name": "x"}},
        {"settings": {"workers": 0}},
        {"settings": {"worker": 5}},
        {"settings": {"logLevel": "loud"}},
        {"settings": {"leaderElection": "off"}},  # two replicas would act
        {"networkPolicy": {"apiServerPorts": [0]}},
        {"podLabels": {"a": 1}},
    ],
)
def test_values_that_mean_nothing_are_refused(schema: Json, values: Json) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema)


def test_a_chart_that_contains_this_one_may_have_global_values(schema: Json) -> None:
    jsonschema.validate({"global": {"anything": 1}}, schema)


def test_every_setting_is_a_value_or_follows_from_one(schema: Json) -> None:
    offered = schema["properties"]["settings"]["properties"]

    assert len(offered) == len(Settings.model_fields.keys() - FIXED_SETTINGS)
    assert FIXED_SETTINGS <= Settings.model_fields.keys()
    assert all(field["description"] for field in offered.values())


def test_the_default_settings_are_those_of_the_deployment() -> None:
    [settings] = [value.default for value in list_values() if value.path == "settings"]

    assert "json" == settings["logFormat"] == load_settings({}, ["--log-format", "json"]).log_format


def test_every_value_is_described_and_used() -> None:
    text = "".join(text for path, text in build_chart().items() if path.startswith("templates/"))
    for value in list_values():
        group = value.path.partition(".")[0]

        assert value.description
        assert f".Values.{value.path}" in text or f".Values.{group} " in text, value.path
