import logging

import pytest

from app.factory import create_app
from app.settings import AccessLog, Settings
from app.state import State

PATHS = ("/", "/health", "/ready", "/metrics", "/fail", "/health", "/nowhere")


@pytest.mark.parametrize(
    ("which", "logged"),
    [
        (AccessLog.ALL, ["/", "/health", "/ready", "/metrics", "/fail", "/health", "/nowhere"]),
        (AccessLog.QUIET, ["/", "/fail", "/health", "/nowhere"]),
        (AccessLog.OFF, []),
    ],
)
def test_the_access_log_holds_what_was_asked_for(
    which: AccessLog, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Quiet leaves out good probes and scrapes; a failing probe is always worth a line."""
    client = create_app(State(), Settings(access_log=which)).test_client()
    with caplog.at_level(logging.INFO, "app"):
        for path in PATHS:
            client.get(path)

    said = [r.getMessage().split() for r in caplog.records if "->" in r.getMessage()]
    assert logged == [words[2] for words in said]


def test_a_long_path_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    client = create_app(State()).test_client()
    with caplog.at_level(logging.INFO, "app"):
        client.get("/" + "x" * 5000)

    assert len(caplog.messages[-1]) < 300
