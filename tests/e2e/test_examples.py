"""Every example is applied as its comments say, with kubectl, and becomes Ready or Completed."""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import ROOT, Json, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.optional_kinds import SPECS as OPTIONAL_KINDS, ensure_kind_served
from hack.testkit.wait import eventually
from tests.e2e.app_client import EXAMPLES, READY_TIMEOUT, AppClient, load_example

FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))

JOB_PHASES = frozenset({"11-job-never.yaml"})
"""Those that do their work and end; all others serve."""

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def applied(space: AppNamespace) -> AppNamespace:
    """The namespace with all examples in it; they start at the same time."""
    vpa.ensure_vpa_served(space.kube)
    for kind in OPTIONAL_KINDS:
        ensure_kind_served(space.kube, kind)
    run_kubectl("-n", space.name, "apply", "-f", str(EXAMPLES))
    return space


def open_app(space: AppNamespace, file: str) -> AppClient:
    (app,) = (found for found in load_example(file) if found["kind"] == "SelfHealingApp")
    return AppClient(space, app["metadata"]["name"])


@pytest.mark.parametrize("file", FILES)
def test_an_example_becomes_ready(applied: AppNamespace, file: str) -> None:
    """Ready, every pod of it, and without a restart; a task has done its work."""
    app = open_app(applied, file)

    phase = "Completed" if file in JOB_PHASES else "Ready"
    status = applied.wait_for_phase(app.name, phase, 120)["status"]
    how = f"--for=jsonpath={{.status.phase}}={phase}"
    run_kubectl("-n", applied.name, "wait", how, f"sha/{app.name}", "--timeout=9s")

    assert applied.get_condition(app.name, "Ready")["status"] == "True"
    assert status["restarts"]["total"] == 0, status["restarts"]
    assert applied.get_condition(app.name, "Reconciled")["status"] == "True"


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_numbered_named_and_told_of(file: str) -> None:
    """The app is called as its file, its first line explains it, and the table has a row for it."""
    number, _, rest = file.partition("-")
    text = (EXAMPLES / file).read_text()
    (app,) = (found for found in load_example(file) if found["kind"] == "SelfHealingApp")

    assert number.isdigit()
    assert app["metadata"]["name"] == rest.removesuffix(".yaml")
    assert text.startswith("# ")
    assert f"[{file}]({file})" in (ROOT / "examples" / "README.md").read_text()


def test_the_slow_starter_was_given_its_time(applied: AppNamespace) -> None:
    """It took longer than its liveness probe would allow, and was not killed for it."""
    app = open_app(applied, "08-startup-probe.yaml")
    app.wait_until_ready(120)

    pod = app.get_only_pod()
    (status,) = pod["status"]["containerStatuses"]
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")

    assert status["restartCount"] == 0
    assert ready["lastTransitionTime"] > status["state"]["running"]["startedAt"]


def test_the_environment_arrives(applied: AppNamespace) -> None:
    """The ConfigMap's text is what the app says, and the Secret's key is a variable."""
    app = open_app(applied, "09-environment.yaml")
    app.wait_until_ready(READY_TIMEOUT)
    pod = app.get_only_pod()["metadata"]["name"]

    assert app.request_from_pod(pod, "/")["message"] == "Hello from a ConfigMap"
    assert app.exec_in_pod(pod, "printenv", "API_TOKEN").strip() == "not-a-real-one"


def test_the_autoscaler_reads_cpu_and_memory(applied: AppNamespace) -> None:
    """Both metrics are known, and the behavior is as written."""
    app = open_app(applied, "07-autoscaling.yaml")
    app.wait_until_ready()

    def metrics() -> Json:
        autoscaling: Json = app.get_status()["autoscaling"]
        known = [autoscaling.get(name, "unknown").split("/")[0] for name in ("cpu", "memory")]
        assert "unknown" not in known, autoscaling
        return autoscaling

    autoscaling = eventually(metrics, timeout=120, description="both metrics are known")

    assert autoscaling["cpu"].endswith("/50%")
    assert autoscaling["memory"].endswith("/90%")
    behavior = applied.get_autoscaler(app.name)["spec"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 60
    assert behavior["scaleUp"]["policies"][0]["value"] == 2


@pytest.mark.parametrize(
    ("file", "kinds", "conditions"),
    [
        ("16-access.yaml", ("Service", "Ingress", "NetworkPolicy"), {"IngressReady": "Unknown"}),
        (
            "18-route-and-metrics.yaml",
            ("Service", "HTTPRoute", "PodMonitor"),
            {"RouteAccepted": "Unknown"},
        ),
    ],
)
def test_what_leads_to_an_app_is_made(
    applied: AppNamespace, file: str, kinds: tuple[str, ...], conditions: dict[str, str]
) -> None:
    """Nobody serves it here, which the conditions say; the app itself is Ready."""
    app = open_app(applied, file)
    app.wait_until_ready(120)
    uid = applied.get_app(app.name)["metadata"]["uid"]

    for kind in kinds:
        (owner,) = applied.get_child(kind, app.name)["metadata"]["ownerReferences"]
        assert owner["uid"] == uid
    assert conditions == {
        kind: applied.get_condition(app.name, kind)["status"] for kind in conditions
    }


def test_the_probes_are_what_the_pods_have(applied: AppNamespace) -> None:
    """Each probe type reaches the kubelet, and the status tells it in words."""
    told = {
        file: applied.get_status(open_app(applied, file).name)["probes"]["liveness"]
        for file in FILES
        if "-probe-" in file
    }

    assert told["03-probe-http.yaml"].startswith("http GET :5000/health every 5s")
    assert told["04-probe-tcp.yaml"].startswith("tcp :5000 every 5s")
    assert told["05-probe-exec.yaml"].startswith("exec python -m app.check")
    assert told["06-probe-grpc.yaml"].startswith("grpc :50051 liveness every 5s")
