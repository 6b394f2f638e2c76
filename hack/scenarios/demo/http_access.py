"""How the demo's requests reach the app: through its Service, as anybody's would."""

from dataclasses import dataclass

import requests

from hack.scenarios.common.kube_client import Json, KubectlClient

_TIMEOUT = 3


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP answer, or why there was none."""

    status_code: int
    body: Json
    error: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the app answered, and well."""
        return self.status_code == 200

    def __str__(self) -> str:
        """Say it in a few words."""
        if not self.status_code:
            return self.error
        return (
            f"{self.status_code} {self.body.get('message') or self.body.get('status', '')}".strip()
        )


class NodePortAccess:
    """A node's address and the Service's port on it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        self._session.trust_env = False  # a node is next door, not behind a proxy

    def format_command(self, path: str) -> str:
        """What a user would type to ask for ``path``."""
        return f"curl {self.endpoint}{path}"

    def get(self, path: str) -> HttpResponse:
        """Ask for ``path``, on a connection of its own as curl does."""
        try:
            response = self._session.get(
                self.endpoint + path, timeout=_TIMEOUT, headers={"Connection": "close"}
            )
        except requests.Timeout:
            return HttpResponse(0, {}, "nobody answers")
        except requests.RequestException:
            return HttpResponse(0, {}, "connection refused")
        return _parse_response(response)


class ServiceProxyAccess:
    """The API server's own way to a Service, where no node can be reached from here."""

    def __init__(self, kube: KubectlClient, service: str) -> None:
        self._kube = kube
        self._path = f"/api/v1/namespaces/{kube.namespace}/services/{service}:http/proxy"

    def format_command(self, path: str) -> str:
        """What a user would type to ask for ``path``."""
        return f"kubectl get --raw {self._path}{path}"

    def get(self, path: str) -> HttpResponse:
        """Ask for ``path``."""
        response = self._kube.get_response(self._path + path)
        if response.status_code == requests.codes.unavailable:
            return HttpResponse(0, {}, "the Service has no endpoints")
        return _parse_response(response)


HttpAccess = NodePortAccess | ServiceProxyAccess


def _parse_response(response: requests.Response) -> HttpResponse:
    try:
        body = response.json()
    except ValueError:
        body = {"message": response.text[:80]}
    return HttpResponse(response.status_code, body if isinstance(body, dict) else {})
