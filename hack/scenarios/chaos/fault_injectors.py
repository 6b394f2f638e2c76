"""The hands of a drill: what is broken on purpose, and how it is put right again.

What is broken outside of the drill's own namespace is owed (``site.owe``) and is put right however
the drill ends. Nodes are hit as the end-to-end tests hit them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hack.scenarios.chaos.environment import APP, IMAGE, METRICS_LIMIT, Site, until
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube
from hack.testkit import node_control
from hack.testkit.kube_client import Kube as Cluster

NO_IMAGE: Final = f"{IMAGE.partition(':')[0]}:no-such-tag"

_LEAK = "/leak?mib=120&rate=40"
_METRICS = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"


def leak(site: Site) -> None:
    """Have every pod that is ready take more memory; one that has it already takes no more."""
    for pod in site.pods():
        if pod.is_ready:
            site.ask(pod, _LEAK)


def hang_one(site: Site) -> None:
    """Have one pod hang."""
    pod = site.ready_pod()
    site.screen.typed(f"curl http://{pod.name}/hang", "")
    if not site.ask(pod, "/hang"):
        raise ShowError(f"{pod.name} does not answer, so it cannot be told to hang")


def fill_quota(site: Site) -> None:
    """Leave no room for the pod that is deleted."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full"},
        "spec": {"hard": {"pods": str(len(site.pods()) - 1)}},
    }
    site.kubectl("create -f -", stdin=json.dumps(quota))
    path = "/api/v1/namespaces/{ns}/resourcequotas/full"
    # The API server enforces it only after a controller has filled in its status.
    until("the quota is in force", lambda: (site.kube.read(path) or {})["status"]["hard"], 20)
    site.kubectl(f"delete pod {site.ready_pod().name} --wait=false")


def kill_node(site: Site) -> None:
    """Kill a worker; it is started again in the end."""
    cluster = Cluster()
    node = node_control.workers(cluster)[0]
    site.screen.typed(f"docker kill {node}", "")
    site.owe(node_control.dead(cluster, node))


def kill_api_server(site: Site) -> None:
    """Kill the API server; the kubelet starts it again."""
    site.screen.typed("pkill -9 -x kube-apiserver", "")
    site.owe(_without_api_server(Cluster()))


@contextmanager
def _without_api_server(cluster: Cluster) -> Iterator[None]:
    """Controllers that lose their leases meanwhile end, and are started after a while."""
    try:
        node_control.kill_api_server(cluster)
        yield
    finally:
        until(
            "the cluster's own pods run",
            lambda: node_control.system_runs(cluster),
            node_control.BACK_OFF,
        )


def kill_leader(site: Site) -> None:
    """Kill the operator that leads, as a power cut would."""
    leader = site.leader()
    site.screen.typed("kill -9 the leading operator", "")
    leader.kill()


def stop_metrics(site: Site) -> None:
    """Stop the metrics server."""
    site.owe(_without_metrics(site))


@contextmanager
def _without_metrics(site: Site) -> Iterator[None]:
    order = "scale deployment/metrics-server -n kube-system --replicas"
    wanted = (site.kube.read(_METRICS) or {})["spec"]["replicas"]
    try:
        site.kubectl(f"{order}=0")
        yield
    finally:
        site.kubectl(f"{order}={max(1, wanted)}")
        until("the autoscaler gets metrics", lambda: scales(site), METRICS_LIMIT)


def scales(site: Site) -> bool:
    """Whether the autoscaler says that it gets metrics."""
    path = f"/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers/{APP}"
    conditions = (site.kube.read(path) or {})["status"]["conditions"]
    return ("ScalingActive", "True") in {(each["type"], each["status"]) for each in conditions}


def lacks_containers(kube: Kube) -> str:  # noqa: ARG001 - as every need
    """What is missing to hit a node's processes."""
    if node_control.containers(Cluster()):
        return ""
    return "nodes that are containers on this machine (make cluster)"


def lacks_worker(kube: Kube) -> str:
    """What is missing to lose a node."""
    if missing := lacks_containers(kube):
        return missing
    return (
        "" if node_control.workers(Cluster()) else "a worker beside the control plane (WORKERS=1)"
    )


def lacks_metrics(kube: Kube) -> str:
    """What is missing to stop the metrics."""
    if kube.read(_METRICS) is not None:
        return ""
    return "a Deployment metrics-server in kube-system"
