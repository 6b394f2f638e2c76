"""The lab's endpoints, in two groups: those that only look, and those that change something.

A further group (``app.panel``, ``app.faults``) is a module of its own that returns a Blueprint or
rows for the table of actions, and one more line in ``app.factory``.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from app.logs import logger
from app.origin import is_foreign
from app.settings import Settings
from app.state import State


def views(state: State, settings: Settings) -> Blueprint:
    """What looks: the greeting and the two probes."""
    blueprint = Blueprint("views", __name__)
    hostname = socket.gethostname()

    @blueprint.get("/")
    def index() -> ResponseReturnValue:
        if settings.work_seconds:
            time.sleep(settings.work_seconds)
        return {"message": settings.message, "hostname": hostname, **asdict(state.snapshot())}

    @blueprint.get("/health")
    def health() -> ResponseReturnValue:
        if state.snapshot().healthy:
            return {"status": "healthy"}
        return {"status": "unhealthy"}, 500

    @blueprint.get("/ready")
    def ready() -> ResponseReturnValue:
        if state.snapshot().ready:
            return {"status": "ready"}
        return {"status": "not ready"}, 503

    return blueprint


@dataclass(frozen=True)
class Action:
    """One thing the app can be told to do, and what it says to that."""

    path: str
    do: Callable[[], bool]
    done: str
    already: str


def lab_actions(state: State) -> tuple[Action, ...]:
    """The lab's own six."""
    return (
        Action(
            "/fail",
            lambda: state.set_healthy(False),
            "unhealthy from now on: /health answers 500 until /recover or a restart",
            "already unhealthy",
        ),
        Action(
            "/recover",
            lambda: state.set_healthy(True),
            "healthy again: /health answers 200",
            "already healthy",
        ),
        Action(
            "/not-ready",
            lambda: state.set_ready(False),
            "not ready from now on: /ready answers 503 until /ready-again or a restart",
            "already not ready",
        ),
        Action(
            "/ready-again",
            lambda: state.set_ready(True),
            "ready again: /ready answers 200",
            "already ready",
        ),
        Action("/start-load", state.start_load, "CPU load started", "CPU load already running"),
        Action("/stop-load", state.stop_load, "CPU load stopped", "no CPU load is running"),
    )


def actions(state: State, table: tuple[Action, ...]) -> Blueprint:
    """What changes: GET because the lab's reader types ``curl``, POST for pages and programs."""
    blueprint = Blueprint("actions", __name__)

    @blueprint.before_request
    def reject_unsafe_request() -> None:
        # Flask answers HEAD wherever it answers GET, but `curl -I` must not make anything ill.
        if request.method == "HEAD":
            abort(405)
        site, origin = (request.headers.get(name, "") for name in ("Sec-Fetch-Site", "Origin"))
        if request.method == "POST" and is_foreign(site, origin, request.host):
            abort(403, "another page may not ask this in your name: use the panel or curl")

    def view(action: Action) -> Callable[[], ResponseReturnValue]:
        def act() -> ResponseReturnValue:
            changed = action.do()
            message = action.done if changed else action.already
            logger.info("%s: %s", action.path, message)
            return jsonify(message=message, **asdict(state.snapshot()))

        return act

    for action in table:
        name = action.path.strip("/")
        blueprint.add_url_rule(action.path, name, view(action), methods=["GET", "POST"])
    return blueprint
