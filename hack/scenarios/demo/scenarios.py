"""The scenarios of ``make demo``: ten steps of one app, each of which checks what it shows."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.cluster_state import ClusterSnapshot, PodRow
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.runner import ScenarioReport, ScenarioSet
from hack.scenarios.common.scenario import Scenario, ScenarioContext, ScenarioResult
from hack.scenarios.demo.session import APP_NAME, DemoSession
from hack.testkit.kube_client import ROOT, KubeClient
from hack.testkit.progress import format_clock

MANIFEST = "hack/scenarios/demo/app.yaml"
_APP_RESOURCE = f"sha/{APP_NAME}"
_DEPLOYMENT_PATH = f"/apis/apps/v1/namespaces/{{ns}}/deployments/{APP_NAME}"
_CHILD_PATHS = (
    _DEPLOYMENT_PATH,
    f"/api/v1/namespaces/{{ns}}/services/{APP_NAME}",
    f"/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers/{APP_NAME}",
)


def _apply(demo: DemoSession) -> str:
    manifest = (ROOT / MANIFEST).read_text(encoding="utf-8")
    demo.explain(f"This is all that a user writes:\n{manifest}")
    demo.run_kubectl(f"apply -f {MANIFEST}")

    def has_children(_: ClusterSnapshot) -> bool:
        return all(demo.kube.get_path(path) is not None for path in _CHILD_PATHS)

    demo.wait_until(
        "the operator has made a Deployment, a Service and an autoscaler of it", has_children, 30
    )
    return "it has become a Deployment, a Service and a HorizontalPodAutoscaler"


def _wait_until_ready(demo: DemoSession) -> str:
    demo.wait_until(
        "the app is ready", lambda now: now.is_ready and _single_ready_pod(now) is not None, 90
    )
    response = demo.send_request("/")
    if not response.is_ok:
        raise ScenarioError(f"the app is ready but does not answer: {response}")
    return f"the app answers: {response}"


def _fail_liveness(demo: DemoSession) -> str:
    before = _wait_for_single_pod(demo)
    restarts_before = demo.snapshot.count_restarts("LivenessProbe")
    demo.send_request("/fail")
    demo.explain(
        "From now on /health answers 500. The kubelet asks every 5 s; after 3 failures it kills "
        "the container and restarts it in the same pod."
    )
    demo.wait_until(
        "the container is restarted", lambda now: _count_restarts(now, before) > before.restarts, 90
    )
    demo.wait_until(
        "the status tells that the liveness probe did it",
        lambda now: now.count_restarts("LivenessProbe") == restarts_before + 1,
        45,
    )
    demo.wait_until("the app is ready again", lambda now: now.is_ready, 60)
    demo.wait_until("the app answers again", lambda _: demo.send_silently("/health").is_ok, 30)
    after = demo.snapshot.find_pod(before.uid)
    if after is None or after.restarts != before.restarts + 1:
        raise ScenarioError(f"one restart of {before.name} was expected, but there is {after}")
    demo.send_request("/health")
    return (
        f"same pod, RESTARTS {before.restarts} -> {after.restarts}, reason LivenessProbe, healthy"
    )


def _fail_readiness(demo: DemoSession) -> str:
    before = _wait_for_single_pod(demo)
    demo.send_request("/not-ready")
    demo.explain(
        "From now on /ready answers 503. The pod runs on and is not restarted, but the Service "
        "stops sending it requests; it is the only one, so nobody answers."
    )
    demo.wait_until(
        "the pod has left the Service's endpoints",
        lambda now: _has_state(now, before, is_ready=False, is_serving=False),
        60,
    )
    demo.wait_until(
        "the Service sends it no requests", lambda _: not demo.send_silently("/").status_code, 30
    )
    demo.send_request("/")
    demo.wait_until("the status says so", lambda now: not now.is_ready, 30)
    demo.explain(
        "Through the Service it cannot be told to be ready again; so the pod itself is asked."
    )
    demo.run_kubectl(_format_exec(before, "/ready-again"))
    demo.wait_until(
        "the pod is back in the Service's endpoints",
        lambda now: now.is_ready and _has_state(now, before, is_ready=True, is_serving=True),
        60,
    )
    demo.wait_until("the Service sends it requests", lambda _: demo.send_silently("/").is_ok, 30)
    demo.send_request("/")
    if _count_restarts(demo.snapshot, before) != before.restarts:
        raise ScenarioError("a failing readiness probe must not restart anything, but it did")
    return "out of the Service and back, without a restart"


def _scale_up(demo: DemoSession) -> str:
    before = _wait_for_single_pod(demo)
    demo.send_request("/start-load")
    demo.explain(
        "The app burns as much CPU as it may, five times what it asked for. The autoscaler wants "
        "50 % and adds pods."
    )
    demo.wait_until(
        "there are more ready pods",
        lambda now: sum(pod.is_ready for pod in now.pods) > 1 and now.status["replicas"] > 1,
        180,
    )
    now = demo.wait_until(
        "every pod is ready", lambda now: now.is_ready and len(now.remaining_pods) > 1, 120
    )
    demo.run_kubectl("get selfhealingapps")
    if demo.snapshot.find_pod(before.uid) is None:
        raise ScenarioError(f"{before.name}, which carries the load, is gone")
    return f"{len(now.remaining_pods)} pods, cpu {_autoscaler_cpu(now)}"


def _scale_down(demo: DemoSession) -> str:
    loaded = demo.snapshot.pods[0]
    demo.run_kubectl(_format_exec(loaded, "/stop-load"))
    demo.explain(
        "The load ends. The autoscaler waits a little, lest it come back, and removes pods."
    )
    demo.wait_until(
        "one pod is left",
        lambda now: len(now.pods) == 1 and now.is_ready and now.status["replicas"] == 1,
        420,
    )
    return f"1 pod, cpu {_autoscaler_cpu(demo.snapshot)}"


def _edit_deployment(demo: DemoSession) -> str:
    events_before = demo.snapshot.count_events("DriftCorrected")
    desired_image = demo.snapshot.status["image"]
    demo.explain("Somebody edits the Deployment by hand:")
    demo.run_kubectl(f"set image deployment/{APP_NAME} app=somebody-elses/image:v2")

    def has_desired_image(_: ClusterSnapshot) -> bool:
        live = demo.kube.get_path(_DEPLOYMENT_PATH)
        containers = live["spec"]["template"]["spec"]["containers"] if live else []
        return [container["image"] for container in containers] == [desired_image]

    demo.wait_until("the image is reverted", has_desired_image, 30)
    demo.wait_until(
        "an Event tells of it", lambda now: now.count_events("DriftCorrected") > events_before, 30
    )
    demo.wait_until("the app is ready", lambda now: now.is_ready and len(now.pods) == 1, 90)
    return "the image is reverted, and an Event says so"


def _delete_deployment(demo: DemoSession) -> str:
    live = demo.kube.get_path(_DEPLOYMENT_PATH)
    uid = live["metadata"]["uid"] if live else ""
    before = _wait_for_single_pod(demo)
    restarts_before = demo.snapshot.count_restarts()
    demo.explain("Somebody deletes the whole Deployment:")
    demo.run_kubectl(f"delete deployment {APP_NAME}")

    def is_recreated(_: ClusterSnapshot) -> bool:
        found = demo.kube.get_path(_DEPLOYMENT_PATH)
        return found is not None and found["metadata"]["uid"] != uid

    demo.wait_until("there is a new Deployment", is_recreated, 30)
    demo.wait_until(
        "its pod is ready and the old one gone",
        lambda now: now.is_ready and now.find_pod(before.uid) is None and len(now.pods) == 1,
        90,
    )
    demo.wait_until("the app answers", lambda _: demo.send_silently("/").is_ok, 30)
    restarts = demo.snapshot.count_restarts()
    if restarts != restarts_before:
        raise ScenarioError(f"{restarts_before} restarts were counted, now it says {restarts}")
    return "there is a new one, with a new pod; the restarts of the old one are still counted"


def _show_status(demo: DemoSession) -> str:
    demo.run_kubectl("get selfhealingapps")
    demo.run_kubectl(f"get {_APP_RESOURCE} -o jsonpath={{.status.restarts.byReason}}")
    demo.run_kubectl(f"events --for {_APP_RESOURCE}")
    return str(demo.snapshot.status["message"])


def _clean_up(demo: DemoSession) -> str:
    demo.run_kubectl(f"delete {_APP_RESOURCE}")

    def is_deleted(now: ClusterSnapshot) -> bool:
        return not now.pods and all(demo.kube.get_path(path) is None for path in _CHILD_PATHS)

    demo.wait_until("everything that belonged to it is gone", is_deleted, 60)
    return "Deployment, Service, autoscaler and pods are gone with it"


@dataclass(frozen=True, slots=True)
class DemoResult(ScenarioResult):
    """The step and what was seen, in one sentence."""

    scenario: "DemoStep"
    summary: str

    @property
    def name(self) -> str:
        """The title: a step has no other name."""
        return self.scenario.title

    @property
    def title(self) -> str:
        """The title of the step."""
        return self.scenario.title


@dataclass(frozen=True)
class DemoStep(Scenario[DemoResult]):
    """A step of the demo; ``check`` does it and returns what was seen, in one sentence."""

    title: str
    expected_seconds: int
    check: Callable[[DemoSession], str]
    session: DemoSession

    @property
    def name(self) -> str:  # type: ignore[override]
        """The title: a step has no other name."""
        return self.title

    def run(self, context: ScenarioContext) -> DemoResult:
        """Run the step.

        Raises:
            ToolError: something was not as expected; the steps after it would fail too.
        """
        self.session.enter_step(context)
        context.begin_step(self.title, self.expected_seconds)
        summary = self.check(self.session)
        context.end_step(summary)
        return DemoResult(self, summary)

    def build_skipped(self, missing: str, *, is_requested: bool) -> DemoResult:
        """Return the result of a step that cannot run."""
        return DemoResult(self, "", missing_requirement=missing, is_requested=is_requested)


_STEPS: Final = (
    ("Apply a SelfHealingApp", 2, _apply),
    ("It becomes ready", 8, _wait_until_ready),
    ("A failing liveness probe is healed", 17, _fail_liveness),
    ("Readiness gates traffic", 10, _fail_readiness),
    ("CPU load scales it up", 30, _scale_up),
    ("Without load it scales down again", 50, _scale_down),
    ("Somebody edits what the operator made", 5, _edit_deployment),
    ("Somebody deletes it", 8, _delete_deployment),
    ("What its status says", 1, _show_status),
    ("Delete it, and everything goes", 5, _clean_up),
)
"""Title, seconds on two cores, and what is done."""


class DemoSet(ScenarioSet[DemoResult]):
    """``make demo``."""

    name = "demo"
    removed_text = "the app and "

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self._session = DemoSession()

    def list_scenarios(self) -> Sequence[DemoStep]:
        """Return the steps; the last one, which deletes the app, not if it is to be kept."""
        steps = _STEPS[:-1] if self.options.keep else _STEPS
        return [DemoStep(title, seconds, check, self._session) for title, seconds, check in steps]

    def prepare(self, kube: KubeClient) -> None:
        """Check the operator and create the namespace."""
        preflight.require_operator(kube)
        namespace.create_namespace(kube, self.name)

    def publish(self, report: ScenarioReport[DemoResult], console: Console) -> None:
        """Print how long it took; there is no page."""
        console.print(
            f"\nEverything happened as told, in {format_clock(report.seconds)}.", highlight=False
        )

    def summary_lines(
        self,
        report: ScenarioReport[DemoResult],  # noqa: ARG002 - the steps have been shown
        page: Path | None,  # noqa: ARG002 - there is none
    ) -> Iterator[str]:
        """Yield nothing: each step has shown its summary."""
        yield from ()

    def abort_lines(self, kube: KubeClient) -> Iterator[str]:
        """Yield the state of the app, and how to look at it."""
        snapshot = self._session.snapshot
        yield f"The app: {' '.join(snapshot.row) or 'not there'}"
        if snapshot.status.get("message"):
            yield f"  {snapshot.status['message']}"
        for pod in snapshot.pods:
            yield f"The pod {pod.name}: {pod.ready} {pod.status}, {pod.restarts} restarts"
        for event in snapshot.events[-8:]:
            yield f"  {event.involved_kind} {event.reason}: {event.text}"
        yield f"Namespace {kube.namespace} is left for a look; the next `make demo` removes it:"
        yield f"  . .cluster/env; {kube.format_command('describe selfhealingapp')}"
        yield f"  {preflight.OPERATOR_LOG_COMMAND}"

    def next_step_lines(self) -> Iterator[str]:
        """Yield how to go on by hand."""
        yield "To go on by hand:"
        yield "  . .cluster/env && kubectl apply -f examples/02-lab.yaml && kubectl get sha -w"


def _single_ready_pod(snapshot: ClusterSnapshot) -> PodRow | None:
    return (
        snapshot.remaining_pods[0]
        if len(snapshot.remaining_pods) == 1 and snapshot.remaining_pods[0].is_ready
        else None
    )


def _wait_for_single_pod(demo: DemoSession) -> PodRow:
    snapshot = demo.wait_until(
        "there is one ready pod", lambda snapshot: _single_ready_pod(snapshot) is not None, 60
    )
    pod = _single_ready_pod(snapshot)
    assert pod is not None  # noqa: S101  it was just looked for
    return pod


def _count_restarts(snapshot: ClusterSnapshot, pod: PodRow) -> int:
    found = snapshot.find_pod(pod.uid)
    if found is None:
        raise ScenarioError(f"the pod {pod.name} is gone")
    return found.restarts


def _has_state(snapshot: ClusterSnapshot, pod: PodRow, *, is_ready: bool, is_serving: bool) -> bool:
    found = snapshot.find_pod(pod.uid)
    if found is None:
        raise ScenarioError(f"the pod {pod.name} is gone")
    return found.is_ready is is_ready and found.is_serving is is_serving


def _format_exec(pod: PodRow, path: str) -> str:
    return f"exec {pod.name} -- python -m app.check http://127.0.0.1:5000{path}"


def _autoscaler_cpu(snapshot: ClusterSnapshot) -> str:
    return str(snapshot.status.get("autoscaling", {}).get("cpu", "unknown"))
