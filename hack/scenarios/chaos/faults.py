"""The faults, each a small entry: what the app is like, what is done, what healing must make of it.

Without healing the fault must last: else it would prove nothing. The times of ``spec.healing`` are
those that a user would write; the operator under drill multiplies them by ``site.SCALE``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hack.scenarios.chaos import fault_injectors
from hack.scenarios.chaos.environment import APP, Site
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube

Json = dict[str, Any]
Deed = Callable[[Site], None]

_LATE: Final = (
    "import os, runpy, threading\n"
    "timer = threading.Timer(10, os._exit, [1])\n"
    "timer.daemon = True\n"
    "timer.start()\n"
    "runpy.run_module('app', run_name='__main__', alter_sys=True)\n"
)
"""The app as it is, but it ends after ten seconds."""

_ANYWHERE: Final[Json] = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"selfhealing.dev/app": APP}},
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
class Expected:
    """What must be seen with healing.

    Attributes:
        diagnosis: the illness that the status must name.
        remedies: what must be done, in this order.
        phase: the app's phase in the end.
        served: whether the app is served in full again.
        most: at most so many actions, where one may have to be repeated.
    """

    diagnosis: str
    remedies: tuple[str, ...]
    phase: str = "Ready"
    served: bool = True
    most: int = 1


BACK: Final = ("Rollback",)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        name: as ``FAULT=`` names it.
        title: for people.
        told: what is done, in a sentence.
        strike: does it.
        expected: what healing must make of it.
        limit: seconds that the app may take to be served in full again.
        spec: what this app has beside ``site.SPEC``.
        healing: what it has beside ``site.HEALING``.
        pods: how many it wants while the fault lasts.
        steady: is done again and again after the strike.
        later: what is done once in the middle of healing, in words and in deed.
        operators: how many processes of the operator there are; one of them leads.
        lacks: what the cluster lacks for this fault; empty when nothing.
    """

    name: str
    title: str
    told: str
    strike: Deed
    expected: Expected
    limit: int
    spec: Json = field(default_factory=dict)
    healing: Json = field(default_factory=dict)
    pods: int = 2
    steady: Deed | None = None
    later: tuple[str, Deed] | None = None
    operators: int = 1
    lacks: Callable[[Kube], str] | None = None


FAULTS: Final = (
    Fault(
        name="bad-image",
        title="An update to an image that does not exist",
        told="The spec asks for a tag that nobody has pushed.",
        strike=lambda site: site.update(image=fault_injectors.NO_IMAGE),
        expected=Expected("ImagePullFailing", BACK, "Degraded"),
        limit=75,
    ),
    Fault(
        name="crashing-version",
        title="An update to a version that crashes",
        told="The new version ends at once; the rollout is Recreate, so no old pod is left.",
        strike=lambda site: site.update(
            command=["python", "-c", "raise SystemExit('no database')"]
        ),
        expected=Expected("CrashLooping", BACK, "Degraded"),
        limit=120,
        spec={"rollout": {"strategy": {"type": "Recreate"}}},
    ),
    Fault(
        name="late-crash",
        title="An update to a version that crashes after a while",
        told="The new version is Ready and replaces the old one; each pod ends after ten seconds.",
        strike=lambda site: site.update(command=["python", "-c", _LATE]),
        expected=Expected("CrashLooping", BACK, "Degraded"),
        limit=180,
    ),
    Fault(
        name="leak",
        title="An app that needs more memory than it may have",
        told="Each pod is made to hold 120 MiB more; the limit is 128 MiB, and at most 256.",
        strike=fault_injectors.leak,
        steady=fault_injectors.leak,
        expected=Expected("OOMKilled", ("RaiseMemory",), "Ready", most=2),
        limit=150,
        spec={"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}}},
        healing={"memory": {"max": "256Mi"}},
    ),
    Fault(
        name="hang",
        title="One of three pods hangs",
        told="One pod answers nothing any more; there is no liveness probe that would kill it.",
        strike=fault_injectors.hang_one,
        expected=Expected("NotReadyTooLong", ("Recycle",)),
        limit=75,
        spec={
            "replicas": 3,
            "probes": {"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1}},
        },
        healing={"recycle": {"after": "1m"}},
        pods=3,
    ),
    Fault(
        name="missing-secret",
        title="An update that needs a Secret which is not there",
        told="The spec takes variables from a Secret that nobody has made.",
        strike=lambda site: site.update(envFrom=[{"secretRef": {"name": "no-such-secret"}}]),
        expected=Expected("ConfigError", BACK, "Degraded"),
        limit=75,
    ),
    Fault(
        name="quota",
        title="A quota that lets no pod be made",
        told="The quota is lowered to what is there, less one; then a pod is deleted.",
        strike=fault_injectors.fill_quota,
        expected=Expected("QuotaExceeded", (), "Degraded", served=False),
        limit=45,
    ),
    Fault(
        name="leader-killed",
        title="The operator's leader dies in the middle of healing",
        told="An update to an image that does not exist; then the leading one of two operators"
        " is killed.",
        strike=lambda site: site.update(image=fault_injectors.NO_IMAGE),
        later=("the leading operator is killed", fault_injectors.kill_leader),
        expected=Expected("ImagePullFailing", BACK, "Degraded"),
        limit=90,
        operators=2,
    ),
    Fault(
        name="metrics-stopped",
        title="The autoscaler is blind",
        told="The metrics server is stopped; while it is away, there are to be three pods.",
        strike=fault_injectors.stop_metrics,
        expected=Expected("MetricsUnavailable", ("ScalingFallback",)),
        limit=120,
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
        pods=3,
        lacks=fault_injectors.lacks_metrics,
    ),
    Fault(
        name="api-outage",
        title="The API server dies in the middle of healing",
        told="An update to an image that does not exist; then the API server is killed.",
        strike=lambda site: site.update(image=fault_injectors.NO_IMAGE),
        later=("the API server is killed", fault_injectors.kill_api_server),
        expected=Expected("ImagePullFailing", BACK, "Degraded"),
        limit=180,
        lacks=fault_injectors.lacks_containers,
    ),
    Fault(
        name="node-killed",
        title="A node is lost",
        told="The container that is the worker is killed, as by a power failure.",
        strike=fault_injectors.kill_node,
        expected=Expected("NodeLost", ("Failover",)),
        limit=180,
        spec=_ANYWHERE,
        lacks=fault_injectors.lacks_worker,
    ),
)
"""Those that the whole cluster feels come last."""


def chosen(names: Sequence[str]) -> tuple[Fault, ...]:
    """The faults that are asked for by name; all of them if none is.

    Raises:
        ShowError: a name is unknown; the message lists those that there are.
    """
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ShowError(f"there is no fault {', '.join(unknown)}; there are: {', '.join(known)}")
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
