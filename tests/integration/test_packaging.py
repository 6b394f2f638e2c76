"""The Helm chart and the Kustomize overlays render what the generated manifests have."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testkit.errors import ToolError
from hack.testkit.helm import CHART, run_helm
from hack.testkit.kube_client import ROOT, run_kubectl
from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents
from selfhealing.cli.chart import CRD_FILE
from selfhealing.cli.chart_values import build_schema, list_values
from selfhealing.cli.installation import (
    LABELS,
    METRICS_READER_ROLE,
    NAME,
    NAMESPACE,
    Installation,
    build_manifests,
)
from selfhealing.cli.monitoring import DASHBOARD_FILE
from selfhealing.controller.settings import load_settings

Json = dict[str, Any]
Key = tuple[str, str, str]

DEPLOY = ROOT / "deploy"
OVERLAYS = DEPLOY / "kustomize" / "overlays"
HIGH_AVAILABILITY = CHART / "values-high-availability.yaml"
MONITORED = "podMonitor.enabled=true,prometheusRule.enabled=true,grafanaDashboard.enabled=true"


def index(objects: Iterable[Json]) -> dict[Key, Json]:
    """Return objects by kind, namespace and name."""
    found = {}
    for each in objects:
        key = (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
        assert key not in found, key
        found[key] = each
    return found


def render(*options: str, release: str = NAME, namespace: str = NAMESPACE) -> dict[Key, Json]:
    """Render the chart."""
    text = run_helm("template", release, str(CHART), "--namespace", namespace, *options)
    return index(parse_yaml_documents(text))


def generate(**options: Any) -> dict[Key, Json]:  # noqa: ANN401 - the fields of an Installation
    """Return the generated manifests, without the Namespace: Helm makes that one."""
    objects = build_manifests(Installation(**options))
    return index(each for each in objects if each["kind"] != "Namespace")


def kustomize(folder: Path) -> dict[Key, Json]:
    """Render a Kustomization."""
    return index(parse_yaml_documents(run_kubectl("kustomize", str(folder))))


@pytest.mark.parametrize(
    ("options", "installation"),
    [
        ("", {}),
        ("namespaces={team-a}", {"namespaces": ("team-a",)}),
        ("namespaces={team-a,team-b}", {"namespaces": ("team-a", "team-b")}),
        ("configWatch=all", {"config_watch": "all"}),
        ("configWatch=off", {"config_watch": "off"}),
        (
            "configWatch=all,namespaces={team-a,team-b},metricsAuth=token",
            {
                "config_watch": "all",
                "namespaces": ("team-a", "team-b"),
                "metrics_auth": "token",
            },
        ),
        (
            "configWatch=off,namespaces={team-a}",
            {"config_watch": "off", "namespaces": ("team-a",)},
        ),
        ("metricsAuth=token", {"metrics_auth": "token"}),
        ("admissionPolicies=false", {"has_admission_policies": False}),
        ("image.repository=example.com/a,image.tag=v1", {"image": "example.com/a:v1"}),
        (
            "image.repository=example.com/a,image.digest=sha256:0",
            {"image": "example.com/a@sha256:0"},
        ),
    ],
)
def test_the_chart_renders_the_generated_manifests(options: str, installation: Json) -> None:
    rendered = render("--set", options) if options else render()

    assert generate(**installation) == rendered


@pytest.mark.parametrize(
    ("release", "options", "name"),
    [
        ("second", (), "second-selfhealing-operator"),
        ("my-selfhealing-operator", (), "my-selfhealing-operator"),
        ("second", ("--set", "fullnameOverride=healer"), "healer"),
    ],
)
def test_another_release_has_names_of_its_own(
    release: str, options: tuple[str, ...], name: str
) -> None:
    rendered = render(*options, release=release, namespace="ops")

    assert generate(name=name, namespace="ops") == rendered


def test_helm_finds_nothing_to_complain_about() -> None:
    for values in (CHART / "values.yaml", HIGH_AVAILABILITY):
        run_helm("lint", "--strict", "--quiet", "--values", str(values), str(CHART))


def test_the_chart_has_the_crd() -> None:
    text = run_helm("show", "crds", str(CHART))
    found = [each for each in parse_yaml_documents(text) if each]

    assert [parse_yaml((ROOT / "crd" / CRD_FILE).read_text())] == found


def test_a_wrong_value_is_refused_with_its_name() -> None:
    with pytest.raises(ToolError, match="namespace"):
        render("--set", "namespace=team-a")
    with pytest.raises(ToolError, match="workers"):
        render("--set", "settings.workers=0")


def find_container(rendered: dict[Key, Json]) -> Json:
    template = rendered["Deployment", NAMESPACE, NAME]["spec"]["template"]
    container: Json = template["spec"]["containers"][0]
    return container


def example(schema: Json) -> object:
    """Return a value that a setting's schema allows."""
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "string":
        return "/tls/file.pem"
    return max(schema.get("minimum", 1), 1)


def test_the_operator_understands_every_setting(tmp_path: Path) -> None:
    offered = build_schema(list_values())["properties"]["settings"]["properties"]
    settings = {name: example(schema) for name, schema in offered.items()} | {"leaseDuration": 20}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"settings": settings}))

    container = find_container(render("--values", str(values)))
    loaded = load_settings({each["name"]: each["value"] for each in container["env"]})

    assert len(settings) == len(container["env"])
    assert list(settings.values()) == [
        getattr(loaded, "".join(f"_{c.lower()}" if c.isupper() else c for c in name))
        for name in settings
    ]


def test_the_pods_are_as_the_values_say(tmp_path: Path) -> None:
    values = {
        "replicas": 5,
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {}},
        "tolerations": [],
        "topologySpreadConstraints": [],
        "podAnnotations": {"a": "1"},
        "podLabels": {"team": "ops", "app.kubernetes.io/name": "not-this"},
        "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "networkPolicy": {"apiServerPorts": [8443]},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))

    rendered = render("--values", str(file))
    spec = rendered["Deployment", NAMESPACE, NAME]["spec"]
    pod = spec["template"]["spec"]

    assert 5 == spec["replicas"]
    assert {"a": "1"} == spec["template"]["metadata"]["annotations"]
    assert {**LABELS, "team": "ops"} == spec["template"]["metadata"]["labels"]
    for name in ("priorityClassName", "imagePullSecrets", "nodeSelector", "affinity", "volumes"):
        assert values[name] == pod[name]
    assert pod.keys().isdisjoint({"tolerations", "topologySpreadConstraints"})
    container = find_container(rendered)
    assert values["volumeMounts"] == container["volumeMounts"]
    assert "1Gi" == container["resources"]["limits"]["memory"]
    egress = rendered["NetworkPolicy", NAMESPACE, NAME]["spec"]["egress"]
    assert [{"protocol": "TCP", "port": 8443}] == egress[-1]["ports"]


def test_what_is_for_the_whole_cluster_can_be_left_out() -> None:
    """A second release would have ClusterRoles of the same names."""
    rendered = render("--set", "userRoles=false,metricsAuth=token,networkPolicy.enabled=false")

    assert {NAME, f"{NAME}-metrics-auth"} == {
        name for kind, _, name in rendered if kind == "ClusterRole"
    }
    assert METRICS_READER_ROLE not in {name for _, _, name in rendered}
    assert "NetworkPolicy" not in {kind for kind, _, _ in rendered}


def monitoring() -> dict[Key, Json]:
    """Return the manifests of deploy/monitoring."""
    files = ("podmonitor.yaml", "prometheusrule.yaml")
    return index(parse_yaml((DEPLOY / "monitoring" / file).read_text()) for file in files)


def test_the_chart_has_the_monitoring_too() -> None:
    rendered = render("--set", MONITORED)
    dashboard = rendered["ConfigMap", NAMESPACE, f"{NAME}-dashboard"]
    files = monitoring()

    assert generate() | files | {("ConfigMap", NAMESPACE, f"{NAME}-dashboard"): dashboard} == (
        rendered
    )
    text = (DEPLOY / "monitoring" / DASHBOARD_FILE).read_text()
    assert {DASHBOARD_FILE: text} == dashboard["data"]
    assert {**LABELS, "grafana_dashboard": "1"} == dashboard["metadata"]["labels"]


def test_prometheus_of_the_user_finds_the_monitoring() -> None:
    """By labels; the endpoint has what the user's Prometheus needs, and the links a page."""
    rendered = render(
        *("--set", MONITORED),
        *("--set", "podMonitor.labels.release=prom,prometheusRule.labels.release=prom"),
        *("--set", "podMonitor.endpoint.interval=15s"),
        *("--set", "prometheusRule.runbookUrl=https://docs.example.com/alerts"),
    )
    monitor = rendered["PodMonitor", NAMESPACE, NAME]
    rule = rendered["PrometheusRule", NAMESPACE, NAME]
    links = {
        each["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for each in group["rules"]
    }

    for each in (monitor, rule):
        assert {**LABELS, "release": "prom"} == each["metadata"]["labels"]
    assert [{"port": "metrics", "path": "/metrics", "interval": "15s"}] == monitor["spec"][
        "podMetricsEndpoints"
    ]
    assert all(link.startswith("https://docs.example.com/alerts#selfhealing") for link in links)


def with_namespace(objects: dict[Key, Json]) -> dict[Key, Json]:
    namespaces = [each for each in build_manifests(Installation()) if each["kind"] == "Namespace"]
    return objects | index(namespaces)


def test_the_overlay_for_the_whole_cluster() -> None:
    expected = generate(image="registry.example.com/selfhealing-operator:v1")

    assert with_namespace(expected) == kustomize(OVERLAYS / "cluster-wide")


def test_the_overlay_for_namespaces() -> None:
    expected = generate(namespaces=("team-a", "team-b"))

    assert with_namespace(expected) == kustomize(OVERLAYS / "namespaces")


def test_the_overlay_for_high_availability_is_the_chart_with_these_values() -> None:
    rendered = render("--values", str(HIGH_AVAILABILITY))

    assert with_namespace(rendered) == kustomize(OVERLAYS / "high-availability")
    assert generate() != rendered


def test_the_component_with_the_monitoring(tmp_path: Path) -> None:
    """It is added to an overlay; the dashboard becomes a ConfigMap, as by the chart."""
    folder = os.path.relpath(DEPLOY / "monitoring", tmp_path)  # Kustomize wants it relative
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"components": [folder]}))

    found = kustomize(tmp_path)
    dashboard = found.pop(("ConfigMap", NAMESPACE, f"{NAME}-dashboard"))

    assert monitoring() == found
    assert dashboard == render("--set", MONITORED)["ConfigMap", NAMESPACE, f"{NAME}-dashboard"]


@pytest.mark.parametrize("source", [render, lambda: kustomize(OVERLAYS / "high-availability")])
def test_the_api_server_accepts_what_is_rendered(
    source: Callable[[], dict[Key, Json]], namespace: str
) -> None:
    """In a dry run, with all of its validation; each object in the namespace of the test."""
    objects = []
    for (kind, place, _), each in source().items():
        if kind == "Namespace":
            continue
        if place:
            each["metadata"]["namespace"] = namespace
        objects.append(each)

    run_kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
        stdin=yaml.safe_dump_all(objects),
    )
