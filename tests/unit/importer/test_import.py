"""What becomes of the parts of a Deployment, its autoscaler and budget, and what is refused."""

from typing import Any

import pytest

from selfhealing.importer.object_text import ImportRefusedError
from selfhealing.importer.run import import_app
from selfhealing.importer.yaml_text import format_result
from tests.unit.importer.manifests import (
    IMAGE,
    PORT_8080,
    WEB,
    Json,
    backend,
    child,
    container,
    deployment,
    gaps,
    ingress,
    service,
    spec_of,
)


def test_the_shortest_app() -> None:
    objects = (deployment(container(**PORT_8080)), service({"port": 80, "targetPort": 8080}))

    assert spec_of(*objects) == {**IMAGE, "port": 8080}


def test_a_rollout_without_a_deadline() -> None:
    """Kubernetes takes this number for none; the resource asks for one."""
    live = deployment()
    live["spec"] |= {"progressDeadlineSeconds": 2**31 - 1, "minReadySeconds": 5}
    result = import_app([live])

    assert {"Deployment.spec.progressDeadlineSeconds"} == gaps(result).keys()
    assert {"progressDeadlineSeconds": 86400, "minReadySeconds": 5} == result.app["spec"]["rollout"]


def test_defaults_are_not_written() -> None:
    probe = {"httpGet": {"path": "/ok", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10}
    live = deployment(
        container(
            **PORT_8080,
            imagePullPolicy="IfNotPresent",
            terminationMessagePath="/dev/termination-log",
            readinessProbe=probe,
            resources={},
        ),
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        schedulerName="default-scheduler",
        securityContext={},
        terminationGracePeriodSeconds=30,
        priorityClassName="",
        enableServiceLinks=False,
    )
    live["spec"] |= {
        "replicas": 1,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        },
        "progressDeadlineSeconds": 600,
    }
    live["metadata"] |= {"uid": "u", "resourceVersion": "1", "managedFields": [{}]}
    live["status"] = {"readyReplicas": 1}
    found = service(
        {"port": 80, "targetPort": 8080, "protocol": "TCP"},
        clusterIP="10.0.0.1",
        clusterIPs=["10.0.0.1"],
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
        type="ClusterIP",
    )
    found["metadata"]["uid"] = "u"

    assert spec_of(live, found) == {
        **IMAGE,
        "port": 8080,
        "probes": {"readiness": {"httpGet": {"path": "/ok"}}},
    }


@pytest.mark.parametrize(
    ("image", "policy", "is_written"),
    [
        ("web", "Always", False),
        ("web:latest", "Always", False),
        ("localhost:5000/web:v1", "IfNotPresent", False),
        ("web@sha256:0", "IfNotPresent", False),
        ("web:v1", "Always", True),
    ],
)
def test_the_default_of_the_pull_policy_depends_on_the_tag(
    image: str, policy: str, *, is_written: bool
) -> None:
    spec = spec_of(deployment({"name": "web", "image": image, "imagePullPolicy": policy}))

    assert is_written == ("imagePullPolicy" in spec)


def test_a_sidecar_called_app_gets_another_name() -> None:
    reference = {"resourceFieldRef": {"containerName": "app", "resource": "limits.cpu"}}
    sidecar = container("app", env=[{"name": "CPU", "valueFrom": reference}])
    spec = spec_of(deployment(container("web"), sidecar))

    (imported,) = spec["sidecars"]
    assert imported["name"] == "app-2"
    assert imported["env"][0]["valueFrom"]["resourceFieldRef"]["containerName"] == "app-2"


def test_selectors_follow_the_labels_of_the_pods() -> None:
    """A constraint that selects by a label which the operator sets would count no pod."""
    managed = {"app.kubernetes.io/managed-by": "helm"}
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": WEB | managed},
    }
    found = deployment(name="shop", topologySpreadConstraints=[constraint])
    found["spec"]["template"]["metadata"]["labels"] = WEB | managed

    spec = spec_of(found)

    (imported,) = spec["topologySpreadConstraints"]
    ours = {"app.kubernetes.io/managed-by": "selfhealing-operator"}
    assert imported["labelSelector"] == {"matchLabels": WEB | ours}
    assert spec["podMetadata"] == {"labels": WEB}


def test_an_autoscaler_of_the_first_version() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = child(
        "HorizontalPodAutoscaler",
        "autoscaling/v1",
        scaleTargetRef=target,
        minReplicas=2,
        maxReplicas=5,
        targetCPUUtilizationPercentage=70,
    )
    found = deployment()
    found["spec"]["replicas"] = 3

    assert spec_of(found, scaler)["autoscaling"] == {
        "minReplicas": 2,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 70,
    }


def budget(**spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    return child("PodDisruptionBudget", "policy/v1", selector={"matchLabels": WEB}, **spec)


@pytest.mark.parametrize(
    ("replicas", "limit", "disruption"),
    [
        (3, {"maxUnavailable": 1}, None),
        (3, {"minAvailable": 2}, {"minAvailable": 2}),
        (3, {"minAvailable": "50%"}, {"minAvailable": "50%"}),
    ],
)
def test_a_budget(replicas: int, limit: Json, disruption: Json | None) -> None:
    found = deployment()
    found["spec"]["replicas"] = replicas

    assert spec_of(found, budget(**limit)).get("disruption") == disruption


@pytest.mark.parametrize(
    ("replicas", "limit"),
    [
        (3, {"maxUnavailable": 0}),
        (3, {"minAvailable": 3}),
        (3, {"minAvailable": "90%"}),
        (1, {"minAvailable": 1}),
    ],
)
def test_a_budget_that_blocks_every_drain_is_named(replicas: int, limit: Json) -> None:
    found = deployment()
    found["spec"]["replicas"] = replicas
    result = import_app([found, budget(**limit)])

    assert "disruption" not in result.app["spec"]
    assert ["drain" in reason for reason in gaps(result).values()] == [True]


@pytest.mark.parametrize(
    ("expression", "belongs"),
    [
        ({"key": "app", "operator": "In", "values": ["web"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
        ({"key": "app", "operator": "?"}, False),
    ],
)
def test_a_budget_that_selects_by_an_expression(expression: Json, *, belongs: bool) -> None:
    found = deployment()
    found["spec"]["replicas"] = 3
    other = child(
        "PodDisruptionBudget",
        "policy/v1",
        minAvailable=2,
        selector={"matchExpressions": [expression]},
    )

    assert belongs == ("disruption" in import_app([found, other]).app["spec"])


def test_what_one_app_has_no_place_for_is_kept() -> None:
    port = {"port": 80, "targetPort": 8080}
    result = import_app(
        [
            deployment(container(**PORT_8080)),
            service(port),
            service(port, name="web-public", type="LoadBalancer"),
            ingress(backend("web", number=80), backend("other", "/other", number=80)),
        ]
    )

    assert list(gaps(result)) == ["Service web-public", "Ingress web"]
    assert "keep it: it still selects the pods" in gaps(result)["Service web-public"]


def test_a_service_account_that_the_operator_can_create() -> None:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "web", "annotations": {"cloud.example.com/role": "web"}},
    }
    spec = spec_of(deployment(serviceAccountName="web"), account)

    assert spec["serviceAccount"] == {
        "create": True,
        "annotations": {"cloud.example.com/role": "web"},
    }
    assert spec["automountServiceAccountToken"], "the account of the operator mounts no token"


def test_fields_that_the_resource_does_not_have_are_named_with_their_reason() -> None:
    volume = {"name": "data", "awsElasticBlockStore": {"volumeID": "v"}}
    result = import_app([deployment(nodeName="node-1", volumes=[volume])])

    assert gaps(result) == {
        "Deployment.spec.template.spec.nodeName": "it bypasses the scheduler: write"
        " `nodeSelector` or `affinity`",
        "Deployment.spec.template.spec.volumes[data]": "deprecated, or replaced by CSI drivers",
    }


def test_the_mounts_of_a_volume_that_is_left_out_go_with_it() -> None:
    """Kubernetes refuses a mount without a volume."""
    mounts = [{"name": "disk", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/scratch"}]
    disk = {"name": "disk", "gcePersistentDisk": {"pdName": "data"}}
    found = deployment(
        container(volumeMounts=mounts),
        container("side", volumeMounts=mounts[:1]),
        initContainers=[container("init", volumeMounts=mounts)],
        volumes=[disk, {"name": "tmp", "emptyDir": {}}],
    )

    result = import_app([found])

    spec = result.app["spec"]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert spec["volumeMounts"] == spec["initContainers"][0]["volumeMounts"] == mounts[1:]
    assert "volumeMounts" not in spec["sidecars"][0]
    pod = "Deployment.spec.template.spec"
    for field in ("containers[web]", "containers[side]", "initContainers[init]"):
        assert "its volume is left out" in gaps(result)[f"{pod}.{field}.volumeMounts[/data]"]
    assert "CSI" in gaps(result)[f"{pod}.volumes[disk]"]


def test_a_value_that_the_resource_refuses_is_left_out_and_named() -> None:
    result = import_app([deployment(container(workingDir=3))])

    assert "workingDir" not in result.app["spec"]
    assert "spec.workingDir" in gaps(result)


def test_a_name_in_the_pod_template_says_nothing() -> None:
    """Kubernetes takes only labels, annotations and finalizers from there."""
    found = deployment()
    found["spec"]["template"]["metadata"] |= {"name": "web", "namespace": "shop"}

    assert IMAGE == spec_of(found)
    found["spec"]["template"]["metadata"]["finalizers"] = ["example.com/last"]
    assert ["Deployment.spec.template.metadata.finalizers"] == list(gaps(import_app([found])))


def test_no_deployment_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match="StatefulSets"):
        import_app([])


@pytest.mark.parametrize(
    ("name", "advice"),
    [(None, "--deployment with one of a, b"), ("c", "--deployment with one of a, b")],
)
def test_several_deployments_need_a_name(name: str | None, advice: str) -> None:
    with pytest.raises(ImportRefusedError, match=advice):
        import_app([deployment(name="a"), deployment(name="b")], name)


def test_two_of_one_name_need_a_namespace() -> None:
    both = [deployment(), deployment()]
    for each, namespace in zip(both, ("a", "b"), strict=True):
        each["metadata"]["namespace"] = namespace

    with pytest.raises(ImportRefusedError, match="--namespace"):
        import_app(both, "web")
    assert import_app(both, "web", "b").app["metadata"]["namespace"] == "b"


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        ({**deployment(), "apiVersion": "extensions/v1beta1"}, "write apps/v1"),
        (deployment(name="Web.1"), "write --name with at most 63"),
        ({**deployment(), "metadata": {}}, "metadata.name"),
        ({**deployment(), "spec": {}}, "containers"),
        (deployment(container(env="x")), r"env is no list of objects"),
    ],
)
def test_a_deployment_that_can_be_no_app_is_refused(found: Json, advice: str) -> None:
    with pytest.raises(ImportRefusedError, match=advice):
        import_app([found])


def test_an_old_version_of_another_object_is_refused() -> None:
    old = {**ingress(backend("web", number=80)), "apiVersion": "extensions/v1beta1"}

    with pytest.raises(ImportRefusedError, match=r"write networking\.k8s\.io/v1"):
        import_app([deployment(container(**PORT_8080)), service({"port": 80}), old])


def test_a_second_budget_is_superfluous() -> None:
    found = deployment()
    found["spec"]["replicas"] = 3
    second = budget(maxUnavailable=2)
    second["metadata"]["name"] = "second"

    assert (
        "remove it"
        in gaps(import_app([found, budget(maxUnavailable=1), second]))["PodDisruptionBudget second"]
    )


def test_the_reason_is_found_for_a_field_within() -> None:
    env = [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "a", "path": "p", "volumeName": "v"}}}]
    lifecycle = {"stopSignal": "SIGUSR1", "preStop": {"sleep": {"seconds": 1}}}
    result = import_app([deployment(container(env=env, lifecycle=lifecycle))])

    path = "Deployment.spec.template.spec.containers[web]"
    assert gaps(result) == {
        f"{path}.env[A]": "beta: let the app read the file",
        f"{path}.lifecycle.stopSignal": "behind a feature gate",
    }


def test_a_container_without_an_image_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match=r"spec\.image"):
        import_app([deployment({"name": "web"})])


def test_what_the_operator_adds_is_told() -> None:
    found = deployment()
    found["spec"]["replicas"] = 2
    result = import_app([found])

    assert ["PodDisruptionBudget" in result.notes[0], "WEB_PORT" in result.notes[1]] == [True, True]
    assert "The operator adds" in format_result(result)
    quiet = import_app([deployment(enableServiceLinks=False)])
    assert quiet.notes == ()
    assert "The operator adds" not in format_result(quiet)
