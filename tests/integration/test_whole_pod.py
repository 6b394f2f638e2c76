"""Ports, the Service and every field of a pod: they arrive, are at rest, and go with the spec."""

import pytest

from hack.testkit.kube_client import Json
from hack.testkit.namespace import UNSCHEDULABLE, AppNamespace
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("operator")

POD_FIELDS: Json = {
    "podMetadata": {
        "labels": {"version": "v1", "app.kubernetes.io/part-of": "shop"},
        "annotations": {"example.com/scrape": "true"},
    },
    "shareProcessNamespace": True,
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.96.0.10"], "options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.0.0.10", "hostnames": ["db.example"]}],
    "hostname": "web",
    "subdomain": "shop",
    "setHostnameAsFQDN": False,
    "schedulerName": "nobody",
    "readinessGates": [{"conditionType": "example.com/registered"}],
    "terminationMessagePath": "/var/log/end",
    "terminationMessagePolicy": "FallbackToLogsOnError",
    "stdin": True,
    "tty": True,
    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "initContainers": [
        {
            "name": "mesh",
            "image": "mesh:v1",
            "restartPolicy": "Always",
            "startupProbe": {"tcpSocket": {"port": 15021}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        }
    ],
}
SERVICE: Json = {
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    "internalTrafficPolicy": "Local",
    "trafficDistribution": "PreferClose",
    "ipFamilyPolicy": "SingleStack",
    "labels": {"example.com/exposed": "true"},
}
PORTS: list[Json] = [
    {"name": "dns", "port": 5353, "protocol": "UDP", "servicePort": 53},
    {"name": "grpc", "port": 9000, "appProtocol": "kubernetes.io/h2c"},
    {"name": "alias", "port": 9000, "servicePort": 9001, "servicePortName": "alias-of-grpc"},
    {"name": "metrics", "port": 9090, "expose": False},
]


OTHER_IDENTITY = {"example.com/role": "admin"}


def _is_as_before(account: Json, before: Json) -> bool:
    """Whether a ServiceAccount has what the operator gave it."""
    role = account.get("metadata", {}).get("annotations", {}).get("example.com/role")
    return bool(
        account.get("automountServiceAccountToken") is False
        and role == before["metadata"]["annotations"]["example.com/role"]
    )


def read_pod_template(space: AppNamespace, name: str) -> Json:
    template: Json = space.get_deployment(name)["spec"]["template"]
    return template


def test_fields_of_the_pod_come_and_go(space: AppNamespace, name: str) -> None:
    """What the spec no longer says is gone from the template, other than Kubernetes' defaults."""
    space.create_app(name, **POD_FIELDS, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    with_all = read_pod_template(space, name)

    space.patch_spec(name, **dict.fromkeys(POD_FIELDS))
    space.wait_until_reconciled(name)
    with_none = read_pod_template(space, name)

    assert POD_FIELDS["podMetadata"]["labels"].items() <= with_all["metadata"]["labels"].items()
    assert POD_FIELDS["podMetadata"]["annotations"] == with_all["metadata"]["annotations"]
    assert POD_FIELDS["dnsConfig"] == with_all["spec"]["dnsConfig"]
    assert False is with_all["spec"]["enableServiceLinks"]
    assert "Always" == with_all["spec"]["initContainers"][0]["restartPolicy"]
    assert "FallbackToLogsOnError" == with_all["spec"]["containers"][0]["terminationMessagePolicy"]

    labels = with_none["metadata"]["labels"]
    assert "version" not in labels
    assert name == labels["app.kubernetes.io/part-of"]
    assert "annotations" not in with_none["metadata"]
    kept = with_none["spec"].keys() & POD_FIELDS.keys()
    assert {"dnsPolicy", "schedulerName"} == kept
    assert ("ClusterFirst", "default-scheduler") == (
        with_none["spec"]["dnsPolicy"],
        with_none["spec"]["schedulerName"],
    )
    assert "DriftCorrected" not in space.count_events(name)


def test_ports_and_the_service_come_and_go(space: AppNamespace, name: str) -> None:
    """The Service has the exposed ports, and Kubernetes' defaults for what is not given."""
    probes = {"readiness": {"httpGet": {"port": "metrics"}}}
    space.create_app(name, port=8080, ports=PORTS, service=SERVICE, probes=probes, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    with_all = space.get_service(name)

    space.patch_spec(name, ports=None, service=None, probes=None)
    space.wait_until_reconciled(name)
    with_none = space.get_service(name)["spec"]

    assert [
        ("http", 80, "http"),
        ("dns", 53, "dns"),
        ("grpc", 9000, 9000),
        ("alias-of-grpc", 9001, 9000),
    ] == [(port["name"], port["port"], port["targetPort"]) for port in with_all["spec"]["ports"]]
    assert "true" == with_all["metadata"]["labels"]["example.com/exposed"]
    assert "PreferClose" == with_all["spec"]["trafficDistribution"]
    assert ["http"] == [port["name"] for port in with_none["ports"]]
    assert ("None", "Cluster") == (
        with_none["sessionAffinity"],
        with_none["internalTrafficPolicy"],
    )
    assert not {"sessionAffinityConfig", "trafficDistribution"} & with_none.keys()
    assert "DriftCorrected" not in space.count_events(name)


def test_every_field_of_a_service_is_put_back(space: AppNamespace, name: str) -> None:
    """What somebody changes or removes of it at once."""
    space.create_app(name, port=8080, ports=PORTS, service=SERVICE, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    before = space.get_service(name)
    change: Json = {
        "metadata": {"labels": {"example.com/exposed": None}},
        "spec": {
            "sessionAffinity": "None",
            "sessionAffinityConfig": None,
            "internalTrafficPolicy": "Cluster",
            "trafficDistribution": None,
        },
    }

    space.kube.merge_patch("Service", space.name, name, change)

    eventually(
        lambda: (
            space.get_service(name)["spec"] == before["spec"]
            and space.get_service(name)["metadata"]["labels"] == before["metadata"]["labels"]
        ),
        description="the Service is as before",
    )
    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1


def test_a_service_becomes_headless_by_way_of_none(space: AppNamespace, name: str) -> None:
    """Kubernetes keeps the address of a Service for good; so the Service is made anew."""
    space.create_app(name, port=8080, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    body = space.kube.get("SelfHealingApp", space.name, name)
    body["spec"]["service"] = {"headless": True}
    refusal = space.kube.try_apply(
        {key: body[key] for key in ("apiVersion", "kind", "spec")}
        | {"metadata": {"name": name, "namespace": space.name}},
        dry_run=True,
    )

    space.patch_spec(name, service={"enabled": False})
    space.wait_until_reconciled(name)
    assert space.kube.find("Service", space.name, name) is None
    space.patch_spec(name, service={"enabled": True, "headless": True})
    space.wait_until_reconciled(name)

    assert "first write service.enabled: false" in refusal.text
    assert "None" == space.get_service(name)["spec"]["clusterIP"]
    assert [8080] == [port["port"] for port in space.get_service(name)["spec"]["ports"]]


def test_an_account_of_its_own_comes_and_goes(space: AppNamespace, name: str) -> None:
    """It has the annotations of the spec, what others change is put back, and it is removed."""
    identity = {"example.com/role": "reader"}
    space.create_app(
        name, serviceAccount={"create": True, "annotations": identity}, **UNSCHEDULABLE
    )
    space.wait_until_reconciled(name)
    account = space.get_child("ServiceAccount", name)
    pod_spec = read_pod_template(space, name)["spec"]

    other = {"automountServiceAccountToken": True, "metadata": {"annotations": OTHER_IDENTITY}}
    space.kube.merge_patch("ServiceAccount", space.name, name, other)
    eventually(
        lambda: _is_as_before(space.get_child("ServiceAccount", name), account),
        description="the token is not mounted again, and the identity is that of the spec",
    )
    space.kube.delete("ServiceAccount", space.name, name)
    eventually(
        lambda: _is_as_before(space.find_child("ServiceAccount", name) or {}, account),
        description="a deleted account is made anew",
    )
    space.patch_spec(name, serviceAccount=None, replicas=0)

    assert identity.items() <= account["metadata"]["annotations"].items()
    assert name == pod_spec["serviceAccountName"]
    eventually(
        lambda: space.find_child("ServiceAccount", name) is None,
        description="the account is removed when no pod is left that runs as it",
    )
    assert "serviceAccountName" not in read_pod_template(space, name)["spec"]
