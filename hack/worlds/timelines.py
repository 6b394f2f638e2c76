"""The order of states of pods and Deployments, by which the simulator is compared with a cluster.

A state is a short line. Times are not compared, only the order. A watch of a busy cluster misses
states, so the recorded order has to be a part of the simulated one: nothing in another order, and
nothing that the simulator does not know.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hack.worlds.model import Effect, EffectKind, Json, Laws, Program
from hack.worlds.raw import APP


def describe_pod(raw: Json) -> str:
    """Return the state of a pod: its phase, its containers, whether it is ready and stops."""
    status = raw.get("status") or {}
    statuses = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    parts = [
        status.get("phase", "Pending"),
        *(_describe_container(each) for each in statuses),
        *(["ready"] if conditions.get("Ready") == "True" else []),
        *(["unschedulable"] if conditions.get("PodScheduled") == "False" else []),
        *(["stopping"] if "deletionTimestamp" in raw["metadata"] else []),
    ]
    return " ".join(parts)


def _describe_container(status: Json) -> str:
    state = status.get("state") or {}
    kind = next(iter(state), "waiting")
    detail = state.get(kind) or {}
    what = {"waiting": detail.get("reason", ""), "running": "running"}.get(kind)
    if what is None:
        what = f"terminated({detail.get('reason', '')})"
    restarts = status.get("restartCount", 0)
    return f"{status['name']}:{what}{f'*{restarts}' if restarts else ''}"


def describe_deployment(raw: Json) -> str:
    """Return the state of a Deployment: the reasons of its conditions."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    reasons = {c["type"]: c["reason"] for c in conditions if c["type"] != "Available"}
    return " ".join(reasons[key] for key in sorted(reasons))


def compact(states: Iterable[str]) -> list[str]:
    """Leave out what is the same as before."""
    result: list[str] = []
    for state in states:
        if state and (not result or result[-1] != state):
            result.append(state)
    return result


def is_part_of(recorded: Sequence[str], simulated: Sequence[str]) -> bool:
    """Whether the recorded states occur in the simulated order, with others between them."""
    rest = iter(simulated)
    return all(state in rest for state in recorded)


@dataclass(frozen=True, slots=True)
class Case:
    """A Deployment of which the order of states is compared.

    Attributes:
        name: the name.
        container: the fields of its container.
        program: what the simulated image does.
        pod: more fields of the pod.
        spec: more fields of the Deployment.
        replicas: the number of pods.
        change: the fields of the container that are changed when the first rollout is done.
        changed_program: what the simulated image does after the change.
    """

    name: str
    container: Json
    program: Program | None = field(default_factory=Program)
    pod: Json = field(default_factory=dict)
    spec: Json = field(default_factory=dict)
    replicas: int = 1
    change: Json | None = None
    changed_program: Program | None = None


def _python(code: str) -> Json:
    return {"command": ["python3", "-c", code]}


_SLEEP: Final = "import time; time.sleep(3600)"
_SERVE: Final = (
    "import http.server as h\n"
    "class H(h.BaseHTTPRequestHandler):\n"
    "  def do_GET(self):\n"
    "    self.send_response(200 if self.path in ('/ready', '/live') else 404); self.end_headers()\n"
    "h.HTTPServer(('', 5000), H).serve_forever()\n"
)


def _probe(path: str, **fields: int) -> Json:
    return {"httpGet": {"path": path, "port": 5000}, "periodSeconds": 1, **fields}


_NO_GRACE: Final[Json] = {"terminationGracePeriodSeconds": 1}
_MOUNT: Final[Json] = {"volumes": [{"name": "v", "configMap": {"name": "no-such"}}]}
_INIT: Final[Json] = {"name": "first", **_python("import time; time.sleep(2)")}

CASES: Final[tuple[Case, ...]] = (
    Case("starts", {**_python(_SERVE), "readinessProbe": _probe("/ready")}, pod=_NO_GRACE),
    Case(
        "crashes at once",
        _python("raise SystemExit(1)"),
        Program(bug=Effect(EffectKind.CRASH, after=1.0)),
    ),
    Case(
        "crashes after some seconds",
        _python("import time; time.sleep(5); raise SystemExit(3)"),
        Program(bug=Effect(EffectKind.CRASH, after=5.0, exit_code=3)),
    ),
    Case("image missing", {"image": "localhost/no-such-image:1"}, None),
    Case("command missing", {"command": ["/missing/start"]}),
    Case(
        "key missing",
        {
            **_python(_SLEEP),
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no-such", "key": "a"}}}
            ],
        },
    ),
    Case(
        "volume missing",
        {**_python(_SLEEP), "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        pod=_MOUNT,
    ),
    Case("init container", _python(_SLEEP), pod={"initContainers": [_INIT], **_NO_GRACE}),
    Case(
        "init container crashes",
        _python(_SLEEP),
        pod={"initContainers": [{"name": "first", **_python("raise SystemExit(1)")}]},
    ),
    Case(
        "native sidecar",
        _python(_SLEEP),
        pod={
            "initContainers": [{"name": "side", "restartPolicy": "Always", **_python(_SLEEP)}],
            **_NO_GRACE,
        },
    ),
    Case(
        "out of memory",
        {
            **_python("import time; time.sleep(2); x = bytearray(200 << 20); time.sleep(60)"),
            "resources": {"limits": {"memory": "32Mi"}},
        },
        Program(memory=200, start=1.0),
    ),
    Case(
        "liveness wrong",
        {**_python(_SERVE), "livenessProbe": _probe("/nothing", failureThreshold=2)},
        pod=_NO_GRACE,
    ),
    Case(
        "readiness wrong",
        {**_python(_SERVE), "readinessProbe": _probe("/nothing")},
        pod=_NO_GRACE,
    ),
    Case("no such node", _python(_SLEEP), pod={"nodeSelector": {"disk": "nvme"}}),
    Case(
        "rolling update",
        {**_python(_SERVE), "readinessProbe": _probe("/ready")},
        pod=_NO_GRACE,
        replicas=2,
        change={"env": [{"name": "A", "value": "2"}]},
    ),
    Case(
        "recreate",
        {**_python(_SERVE), "readinessProbe": _probe("/ready")},
        pod=_NO_GRACE,
        spec={"strategy": {"type": "Recreate"}},
        replicas=2,
        change={"env": [{"name": "A", "value": "2"}]},
    ),
    Case(
        "rollout of a version that crashes",
        {**_python(_SERVE), "readinessProbe": _probe("/ready")},
        pod=_NO_GRACE,
        spec={"progressDeadlineSeconds": 15},
        replicas=2,
        change=_python("raise SystemExit(1)"),
        program=Program(start=20.0),  # slower than its deadline, as it was on that machine
        changed_program=Program(bug=Effect(EffectKind.CRASH, after=1.0)),
    ),
    Case(
        "refused by Pod Security",
        {**_python(_SLEEP), "securityContext": {"privileged": True}},
        spec={"progressDeadlineSeconds": 10},
    ),
)


def build_manifest(case: Case, name: str, image: str, *, is_changed: bool = False) -> Json:
    """Return the Deployment of a case.

    Args:
        case: the case.
        name: its name.
        image: the image of all containers that have none.
        is_changed: with the change.
    """
    change = (case.change or {}) if is_changed else {}
    labels = {"case": name}

    def complete(container: Json) -> Json:
        return {"image": image, "imagePullPolicy": "IfNotPresent", **container}

    pod: Json = {
        **case.pod,
        "containers": [complete({"name": "app", **case.container, **change})],
    }
    if "initContainers" in pod:
        pod["initContainers"] = [complete(each) for each in pod["initContainers"]]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": case.replicas,
            "selector": {"matchLabels": labels},
            **case.spec,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def simulate(case: Case, seconds: float) -> Json:
    """Return the order of states of a case in the simulator: of its pods, and of its Deployment."""
    from hack.worlds.simulation import Simulation, build_bare  # noqa: PLC0415 - it imports this package's rest

    laws = Laws(enforces_baseline=True)
    program = case.program
    if program is not None:
        laws.programs["web:1"] = program
    laws.programs["web:2"] = case.changed_program or program or Program()
    if any(c["name"] == "first" for c in case.pod.get("initContainers") or ()):
        bug = Effect(EffectKind.CRASH, after=1.0) if "crashes" in case.name else None
        laws.programs["init:1"] = Program(runs=2.0, bug=bug)
    sim: Simulation = build_bare(laws)
    states: dict[str, list[str]] = {}
    deployment: list[str] = []

    def observe(kind: str, event_type: str, item: Any) -> None:  # noqa: ANN401 - of any kind
        from hack.worlds.raw import render_pod  # noqa: PLC0415

        if kind == "Pod" and event_type != "DELETED":
            states.setdefault(item.name, []).append(describe_pod(render_pod(item)))
        elif kind == "Deployment":
            deployment.append(describe_deployment({"status": item.status}))

    sim.cluster.observers.append(observe)

    def apply(is_changed: bool) -> None:  # noqa: FBT001 - a choice
        image = "web:2" if is_changed and case.changed_program else "web:1"
        body = build_manifest(case, APP, image, is_changed=is_changed)
        for container in body["spec"]["template"]["spec"].get("initContainers") or ():
            container["image"] = "init:1" if container["name"] == "first" else "web:1"
        sim.cluster.apply("Deployment", body, "kubectl")

    apply(False)
    if case.change is not None:
        sim.cluster.timeline.at(60.0, lambda: apply(True))
    sim.cluster.timeline.run_until(seconds)
    return summarize(states, deployment)


def summarize(pods: dict[str, list[str]], deployment: list[str]) -> Json:
    """Return the orders of states: of each pod, without its name, and of the Deployment."""
    orders = sorted(compact(states) for states in pods.values())
    return {
        "pods": [each for i, each in enumerate(orders) if each not in orders[:i]],
        "deployment": compact(deployment),
    }
