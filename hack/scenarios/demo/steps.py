"""What the demo shows, step by step. Every step makes sure that what it tells has happened."""

from hack.scenarios.common.cluster_state import ClusterSnapshot, PodRow
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.demo.runner import APP_NAME, DemoRunner, Step
from hack.testkit.kube_client import ROOT

MANIFEST = "hack/scenarios/demo/app.yaml"
_APP_RESOURCE = f"sha/{APP_NAME}"
_DEPLOYMENT_PATH = f"/apis/apps/v1/namespaces/{{ns}}/deployments/{APP_NAME}"
_CHILD_PATHS = (
    _DEPLOYMENT_PATH,
    f"/api/v1/namespaces/{{ns}}/services/{APP_NAME}",
    f"/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers/{APP_NAME}",
)


def _apply(runner: DemoRunner) -> str:
    manifest = (ROOT / MANIFEST).read_text(encoding="utf-8")
    runner.explain(f"This is all that a user writes:\n{manifest}")
    runner.run_kubectl(f"apply -f {MANIFEST}")

    def has_children(_: ClusterSnapshot) -> bool:
        return all(runner.kube.get_path(path) is not None for path in _CHILD_PATHS)

    runner.wait_until(
        "the operator has made a Deployment, a Service and an autoscaler of it", has_children, 30
    )
    return "it has become a Deployment, a Service and a HorizontalPodAutoscaler"


def _wait_until_ready(runner: DemoRunner) -> str:
    runner.wait_until(
        "the app is ready", lambda now: now.is_ready and _single_ready_pod(now) is not None, 90
    )
    response = runner.send_request("/")
    if not response.is_ok:
        raise ScenarioError(f"the app is ready but does not answer: {response}")
    return f"the app answers: {response}"


def _fail_liveness(runner: DemoRunner) -> str:
    before = _wait_for_single_pod(runner)
    restarts_before = runner.snapshot.count_restarts("LivenessProbe")
    runner.send_request("/fail")
    runner.explain(
        "From now on /health answers 500. The kubelet asks every 5 s; after 3 failures it kills "
        "the container and starts it anew, in the same pod."
    )
    runner.wait_until(
        "the container is restarted", lambda now: _count_restarts(now, before) > before.restarts, 90
    )
    runner.wait_until(
        "the status tells that the liveness probe did it",
        lambda now: now.count_restarts("LivenessProbe") == restarts_before + 1,
        45,
    )
    runner.wait_until("the app is ready again", lambda now: now.is_ready, 60)
    runner.wait_until("the app answers again", lambda _: runner.send_silently("/health").is_ok, 30)
    after = runner.snapshot.find_pod(before.uid)
    if after is None or after.restarts != before.restarts + 1:
        raise ScenarioError(f"one restart of {before.name} was expected, but there is {after}")
    runner.send_request("/health")
    return (
        f"same pod, RESTARTS {before.restarts} -> {after.restarts}, reason LivenessProbe, healthy"
    )


def _fail_readiness(runner: DemoRunner) -> str:
    before = _wait_for_single_pod(runner)
    runner.send_request("/not-ready")
    runner.explain(
        "From now on /ready answers 503. The pod runs on and is not restarted, but the Service "
        "stops sending it requests; it is the only one, so nobody answers."
    )
    runner.wait_until(
        "the pod has left the Service's endpoints",
        lambda now: _has_state(now, before, is_ready=False, is_serving=False),
        60,
    )
    runner.wait_until(
        "the Service sends it no requests", lambda _: not runner.send_silently("/").status_code, 30
    )
    runner.send_request("/")
    runner.wait_until("the status says so", lambda now: not now.is_ready, 30)
    runner.explain(
        "Through the Service it cannot be told to be ready again; so the pod itself is asked."
    )
    runner.run_kubectl(_format_exec(before, "/ready-again"))
    runner.wait_until(
        "the pod is back in the Service's endpoints",
        lambda now: now.is_ready and _has_state(now, before, is_ready=True, is_serving=True),
        60,
    )
    runner.wait_until(
        "the Service sends it requests", lambda _: runner.send_silently("/").is_ok, 30
    )
    runner.send_request("/")
    if _count_restarts(runner.snapshot, before) != before.restarts:
        raise ScenarioError("a failing readiness probe must not restart anything, but it did")
    return "out of the Service and back, without a restart"


def _scale_up(runner: DemoRunner) -> str:
    before = _wait_for_single_pod(runner)
    runner.send_request("/start-load")
    runner.explain(
        "The app burns as much CPU as it may, five times what it asked for. The autoscaler wants "
        "50 % and adds pods."
    )
    runner.wait_until(
        "there are more ready pods",
        lambda now: sum(pod.is_ready for pod in now.pods) > 1 and now.status["replicas"] > 1,
        180,
    )
    now = runner.wait_until(
        "every pod is ready", lambda now: now.is_ready and len(now.remaining_pods) > 1, 120
    )
    runner.run_kubectl("get selfhealingapps")
    if runner.snapshot.find_pod(before.uid) is None:
        raise ScenarioError(f"{before.name}, which carries the load, is gone")
    return f"{len(now.remaining_pods)} pods, cpu {_autoscaler_cpu(now)}"


def _scale_down(runner: DemoRunner) -> str:
    loaded = runner.snapshot.pods[0]
    runner.run_kubectl(_format_exec(loaded, "/stop-load"))
    runner.explain(
        "The load ends. The autoscaler waits a little, lest it come back, and removes pods."
    )
    runner.wait_until(
        "one pod is left",
        lambda now: len(now.pods) == 1 and now.is_ready and now.status["replicas"] == 1,
        420,
    )
    return f"1 pod, cpu {_autoscaler_cpu(runner.snapshot)}"


def _edit_deployment(runner: DemoRunner) -> str:
    events_before = runner.snapshot.count_events("DriftCorrected")
    desired_image = runner.snapshot.status["image"]
    runner.explain("Somebody edits the Deployment by hand:")
    runner.run_kubectl(f"set image deployment/{APP_NAME} app=somebody-elses/image:v2")

    def has_desired_image(_: ClusterSnapshot) -> bool:
        live = runner.kube.get_path(_DEPLOYMENT_PATH)
        containers = live["spec"]["template"]["spec"]["containers"] if live else []
        return [container["image"] for container in containers] == [desired_image]

    runner.wait_until("the image is put back", has_desired_image, 30)
    runner.wait_until(
        "an Event tells of it", lambda now: now.count_events("DriftCorrected") > events_before, 30
    )
    runner.wait_until("the app is ready", lambda now: now.is_ready and len(now.pods) == 1, 90)
    return "the image is put back, and an Event tells of it"


def _delete_deployment(runner: DemoRunner) -> str:
    live = runner.kube.get_path(_DEPLOYMENT_PATH)
    uid = live["metadata"]["uid"] if live else ""
    before = _wait_for_single_pod(runner)
    restarts_before = runner.snapshot.count_restarts()
    runner.explain("Somebody deletes the whole Deployment:")
    runner.run_kubectl(f"delete deployment {APP_NAME}")

    def is_recreated(_: ClusterSnapshot) -> bool:
        found = runner.kube.get_path(_DEPLOYMENT_PATH)
        return found is not None and found["metadata"]["uid"] != uid

    runner.wait_until("there is a new Deployment", is_recreated, 30)
    runner.wait_until(
        "its pod is ready and the old one gone",
        lambda now: now.is_ready and now.find_pod(before.uid) is None and len(now.pods) == 1,
        90,
    )
    runner.wait_until("the app answers", lambda _: runner.send_silently("/").is_ok, 30)
    restarts = runner.snapshot.count_restarts()
    if restarts != restarts_before:
        raise ScenarioError(f"{restarts_before} restarts were counted, now it says {restarts}")
    return "there is a new one, with a new pod; the restarts of the old one are still counted"


def _show_status(runner: DemoRunner) -> str:
    runner.run_kubectl("get selfhealingapps")
    runner.run_kubectl(f"get {_APP_RESOURCE} -o jsonpath={{.status.restarts.byReason}}")
    runner.run_kubectl(f"events --for {_APP_RESOURCE}")
    return str(runner.snapshot.status["message"])


def _clean_up(runner: DemoRunner) -> str:
    runner.run_kubectl(f"delete {_APP_RESOURCE}")

    def is_deleted(now: ClusterSnapshot) -> bool:
        return not now.pods and all(runner.kube.get_path(path) is None for path in _CHILD_PATHS)

    runner.wait_until("everything that belonged to it is gone", is_deleted, 60)
    return "Deployment, Service, autoscaler and pods are gone with it"


DEMO_STEPS = (
    Step("Apply a SelfHealingApp", 2, _apply),
    Step("It becomes ready", 8, _wait_until_ready),
    Step("A failing liveness probe is healed", 17, _fail_liveness),
    Step("Readiness gates traffic", 10, _fail_readiness),
    Step("CPU load scales it up", 30, _scale_up),
    Step("Without load it scales down again", 50, _scale_down),
    Step("Somebody edits what the operator made", 5, _edit_deployment),
    Step("Somebody deletes it", 8, _delete_deployment),
    Step("What its status says", 1, _show_status),
)
"""The steps; the seconds are those of two cores."""

CLEAN_UP_STEP = Step("Delete it, and everything goes", 5, _clean_up)


def _single_ready_pod(snapshot: ClusterSnapshot) -> PodRow | None:
    return (
        snapshot.remaining_pods[0]
        if len(snapshot.remaining_pods) == 1 and snapshot.remaining_pods[0].is_ready
        else None
    )


def _wait_for_single_pod(runner: DemoRunner) -> PodRow:
    snapshot = runner.wait_until(
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
