"""The commands, on a cluster that is not there."""

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents
from selfhealing.kube.errors import ForbiddenError, UnavailableError
from selfhealing.plugin.command import main as main_module
from selfhealing.plugin.command.main import COMMANDS, cli, main
from selfhealing.plugin.command.options import ClusterChoice, Connection
from tests.unit import builders as b
from tests.unit.plugin import apps

FORBIDDEN = ForbiddenError(403, "Forbidden", "pods is forbidden")
APP = {"apiVersion": "selfhealing.dev/v1alpha1", "kind": "SelfHealingApp"}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> apps.FakeCluster:
    """Return the cluster that every command gets."""
    fake = apps.FakeCluster(apps.rolled_back_objects())

    @contextmanager
    def connect(choice: ClusterChoice) -> Iterator[Connection]:
        yield Connection(fake, choice.namespace or b.NAMESPACE)  # type: ignore[arg-type]

    monkeypatch.setattr(ClusterChoice, "connect", connect)
    return fake


def run(*arguments: str, **options: object) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="kubectl selfheal", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    result = run(command, "--help")

    assert (0, True) == (result.exit_code, f"kubectl selfheal {command}" in result.output)


def test_the_help_imports_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_module, "importlib", None)

    assert "must-gather" in run("--help").output


def test_status_shows_a_table_or_a_tree(cluster: apps.FakeCluster) -> None:
    assert "web" in run("status").output
    assert "NAMESPACE" in run("status", "-A").output
    assert "revision 3  web-old" in run("status", "web").output
    assert "there is no SelfHealingApp in other" in run("status", "-n", "other").output
    cluster.objects = replace(cluster.objects, gaps=("nothing",))
    assert 0 == run("status").exit_code


def test_status_as_data(cluster: apps.FakeCluster) -> None:
    del cluster
    one = orjson.loads(run("status", "web", "-o", "json").output)
    many = parse_yaml(run("status", "-A", "-o", "yaml").output)

    assert "web" == one["key"]["name"]
    assert ["web"] == [app["key"]["name"] for app in many["items"]]


def test_status_is_shown_anew_until_it_is_stopped(
    cluster: apps.FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends = iter((None, UnavailableError(0, "", "no answer")))

    def wait(_: float) -> None:
        """Let the API server fail after the second look, and stop after the third."""
        error = next(ends, KeyboardInterrupt())
        if isinstance(error, KeyboardInterrupt):
            raise error
        if error is not None:
            cluster.refused["SelfHealingApp"] = error

    monkeypatch.setattr("time.sleep", wait)
    code = main(["status", "-w"])

    printed = capsys.readouterr().out
    assert (130, 2, 1) == (code, printed.count("NAME "), printed.count("! no answer"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["status", "web", "-A"], "write NAME with -n NAMESPACE, or -A without NAME"),
        (["status", "-w", "-o", "json"], "leave out -o"),
        (["render"], "write NAME of an app in the cluster, or -f FILE"),
        (["diff"], "write NAME of an app in the cluster, or -f FILE"),
        (["import"], "write files, or --deployment NAME"),
        (["approve"], "Missing argument 'NAME'"),
        (["oops"], "No such command 'oops'"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(arguments: list[str], text: str) -> None:
    result = run(*arguments)

    assert (2, True) == (result.exit_code, text in result.output)


def test_explain_and_history(cluster: apps.FakeCluster, tmp_path: Path) -> None:
    del cluster
    page = tmp_path / "page.html"

    assert "状态" in run("explain", "web", "--lang", "zh").output
    assert "State" == orjson.loads(run("explain", "web", "-o", "json").output)[0]["heading"]
    assert "Rollback Succeeded" in run("history", "web").output
    assert "rollout" in {
        each["kind"] for each in parse_yaml(run("history", "web", "-o", "yaml").output)
    }
    assert "entries" in run("history", "web", "--html", str(page)).output
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("command", ["pause", "resume", "retry"])
def test_an_operation_says_what_was_done(cluster: apps.FakeCluster, command: str) -> None:
    result = run(command, "web")

    assert result.output.startswith("shop/web: ")
    assert 1 == len(cluster.patches)


def test_an_operation_is_told_to_programs(cluster: apps.FakeCluster) -> None:
    told = orjson.loads(run("pause", "web", "-o", "json").output)

    assert 1 == len(cluster.patches)
    assert ("shop", "web", "pause") == (told["namespace"], told["name"], told["operation"])
    assert told["effect"]


def test_unpause_and_approve(cluster: apps.FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    del cluster

    assert "nothing was changed" in run("unpause", "web").output
    assert 1 == main(["approve", "web", "--id", "3"])
    assert "error: nothing of web waits for approval" in capsys.readouterr().err


def write(path: Path, *objects: apps.Json) -> str:
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


def test_a_file_is_rendered_and_compared_without_a_cluster(tmp_path: Path) -> None:
    meta = {"name": "web", "namespace": "shop"}
    file = write(tmp_path / "app.yaml", {**APP, "metadata": meta, "spec": {"image": "web:v1"}})
    rendered = run("render", "-f", file)
    live = tmp_path / "live.yaml"
    live.write_text(rendered.output)
    other = rendered.output.replace("web:v1", "web:v2")

    assert ["Deployment"] == [each["kind"] for each in parse_yaml_documents(rendered.output)]
    assert "List" == orjson.loads(run("render", "-f", file, "-o", "json").output)["kind"]
    assert 0 == run("diff", "-f", file, "--against", str(live)).exit_code
    different = run("diff", "-f", file, "--against", "-", input=other)
    assert (1, True) == (different.exit_code, "-      - image: web:v2" in different.output)
    told = run("diff", "-f", file, "--against", "-", "-o", "json", input=other)
    differences = orjson.loads(told.output)["differences"]
    assert (1, ["Deployment"]) == (told.exit_code, [each["kind"] for each in differences])


def test_an_app_of_the_cluster_is_rendered_and_compared(
    cluster: apps.FakeCluster, tmp_path: Path
) -> None:
    cluster.objects = replace(cluster.objects, gaps=())
    cluster.refused["Event"] = FORBIDDEN
    raw = {**APP, "metadata": {"name": "web"}, "spec": {"image": "web:v1", "port": 5000}}
    result = run("diff", "web")

    assert "kind: Deployment" in run("render", "web").output
    assert 1 == result.exit_code
    assert "healing: the stable revision rev-1" in result.output
    assert "you may not read events in shop" in result.output
    notes = parse_yaml(run("diff", "web", "-o", "yaml").output)["notes"]
    assert "you may not read events in shop" in "".join(notes)
    assert 1 == run("diff", "-f", write(tmp_path / "app.yaml", raw)).exit_code
    del cluster.objects.app["status"]
    assert 1 == run("diff", "web").exit_code


def test_lint_tells_by_its_exit_code(cluster: apps.FakeCluster, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.yaml", {**APP, "metadata": {"name": "a"}, "spec": {"port": "x"}})
    hint = write(
        tmp_path / "hint.yaml",
        {
            **APP,
            "metadata": {"name": "b"},
            "spec": {
                "image": "web:v1",
                "restartPolicy": "Never",
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            },
        },
    )

    assert 1 == run("lint").exit_code
    assert 1 == run("lint", "web").exit_code
    assert 2 == run("lint", "-f", bad).exit_code
    assert 0 == run("lint", "-f", hint).exit_code
    assert 1 == run("lint", "-f", hint, "--strict").exit_code
    assert "b" == orjson.loads(run("lint", "-f", hint, "-o", "json").output)[0]["app"]
    assert 2 == run("lint", "-n", "other").exit_code
    del cluster


def test_import_reads_files_or_the_cluster(cluster: apps.FakeCluster, tmp_path: Path) -> None:
    template = apps.template("web:v1")
    del template["spec"]["containers"][0]
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template},
    }
    cluster.objects = replace(cluster.objects, children={"Deployment": manifest})

    assert "image: web:v1" in run("import", write(tmp_path / "d.yaml", manifest)).output
    assert "image: web:v1" in run("import", "--deployment", "web").output


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"a: [", b"- 1"])
def test_a_file_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)

    assert 1 == main(["render", "-f", str(path)])
    assert f"error: {path}" in capsys.readouterr().err


def test_an_import_that_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "s.yaml", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    )

    assert 1 == main(["import", path])
    assert "error: " in capsys.readouterr().err


def test_logs_before_the_end(cluster: apps.FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    crashed = b.pod("web-old-1", b.crash_loop(2, b.termination(1, finished=20)))
    cluster.objects = replace(cluster.objects, pods=[crashed])
    path = "/api/v1/namespaces/shop/pods/web-old-1/log"
    cluster.texts[f"{path} app true"] = "\x1b[31mboom\x1b[0m\n"

    assert 0 == main(["logs", "web", "--before"])
    printed = capsys.readouterr()
    assert ("boom\n", True) == (printed.out, "ended: Error at 12:00:20 UTC" in printed.err)
    assert 1 == main(["logs", "web"])
    assert "the kubelet has no log of container app" in capsys.readouterr().err


def test_must_gather_writes_one_archive(cluster: apps.FakeCluster, tmp_path: Path) -> None:
    crashed = b.pod("web-old-1", b.crash_loop(2, b.termination(1, finished=20)))
    operator = b.pod("selfhealing-operator-1", b.running(restarts=1))
    cluster.objects = replace(cluster.objects, pods=[crashed])
    cluster.extra["pods"] = [operator]
    pods = "/api/v1/namespaces/{}/pods/{}"
    cluster.texts |= {
        f"{pods.format('shop', 'web-old-1')}/log app false": "now",
        f"{pods.format('shop', 'web-old-1')}/log app true": "before",
        f"{pods.format('ops', 'selfhealing-operator-1')}/log app false": "operator",
        f"{pods.format('ops', 'selfhealing-operator-1')}:8080/proxy/metrics": "metric 1",
    }
    file = tmp_path / "report.tar.gz"
    result = run("must-gather", "web", "--operator-namespace", "ops", "--file", str(file))

    assert 0 == result.exit_code, result.output
    assert 0o600 == file.stat().st_mode & 0o777
    with tarfile.open(file) as archive:
        names = {name.removeprefix("web-must-gather/") for name in archive.getnames()}
    assert {
        "app.yaml",
        "logs/web-old-1.app.log",
        "logs/web-old-1.app.before.log",
        "operator/pods.yaml",
        "operator/selfhealing-operator-1.app.log",
        "operator/selfhealing-operator-1.metrics",
    } <= names
    assert "not included: the evidence" in result.output


def test_what_may_not_be_gathered_is_named(cluster: apps.FakeCluster, tmp_path: Path) -> None:
    cluster.refused = {"Pod": FORBIDDEN, "Deployment": UnavailableError(0, "", "no answer")}
    result = run("must-gather", "web", "--file", str(tmp_path / "report.tar.gz"))

    assert "not included: the operator's pods: pods is forbidden" in result.output
    assert "the Deployment cannot be shown: no answer" in result.output


def test_no_right_is_a_plain_sentence(
    cluster: apps.FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.refused["SelfHealingApp"] = FORBIDDEN

    assert 1 == main(["status"])
    assert "error: you have no right to do that: pods is forbidden\n" == capsys.readouterr().err


def test_colours_are_for_terminals(cluster: apps.FakeCluster) -> None:
    del cluster

    assert "\x1b[31m" in run("status", color=True).output
    assert "\x1b[" not in run("status", color=True, env={**os.environ, "NO_COLOR": "1"}).output


def test_mistakes_of_the_plugin_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: ClusterChoice) -> Connection:
        raise ZeroDivisionError

    monkeypatch.setattr(ClusterChoice, "connect", fail)
    with pytest.raises(ZeroDivisionError):
        main(["status"])


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (BrokenPipeError, 1)])
def test_an_end_from_outside(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException], code: int
) -> None:
    def fail(_: ClusterChoice) -> Connection:
        raise error

    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr(ClusterChoice, "connect", fail)

    assert code == main(["status"])


def test_completion_of_commands_and_names(cluster: apps.FakeCluster) -> None:
    names = run("__complete", "status", "w").output
    cluster.refused["SelfHealingApp"] = FORBIDDEN

    assert "resume\t" in run("__complete", "re").output
    assert "web\n:4\n" == names
    assert ":4\n" == run("__complete", "status", "w").output
    assert "status" in run("__complete", "").output


@pytest.mark.parametrize("shell", ["zsh", "fish", "kubectl"])
def test_the_script_of_a_shell(shell: str) -> None:
    assert "selfheal" in run("completion", shell).output
