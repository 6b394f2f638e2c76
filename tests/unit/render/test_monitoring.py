"""How Prometheus finds the metrics: by a PodMonitor, or by annotations of the pods."""

from typing import Any

import pytest

from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.kube.resources import CHILDREN, OPTIONAL_CHILDREN
from selfhealing.remediation.template_check import find_template_fault
from selfhealing.render import Owner, build_children
from selfhealing.render.job import run_hash
from selfhealing.render.monitoring import build_pod_monitor, scrape_annotations
from selfhealing.render.overrides import template_revision
from selfhealing.render.pod import build_pod_template

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
EXPORTER = {
    "name": "exporter",
    "image": "exporter:v1",
    "ports": [{"containerPort": 1}, {"name": "metrics", "containerPort": 9113}],
}


def build_spec(monitoring: Any, **more: Any) -> SelfHealingAppSpec:  # noqa: ANN401 - JSON
    """Return the spec of an app with metrics."""
    return parse_spec({"image": "web:v1", "port": 8080, "monitoring": monitoring, **more})


def test_an_app_without_it_has_none() -> None:
    """Neither the object nor the annotations."""
    spec = parse_spec({"image": "web:v1", "port": 80})

    assert "PodMonitor" not in {child["kind"] for child in build_children(OWNER, spec)}
    assert "annotations" not in build_pod_template("web", spec)["metadata"]


def test_the_app_s_port_is_plain() -> None:
    """The pods are not changed for it."""
    built = build_pod_monitor(OWNER, build_spec({}))

    assert built is not None
    assert {
        "selector": {"matchLabels": {"selfhealing.dev/app": "web"}},
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}],
    } == built["spec"]
    assert "annotations" not in build_pod_template("web", build_spec({}))["metadata"]


def test_every_field() -> None:
    """The labels of all children stay."""
    built = build_pod_monitor(
        OWNER,
        build_spec(
            {
                "port": "metrics",
                "path": "/stats",
                "interval": "1m",
                "scrapeTimeout": "10s",
                "labels": {"release": "prometheus"},
            },
            sidecars=[EXPORTER],
        ),
    )

    assert built is not None
    assert [
        {"port": "metrics", "path": "/stats", "interval": "1m", "scrapeTimeout": "10s"}
    ] == built["spec"]["podMetricsEndpoints"]
    assert {"release": "prometheus", "app": "web"}.items() <= built["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("monitoring", "port"),
    [
        ({}, "8080"),
        ({"port": "metrics"}, "9113"),
        ({"port": "admin"}, "9000"),
        ({"port": "native"}, "9114"),
        ({"port": "nobody-has-it"}, None),
    ],
)
def test_annotations_name_the_number_of_the_port(monitoring: Any, port: str | None) -> None:  # noqa: ANN401 - JSON
    """Prometheus asks every port of a pod whose annotations name none."""
    spec = build_spec(
        {"mode": "Annotations", **monitoring},
        ports=[{"name": "admin", "port": 9000, "expose": False}],
        sidecars=[EXPORTER],
        initContainers=[
            {"name": "init", "image": "init:v1"},
            {
                "name": "native",
                "image": "native:v1",
                "restartPolicy": "Always",
                "ports": [{"name": "native", "containerPort": 9114}],
            },
        ],
    )
    expected = {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics"}

    assert expected | ({"prometheus.io/port": port} if port else {}) == scrape_annotations(spec)
    assert build_pod_monitor(OWNER, spec) is None


def test_annotations_stand_beside_the_others() -> None:
    """Those of the operator, and those that the spec names itself, which come first."""
    given = {"prometheus.io/path": "/mine", "example.com/a": "b"}
    spec = build_spec({"mode": "Annotations"}, podMetadata={"annotations": given})
    annotations = build_pod_template("web", spec, "0123456789abcdef")["metadata"]["annotations"]

    assert {
        "prometheus.io/scrape",
        "prometheus.io/path",
        "prometheus.io/port",
        "selfhealing.dev/config",
        "example.com/a",
    } == annotations.keys()
    assert "/mine" == annotations["prometheus.io/path"]


def test_a_saved_template_with_annotations_can_be_rolled_back_to() -> None:
    """Also when the present spec asks for none."""
    saved = build_pod_template("web", build_spec({"mode": "Annotations"}))
    present = build_pod_template("web", build_spec({}))

    assert "" == find_template_fault(saved, template_revision(saved), present)


def test_other_annotations_are_another_run_of_a_job() -> None:
    """The template of a Job is immutable; a PodMonitor beside it changes no Job."""
    job: dict[str, Any] = {"image": "web:v1", "port": 80, "restartPolicy": "Never"}
    plain = parse_spec(job)
    monitored = parse_spec({**job, "monitoring": {}})
    annotated = parse_spec({**job, "monitoring": {"mode": "Annotations"}})
    first, second, third = (
        run_hash(spec, build_pod_template("web", spec)) for spec in (plain, monitored, annotated)
    )

    assert first == second
    assert first != third


def test_a_cluster_may_not_serve_it() -> None:
    """It is listed while an app asks for it, and not watched."""
    assert CHILDREN["PodMonitor"] in OPTIONAL_CHILDREN
