"""The Kubernetes client of the tests and the tools: requests through pykube-ng, and kubectl.

Two other clients exist for a reason: ``hack.localcluster.kubectl`` builds the cluster, before
there is an API server to connect to, and is the program that this client runs for kubectl commands;
``hack.benchmark.api_client`` is asynchronous, and its cost is part of what is measured.

Tests touch only clusters that are meant for it: the local one of ``make cluster``, or, with
``CLUSTER=existing YES=1``, the current context.
"""

import json
import os
import shlex
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pykube
import requests
from urllib3.util.retry import Retry

from hack.localcluster.kubectl import Kubectl
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_unchecked
from hack.testkit.errors import ApiError, ApiServerUnreachableError, ToolError

ROOT = Path(__file__).resolve().parents[2]
KUBECONFIG = Path(os.environ.get("KUBECONFIG") or ROOT / ".cluster" / "kubeconfig")
BIN = ROOT / ".cluster" / "bin"
TEST_LABEL = "selfhealing.dev/test"

Json = dict[str, Any]

API_PATHS: Mapping[str, str] = {
    "SelfHealingApp": "apis/selfhealing.dev/v1alpha1",
    "Deployment": "apis/apps/v1",
    "ReplicaSet": "apis/apps/v1",
    "DaemonSet": "apis/apps/v1",
    "ControllerRevision": "apis/apps/v1",
    "Job": "apis/batch/v1",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2",
    "PodDisruptionBudget": "apis/policy/v1",
    "VerticalPodAutoscaler": "apis/autoscaling.k8s.io/v1",
    "Ingress": "apis/networking.k8s.io/v1",
    "NetworkPolicy": "apis/networking.k8s.io/v1",
    "HTTPRoute": "apis/gateway.networking.k8s.io/v1",
    "PodMonitor": "apis/monitoring.coreos.com/v1",
    "Service": "api/v1",
    "Pod": "api/v1",
    "Node": "api/v1",
    "Namespace": "api/v1",
    "ConfigMap": "api/v1",
    "Secret": "api/v1",
    "LimitRange": "api/v1",
    "ResourceQuota": "api/v1",
    "ServiceAccount": "api/v1",
    "Role": "apis/rbac.authorization.k8s.io/v1",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1",
    "ClusterRole": "apis/rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1",
    "Event": "apis/events.k8s.io/v1",
    "EndpointSlice": "apis/discovery.k8s.io/v1",
    "Lease": "apis/coordination.k8s.io/v1",
    "MutatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1",
}
"""The API group and version at which each kind is served."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

Objects = list[Json]

Patch = Json | list[Json]
"""A merge patch of one kind or another, or a JSON patch."""


REQUEST_TIMEOUT = 20
"""Seconds."""

TABLE_MEDIA_TYPE = "application/json;as=Table;v=v1;g=meta.k8s.io"

RETRY_AFTER_POLICY = Retry(
    total=10,
    connect=0,
    read=0,
    status_forcelist=(),
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
)
"""A response with Retry-After (a CRD's storage is being set up) is retried, as client-go does.
No other failure is retried: a test checks what fails."""


def object_path(kind: str, namespace: str | None, name: str = "", sub: str = "") -> str:
    """Return the API path of a collection, an object or its subresource."""
    parts = ["", API_PATHS[kind]]
    if namespace:
        parts += ["namespaces", namespace]
    singular = kind.lower()
    if kind.endswith("y"):
        plural = f"{singular.removesuffix('y')}ies"
    else:
        plural = f"{singular}es" if kind.endswith("s") else f"{singular}s"
    return "/".join([*parts, *(part for part in (plural, name, sub) if part)])


class KubeClient:
    """Synchronous calls to one API server, with dicts as objects.

    Attributes:
        namespace: the namespace of ``{ns}`` in paths and of kubectl commands; may be empty.
        http: pykube-ng's client, which has the TLS settings and the credentials.
        kubectl: the kubectl program with the same kubeconfig.
    """

    def __init__(
        self, kubeconfig: Path = KUBECONFIG, namespace: str = "", timeout: float = REQUEST_TIMEOUT
    ) -> None:
        self.namespace = namespace
        self.kubectl = find_kubectl(kubeconfig)
        self.http = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)), timeout=timeout)
        # The kubeconfig names the server: no proxy of the environment is used.
        self.http.session.trust_env = False
        for adapter in self.http.session.adapters.values():
            adapter.max_retries = RETRY_AFTER_POLICY
        self._timeout = timeout
        self._kubeconfig = kubeconfig

    def for_namespace(self, namespace: str) -> "KubeClient":
        """Return a client of the same API server for another namespace, with its own connections.

        Threads may each use one of their own.
        """
        return KubeClient(self._kubeconfig, namespace, timeout=self._timeout)

    def url(self, kind: str, namespace: str | None, name: str = "", sub: str = "") -> str:
        """Return the URL of a collection, an object or its subresource."""
        return f"{self.http.url.rstrip('/')}{object_path(kind, namespace, name, sub)}"

    def url_for(self, body: Json, name: str = "", sub: str = "") -> str:
        """Return the URL by the body's own version, which may differ from API_PATHS."""
        api, kind = body["apiVersion"], body["kind"]
        url = self.url(kind, body["metadata"].get("namespace"), name, sub)
        return url.replace(API_PATHS[kind], f"apis/{api}" if "/" in api else f"api/{api}", 1)

    def _send(self, method: str, url: str, **more: Any) -> requests.Response:  # noqa: ANN401 - as requests
        try:
            response: requests.Response = self.http.session.request(
                method, url, timeout=self._timeout, **more
            )
        except requests.RequestException as error:
            raise ApiServerUnreachableError(f"the API server does not answer: {error}") from error
        return response

    def get_path(self, path: str, *, table: bool = False) -> Json | None:
        """Read an API path; None when the server answers 404.

        Args:
            path: the path with a leading slash; ``{ns}`` stands for the client's namespace.
            table: read what ``kubectl get`` prints, with the whole objects beside it.

        Raises:
            ApiError: the server refuses the request.
            ApiServerUnreachableError: the server does not answer.
        """
        response = self.get_response(path, table=table)
        if response.status_code == requests.codes.not_found:
            return None
        return require_success(response)

    def get_response(self, path: str, *, table: bool = False) -> requests.Response:
        """Read an API path as ``get_path`` does and return the response, whatever its status.

        Raises:
            ApiServerUnreachableError: the server does not answer.
        """
        return self._send(
            "GET",
            self.http.url.rstrip("/") + path.format(ns=self.namespace),
            headers={"Accept": TABLE_MEDIA_TYPE} if table else {},
            params={"includeObject": "Object"} if table else {},
        )

    def run_kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a kubectl command in the client's namespace and return its output.

        Raises:
            ToolError: kubectl failed; the message is its own.
        """
        words = [*self.kubectl.command, "-n", self.namespace, *shlex.split(arguments)]
        completed = run_unchecked(words, seconds=seconds, stdin=stdin, cwd=ROOT)
        if completed.returncode != 0:
            message = completed.stderr.strip() or completed.stdout.strip()
            raise ToolError(f"`kubectl {arguments}` failed: {message}")
        return completed.stdout.strip()

    def format_command(self, arguments: str) -> str:
        """Return the kubectl command as a user would type it."""
        return f"kubectl -n {self.namespace} {arguments}"

    def find(self, kind: str, namespace: str | None, name: str) -> Json | None:
        """Read an object; None when it does not exist."""
        answer = self._send("GET", self.url(kind, namespace, name))
        if answer.status_code == requests.codes.not_found:
            return None
        return require_success(answer)

    def get(self, kind: str, namespace: str | None, name: str) -> Json:
        """Read an object that must exist.

        Raises:
            ApiError: it does not.
        """
        return require_success(self._send("GET", self.url(kind, namespace, name)))

    def list(self, kind: str, namespace: str | None, labels: str = "") -> list[Json]:
        """List objects."""
        params = {"labelSelector": labels} if labels else {}
        items: list[Json] = require_success(
            self._send("GET", self.url(kind, namespace), params=params)
        )["items"]
        return items

    def watch_history(self, kind: str, namespace: str, name: str, since: Json) -> Objects:
        """Return every state of an object after the state ``since``, in order.

        A watch replays all of them, so no short-lived state is missed; a deleted object appears in
        its last state. ``since`` may be any object of the kind.
        """
        params = {
            "watch": "true",
            "resourceVersion": since["metadata"]["resourceVersion"],
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": "1",
        }
        response = self._send("GET", self.url(kind, namespace), params=params)
        if not response.ok:
            raise ApiError(response.text, response.status_code)
        return [json.loads(line)["object"] for line in response.iter_lines()]

    def try_create(self, body: Json, *, dry_run: bool = False, sub: str = "") -> requests.Response:
        """Create an object, or post to its subresource, and return the response."""
        params = {"dryRun": "All"} if dry_run else {}
        name = body["metadata"].get("name", "") if sub else ""
        return self._send("POST", self.url_for(body, name, sub), json=body, params=params)

    def create(self, body: Json, *, sub: str = "") -> Json:
        """Create an object."""
        return require_success(self.try_create(body, sub=sub))

    def apply(self, body: Json, *, manager: str = "kubectl", dry_run: bool = False) -> Json:
        """Apply an object by server-side apply."""
        return require_success(self.try_apply(body, manager=manager, dry_run=dry_run))

    def try_apply(
        self, body: Json, *, manager: str = "kubectl", dry_run: bool = False
    ) -> requests.Response:
        """Apply an object by server-side apply and return the response."""
        return self._send(
            "PATCH",
            self.url_for(body, body["metadata"]["name"]),
            json=body,
            params={
                "fieldManager": manager,
                "force": "true",
                **({"dryRun": "All"} if dry_run else {}),
            },
            headers={"Content-Type": APPLY_PATCH},
        )

    def try_patch(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        patch: Patch,
        *,
        form: str = MERGE_PATCH,
        sub: str = "",
        manager: str = "kubectl-edit",
    ) -> requests.Response:
        """Patch an object or its subresource and return the response; a list is a JSON patch."""
        form = JSON_PATCH if isinstance(patch, list) else form
        return self._send(
            "PATCH",
            self.url(kind, namespace, name, sub),
            json=patch,
            params={"fieldManager": manager},
            headers={"Content-Type": form},
        )

    def patch(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        patch: Patch,
        *,
        form: str = MERGE_PATCH,
        sub: str = "",
        manager: str = "kubectl-edit",
    ) -> Json:
        """Patch an object or its subresource; a list is a JSON patch."""
        return require_success(
            self.try_patch(kind, namespace, name, patch, form=form, sub=sub, manager=manager)
        )

    def merge_patch(
        self, kind: str, namespace: str | None, name: str, patch: Json, sub: str = ""
    ) -> Json:
        """Merge a patch into an object or its subresource, as ``kubectl patch --type=merge``."""
        return self.patch(kind, namespace, name, patch, sub=sub)

    def try_delete(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        propagation: str = "Background",
        *,
        grace: int | None = None,
    ) -> requests.Response:
        """Delete an object and return the response."""
        options: Json = {"propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return self._send("DELETE", self.url(kind, namespace, name), json=options)

    def delete(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        propagation: str = "Background",
        *,
        grace: int | None = None,
    ) -> None:
        """Delete an object; a missing one is no error."""
        answer = self.try_delete(kind, namespace, name, propagation, grace=grace)
        if answer.status_code != requests.codes.not_found:
            require_success(answer)


def require_success(response: requests.Response) -> Json:
    """Return the body of a response.

    Raises:
        ApiError: the server refused the request.
    """
    if not response.ok:
        request = f"{response.request.method} {response.request.path_url}"
        raise ApiError(f"{request}: {response.text}", response.status_code)
    body: Json = response.json()
    return body


def find_kubectl(kubeconfig: Path) -> Kubectl:
    """Return the kubectl of the local cluster, else that of PATH, with a kubeconfig."""
    program = BIN / "kubectl"
    return Kubectl(str(program if program.exists() else "kubectl"), str(kubeconfig))


def connect_to_clone_cluster(paths: Paths, namespace: str) -> KubeClient:
    """Return a client of the local cluster of a clone.

    Raises:
        ToolError: the clone has no cluster.
    """
    if not paths.kubeconfig.exists():
        raise ToolError("there is no cluster here: run `make cluster`, which brings one up")
    return KubeClient(paths.kubeconfig, namespace, timeout=10)


def run_kubectl(
    *arguments: str, timeout: float = 60, check: bool = True, stdin: str | None = None
) -> str:
    """Run kubectl against the cluster of the tests and return stdout and stderr.

    Raises:
        ToolError: kubectl failed and ``check`` is true.
    """
    command = [*find_kubectl(KUBECONFIG).command, *arguments]
    completed = run_unchecked(command, stdin=stdin, seconds=timeout)
    output = completed.stdout + completed.stderr
    if check and completed.returncode != 0:
        raise ToolError(f"kubectl {' '.join(arguments)}:\n{output}")
    return output


def unusable_reason() -> str:
    """Return why the tests may use no cluster, as a sentence; empty when they may."""
    if not KUBECONFIG.exists():
        return f"there is no {KUBECONFIG}: run `make cluster` first"
    config = pykube.KubeConfig.from_file(str(KUBECONFIG))
    local = config.current_context.startswith("kind-selfhealing")
    if not local and not (os.environ.get("CLUSTER") == "existing" and os.environ.get("YES") == "1"):
        return (
            f"context {config.current_context} is not the local cluster: say CLUSTER=existing "
            "YES=1 to let the tests use it"
        )
    return ""


@contextmanager
def temporary_namespace(
    kube: KubeClient, stem: str, labels: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Create a namespace with a unique name; delete it after the block."""
    name = f"{stem[:40].strip('-')}-{uuid.uuid4().hex[:6]}"
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {TEST_LABEL: "true", **(labels or {})}},
        }
    )
    try:
        yield name
    finally:
        kube.delete("Namespace", None, name)


def find_condition(app: Json, kind: str) -> Json:
    """Return a condition of a resource by its type; an empty dict when it has none."""
    for found in (app.get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return {}
