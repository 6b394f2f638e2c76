"""What kubectl shows and says of the resource: columns, explain, scale, short names, status."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hack.testkit.fixtures import CRD_FILE, build_app
from hack.testkit.kube_client import KubeClient, run_kubectl
from selfhealing.api.status import (
    AutoscalingStatus,
    Condition,
    ConditionStatus,
    CountedRestarts,
    LastRestart,
    Phase,
    PodRestart,
    PodStatus,
    ProbesStatus,
    RestartsStatus,
    SelfHealingAppStatus,
    read_status,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)

FULL = SelfHealingAppStatus(
    observed_generation=1,
    phase=Phase.READY,
    ready="2/2",
    replicas=2,
    ready_replicas=2,
    updated_replicas=2,
    selector="selfhealing.dev/app=shown",
    image="nginx:1.29",
    endpoint="http://shown.test.svc:80",
    message="2 of 2 pods are ready",
    last_heal_time=NOON,
    restarts=RestartsStatus(
        current=1,
        total=4,
        by_reason={"LivenessProbe": 3, "OOMKilled": 1},
        last=PodRestart(pod="p", container="app", reason="LivenessProbe", exit_code=137, at=NOON),
        counted=[
            CountedRestarts(
                pod="p", uid="u", container="app", count=4, reason="Error", finished_at=NOON
            )
        ],
    ),
    pods=[
        PodStatus(
            name="p",
            node="n",
            phase="Running",
            ready=True,
            restarts=1,
            last_restart=LastRestart(container="app", reason="Error", exit_code=1, at=NOON),
        )
    ],
    probes=ProbesStatus(liveness="http GET :5000/health every 5s, 3 failures"),
    autoscaling=AutoscalingStatus(
        current=2, desired=2, min=1, max=5, cpu="31%/50%", last_scale_time=NOON
    ),
    conditions=[
        Condition(
            type="Ready",
            status=ConditionStatus.TRUE,
            reason="AllReady",
            message="2 of 2 pods are ready",
            last_transition_time=NOON,
            observed_generation=1,
        )
    ],
)


@pytest.fixture
def stored(kube: KubeClient, namespace: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a stored resource with the spec that the test gives."""
    spec: dict[str, Any] = getattr(request, "param", {"image": "nginx:1.29"})
    name = "shown"
    kube.create(build_app(namespace, name, spec))
    yield name
    kube.delete("SelfHealingApp", namespace, name)


def test_every_part_of_a_status_is_stored_as_it_was_written(
    kube: KubeClient, namespace: str, stored: str
) -> None:
    """Nothing of the status models is unknown to the CRD."""
    kube.merge_patch("SelfHealingApp", namespace, stored, {"status": FULL.to_json()}, sub="status")
    status = kube.get("SelfHealingApp", namespace, stored)["status"]

    assert status == FULL.to_json()
    assert read_status(status) == FULL


def test_the_columns_show_the_status(kube: KubeClient, namespace: str, stored: str) -> None:
    """One line for each app; -o wide says more."""
    kube.merge_patch("SelfHealingApp", namespace, stored, {"status": FULL.to_json()}, sub="status")

    head, line = run_kubectl("get", "sha", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "STATUS", "READY", "RESTARTS", "LAST-HEAL", "AGE"]
    assert line.split()[:4] == ["shown", "Ready", "2/2", "4"]

    head, line = run_kubectl("get", "sha", "-n", namespace, "-o", "wide").splitlines()
    assert head.split()[6:] == ["IMAGE", "REPLICAS", "MESSAGE"]
    assert line.split()[6:] == ["nginx:1.29", "2", "2", "of", "2", "pods", "are", "ready"]


def test_kubectl_waits_for_a_condition(kube: KubeClient, namespace: str, stored: str) -> None:
    """For scripts."""
    kube.merge_patch("SelfHealingApp", namespace, stored, {"status": FULL.to_json()}, sub="status")

    said = run_kubectl("wait", "--for=condition=Ready", f"sha/{stored}", "-n", namespace)
    assert "condition met" in said


def test_the_resource_is_among_all(namespace: str, stored: str) -> None:
    """`kubectl get all` shows it."""
    assert f"selfhealingapp.selfhealing.dev/{stored}" in run_kubectl("get", "all", "-n", namespace)


@pytest.mark.parametrize(
    "stored", [{"image": "nginx:1.29"}, {"image": "nginx:1.29", "replicas": 1}], indirect=True
)
def test_kubectl_scales_an_app(kube: KubeClient, namespace: str, stored: str) -> None:
    """Whether or not the number of replicas was given before."""
    run_kubectl("scale", f"sha/{stored}", "--replicas=3", "-n", namespace)

    assert kube.get("SelfHealingApp", namespace, stored)["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "stored", [{"image": "nginx:1.29", "autoscaling": {"maxReplicas": 5}}], indirect=True
)
def test_kubectl_does_not_scale_against_the_autoscaler(
    kube: KubeClient, namespace: str, stored: str
) -> None:
    """It says why, and what to do instead."""
    said = run_kubectl("scale", f"sha/{stored}", "--replicas=3", "-n", namespace, check=False)

    assert "remove replicas (the autoscaler stays between minReplicas and maxReplicas)" in said
    assert kube.get("SelfHealingApp", namespace, stored)["spec"]["replicas"] == 1


@pytest.mark.usefixtures("kube")
@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("sha", "An app that the operator runs and remediates."),
        ("sha.spec", "The container image."),
        ("sha.spec.probes.liveness", "The kubelet restarts a container that fails it."),
        ("sha.spec.probes.liveness.httpGet", "Path to access on the HTTP server."),
        ("sha.spec.affinity.podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
        ("sha.status.restarts", "All restarts since the resource was created"),
    ],
)
def test_kubectl_explains(field: str, words: str) -> None:
    """Our own fields and Kubernetes'."""
    assert words in " ".join(run_kubectl("explain", field).split())


@pytest.mark.usefixtures("kube")
@pytest.mark.parametrize("stored", [{"image": "nginx:1.29"}], indirect=True)
def test_a_misspelt_field_of_an_update(namespace: str, stored: str) -> None:
    """Server-side the answer is one line, as docs/troubleshooting.md says."""
    wrong = {"image": "nginx:1.29", "probes": {"liveness": {"failureTreshold": 3}}}
    manifest = json.dumps(build_app(namespace, stored, wrong))
    command = ("apply", "--server-side", "--force-conflicts", "-f", "-")

    answer = run_kubectl(*command, stdin=manifest, check=False)

    assert 1 == len(answer.splitlines())
    assert ".spec.probes.liveness.failureTreshold: field not declared in schema" in answer


def test_kubectl_applies_the_crd() -> None:
    """Server-side: the annotation of a client-side apply has a limit of 256 KiB."""
    said = run_kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(CRD_FILE)
    )

    assert "customresourcedefinition.apiextensions.k8s.io/selfhealingapps.selfhealing.dev" in said
