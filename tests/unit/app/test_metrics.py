from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.factory import create_app
from app.metrics import Metrics
from app.settings import AccessLog, Settings
from app.state import State

Sample = tuple[str, tuple[tuple[str, str], ...]]


def read_metrics(client: FlaskClient) -> dict[Sample, float]:
    """What Prometheus would read."""
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def answered(path: str, status: str, method: str = "GET") -> Sample:
    return "http_requests_total", (("method", method), ("path", path), ("status", status))


def test_requests_are_counted_by_route_method_and_status(client: FlaskClient) -> None:
    """A probe that fails is another series than one that succeeds."""
    client.get("/health")
    client.get("/health")
    client.post("/fail")
    client.get("/health")
    samples = read_metrics(client)

    assert samples[answered("/health", "200")] == 2
    assert samples[answered("/health", "500")] == 1
    assert samples[answered("/fail", "200", "POST")] == 1
    assert samples["http_request_duration_seconds_count", (("path", "/health"),)] == 3
    assert answered("/metrics", "200") not in samples
    assert read_metrics(client)[answered("/metrics", "200")] == 1


@pytest.fixture(scope="module")
def lasting_client() -> FlaskClient:
    """A client of an app that keeps its metrics from one example of a property to the next."""
    return create_app(State(), Settings(access_log=AccessLog.OFF)).test_client()


@settings(deadline=None)  # a busy machine is no finding
@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="/?#\\"), min_size=1),
    method=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=12),
)
def test_no_client_can_make_a_label(lasting_client: FlaskClient, path: str, method: str) -> None:
    """Series are bounded by the routes, not by what is asked."""
    client = lasting_client
    client.open(f"/x{path}/y", method=method)
    client.open("/health", method=method)
    labels = {label for _, labels in read_metrics(client) for label in labels}

    assert {v for k, v in labels if k == "path"} <= {"(unknown)", "/health", "/metrics"}
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert {v for k, v in labels if k == "method"} <= {"(unknown)", *known}


def test_requests_in_flight_leave_out_the_scrape_and_come_back_to_zero(state: State) -> None:
    """Also after a request that failed."""
    metrics = Metrics()
    app = create_app(state, Settings(access_log=AccessLog.OFF), metrics)
    seen: list[float | None] = []

    def look() -> str:
        seen.append(metrics.registry.get_sample_value("http_requests_in_flight"))
        raise RuntimeError

    app.add_url_rule("/look", "look", look)
    client = app.test_client()
    client.get("/look")

    assert seen == [1]
    assert read_metrics(client)["http_requests_in_flight", ()] == 0
    assert read_metrics(client)[answered("/look", "500")] == 1


def test_the_state_is_shown(client: FlaskClient, state: State) -> None:
    """1 is good for the first two, busy for the third."""

    def shown() -> list[float]:
        samples = read_metrics(client)
        return [samples[f"demo_app_{name}", ()] for name in ("healthy", "ready", "cpu_load")]

    assert shown() == [1, 1, 0]
    state.set_healthy(False)
    state.set_ready(False)
    state.start_load()
    assert shown() == [0, 0, 1]


@pytest.mark.parametrize("length", [0, 7])
def test_the_queue_is_asked_of_the_server_at_each_scrape(state: State, length: int) -> None:
    """The application itself knows no queue."""
    metrics = Metrics()
    client = create_app(state, Settings(access_log=AccessLog.OFF), metrics).test_client()
    assert read_metrics(client)["http_requests_queued", ()] == 0

    metrics.watch_queue(lambda: length)
    assert length == read_metrics(client)["http_requests_queued", ()]


def test_two_applications_do_not_share_their_counters() -> None:
    """Each has a registry of its own."""
    make: Callable[[], Flask] = lambda: create_app(State(), Settings(access_log=AccessLog.OFF))  # noqa: E731
    one, other = make().test_client(), make().test_client()
    one.get("/")

    assert answered("/", "200") in read_metrics(one)
    assert answered("/", "200") not in read_metrics(other)
