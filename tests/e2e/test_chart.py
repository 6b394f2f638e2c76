"""The Helm chart on a real cluster: installed, upgraded and uninstalled beside a running app.

The CRD is the cluster's, so these tests have the cluster for themselves.
"""

import copy
import json
from collections.abc import Iterator

import pytest

from hack.testkit.helm import CHART, run_helm
from hack.testkit.kube_client import KubeClient, run_kubectl, temporary_namespace
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from selfhealing.api.names import GROUP, PLURAL
from tests.e2e.app_client import AppClient

pytestmark = pytest.mark.alone

DEMO = "localhost/selfhealing-demo:dev"
RELEASE = "chart"
APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")
WAIT = ("--wait", "--timeout", "3m")
CRD = f"{PLURAL}.{GROUP}"

NEWEST_FIELDS = ("cause", "confidence", "comparison")
"""Of an action in status.healing.history: what the version of the CRD before did not have."""


@pytest.fixture
def older_crd(kube: KubeClient) -> Iterator[None]:
    """The cluster has the version of the CRD before; afterwards it has the chart's."""
    older = copy.deepcopy(kube.get("CustomResourceDefinition", None, CRD))
    for field in ("resourceVersion", "uid", "managedFields"):
        older["metadata"].pop(field, None)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    history = schema["properties"]["status"]["properties"]["healing"]["properties"]["history"]
    for field in NEWEST_FIELDS:
        del history["items"]["properties"][field]
    run_kubectl("replace", "-f", "-", stdin=json.dumps(older))
    yield
    run_kubectl(*APPLY, stdin=run_helm("show", "crds", str(CHART)))


@pytest.fixture
def system_namespace(kube: KubeClient) -> Iterator[str]:
    """Where the operator runs; it takes no pods that are not restricted."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with temporary_namespace(kube, "e2e-chart-operator", labels) as name:
        yield name


@pytest.mark.usefixtures("older_crd")
def test_apps_run_on_through_upgrade_and_uninstallation(
    kube: KubeClient, space: AppNamespace, system_namespace: str
) -> None:
    """Helm waits for the operator, an upgrade changes no pod of an app, and the CRD stays.

    The app was made under the version of the CRD before, and is well under the next.
    """
    # No other release or test has these names, and no other operator serves this namespace.
    own = f"fullnameOverride={system_namespace},userRoles=false,namespaces={{{space.name}}}"
    own += ",replicas=1"
    where = ("--namespace", system_namespace)
    # The CRD is there already, of the version before.
    install = ("install", RELEASE, str(CHART), "--skip-crds")
    run_helm(*install, *where, *WAIT, "--set", own, seconds=200)
    try:
        app = AppClient(space, "served")
        space.create_app(app.name, image=DEMO, port=5000)
        app.wait_until_ready()
        pod = app.get_only_pod()["metadata"]["uid"]
        generation = space.get_deployment(app.name)["metadata"]["generation"]

        run_kubectl(*APPLY, stdin=run_helm("show", "crds", str(CHART)))
        more = ("--reset-then-reuse-values", "--set", "settings.logLevel=debug")
        run_helm("upgrade", RELEASE, str(CHART), *where, *WAIT, *more, seconds=200)
        deployment = kube.get("Deployment", system_namespace, system_namespace)
        later = AppClient(space, "later")
        space.create_app(later.name, image=DEMO, port=5000, replicas=0)
        space.wait_until_reconciled(later.name, timeout=60)

        assert 1 == deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]
        assert generation == space.get_deployment(app.name)["metadata"]["generation"]
        assert pod == app.get_only_pod()["metadata"]["uid"]
        assert app.wait_until_ready()["ready"] == "1/1"
    finally:
        run_helm("uninstall", RELEASE, *where)

    eventually(
        lambda: kube.find("Deployment", system_namespace, system_namespace) is None,
        description="the operator is gone",
    )
    assert pod == app.get_only_pod()["metadata"]["uid"]
    assert kube.find("CustomResourceDefinition", None, CRD)
    assert kube.find("SelfHealingApp", space.name, app.name)
