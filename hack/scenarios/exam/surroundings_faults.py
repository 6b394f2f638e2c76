"""Rows 11 to 16, 21 and 31: configuration, volumes, nodes, quotas and admission."""

from typing import Final

from hack.scenarios.exam import fault_injectors, surroundings
from hack.scenarios.exam.edits import edit_container, edit_pods, update
from hack.scenarios.exam.fault import (
    CERTAIN,
    CRASH_TIME,
    HANG_TIME,
    LIKELY,
    RECREATE,
    Fault,
    Json,
    Way,
    find_hanging_rollout,
    rolled_back,
    stripped,
    told,
)

_NO_SECRET: Final = [{"secretRef": {"name": "no-such-secret"}}]
_NO_CLAIM: Final = [{"name": "data", "persistentVolumeClaim": {"claimName": "no-such-claim"}}]
_NO_CONFIG: Final = [{"name": "data", "configMap": {"name": "no-such-config"}}]
_DATA_MOUNT: Final = [{"name": "data", "mountPath": "/data"}]
_NO_NODE: Final = {"example.com/disk": "none-has-it"}
_BESIDE_NOBODY: Final[Json] = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": {"matchLabels": {"app": "no-such-app"}},
            }
        ]
    }
}
_DNS_PROBE: Final[Json] = {
    "exec": {
        "command": [
            "python",
            "-c",
            "import socket; socket.getaddrinfo('kubernetes.default.svc.cluster.local', 443)",
        ]
    },
    "periodSeconds": 3,
    "timeoutSeconds": 5,
}
_FAILING_UNSCHEDULABLE: Final = ("Unschedulable", "RolloutStalled")
_REFUSED: Final = ("PodsRefused", "QuotaExceeded", "RolloutStalled")


def request_resources(cpu: str, **more: Json) -> Json:
    """Return resources with a request of CPU."""
    return {"requests": {"cpu": cpu, "memory": "24Mi"}, **more}


SURROUNDINGS_FAULTS: Final = (
    Fault(
        number=11,
        way=Way.SPEC,
        title="Variables from a Secret that does not exist",
        inject=update(envFrom=_NO_SECRET),
        expected=rolled_back("ConfigError"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
        is_drill=True,
    ),
    Fault(
        number=11,
        way=Way.SPEC,
        variant="key",
        title="A variable from a key that the ConfigMap does not have",
        prepare=surroundings.create_config,
        inject=update(
            env=[
                {
                    "name": "MESSAGE",
                    "valueFrom": {
                        "configMapKeyRef": {"name": surroundings.CONFIG_NAME, "key": "no-such-key"}
                    },
                }
            ]
        ),
        expected=rolled_back("ConfigError"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
    ),
    Fault(
        number=11,
        way=Way.CHILD,
        title="kubectl set env from a Secret that does not exist",
        inject=edit_container(envFrom=_NO_SECRET),
        expected=stripped("ConfigError"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
    ),
    Fault(
        number=11,
        way=Way.CLUSTER,
        title="The ConfigMap of a proved version is deleted, and then a pod",
        prepare=surroundings.create_config,
        inject=surroundings.delete_config,
        expected=told("ConfigError"),
        healing_seconds=60,
        cluster_seconds=20,
    ),
    Fault(
        number=12,
        way=Way.CLUSTER,
        title="A value of a ConfigMap becomes one with which the app cannot start",
        prepare=surroundings.create_config,
        inject=surroundings.break_config,
        expected=rolled_back("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=13,
        way=Way.SPEC,
        title="A volume of a PersistentVolumeClaim that does not exist",
        inject=update(volumes=_NO_CLAIM, volumeMounts=_DATA_MOUNT),
        expected=rolled_back(*_FAILING_UNSCHEDULABLE, "VolumeFailing"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=13,
        way=Way.CHILD,
        title="A volume of a claim that does not exist, written into the Deployment",
        inject=edit_pods(volumes=_NO_CLAIM),
        expected=stripped(*_FAILING_UNSCHEDULABLE, "VolumeFailing"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=13,
        way=Way.SPEC,
        variant="mount",
        title="A volume of a ConfigMap that does not exist: FailedMount",
        inject=update(volumes=_NO_CONFIG, volumeMounts=_DATA_MOUNT),
        expected=rolled_back("VolumeFailing", "StartFailing", "ConfigError"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=14,
        way=Way.SPEC,
        title="A node selector that no node has",
        inject=update(nodeSelector=_NO_NODE),
        expected=rolled_back(*_FAILING_UNSCHEDULABLE),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=14,
        way=Way.CHILD,
        title="A node selector that no node has, written into the Deployment",
        inject=edit_pods(nodeSelector=_NO_NODE),
        expected=stripped(*_FAILING_UNSCHEDULABLE),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=14,
        way=Way.SPEC,
        variant="request",
        title="A request of CPU that no node has",
        inject=update(resources=request_resources("900")),
        expected=rolled_back(*_FAILING_UNSCHEDULABLE),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=14,
        way=Way.SPEC,
        variant="affinity",
        title="An affinity to pods that nobody runs",
        inject=update(affinity=_BESIDE_NOBODY),
        expected=rolled_back(*_FAILING_UNSCHEDULABLE),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=14,
        way=Way.CLUSTER,
        title="Every worker is cordoned, and a pod is deleted",
        inject=fault_injectors.cordon_and_delete,
        expected=told("Unschedulable", undone=True),
        healing_seconds=60,
        cluster_seconds=20,
        is_alone=True,
        find_missing_requirement=fault_injectors.find_missing_worker,
    ),
    Fault(
        number=15,
        way=Way.SPEC,
        title="A request that the quota refuses, while the version before it fits",
        prepare=lambda environment: surroundings.limit_cpu(environment, "500m"),
        inject=update(resources=request_resources("600m")),
        expected=rolled_back(*_REFUSED, check=find_hanging_rollout),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=15,
        way=Way.SPEC,
        variant="limitrange",
        title="A limit that the LimitRange refuses",
        prepare=surroundings.limit_containers,
        inject=update(resources=request_resources("20m", limits={"cpu": "800m"})),
        expected=rolled_back(*_REFUSED, check=find_hanging_rollout),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=15,
        way=Way.SPEC,
        variant="podsecurity",
        title="A privileged container that PodSecurity refuses",
        prepare=surroundings.enforce_pod_security,
        inject=update(securityContext={"privileged": True}),
        expected=rolled_back(*_REFUSED, check=find_hanging_rollout),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=15,
        way=Way.SPEC,
        variant="recreate",
        title="The same with the strategy Recreate: no pod is left",
        prepare=surroundings.enforce_pod_security,
        inject=update(securityContext={"privileged": True}),
        expected=rolled_back(*_REFUSED, is_served=False),
        healing_seconds=60,
        cluster_seconds=30,
        spec=RECREATE,
    ),
    Fault(
        number=15,
        way=Way.CLUSTER,
        title="A quota is lowered below what runs, and a pod is deleted",
        inject=fault_injectors.fill_quota,
        expected=told("QuotaExceeded"),
        healing_seconds=60,
        cluster_seconds=20,
        is_drill=True,
    ),
    Fault(
        number=16,
        way=Way.CLUSTER,
        title="The admission webhook of pods is down, and a pod is deleted",
        inject=surroundings.break_webhook,
        expected=told("PodsRefused"),
        healing_seconds=60,
        cluster_seconds=20,
    ),
    Fault(
        number=16,
        way=Way.CLUSTER,
        variant="proxy",
        title="Admission adds a proxy that crashes to the pods of a good new version",
        inject=surroundings.inject_crashing_proxy,
        expected=told("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
        find_missing_requirement=surroundings.find_missing_mutating_policies,
    ),
    Fault(
        number=21,
        way=Way.CHILD,
        title="A dnsPolicy that knows no Service, written into the Deployment",
        inject=edit_pods(dnsPolicy="Default"),
        expected=stripped("NotReadyTooLong", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
        spec={"probes": {"readiness": _DNS_PROBE}},
    ),
    Fault(
        number=21,
        way=Way.CLUSTER,
        title="CoreDNS is down",
        inject=fault_injectors.stop_dns,
        expected=told("DependencyDown", "NotReadyTooLong", undone=True),
        healing_seconds=300,
        cluster_seconds=40,
        spec={"probes": {"readiness": _DNS_PROBE}},
        is_alone=True,
    ),
    Fault(
        number=31,
        way=Way.SPEC,
        title="A ServiceAccount that does not exist",
        inject=update(serviceAccountName="no-such-account"),
        expected=rolled_back(*_REFUSED, check=find_hanging_rollout),
        healing_seconds=60,
        cluster_seconds=30,
    ),
    Fault(
        number=31,
        way=Way.CLUSTER,
        title="The ServiceAccount of a proved version is deleted, and then a pod",
        prepare=surroundings.create_account,
        inject=surroundings.delete_account,
        expected=told("PodsRefused"),
        healing_seconds=60,
        cluster_seconds=20,
    ),
)
"""The rows of this module."""
