"""The connections of the dashboard: few, short and small. And the files that it serves."""

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import MappingProxyType

import pytest

from hack.testkit.wait import eventually
from selfhealing.plugin.dashboard import server as server_module
from selfhealing.plugin.dashboard.files import FILES, read_files
from selfhealing.plugin.dashboard.routes import Dashboard, Scope
from selfhealing.plugin.dashboard.server import DashboardServer, PortTakenError
from tests.dashboard_cluster import DashboardCluster

TOKEN = "a" * 43
ROOT = Path(__file__).parents[3]
SITE = ROOT / "operator" / "selfhealing" / "plugin" / "dashboard" / "site"


@pytest.fixture
def server() -> Iterator[DashboardServer]:
    with ThreadPoolExecutor(2) as executor:
        dashboard = Dashboard(DashboardCluster(), Scope("", None), TOKEN, executor)
        with DashboardServer(dashboard, 0) as found:
            thread = threading.Thread(target=found.serve_forever, args=(0.02,))
            thread.start()
            yield found
            found.shutdown()
            thread.join()


def ask(
    server: DashboardServer,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port_of(server), timeout=20)
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **headers})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def port_of(server: DashboardServer) -> int:
    return int(server.server_address[1])


def test_it_listens_on_this_machine_only(server: DashboardServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{port_of(server)}/"


@pytest.mark.parametrize("path", ["/", "/dashboard.js", "/api/apps", "/nothing"])
def test_every_response_has_the_policy_and_allows_no_other_origin(
    server: DashboardServer, path: str
) -> None:
    response = ask(server, path)

    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] in {"no-store", "no-cache"}
    assert not [name for name in response.headers if name.startswith("Access-Control")]


def test_a_request_is_read_with_its_query_and_its_body(server: DashboardServer) -> None:
    found = ask(server, "/api/app?namespace=shop&name=web&lang=zh")
    assert found.status == 200

    body = json.dumps({"namespace": "shop", "name": "web", "operation": "pause"}).encode()
    assert ask(server, "/api/operations", "POST", body).status == 200
    assert ask(server, "/api/apps", headers={"Authorization": ""}).status == 401
    assert ask(server, "/api/apps", headers={"Host": "evil.example"}).status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_other_methods_are_not_known(server: DashboardServer, method: str) -> None:
    """OPTIONS is how a browser asks whether another origin may; there is no yes."""
    assert (
        ask(server, "/api/operations", method, b"", {"Origin": "http://evil.example"}).status == 501
    )


def test_large_and_malformed_requests_are_refused(server: DashboardServer) -> None:
    assert ask(server, "/api/operations", "POST", b"x" * 4097).status == 413
    assert ask(server, "/api/operations", "POST", b"", {"Content-Length": "1e9"}).status == 413
    assert ask(server, "/api/operations", "POST", b"", {"Content-Length": "9" * 40}).status == 413
    assert ask(server, "/api/app?" + "&".join(f"a{n}=1" for n in range(9))).status == 400
    assert ask(server, "/" + "a" * 70_000).status == 414


def test_connections_have_a_bound(server: DashboardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused, and those that are too old are closed; then there is room again."""
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 3)
    silent = [socket.create_connection(("127.0.0.1", port_of(server)), 20) for _ in range(3)]
    with socket.create_connection(("127.0.0.1", port_of(server)), 20) as one_too_many:
        assert one_too_many.recv(64).startswith(b"HTTP/1.0 503 ")

    monkeypatch.setattr(server_module, "MAX_SECONDS", 0.0)
    for connection in silent:
        with connection:
            assert connection.recv(64) == b""

    monkeypatch.setattr(server_module, "MAX_SECONDS", 90.0)
    eventually(lambda: ask(server, "/").status == 200, description="there is room again")


def test_a_port_that_is_taken_is_told(server: DashboardServer) -> None:
    with pytest.raises(PortTakenError, match="--port"):
        DashboardServer(server.dashboard, port_of(server))


# ---- the files --------------------------------------------------------------------------------


def read_words(language: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SITE / "words" / f"{language}.json").read_text())
    return found


def flatten(value: object, path: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {path: str(value)}
    return {
        key: text
        for name, inner in value.items()
        for key, text in flatten(inner, f"{path}.{name}").items()
    }


def test_both_languages_say_the_same() -> None:
    english, chinese = flatten(read_words("en")), flatten(read_words("zh"))

    assert list(english) == list(chinese)
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese[key])), key


def test_every_file_of_the_page_is_served() -> None:
    names = {str(path.relative_to(SITE)) for path in SITE.rglob("*") if path.is_file()}

    assert names == {name for name, _ in FILES.values()}
    assert all(response.body for response in read_files().values())


def test_the_page_loads_nothing_from_elsewhere_and_parses_no_html() -> None:
    for path in SITE.rglob("*"):
        if path.suffix in {".html", ".css", ".js"}:
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text, path
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)


@pytest.mark.parametrize("other", ["app/panel/panel.css", "hack/scenarios/common/page.html.j2"])
def test_its_colours_are_those_of_the_panel_and_of_the_reports(other: str) -> None:
    """In light and in dark. The reports have their own greys."""
    own = find_colours((SITE / "dashboard.css").read_text())
    others = find_colours((ROOT / other).read_text())
    pods = {"serving", "starting", "unready", "failing", "done", "restart"}
    shared = pods if other.endswith("j2") else own.keys() - pods - {"edge"}

    assert shared
    assert {name: own[name] for name in shared} == {name: others[name] for name in shared}


def find_colours(text: str) -> dict[str, list[str]]:
    colours: dict[str, list[str]] = {}
    for name, value in re.findall(r"--([a-z-]+): ([^;]+);", text):
        colours.setdefault(name, []).append(value)
    return colours
