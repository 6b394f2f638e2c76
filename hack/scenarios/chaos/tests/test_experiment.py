"""An experiment with scripted samples instead of a cluster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from hack.scenarios.chaos import experiment as module
from hack.scenarios.chaos.environment import Environment
from hack.scenarios.chaos.experiment import Experiment
from hack.scenarios.chaos.faults import Fault, select_faults
from hack.scenarios.chaos.metrics import FaultRun
from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.request_stream import RequestStream
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import MarkKind, Sample
from hack.testkit.kube_client import Json
from hack.testkit.service_access import ServiceEndpoint

READY: dict[str, Any] = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "phase": "Ready",
    "ready": "2/2",
}
STARTED = {
    "id": 1,
    "remediation": "Rollback",
    "diagnosis": "ImagePullFailing",
    "outcome": "InProgress",
}
HEALTHY_PODS, UNHEALTHY_PODS = (
    (build_pod("a"), build_pod("b")),
    (build_pod("a"), build_pod("b"), build_pod("c", "0/1", "ErrImagePull")),
)


class _FakeClient:
    """Records the kubectl commands."""

    namespace = "drill"

    def __init__(self) -> None:
        self.requests: list[str] = []

    def run_kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> str:
        assert seconds > 0
        self.requests.append(f"{arguments} {stdin or ''}")
        return ""

    def get_path(self, path: str) -> Json:
        """Return the app; its history is empty before the fault."""
        assert path.endswith("/selfhealingapps/shop")
        struck = any("patch" in command for command in self.requests)
        return {"status": {"healing": {"history": [STARTED] if struck else []}}}

    def format_command(self, arguments: str) -> str:
        return f"kubectl -n drill {arguments}"


class _ScriptedSampler:
    """Samples of an app that is healthy until the fault, and recovers if ``heals``."""

    heals = True

    def __init__(self, kube: _FakeClient, *_: object, **__: object) -> None:
        self._kube = kube
        self.started_at = time.monotonic()
        self._samples: list[Sample] = []
        self._injected_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is no thread."""

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started_at

    @property
    def samples(self) -> tuple[Sample, ...]:
        self._samples.append(self._build_sample(self.elapsed))
        return tuple(self._samples)

    @property
    def latest_snapshot(self) -> ClusterSnapshot:
        return self.samples[-1].snapshot

    def _build_sample(self, at: float) -> Sample:
        is_injected = any("patch" in command for command in self._kube.requests)
        self._injected_at = self._injected_at or (at if is_injected else 0)
        healing: dict[str, Any] = {"stableRevision": "v1"}
        if not is_injected:
            return build_sample(at, *HEALTHY_PODS, healing=healing, **READY)
        healing["diagnoses"] = [{"type": "ImagePullFailing"}]
        elapsed = at - self._injected_at
        if self.heals and elapsed > 0.2:
            outcome = "Succeeded" if elapsed > 0.6 else "InProgress"
            healing["history"] = [{**STARTED, "outcome": outcome}]
        pods = HEALTHY_PODS if self.heals and elapsed > 0.4 else UNHEALTHY_PODS
        return build_sample(at, *pods, healing=healing, phase="Degraded", ready="0/2")


NO_READY_POD = ScenarioError("no pod of the app is ready")
CONNECTION_LOST = requests.ConnectionError("the API server is away")


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> _FakeClient:
    kube = _FakeClient()

    @contextmanager
    def sent(*_: object, **__: object) -> Iterator[RequestStream]:
        stream = RequestStream()
        stream.record_response("a")
        yield stream

    @contextmanager
    def way(*_: object) -> Iterator[ServiceEndpoint]:
        yield ServiceEndpoint("http://node:30000", "node port")

    for name, value in {
        "Sampler": _ScriptedSampler,
        "open_service": way,
        "send_requests": sent,
        "RECOVERY_WINDOW": 0.3,
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("hack.scenarios.chaos.run_state.LEAD_SECONDS", 0.0)
    monkeypatch.setattr(Experiment, "_wait_for_steady_state", lambda *_: None)
    monkeypatch.setattr("hack.scenarios.chaos.environment.POLL_INTERVAL", 0.02)
    monkeypatch.setattr("hack.scenarios.chaos.environment.start_operators", lambda *_: [])
    monkeypatch.setattr(
        "hack.scenarios.common.namespace.create_namespace", lambda *_: kube.requests.append("make")
    )
    monkeypatch.setattr(
        "hack.scenarios.common.namespace.delete_namespace",
        lambda *_: kube.requests.append("remove"),
    )
    return kube


def run_experiment(kube: _FakeClient, fault: Fault, *, healing: bool = True) -> FaultRun:
    context = ScenarioContext(kube, PlainConsole())  # type: ignore[arg-type]
    return Experiment(fault, context, is_healing_enabled=healing).run(Path("logs"))


(FAULT,) = select_faults(["bad-image"])
SHORT_FAULT = replace(FAULT, timeout=1)


def test_with_healing_it_is_told_when_it_was_served_again_and_what_was_done(
    kube: _FakeClient,
) -> None:
    half = run_experiment(kube, SHORT_FAULT)

    assert half.error == ""
    assert half.recovered_after == pytest.approx(0.4, abs=0.25)
    assert ["Rollback Succeeded"] == [str(act) for act in half.actions]
    assert ("ImagePullFailing",) == half.diagnoses
    assert [MarkKind.FAULT, MarkKind.ACTION, MarkKind.RECOVERED] == [
        mark.kind for mark in half.timeline.marks
    ]
    assert "make" == kube.requests[0]
    assert "remove" == kube.requests[-1]
    assert '"mode": "Auto"' in kube.requests[1]


def test_without_healing_it_ends_when_the_time_is_over(
    kube: _FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ScriptedSampler, "heals", False)

    half = run_experiment(kube, SHORT_FAULT, healing=False)

    assert (None, (), "not within 1 s") == (half.recovered_after, half.actions, half.recovery_text)
    assert '"mode": "Off"' in kube.requests[1]


def test_what_belongs_into_the_middle_is_done_once_healing_has_begun(kube: _FakeClient) -> None:
    done: list[float] = []
    fault = replace(
        SHORT_FAULT, second_fault=("killed", lambda site: done.append(site.sampler.elapsed))
    )

    half = run_experiment(kube, fault)

    assert 1 == len(done)
    assert ["killed"] == [mark.text for mark in half.timeline.marks if mark.kind is MarkKind.FAULT][
        1:
    ]


@pytest.mark.parametrize("error", [NO_READY_POD, CONNECTION_LOST], ids=repr)
def test_what_was_broken_is_put_right_also_when_something_fails(
    kube: _FakeClient, error: Exception
) -> None:
    @contextmanager
    def broken() -> Iterator[None]:
        kube.requests.append("broken")
        yield
        kube.requests.append("put right")

    def inject(site: Environment) -> None:
        site.add_cleanup(broken())
        raise error

    half = run_experiment(kube, replace(SHORT_FAULT, inject=inject))

    assert str(error) == half.error
    assert ["broken", "put right", "remove"] == kube.requests[-3:]


def test_an_operator_that_does_not_start_is_told(
    kube: _FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def operators(*_: object) -> None:
        raise AssertionError("not within 60 s: the operator caught up")

    monkeypatch.setattr("hack.scenarios.chaos.environment.start_operators", operators)

    half = run_experiment(kube, SHORT_FAULT)

    assert "not within 60 s: the operator caught up" == half.error
    assert ["make", "remove"] == kube.requests
