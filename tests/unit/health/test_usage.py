"""Reading what the containers of a pod use from its PodMetrics."""

from decimal import Decimal
from typing import Any

import pytest

from selfhealing.health.usage import UsageSample, parse_pod_metrics
from tests.unit import builders

Json = dict[str, Any]


def pod_metrics(*containers: tuple[str, str, str], **more: object) -> Json:
    """A PodMetrics as metrics-server returns it."""
    return {
        "metadata": {"name": "web-abc-1", "namespace": builders.NAMESPACE},
        "timestamp": builders.iso(30),
        "window": "15.5s",
        "containers": [
            {"name": name, "usage": {"cpu": cpu, "memory": memory}}
            for name, cpu, memory in containers
        ],
        **more,
    }


def test_each_container() -> None:
    """Sidecars have limits of their own."""
    found = parse_pod_metrics(pod_metrics(("proxy", "what?", "9Mi"), ("app", "1291758n", "x")))

    assert [
        ("proxy", UsageSample(builders.at(30), 9 << 20, None)),
        ("app", UsageSample(builders.at(30), None, Decimal("0.001291758"))),
    ] == list(found)


@pytest.mark.parametrize(
    "item",
    [
        pod_metrics(),
        pod_metrics(("app", "what?", "what?")),
        pod_metrics(("app", "1m", "9Mi"), timestamp=None),
        pod_metrics(containers=None),
        pod_metrics(containers=[{"name": "app"}]),
        pod_metrics(containers=[{"name": "app", "usage": None}]),
    ],
    ids=["nothing", "no quantity", "no time", "null", "no usage", "usage null"],
)
def test_incomplete_metrics(item: Json) -> None:
    """An incomplete PodMetrics is ignored."""
    assert [] == list(parse_pod_metrics(item))
