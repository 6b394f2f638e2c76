"""The way to the API server: requests through ``kubectl proxy`` on a socket of its own.

So kubectl itself reads the kubeconfig, logs in and encrypts, and every way to log in that works in
kubectl works here, too. It also starts three times as fast as the Kubernetes client of Python
(docs/adr/0035-kubectl-plugin.md).

The socket is in a folder that only this user may enter, the proxy takes no method but GET and
PATCH, and it ends with this process, however that ends.
"""

import http.client
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import orjson

from selfhealing.api.text import clean_line
from selfhealing.kube.errors import ApiError, ResponseTooLargeError, UnavailableError, parse_error
from selfhealing.kube.resources import Resource
from selfhealing.plugin.errors import PluginError

FIELD_MANAGER: Final = "kubectl-selfheal"
"""The field manager of what the plugin writes."""

MERGE_PATCH: Final = "application/merge-patch+json"

REQUEST_TIMEOUT: Final = 30.0
"""Seconds that one request may take."""

START_TIMEOUT: Final = 20.0
"""Seconds until the proxy must listen."""

MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024
"""The largest response that is read."""

MAX_IDLE: Final = 8
"""Connections that are kept for the next requests."""

PAGE_SIZE: Final = 500
"""Objects of a page of a list, as kubectl asks for them."""

MAX_TEMPORARY_PATH: Final = 64
"""Characters of the folder for temporary files in which a socket can be: with the names below it a
path has at most 104 bytes (sun_path of macOS; Linux has 108)."""

_FIRST_ERROR_STATUS: Final = 400
_LISTENS: Final = b"Starting to serve on"
"""What ``kubectl proxy`` prints when it takes requests."""

_UNTIL_THE_PIPE_CLOSES: Final = """\
folder=$1
shift
"$@" &
exec >&-
read -r _
kill $!
rm -rf "$folder"
"""
"""A shell that ends the proxy, and removes its folder, when the other end of its standard input is
closed, which the kernel does also for a process that is killed. It closes its output, so that the
end of the proxy is seen as the end of the output."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster that is asked: as kubectl's options of these names; empty for the default."""

    kubeconfig: str = ""
    context: str = ""

    def arguments(self) -> list[str]:
        """Return the options for kubectl."""
        options = {"--kubeconfig": self.kubeconfig, "--context": self.context}
        return [f"{name}={value}" for name, value in options.items() if value]


class KubectlError(PluginError):
    """kubectl is missing, or could not do what it was asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The objects of a kind.

    Attributes:
        items: the objects, each with its kind and apiVersion.
        is_cut: there are more, which were not read.
    """

    items: list[Json]
    is_cut: bool


class KubectlProxy:
    """Requests through a ``kubectl proxy``; use as a context manager. May be used by threads."""

    def __init__(self, target: Target) -> None:
        """``target`` is the cluster; nothing is started yet."""
        self._target = target
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._server_time: tuple[datetime, float] | None = None

    def __enter__(self) -> Self:
        """Start the proxy, and wait until it takes requests.

        Raises:
            KubectlError: it does not start.
        """
        kubectl = find_kubectl()
        self._folder = _make_folder()
        try:
            self._start(kubectl, self._folder)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the proxy."""
        self._stop()

    @property
    def now(self) -> datetime:
        """The API server's time, as the last response tells it, carried on.

        The clock of this machine may be wrong, and times in the cluster are compared with it.

        Raises:
            UnavailableError: no response has told it.
        """
        if self._server_time is None:
            raise UnavailableError(0, "NoDate", "the API server does not tell its time")
        date, received_at = self._server_time
        return date + timedelta(seconds=time.monotonic() - received_at)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object.

        Raises:
            NotFoundError: it does not exist, or the cluster does not serve its kind.
            ApiError: it cannot be read.
        """
        return self._request_json("GET", resource.path(namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        max_items: int = 5000,
    ) -> ObjectList:
        """Read the objects of a kind.

        Args:
            resource: the kind.
            namespace: where; None for everywhere.
            labels: a label selector; empty for all.
            fields: a field selector; empty for all.
            max_items: no further page is read when there are that many.

        Raises:
            ApiError: they cannot be read.
        """
        query = {"limit": str(PAGE_SIZE), "labelSelector": labels, "fieldSelector": fields}
        items: list[Json] = []
        while True:
            page = self._request_json(
                "GET",
                resource.path(namespace),
                {key: value for key, value in query.items() if value},
            )
            # The items of a list have no type of their own.
            type_ = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += ({**type_, **item} for item in page.get("items") or ())
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"] or len(items) >= max_items:
                return ObjectList(items, is_cut=bool(query["continue"]))

    def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Merge a patch (RFC 7396) into an object; return the live object.

        Raises:
            ConflictError: the object no longer has the resource version in the patch.
            ApiError: it is refused.
        """
        path = resource.path(namespace, name)
        query = {"fieldManager": FIELD_MANAGER}
        return self._request_json("PATCH", path, query, orjson.dumps(patch), MERGE_PATCH)

    def read_text(self, path: str, query: Mapping[str, str]) -> str:
        """Read what is no JSON, such as a log.

        Raises:
            ApiError: it cannot be read.
        """
        return self._request("GET", path, query).decode(errors="replace")

    def _request_json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
    ) -> Json:
        data = self._request(method, path, query, body, content_type)
        try:
            content: Json = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise UnavailableError(0, "NoJson", f"the answer to {path} is no JSON") from error
        return content

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
    ) -> bytes:
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Host": "localhost", **({"Content-Type": content_type} if body else {})}
        try:
            response, data = self._exchange(method, url, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(0, "NoAnswer", self._describe_silence(error)) from error
        if len(data) > MAX_RESPONSE_BYTES:
            message = f"the answer to {path} has more than {MAX_RESPONSE_BYTES} bytes"
            raise ResponseTooLargeError(0, "ResponseTooLarge", message)
        if response.status >= _FIRST_ERROR_STATUS:
            raise self._explain(parse_error(response.status, data))
        self._observe_date(response.headers.get("Date"))
        return data

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request over an idle connection, or over a new one; return the response."""
        try:
            connection = self._idle.pop()  # by one thread only: deque is safe for threads
        except IndexError:
            connection = _UnixConnection(self._socket_path)
        is_kept = False
        try:
            connection.request(method, url, body, dict(headers))
            response = connection.getresponse()
            data = response.read(MAX_RESPONSE_BYTES + 1)
            is_kept = len(data) <= MAX_RESPONSE_BYTES and len(self._idle) < MAX_IDLE
        finally:
            if is_kept:
                self._idle.append(connection)
            else:
                connection.close()
        return response, data

    def _explain(self, error: ApiError) -> ApiError:
        """Add what kubectl says: its proxy answers 502 with no text if it does not get through."""
        if isinstance(error, UnavailableError) and not error.message:
            return UnavailableError(error.status, error.reason, self._describe_silence(error))
        return error

    def _describe_silence(self, error: Exception) -> str:
        said = self._last_words()
        return f"no answer from the API server: {said or clean_line(str(error))}"

    def _observe_date(self, date: str | None) -> None:
        with suppress(TypeError, ValueError):  # without a Date, or with one that is none
            self._server_time = (
                parsedate_to_datetime(date or "").replace(tzinfo=UTC),
                time.monotonic(),
            )

    @property
    def _socket_path(self) -> str:
        return str(self._folder / "socket") if self._folder else ""

    def _start(self, kubectl: str, folder: Path) -> None:
        command = [
            kubectl,
            "proxy",
            f"--unix-socket={self._socket_path}",
            "--append-server-path",
            "--reject-methods=^(POST|PUT|DELETE)$",
            *self._target.arguments(),
        ]
        with (folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - no part of it is a shell's text
                ["sh", "-c", _UNTIL_THE_PIPE_CLOSES, "sh", folder, *command],  # noqa: S607 - of POSIX
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for the plugin, which then ends the proxy
            )
        if not self._wait_for(_LISTENS):
            said = self._last_words() or "it does not say why"
            raise KubectlError(f"kubectl proxy does not start: {said}")

    def _wait_for(self, text: bytes) -> bool:
        """Wait until the proxy has printed a text; False if it ends or takes too long."""
        assert self._process is not None and self._process.stdout is not None  # noqa: PT018, S101
        deadline, printed, output = time.monotonic() + START_TIMEOUT, b"", self._process.stdout
        while text not in printed:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                return False
            chunk = os.read(output.fileno(), 4096)
            if not chunk:
                return False
            printed += chunk
        return True

    def _last_words(self) -> str:
        """Return the last line that kubectl has printed to its standard error."""
        if self._folder is None:
            return ""
        text = (self._folder / "stderr").read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return clean_line(lines[-1]).removeprefix("error: ") if lines else ""

    def _stop(self) -> None:
        while self._idle:
            self._idle.pop().close()
        if self._process is not None:
            with self._process as process:  # closes the pipes, and waits
                assert process.stdin is not None  # noqa: S101
                process.stdin.close()
            self._process = None


def _make_folder() -> Path:
    """Make a folder of mode 0700 for the socket, in a short path if that of TMPDIR is long."""
    is_long = len(tempfile.gettempdir()) > MAX_TEMPORARY_PATH
    return Path(tempfile.mkdtemp(prefix="kubectl-selfheal-", dir="/tmp" if is_long else None))  # noqa: S108


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=REQUEST_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(REQUEST_TIMEOUT)
        self.sock.connect(self._path)


def find_kubectl() -> str:
    """Return the path of kubectl.

    Raises:
        KubectlError: there is none.
    """
    path = shutil.which("kubectl")
    if path is None:
        raise KubectlError(
            "kubectl is not in the PATH; this is a plugin of it: install kubectl first"
        )
    return path


def read_default_namespace(target: Target) -> str:
    """Return the namespace of the kubeconfig's context; "default" if it names none.

    Raises:
        KubectlError: the kubeconfig cannot be read, or has no such context.
    """
    return _read_kubeconfig(target, "{..namespace}").split(" ")[0] or "default"


def read_current_context(target: Target) -> str:
    """Return the name of the kubeconfig's context; empty if it has none, as within a pod."""
    try:
        return _read_kubeconfig(target, "{.current-context}")
    except KubectlError:
        return ""


def _read_kubeconfig(target: Target, path: str) -> str:
    view = [*target.arguments(), "config", "view", "--minify", "-o", f"jsonpath={path}"]
    done = subprocess.run(  # noqa: S603 - the options are the user's own
        [find_kubectl(), *view], capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode:
        said = clean_line(done.stderr.strip()).removeprefix("error: ")
        raise KubectlError(f"{said}; choose a cluster with --context or --kubeconfig")
    return clean_line(done.stdout.strip())
