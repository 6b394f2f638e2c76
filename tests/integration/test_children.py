"""What an app becomes: Deployment, Service, autoscaler, budget (api.md, "Children")."""

from collections.abc import Iterator

import pytest

from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import FAKE_NODES, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("operator")

CHILD_KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")


@pytest.fixture(scope="module")
def full(space: AppNamespace, operator: OperatorProcess) -> Iterator[str]:  # noqa: ARG001 - it must run
    """An app with one child of each kind."""
    space.create_app(
        "full",
        port=5000,
        probes={
            "liveness": {"httpGet": {"path": "/health"}, "initialDelaySeconds": 0},
            "readiness": {"tcpSocket": {}, "periodSeconds": 2, "failureThreshold": 1},
            "startup": {"httpGet": {"path": "/started", "port": 9000}},
        },
        autoscaling={"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
        **UNSCHEDULABLE,
    )
    space.wait_until_reconciled("full")
    yield "full"
    space.kube.delete("SelfHealingApp", space.name, "full")


def test_smallest_app_is_a_deployment_of_one_pod_and_nothing_else(
    space: AppNamespace, name: str
) -> None:
    """``image`` alone makes one pod, no Service, no autoscaler, no budget and no probe."""
    space.create_app(name, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)

    deployment = space.get_deployment(name)
    container = deployment["spec"]["template"]["spec"]["containers"][0]

    assert deployment["spec"]["replicas"] == 1
    assert container["image"] == "demo:v1"
    assert container["name"] == "app"
    assert not container.keys() & {"livenessProbe", "readinessProbe", "startupProbe", "ports"}
    assert space.find_child("Service", name) is None
    assert space.find_child("HorizontalPodAutoscaler", name) is None
    assert space.find_child("PodDisruptionBudget", name) is None


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_child_is_named_and_labelled_as_the_resource(
    space: AppNamespace, full: str, kind: str
) -> None:
    """Every child has the resource's name and the labels of every tutorial."""
    meta = space.get_child(kind, full)["metadata"]

    assert meta["labels"] == {
        "selfhealing.dev/app": "full",
        "app": "full",
        "app.kubernetes.io/name": "full",
        "app.kubernetes.io/instance": "full",
        "app.kubernetes.io/managed-by": "selfhealing-operator",
        "app.kubernetes.io/part-of": "full",
    }


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_child_is_owned_by_the_resource(space: AppNamespace, full: str, kind: str) -> None:
    """Every child names the resource as its one controlling owner."""
    owners = space.get_child(kind, full)["metadata"]["ownerReferences"]

    assert owners == [
        {
            "apiVersion": "selfhealing.dev/v1alpha1",
            "kind": "SelfHealingApp",
            "name": "full",
            "uid": space.get_app(full)["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_child_is_applied_by_the_field_manager(space: AppNamespace, full: str, kind: str) -> None:
    """The spec of every child is owned by an Apply of ``selfhealing-operator``."""
    fields = space.get_child(kind, full)["metadata"]["managedFields"]
    applied = [entry["manager"] for entry in fields if entry["operation"] == "Apply"]

    assert "selfhealing-operator" in applied
    assert not [
        entry
        for entry in fields
        if entry["manager"] == "selfhealing-operator" and entry["operation"] != "Apply"
    ]


@pytest.mark.parametrize("kind", [*CHILD_KINDS, "SelfHealingApp"])
def test_nothing_has_a_finalizer(space: AppNamespace, full: str, kind: str) -> None:
    """Neither the resource nor a child waits for the operator when it is deleted."""
    assert "finalizers" not in space.get_child(kind, full)["metadata"]


def test_pods_are_found_by_the_label_of_every_tutorial(space: AppNamespace, full: str) -> None:
    """``kubectl get pods -l app=NAME`` lists the app's pods."""

    def pods() -> list[str]:
        return run_kubectl(
            "-n", space.name, "get", "pods", "-l", f"app={full}", "-o", "name"
        ).split()

    assert eventually(lambda: len(pods()) == 2, description="two pods")


def test_selector_is_one_label_that_never_changes(space: AppNamespace, full: str) -> None:
    """The Deployment and the Service select by ``selfhealing.dev/app`` alone."""
    assert space.get_deployment(full)["spec"]["selector"] == {
        "matchLabels": {"selfhealing.dev/app": "full"}
    }
    assert space.get_service(full)["spec"]["selector"] == {"selfhealing.dev/app": "full"}


def test_probe_asks_the_apps_port_where_it_names_none(space: AppNamespace, full: str) -> None:
    """A probe handler without a port asks ``spec.port``; one with a port asks that."""
    container = space.get_container(full)

    assert container["livenessProbe"]["httpGet"]["port"] == 5000
    assert container["readinessProbe"]["tcpSocket"]["port"] == 5000
    assert container["startupProbe"]["httpGet"]["port"] == 9000


def test_probe_settings_are_the_users_and_the_rest_kubernetes_own(
    space: AppNamespace, full: str
) -> None:
    """Given timing fields arrive as given; the others have the API server's defaults."""
    container = space.get_container(full)

    assert container["livenessProbe"] == {
        "httpGet": {"path": "/health", "port": 5000, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["readinessProbe"]["periodSeconds"] == 2
    assert container["readinessProbe"]["failureThreshold"] == 1


def test_service_leads_to_the_apps_port(space: AppNamespace, full: str) -> None:
    """The Service listens on 80 and leads to the container port ``http``, which is ``port``."""
    service = space.get_service(full)["spec"]

    assert service["type"] == "ClusterIP"
    assert service["ports"] == [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    ]
    assert space.get_container(full)["ports"] == [
        {"name": "http", "containerPort": 5000, "protocol": "TCP"}
    ]


def test_autoscaler_is_autoscaling_v2_on_the_deployment(space: AppNamespace, full: str) -> None:
    """The autoscaler has the spec's bounds and target, and scales the Deployment."""
    autoscaler = space.get_autoscaler(full)

    assert autoscaler["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "full",
    }
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 5)
    assert autoscaler["spec"]["metrics"] == [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 50},
            },
        }
    ]


def test_full_service_of_every_type(space: AppNamespace, name: str) -> None:
    """Type, port, node port and annotations of the Service follow the spec, there and back."""
    space.create_app(
        name,
        port=8080,
        service={"type": "NodePort", "port": 8000, "annotations": {"example.com/a": "b"}},
        **UNSCHEDULABLE,
    )
    space.wait_until_reconciled(name)
    service = space.get_service(name)
    assert service["metadata"]["annotations"]["example.com/a"] == "b"
    assert (service["spec"]["type"], service["spec"]["ports"][0]["port"]) == ("NodePort", 8000)
    chosen = service["spec"]["ports"][0]["nodePort"]

    space.patch_spec(name, service={"nodePort": chosen})
    space.wait_until_reconciled(name)
    assert space.get_service(name)["spec"]["ports"][0]["nodePort"] == chosen

    space.patch_spec(name, service={"type": "LoadBalancer", "nodePort": None, "annotations": None})
    space.wait_until_reconciled(name)
    service = space.get_service(name)
    assert service["spec"]["type"] == "LoadBalancer"
    assert "example.com/a" not in service["metadata"]["annotations"]

    space.patch_spec(name, service={"type": None, "port": None})
    space.wait_until_reconciled(name)
    service = space.get_service(name)["spec"]
    assert service["type"] == "ClusterIP"
    assert service["ports"] == [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    ]


FULL_SPEC: Json = {
    "imagePullPolicy": "IfNotPresent",
    "imagePullSecrets": [{"name": "pull"}],
    "command": ["serve"],
    "args": ["--verbose"],
    "workingDir": "/srv",
    "env": [
        {"name": "A", "value": "1"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}, "limits": {"memory": "1G"}},
    "rollout": {
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "minReadySeconds": 1,
        "progressDeadlineSeconds": 60,
        "revisionHistoryLimit": 3,
    },
    "securityContext": {"readOnlyRootFilesystem": True, "runAsNonRoot": True},
    "podSecurityContext": {"fsGroup": 1000},
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 5,
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "x"}},
                    },
                }
            ]
        }
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "x"}},
        }
    ],
    "priorityClassName": "system-cluster-critical",
    "volumes": [
        {"name": "tmp", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "settings"}},
    ],
    "volumeMounts": [{"name": "tmp", "mountPath": "/scratch"}],
    "initContainers": [{"name": "prepare", "image": "demo:v1", "command": ["prepare"]}],
    "sidecars": [{"name": "proxy", "image": "proxy:v1"}],
    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    **FAKE_NODES,
}


def test_every_field_arrives_and_is_then_at_rest(space: AppNamespace, name: str) -> None:
    """Every field of the spec reaches the pod template, and its live spelling is no drift."""
    space.create_app(name, port=5000, **FULL_SPEC)
    space.wait_until_reconciled(name)

    deployment = space.get_deployment(name)
    template = deployment["spec"]["template"]["spec"]
    container = next(c for c in template["containers"] if c["name"] == "app")

    assert container["command"] == ["serve"]
    assert container["args"] == ["--verbose"]
    assert container["workingDir"] == "/srv"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert [entry["name"] for entry in container["env"]] == ["A", "POD"]
    assert container["envFrom"] == FULL_SPEC["envFrom"]
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "64Mi"}
    assert container["securityContext"] == FULL_SPEC["securityContext"]
    assert container["lifecycle"] == FULL_SPEC["lifecycle"]
    assert container["volumeMounts"] == FULL_SPEC["volumeMounts"]
    assert [c["name"] for c in template["containers"]] == ["app", "proxy"]
    assert [c["name"] for c in template["initContainers"]] == ["prepare"]
    assert [volume["name"] for volume in template["volumes"]] == ["tmp", "settings"]
    assert template["imagePullSecrets"] == [{"name": "pull"}]
    assert template["securityContext"] == {"fsGroup": 1000}
    assert template["serviceAccountName"] == "default"
    assert template["terminationGracePeriodSeconds"] == 5
    assert template["affinity"] == FULL_SPEC["affinity"]
    assert template["topologySpreadConstraints"] == FULL_SPEC["topologySpreadConstraints"]
    assert template["priorityClassName"] == "system-cluster-critical"
    assert template["nodeSelector"] == {"type": "kwok"}
    assert template["tolerations"] == FULL_SPEC["tolerations"]
    assert deployment["spec"]["strategy"] == FULL_SPEC["rollout"]["strategy"]
    assert deployment["spec"]["minReadySeconds"] == 1
    assert deployment["spec"]["progressDeadlineSeconds"] == 60
    assert deployment["spec"]["revisionHistoryLimit"] == 3
    assert "DriftCorrected" not in space.count_events(name)
    assert deployment["metadata"]["generation"] == 1
