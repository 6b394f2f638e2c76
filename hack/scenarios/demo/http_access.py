"""How the demo's requests reach the app: through its Service, as anybody's would."""

from dataclasses import dataclass

import requests

from hack.scenarios.common.kube_client import Json, Kube

_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, or why there was none."""

    code: int
    body: Json
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether the app answered, and well."""
        return self.code == 200

    def __str__(self) -> str:
        """Say it in a few words."""
        if not self.code:
            return self.why
        return f"{self.code} {self.body.get('message') or self.body.get('status', '')}".strip()


class NodePort:
    """A node's address and the Service's port on it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        self._session.trust_env = False  # a node is next door, not behind a proxy

    def command(self, path: str) -> str:
        """What a user would type to ask for ``path``."""
        return f"curl {self.endpoint}{path}"

    def ask(self, path: str) -> Answer:
        """Ask for ``path``, on a connection of its own as curl does."""
        try:
            answer = self._session.get(
                self.endpoint + path, timeout=_SECONDS, headers={"Connection": "close"}
            )
        except requests.Timeout:
            return Answer(0, {}, "nobody answers")
        except requests.RequestException:
            return Answer(0, {}, "connection refused")
        return _answer(answer)


class ServiceProxy:
    """The API server's own way to a Service, where no node can be reached from here."""

    def __init__(self, kube: Kube, service: str) -> None:
        self._kube = kube
        self._path = f"/api/v1/namespaces/{kube.namespace}/services/{service}:http/proxy"

    def command(self, path: str) -> str:
        """What a user would type to ask for ``path``."""
        return f"kubectl get --raw {self._path}{path}"

    def ask(self, path: str) -> Answer:
        """Ask for ``path``."""
        answer = self._kube.ask(self._path + path)
        if answer.status_code == requests.codes.unavailable:
            return Answer(0, {}, "the Service has no endpoints")
        return _answer(answer)


Door = NodePort | ServiceProxy


def _answer(answer: requests.Response) -> Answer:
    try:
        body = answer.json()
    except ValueError:
        body = {"message": answer.text[:80]}
    return Answer(answer.status_code, body if isinstance(body, dict) else {})
