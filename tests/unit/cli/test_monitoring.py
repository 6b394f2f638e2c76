"""Alerts and dashboard: they use metrics and labels that there are, and each alert is explained."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from selfhealing.api.status import Phase
from selfhealing.cli.alerts import ALERTS, build_prometheus_rule, build_rule_groups
from selfhealing.cli.installation import Installation, build_manifests
from selfhealing.cli.monitoring import COLUMNS, build_dashboard, build_pod_monitor
from selfhealing.kube import metrics

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
METRIC = re.compile(r"\b(?:selfhealing|process)_\w+")
SELECTOR = re.compile(r"\b(?P<metric>(?:selfhealing|process)_\w+)\{(?P<matchers>[^}]*)\}")
AGGREGATION = re.compile(r"by \((?P<labels>[^)]*)\)")
MATCHER = re.compile(r'(\w+)="([^"]*)"')
TARGET_LABELS = {"namespace", "pod"}
"""The labels that Prometheus adds to the metrics of a pod (PodMonitor)."""


def dashboard_panels() -> list[Json]:
    return [panel for panel in build_dashboard()["panels"] if panel["type"] != "row"]


def list_expressions() -> list[str]:
    targets = [target for panel in dashboard_panels() for target in panel["targets"]]
    return [alert.expression for alert in ALERTS] + [target["expr"] for target in targets]


def scrape() -> dict[str, str]:
    """Return the series names of a scrape of the operator's registry, with their metric."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        f"{family.name}{suffix}": family.name
        for family in families
        for suffix in suffixes.get(family.type, [""])
    }


def label_names(metric: str) -> set[str]:
    """Return the labels of a metric of the operator."""
    names = next(
        (
            each._labelnames  # noqa: SLF001 - it has no public name
            for each in vars(metrics).values()
            if getattr(each, "_name", None) == metric and not isinstance(each, CollectorRegistry)
        ),
        (),
    )
    assert not TARGET_LABELS & {*names}, "Prometheus would rename the label of the metric"
    return {*names}


@pytest.mark.parametrize("expression", list_expressions())
def test_every_metric_of_an_expression_exists_with_its_labels(expression: str) -> None:
    series = scrape()
    used = set(METRIC.findall(expression))
    known = {"le"} | TARGET_LABELS
    for name in used & series.keys():
        known |= label_names(series[name])
    asked = {
        label.strip()
        for match in AGGREGATION.finditer(expression)
        for label in match["labels"].split(",")
    }
    matched = {
        label
        for match in SELECTOR.finditer(expression)
        for label, _ in MATCHER.findall(match["matchers"])
    }

    assert used
    assert used - series.keys() == set()
    assert (asked | matched) - known == set()


def test_the_dashboard_shows_every_metric() -> None:
    shown = "\n".join(list_expressions())
    own = {metric for metric in scrape().values() if metric.startswith("selfhealing_")}

    assert {metric for metric in own if not re.search(rf"\b{metric}", shown)} == set()


def test_a_phase_that_is_asked_for_exists() -> None:
    asked = set(re.findall(r'phase="(\w+)"', "\n".join(list_expressions())))

    assert asked
    assert asked <= set(Phase)


def sections(page: str) -> list[str]:
    return re.findall(r"^## (SelfHealing\w+)$", (ROOT / page).read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["docs/alerts.md", "docs/zh/alerts.md"])
def test_every_alert_has_its_section(page: str) -> None:
    assert [alert.name for alert in ALERTS] == sections(page)


def rules(groups: list[Json]) -> Iterator[Json]:
    return (rule for group in groups for rule in group["rules"])


def test_an_alert_links_to_its_section() -> None:
    for rule in rules(build_rule_groups("https://docs.example.com/alerts")):
        link = rule["annotations"]["runbook_url"]

        assert f"https://docs.example.com/alerts#{rule['alert'].lower()}" == link
    for rule in rules(build_prometheus_rule(Installation())["spec"]["groups"]):
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")

        assert anchor in {section.lower() for section in sections(page)}


def test_a_summary_names_only_labels_that_its_alert_has() -> None:
    for alert in ALERTS:
        grouped = AGGREGATION.search(alert.expression)
        kept = set(re.split(r",\s*", grouped["labels"])) if grouped else set()

        assert set(re.findall(r"\$labels\.(\w+)", alert.summary)) <= kept, alert.name


def test_one_team_does_not_hide_the_alerts_of_others() -> None:
    """An alert about apps has a series for each namespace, and no alert counts what a team causes.

    A team's quota refuses requests and Events with 403, too, for as long as it wants.
    """
    for alert in ALERTS:
        if alert.scope == "apps":
            grouped = AGGREGATION.search(alert.expression)
            assert grouped is not None
            assert "app_namespace" in grouped["labels"], alert.name
        else:
            assert "selfhealing_apps{" not in alert.expression
            assert "selfhealing_unhealthy_apps" not in alert.expression
            assert 'code="403"' not in alert.expression
    assert {rule["labels"]["scope"] for rule in rules(build_rule_groups())} == {"operator", "apps"}


def test_only_the_operator_wakes_somebody_up() -> None:
    """A team's apps are no reason to wake the platform team, but those of many teams at once."""
    assert {"operator"} == {alert.scope for alert in ALERTS if alert.severity == "critical"}


def test_the_pod_monitor_selects_the_pods_and_a_port_that_they_have() -> None:
    objects = build_manifests(Installation())
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    monitor = build_pod_monitor(Installation())
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}

    assert template["metadata"]["labels"] == monitor["spec"]["selector"]["matchLabels"]
    assert endpoint["port"] in ports
    assert deployment["metadata"]["namespace"] == monitor["metadata"]["namespace"]


def test_panels_do_not_overlap_and_have_names_of_their_own() -> None:
    panels = build_dashboard()["panels"]
    cells = [
        (column, line)
        for panel in panels
        for box in [panel["gridPos"]]
        for column in range(box["x"], box["x"] + box["w"])
        for line in range(box["y"], box["y"] + box["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < COLUMNS
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in dashboard_panels():
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_a_legend_names_only_labels_that_its_query_keeps() -> None:
    for panel in dashboard_panels():
        for target in panel["targets"]:
            kept = {
                label.strip()
                for match in AGGREGATION.finditer(target["expr"])
                for label in match["labels"].split(",")
            }

            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept
