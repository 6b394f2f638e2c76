from hack.scenarios.lab.cpu_usage import parse_cpu
from hack.testkit.kube_client import Json


def metrics(**usage: str) -> Json:
    """Return PodMetrics of pods with one container each."""
    return {
        "items": [
            {"metadata": {"name": name}, "containers": [{"usage": {"cpu": cpu}}]}
            for name, cpu in usage.items()
        ]
    }


def test_cpu_is_read_in_every_unit() -> None:
    found = parse_cpu(metrics(a="981897n", b="2500u", c="37m", d="2", e="0"))

    assert {"a": 1, "b": 2, "c": 37, "d": 2000, "e": 0} == found


def test_containers_of_a_pod_are_added() -> None:
    both = metrics(a="1m")
    both["items"][0]["containers"] *= 3

    assert {"a": 3} == parse_cpu(both)


def test_no_metrics_are_not_an_idle_app() -> None:
    assert parse_cpu({}) is None
    assert parse_cpu({"items": []}) is None
