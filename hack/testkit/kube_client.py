"""The cluster that tests may use, and typed access to it through pykube-ng.

Only clusters that are meant for it are touched: the local one of ``make cluster``, or, with
``CLUSTER=existing YES=1``, the current context. Tests create namespaces of their own and remove
them.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pykube
import requests
from urllib3.util.retry import Retry

ROOT = Path(__file__).resolve().parents[2]
KUBECONFIG = Path(os.environ.get("KUBECONFIG") or ROOT / ".cluster" / "kubeconfig")
BIN = ROOT / ".cluster" / "bin"
TEST_LABEL = "selfhealing.dev/test"

Json = dict[str, Any]

API_PATHS: Mapping[str, str] = {
    "SelfHealingApp": "apis/selfhealing.dev/v1alpha1",
    "Deployment": "apis/apps/v1",
    "ReplicaSet": "apis/apps/v1",
    "ControllerRevision": "apis/apps/v1",
    "Job": "apis/batch/v1",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2",
    "PodDisruptionBudget": "apis/policy/v1",
    "VerticalPodAutoscaler": "apis/autoscaling.k8s.io/v1",
    "Service": "api/v1",
    "Pod": "api/v1",
    "Node": "api/v1",
    "Namespace": "api/v1",
    "ConfigMap": "api/v1",
    "Secret": "api/v1",
    "ResourceQuota": "api/v1",
    "ServiceAccount": "api/v1",
    "Role": "apis/rbac.authorization.k8s.io/v1",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1",
    "Event": "apis/events.k8s.io/v1",
    "EndpointSlice": "apis/discovery.k8s.io/v1",
    "Lease": "apis/coordination.k8s.io/v1",
    "MutatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1",
}
"""Where the kinds that tests use are served."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

Objects = list[Json]

Patch = Json | list[Json]
"""A merge patch of one kind or another, or a JSON patch."""


RETRY_AFTER_POLICY = Retry(
    total=10,
    connect=0,
    read=0,
    status_forcelist=(),
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
)
"""An answer with Retry-After (a CRD's storage is being set up) is asked for again, as client-go
does; nothing else is: a test wants to see what fails."""


class KubeClient:
    """Plain-dict calls to the API server, with pykube-ng's session for TLS and credentials."""

    def __init__(self, kubeconfig: Path = KUBECONFIG) -> None:
        self.http = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)), timeout=20)
        for adapter in self.http.session.adapters.values():
            adapter.max_retries = RETRY_AFTER_POLICY

    def url(self, kind: str, namespace: str | None, name: str = "", sub: str = "") -> str:
        """The URL of a collection, an object or its subresource."""
        parts = [self.http.url.rstrip("/"), API_PATHS[kind]]
        if namespace:
            parts += ["namespaces", namespace]
        plural = (
            f"{kind.lower().removesuffix('y')}ies" if kind.endswith("y") else f"{kind.lower()}s"
        )
        return "/".join([*parts, *(part for part in (plural, name, sub) if part)])

    def url_for(self, body: Json, name: str = "", sub: str = "") -> str:
        """The URL by the body's own version, which need not be the one in PATHS."""
        api, kind = body["apiVersion"], body["kind"]
        url = self.url(kind, body["metadata"].get("namespace"), name, sub)
        return url.replace(API_PATHS[kind], f"apis/{api}" if "/" in api else f"api/{api}", 1)

    def _send(self, method: str, url: str, **more: Any) -> requests.Response:  # noqa: ANN401 - as requests
        answer: requests.Response = self.http.session.request(method, url, timeout=20, **more)
        return answer

    def find(self, kind: str, namespace: str | None, name: str) -> Json | None:
        """Read an object; None when it is not there."""
        answer = self._send("GET", self.url(kind, namespace, name))
        if answer.status_code == requests.codes.not_found:
            return None
        return require_success(answer)

    def get(self, kind: str, namespace: str | None, name: str) -> Json:
        """Read an object that must be there."""
        found = self.find(kind, namespace, name)
        assert found is not None, f"there is no {kind} {namespace}/{name}"
        return found

    def list(self, kind: str, namespace: str | None, labels: str = "") -> list[Json]:
        """List objects."""
        params = {"labelSelector": labels} if labels else {}
        items: list[Json] = require_success(
            self._send("GET", self.url(kind, namespace), params=params)
        )["items"]
        return items

    def watch_history(self, kind: str, namespace: str, name: str, since: Json) -> Objects:
        """Every state that an object has gone through after the state ``since``, in order.

        A watch replays them all, so nothing is missed however quickly it changed; what was deleted
        is there in its last state. ``since`` may be any object of the kind.
        """
        params = {
            "watch": "true",
            "resourceVersion": since["metadata"]["resourceVersion"],
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": "1",
        }
        answer = self._send("GET", self.url(kind, namespace), params=params)
        assert answer.ok, answer.text
        return [json.loads(line)["object"] for line in answer.iter_lines()]

    def try_create(self, body: Json, *, dry_run: bool = False, sub: str = "") -> requests.Response:
        """Create an object (or ask a subresource of it) and return the answer, whatever it is."""
        params = {"dryRun": "All"} if dry_run else {}
        name = body["metadata"].get("name", "") if sub else ""
        return self._send("POST", self.url_for(body, name, sub), json=body, params=params)

    def create(self, body: Json, *, sub: str = "") -> Json:
        """Create an object."""
        return require_success(self.try_create(body, sub=sub))

    def apply(self, body: Json, *, manager: str = "kubectl", dry_run: bool = False) -> Json:
        """Apply an object on the server's side."""
        return require_success(self.try_apply(body, manager=manager, dry_run=dry_run))

    def try_apply(
        self, body: Json, *, manager: str = "kubectl", dry_run: bool = False
    ) -> requests.Response:
        """Apply an object on the server's side and return the answer, whatever it is."""
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
        """Patch an object or its subresource and return the answer; a list is a JSON patch."""
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

    def delete(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        propagation: str = "Background",
        *,
        grace: int | None = None,
    ) -> None:
        """Delete an object; one that is gone is well gone."""
        options: Json = {"propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        answer = self._send("DELETE", self.url(kind, namespace, name), json=options)
        if answer.status_code != requests.codes.not_found:
            require_success(answer)


def require_success(response: requests.Response) -> Json:
    """The answer's body; an AssertionError with the server's words when it refused."""
    assert response.ok, f"{response.request.method} {response.request.path_url}: {response.text}"
    body: Json = response.json()
    return body


def run_kubectl(
    *arguments: str, timeout: float = 60, check: bool = True, stdin: str | None = None
) -> str:
    """Run kubectl of the local cluster against it and return what it prints (both streams)."""
    program = BIN / "kubectl"
    done = subprocess.run(
        [str(program if program.exists() else "kubectl"), *arguments],
        env={**os.environ, "KUBECONFIG": str(KUBECONFIG)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{output}"
    return output


def unusable_reason() -> str:
    """Why no cluster may be used, as a sentence; empty when one may."""
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
    """A namespace that is deleted afterwards with everything in it."""
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
    """A condition of a resource; an empty dict when it has none such."""
    for found in (app.get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return {}
