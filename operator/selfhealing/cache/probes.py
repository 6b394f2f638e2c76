"""Views of probes, and of the answers that the kubelet got: its Events of the reason Unhealthy."""

import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from selfhealing.api.linear_regex import Pattern, compile_pattern
from selfhealing.api.probe_defaults import DEFAULT_FAILURES, DEFAULT_PERIOD, DEFAULT_TIMEOUT

PROBE_FIELDS: Final[Mapping[str, str]] = {
    "startup": "startupProbe",
    "liveness": "livenessProbe",
    "readiness": "readinessProbe",
}
"""The field of a container by the kind of the probe."""

RESTARTING_PROBES: Final = ("startup", "liveness")
"""The kinds of probes whose failure restarts the container."""

HANDLER_LIMIT: Final = 100
"""Characters of a path or a command that a view keeps."""

MAX_SHARED: Final = 4096
"""Different sets of probes that are shared between the views of pods."""


class AnswerKind(StrEnum):
    """What a probe got instead of a success."""

    STATUS = "Status"
    REFUSED = "Refused"
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    PLAIN_HTTP = "PlainHTTP"
    NOT_HTTP = "NotHTTP"
    CLOSED = "Closed"
    NOT_SERVING = "NotServing"
    NO_HEALTH_SERVICE = "NoHealthService"
    OTHER = "Other"


class ProbeAnswer(NamedTuple):
    """The answer to a failed probe; ``status`` is the code of an HTTP answer, else 0."""

    kind: AnswerKind
    status: int = 0


class ProbeView(NamedTuple):
    """A probe of a container.

    Attributes:
        kind: "startup", "liveness" or "readiness".
        handler: what is asked: "http GET :5000/health", "tcp :5000", "exec cat /tmp/alive".
        port: the port that is asked, a number or a name; empty for a command.
        timeout_seconds: how long the kubelet waits for an answer.
        failure_threshold: how many failures in a row count.
        first_answer_seconds: after how many seconds of a container's life there is an answer, at
            the latest: initialDelaySeconds and periodSeconds.
    """

    kind: str
    handler: str
    port: str
    timeout_seconds: int
    failure_threshold: int
    first_answer_seconds: int

    def describe(self) -> str:
        """Describe the probe: ``readiness GET :5000/readyz``."""
        return f"{self.kind} {self.handler.removeprefix('http ')}"


_UNHEALTHY_MESSAGE: Final = compile_pattern(
    r"(?s)^(?P<kind>Liveness|Readiness|Startup) probe (?:failed|errored[^:]*): (?P<answer>.*)"
)
"""The message of the kubelet's Event (pkg/kubelet/prober of Kubernetes 1.36)."""

_STATUS_CODE: Final = compile_pattern(r"^HTTP probe failed with statuscode: (?P<status>\d{3})$")

_ANSWERS: Final[Mapping[Pattern, AnswerKind]] = {
    compile_pattern(pattern): kind
    for pattern, kind in {
        r"connection refused": AnswerKind.REFUSED,
        r"deadline exceeded|timeout|timed out": AnswerKind.TIMEOUT,
        r"no route to host|network is unreachable|no such host": AnswerKind.UNREACHABLE,
        r"gave http response to https client": AnswerKind.PLAIN_HTTP,
        r"malformed http": AnswerKind.NOT_HTTP,
        r"\beof\b|reset by peer|broken pipe|server closed": AnswerKind.CLOSED,
        r"service unhealthy": AnswerKind.NOT_SERVING,
        r"does not implement the grpc health protocol": AnswerKind.NO_HEALTH_SERVICE,
    }.items()
}
"""Patterns in the lower-case text of an answer, of Go's net package and of the kubelet's probers;
the first that matches counts."""


def parse_unhealthy_message(message: str) -> tuple[str, ProbeAnswer] | None:
    """Parse the message of an Event Unhealthy into the kind of the probe and its answer.

    The text itself is not kept: that of a command is the app's own output, and may hold secrets.

    Returns:
        None if the message is not about a failed probe.
    """
    match = _UNHEALTHY_MESSAGE.match(message)
    if match is None:
        return None
    kind, text = sys.intern(match["kind"].lower()), match["answer"].strip()
    status = _STATUS_CODE.match(text)
    if status is not None:
        return kind, ProbeAnswer(AnswerKind.STATUS, int(status["status"]))
    lowered = text.lower()
    kinds = (answer for pattern, answer in _ANSWERS.items() if pattern.search(lowered))
    return kind, ProbeAnswer(next(kinds, AnswerKind.OTHER))


def probe_views(container: Mapping[str, Any]) -> tuple[ProbeView, ...]:
    """View the probes in a container's spec; equal ones of many pods share their memory."""
    return _share(tuple(_probe_views(container)))


def _probe_views(container: Mapping[str, Any]) -> Iterator[ProbeView]:
    for kind, field in PROBE_FIELDS.items():
        if field in container:
            probe = container[field]
            # An explicit 0 means the default to Kubernetes.
            yield ProbeView(
                kind=kind,
                handler=sys.intern(describe_handler(probe)[:HANDLER_LIMIT]),
                port=sys.intern(_port(probe)),
                timeout_seconds=probe.get("timeoutSeconds") or DEFAULT_TIMEOUT,
                failure_threshold=probe.get("failureThreshold") or DEFAULT_FAILURES,
                first_answer_seconds=(probe.get("initialDelaySeconds") or 0)
                + (probe.get("periodSeconds") or DEFAULT_PERIOD),
            )


@lru_cache(maxsize=MAX_SHARED)
def _share(probes: tuple[ProbeView, ...]) -> tuple[ProbeView, ...]:
    return probes


def _port(probe: Mapping[str, Any]) -> str:
    handlers = (probe.get(handler) or {} for handler in ("httpGet", "tcpSocket", "grpc"))
    return next((str(handler["port"]) for handler in handlers if "port" in handler), "")


def describe_handler(probe: Mapping[str, Any]) -> str:
    """Describe what a probe asks: ``http GET :5000/health``, ``tcp :5000``, ``exec cat /alive``."""
    if http := probe.get("httpGet"):
        scheme = http.get("scheme", "HTTP").lower()
        path = http.get("path") or "/"
        return f"{scheme} GET {http.get('host', '')}:{http.get('port')}{path}"
    if tcp := probe.get("tcpSocket"):
        return f"tcp {tcp.get('host', '')}:{tcp.get('port')}"
    if grpc := probe.get("grpc"):
        service = grpc.get("service", "")
        return f"grpc :{grpc.get('port')}" + (f" {service}" if service else "")
    command = (probe.get("exec") or {}).get("command", ())
    return " ".join(("exec", *command))
