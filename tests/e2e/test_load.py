"""`make load` against real replicas, through a node port and through the API server."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testkit.fixtures import build_app
from hack.testkit.kube_client import ROOT
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from tests.e2e.app_client import PORT, AppClient

IMAGE = os.environ.get("DEMO_IMAGE", "localhost/selfhealing-demo:dev")
TIMEOUT = 300
"""Seconds; the first time vegeta is built."""

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module", params=["NodePort", "ClusterIP"])
def target(space: AppNamespace, request: pytest.FixtureRequest) -> Iterator[AppClient]:
    """Two replicas behind a Service of either type."""
    name = request.param.lower()
    spec = {
        "image": IMAGE,
        "port": PORT,
        "replicas": 2,
        "service": {"type": request.param},
        "probes": {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}},
    }
    space.kube.create(build_app(space.name, name, spec))
    found = AppClient(space, name)
    found.wait_until_ready()
    eventually(
        lambda: len(found.list_endpoint_pods()) == 2, description="both replicas get requests"
    )
    yield found
    space.kube.delete("SelfHealingApp", space.name, name)


def start_load(target: AppClient, *arguments: str) -> subprocess.Popen[str]:
    where = ("--app", target.name, "--namespace", target.space.name)
    return subprocess.Popen(
        [sys.executable, "-m", "hack.loadtest", *where, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def list_children(process: subprocess.Popen[str]) -> dict[Path, str]:
    """The processes that it has started, and their command lines."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    folders = [Path("/proc") / pid for pid in listed]
    return {folder: (folder / "cmdline").read_text() for folder in folders if folder.exists()}


def wait_for_output(process: subprocess.Popen[str]) -> str:
    """What it has printed until its end; one that does not end says where it is, and is killed."""
    try:
        return process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        left = list_children(process)
        threads = [
            (path.read_text().rpartition(") ")[2].split(maxsplit=1)[0], path.parent.name)
            for path in Path(f"/proc/{process.pid}/task").glob("*/stat")
        ]
        for pid in [int(folder.name) for folder in left] + [process.pid]:
            os.kill(pid, signal.SIGKILL)
        out = process.communicate()[0]
        pytest.fail(f"it goes on after Ctrl-C; threads {threads}, children {left}\n{out}")


def test_both_replicas_answer_and_are_counted(target: AppClient) -> None:
    """Requests at about the rate that was asked for, spread over the pods, and no failure."""
    process = start_load(target, "--rate", "40", "--seconds", "5")
    out, _ = process.communicate(timeout=TIMEOUT)

    assert process.returncode == 0, out
    total = re.search(r"\b(\d+) requests in [\d.]+ s: [\d.]+ a second, 0 failed", out)
    assert total is not None, out
    sent = int(total[1])
    assert 100 <= sent <= 200, out  # a busy machine sends fewer in that time
    assert re.search(r"latency: p50 [\d.]+ ms  p90 [\d.]+ ms  p99 [\d.]+ ms  max", out), out
    counts = [
        int(count)
        for pod in target.list_pods()
        for count in re.findall(rf"{pod['metadata']['name']}\s+(\d+)", out)
    ]
    assert len(counts) == 2, out
    assert sum(counts) == sent, out
    assert min(counts) > sent / 4, out


def test_ctrl_c_ends_it_and_leaves_nothing(target: AppClient) -> None:
    """What has come until then is told all the same."""
    process = start_load(target, "--connections", "2", "--seconds", "600")
    eventually(
        lambda: any("attack" in line for line in list_children(process).values()),
        timeout=TIMEOUT,
        description="it sends",
    )
    assert process.stdout is not None
    eventually(lambda: " requests/s " in process.stdout.readline(), description="it counts")  # type: ignore[union-attr]
    left = list_children(process)

    process.send_signal(signal.SIGINT)
    out = wait_for_output(process)

    assert process.returncode == 130, out
    assert " a second, " in out, out
    assert len(left) >= 2
    assert [folder for folder in left if folder.exists()] == []


def test_a_service_that_is_not_there_is_named(space: AppNamespace) -> None:
    """And what to do about it."""
    done = subprocess.run(
        [sys.executable, "-m", "hack.loadtest", "--app", "nobody", "--namespace", space.name],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert done.returncode == 1
    assert f"there is no Service nobody in namespace {space.name}" in done.stderr
