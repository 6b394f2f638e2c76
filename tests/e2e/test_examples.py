"""Every example is applied as its comments say, with kubectl, and becomes Ready or Completed."""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import ROOT, Json, kubectl
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually
from tests.e2e.app_client import EXAMPLES, READY_LIMIT, LabApp, example

FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))

ENDS = frozenset({"11-job-never.yaml"})
"""Those that do their work and end; all others serve."""

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def applied(space: Space) -> Space:
    """The namespace with all examples in it; they start at the same time."""
    vpa.serve(space.kube)
    kubectl("-n", space.name, "apply", "-f", str(EXAMPLES))
    return space


def _app(space: Space, file: str) -> LabApp:
    (app,) = (found for found in example(file) if found["kind"] == "SelfHealingApp")
    return LabApp(space, app["metadata"]["name"])


@pytest.mark.parametrize("file", FILES)
def test_an_example_becomes_ready(applied: Space, file: str) -> None:
    """Ready, every pod of it, and without a restart; a task has done its work."""
    app = _app(applied, file)

    phase = "Completed" if file in ENDS else "Ready"
    status = applied.is_(app.name, phase, 120)["status"]
    how = f"--for=jsonpath={{.status.phase}}={phase}"
    kubectl("-n", applied.name, "wait", how, f"sha/{app.name}", "--timeout=9s")

    assert applied.condition(app.name, "Ready")["status"] == "True"
    assert status["restarts"]["total"] == 0, status["restarts"]
    assert applied.condition(app.name, "Reconciled")["status"] == "True"


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_numbered_named_and_told_of(file: str) -> None:
    """The app is called as its file, its first line explains it, and the table has a row for it."""
    number, _, rest = file.partition("-")
    text = (EXAMPLES / file).read_text()
    (app,) = (found for found in example(file) if found["kind"] == "SelfHealingApp")

    assert number.isdigit()
    assert app["metadata"]["name"] == rest.removesuffix(".yaml")
    assert text.startswith("# ")
    assert f"[{file}]({file})" in (ROOT / "examples" / "README.md").read_text()


def test_the_slow_starter_was_given_its_time(applied: Space) -> None:
    """It took longer than its liveness probe would allow, and was not killed for it."""
    app = _app(applied, "08-startup-probe.yaml")
    app.ready(120)

    pod = app.pod()
    (status,) = pod["status"]["containerStatuses"]
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")

    assert status["restartCount"] == 0
    assert ready["lastTransitionTime"] > status["state"]["running"]["startedAt"]


def test_the_environment_arrives(applied: Space) -> None:
    """The ConfigMap's text is what the app says, and the Secret's key is a variable."""
    app = _app(applied, "09-environment.yaml")
    app.ready(READY_LIMIT)
    pod = app.pod()["metadata"]["name"]

    assert app.ask_pod(pod, "/")["message"] == "Hello from a ConfigMap"
    assert app.inside(pod, "printenv", "API_TOKEN").strip() == "not-a-real-one"


def test_the_autoscaler_reads_cpu_and_memory(applied: Space) -> None:
    """Both metrics are known, and the behavior is as written."""
    app = _app(applied, "07-autoscaling.yaml")
    app.ready()

    def metrics() -> Json:
        autoscaling: Json = app.status()["autoscaling"]
        known = [autoscaling.get(name, "unknown").split("/")[0] for name in ("cpu", "memory")]
        assert "unknown" not in known, autoscaling
        return autoscaling

    autoscaling = eventually(metrics, timeout=120, says="both metrics are known")

    assert autoscaling["cpu"].endswith("/50%")
    assert autoscaling["memory"].endswith("/90%")
    behavior = applied.autoscaler(app.name)["spec"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 60
    assert behavior["scaleUp"]["policies"][0]["value"] == 2


def test_the_probes_are_what_the_pods_have(applied: Space) -> None:
    """Each probe type reaches the kubelet, and the status tells it in words."""
    told = {
        file: applied.status(_app(applied, file).name)["probes"]["liveness"]
        for file in FILES
        if "-probe-" in file
    }

    assert told["03-probe-http.yaml"].startswith("http GET :5000/health every 5s")
    assert told["04-probe-tcp.yaml"].startswith("tcp :5000 every 5s")
    assert told["05-probe-exec.yaml"].startswith("exec python -m app.check")
    assert told["06-probe-grpc.yaml"].startswith("grpc :50051 liveness every 5s")
