"""The dashboard beside the lab: it is there while the pages run, and never after."""

import argparse
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import yaml

from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.runner import ScenarioSet
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.lab.dashboard import open_dashboard
from hack.scenarios.lab.scenarios import LabSet
from hack.testkit.kube_client import ROOT

KUBECTL_STUB = ROOT / "tests" / "unit" / "plugin" / "kubectl_stub.py"
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
    "current-context": "none",
}


def test_why_there_is_no_dashboard_is_said(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    environment = {"KUBECONFIG": str(kubeconfig), "PATH": str(tmp_path)}

    with (
        pytest.raises(ScenarioError, match="install kubectl first"),
        open_dashboard(environment, tmp_path / "dashboard.log"),
    ):
        pass


def _get_status(address: str) -> int:
    """Ask the page for its files, as a browser does."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("end", [None, KeyboardInterrupt()], ids=["the pages end", "Ctrl-C"])
def test_it_is_served_while_the_pages_run_and_ends_with_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: BaseException | None,
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {sys.executable} {KUBECTL_STUB} "$@"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("STUB_NAMESPACE", "lab")
    addresses = []

    def run_pages(*_: object, **__: object) -> Iterator[object]:
        said = capsys.readouterr().out.replace("\n", "")
        addresses.append("http://" + said.partition("http://")[2])
        assert 200 == _get_status(addresses[0])
        yield "page"
        if end is not None:
            raise end

    monkeypatch.setattr(ScenarioSet, "run_all", run_pages)
    lab = LabSet(argparse.Namespace(ui=True, step=[]), tmp_path)
    kube = SimpleNamespace(format_command=str)
    results = lab.run_all((), ScenarioContext(kube, PlainConsole()))  # type: ignore[arg-type]

    assert "page" == next(results)  # type: ignore[comparison-overlap]
    assert "#token=" in addresses[0]
    with pytest.raises((StopIteration, KeyboardInterrupt)):
        next(results)
    with pytest.raises(ConnectionRefusedError):
        _get_status(addresses[0])
