"""A half is played with a script instead of a cluster: what is seen when, and what is asked for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from hack.loadtest.service_access import Way
from hack.scenarios.chaos import experiment as module
from hack.scenarios.chaos.environment import Site
from hack.scenarios.chaos.experiment import Play
from hack.scenarios.chaos.faults import Fault, chosen
from hack.scenarios.common.cluster_state import Picture
from hack.scenarios.common.console import Progress
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Json
from hack.scenarios.common.plain_console import PlainScreen
from hack.scenarios.common.request_stream import Stream
from hack.scenarios.common.tests.builders import look, pod
from hack.scenarios.common.timeline import Kind, Sample

READY: dict[str, Any] = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "phase": "Ready",
    "ready": "2/2",
}
STARTED = {"id": 1, "remedy": "Rollback", "diagnosis": "ImagePullFailing", "outcome": "Started"}
WELL, ILL = (pod("a"), pod("b")), (pod("a"), pod("b"), pod("c", "0/1", "ErrImagePull"))


class _Kube:
    """Notes what is asked for."""

    namespace = "drill"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> str:
        assert seconds > 0
        self.asked.append(f"{arguments} {stdin or ''}")
        return ""

    def read(self, path: str) -> Json:
        """What the app's status says, once there is anything to say."""
        assert path.endswith("/selfhealingapps/shop")
        struck = any("patch" in command for command in self.asked)
        return {"status": {"healing": {"history": [STARTED] if struck else []}}}

    def shown(self, arguments: str) -> str:
        return f"kubectl -n drill {arguments}"


class _Script:
    """What is seen: all well until the fault, then ill, then what healing makes of it."""

    heals = True

    def __init__(self, kube: _Kube, *_: object, **__: object) -> None:
        self._kube = kube
        self.began = time.monotonic()
        self._seen: list[Sample] = []
        self._struck = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def samples(self) -> tuple[Sample, ...]:
        self._seen.append(self._now(self.seconds))
        return tuple(self._seen)

    @property
    def last(self) -> Picture:
        return self.samples[-1].picture

    def _now(self, at: float) -> Sample:
        struck = any("patch" in command for command in self._kube.asked)
        self._struck = self._struck or (at if struck else 0)
        healing: dict[str, Any] = {"goodTemplate": "v1"}
        if not struck:
            return look(at, *WELL, healing=healing, **READY)
        healing["diagnoses"] = [{"type": "ImagePullFailing"}]
        passed = at - self._struck
        if self.heals and passed > 0.2:
            outcome = "Helped" if passed > 0.6 else "Started"
            healing["history"] = [{**STARTED, "outcome": outcome}]
        pods = WELL if self.heals and passed > 0.4 else ILL
        return look(at, *pods, healing=healing, phase="Degraded", ready="0/2")


REFUSED = ShowError("no pod of the app is ready")
LOST = requests.ConnectionError("the API server is away")


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> _Kube:
    kube = _Kube()

    @contextmanager
    def sent(*_: object, **__: object) -> Iterator[Stream]:
        stream = Stream()
        stream.count("a")
        yield stream

    @contextmanager
    def way(*_: object) -> Iterator[Way]:
        yield Way("http://node:30000", "node port")

    for name, value in {
        "Watch": _Script,
        "to_service": way,
        "stream": sent,
        "QUIET": 0.3,
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("hack.scenarios.chaos.run_state.LEAD", 0.0)
    monkeypatch.setattr(Play, "_steady", lambda *_: None)
    monkeypatch.setattr("hack.scenarios.chaos.environment.POLL", 0.02)
    monkeypatch.setattr("hack.scenarios.chaos.environment.operators", lambda *_: [])
    monkeypatch.setattr("hack.scenarios.common.namespace.make", lambda *_: kube.asked.append("make"))
    monkeypatch.setattr("hack.scenarios.common.namespace.remove", lambda *_: kube.asked.append("remove"))
    return kube


def played(kube: _Kube, fault: Fault, *, healing: bool = True) -> Any:  # noqa: ANN401
    progress = Progress(time.monotonic(), 5, 2, "kubectl get selfhealingapps")
    part = Play(fault, kube, PlainScreen(), progress, healing=healing)  # type: ignore[arg-type]
    return part.play(Path("logs"))


(FAULT,) = chosen(["bad-image"])
SHORT = replace(FAULT, limit=1)


def test_with_healing_it_is_told_when_it_was_served_again_and_what_was_done(kube: _Kube) -> None:
    half = played(kube, SHORT)

    assert half.why == ""
    assert half.after == pytest.approx(0.4, abs=0.25)
    assert ["Rollback Helped"] == [str(act) for act in half.acts]
    assert ("ImagePullFailing",) == half.diagnoses
    assert [Kind.FAULT, Kind.ACTION, Kind.WELL] == [mark.kind for mark in half.line.marks]
    assert "make" == kube.asked[0]
    assert "remove" == kube.asked[-1]
    assert '"mode": "Auto"' in kube.asked[1]


def test_without_healing_it_ends_when_the_time_is_over(
    kube: _Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Script, "heals", False)

    half = played(kube, SHORT, healing=False)

    assert (None, (), "not within 1 s") == (half.after, half.acts, half.served)
    assert '"mode": "Off"' in kube.asked[1]


def test_what_belongs_into_the_middle_is_done_once_healing_has_begun(kube: _Kube) -> None:
    done: list[float] = []
    fault = replace(SHORT, later=("killed", lambda site: done.append(site.watch.seconds)))

    half = played(kube, fault)

    assert 1 == len(done)
    assert ["killed"] == [mark.text for mark in half.line.marks if mark.kind is Kind.FAULT][1:]


@pytest.mark.parametrize("error", [REFUSED, LOST], ids=repr)
def test_what_was_broken_is_put_right_also_when_something_fails(
    kube: _Kube, error: Exception
) -> None:
    @contextmanager
    def broken() -> Iterator[None]:
        kube.asked.append("broken")
        yield
        kube.asked.append("put right")

    def strike(site: Site) -> None:
        site.owe(broken())
        raise error

    half = played(kube, replace(SHORT, strike=strike))

    assert str(error) == half.why
    assert ["broken", "put right", "remove"] == kube.asked[-3:]


def test_an_operator_that_does_not_start_is_told(
    kube: _Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    def operators(*_: object) -> None:
        raise AssertionError("not within 60 s: the operator caught up")

    monkeypatch.setattr("hack.scenarios.chaos.environment.operators", operators)

    half = played(kube, SHORT)

    assert "not within 60 s: the operator caught up" == half.why
    assert ["make", "remove"] == kube.asked
