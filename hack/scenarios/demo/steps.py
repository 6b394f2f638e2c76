"""What the demo shows, step by step. Every step makes sure that what it tells has happened."""

from hack.scenarios.common.cluster_state import Picture, Pod
from hack.scenarios.common.errors import ShowError
from hack.scenarios.demo.runner import APP, Stage, Step

MANIFEST = "hack/scenarios/demo/app.yaml"
_SHA = f"sha/{APP}"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{{ns}}/deployments/{APP}"
_CHILDREN = (
    _DEPLOYMENT,
    f"/api/v1/namespaces/{{ns}}/services/{APP}",
    f"/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers/{APP}",
)


def _apply(stage: Stage) -> str:
    stage.say("This is all that a user writes:\n" + stage.kube.file(MANIFEST))
    stage.kubectl(f"apply -f {MANIFEST}")

    def made(_: Picture) -> bool:
        return all(stage.kube.read(path) is not None for path in _CHILDREN)

    stage.until("the operator has made a Deployment, a Service and an autoscaler of it", made, 30)
    return "it has become a Deployment, a Service and a HorizontalPodAutoscaler"


def _becomes_ready(stage: Stage) -> str:
    stage.until("the app is ready", lambda now: now.ready and _alone(now) is not None, 90)
    answer = stage.ask("/")
    if not answer.good:
        raise ShowError(f"the app is ready but does not answer: {answer}")
    return f"the app answers: {answer}"


def _liveness(stage: Stage) -> str:
    before = _only_pod(stage)
    counted = stage.picture.restarts("LivenessProbe")
    stage.ask("/fail")
    stage.say(
        "From now on /health answers 500. The kubelet asks every 5 s; after 3 failures it kills "
        "the container and starts it anew, in the same pod."
    )
    stage.until(
        "the container is restarted", lambda now: _restarts(now, before) > before.restarts, 90
    )
    stage.until(
        "the status tells that the liveness probe did it",
        lambda now: now.restarts("LivenessProbe") == counted + 1,
        45,
    )
    stage.until("the app is ready again", lambda now: now.ready, 60)
    stage.until("the app answers again", lambda _: stage.quietly("/health").good, 30)
    after = stage.picture.pod(before.uid)
    if after is None or after.restarts != before.restarts + 1:
        raise ShowError(f"one restart of {before.name} was expected, but there is {after}")
    stage.ask("/health")
    return (
        f"same pod, RESTARTS {before.restarts} -> {after.restarts}, reason LivenessProbe, healthy"
    )


def _readiness(stage: Stage) -> str:
    before = _only_pod(stage)
    stage.ask("/not-ready")
    stage.say(
        "From now on /ready answers 503. The pod runs on and is not restarted, but the Service "
        "stops sending it requests; it is the only one, so nobody answers."
    )
    stage.until(
        "the pod has left the Service's endpoints",
        lambda now: _is(now, before, ready=False, serving=False),
        60,
    )
    stage.until("the Service sends it no requests", lambda _: not stage.quietly("/").code, 30)
    stage.ask("/")
    stage.until("the status says so", lambda now: not now.ready, 30)
    stage.say(
        "Through the Service it cannot be told to be ready again; so the pod itself is asked."
    )
    stage.kubectl(_inside(before, "/ready-again"))
    stage.until(
        "the pod is back in the Service's endpoints",
        lambda now: now.ready and _is(now, before, ready=True, serving=True),
        60,
    )
    stage.until("the Service sends it requests", lambda _: stage.quietly("/").good, 30)
    stage.ask("/")
    if _restarts(stage.picture, before) != before.restarts:
        raise ShowError("a failing readiness probe must not restart anything, but it did")
    return "out of the Service and back, without a restart"


def _scale_up(stage: Stage) -> str:
    before = _only_pod(stage)
    stage.ask("/start-load")
    stage.say(
        "The app burns as much CPU as it may, five times what it asked for. The autoscaler wants "
        "50 % and adds pods."
    )
    stage.until(
        "there are more ready pods",
        lambda now: sum(pod.is_ready for pod in now.pods) > 1 and now.status["replicas"] > 1,
        180,
    )
    now = stage.until("every pod is ready", lambda now: now.ready and len(now.staying) > 1, 120)
    stage.kubectl("get selfhealingapps")
    if stage.picture.pod(before.uid) is None:
        raise ShowError(f"{before.name}, which carries the load, is gone")
    return f"{len(now.staying)} pods, cpu {_cpu(now)}"


def _scale_down(stage: Stage) -> str:
    loaded = stage.picture.pods[0]
    stage.kubectl(_inside(loaded, "/stop-load"))
    stage.say("The load ends. The autoscaler waits a little, lest it come back, and removes pods.")
    stage.until(
        "one pod is left",
        lambda now: len(now.pods) == 1 and now.ready and now.status["replicas"] == 1,
        420,
    )
    return f"1 pod, cpu {_cpu(stage.picture)}"


def _edit(stage: Stage) -> str:
    told = stage.picture.told("DriftCorrected")
    wanted = stage.picture.status["image"]
    stage.say("Somebody edits the Deployment by hand:")
    stage.kubectl(f"set image deployment/{APP} app=somebody-elses/image:v2")

    def put_back(_: Picture) -> bool:
        live = stage.kube.read(_DEPLOYMENT)
        containers = live["spec"]["template"]["spec"]["containers"] if live else []
        return [container["image"] for container in containers] == [wanted]

    stage.until("the image is put back", put_back, 30)
    stage.until("an Event tells of it", lambda now: now.told("DriftCorrected") > told, 30)
    stage.until("the app is ready", lambda now: now.ready and len(now.pods) == 1, 90)
    return "the image is put back, and an Event tells of it"


def _delete(stage: Stage) -> str:
    live = stage.kube.read(_DEPLOYMENT)
    uid = live["metadata"]["uid"] if live else ""
    before = _only_pod(stage)
    total = stage.picture.restarts()
    stage.say("Somebody deletes the whole Deployment:")
    stage.kubectl(f"delete deployment {APP}")

    def made_again(_: Picture) -> bool:
        found = stage.kube.read(_DEPLOYMENT)
        return found is not None and found["metadata"]["uid"] != uid

    stage.until("there is a new Deployment", made_again, 30)
    stage.until(
        "its pod is ready and the old one gone",
        lambda now: now.ready and now.pod(before.uid) is None and len(now.pods) == 1,
        90,
    )
    stage.until("the app answers", lambda _: stage.quietly("/").good, 30)
    if stage.picture.restarts() != total:
        raise ShowError(f"{total} restarts were counted, now it says {stage.picture.restarts()}")
    return "there is a new one, with a new pod; the restarts of the old one are still counted"


def _status(stage: Stage) -> str:
    stage.kubectl("get selfhealingapps")
    stage.kubectl(f"get {_SHA} -o jsonpath={{.status.restarts.byReason}}")
    stage.kubectl(f"events --for {_SHA}")
    return str(stage.picture.status["message"])


def _clean_up(stage: Stage) -> str:
    stage.kubectl(f"delete {_SHA}")

    def gone(now: Picture) -> bool:
        return not now.pods and all(stage.kube.read(path) is None for path in _CHILDREN)

    stage.until("everything that belonged to it is gone", gone, 60)
    return "Deployment, Service, autoscaler and pods are gone with it"


STORY = (
    Step("Apply a SelfHealingApp", 2, _apply),
    Step("It becomes ready", 8, _becomes_ready),
    Step("A failing liveness probe is healed", 17, _liveness),
    Step("Readiness gates traffic", 10, _readiness),
    Step("CPU load scales it up", 30, _scale_up),
    Step("Without load it scales down again", 50, _scale_down),
    Step("Somebody edits what the operator made", 5, _edit),
    Step("Somebody deletes it", 8, _delete),
    Step("What its status says", 1, _status),
)
"""The steps; the seconds are those of two cores."""

CLEAN_UP = Step("Delete it, and everything goes", 5, _clean_up)


def _alone(now: Picture) -> Pod | None:
    return now.staying[0] if len(now.staying) == 1 and now.staying[0].is_ready else None


def _only_pod(stage: Stage) -> Pod:
    now = stage.until("there is one ready pod", lambda now: _alone(now) is not None, 60)
    pod = _alone(now)
    assert pod is not None  # noqa: S101  it was just looked for
    return pod


def _restarts(now: Picture, pod: Pod) -> int:
    found = now.pod(pod.uid)
    if found is None:
        raise ShowError(f"the pod {pod.name} is gone")
    return found.restarts


def _is(now: Picture, pod: Pod, *, ready: bool, serving: bool) -> bool:
    found = now.pod(pod.uid)
    if found is None:
        raise ShowError(f"the pod {pod.name} is gone")
    return found.is_ready is ready and found.serving is serving


def _inside(pod: Pod, path: str) -> str:
    return f"exec {pod.name} -- python -m app.check http://127.0.0.1:5000{path}"


def _cpu(now: Picture) -> str:
    return str(now.status.get("autoscaling", {}).get("cpu", "unknown"))
