"""``kubectl selfheal dashboard``: what it prints, and that the printed address is the right one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread

import orjson
import pytest
from click.testing import CliRunner

from selfhealing.plugin.cluster import kubectl_proxy
from selfhealing.plugin.command.main import cli
from selfhealing.plugin.command.options import ClusterChoice, Connection
from selfhealing.plugin.dashboard.server import DashboardServer
from tests.dashboard_cluster import DashboardCluster


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> DashboardCluster:
    found = DashboardCluster()

    @contextmanager
    def connect(choice: ClusterChoice) -> Iterator[Connection]:
        yield Connection(found, choice.namespace or "shop")  # type: ignore[arg-type]

    monkeypatch.setattr(ClusterChoice, "connect", connect)
    monkeypatch.setattr(kubectl_proxy, "read_current_context", lambda target: target.context)
    return found


@pytest.mark.parametrize(
    ("arguments", "said", "namespace"),
    [
        ((), "The apps of namespace shop are shown at:", "shop"),
        (("-n", "other"), "The apps of namespace other are shown at:", "other"),
        (("-A", "--context", "kind"), "The apps of all namespaces are shown at:", None),
    ],
)
def test_the_printed_address_leads_to_the_apps_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str, namespace: str | None
) -> None:
    """Ctrl-C is how it ends, so it is no error."""
    seen: list[DashboardServer] = []
    answers = []

    def serve(server: DashboardServer) -> None:
        seen.append(server)
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
        token = server.dashboard._token  # noqa: SLF001 - it is compared with what is printed
        connection.request("GET", "/api/apps", headers={"Authorization": f"Bearer {token}"})
        answers.append((token, orjson.loads(connection.getresponse().read())))
        connection.close()
        server.shutdown()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(DashboardServer, "serve", serve)

    result = CliRunner().invoke(cli, ["dashboard", *arguments])

    (token, found) = answers[0]
    assert (0, True) == (result.exit_code, said in result.output)
    assert re.search(rf"http://127\.0\.0\.1:\d+/#token={re.escape(token)}\n", result.output)
    assert found["namespace"] == namespace
    assert found["context"] == ("kind" if "--context" in arguments else "")


def test_a_port_that_does_not_exist_is_refused() -> None:
    result = CliRunner().invoke(cli, ["dashboard", "--port", "70000"])

    assert "0<=x<=65535" in result.output
