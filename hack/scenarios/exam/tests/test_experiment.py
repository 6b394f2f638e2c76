"""A row with scripted samples instead of a cluster."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.request_stream import RequestStream
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import MarkKind, Sample
from hack.scenarios.exam import experiment as module
from hack.scenarios.exam.edits import update
from hack.scenarios.exam.environment import Environment
from hack.scenarios.exam.experiment import Experiment, Timing
from hack.scenarios.exam.fault import Fault, Way, rolled_back, told
from hack.scenarios.exam.metrics import FaultRun
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
DIAGNOSED = {"type": "ImagePullFailing", "cause": "NewVersion", "confidence": "High"}
HEALTHY_PODS, UNHEALTHY_PODS = (
    (build_pod("shop-a"), build_pod("shop-b")),
    (build_pod("shop-a"), build_pod("shop-b"), build_pod("shop-c", "0/1", "ErrImagePull")),
)
RAW_POD = {
    "metadata": {"name": "shop-a"},
    "status": {"phase": "Running", "containerStatuses": []},
}
FAULT = Fault(
    number=1,
    way=Way.SPEC,
    title="No such image",
    inject=update(image="missing"),
    expected=rolled_back("ImagePullFailing"),
    healing_seconds=0,
    cluster_seconds=1,
)
TIMING = Timing(scale=0.01, hold_seconds=0.4)
NO_READY_POD = ScenarioError("no pod of the app is ready")
CONNECTION_LOST = requests.ConnectionError("the API server is away")


class _FakeClient:
    """Records what is done; the app is rolled back if healing is on."""

    def __init__(self, namespace: str, done: list[str]) -> None:
        self.namespace = namespace
        self.is_healing = namespace.endswith("on")
        self.injected_at = 0.0
        self.done = done

    @property
    def seconds_since_fault(self) -> float:
        return time.monotonic() - self.injected_at if self.injected_at else 0.0

    @property
    def is_bad(self) -> bool:
        return bool(self.injected_at) and not (self.is_healing and self.seconds_since_fault > 0.4)

    def apply(self, body: Json) -> Json:
        self.done.append(f"apply {self.namespace} {body['spec']['healing']['mode']}")
        return body

    def merge_patch(self, kind: str, namespace: str, name: str, patch: Json) -> None:
        assert ("SelfHealingApp", self.namespace, "shop") == (kind, namespace, name)
        assert patch
        self.injected_at = time.monotonic()

    def delete(self, kind: str, _: object, name: str) -> None:
        self.done.append(f"delete {kind} {name}")

    def list(self, *_: object) -> list[Json]:
        waiting = {"name": "app", "state": {"waiting": {"reason": "ErrImagePull"}}}
        status = {"phase": "Pending", "containerStatuses": [waiting]}
        bad = {"metadata": {"name": "shop-c"}, "status": status}
        return [RAW_POD, RAW_POD, *([bad] if self.is_bad else [])]

    def find(self, *_: object) -> Json:
        return {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}

    def get_path(self, path: str) -> Json:
        """Return the app; its history is empty before the fault."""
        assert path.endswith("/selfhealingapps/shop")
        return {"status": {"healing": {"history": [STARTED] if self.injected_at else []}}}

    def format_command(self, arguments: str) -> str:
        return f"kubectl {arguments}"


class _ScriptedSampler:
    """Samples of an app as its client has it."""

    def __init__(self, kube: _FakeClient, *_: object, **__: object) -> None:
        self._kube = kube
        self.started_at = time.monotonic()
        self._samples: list[Sample] = []

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
        kube = self._kube
        healing: dict[str, Any] = {"stableRevision": "v1"}
        if not kube.injected_at:
            return build_sample(at, *HEALTHY_PODS, healing=healing, **READY)
        healing["diagnoses"] = [DIAGNOSED]
        if kube.is_healing and kube.seconds_since_fault > 0.2:
            outcome = "InProgress" if kube.is_bad else "Succeeded"
            healing["history"] = [{**STARTED, "outcome": outcome}]
        pods = UNHEALTHY_PODS if kube.is_bad else HEALTHY_PODS
        return build_sample(at, *pods, healing=healing, phase="Degraded", ready="0/2")


def set_baseline(_: Experiment, half: Any) -> None:  # noqa: ANN401 - private to the experiment
    half.state.baseline = len(HEALTHY_PODS)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the cluster, in order."""
    done: list[str] = []

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
    }.items():
        monkeypatch.setattr(module, name, value)
    for name, value in {"POLL_INTERVAL": 0.05, "start_operators": lambda *_: []}.items():
        monkeypatch.setattr(f"hack.scenarios.exam.environment.{name}", value)
    monkeypatch.setattr(Experiment, "_wait_for_steady_state", set_baseline)
    monkeypatch.setattr(
        "hack.scenarios.common.namespace.create_namespace",
        lambda kube, _: done.append(f"create {kube.namespace}"),
    )
    return done


def run_row(
    done: list[str], fault: Fault = FAULT, stop: threading.Event | None = None
) -> Mapping[bool, FaultRun]:
    """Run a row; the halves by whether healing was on."""
    contexts = {
        healing: ScenarioContext(_FakeClient(f"exam-{name}", done), PlainConsole())  # type: ignore[arg-type]
        for healing, name in ((True, "on"), (False, "off"))
    }
    off, on = Experiment(fault, contexts, TIMING, stop).run(Path("logs"))
    assert (False, True) == (off.is_healing_enabled, on.is_healing_enabled)
    return {True: on, False: off}


def test_both_halves_go_through_the_same_and_only_one_is_healed(done: list[str]) -> None:
    runs = run_row(done)

    on, off = runs[True], runs[False]
    assert ("", "") == (on.error, off.error)
    assert on.is_healthy
    assert ("shop-c is Pending",) == off.problems[:1]
    assert ["Rollback Succeeded"] == [str(act) for act in on.actions]
    assert () == off.actions
    assert ["ImagePullFailing (NewVersion, High)"] == [str(found) for found in on.diagnoses]
    assert on.recovered_after is not None
    assert off.recovered_after is None
    assert [MarkKind.FAULT, MarkKind.ACTION, MarkKind.RECOVERED] == [
        mark.kind for mark in on.timeline.marks
    ]
    assert ["create exam-on", "create exam-off"] == done[:2]
    assert ["apply exam-on Auto", "apply exam-off Off"] == done[2:4]
    assert {"delete Namespace exam-on", "delete Namespace exam-off"} <= set(done[4:])


def test_what_belongs_into_the_middle_is_done_once_healing_has_begun(done: list[str]) -> None:
    injected: list[str] = []
    fault = replace(
        FAULT, second_fault=("killed", lambda site: injected.append(site.kube.namespace))
    )

    on = run_row(done, fault)[True]

    assert ["exam-on"] == injected
    assert ["killed"] == [mark.text for mark in on.timeline.marks if mark.kind is MarkKind.FAULT][
        1:
    ]


def test_what_is_told_only_is_looked_at_once_and_must_recover_when_undone(done: list[str]) -> None:
    @contextmanager
    def broken(site: Environment) -> Iterator[None]:
        yield
        site.kube.injected_at = 0.0  # type: ignore[attr-defined]

    def inject(site: Environment) -> None:
        site.update_spec(image="missing")
        site.add_cleanup(broken(site))

    fault = replace(FAULT, inject=inject, expected=told("ImagePullFailing", undone=True))

    runs = run_row(done, fault)

    assert not runs[True].is_undone_in_vain
    assert (True, False) == (runs[True].is_healthy, runs[False].is_healthy)


@pytest.mark.parametrize("error", [NO_READY_POD, CONNECTION_LOST], ids=repr)
def test_what_was_broken_is_put_right_also_when_something_fails(
    done: list[str], error: Exception
) -> None:
    @contextmanager
    def broken() -> Iterator[None]:
        done.append("broken")
        yield
        done.append("put right")

    def inject(site: Environment) -> None:
        site.break_cluster(broken())
        raise error

    runs = run_row(done, replace(FAULT, inject=inject))

    assert {str(error)} == {run.error for run in runs.values()}
    assert 1 == done.count("put right")
    assert done.index("put right") < done.index("delete Namespace exam-on")


def test_an_operator_that_does_not_start_is_told(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def operators(*_: object) -> None:
        raise AssertionError("not within 60 s: the operator caught up")

    monkeypatch.setattr("hack.scenarios.exam.environment.start_operators", operators)

    assert "not within 60 s: the operator caught up" == run_row(done)[True].error


def test_a_row_ends_when_the_exam_is_stopped(done: list[str]) -> None:
    stop = threading.Event()
    stop.set()

    assert "the exam was stopped" == run_row(done, stop=stop)[True].error
    assert "delete Namespace exam-on" in done
