"""Who may call an app, with a network plugin that enforces the app's NetworkPolicy.

Needs the add-on: ``make cluster ADDONS=kube-router``; without it these tests are skipped.
"""

import pytest

from hack.testkit.errors import ToolError
from hack.testkit.kube_client import Json, KubeClient, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import consistently, eventually

DEMO = "localhost/selfhealing-demo:dev"
START_LIMIT = 90
"""Seconds until an app runs and the rules of all nodes know its pods."""

NO_ANSWER = "command terminated with exit code 1"
"""What kubectl says when the check has run and got no answer."""

PROBE = {"httpGet": {"path": "/ready"}, "periodSeconds": 2, "failureThreshold": 2}

pytestmark = pytest.mark.usefixtures("operator", "enforcing_plugin")


@pytest.fixture(scope="module")
def enforcing_plugin(kube: KubeClient) -> None:
    """The network plugin that enforces policies."""
    if kube.find("DaemonSet", "kube-router", "kube-router") is None:
        pytest.skip("no plugin enforces policies: make cluster ADDONS=kube-router")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """The operator's: a pod that is not ready hangs after 30 seconds instead of five minutes."""
    return {"SELFHEALING_HEALING_SCALE": "0.1"}


def create_app(space: AppNamespace, name: str, **spec: object) -> None:
    """Create an app with one pod and wait until it is ready."""
    fields: Json = {"probes": {"readiness": PROBE}, **spec}
    space.create_app(name, image=DEMO, imagePullPolicy="IfNotPresent", port=5000, **fields)
    space.wait_for_phase(name, "Ready", timeout=START_LIMIT)


def is_answered(space: AppNamespace, caller: str, app: str) -> bool:
    """Whether a pod of one app gets an answer through the Service of another, by its name.

    Raises:
        ToolError: the check could not be run.
    """
    check = ("python", "-m", "app.check", f"http://{app}/health")
    try:
        run_kubectl("-n", space.name, "exec", f"deployment/{caller}", "--", *check)
    except ToolError as error:
        if NO_ANSWER not in str(error):
            raise
        return False
    return True


def test_only_who_is_named_may_call_and_be_called(space: AppNamespace, name: str) -> None:
    """Probes and names of hosts go on working, and without the policy everybody may call."""
    friend, stranger = f"{name}-friend", f"{name}-stranger"
    create_app(space, friend)
    create_app(space, stranger)
    policy = {"allowFrom": [{"app": friend}], "allowTo": [{"app": friend}]}
    create_app(space, name, networkPolicy=policy)

    eventually(lambda: is_answered(space, stranger, friend), timeout=START_LIMIT)
    eventually(lambda: is_answered(space, friend, name), timeout=START_LIMIT)
    eventually(lambda: not is_answered(space, stranger, name), timeout=START_LIMIT)
    eventually(lambda: is_answered(space, name, friend), timeout=START_LIMIT)
    eventually(lambda: not is_answered(space, name, stranger), timeout=START_LIMIT)
    consistently(lambda: space.get_status(name)["phase"] == "Ready", seconds=6)

    space.patch_spec(name, networkPolicy=None)

    eventually(lambda: is_answered(space, stranger, name), timeout=START_LIMIT)
    eventually(lambda: is_answered(space, name, stranger), timeout=START_LIMIT)


def test_nobody_may_call(space: AppNamespace, name: str) -> None:
    """An empty list lets no pod in, and the kubelet's probes all the same."""
    caller = f"{name}-caller"
    create_app(space, caller)
    create_app(space, name, networkPolicy={"allowFrom": [], "allowTo": []})

    eventually(lambda: is_answered(space, caller, caller), timeout=START_LIMIT)
    eventually(lambda: not is_answered(space, caller, name), timeout=START_LIMIT)
    eventually(lambda: not is_answered(space, name, caller), timeout=START_LIMIT)
    consistently(lambda: space.get_status(name)["phase"] == "Ready", seconds=6)


def test_a_policy_of_somebody_that_cuts_an_app_off_is_named(space: AppNamespace, name: str) -> None:
    """Its pods run and are not ready; the message says which policy came shortly before."""
    database = f"{name}-db"
    create_app(space, database)
    check = ["python", "-m", "app.check", f"http://{database}/health"]
    readiness = {"exec": {"command": check}, "periodSeconds": 2, "timeoutSeconds": 3}
    create_app(space, name, replicas=2, probes={"readiness": readiness})
    space.kube.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "no-way-out", "namespace": space.name},
            "spec": {
                "podSelector": {"matchLabels": {"selfhealing.dev/app": name}},
                "policyTypes": ["Egress"],
            },
        }
    )

    def find_message() -> str:
        diagnoses = space.get_status(name).get("healing", {}).get("diagnoses", [])
        return next((each["message"] for each in diagnoses if "no-way-out" in each["message"]), "")

    assert "NetworkPolicy no-way-out (created at" in eventually(find_message, timeout=180)
    assert not [
        entry
        for entry in space.get_status(name)["healing"].get("history", [])
        if entry["remediation"] != "Quarantine"
    ]
