"""What kubectl, kstatus, Argo CD and Flux see of apps on a real API server."""

from functools import partial
from pathlib import Path

import pytest
import yaml

from hack.gitops.argocd import SCRIPTS
from hack.testkit.errors import ToolError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.helm import run_helm
from hack.testkit.kube_client import ROOT, Json, find_condition, run_kubectl
from hack.testkit.namespace import FAKE_NODES, KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.verdicts import ask_flux, run_lua
from hack.testkit.wait import eventually
from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

EXAMPLES = ("02-lab", "09-environment", "15-healing", "17-whole-pod")
"""Examples whose specs have the most different fields."""

APPLY = {"client-side": [], "server-side": ["--server-side", "--field-manager=gitops"]}


def wait_for_condition(space: AppNamespace, name: str, condition: str) -> None:
    """Wait as a script does."""
    run_kubectl("-n", space.name, "wait", f"--for=condition={condition}", f"sha/{name}",
                "--timeout=30s")  # fmt: skip


def judge(space: AppNamespace, name: str) -> tuple[str, str, str]:
    """What kstatus, Flux and Argo CD say of an app."""
    app = space.get_app(name)
    example = parse_yaml((ROOT / "deploy/flux/kustomization.yaml").read_text())
    (check,) = example["spec"]["healthCheckExprs"]
    (flux,) = ask_flux(check, [app])
    (health,) = run_lua((SCRIPTS / "health.lua").read_text(), [app])
    return space.compute_kstatus(name), flux["status"], health["status"]


def run_action(space: AppNamespace, name: str, action: str) -> None:
    """Take an action as Argo CD does: by the difference that its script makes."""
    app = space.get_app(name)
    (found,) = run_lua((SCRIPTS / "actions" / action / "action.lua").read_text(), [app])
    spec = {key: found["spec"].get(key) for key in {*app["spec"], *found["spec"]}}
    annotations = found["metadata"].get("annotations") or {}
    patch = {"metadata": {"annotations": annotations}, "spec": spec}
    space.kube.merge_patch(KIND, space.name, name, patch)


def test_until_it_is_ready(space: AppNamespace, name: str) -> None:
    """It is in progress while its pods have no node; then it is current, and nothing is marked."""
    space.create_app(name, **UNSCHEDULABLE)
    wait_for_condition(space, name, "Reconciling")
    assert ("InProgress", "InProgress", "Progressing") == judge(space, name)

    selector: Json = {"selfhealing.dev/test": None, **FAKE_NODES["nodeSelector"]}
    space.patch_spec(name, **{**FAKE_NODES, "nodeSelector": selector})
    space.wait_for_phase(name, "Ready")

    wait_for_condition(space, name, "Ready")
    run_kubectl("-n", space.name, "rollout", "status", f"deployment/{name}", "--timeout=30s")
    assert ("Current", "Current", "Healthy") == judge(space, name)
    app = space.get_app(name)
    assert not find_condition(app, "Reconciling")
    assert not find_condition(app, "Stalled")


def build_foreign_service(space: AppNamespace, name: str) -> Json:
    """Return a Service of somebody else."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": space.name, "name": name},
        "spec": {"ports": [{"port": 80}]},
    }


def test_a_name_that_is_taken(space: AppNamespace, name: str) -> None:
    """It has failed until somebody does something, and kubectl can wait for that."""
    space.kube.create(build_foreign_service(space, name))
    space.create_app(name, port=80, **FAKE_NODES)

    wait_for_condition(space, name, "Stalled")
    assert ("Failed", "Failed", "Degraded") == judge(space, name)
    assert space.get_condition(name, "Stalled")["reason"] == "NameConflict"


def test_helm_waits_for_an_app(space: AppNamespace, name: str, tmp_path: Path) -> None:
    """It returns when the app is ready, and fails, without a time-out, when it needs people."""
    template = tmp_path / "templates" / "app.yaml"
    template.parent.mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: shop, version: 1.0.0}")
    command = ("upgrade", "--install", name, str(tmp_path), "--namespace", space.name, "--wait")
    template.write_text(yaml.safe_dump(space.build_manifest(name, **FAKE_NODES)))

    run_helm(*command, "--timeout", "40s")

    assert "True" == space.get_condition(name, "Ready")["status"]

    space.kube.create(build_foreign_service(space, name))
    template.write_text(yaml.safe_dump(space.build_manifest(name, port=80, **FAKE_NODES)))

    with pytest.raises(ToolError, match=f"{name} not ready. status: Failed"):
        run_helm(*command, "--timeout", "40s")


def test_a_crash_loop(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """It is in progress: Kubernetes tries again by itself."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    pod = space.list_pods(name)[0]["metadata"]["name"]

    kubelet.report_waiting(pod, "CrashLoopBackOff", "back-off 10s restarting failed container")
    space.wait_for_phase(name, "Degraded")

    assert ("InProgress", "InProgress", "Degraded") == judge(space, name)


def test_a_job_that_gives_up(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """It runs, and then it has failed."""
    space.create_app(name, restartPolicy="Never", job={"backoffLimit": 0}, **UNSCHEDULABLE)
    (pod,) = eventually(lambda: space.list_pods(name), description="it has a pod")
    kubelet.report_running(pod["metadata"]["name"])
    space.wait_for_phase(name, "Ready")
    assert ("Current", "Current", "Progressing") == judge(space, name)

    kubelet.report_failed(pod["metadata"]["name"])

    wait_for_condition(space, name, "Stalled")
    assert ("Failed", "Failed", "Degraded") == judge(space, name)


def test_actions_of_argo_cd(space: AppNamespace, name: str) -> None:
    """Pause and unpause do what they say."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    run_action(space, name, "pause")
    space.wait_for_phase(name, "Paused")
    assert ("Current", "Current", "Suspended") == judge(space, name)
    run_action(space, name, "resume")
    run_action(space, name, "unpause")

    space.wait_for_phase(name, "Ready")
    assert not space.get_app(name)["spec"]["paused"]
    resumed = space.get_app(name)["metadata"]["annotations"]["selfhealing.dev/resume"]
    eventually(
        lambda: space.get_status(name)["healing"].get("observedResume") == resumed,
        description="the operator has seen the resume",
    )


def is_observed(space: AppNamespace, name: str) -> bool:
    """Whether the operator has acted on the latest spec."""
    app = space.get_app(name)
    generation: int = app["metadata"]["generation"]
    return bool(app.get("status", {}).get("observedGeneration") == generation)


def read_example(example: str, prefix: str) -> Json:
    """An example under another name, whose pods stay without a node."""
    documents = parse_yaml_documents((ROOT / "examples" / f"{example}.yaml").read_text())
    app: Json = next(document for document in documents if document["kind"] == KIND)
    app["metadata"] = {"name": f"{prefix}-{app['metadata']['name']}"}
    app["spec"]["nodeSelector"] = UNSCHEDULABLE["nodeSelector"]
    return app


@pytest.mark.parametrize("how", list(APPLY))
def test_no_difference_after_the_operator_acted(space: AppNamespace, how: str) -> None:
    """What was applied is what is there, so no tool applies it again or calls it out of sync."""
    apps = [read_example(example, how) for example in EXAMPLES]
    manifest = yaml.safe_dump_all(apps)

    run_kubectl("-n", space.name, "apply", *APPLY[how], "-f", "-", stdin=manifest)
    for app in apps:
        eventually(
            partial(is_observed, space, app["metadata"]["name"]),
            timeout=60,
            description=f"{app['metadata']['name']} is reconciled",
        )

    command = ["-n", space.name, "diff", *APPLY[how], "-f", "-"]
    assert "" == run_kubectl(*command, stdin=manifest, timeout=180)
    for app in apps:
        found = space.get_app(app["metadata"]["name"])
        for entry in found["metadata"]["managedFields"]:
            if entry["manager"] == "selfhealing-operator":
                assert {"f:status"} == set(entry["fieldsV1"]), entry
    run_kubectl("-n", space.name, "delete", "--wait=false", "-f", "-", stdin=manifest)
