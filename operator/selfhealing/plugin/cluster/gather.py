"""Reads what only a bug report needs: logs, the evidence, and the operator's own state."""

from collections.abc import Iterator
from typing import Any, Final

from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import CHILDREN, CONFIG_MAPS, LEASES, PODS
from selfhealing.plugin.cluster.kubectl_proxy import KubectlProxy
from selfhealing.plugin.view.model import AppModel

OPERATOR_LABEL: Final = "app.kubernetes.io/name=selfhealing-operator"
METRICS_PORT: Final = 8080
"""The default of the operator's ``--metrics-port``."""

MAX_PODS: Final = 20
"""Pods of the app whose logs are read."""
LOG_LINES: Final = 2000
LOG_BYTES: Final = 1024 * 1024
"""The most that is read of one log."""

Json = dict[str, Any]


class Gatherer:
    """Reads one thing after the other, and notes what it may not read in ``gaps``."""

    def __init__(self, cluster: KubectlProxy) -> None:
        """``cluster`` is the API server."""
        self._cluster = cluster
        self.gaps: list[str] = []

    def read_logs(self, app: AppModel) -> dict[str, str]:
        """Read the logs of the app's pods, also from before the last restart."""
        pods = [pod for revision in app.revisions for pod in revision.pods]
        pods += [pod for pod in app.other_pods if pod.isolated]
        found: dict[str, str] = {}
        for pod in pods[:MAX_PODS]:
            for container in pod.containers:
                found |= self._read_log(app.key.namespace, pod.name, container.name, "logs")
                if container.last_restart is not None:
                    found |= self._read_log(
                        app.key.namespace, pod.name, container.name, "logs", previous=True
                    )
        if len(pods) > MAX_PODS:
            self.gaps.append(f"logs of {MAX_PODS} of {len(pods)} pods")
        return found

    def read_evidence(self, app: AppModel) -> list[Json]:
        """Read the app's evidence ConfigMap."""
        try:
            return [self._cluster.get(CONFIG_MAPS, app.key.namespace, f"{app.key.name}-evidence")]
        except ApiError as error:
            self._note("the evidence", error)
            return []

    def read_operator(self, namespace: str) -> tuple[dict[str, list[Json]], dict[str, str]]:
        """Read the operator's Deployment, pods and Lease, its logs and metrics.

        Returns:
            Objects by path, and texts by path.
        """
        objects: dict[str, list[Json]] = {}
        for resource in (CHILDREN["Deployment"], PODS, LEASES):
            labels = "" if resource is LEASES else OPERATOR_LABEL
            try:
                found = self._cluster.list(resource, namespace, labels=labels)
            except ApiError as error:
                self._note(f"the operator's {resource.plural}", error)
            else:
                objects[f"operator/{resource.plural}.yaml"] = found.items
        texts: dict[str, str] = {}
        for pod in objects.get("operator/pods.yaml", [])[:MAX_PODS]:
            texts |= dict(self._read_operator_pod(namespace, pod))
        return objects, texts

    def _read_operator_pod(self, namespace: str, pod: Json) -> Iterator[tuple[str, str]]:
        name = pod["metadata"]["name"]
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            yield from self._read_log(namespace, name, status["name"], "operator").items()
            if status.get("restartCount"):
                yield from self._read_log(
                    namespace, name, status["name"], "operator", previous=True
                ).items()
        path = f"{PODS.path(namespace)}/{name}:{METRICS_PORT}/proxy/metrics"
        try:
            yield f"operator/{name}.metrics", self._cluster.read_text(path, {})
        except ApiError as error:
            self._note(f"the metrics of {name}", error)

    def _read_log(
        self, namespace: str, pod: str, container: str, folder: str, *, previous: bool = False
    ) -> dict[str, str]:
        query = {
            "container": container,
            "previous": str(previous).lower(),
            "tailLines": str(LOG_LINES),
            "limitBytes": str(LOG_BYTES),
            "timestamps": "true",
        }
        suffix = ".before" if previous else ""
        try:
            text = self._cluster.read_text(PODS.path(namespace, pod, "log"), query)
        except ApiError as error:
            self._note(f"the log of {pod}/{container}{suffix}", error)
            return {}
        return {f"{folder}/{pod}.{container}{suffix}.log": text}

    def _note(self, what: str, error: ApiError) -> None:
        self.gaps.append(f"{what}: {error.message}")
