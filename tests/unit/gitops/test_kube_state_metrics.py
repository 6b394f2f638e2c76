"""The configuration of kube-state-metrics, by the schema that its documentation publishes.

See docs/metrics/extend/customresourcestate-metrics.md and pkg/customresourcestate of
kube-state-metrics v2.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from hack.testkit.kube_client import ROOT, Json
from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents
from selfhealing.api import names
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.api.status import Phase
from tests.unit.gitops.situations import SITUATIONS

FOLDER: Final = ROOT / "deploy" / "kube-state-metrics"
CONFIG: Final[Json] = parse_yaml((FOLDER / "custom-resource-state.yaml").read_text())
(RESOURCE,) = CONFIG["spec"]["resources"]
METRICS: Final[list[Json]] = RESOURCE["metrics"]

METRIC_FIELDS: Final = {"name", "help", "each", "commonLabels", "labelsFromPath", "errorLogV"}
TYPE_FIELDS: Final = {
    "Gauge": ("gauge", {"path", "labelsFromPath", "labelFromKey", "valueFrom", "nilIsZero"}),
    "StateSet": ("stateSet", {"path", "labelsFromPath", "list", "labelName", "valueFrom"}),
    "Info": ("info", {"path", "labelsFromPath", "labelFromKey"}),
}
"""By the type of a metric, the field that configures it and that field's fields."""

METADATA: Final[Json] = {
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": "string", "format": "date-time"},
    }
}
"""The schema of what is read of the metadata, which a CRD does not have."""


def read_schema() -> Json:
    """Return the schema of an app."""
    crd = parse_yaml((ROOT / "crd" / "selfhealingapp.yaml").read_text())
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {**schema, "properties": {**schema["properties"], "metadata": METADATA}}


SCHEMA: Final = read_schema()


def follow(schema: Json, path: list[str]) -> Json:
    """Return the schema at a path."""
    for part in path:
        schema = schema["properties"][part]
    return schema


def configure(metric: Json) -> Json:
    """Return the configuration of a metric, which depends on its type."""
    found: Json = metric["each"][TYPE_FIELDS[metric["each"]["type"]][0]]
    return found


def test_the_resource() -> None:
    """The kind, and labels that name the app."""
    assert {"kind": "CustomResourceStateMetrics"} == {
        key: CONFIG[key] for key in CONFIG if key != "spec"
    }
    assert RESOURCE["groupVersionKind"] == {
        "group": names.GROUP,
        "version": names.VERSION,
        "kind": names.KIND,
    }
    assert (
        not RESOURCE.keys()
        - METRIC_FIELDS
        - {
            "groupVersionKind",
            "metricNamePrefix",
            "resourcePlural",
            "metrics",
        }
    )
    for path in RESOURCE["labelsFromPath"].values():
        assert "string" == follow(SCHEMA, path)["type"]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric["name"])
def test_a_metric(metric: Json) -> None:
    """Its fields are those of its type, and every path leads to a value of the CRD."""
    assert not metric.keys() - METRIC_FIELDS
    assert compile_pattern(r"^[a-z][a-z_]*[a-z]$").match(metric["name"])
    assert metric["help"].endswith(".")
    field, fields = TYPE_FIELDS[metric["each"]["type"]]
    assert {"type", field} == set(metric["each"])
    config = configure(metric)
    assert not config.keys() - fields

    target = follow(SCHEMA, config.get("path", []))
    element = target.get("items") or target
    for label, path in config.get("labelsFromPath", {}).items():
        assert "string" == follow(element, path)["type"], label
    value = element.get("additionalProperties") if "labelFromKey" in config else element
    assert value
    value = follow(value, config.get("valueFrom", []))
    if field == "gauge":
        is_time = value.get("format") == "date-time"
        is_condition = set(value.get("enum", ())) == {"True", "False", "Unknown"}
        assert value["type"] in {"integer", "boolean"} or is_time or is_condition
    if field == "stateSet":
        assert config["list"] == value["enum"] == [str(phase) for phase in Phase]


def resolve(value: Any, path: list[str]) -> Any:  # noqa: ANN401 - JSON
    """Return what a path leads to; None without it."""
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric["name"])
def test_a_metric_has_a_value(metric: Json) -> None:
    """In some situation at least."""
    config = configure(metric)
    if config.get("path") == ["metadata", "creationTimestamp"]:
        return  # the API server sets it
    paths = [config["path"]] if "path" in config else [*config["labelsFromPath"].values()]

    assert all(
        any(resolve(each.app, path) not in (None, {}, []) for each in SITUATIONS) for path in paths
    )


def test_names_are_unique() -> None:
    """Two metrics of one name would be one."""
    assert len(METRICS) == len({metric["name"] for metric in METRICS})


def test_the_rights() -> None:
    """It may list and watch the kind, and the CRDs by which it finds it."""
    role, binding = parse_yaml_documents((FOLDER / "rbac.yaml").read_text())

    assert [("list", "watch")] * 2 == [tuple(rule["verbs"]) for rule in role["rules"]]
    assert {names.PLURAL, "customresourcedefinitions"} == set(list_resources(role))
    assert role["metadata"]["name"] == binding["roleRef"]["name"]


def list_resources(role: Json) -> Iterator[str]:
    """The resources that the rules of a role name."""
    for rule in role["rules"]:
        yield from rule["resources"]
