"""The faults, each a small entry: what the app is like, what is done, what healing must make of it.

Without healing the fault must last: else it would prove nothing. The times of ``spec.healing`` are
those that a user would write; the operator under drill multiplies them by ``site.SCALE``.
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
"""The app as it is, but it ends after ten seconds."""

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
"""A pod on each node, the control plane's too; when one is lost, all on the other.

Kubernetes' own patience with a lost node: the local cluster's is shorter.
"""


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """What must be seen with healing.

    Attributes:
        diagnosis: the illness that the status must name.
        remediations: what must be done, in this order.
        phase: the app's phase in the end.
        is_recovered: whether the app is served in full again.
        max_actions: at most so many actions, where one may have to be repeated.
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
        name: as ``FAULT=`` names it.
        title: for people.
        description: what is done, in a sentence.
        inject: does it.
        expected: what healing must make of it.
        timeout: seconds that the app may take to be served in full again.
        spec: what this app has beside ``site.SPEC``.
        healing: what it has beside ``site.HEALING``.
        desired_pods: how many it wants while the fault lasts.
        inject_repeatedly: is done again and again after the strike.
        second_fault: what is done once in the middle of healing, in words and in deed.
        operator_count: how many processes of the operator there are; one of them leads.
        find_missing_requirement: what the cluster lacks for this fault; empty when nothing.
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
        title="The autoscaler is blind",
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
"""Those that the whole cluster feels come last."""


def select_faults(names: Sequence[str]) -> tuple[Fault, ...]:
    """The faults that are asked for by name; all of them if none is.

    Raises:
        ShowError: a name is unknown; the message lists those that there are.
    """
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ScenarioError(
            f"there is no fault {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
