"""The Helm chart on a real cluster: installed, upgraded and uninstalled beside a running app."""

from collections.abc import Iterator

import pytest

from hack.testkit.helm import CHART, run_helm
from hack.testkit.kube_client import KubeClient, run_kubectl, temporary_namespace
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from selfhealing.api.names import GROUP, PLURAL
from tests.e2e.app_client import AppClient

DEMO = "localhost/selfhealing-demo:dev"
RELEASE = "chart"
WAIT = ("--wait", "--timeout", "3m")


@pytest.fixture
def system_namespace(kube: KubeClient) -> Iterator[str]:
    """Where the operator runs; it takes no pods that are not restricted."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with temporary_namespace(kube, "e2e-chart-operator", labels) as name:
        yield name


def test_apps_run_on_through_upgrade_and_uninstallation(
    kube: KubeClient, space: AppNamespace, system_namespace: str
) -> None:
    """Helm waits for the operator, an upgrade changes no pod of an app, and the CRD stays."""
    # No other release or test has these names, and no other operator serves this namespace.
    own = f"fullnameOverride={system_namespace},userRoles=false,namespaces={{{space.name}}}"
    own += ",replicas=1"
    where = ("--namespace", system_namespace)
    run_helm("install", RELEASE, str(CHART), *where, *WAIT, "--set", own, seconds=200)
    try:
        app = AppClient(space, "served")
        space.create_app(app.name, image=DEMO, port=5000)
        app.wait_until_ready()
        pod = app.get_only_pod()["metadata"]["uid"]
        generation = space.get_deployment(app.name)["metadata"]["generation"]

        crds = run_helm("show", "crds", str(CHART))
        run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=crds)
        more = ("--reset-then-reuse-values", "--set", "settings.logLevel=debug")
        run_helm("upgrade", RELEASE, str(CHART), *where, *WAIT, *more, seconds=200)
        deployment = kube.get("Deployment", system_namespace, system_namespace)
        later = AppClient(space, "later")
        space.create_app(later.name, image=DEMO, port=5000, replicas=0)
        space.wait_until_reconciled(later.name, timeout=60)

        assert 1 == deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]
        assert generation == space.get_deployment(app.name)["metadata"]["generation"]
        assert pod == app.get_only_pod()["metadata"]["uid"]
    finally:
        run_helm("uninstall", RELEASE, *where)

    eventually(
        lambda: kube.find("Deployment", system_namespace, system_namespace) is None,
        description="the operator is gone",
    )
    assert pod == app.get_only_pod()["metadata"]["uid"]
    assert kube.find("CustomResourceDefinition", None, f"{PLURAL}.{GROUP}")
    assert kube.find("SelfHealingApp", space.name, app.name)
