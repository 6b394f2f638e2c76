"""Pod security told early: by a warning at apply, and by a condition before a pod is refused.

The verdicts are compared with those of the API server's own admission.
"""

from collections.abc import Iterator, Mapping

import pytest
import requests

from hack.testkit.admission_policies import install_policies
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.wait import eventually
from selfhealing.health.pod_security import ADVICE, ENFORCE_LABEL, PodSecurityLevel
from selfhealing.health.pod_security_checks import Control
from tests.pod_security_cases import CASES, CONFINED, PodSecurityCase

Namespaces = Mapping[PodSecurityLevel, str]


@pytest.fixture(scope="module")
def namespaces(kube: KubeClient, namespace: str) -> Iterator[Namespaces]:
    """The operator's namespace, which enforces the level restricted, and one of baseline."""
    kube.merge_patch(
        "Namespace", None, namespace, {"metadata": {"labels": {ENFORCE_LABEL: "restricted"}}}
    )
    with temporary_namespace(kube, "test-baseline", {ENFORCE_LABEL: "baseline"}) as baseline:
        found = {PodSecurityLevel.RESTRICTED: namespace, PodSecurityLevel.BASELINE: baseline}
        eventually(
            lambda: all(kube.find("ServiceAccount", each, "default") for each in found.values()),
            description="pods are not refused for want of a ServiceAccount",
        )
        yield found


@pytest.fixture(scope="module")
def policies(kube: KubeClient, namespaces: Namespaces) -> Iterator[None]:
    """The policies in force in both namespaces."""
    first, second = namespaces.values()
    with install_policies(kube, first), install_policies(kube, second):
        eventually(
            lambda: all(warns_of_host_path(kube, each) for each in (first, second)),
            description="the policies warn",
        )
        yield


def warns_of_host_path(kube: KubeClient, namespace: str) -> bool:
    """Whether the policies are in force in a namespace."""
    volume = {"name": "data", "hostPath": {"path": "/"}}
    body = AppNamespace(kube, namespace).build_manifest("probe", volumes=[volume])
    return "hostPath" in read_warnings(kube.try_create(body, dry_run=True))


def read_warnings(response: requests.Response) -> str:
    """All warnings of a response, one after the other."""
    return response.headers.get("Warning", "")


@pytest.mark.parametrize("level", PodSecurityLevel)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_that_of_the_api_server(
    kube: KubeClient, namespaces: Namespaces, case: PodSecurityCase, level: PodSecurityLevel
) -> None:
    """A pod is refused where the operator's own checks find a violation, and only there."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": namespaces[level]},
        "spec": case.spec,
    }

    response = kube.try_create(body, dry_run=True)

    if case.controls(level):
        assert response.status_code == requests.codes.forbidden, response.text
        assert f'violates PodSecurity "{level}:latest"' in response.json()["message"]
    else:
        assert response.ok, response.text


def as_app_spec(case: PodSecurityCase) -> Json | None:
    """The spec of an app with such pods; None if an app cannot have them."""
    app, *sidecars = case.spec["containers"]
    context = app.get("securityContext", {})
    if "procMount" in context:
        return None
    ports = [
        {"name": f"port-{port['containerPort']}", "port": port["containerPort"]}
        | {field: port[field] for field in ("hostPort",) if field in port}
        for port in app.get("ports", ())
    ]
    probes = {
        probe: app[f"{probe}Probe"]
        for probe in ("liveness", "readiness", "startup")
        if f"{probe}Probe" in app
    }
    spec: Json = {
        "image": "demo:v1",
        "securityContext": context,
        "podSecurityContext": case.spec.get("securityContext"),
        "sidecars": sidecars,
        "probes": probes,
        "ports": ports,
        **{
            field: case.spec[field]
            for field in (
                "volumes",
                "hostUsers",
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "initContainers",
            )
            if field in case.spec
        },
        **({"lifecycle": app["lifecycle"]} if "lifecycle" in app else {}),
    }
    return {field: value for field, value in spec.items() if value not in (None, {}, [])}


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("level", PodSecurityLevel)
@pytest.mark.parametrize(
    "case", [case for case in CASES if as_app_spec(case)], ids=lambda case: case.name
)
def test_the_warnings_at_apply(
    kube: KubeClient, namespaces: Namespaces, case: PodSecurityCase, level: PodSecurityLevel
) -> None:
    """One for each control that the pods would not meet, with what to write instead."""
    space = AppNamespace(kube, namespaces[level])
    body = space.build_manifest("probe", **(as_app_spec(case) or {}))
    # A namespace with the level restricted has the controls of baseline as well.
    expected = case.baseline | (case.restricted if level == "restricted" else frozenset())

    response = kube.try_apply(body, dry_run=True)

    assert response.ok, response.text
    warned = {
        control
        for control in Control
        if f'would refuse the pods: {ADVICE[control]}"' in read_warnings(response)
    }
    assert expected == warned, read_warnings(response)


@pytest.mark.usefixtures("operator", "fake_nodes", "namespaces")
@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_the_condition(space: AppNamespace, name: str, policy: str) -> None:
    """It says what to write, as does an Event; when that is written, it is gone."""
    space.create_app(name, restartPolicy=policy, **FAKE_NODES)

    condition = eventually(
        lambda: space.get_condition(name, "PodSecurityAdmitted"), description="it is told"
    )
    assert ("False", "PodSecurityViolation") == (condition["status"], condition["reason"])
    assert ADVICE[Control.PRIVILEGE_ESCALATION] in condition["message"]
    event = space.wait_for_event(name, "PodSecurityViolation")
    assert ("Warning", condition["message"]) == (event["type"], event["note"])
    assert 1 == space.count_events(name)["PodSecurityViolation"]
    assert [] == space.list_pods(name)

    space.kube.delete("SelfHealingApp", space.name, name)
    eventually(
        lambda: space.kube.find("Deployment", space.name, name) is None, description="it is gone"
    )
    space.create_app(name, restartPolicy=policy, securityContext=CONFINED, **FAKE_NODES)

    eventually(lambda: space.list_pods(name), description="there are pods")
    assert {} == space.get_condition(name, "PodSecurityAdmitted")
