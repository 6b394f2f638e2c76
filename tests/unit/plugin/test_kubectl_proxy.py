"""The way to the API server through kubectl, here a stub of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.testkit.wait import eventually
from selfhealing.kube.errors import (
    ConflictError,
    ForbiddenError,
    ResponseTooLargeError,
    UnavailableError,
)
from selfhealing.kube.resources import APPS, PODS
from selfhealing.plugin.cluster import kubectl_proxy
from selfhealing.plugin.cluster.kubectl_proxy import (
    KubectlError,
    KubectlProxy,
    Target,
    read_current_context,
    read_default_namespace,
)
from selfhealing.plugin.command.main import main
from tests.unit import builders as b
from tests.unit.plugin import kubectl_stub

OPERATOR = Path(__file__).parents[3] / "operator"
APP_LIST = "/apis/selfhealing.dev/v1alpha1/namespaces/shop/selfhealingapps"
Answer = Callable[..., None]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Put the stub into the PATH; the fixture sets an answer of it."""
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nexec {sys.executable} {kubectl_stub.__file__} "$@"\n')
    kubectl.chmod(0o755)
    answers = tmp_path / "answers.json"
    answers.write_text("{}")
    monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB_ANSWERS", str(answers))
    monkeypatch.setenv("STUB_NAMESPACE", "shop")

    def set_answer(request: str, body: Any, status: int = 200) -> None:  # noqa: ANN401 - JSON
        stored = json.loads(answers.read_text())
        answers.write_text(json.dumps({**stored, request: [status, body]}))

    return set_answer


def test_objects_are_read_and_changed(answer: Answer) -> None:
    pages = {"metadata": {"continue": "next"}, "items": [b.app()]}
    answer(f"GET {APP_LIST}?limit=500&labelSelector=a", pages)
    more = {"metadata": {}, "items": [{"metadata": {"name": "b"}}]}
    answer(f"GET {APP_LIST}?limit=500&labelSelector=a&continue=next", more)
    answer(f"GET {APP_LIST}/web", b.app())
    answer(f'PATCH {APP_LIST}/web?fieldManager=kubectl-selfheal {{"a":1}}', {"changed": True})
    answer("GET /log?tail=1", "a line")
    with KubectlProxy(Target()) as cluster:
        found = cluster.list(APPS, "shop", labels="a")

        assert (["web", "b"], False) == (
            [raw["metadata"]["name"] for raw in found.items],
            found.is_cut,
        )
        assert "SelfHealingApp" == found.items[1]["kind"]
        assert cluster.list(APPS, "shop", labels="a", max_items=1).is_cut
        assert "web" == cluster.get(APPS, "shop", "web")["metadata"]["name"]
        assert {"changed": True} == cluster.merge_patch(APPS, "shop", "web", {"a": 1})
        assert "a line" == cluster.read_text("/log", {"tail": "1"})
        assert cluster.now.tzinfo is not None


def test_errors_are_those_of_the_api_server(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = PODS.path("shop", "web-1")
    with KubectlProxy(Target()) as cluster:
        with pytest.raises(UnavailableError, match="does not tell its time"):
            _ = cluster.now
        for status, error in ((403, ForbiddenError), (409, ConflictError), (502, UnavailableError)):
            answer(f"GET {path}", {"message": "no", "reason": "R"}, status)
            with pytest.raises(error):
                cluster.get(PODS, "shop", "web-1")
        answer(f"GET {path}", "", 502)
        with pytest.raises(UnavailableError, match="no answer from the API server"):
            cluster.get(PODS, "shop", "web-1")
        answer(f"GET {path}", "<html>")
        with pytest.raises(UnavailableError, match="is no JSON"):
            cluster.get(PODS, "shop", "web-1")
        monkeypatch.setattr(kubectl_proxy, "MAX_RESPONSE_BYTES", 3)
        with pytest.raises(ResponseTooLargeError):
            cluster.get(PODS, "shop", "web-1")
        answer(f"GET {path}", "", 0)
        with pytest.raises(UnavailableError, match="no answer from the API server"):
            cluster.get(PODS, "shop", "web-1")


def test_what_kubectl_says_is_told(answer: Answer) -> None:
    del answer
    target = Target(context="none")

    assert ["--context=none"] == target.arguments()
    with pytest.raises(KubectlError, match='proxy does not start: context "none" does not exist'):
        KubectlProxy(target).__enter__()
    with pytest.raises(KubectlError, match="cannot locate context; choose a cluster with"):
        read_default_namespace(target)
    assert "" == read_current_context(target)


def test_the_namespace_is_that_of_the_kubeconfig(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del answer

    assert "shop" == read_default_namespace(Target())
    monkeypatch.setenv("STUB_NAMESPACE", "")
    assert "default" == read_default_namespace(Target())
    monkeypatch.setenv("STUB_NAMESPACE", "kind-lab")
    assert "kind-lab" == read_current_context(Target())


def test_without_kubectl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(KubectlError, match="install kubectl first"):
        KubectlProxy(Target()).__enter__()


def test_a_command_finds_namespace_and_cluster(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(f"GET {APP_LIST}?limit=500", {"metadata": {}, "items": [b.app(name="of-shop")]})

    assert 0 == main(["status"])
    assert 0 == main(["status", "-n", "shop"])
    assert 2 == capsys.readouterr().out.count("of-shop")


def test_a_long_path_for_temporary_files(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a socket is short."""
    answer(f"GET {APP_LIST}?limit=500", {"metadata": {}, "items": []})
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    with KubectlProxy(Target()) as cluster:
        assert [] == list(cluster.list(APPS, "shop").items)


def test_the_proxy_ends_with_a_plugin_that_is_killed(answer: Answer, short_folder: Path) -> None:
    answer(f"GET {APP_LIST}?limit=500", {"metadata": {}, "items": []})
    folders = short_folder
    command = [sys.executable, "-m", "selfhealing.plugin", "status", "-w", "-n", "shop"]
    with subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(folders), "PYTHONPATH": str(OPERATOR)},
        stdout=subprocess.PIPE,
    ) as plugin:
        assert plugin.stdout is not None
        plugin.stdout.readline()
        (socket,) = folders.glob("*/socket")
        plugin.send_signal(signal.SIGKILL)

    eventually(lambda: not _is_served(str(socket)))
    eventually(lambda: not list(folders.iterdir()))


def _is_served(path: str) -> bool:
    """Whether a process has the path of the socket among its arguments."""
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.encode() in found.read_bytes():
                return True
        except OSError:  # it has ended
            continue
    return False
