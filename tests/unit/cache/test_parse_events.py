"""Events about pods become views; whatever else they say is dropped."""

import pytest

from selfhealing.cache.event_views import PodWarning, ProbeFailure
from selfhealing.cache.parse_events import MAX_COUNT, POD_EVENT_REASONS, pod_event
from selfhealing.cache.probes import AnswerKind, ProbeAnswer, describe_handler, probe_views
from tests.unit.builders import Json, at, http_probe, pod_event as build_event, unhealthy_event

REFUSED = "dial tcp 10.1.2.3:8080: connect: connection refused"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTP probe failed with statuscode: 404", ProbeAnswer(AnswerKind.STATUS, 404)),
        (f'Get "http://10.1.2.3:8080/ready": {REFUSED}', ProbeAnswer(AnswerKind.REFUSED)),
        (REFUSED, ProbeAnswer(AnswerKind.REFUSED)),
        (
            'Get "http://10.1.2.3:8080/": context deadline exceeded (Client.Timeout exceeded)',
            ProbeAnswer(AnswerKind.TIMEOUT),
        ),
        ("dial tcp 10.1.2.3:8080: i/o timeout", ProbeAnswer(AnswerKind.TIMEOUT)),
        ('command "sleep 9" timed out', ProbeAnswer(AnswerKind.TIMEOUT)),
        ("dial tcp 10.1.2.3:80: connect: no route to host", ProbeAnswer(AnswerKind.UNREACHABLE)),
        (
            'Get "https://10.1.2.3:80/": http: server gave HTTP response to HTTPS client',
            ProbeAnswer(AnswerKind.PLAIN_HTTP),
        ),
        (
            'Get "http://10.1.2.3:80/": malformed HTTP response "x"',
            ProbeAnswer(AnswerKind.NOT_HTTP),
        ),
        ('Get "http://10.1.2.3:80/": EOF', ProbeAnswer(AnswerKind.CLOSED)),
        (
            'service unhealthy (responded with "NOT_SERVING")',
            ProbeAnswer(AnswerKind.NOT_SERVING),
        ),
        (
            "error: this server does not implement the grpc health protocol",
            ProbeAnswer(AnswerKind.NO_HEALTH_SERVICE),
        ),
        ("cat: /tmp/alive: No such file or directory", ProbeAnswer(AnswerKind.OTHER)),
        ("", ProbeAnswer(AnswerKind.OTHER)),
    ],
)
def test_answers(text: str, expected: ProbeAnswer) -> None:
    """The texts of Go's net package and of the kubelet's probers."""
    event = unhealthy_event("web-abc-1", 20, answer=text, count=7)

    assert ProbeFailure(
        "shop", "uid-of-web-abc-1", "app", "readiness", expected, 7, at(20)
    ) == pod_event(event)


@pytest.mark.parametrize("probe", ["Liveness", "Startup", "Readiness"])
def test_kinds(probe: str) -> None:
    """Each kind of probe, also of an error that is no failure."""
    message = f"{probe} probe errored and resulted in Unknown state: rpc error: timeout"
    found = pod_event(build_event("web-abc-1", "Unhealthy", message, 5))

    assert isinstance(found, ProbeFailure)
    assert (probe.lower(), AnswerKind.TIMEOUT, 1) == (found.probe, found.answer.kind, found.count)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count": 0}, 1),
        ({"count": -7}, 1),
        ({"count": 10**12}, MAX_COUNT),
        ({"count": 2, "series": {"count": 9, "lastObservedTime": None}}, 9),
    ],
)
def test_counts(change: Json, expected: int) -> None:
    """Whatever somebody writes, a count is a reasonable number."""
    found = pod_event(unhealthy_event("web-abc-1") | change)

    assert isinstance(found, ProbeFailure)
    assert expected == found.count


@pytest.mark.parametrize(
    "change",
    [
        {"message": "Readiness probe warning: redirects"},
        {"message": "everything is fine"},
        {"message": None},
        {"involvedObject": {"kind": "Pod", "uid": "u"}},
        {"involvedObject": {"kind": "Pod", "uid": "u", "fieldPath": "spec.containers{a b}"}},
        {"source": {"component": "attachdetach-controller"}},
        {"reason": "BackOff"},
        {"reason": None},
    ],
)
def test_other_events(change: Json) -> None:
    """They say nothing about a probe."""
    assert None is pod_event(unhealthy_event("web-abc-1") | change)


@pytest.mark.parametrize(
    ("reason", "component", "is_read"),
    [
        ("FailedMount", "kubelet", True),
        ("FailedMount", "attachdetach-controller", False),
        ("FailedAttachVolume", "attachdetach-controller", True),
        ("FailedAttachVolume", "kubelet", False),
        ("FailedToRetrieveImagePullSecret", "kubelet", True),
        ("Evicted", "kubelet", True),
        ("Evicted", "taint-eviction-controller", False),
    ],
)
def test_warnings(reason: str, component: str, *, is_read: bool) -> None:
    """Each from the component that writes it, in one clean line."""
    event = build_event("web-abc-1", reason, "one\ntwo", 5, component=component)
    expected = PodWarning("shop", "uid-of-web-abc-1", reason, "one two", at(5))

    assert (expected if is_read else None) == pod_event(event)
    assert reason in POD_EVENT_REASONS


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (http_probe(), "http GET :5000/readyz"),
        ({"httpGet": {"port": "web", "scheme": "HTTPS", "host": "x"}}, "https GET x:web/"),
        ({"tcpSocket": {"port": 5000}}, "tcp :5000"),
        ({"grpc": {"port": 5000}}, "grpc :5000"),
        ({"grpc": {"port": 5000, "service": "web"}}, "grpc :5000 web"),
        ({"exec": {"command": ["cat", "/alive"]}}, "exec cat /alive"),
        ({}, "exec"),
    ],
)
def test_handlers(probe: Json, expected: str) -> None:
    """What a probe asks, in a few words."""
    assert expected == describe_handler(probe)


def test_probes_of_a_container() -> None:
    """The defaults of Kubernetes are filled in; equal probes share their memory."""
    spec = {
        "readinessProbe": http_probe(timeoutSeconds=0, failureThreshold=None),
        "livenessProbe": {"exec": {"command": ["x" * 300]}, "timeoutSeconds": 5}
        | {"initialDelaySeconds": 20, "periodSeconds": 2},
    }
    liveness, readiness = probe_views(spec)

    assert ("readiness", "http GET :5000/readyz", "5000", 1, 3, 10) == readiness
    assert ("liveness", "", 5, 3, 22) == (liveness.kind, *liveness[2:])
    assert 100 == len(liveness.handler)
    assert probe_views(dict(spec)) is probe_views(spec)
