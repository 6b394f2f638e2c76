"""A write at which the operator is killed arrives, or does not; nothing passes until it is back."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import certifi
import pykube
import pytest
import requests

from hack.testkit.fault_points import Fault, FaultKind, Point
from hack.testkit.fault_proxy import FaultProxy
from hack.testkit.wait import eventually

DEPLOYMENT = "/apis/apps/v1/namespaces/x/deployments/app"
PODS = "/api/v1/namespaces/x/pods?watch=true"
EVENTS = b"".join(
    json.dumps({"type": "ADDED", "object": {"metadata": {"uid": uid}}}).encode() + b"\n"
    for uid in "ab"
)


class ApiServer(BaseHTTPRequestHandler):
    """Answers a watch with EVENTS and everything else with ``{}``."""

    protocol_version = "HTTP/1.1"
    writes: list[str]

    def do_GET(self) -> None:
        """Answer a read."""
        self._answer(EVENTS if "watch=true" in self.path else b"{}")

    def do_PATCH(self) -> None:
        """Answer a write."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.writes.append(self.path)
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def writes() -> list[str]:
    """The paths of the writes that have arrived."""
    return []


@pytest.fixture
def proxy(
    writes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    """A proxy to a server without TLS."""
    monkeypatch.setattr(ApiServer, "writes", writes, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    cluster = {
        "server": f"http://127.0.0.1:{server.server_port}",
        "certificate-authority": certifi.where(),
    }
    upstream = tmp_path / "upstream"
    upstream.write_text(
        json.dumps(
            {
                "clusters": [{"name": "a", "cluster": cluster}],
                "users": [{"name": "a", "user": {}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    proxy = FaultProxy(tmp_path, upstream)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        server.shutdown()
        server.server_close()


def get_address(proxy: FaultProxy) -> str:
    return str(pykube.KubeConfig.from_file(str(proxy.kubeconfig)).cluster["server"])


def patch(proxy: FaultProxy, timeout: float = 5) -> bool:
    """Whether a write was answered."""
    try:
        return requests.patch(get_address(proxy) + DEPLOYMENT, data="{}", timeout=timeout).ok
    except requests.Timeout:
        return False


@pytest.mark.parametrize(
    ("kind", "arrived"), [(FaultKind.KILL_BEFORE, 1), (FaultKind.KILL_AFTER, 2)]
)
def test_kill_at_the_second_write(
    proxy: FaultProxy, writes: list[str], kind: FaultKind, arrived: int
) -> None:
    proxy.place_faults(Fault(kind, Point("PATCH", "deployments", 2)))
    assert patch(proxy)
    assert not proxy.points.reached.is_set()

    assert not patch(proxy, timeout=0.2)

    eventually(proxy.points.reached.is_set)
    assert not patch(proxy, timeout=0.2), "the dead write nothing"
    assert arrived == len(writes)
    proxy.stall_requests(stall=False)
    assert patch(proxy)
    assert arrived + 1 == len(writes)


def test_swallowed_event(proxy: FaultProxy) -> None:
    proxy.place_faults(Fault(FaultKind.SWALLOW, Point("ADDED", "pods", 1)))

    lines = requests.get(get_address(proxy) + PODS, timeout=5).text.splitlines()

    assert ["b", None] == [json.loads(line)["object"]["metadata"].get("uid") for line in lines]
    assert 410 == json.loads(lines[1])["object"]["code"]
    assert {"pods"} == proxy.points.watched


def test_undisturbed(proxy: FaultProxy) -> None:
    proxy.place_faults()

    assert EVENTS == requests.get(get_address(proxy) + PODS, timeout=5).content
    assert ["ADDED pods 1", "ADDED pods 2"] == [str(point) for point in proxy.points.points]


def test_a_write_that_is_delayed(proxy: FaultProxy) -> None:
    proxy.delay_writes(30)
    assert not patch(proxy, timeout=0.2)

    proxy.delay_writes(0)

    assert patch(proxy)
