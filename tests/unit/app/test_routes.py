import socket

import pytest
from flask.testing import FlaskClient

from app.factory import create_app
from app.settings import AccessLog, Settings
from app.state import State

LAB = ("/fail", "/recover", "/not-ready", "/ready-again", "/start-load", "/stop-load")
FAULTS = ("/leak", "/stop-leak", "/crash", "/hang")
ACTIONS = (*LAB, *FAULTS)


def test_the_greeting_says_who_answers_and_how_it_is(client: FlaskClient) -> None:
    """The fields of the lab, in its order."""
    answer = client.get("/")

    assert [
        ("message", "Hello from the self-healing demo app"),
        ("hostname", socket.gethostname()),
        ("healthy", True),
        ("ready", True),
        ("cpu_load", False),
    ] == list(answer.get_json().items())


def test_the_message_can_be_set(state: State) -> None:
    """In any language, readable with curl."""
    settings = Settings(message="你好", access_log=AccessLog.OFF)

    assert "你好" in create_app(state, settings).test_client().get("/").text


def test_a_failed_app_is_unhealthy_until_it_recovers_and_stays_ready(client: FlaskClient) -> None:
    """Liveness and readiness are two things."""
    assert get_json(client, "/health") == (200, {"status": "healthy"})

    client.get("/fail")
    assert get_json(client, "/health") == (500, {"status": "unhealthy"})
    assert get_json(client, "/ready") == (200, {"status": "ready"})

    client.get("/recover")
    assert get_json(client, "/health") == (200, {"status": "healthy"})


def test_an_app_that_is_not_ready_stays_healthy(client: FlaskClient) -> None:
    """So that nothing restarts it."""
    assert get_json(client, "/ready") == (200, {"status": "ready"})

    client.get("/not-ready")
    assert get_json(client, "/ready") == (503, {"status": "not ready"})
    assert get_json(client, "/health") == (200, {"status": "healthy"})

    client.get("/ready-again")
    assert get_json(client, "/ready") == (200, {"status": "ready"})


def test_nothing_makes_a_stopping_app_ready(client: FlaskClient, state: State) -> None:
    """Its last second is no time to take new work; it is healthy still."""
    client.get("/start-load")
    state.begin_stopping()
    client.get("/ready-again")

    assert get_json(client, "/ready") == (503, {"status": "not ready"})
    assert get_json(client, "/health") == (200, {"status": "healthy"})
    assert client.get("/").get_json()["cpu_load"] is False


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("/fail", "unhealthy from now on", "already unhealthy"),
        ("/recover", "already healthy", "already healthy"),
        ("/not-ready", "not ready from now on", "already not ready"),
        ("/ready-again", "already ready", "already ready"),
        ("/start-load", "CPU load started", "CPU load already running"),
        ("/stop-load", "no CPU load is running", "no CPU load is running"),
    ],
)
def test_an_action_says_what_it_did_and_that_it_did_nothing(
    client: FlaskClient, path: str, first: str, second: str
) -> None:
    """Both by GET and by POST, with the state after it."""
    one, two = client.get(path), client.post(path)

    assert (one.status_code, two.status_code) == (200, 200)
    assert one.get_json()["message"].startswith(first)
    assert second == two.get_json()["message"]
    assert {"message", "healthy", "ready", "cpu_load"} == set(one.get_json())


@pytest.mark.parametrize("path", ACTIONS)
def test_looking_at_an_action_changes_nothing(client: FlaskClient, state: State, path: str) -> None:
    """HEAD and OPTIONS are asked by tools, not by people."""
    before = state.snapshot()

    assert client.head(path).status_code == 405
    assert client.options(path).status_code == 200
    assert before == state.snapshot()


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/nowhere", "/panel", *LAB])
def test_no_answer_is_kept_by_a_cache(client: FlaskClient, path: str) -> None:
    """A browser that remembers /fail would not ask it again. Each answer says who gave it."""
    headers = client.get(path).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Served-By"] == socket.gethostname()


def test_errors_are_json_too(client: FlaskClient) -> None:
    """With the headers HTTP wants of them."""
    missing, wrong = client.get("/nowhere"), client.delete("/health")

    assert (missing.status_code, missing.get_json()) == (404, {"error": "not found"})
    assert (wrong.status_code, wrong.get_json()) == (405, {"error": "method not allowed"})
    assert {"GET", "HEAD", "OPTIONS"} == set(wrong.headers["Allow"].split(", "))


def test_a_bug_answers_500_and_tells_nothing_of_itself(state: State) -> None:
    """The traceback is for the log."""
    app = create_app(state, Settings(access_log=AccessLog.OFF))
    app.add_url_rule("/bug", "bug", lambda: str(1 / 0))
    answer = app.test_client().get("/bug")

    assert (answer.status_code, answer.get_json()) == (500, {"error": "internal server error"})


def get_json(client: FlaskClient, path: str) -> tuple[int, object]:
    answer = client.get(path)
    return answer.status_code, answer.get_json()
