"""Answers the requests of the page."""

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from selfhealing.api.text import clean_line
from selfhealing.cache.views import AppKey
from selfhealing.kube.errors import ApiError, ConflictError, ForbiddenError, NotFoundError
from selfhealing.plugin.cluster.evidence import EvidenceMissingError, read_evidence
from selfhealing.plugin.cluster.operate import WritableCluster, operate
from selfhealing.plugin.cluster.reader import AppNotFoundError, list_apps, read_app
from selfhealing.plugin.dashboard.access import find_refusal
from selfhealing.plugin.dashboard.files import read_files
from selfhealing.plugin.dashboard.messages import Request, Response, error_response, json_response
from selfhealing.plugin.dashboard.shared_reads import SharedReads
from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.actions import Operation, OperationRefusedError
from selfhealing.plugin.view.build import build_app, build_apps
from selfhealing.plugin.view.language import Language
from selfhealing.plugin.view.model import AppModel
from selfhealing.plugin.view.page_data import build_details, build_overview

LIFETIME: Final = 2.0
"""Seconds for which an answer of the cluster is shown to all pages; each asks every 5 seconds."""

MAX_KEPT: Final = 20
"""Apps whose details are kept."""

PATIENCE: Final = 45.0
"""Seconds until a page is told that the cluster does not answer."""

_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_MAX_NAME: Final = 63
"""Names of namespaces and of apps are DNS labels; nothing else may become part of a path."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the dashboard shows.

    Attributes:
        context: the context of the kubeconfig; may be empty.
        namespace: the only namespace; None for all.
    """

    context: str
    namespace: str | None


class BadRequestError(PluginError):
    """The page asks for something that does not exist in this form."""


class Dashboard:
    """Answers requests. May be used by threads."""

    def __init__(
        self, cluster: WritableCluster, scope: Scope, token: str, executor: Executor
    ) -> None:
        """``executor`` bounds how many reads of the cluster run at the same time."""
        self._cluster = cluster
        self._scope = scope
        self._token = token
        self._files = read_files()
        self._overview: SharedReads[None, tuple[AppModel, ...]] = SharedReads(
            self._read_apps, executor, lifetime=LIFETIME, max_kept=1
        )
        self._details: SharedReads[AppKey, AppModel] = SharedReads(
            self._read_app, executor, lifetime=LIFETIME, max_kept=MAX_KEPT
        )
        self._routes: Mapping[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/api/apps"): self._answer_apps,
            ("GET", "/api/app"): self._answer_app,
            ("GET", "/api/evidence"): self._answer_evidence,
            ("POST", "/api/operations"): self._answer_operation,
        }

    def answer(self, request: Request) -> Response:
        """Answer a request; an error becomes a response that says what is wrong."""
        if (refusal := find_refusal(request, self._token)) is not None:
            return refusal
        if request.method == "GET" and (file := self._files.get(request.path)) is not None:
            return file
        route = self._routes.get((request.method, request.path))
        if route is None:
            is_known = any(path == request.path for _, path in self._routes)
            return error_response(405 if is_known else 404, "there is nothing here")
        try:
            return route(request)
        except (ApiError, PluginError, TimeoutError, CancelledError) as error:
            return _describe_error(error)

    def _read_apps(self, _key: None) -> tuple[AppModel, ...]:
        return build_apps(list_apps(self._cluster, self._scope.namespace))

    def _read_app(self, key: AppKey) -> AppModel:
        return build_app(read_app(self._cluster, key.namespace, key.name))

    def _answer_apps(self, _request: Request) -> Response:
        return self._respond(build_overview(self._overview.get(None, PATIENCE)))

    def _answer_app(self, request: Request) -> Response:
        app = self._details.get(self._parse_key(request.query), PATIENCE)
        language = Language.ZH if request.query.get("lang") == Language.ZH else Language.EN
        return self._respond(build_details(app, language))

    def _answer_evidence(self, request: Request) -> Response:
        app = self._details.get(self._parse_key(request.query), PATIENCE)
        text = read_evidence(self._cluster, app, _parse_id(request.query.get("action")))
        return json_response({"text": text})

    def _answer_operation(self, request: Request) -> Response:
        asked = _parse_body(request.body)
        key = self._parse_key(asked)
        try:
            operation = Operation(str(asked.get("operation")))
        except ValueError as error:
            raise BadRequestError("there is no such operation") from error
        # An approval is for the action that the person has seen, never for whichever is there.
        action = _parse_id(asked.get("action")) if operation is Operation.APPROVE else None
        try:
            effect = operate(self._cluster, key.namespace, key.name, operation, action)
        finally:
            self._details.forget(key)
            self._overview.forget(None)
        return json_response({"effect": effect})

    def _respond(self, found: dict[str, Any]) -> Response:
        return json_response({**found, **asdict(self._scope)})

    def _parse_key(self, fields: Mapping[str, Any]) -> AppKey:
        namespace, name = fields.get("namespace"), fields.get("name")
        if not _is_name(namespace) or not _is_name(name):
            raise BadRequestError("an app has a namespace and a name")
        if self._scope.namespace not in {None, namespace}:
            raise AppNotFoundError(f"this dashboard shows the namespace {self._scope.namespace}")
        return AppKey(str(namespace), str(name))


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_NAME
        and _NAME_CHARACTERS.issuperset(value)
    )


def _parse_id(value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - an Int32
        raise BadRequestError("an action has a number")
    return int(text)


def _parse_body(body: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError("the body is no JSON") from error
    if not isinstance(value, dict):
        raise BadRequestError("the body is no object")
    return value


def _describe_error(error: Exception) -> Response:
    """Say what is wrong: with a status that tells the page whether it helps to ask again."""
    if isinstance(error, BadRequestError):
        return error_response(400, str(error))
    if isinstance(error, AppNotFoundError | EvidenceMissingError | NotFoundError):
        return error_response(404, clean_line(str(error)))
    if isinstance(error, ForbiddenError):
        return error_response(403, f"you have no right to do that: {clean_line(error.message)}")
    if isinstance(error, OperationRefusedError | ConflictError):
        return error_response(409, clean_line(str(error)))
    if isinstance(error, TimeoutError | CancelledError):
        return error_response(504, "the cluster has not answered in time")
    return error_response(502, clean_line(str(error)))
