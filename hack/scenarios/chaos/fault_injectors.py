"""Injects faults, and restores what they break outside of the namespace.

Such a fault is a context manager that is given to ``Environment.add_cleanup``. Nodes are killed as
in the end-to-end tests.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hack.scenarios.chaos.environment import (
    APP_NAME,
    IMAGE,
    METRICS_TIMEOUT,
    Environment,
)
from hack.scenarios.common.errors import ScenarioError
from hack.testkit import node_control
from hack.testkit.kube_client import KubeClient

MISSING_IMAGE: Final = f"{IMAGE.partition(':')[0]}:no-such-tag"

_LEAK_PATH = "/leak?mib=120&rate=40"
_METRICS_SERVER_PATH = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"


def leak_memory(environment: Environment) -> None:
    """Make each ready pod allocate memory; a pod that has done so does not allocate more."""
    for pod in environment.list_pods():
        if pod.is_ready:
            environment.request_from_pod(pod, _LEAK_PATH)


def hang_pod(environment: Environment) -> None:
    """Make one pod hang."""
    pod = environment.find_ready_pod()
    environment.print_command(f"curl http://{pod.name}/hang")
    if not environment.request_from_pod(pod, "/hang"):
        raise ScenarioError(f"{pod.name} does not answer, so it cannot be told to hang")


def fill_quota(environment: Environment) -> None:
    """Set a quota that leaves no room for a new pod, and delete a pod."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full"},
        "spec": {"hard": {"pods": str(len(environment.list_pods()) - 1)}},
    }
    environment.context.run_kubectl("create -f -", stdin=json.dumps(quota))
    kube = environment.kube
    # The API server enforces it only after a controller has filled in its status.
    environment.wait_until(
        "the quota is in force",
        lambda: kube.get("ResourceQuota", kube.namespace, "full")["status"]["hard"],
        20,
    )
    environment.context.run_kubectl(f"delete pod {environment.find_ready_pod().name} --wait=false")


def kill_node(environment: Environment) -> None:
    """Kill the container of a worker; the cleanup starts it."""
    node = node_control.list_workers(environment.kube)[0]
    environment.print_command(f"docker kill {node}")
    environment.add_cleanup(node_control.kill_node(environment.kube, node))


def kill_api_server(environment: Environment) -> None:
    """Kill the API server; the kubelet restarts it."""
    environment.print_command("pkill -9 -x kube-apiserver")
    environment.add_cleanup(_stop_api_server(environment))


@contextmanager
def _stop_api_server(environment: Environment) -> Iterator[None]:
    """The cleanup waits for the controllers that lost their leases and were restarted."""
    try:
        node_control.kill_api_server(environment.kube)
        yield
    finally:
        environment.wait_until(
            "the cluster's own pods run",
            lambda: node_control.is_system_ready(environment.kube),
            node_control.KUBELET_BACK_OFF_TIMEOUT,
        )


def kill_leader(environment: Environment) -> None:
    """Send SIGKILL to the operator that leads."""
    leader = environment.find_leader()
    environment.print_command("kill -9 the leading operator")
    leader.kill()


def stop_metrics_server(environment: Environment) -> None:
    """Scale the metrics server to 0; the cleanup scales it up."""
    environment.add_cleanup(_stop_metrics_server(environment))


@contextmanager
def _stop_metrics_server(environment: Environment) -> Iterator[None]:
    command = "scale deployment/metrics-server -n kube-system --replicas"
    replicas = (environment.kube.get_path(_METRICS_SERVER_PATH) or {})["spec"]["replicas"]
    try:
        environment.context.run_kubectl(f"{command}=0")
        yield
    finally:
        environment.context.run_kubectl(f"{command}={max(1, replicas)}")
        environment.wait_until(
            "the autoscaler gets metrics",
            lambda: has_autoscaler_metrics(environment),
            METRICS_TIMEOUT,
        )


def has_autoscaler_metrics(environment: Environment) -> bool:
    """Return whether the autoscaler's ScalingActive condition is True."""
    path = f"/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers/{APP_NAME}"
    conditions = (environment.kube.get_path(path) or {})["status"]["conditions"]
    return ("ScalingActive", "True") in {(each["type"], each["status"]) for each in conditions}


def find_missing_containers(kube: KubeClient) -> str:
    """Return what is missing to kill processes of a node; empty if nothing."""
    if node_control.has_container_nodes(kube):
        return ""
    return "nodes that are containers on this machine (make cluster)"


def find_missing_worker(kube: KubeClient) -> str:
    """Return what is missing to kill a worker; empty if nothing."""
    if missing := find_missing_containers(kube):
        return missing
    return (
        "" if node_control.list_workers(kube) else "a worker beside the control plane (WORKERS=1)"
    )


def find_missing_metrics_server(kube: KubeClient) -> str:
    """Return what is missing to stop the metrics server; empty if nothing."""
    if kube.get_path(_METRICS_SERVER_PATH) is not None:
        return ""
    return "a Deployment metrics-server in kube-system"
