"""The application without a server, for the tests of what it answers."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.factory import create_app
from app.settings import AccessLog, Settings
from app.state import State


@pytest.fixture
def state() -> Iterator[State]:
    """A fresh state whose load and leak do not outlive the test."""
    state = State()
    yield state
    state.stop_load()
    state.stop_leak()


@pytest.fixture
def client(state: State) -> FlaskClient:
    """A client of an application around that state."""
    return create_app(state, Settings(access_log=AccessLog.OFF)).test_client()
