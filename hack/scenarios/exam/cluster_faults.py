"""Rows 23 to 36: pods, nodes, networks, autoscaling, dependencies, and the operator itself."""

from typing import Final

from hack.scenarios.exam import fault_injectors, surroundings
from hack.scenarios.exam.edits import update
from hack.scenarios.exam.environment import APP_NAME
from hack.scenarios.exam.fault import (
    CERTAIN,
    Expected,
    Fault,
    Json,
    Way,
    rolled_back,
    told,
)
from hack.testkit import stub_registry

_READINESS: Final[Json] = {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}}
_CONTROL_PLANE_TOLERATION: Final[Json] = {
    "key": "node-role.kubernetes.io/control-plane",
    "operator": "Exists",
    "effect": "NoSchedule",
}
_SPREAD: Final[Json] = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"selfhealing.dev/app": APP_NAME}},
        }
    ],
    "tolerations": [
        _CONTROL_PLANE_TOLERATION,
        *(
            {
                "key": f"node.kubernetes.io/{taint}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for taint in ("unreachable", "not-ready")
        ),
    ],
}
"""A pod on each node, the control plane included; both on one node when the other is lost.

The tolerations have Kubernetes' default of 300 s; the local cluster's default is shorter."""

_AUTOSCALING: Final[Json] = {
    "replicas": None,
    "autoscaling": {
        "minReplicas": 1,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 80,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
    },
    "resources": {"requests": {"cpu": "100m"}},
}
_FILL_VOLUME: Final = (
    "import pathlib, runpy\n"
    "pathlib.Path('/cache/data').write_bytes(b'x' * (24 << 20))\n"
    "runpy.run_module('app', run_name='__main__', alter_sys=True)\n"
)
_HANGS: Final = Expected(
    ("NotReadyTooLong",), ("Pod",), remediations=("ReplacePod",), needs_action=True
)
_EVICTED_AGAIN_AND_AGAIN: Final = Expected(
    ("PodsFailed", "RolloutStalled"),
    ("NewVersion",),
    remediations=("Rollback",),
    needs_action=True,
    recovers_unhealed=True,
    is_served=False,
)
"""Between two evictions every pod is ready, for a minute or two: the kubelet measures volumes once
a minute (volumeStatsAggPeriod)."""

_KUBERNETES_HEALS: Final = Expected(recovers_unhealed=True, is_served=False)


CLUSTER_FAULTS: Final = (
    Fault(
        number=23,
        way=Way.CLUSTER,
        title="The network to one of three pods is cut",
        inject=fault_injectors.partition_pod,
        expected=_HANGS,
        healing_seconds=60,
        cluster_seconds=30,
        spec={"replicas": 3, "probes": _READINESS},
        healing={"replacePod": {"after": "1m"}},
        desired_pods=3,
        find_missing_requirement=fault_injectors.find_missing_containers,
    ),
    Fault(
        number=24,
        way=Way.SPEC,
        title="A version that writes more than its volume may hold, and is evicted",
        inject=update(
            command=["python", "-c", _FILL_VOLUME],
            volumes=[{"name": "cache", "emptyDir": {"sizeLimit": "4Mi"}}],
            volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
        ),
        expected=_EVICTED_AGAIN_AND_AGAIN,
        healing_seconds=CERTAIN,
        cluster_seconds=150,
    ),
    Fault(
        number=25,
        way=Way.CLUSTER,
        title="A pod is deleted",
        inject=fault_injectors.delete_one_pod,
        expected=_KUBERNETES_HEALS,
        healing_seconds=0,
        cluster_seconds=20,
    ),
    Fault(
        number=25,
        way=Way.CLUSTER,
        variant="container",
        title="The process of a container is killed",
        inject=fault_injectors.crash_pod,
        expected=_KUBERNETES_HEALS,
        healing_seconds=0,
        cluster_seconds=25,
    ),
    Fault(
        number=25,
        way=Way.CLUSTER,
        variant="hang",
        title="One of three pods answers nothing any more, and has no liveness probe",
        inject=fault_injectors.hang_pod,
        expected=_HANGS,
        healing_seconds=60,
        cluster_seconds=30,
        spec={"replicas": 3, "probes": _READINESS},
        healing={"replacePod": {"after": "1m"}},
        desired_pods=3,
        is_drill=True,
    ),
    Fault(
        number=28,
        way=Way.CLUSTER,
        title="A pod hangs, and somebody's PodDisruptionBudget allows no eviction",
        prepare=surroundings.forbid_evictions,
        inject=fault_injectors.hang_pod,
        expected=told("NotReadyTooLong", causes=("Pod",)),
        healing_seconds=60,
        cluster_seconds=20,
        spec={"replicas": 3, "probes": _READINESS},
        healing={"replacePod": {"after": "1m"}},
        desired_pods=3,
    ),
    Fault(
        number=30,
        way=Way.CLUSTER,
        title="A finalizer holds a pod that is deleted",
        inject=fault_injectors.add_finalizer_and_delete,
        expected=told("StuckTerminating", undone=True),
        healing_seconds=0,
        cluster_seconds=85,
    ),
    Fault(
        number=32,
        way=Way.CLUSTER,
        title="The database is away, and no pod is ready",
        prepare=surroundings.start_database,
        inject=surroundings.stop_database,
        expected=told("DependencyDown", undone=True),
        healing_seconds=300,
        cluster_seconds=20,
    ),
    Fault(
        number=32,
        way=Way.CLUSTER,
        variant="crash",
        title="The database is away, and every pod is killed by its liveness probe",
        prepare=surroundings.start_vital_database,
        inject=surroundings.stop_database,
        expected=told("DependencyDown", "LivenessKilled", undone=True),
        healing_seconds=60,
        cluster_seconds=90,
    ),
    Fault(
        number=32,
        way=Way.SPEC,
        title="The database is away while a good version is rolled out",
        prepare=surroundings.start_database,
        inject=surroundings.stop_database_and_update,
        expected=told("DependencyDown", "NotReadyTooLong", "RolloutStalled", undone=True),
        healing_seconds=300,
        cluster_seconds=20,
    ),
    Fault(
        number=36,
        way=Way.CLUSTER,
        variant="leader",
        title="The operator's leader dies in the middle of a rollback",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.MISSING),
        second_fault=("the leading operator is killed", fault_injectors.kill_leader),
        expected=rolled_back("ImagePullFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=35,
        operator_count=2,
        is_drill=True,
    ),
    Fault(
        number=29,
        way=Way.CLUSTER,
        title="The metrics server is stopped",
        inject=fault_injectors.stop_metrics_server,
        expected=Expected(
            ("MetricsUnavailable",),
            ("Environment",),
            remediations=("ScalingFallback",),
            needs_action=True,
            recovers_unhealed=True,
        ),
        healing_seconds=180,
        cluster_seconds=60,
        spec=_AUTOSCALING,
        # Longer than a new app waits for its first metrics, also in a fifth of the time.
        healing={"scalingFallback": {"replicas": 3, "after": "3m"}},
        desired_pods=3,
        is_alone=True,
        is_drill=True,
        find_missing_requirement=fault_injectors.find_missing_metrics_server,
    ),
    Fault(
        number=27,
        way=Way.CLUSTER,
        title="A node reports a problem, and the pod on it hangs",
        inject=fault_injectors.hang_on_sick_node,
        expected=Expected(
            ("NotReadyTooLong",),
            ("Node",),
            remediations=("AvoidNode", "ReplacePod"),
            needs_action=True,
        ),
        healing_seconds=60,
        cluster_seconds=40,
        spec={**_SPREAD, "probes": _READINESS},
        healing={"replacePod": {"after": "1m"}},
        is_alone=True,
        find_missing_requirement=fault_injectors.find_missing_worker,
    ),
    Fault(
        number=36,
        way=Way.CLUSTER,
        variant="api",
        title="The API server dies in the middle of a rollback",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.MISSING),
        second_fault=("the API server is killed", fault_injectors.kill_api_server),
        expected=rolled_back("ImagePullFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=100,
        is_alone=True,
        is_drill=True,
        find_missing_requirement=fault_injectors.find_missing_containers,
    ),
    Fault(
        number=26,
        way=Way.CLUSTER,
        title="A node is lost, as by a power failure",
        inject=fault_injectors.kill_node,
        expected=Expected(
            ("NodeLost",),
            ("Node",),
            remediations=("Failover",),
            needs_action=True,
            is_served=False,
        ),
        healing_seconds=60,
        cluster_seconds=60,
        spec=_SPREAD,
        is_alone=True,
        is_drill=True,
        find_missing_requirement=fault_injectors.find_missing_worker,
    ),
)
"""The rows of this module; those that disturb the whole cluster come last."""
