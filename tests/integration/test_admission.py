"""Admission policies, which change or refuse what the operator applies, as webhooks do."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.testkit.kube_client import Json, KubeClient, run_kubectl, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

API = "admissionregistration.k8s.io/v1"
MARKER_LABEL = "selfhealing.dev/admission"


@pytest.fixture(scope="module")
def namespace(kube: KubeClient) -> Iterator[str]:
    """A namespace that the policies are limited to."""
    if "mutatingadmissionpolicies" not in run_kubectl("api-resources", f"--api-group={API[:-3]}"):
        pytest.skip("this cluster has no MutatingAdmissionPolicy (Kubernetes 1.36)")
    with temporary_namespace(kube, "test-admission", {MARKER_LABEL: "true"}) as name:
        yield name


@contextmanager
def create_policy(
    kube: KubeClient, way: str, group: str, resource: str, spec: Json
) -> Iterator[None]:
    """A policy on one kind of object in the module's namespace while the block runs."""
    name = f"selfhealing-test-{uuid.uuid4().hex[:8]}"
    operations = ["CREATE", "UPDATE"]
    rule = {"apiGroups": [group], "apiVersions": ["*"], "resources": [resource]}
    body = {
        "apiVersion": API,
        "kind": f"{way}AdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {MARKER_LABEL: "true"}},
                "resourceRules": [rule | {"operations": operations}],
            },
            **spec,
        },
    }
    actions = {"validationActions": ["Deny"]} if way == "Validating" else {}
    binding = {
        "apiVersion": API,
        "kind": f"{way}AdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, **actions},
    }
    try:
        kube.create(body)
        kube.create(binding)
        yield
    finally:
        for suffix in ("Binding", ""):
            kube.delete(f"{way}AdmissionPolicy{suffix}", None, name)


def build_mutation(kind: str, expression: str) -> Json:
    """A mutation, by a JSON patch or as an apply."""
    field = "jsonPatch" if kind == "JSONPatch" else "applyConfiguration"
    return {
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": kind, field: {"expression": expression}}],
    }


def create_probe(space: AppNamespace) -> Json:
    """A Deployment that is not really made: what admission would make of it."""
    labels = {"who": "probe"}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe", "namespace": space.name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "demo:v1"}]},
            },
        },
    }
    found: Json = space.kube.try_create(body, dry_run=True).json()
    return found


INJECT = """Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
  containers: [Object.spec.template.spec.containers{name: "injected", image: "proxy:v1"}]}}}}"""
REWRITE = """[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image",
  value: "mirror.example.com/demo:v1"}]"""


def require_no_writes(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """Wait until the operator has done what it had to, and check that it leaves it at that."""
    space.wait_for_phase(name, "Ready")
    before = space.get_deployment(name)["metadata"]
    written = operator.count_writes()["patch Deployment"]
    consistently(
        lambda: operator.count_writes()["patch Deployment"] == written,
        seconds=1.5,
        description="at rest",
    )
    assert space.get_deployment(name)["metadata"]["generation"] == before["generation"]


def test_injected_sidecar(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """A sidecar that admission injects stays, and costs no further write."""
    with create_policy(
        space.kube, "Mutating", "apps", "deployments", build_mutation("ApplyConfiguration", INJECT)
    ):
        eventually(lambda: len(create_probe(space)["spec"]["template"]["spec"]["containers"]) == 2)
        space.create_app(name, **FAKE_NODES)

        require_no_writes(space, operator, name)

        containers = space.get_deployment(name)["spec"]["template"]["spec"]["containers"]
        assert sorted(container["name"] for container in containers) == ["app", "injected"]
        assert "DriftCorrected" not in space.count_events(name)


def test_rewritten_image(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """A field that admission rewrites each time is told and not fought over; drift still is."""
    with create_policy(
        space.kube, "Mutating", "apps", "deployments", build_mutation("JSONPatch", REWRITE)
    ):

        def rewritten() -> bool:
            container = create_probe(space)["spec"]["template"]["spec"]["containers"][0]
            return bool(container["image"] == "mirror.example.com/demo:v1")

        eventually(rewritten)
        space.create_app(name, **FAKE_NODES)

        require_no_writes(space, operator, name)

        assert space.get_container(name)["image"] == "mirror.example.com/demo:v1"
        assert f"{name}: something rewrites the Deployment" in operator.read_log()
        condition = space.get_condition(name, "Reconciled")
        assert (condition["status"], condition["reason"]) == ("False", "StoredDifferently")
        assert "template.spec.containers[app].image" in condition["message"]
        space.kube.merge_patch("Deployment", space.name, name, {"spec": {"replicas": 3}})
        eventually(lambda: space.get_deployment(name)["spec"]["replicas"] == 1)
        require_no_writes(space, operator, name)


def test_refusal(space: AppNamespace, name: str) -> None:
    """A child that a policy refuses: the policy's words in the condition; then it is made."""
    advice = "Services are made by the platform team"
    validation = {"validations": [{"expression": "false", "message": advice}]}
    with create_policy(space.kube, "Validating", "", "services", validation):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "probe", "namespace": space.name},
            "spec": {"ports": [{"port": 1}]},
        }
        eventually(lambda: not space.kube.try_create(service, dry_run=True).ok)
        space.create_app(name, port=80, **FAKE_NODES)

        def refused() -> bool:
            found = space.get_condition(name, "Reconciled")
            assert found.get("status") == "False"
            assert advice in found["message"]
            return True

        eventually(refused)
        assert space.find_child("Deployment", name) is not None

    eventually(lambda: space.kube.try_create(service, dry_run=True).ok)
    space.patch_spec(name, image="demo:v2")  # tried again at once; else after 30 s
    space.wait_for_phase(name, "Ready")
    assert space.find_child("Service", name) is not None
