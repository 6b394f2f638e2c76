"""The faults: the app, what is injected, and what is expected with healing.

Without healing the app must not recover, else the fault proves nothing. The times in
``spec.healing`` are those that a user would write; the operator multiplies them by HEALING_SCALE.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hack.scenarios.chaos import fault_injectors
from hack.scenarios.chaos.environment import APP_NAME, Environment
from hack.scenarios.common.errors import ScenarioError
from hack.testkit.kube_client import KubeClient

Json = dict[str, Any]
Injector = Callable[[Environment], None]

_DELAYED_CRASH: Final = (
    "import os, runpy, threading\n"
    "timer = threading.Timer(10, os._exit, [1])\n"
    "timer.daemon = True\n"
    "timer.start()\n"
    "runpy.run_module('app', run_name='__main__', alter_sys=True)\n"
)
"""The demo app, which exits with 1 after ten seconds."""

_SPREAD_OVER_NODES: Final[Json] = {
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
        {
            "key": "node-role.kubernetes.io/control-plane",
            "operator": "Exists",
            "effect": "NoSchedule",
        },
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


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """What is expected with healing.

    Attributes:
        diagnosis: a diagnosis that the status must show.
        remediations: the executed remediations, in order.
        phase: the phase at the end.
        is_recovered: whether the app must be fully serving again.
        max_actions: maximum of executed actions, where a remediation may be repeated.
    """

    diagnosis: str
    remediations: tuple[str, ...]
    phase: str = "Ready"
    is_recovered: bool = True
    max_actions: int = 1


ROLLBACK: Final = ("Rollback",)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        name: the name for ``FAULT=``.
        title: the title for people.
        description: what is injected, in one sentence.
        inject: injects the fault.
        expected: what is expected with healing.
        timeout: seconds until the app must be fully serving again.
        spec: additions to APP_SPEC; None removes a field.
        healing: additions to HEALING_SPEC.
        desired_pods: number of wanted pods during the fault.
        inject_repeatedly: is called again and again after ``inject``; None if not needed.
        second_fault: description and injector of a fault during healing; None if there is none.
        operator_count: number of operator processes.
        find_missing_requirement: returns what the cluster lacks; None if it needs nothing.
    """

    name: str
    title: str
    description: str
    inject: Injector
    expected: ExpectedResult
    timeout: int
    spec: Json = field(default_factory=dict)
    healing: Json = field(default_factory=dict)
    desired_pods: int = 2
    inject_repeatedly: Injector | None = None
    second_fault: tuple[str, Injector] | None = None
    operator_count: int = 1
    find_missing_requirement: Callable[[KubeClient], str] | None = None


FAULTS: Final = (
    Fault(
        name="bad-image",
        title="An update to an image that does not exist",
        description="The spec asks for a tag that nobody has pushed.",
        inject=lambda site: site.update_spec(image=fault_injectors.MISSING_IMAGE),
        expected=ExpectedResult("ImagePullFailing", ROLLBACK, "Degraded"),
        timeout=75,
    ),
    Fault(
        name="crashing-version",
        title="An update to a version that crashes",
        description="The new version ends at once; the rollout is Recreate, so no old pod is left.",
        inject=lambda site: site.update_spec(
            command=["python", "-c", "raise SystemExit('no database')"]
        ),
        expected=ExpectedResult("CrashLooping", ROLLBACK, "Degraded"),
        timeout=120,
        spec={"rollout": {"strategy": {"type": "Recreate"}}},
    ),
    Fault(
        name="late-crash",
        title="An update to a version that crashes after a while",
        description="The new version is Ready and replaces the old one; each pod ends after ten"
        " seconds.",
        inject=lambda site: site.update_spec(command=["python", "-c", _DELAYED_CRASH]),
        expected=ExpectedResult("CrashLooping", ROLLBACK, "Degraded"),
        timeout=180,
    ),
    Fault(
        name="leak",
        title="An app that needs more memory than it may have",
        description="Each pod is made to hold 120 MiB more; the limit is 128 MiB, and at most 256.",
        inject=fault_injectors.leak_memory,
        inject_repeatedly=fault_injectors.leak_memory,
        expected=ExpectedResult("OOMKilled", ("RaiseMemory",), "Ready", max_actions=2),
        timeout=150,
        spec={"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}}},
        healing={"memory": {"max": "256Mi"}},
    ),
    Fault(
        name="hang",
        title="One of three pods hangs",
        description="One pod answers nothing any more; there is no liveness probe that would kill"
        " it.",
        inject=fault_injectors.hang_pod,
        expected=ExpectedResult("NotReadyTooLong", ("ReplacePod",)),
        timeout=75,
        spec={
            "replicas": 3,
            "probes": {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}},
        },
        healing={"replacePod": {"after": "1m"}},
        desired_pods=3,
    ),
    Fault(
        name="missing-secret",
        title="An update that needs a Secret which is not there",
        description="The spec takes variables from a Secret that nobody has made.",
        inject=lambda site: site.update_spec(envFrom=[{"secretRef": {"name": "no-such-secret"}}]),
        expected=ExpectedResult("ConfigError", ROLLBACK, "Degraded"),
        timeout=75,
    ),
    Fault(
        name="quota",
        title="A quota that lets no pod be made",
        description="The quota is lowered to what is there, less one; then a pod is deleted.",
        inject=fault_injectors.fill_quota,
        expected=ExpectedResult("QuotaExceeded", (), "Degraded", is_recovered=False),
        timeout=45,
    ),
    Fault(
        name="leader-killed",
        title="The operator's leader dies in the middle of healing",
        description="An update to an image that does not exist; then the leading one of two"
        " operators is killed.",
        inject=lambda site: site.update_spec(image=fault_injectors.MISSING_IMAGE),
        second_fault=("the leading operator is killed", fault_injectors.kill_leader),
        expected=ExpectedResult("ImagePullFailing", ROLLBACK, "Degraded"),
        timeout=90,
        operator_count=2,
    ),
    Fault(
        name="metrics-stopped",
        title="The autoscaler has no metrics",
        description="The metrics server is stopped; while it is away, there are to be three pods.",
        inject=fault_injectors.stop_metrics_server,
        expected=ExpectedResult("MetricsUnavailable", ("ScalingFallback",)),
        timeout=120,
        spec={
            "replicas": None,
            "autoscaling": {
                "minReplicas": 1,
                "maxReplicas": 5,
                "targetCPUUtilizationPercentage": 80,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
            },
            "resources": {"requests": {"cpu": "100m"}},
        },
        # Longer than a new app waits for its first metrics, also in a fifth of the time.
        healing={"scalingFallback": {"replicas": 3, "after": "3m"}},
        desired_pods=3,
        find_missing_requirement=fault_injectors.find_missing_metrics_server,
    ),
    Fault(
        name="api-outage",
        title="The API server dies in the middle of healing",
        description="An update to an image that does not exist; then the API server is killed.",
        inject=lambda site: site.update_spec(image=fault_injectors.MISSING_IMAGE),
        second_fault=("the API server is killed", fault_injectors.kill_api_server),
        expected=ExpectedResult("ImagePullFailing", ROLLBACK, "Degraded"),
        timeout=180,
        find_missing_requirement=fault_injectors.find_missing_containers,
    ),
    Fault(
        name="node-killed",
        title="A node is lost",
        description="The container that is the worker is killed, as by a power failure.",
        inject=fault_injectors.kill_node,
        expected=ExpectedResult("NodeLost", ("Failover",)),
        timeout=180,
        spec=_SPREAD_OVER_NODES,
        find_missing_requirement=fault_injectors.find_missing_worker,
    ),
)
"""All faults; those that affect the whole cluster come last."""


def select_faults(names: Sequence[str]) -> tuple[Fault, ...]:
    """Return the named faults, or all of them without a name.

    Raises:
        ScenarioError: a name is unknown; the message lists the known names.
    """
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ScenarioError(
            f"there is no fault {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
