"""The API server: read through pykube-ng's session, changed through kubectl as a user would.

Reading happens twice a second, so it must be cheap; what is changed is worth showing, and a kubectl
command is what a user can repeat.
"""

import shlex
from pathlib import Path
from typing import Any

import pykube
import requests

from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_unchecked
from hack.scenarios.common.errors import ScenarioError, UnreachableError

Json = dict[str, Any]

_TABLE_MEDIA_TYPE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_TIMEOUT = 10


class KubectlClient:
    """One cluster and one namespace in it.

    Attributes:
        namespace: the namespace.
        command: kubectl, as it is run against this cluster.
    """

    def __init__(self, paths: Paths, namespace: str) -> None:
        """Read the kubeconfig of the clone's cluster.

        Raises:
            ShowError: there is none.
        """
        if not paths.kubeconfig.exists():
            raise ScenarioError("there is no cluster here: run `make cluster`, which brings one up")
        self.namespace = namespace
        self._root = paths.root
        own = paths.bin / "kubectl"
        self.command = [
            str(own) if own.exists() else "kubectl",
            f"--kubeconfig={paths.kubeconfig}",
        ]
        config = pykube.KubeConfig.from_file(str(paths.kubeconfig))
        self._http = pykube.HTTPClient(config, timeout=_TIMEOUT)
        # The cluster is on this machine or the kubeconfig says where: no proxy is asked.
        self._http.session.trust_env = False

    def get(self, path: str, *, table: bool = False) -> Json | None:
        """Read what is at an API path; None when there is nothing.

        Args:
            path: below the server's address; ``{ns}`` stands for the namespace.
            table: as what ``kubectl get`` prints, with the whole objects beside it.

        Raises:
            ShowError: the API server refuses.
            UnreachableError: it does not answer.
        """
        response = self.get_response(path, table=table)
        if response.status_code == requests.codes.not_found:
            return None
        if not response.ok:
            raise ScenarioError(f"the API server refused to show {path}: {response.text.strip()}")
        body: Json = response.json()
        return body

    def get_response(self, path: str, *, table: bool = False) -> requests.Response:
        """Ask for an API path and return the answer, whatever it is.

        Raises:
            UnreachableError: the API server does not answer.
        """
        url = self._http.url.rstrip("/") + path.format(ns=self.namespace)
        try:
            response: requests.Response = self._http.session.get(
                url,
                headers={"Accept": _TABLE_MEDIA_TYPE} if table else {},
                params={"includeObject": "Object"} if table else {},
                timeout=_TIMEOUT,
            )
        except requests.RequestException as error:
            raise UnreachableError(f"the API server does not answer: {error}") from error
        return response

    def kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a kubectl command in the namespace and return what it prints.

        Raises:
            ShowError: it failed; the message is its own.
        """
        words = [*self.command, "-n", self.namespace, *shlex.split(arguments)]
        completed = run_unchecked(words, seconds=seconds, stdin=stdin, cwd=self._root)
        if completed.returncode != 0:
            message = completed.stderr.strip() or completed.stdout.strip()
            raise ScenarioError(f"`kubectl {arguments}` failed: {message}")
        return completed.stdout.strip()

    def format_command(self, arguments: str) -> str:
        """The same command as a user would type it."""
        return f"kubectl -n {self.namespace} {arguments}"

    def read_repository_file(self, name: str) -> str:
        """The text of a file of the repository."""
        return Path(self._root, name).read_text(encoding="utf-8")
