"""What becomes of the parts of a Deployment, its Service, autoscaler, budget and Ingress."""

from typing import Any

import pytest
import yaml

from hack.testkit.yaml_text import parse_yaml
from selfhealing.importer import (
    ImportRefusedError,
    ImportResult,
    format_result,
    import_app,
    read_objects,
)

Json = dict[str, Any]

WEB = {"app": "web"}


def deployment(*containers: Json, name: str = "web", **pod: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": WEB},
            "template": {
                "metadata": {"labels": WEB},
                "spec": {"containers": list(containers) or [container()], **pod},
            },
        },
    }


def container(name: str = "web", **fields: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"name": name, "image": "registry.example.com/web:v1", **fields}


def child(kind: str, version: str, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(*ports: Json, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    return child("Service", "v1", name, selector=WEB, ports=list(ports), **spec)


def ingress(*paths: Json, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    rules = [{"host": "web.example.com", "http": {"paths": list(paths)}}]
    return child("Ingress", "networking.k8s.io/v1", name, rules=rules, **spec)


def backend(service_name: str, path: str = "/", **port: Any) -> Json:  # noqa: ANN401 - any JSON value
    target = {"service": {"name": service_name, "port": port}}
    return {"path": path, "pathType": "Prefix", "backend": target}


def gaps(result: ImportResult) -> dict[str, str]:
    both = (*result.differences, *result.unsaid)
    return {each.path: each.reason for each in both if not each.is_replaced}


def spec_of(*objects: Json) -> Json:
    result = import_app(objects)
    assert gaps(result) == {}
    assert result.says_all
    return dict(result.app["spec"])


IMAGE = {"image": "registry.example.com/web:v1"}
PORT_8080: Json = {"ports": [{"containerPort": 8080}]}


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


def test_ports_with_names_and_numbers_of_their_own() -> None:
    ports = [{"name": "api", "containerPort": 9000}, {"name": "metrics", "containerPort": 9100}]
    objects = (
        deployment(container(ports=ports)),
        service({"name": "api", "port": 443, "targetPort": "api", "appProtocol": "h2c"}),
    )

    assert spec_of(*objects)["ports"] == [
        {"name": "api", "port": 9000, "servicePort": 443, "appProtocol": "h2c"},
        {"name": "metrics", "port": 9100, "expose": False},
    ]


def test_two_ports_of_the_service_lead_to_one_of_the_pods() -> None:
    objects = (
        deployment(container(**PORT_8080)),
        service(
            {"name": "http", "port": 80, "targetPort": 8080},
            {"name": "https", "port": 443, "targetPort": 8080},
        ),
    )

    spec = spec_of(*objects)

    assert (spec["port"], spec["ports"]) == (
        8080,
        [{"name": "https", "port": 8080, "servicePort": 443}],
    )


def test_a_port_of_dns_has_two_protocols() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]
    objects = (
        deployment(container(ports=ports)),
        service(
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53},
        ),
    )

    assert spec_of(*objects)["ports"] == [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
    ]


def test_probes_keep_the_name_of_a_port_that_the_service_calls_otherwise() -> None:
    probe = {"httpGet": {"path": "/ok", "port": "old"}}
    hook = {"preStop": {"httpGet": {"path": "/stop", "port": "old"}}}
    own = [{"name": "old", "containerPort": 9000}]
    spec = spec_of(
        deployment(container(ports=own, livenessProbe=probe, lifecycle=hook)),
        service({"name": "new", "port": 9000}),
    )

    assert spec["probes"]["liveness"] == probe
    assert spec["lifecycle"] == hook


def test_the_container_behind_the_service_becomes_the_app() -> None:
    proxy = container("proxy", ports=[{"name": "https", "containerPort": 8443}])
    spec = spec_of(
        deployment(container("helper"), proxy), service({"port": 443, "targetPort": "https"})
    )

    assert [each["name"] for each in spec["sidecars"]] == ["helper"]


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


def test_an_ingress() -> None:
    spec = spec_of(
        deployment(container(**PORT_8080)),
        service({"name": "http", "port": 80, "targetPort": 8080}),
        ingress(
            backend("web", name="http"),
            ingressClassName="nginx",
            tls=[{"hosts": ["web.example.com"], "secretName": "web-tls"}],
        ),
    )

    assert spec["ingress"] == {
        "className": "nginx",
        "hosts": [{"host": "web.example.com"}],
        "tls": [{"secretName": "web-tls"}],
    }


def test_an_ingress_to_another_port_by_its_number() -> None:
    ports = [{"containerPort": 8080}, {"name": "admin", "containerPort": 9000}]
    spec = spec_of(
        deployment(container(ports=ports)),
        service({"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 9000}),
        ingress(backend("web", "/admin", number=9000)),
    )

    assert spec["ingress"] == {
        "port": "admin",
        "hosts": [{"host": "web.example.com", "paths": [{"path": "/admin"}]}],
    }


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


def test_an_app_with_the_name_of_its_service() -> None:
    """That is the name by which its callers find it."""
    port = {"port": 80, "targetPort": 8080}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "web-v1"},
    }
    objects = [
        deployment(container(**PORT_8080), name="web-v1", serviceAccountName="web-v1"),
        service(port, name="web-v1"),
        service(port, name="shop"),
        account,
    ]

    result = import_app(objects, app_name="shop")

    assert result.app["metadata"]["name"] == "shop"
    assert result.app["spec"]["serviceAccountName"] == "web-v1"
    assert [] == [path for path in gaps(result) if "metadata.name" in path]
    assert "it still selects the pods" in gaps(result)["Service web-v1"]
    names = {each.path: each.rendered for each in result.differences if each.is_replaced}
    assert names["Deployment.metadata.name"] == "shop"


def test_a_value_that_the_resource_refuses_is_left_out_and_named() -> None:
    result = import_app([deployment(container(workingDir=3))])

    assert "workingDir" not in result.app["spec"]
    assert "spec.workingDir" in gaps(result)


def test_comments_do_not_end_before_their_line() -> None:
    found = deployment()
    found["metadata"]["annotations"] = {"note": "a\nspec: {image: evil}\u2028x"}
    text = format_result(import_app([found]))

    assert parse_yaml(text)["spec"] == {"image": "registry.example.com/web:v1"}
    assert "Deployment.metadata.annotations.note" in text


def test_a_value_is_shown_as_it_is() -> None:
    """Characters that turn or hide what a reader sees are escapes; all others stay."""
    hidden = "a\u202eb\u2066c\u200bd\U000e0041\x07"
    script = "if true\n  then echo 你好\nfi\n"
    found = deployment(
        container(args=[hidden, script, "Grüße"], env=[{"name": "X", "value": "\t"}])
    )
    text = format_result(import_app([found]))

    assert all(char.isprintable() or char in "\n\t" for char in text)
    assert [hidden, script, "Grüße"] == parse_yaml(text)["spec"]["args"]
    assert "      then echo 你好\n" in text


def test_aliases_are_bounded() -> None:
    """Eight lines can stand for a billion parts; a few aliases are usual."""
    lines = ["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 9))]
    with pytest.raises(ImportRefusedError, match="its aliases make more than 1000000 parts of it"):
        read_objects("kind: X\n" + "\n".join(lines), "f")

    text = "kind: X\na: &a {b: 1}\nc: *a\n"
    assert [{"kind": "X", "a": {"b": 1}, "c": {"b": 1}}] == read_objects(text, "f")
    with pytest.raises(ImportRefusedError, match="is not YAML or JSON"):
        read_objects("kind: X\na: &a [*a]\n", "f")


def test_a_name_in_the_pod_template_says_nothing() -> None:
    """Kubernetes takes only labels, annotations and finalizers from there."""
    found = deployment()
    found["spec"]["template"]["metadata"] |= {"name": "web", "namespace": "shop"}

    assert IMAGE == spec_of(found)
    found["spec"]["template"]["metadata"]["finalizers"] = ["example.com/last"]
    assert ["Deployment.spec.template.metadata.finalizers"] == list(gaps(import_app([found])))


def test_a_fraction_is_written_in_quotes() -> None:
    """A Deployment takes it without, but the resource does not: it would be a number there."""
    resources = {"requests": {"cpu": 0.5}, "limits": {"cpu": 1.0, "memory": 1000000}}
    scaler = child(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        maxReplicas=3,
        metrics=[
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "rps"},
                    "target": {"type": "AverageValue", "averageValue": 0.25},
                },
            }
        ],
    )
    result = import_app([deployment(container(resources=resources)), scaler])
    spec = result.app["spec"]

    assert {"requests": {"cpu": "0.5"}, "limits": {"cpu": "1.0", "memory": 1000000}} == (
        spec["resources"]
    )
    assert "0.25" == spec["autoscaling"]["metrics"][0]["pods"]["target"]["averageValue"]
    assert {} == gaps(result)
    assert "cpu: '0.5'\n" in format_result(result)


@pytest.mark.parametrize("text", ["1e3", "5e-1", "12e5", "0o17", "0x1f", ".5", "7"])
def test_a_text_that_looks_like_a_number_is_written_in_quotes(text: str) -> None:
    """PyYAML reads some of them as text, and kubectl as numbers."""
    env = [{"name": "COMMIT", "value": text}]

    shown = format_result(import_app([deployment(container(env=env))]))

    assert f"value: '{text}'\n" in shown


def test_lists_and_many_documents_are_read() -> None:
    text = yaml.dump({"kind": "List", "items": [deployment()]}) + "---\n---\n{kind: X}\n"

    assert [each["kind"] for each in read_objects(text, "f")] == ["Deployment", "X"]


def test_a_time_is_a_string() -> None:
    assert read_objects("{kind: X, at: 2020-01-01T00:00:00Z}", "f") == [
        {"kind": "X", "at": "2020-01-01T00:00:00Z"}
    ]


def test_the_backup_of_a_cluster_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match="fewer files"):
        read_objects("---\n{kind: X}\n" * 10_001, "f")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("kind: &a [*a]", "is not YAML or JSON"),
        ("{kind: X, 1: x}", "is not YAML or JSON"),
        ("{kind: X, n: 99999999999999999999999}", "is not YAML or JSON"),
        ("a: {{ .Values }}", "helm template"),
        ("just text", "apiVersion, kind and metadata"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, advice: str) -> None:
    with pytest.raises(ImportRefusedError, match=advice):
        read_objects(text, "web.yaml")


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


def test_a_service_that_leads_to_no_port_is_named() -> None:
    result = import_app([deployment(), service({"port": 80, "targetPort": "none"})])

    assert gaps(result) == {"Service": "none of its ports leads to a port of the pods"}


def test_a_second_service_needs_another_selector() -> None:
    """It selects by a label that the operator sets."""
    port = {"port": 80, "targetPort": 8080}
    managed = {"app.kubernetes.io/managed-by": "helm"}
    shop = deployment(container(**PORT_8080), name="shop")
    shop["spec"]["template"]["metadata"]["labels"] = WEB | managed
    second = service(port)
    second["spec"]["selector"] = managed
    result = import_app([shop, service(port, name="shop"), second])

    assert "write selfhealing.dev/app: shop as its selector" in gaps(result)["Service web"]


def test_a_service_of_two_deployments_is_kept() -> None:
    """Of a canary: as the app's own it would lead to one of them alone."""
    port = {"port": 80, "targetPort": 8080}
    both = [deployment(container(**PORT_8080), name=f"web-{version}") for version in ("v1", "v2")]
    result = import_app([*both, service(port)], "web-v1")

    assert gaps(result) == {
        "Service web": "it leads to the pods of other Deployments, too: keep it: it still selects"
        " the pods"
    }
    assert result.app["spec"]["service"] == {"enabled": False}
    assert result.app["spec"]["podMetadata"] == {"labels": WEB}


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


@pytest.mark.parametrize(
    ("of_pod", "of_service", "expected"),
    [
        (None, "http", {"port": 8080}),
        ("http", "http", {"port": 8080}),
        ("http", None, {"port": 8080}),
        ("web", None, {"ports": [{"name": "web", "port": 8080, "servicePort": 80}]}),
        (None, "web", {"ports": [{"name": "web", "port": 8080, "servicePort": 80}]}),
        (
            "web",
            "http",
            {
                "ports": [
                    {"name": "web", "port": 8080, "servicePort": 80, "servicePortName": "http"}
                ]
            },
        ),
        (
            None,
            "8080",
            {
                "ports": [
                    {
                        "name": "p80-8080",
                        "port": 8080,
                        "servicePort": 80,
                        "servicePortName": "8080",
                    }
                ]
            },
        ),
        (
            "web",
            "tcp-of-the-service-monitor",
            {
                "ports": [
                    {
                        "name": "web",
                        "port": 8080,
                        "servicePort": 80,
                        "servicePortName": "tcp-of-the-service-monitor",
                    }
                ]
            },
        ),
    ],
)
def test_the_names_of_a_port(of_pod: str | None, of_service: str | None, expected: Json) -> None:
    """One for the pods and one for the Service, which may be longer or a number."""
    port: Json = {"containerPort": 8080, **({"name": of_pod} if of_pod else {})}
    own: Json = {"port": 80, "targetPort": 8080, **({"name": of_service} if of_service else {})}

    assert IMAGE | expected == spec_of(deployment(container(ports=[port])), service(own))


def test_node_ports_are_kept() -> None:
    spec = spec_of(
        deployment(container(**PORT_8080)),
        service({"port": 80, "targetPort": 8080, "nodePort": 30080}, type="NodePort"),
    )

    assert spec["service"] == {"type": "NodePort", "nodePort": 30080}


def test_a_headless_service_from_the_cluster() -> None:
    found = service({"port": 8080}, clusterIP="None", clusterIPs=["None"], ipFamilies=["IPv4"])
    found["metadata"]["uid"] = "u"

    assert spec_of(deployment(container(**PORT_8080)), found)["service"] == {"headless": True}


def test_an_ingress_with_a_default_backend_is_kept() -> None:
    own = ingress(backend("web", number=80), defaultBackend={"service": {"name": "web"}})
    result = import_app([deployment(container(**PORT_8080)), service({"port": 80}), own])

    assert list(gaps(result)) == ["Ingress web"]


def test_an_ingress_to_a_port_that_the_service_does_not_have() -> None:
    result = import_app(
        [
            deployment(container(**PORT_8080)),
            service({"name": "a", "port": 80, "targetPort": 8080}),
            ingress(backend("web", name="b")),
        ]
    )

    assert [path.rpartition(".")[2] for path in gaps(result)] == ["name"]


def test_an_ingress_to_the_second_of_three_ports() -> None:
    ports = [{"name": name, "port": number} for name, number in (("a", 1), ("b", 2), ("c", 3))]
    spec = spec_of(deployment(), service(*ports), ingress(backend("web", number=2)))

    assert spec["ingress"]["port"] == "b"


def test_a_port_that_is_not_in_the_service() -> None:
    """``port`` is always in the Service; so it stands under ``ports``."""
    ports = [{"containerPort": 9000}, {"name": "grpc", "containerPort": 9001}]
    spec = spec_of(deployment(container(ports=ports)), service({"name": "grpc", "port": 9001}))

    assert spec["ports"] == [
        {"name": "grpc", "port": 9001},
        {"name": "port-9000", "port": 9000, "expose": False},
    ]


def test_two_ports_of_one_name() -> None:
    """A name of the Service's port may be that of another port of the container."""
    other = {"name": "a", "containerPort": 2}
    own = service({"name": "a", "port": 80, "targetPort": 1})

    def find_names(first: Json) -> list[tuple[str, str | None]]:
        spec = spec_of(deployment(container(ports=[first, other])), own)
        return [(port["name"], port.get("servicePortName")) for port in spec["ports"]]

    assert find_names({"name": "b", "containerPort": 1}) == [("b", "a"), ("a", None)]
    assert find_names({"containerPort": 1}) == [("p80-1", "a"), ("a", None)]
    twice = [{"name": "a", "containerPort": number} for number in (1, 2)]  # Kubernetes refuses it
    spec = import_app([deployment(container(ports=twice))]).app["spec"]
    assert (spec["port"], [port["name"] for port in spec["ports"]]) == (2, ["a"])


def test_a_container_without_an_image_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match=r"spec\.image"):
        import_app([deployment({"name": "web"})])


def test_an_ingress_to_a_port_that_leads_nowhere() -> None:
    ports = [{"name": "a", "port": 1, "targetPort": "none"}, {"name": "b", "port": 2}]
    result = import_app([deployment(), service(*ports), ingress(backend("web", name="a"))])

    assert {path.partition(".")[0] for path in gaps(result)} == {"Service", "Ingress"}


def test_what_the_operator_adds_is_told() -> None:
    found = deployment()
    found["spec"]["replicas"] = 2
    result = import_app([found])

    assert ["PodDisruptionBudget" in result.notes[0], "WEB_PORT" in result.notes[1]] == [True, True]
    assert "The operator adds" in format_result(result)
    quiet = import_app([deployment(enableServiceLinks=False)])
    assert quiet.notes == ()
    assert "The operator adds" not in format_result(quiet)
