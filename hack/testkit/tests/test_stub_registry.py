"""The server of the stub registry, as a process of its own."""

import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from hack.testkit import stub_registry
from hack.testkit.ports import find_free_port
from hack.testkit.stub_registry import SERVER
from hack.testkit.wait import eventually


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port on which it listens."""
    port = find_free_port()
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)]) as process:
        try:
            eventually(lambda: can_connect(port), description="it listens")
            yield port
        finally:
            process.kill()


def can_connect(port: int) -> bool:
    """Whether something listens."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def get(port: int, path: str) -> requests.Response:
    """Send a request without a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"http://127.0.0.1:{port}{path}", timeout=10)


@pytest.mark.parametrize(
    ("repository", "status", "code"),
    [
        (stub_registry.MISSING, 404, "MANIFEST_UNKNOWN"),
        (stub_registry.LIMITED, 429, "TOOMANYREQUESTS"),
        (stub_registry.PRIVATE, 401, "UNAUTHORIZED"),
    ],
)
def test_each_repository_refuses_in_its_way(
    port: int, repository: str, status: int, code: str
) -> None:
    answer = get(port, f"/v2/{repository}/manifests/v2")

    assert (status, code) == (answer.status_code, answer.json()["errors"][0]["code"])


def test_an_image_of_another_platform_is_found(port: int) -> None:
    assert get(port, "/v2/").ok
    answer = get(port, f"/v2/{stub_registry.FOREIGN_PLATFORM}/manifests/v2")

    digest = hashlib.sha256(answer.content).hexdigest()
    assert f"sha256:{digest}" == answer.headers["Docker-Content-Digest"]
    (manifest,) = answer.json()["manifests"]
    assert "s390x" == manifest["platform"]["architecture"]


def test_a_client_that_begins_with_tls_is_told_at_once(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"\x16\x03\x01")

        assert client.recv(100).startswith(b"HTTP/1.1 400")
