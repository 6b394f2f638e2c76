"""What the API server and its admission do with requests about pods."""

from typing import Final

import orjson

from hack.worlds import raw
from hack.worlds.cluster import Cluster
from hack.worlds.kubelet import Kubelet
from hack.worlds.model import Json, SimPod, memory_limit, parse_memory

GRACE: Final = 30.0


class Requests:
    """Deletions, evictions and the admission of pods."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet) -> None:
        self._cluster = cluster
        self._kubelet = kubelet

    def delete_pod(self, pod: SimPod, who: str, *, is_forced: bool = False) -> None:
        """Delete a pod; it stops within its grace period."""
        if pod.deleted_at is not None and not is_forced:
            return
        self._cluster.note_removal(pod, who)
        grace = float(pod.spec.get("terminationGracePeriodSeconds", GRACE))
        pod.deleted_at = self._cluster.now + grace
        self._cluster.tell(who, f"deletes {pod.name}{' (ready)' if pod.ready else ''}")
        self._cluster.touch_pod(pod)
        if is_forced:
            self._kubelet.remove(pod)
        else:
            self._kubelet.stop_pod(pod)

    def can_evict(self, pod: SimPod) -> bool:
        """Whether the PodDisruptionBudget allows an eviction."""
        budget = self._cluster.children.get("PodDisruptionBudget")
        if budget is None or not pod.ready:
            return True
        return int(budget.status.get("disruptionsAllowed", 0)) > 0

    def mutate(self, template: Json) -> Json:
        """Return a pod template as the webhooks of the cluster leave it."""
        proxy = self._cluster.laws.injected_proxy
        if not proxy:
            return template
        copy: Json = orjson.loads(orjson.dumps(template))
        copy["spec"]["containers"].append({"name": "istio-proxy", "image": proxy})
        return copy

    def find_refusal(self, template: Json, template_hash: str) -> str:
        """Return why the API server refuses a pod of a template now; empty if it does not."""
        laws = self._cluster.laws
        name = f"{raw.APP}-{template_hash}-{'x' * 5}"
        if laws.webhook_error:
            return laws.webhook_error
        if laws.enforces_baseline:
            for container in template["spec"]["containers"]:
                if (container.get("securityContext") or {}).get("privileged"):
                    return (
                        f'pods "{name}" is forbidden: violates PodSecurity "baseline:latest": '
                        f'privileged (container "{container["name"]}" must not set '
                        "securityContext.privileged=true)"
                    )
        if excess := self.find_excess(template["spec"]["containers"]):
            return f'pods "{name}" is forbidden: {excess}'
        if laws.quota_memory is not None:
            used = sum(
                requested_memory(pod.spec)
                for pod in self._cluster.pods.values()
                if pod.phase not in {"Failed", "Succeeded"}
            )
            asked = requested_memory(template["spec"])
            if used + asked > laws.quota_memory:
                return (
                    f'pods "{name}" is forbidden: exceeded quota: compute, requested: '
                    f"requests.memory={asked}Mi, used: requests.memory={used}Mi, limited: "
                    f"requests.memory={laws.quota_memory}Mi"
                )
        return ""

    def find_excess(self, containers: list[Json]) -> str:
        """Return which memory limit is above that of the LimitRange; empty if none is."""
        most = self._cluster.laws.max_memory
        for container in containers:
            if most is not None and memory_limit(container) > most:
                limit = container["resources"]["limits"]["memory"]
                return f"maximum memory usage per Container is {most}Mi, but limit is {limit}"
        return ""


def requested_memory(spec: Json) -> int:
    """Return the MiB that the containers of a pod request."""
    total = 0
    for container in spec["containers"]:
        resources = container.get("resources") or {}
        requests = resources.get("requests") or resources.get("limits") or {}
        total += parse_memory(requests.get("memory"))
    return total
