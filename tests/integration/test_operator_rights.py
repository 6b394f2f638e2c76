"""The operator as its own ServiceAccount, under the policies of the installation.

Tests of other modules run again here, with all kinds of children and remediations: nothing that
they need is refused. What does not belong to an app is.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hack.testkit.admission_policies import POLICY, install_policies
from hack.testkit.kube_client import JSON_PATCH, Json, KubeClient
from hack.testkit.namespace import UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import create_service_account, list_operator_permissions
from hack.testkit.wait import eventually
from selfhealing.cli.admission_policies import SYSTEM_NAMESPACES, service_account_user
from selfhealing.cli.installation import NAME
from tests.integration.test_access import served, test_made_and_taken_away
from tests.integration.test_children import (
    test_every_field_arrives_and_is_then_at_rest,
    test_full_service_of_every_type,
)
from tests.integration.test_config_changes import test_a_config_map
from tests.integration.test_drift import test_mark_removed
from tests.integration.test_healing import (
    settings,
    test_a_crash_loop_of_one_pod,
    test_failed_pods_are_cleaned_up,
    test_rollback_under_an_autoscaler,
)
from tests.integration.test_jobs import test_from_a_deployment_to_a_job_and_back
from tests.integration.test_name_conflicts import (
    clean,
    test_adopted_once_the_pods_serve,
    test_orphans_are_adopted,
)
from tests.integration.test_replica_handover import test_from_replicas_to_the_autoscaler_and_back
from tests.integration.test_vpa import test_made_as_the_spec_says_and_taken_away

__all__ = [
    "clean",
    "served",
    "settings",
    "test_a_config_map",
    "test_a_crash_loop_of_one_pod",
    "test_adopted_once_the_pods_serve",
    "test_every_field_arrives_and_is_then_at_rest",
    "test_failed_pods_are_cleaned_up",
    "test_from_a_deployment_to_a_job_and_back",
    "test_from_replicas_to_the_autoscaler_and_back",
    "test_full_service_of_every_type",
    "test_made_and_taken_away",
    "test_made_as_the_spec_says_and_taken_away",
    "test_mark_removed",
    "test_orphans_are_adopted",
    "test_rollback_under_an_autoscaler",
]

pytestmark = pytest.mark.usefixtures("served", "operator", "fake_nodes", "nothing_refused")


@pytest.fixture(scope="module")
def operator_kubeconfig(
    kube: KubeClient, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The operator's own ServiceAccount instead of an administrator."""
    folder = tmp_path_factory.mktemp("identity")
    found = create_service_account(kube, namespace, NAME, list_operator_permissions(), folder)
    with install_policies(kube, namespace):
        # The API server goes by a policy some time after its status says that it is observed.
        body = build_config_map(namespace, "policies-in-force")
        client = impersonate_operator(namespace)
        eventually(lambda: is_refused(client.try_create(body), REFUSED))
        kube.delete("ConfigMap", namespace, "policies-in-force")
        yield found


@pytest.fixture(scope="module")
def nothing_refused(operator: OperatorProcess) -> Iterator[None]:
    """After the tests: no policy and no missing right has refused anything."""
    yield
    log = operator.read_log()
    assert "denied request" not in log, log
    assert "orbidden" not in log.replace("nodes is forbidden", ""), log


@pytest.fixture
def as_operator(namespace: str) -> KubeClient:
    """A client that is the operator, as if somebody had stolen its token."""
    return impersonate_operator(namespace)


def impersonate_operator(namespace: str) -> KubeClient:
    """Return a client with the operator's identity."""
    client = KubeClient()
    client.http.session.headers["Impersonate-User"] = service_account_user(namespace, NAME)
    return client


def is_refused(response: requests.Response, words: str) -> bool:
    """Whether a policy has refused a request with these words."""
    is_denied = response.status_code == requests.codes.forbidden and POLICY in response.text
    assert is_denied, (response.status_code, response.text)
    assert words in response.text
    return True


def build_config_map(namespace: str, name: str, **metadata: object) -> Json:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"key": "value"},
    }


REFUSED = "the operator writes only what belongs to a SelfHealingApp"


def test_what_belongs_to_nobody(as_operator: KubeClient, space: AppNamespace, name: str) -> None:
    """It can be neither created, changed, taken over by a label, nor deleted."""
    body = build_config_map(space.name, name)

    assert is_refused(as_operator.try_create(body), REFUSED)

    space.kube.create(body)

    for patch in (
        {"data": {"key": "other"}},
        {"metadata": {"labels": {"selfhealing.dev/app": "x"}}},
    ):
        assert is_refused(as_operator.try_patch("ConfigMap", space.name, name, patch), REFUSED)


def test_what_it_would_give_away(as_operator: KubeClient, space: AppNamespace, name: str) -> None:
    """An object of an app cannot be made nobody's."""
    label = "selfhealing.dev/app"
    space.kube.create(build_config_map(space.name, name, labels={label: "web"}))
    patch = {"metadata": {"labels": {label: None}}}

    assert is_refused(as_operator.try_patch("ConfigMap", space.name, name, patch), REFUSED)


def test_pods_of_others(as_operator: KubeClient, space: AppNamespace, name: str) -> None:
    """A pod without an app is not changed, resized or deleted; an eviction is not seen."""
    container = {"name": "app", "image": "demo:v1", "resources": {"requests": {"cpu": "1m"}}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space.name},
        "spec": {"containers": [container], **UNSCHEDULABLE},
    }
    space.kube.create(pod)
    resized = [
        {"op": "replace", "path": "/spec/containers/0/resources/requests/cpu", "value": "2m"}
    ]
    labels = [{"op": "add", "path": "/metadata/labels", "value": {"selfhealing.dev/app": "web"}}]

    assert is_refused(
        as_operator.try_patch("Pod", space.name, name, labels, form=JSON_PATCH), REFUSED
    )
    assert is_refused(
        as_operator.try_patch("Pod", space.name, name, resized, sub="resize"), REFUSED
    )
    assert is_refused(as_operator.try_delete("Pod", space.name, name), REFUSED)


def test_pods_are_only_tried(as_operator: KubeClient, space: AppNamespace, name: str) -> None:
    """A pod of an app is admitted in a dry run, and cannot be created."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": space.name,
            "labels": {"selfhealing.dev/app": name},
        },
        "spec": {"containers": [{"name": "app", "image": "demo:v1"}], **UNSCHEDULABLE},
    }

    assert is_refused(as_operator.try_create(pod), "creates pods only in a dry run")

    response = as_operator.try_create(pod, dry_run=True)

    assert response.ok, response.text


@pytest.mark.parametrize("kind", ["Pod", "SelfHealingApp"])
def test_events(as_operator: KubeClient, space: AppNamespace, name: str, kind: str) -> None:
    """They are about apps."""
    version = "v1" if kind == "Pod" else "selfhealing.dev/v1alpha1"
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{kind.lower()}", "namespace": space.name},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "selfhealing.dev/operator",
        "reportingInstance": "test",
        "action": "Test",
        "reason": "Test",
        "type": "Normal",
        "regarding": {
            "apiVersion": version,
            "kind": kind,
            "name": name,
            "namespace": space.name,
        },
    }
    response = as_operator.try_create(event)

    if kind == "Pod":
        assert is_refused(response, "only Events about SelfHealingApps")
    else:
        assert response.ok, response.text


@pytest.mark.parametrize("system", SYSTEM_NAMESPACES)
def test_the_namespaces_of_kubernetes(kube: KubeClient, namespace: str, system: str) -> None:
    """Nothing is written there, even with all rights; what others do there is not checked."""
    client = KubeClient()
    client.http.session.headers["Impersonate-User"] = service_account_user(namespace, NAME)
    client.http.session.headers["Impersonate-Group"] = "system:masters"
    body = build_config_map(system, "probe", labels={"selfhealing.dev/app": "web"})

    assert is_refused(
        client.try_create(body, dry_run=True), f"the operator writes nothing in {system}"
    )
    assert kube.try_create(body, dry_run=True).ok
