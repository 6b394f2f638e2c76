"""The application, put together from its parts. It knows nothing of the server or the process."""

import socket
from time import perf_counter

from flask import Flask, Response, g
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from app import panel, routes
from app.faults import fault_actions
from app.logs import install_access_log
from app.metrics import Metrics
from app.rate import Rate
from app.settings import Settings
from app.state import State

SERVED_BY = "X-Served-By"
"""The header with the name of the replica that answered."""

_HOSTNAME = socket.gethostname()


class _Json(DefaultJSONProvider):
    sort_keys = False
    ensure_ascii = False


def create_app(
    state: State, settings: Settings | None = None, metrics: Metrics | None = None
) -> Flask:
    """Make the WSGI application around a state.

    Args:
        state: what the endpoints show and change.
        settings: the defaults where not given.
        metrics: those of the caller, who can then add the server's queue; else new ones.
    """
    settings = settings or Settings()
    metrics = metrics or Metrics()
    rate = Rate()
    app = Flask("app", static_folder=None)
    app.json = _Json(app)
    app.before_request(_record_start)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _as_json)
    metrics.watch_state(state)
    metrics.install(app)
    rate.install(app)
    app.before_request(state.hold)
    install_access_log(app, settings.access_log)
    app.register_blueprint(routes.views(state, settings))
    table = (*routes.lab_actions(state), *fault_actions(state))
    app.register_blueprint(routes.actions(state, table))
    app.register_blueprint(panel.blueprint(state, rate))
    return app


def _record_start() -> None:
    g.started = perf_counter()


def _add_headers(response: Response) -> Response:
    """Say who answered, since a Service does not, and let nobody keep the answer."""
    response.headers["Cache-Control"] = "no-store"
    response.headers[SERVED_BY] = _HOSTNAME
    return response


def _as_json(error: HTTPException) -> ResponseReturnValue:
    # Built on the error's own answer, to keep what it says in headers (Allow of a 405).
    headers = {k: v for k, v in error.get_headers() if k not in ("Content-Type", "Content-Length")}
    body = {"error": error.name.lower()}
    if error.description and error.description != type(error).description:
        body["message"] = error.description  # ours, for this request; not HTTP's general words
    return body, error.code or 500, headers
