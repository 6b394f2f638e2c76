"""The values of the Helm chart: one table, from which values.yaml and its schema are written."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import yaml

from selfhealing.cli.alerts import RUNBOOK
from selfhealing.cli.installation import (
    DEFAULT_CONFIG_WATCH,
    DEFAULT_IMAGE,
    DEFAULT_METRICS_AUTH,
    Installation,
    Json,
    build_deployment,
)
from selfhealing.cli.network_policy import API_SERVER_PORTS
from selfhealing.controller.settings import MetricsAuth, Settings
from selfhealing.kube.resources import CONFIG_SOURCES

WIDTH: Final = 100

FIXED_SETTINGS: Final = frozenset(
    {
        "namespaces",
        "config_watch",
        "metrics_auth",
        "metrics_port",
        "health_port",
        "leader_election",
        "lease_name",
        "lease_namespace",
    }
)
"""The settings that ``settings`` does not take: rights, ports or replicas depend on them."""

_OBJECT: Final[Json] = {"type": "object"}
_OBJECTS: Final[Json] = {"type": "array", "items": {"type": "object"}}
_STRINGS: Final[Json] = {"type": "object", "additionalProperties": {"type": "string"}}
_SWITCH: Final[Json] = {"type": "boolean"}
_STRING: Final[Json] = {"type": "string"}
_NAMESPACE: Final[Json] = {
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "maxLength": 63,
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the chart.

    Attributes:
        path: its name, with dots.
        default: what values.yaml has.
        schema: the JSON schema, without description.
        description: what it is for.
    """

    path: str
    default: Any
    schema: Json = field(default_factory=dict)
    description: str = ""


def list_values() -> tuple[Value, ...]:
    """Return all values, in the order of values.yaml."""
    deployment = build_deployment(Installation())["spec"]
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    repository, _, tag = DEFAULT_IMAGE.rpartition(":")
    return (
        Value("image.repository", repository, _STRING, "The operator's image."),
        Value("image.tag", tag, _STRING, "Its tag."),
        Value("image.digest", "", _STRING, "Its digest (sha256:...), in place of the tag."),
        Value(
            "image.pullPolicy",
            container["imagePullPolicy"],
            {"enum": ["Always", "IfNotPresent", "Never"]},
            "When the nodes pull it.",
        ),
        Value("imagePullSecrets", [], _OBJECTS, "Secrets to pull it with, each as {name: ...}."),
        Value(
            "fullnameOverride",
            "",
            _STRING,
            "The name of the objects, in place of the release's name.",
        ),
        Value(
            "namespaces",
            [],
            {"type": "array", "items": _NAMESPACE, "uniqueItems": True},
            "The namespaces to serve; they must exist. Empty: the whole cluster.",
        ),
        Value(
            "configWatch",
            DEFAULT_CONFIG_WATCH,
            {"enum": sorted(CONFIG_SOURCES)},
            'What replaces the pods that read it when it changes: configmaps, all (and Secrets), "'
            'off". The operator gets no right to read the others.',
        ),
        Value(
            "metricsAuth",
            DEFAULT_METRICS_AUTH,
            {"enum": list(get_args(MetricsAuth))},
            'Who may read the metrics: "off" (who reaches the port) or token (who sends a token and'
            " may get the URL /metrics).",
        ),
        Value(
            "settings",
            {"logFormat": "json"},
            _settings_schema(),
            "Other settings of the operator, see docs/install.md: --lease-duration is"
            " leaseDuration.",
        ),
        Value(
            "admissionPolicies",
            True,
            _SWITCH,
            "ValidatingAdmissionPolicies on who may ask for an app and what the operator writes."
            " Without them, who may create SelfHealingApps has the rights of who may create pods.",
        ),
        Value(
            "userRoles",
            True,
            _SWITCH,
            "ClusterRoles that extend view, edit and admin. Only one release of a cluster can have"
            " them.",
        ),
        Value(
            "replicas",
            deployment["replicas"],
            {"type": "integer", "minimum": 0},
            "The number of pods; one of them leads.",
        ),
        Value("resources", container["resources"], _OBJECT, "Requests and limits."),
        Value("priorityClassName", "", _STRING, "The PriorityClass of the pods."),
        Value(
            "topologySpreadConstraints",
            pod["topologySpreadConstraints"],
            _OBJECTS,
            "How the replicas are spread. DoNotSchedule: ScheduleAnyway can be outweighed by the"
            " score of a node that has the image.",
        ),
        Value(
            "tolerations",
            pod["tolerations"],
            _OBJECTS,
            "In a cluster with one worker node, the other replica runs on the control plane.",
        ),
        Value("nodeSelector", {}, _STRINGS, "The labels of the nodes to run on."),
        Value("affinity", {}, _OBJECT, "The affinity of the pods."),
        Value("podAnnotations", {}, _STRINGS, "More annotations of the pods."),
        Value("podLabels", {}, _STRINGS, "More labels of the pods."),
        Value("volumes", [], _OBJECTS, "Volumes, for example of the metrics' certificate."),
        Value("volumeMounts", [], _OBJECTS, "Where the container has them."),
        Value(
            "networkPolicy.enabled",
            True,
            _SWITCH,
            "Limit who reaches the operator, and where it connects to.",
        ),
        Value(
            "networkPolicy.apiServerPorts",
            list(API_SERVER_PORTS),
            {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}},
            "The ports of the API server: of its Service, and behind it.",
        ),
        *_monitoring_values(),
    )


def _monitoring_values() -> Iterator[Value]:
    off = False
    yield Value("podMonitor.enabled", off, _SWITCH, "A PodMonitor (needs the Prometheus operator).")
    yield Value("podMonitor.labels", {}, _STRINGS, "Labels by which Prometheus selects it.")
    yield Value(
        "podMonitor.endpoint",
        {},
        _OBJECT,
        "More fields of its endpoint: interval, or scheme, tlsConfig and authorization.",
    )
    yield Value("prometheusRule.enabled", off, _SWITCH, "Alerts (needs the Prometheus operator).")
    yield Value("prometheusRule.labels", {}, _STRINGS, "Labels by which Prometheus selects them.")
    yield Value(
        "prometheusRule.runbookUrl",
        RUNBOOK,
        _STRING,
        "Where the page docs/alerts.md is published: what runbook_url of each alert begins with.",
    )
    yield Value(
        "grafanaDashboard.enabled", off, _SWITCH, "A ConfigMap with the dashboard for Grafana."
    )
    yield Value(
        "grafanaDashboard.labels",
        {"grafana_dashboard": "1"},
        _STRINGS,
        "Labels by which Grafana's sidecar finds it.",
    )


def _settings_schema() -> Json:
    properties = {
        _to_camel_case(name): {
            key: value for key, value in schema.items() if key not in {"title", "default"}
        }
        for name, schema in Settings.model_json_schema()["properties"].items()
        if name not in FIXED_SETTINGS
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _to_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def format_values(values: Sequence[Value]) -> str:
    """Return values.yaml."""
    lines: list[str] = []
    last_group = ""
    for value in values:
        group, _, name = value.path.rpartition(".")
        if group and group != last_group:
            lines += ["", f"{group}:"]
        indent = "  " if group else ""
        if not group:
            lines.append("")
        last_group = group
        comment = textwrap.wrap(value.description, WIDTH - len(indent) - 2)
        text = yaml.safe_dump({name: value.default}, sort_keys=False)
        lines += [f"{indent}# {line}" for line in comment]
        lines += [f"{indent}{line}" for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines[1:])


def build_schema(values: Sequence[Value]) -> Json:
    """Return values.schema.json: a value that it does not name is an error."""
    # Helm gives every chart the values "global" of the chart that it is a part of.
    properties: Json = {"global": {"type": "object"}}
    for value in values:
        group, _, name = value.path.rpartition(".")
        fields = properties
        if group:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            fields = properties.setdefault(group, empty)["properties"]
        fields[name] = {**value.schema, "description": value.description}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
