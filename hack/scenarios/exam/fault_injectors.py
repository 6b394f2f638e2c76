"""Injects faults of the running app, and faults of the whole cluster, which it restores.

A fault that reaches beyond the namespace is a context manager that is given to
``Environment.add_cleanup`` or ``Environment.break_cluster``. Nodes are killed as in the end-to-end
tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.exam.environment import (
    APP_NAME,
    METRICS_TIMEOUT,
    Environment,
)
from hack.testkit import node_control
from hack.testkit.kube_client import STRATEGIC_PATCH, KubeClient

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


def crash_pod(environment: Environment) -> None:
    """End the process of one pod."""
    pod = environment.find_ready_pod()
    environment.print_command(f"curl http://{pod.name}/crash")
    environment.request_from_pod(pod, "/crash")


def delete_one_pod(environment: Environment) -> None:
    """Delete a pod, as a user would."""
    environment.delete_pod(environment.find_ready_pod())


def make_one_pod_unready(environment: Environment) -> None:
    """Make one pod not ready; it is the pod whose readiness goes to and fro."""
    pod = environment.find_ready_pod()
    environment.facts["flapping"] = pod.name
    environment.request_from_pod(pod, "/not-ready")


def flap_readiness(environment: Environment) -> None:
    """Make that pod ready once its status is not ready, and not ready once it is ready."""
    for pod in environment.list_pods():
        if pod.name == environment.facts["flapping"]:
            environment.request_from_pod(pod, "/not-ready" if pod.is_ready else "/ready-again")


def fill_quota(environment: Environment) -> None:
    """Set a quota that leaves no room for a new pod, and delete a pod."""
    create_quota(environment, pods=str(len(environment.list_pods()) - 1))
    delete_one_pod(environment)


def create_quota(environment: Environment, **hard: str) -> None:
    """Create a ResourceQuota and wait until it is enforced."""
    kube = environment.kube
    environment.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "exam"},
            "spec": {"hard": hard},
        }
    )
    # The API server enforces it only after a controller has filled in its status.
    environment.wait_until(
        "the quota is in force",
        lambda: kube.get("ResourceQuota", kube.namespace, "exam")["status"]["hard"] == hard,
        20,
    )


def add_finalizer_and_delete(environment: Environment) -> None:
    """Delete a pod that a finalizer of somebody holds; the cleanup removes the finalizer."""
    environment.add_cleanup(_hold_pod(environment, environment.find_ready_pod().name))


@contextmanager
def _hold_pod(environment: Environment, pod: str) -> Iterator[None]:
    kube, finalizers = environment.kube, {"metadata": {"finalizers": ["example.com/hold"]}}
    kube.merge_patch("Pod", kube.namespace, pod, finalizers)
    environment.print_command(f"kubectl delete pod {pod}")
    kube.delete("Pod", kube.namespace, pod)
    try:
        yield
    finally:
        kube.merge_patch("Pod", kube.namespace, pod, {"metadata": {"finalizers": None}})


def partition_pod(environment: Environment) -> None:
    """Drop what the node sends to one pod; the cleanup lets it pass again."""
    pod = environment.find_ready_pod()
    found = environment.kube.get("Pod", environment.namespace, pod.name)
    environment.print_command(f"ip route replace blackhole {found['status']['podIP']}/32")
    environment.add_cleanup(_black_hole(found["spec"]["nodeName"], found["status"]["podIP"]))


@contextmanager
def _black_hole(node: str, address: str) -> Iterator[None]:
    node_control.run_on_node(node, 'ip route replace blackhole "$1/32"', address)
    try:
        yield
    finally:
        # The node's own way to the pod goes with the pod.
        node_control.run_on_node(node, 'ip route del blackhole "$1/32" || true', address)


def cordon_and_delete(environment: Environment) -> None:
    """Cordon every worker and delete a pod; the cleanup uncordons them."""
    environment.break_cluster(_cordon_workers(environment))
    delete_one_pod(environment)


@contextmanager
def _cordon_workers(environment: Environment) -> Iterator[None]:
    kube = environment.kube
    workers = node_control.list_workers(kube)
    try:
        for node in workers:
            environment.print_command(f"kubectl cordon {node}")
            kube.merge_patch("Node", None, node, {"spec": {"unschedulable": True}})
        yield
    finally:
        for node in workers:
            kube.merge_patch("Node", None, node, {"spec": {"unschedulable": None}})


def hang_on_sick_node(environment: Environment) -> None:
    """Report a problem of a worker, as node-problem-detector does, and let its pod hang."""
    worker = node_control.list_workers(environment.kube)[0]
    environment.break_cluster(_report_condition(environment, worker))
    for pod in environment.list_pods():
        if pod.node == worker and pod.is_ready:
            environment.request_from_pod(pod, "/hang")
            return
    raise ScenarioError(f"no pod of the app is ready on {worker}")


@contextmanager
def _report_condition(environment: Environment, node: str) -> Iterator[None]:
    kube = environment.kube

    def report(status: str) -> None:
        condition = {
            "type": "KernelDeadlock",
            "status": status,
            "reason": "DockerHung" if status == "True" else "KernelHasNoDeadlock",
            "message": "task containerd is blocked for more than 300 seconds",
        }
        kube.patch(
            "Node",
            None,
            node,
            {"status": {"conditions": [condition]}},
            form=STRATEGIC_PATCH,
            sub="status",
        )

    report("True")
    try:
        yield
    finally:
        report("False")


def stop_dns(environment: Environment) -> None:
    """Scale CoreDNS to 0; the cleanup scales it up."""
    environment.break_cluster(_scale_system_deployment(environment, "coredns"))


def kill_node(environment: Environment) -> None:
    """Kill the container of a worker; the cleanup starts it."""
    node = node_control.list_workers(environment.kube)[0]
    environment.print_command(f"docker kill {node}")
    environment.break_cluster(node_control.kill_node(environment.kube, node))


def kill_api_server(environment: Environment) -> None:
    """Kill the API server; the kubelet restarts it."""
    environment.print_command("pkill -9 -x kube-apiserver")
    environment.break_cluster(_stop_api_server(environment))


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
    environment.break_cluster(_stop_metrics_server(environment))


@contextmanager
def _stop_metrics_server(environment: Environment) -> Iterator[None]:
    with _scale_system_deployment(environment, "metrics-server"):
        yield
    environment.wait_until(
        "the autoscaler gets metrics",
        lambda: has_autoscaler_metrics(environment),
        METRICS_TIMEOUT,
    )


@contextmanager
def _scale_system_deployment(environment: Environment, name: str) -> Iterator[None]:
    """Have no pod of a Deployment of kube-system meanwhile, and wait until its pods are back."""
    kube = environment.kube
    found = kube.get("Deployment", "kube-system", name)
    replicas = max(1, int(found["spec"]["replicas"]))

    def scale(number: int) -> None:
        environment.print_command(
            f"kubectl -n kube-system scale deployment/{name} --replicas={number}"
        )
        kube.merge_patch("Deployment", "kube-system", name, {"spec": {"replicas": number}})

    scale(0)
    try:
        yield
    finally:
        scale(replicas)
        environment.wait_until(
            f"{name} runs again",
            lambda: (
                kube.get("Deployment", "kube-system", name)["status"].get("readyReplicas", 0)
                >= replicas
            ),
            120,
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
