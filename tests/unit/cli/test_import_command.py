"""The command reads files, the standard input or the cluster, and prints an app."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
from kubernetes.aio.client import Configuration

from hack.testkit.yaml_text import parse_yaml
from selfhealing import __main__ as program
from selfhealing.cli import import_command
from selfhealing.cli.import_command import REFUSED, run_import
from selfhealing.kube.errors import ForbiddenError
from selfhealing.kube.resources import Resource

Json = dict[str, Any]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:v1'}]}
"""


def test_files_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.yaml").write_text(DEPLOYMENT)

    assert 0 == run_import([str(tmp_path / "web.yaml")])
    app = parse_yaml(capsys.readouterr().out)
    assert ("SelfHealingApp", {"image": "web:v1"}) == (app["kind"], app["spec"])


def test_the_standard_input_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(DEPLOYMENT))
    monkeypatch.setattr("sys.argv", ["selfhealing", "import", "-"])

    assert 0 == program.main()
    assert "kind: SelfHealingApp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "advice"),
    [(b"kind: [", "is not YAML"), (b"\xff\xfe\x00", "UTF-8"), (None, "No such file")],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, advice: str
) -> None:
    file = tmp_path / "web.yaml"
    if content is not None:
        file.write_bytes(content)

    assert REFUSED == run_import([str(file)])
    assert advice in capsys.readouterr().err


def test_without_files_a_name_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert REFUSED == run_import([])
    assert "--deployment NAME" in capsys.readouterr().err


def test_the_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_import(["--help"])

    assert "import --namespace shop --deployment web" in capsys.readouterr().out


class FakeClient:
    """Lists one Deployment of the namespace shop, without its type, as a list does."""

    def __init__(self, *_: object) -> None:
        self.found = {"Deployment": [parse_yaml(DEPLOYMENT)]}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def list_objects(self, resource: Resource, namespace: str) -> AsyncIterator[Json]:
        """Yield the objects of a kind."""
        if namespace != "shop":
            raise ForbiddenError(403, "Forbidden", f"no right to list {resource.plural}")
        for item in self.found.get(resource.kind, []):
            yield {key: item[key] for key in ("metadata", "spec")}


@pytest.fixture
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load() -> Configuration:
        return Configuration()

    contexts: tuple[list[Json], Json] = ([], {"context": {"namespace": "shop"}})
    monkeypatch.setattr(import_command, "Client", FakeClient)
    monkeypatch.setattr(import_command, "load_configuration", load)
    monkeypatch.setattr(import_command, "list_kube_config_contexts", lambda: contexts)


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("namespace", [[], ["--namespace", "shop"]])
def test_the_cluster_is_read(capsys: pytest.CaptureFixture[str], namespace: list[str]) -> None:
    """Without --namespace, that of the kubeconfig's context."""
    assert 0 == run_import(["--deployment", "web", *namespace])
    app = parse_yaml(capsys.readouterr().out)
    assert {"name": "web", "namespace": "shop"} == app["metadata"]


@pytest.mark.usefixtures("_cluster")
def test_a_missing_right_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert REFUSED == run_import(["--deployment", "web", "--namespace", "other"])
    assert "no right to list deployments" in capsys.readouterr().err


def test_the_example_of_the_documentation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its output is that of its file."""
    page = (Path(__file__).parents[3] / "docs" / "import.md").read_text()
    manifests = page.partition("```yaml\n")[2].partition("```")[0]
    output = page.partition("import web.yaml\n")[2].partition("```")[0]
    monkeypatch.setattr("sys.stdin", io.StringIO(manifests))

    assert 0 == run_import(["-"])
    assert output == capsys.readouterr().out
