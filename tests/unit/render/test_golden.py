"""The children of example specs equal the manifests in the golden files.

``REFRESH=1 pytest tests/unit/render/test_golden.py`` writes the files; then read the diff.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pod import build_pod_template

GOLDEN = Path(__file__).parent / "golden"
OWNER = Owner(namespace="shop", name="web", uid="0f9b4e5c-0000-4000-8000-000000000001")

SPECS: dict[str, dict[str, Any]] = {
    "smallest": {"image": "web:v1"},
    "lab": {
        "image": "scaling-demo:v1",
        "imagePullPolicy": "IfNotPresent",
        "port": 5000,
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "128Mi"},
        },
        "probes": {
            "liveness": {
                "httpGet": {"path": "/health"},
                "initialDelaySeconds": 10,
                "periodSeconds": 5,
                "timeoutSeconds": 2,
                "failureThreshold": 3,
            },
            "readiness": {
                "httpGet": {"path": "/ready"},
                "initialDelaySeconds": 5,
                "periodSeconds": 3,
            },
        },
        "service": {"type": "NodePort", "nodePort": 30080},
        "autoscaling": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
    },
    "everything": {
        "image": "web:v1",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "registry"}],
        "command": ["serve"],
        "args": ["--verbose"],
        "workingDir": "/srv",
        "env": [{"name": "MODE", "value": "fast"}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "port": 8080,
        "replicas": 0,
        "resources": {"requests": {"cpu": "10m"}},
        "probes": {
            "liveness": {"tcpSocket": {}, "initialDelaySeconds": 0},
            "readiness": {"grpc": {"port": 9000, "service": "web"}},
            "startup": {"exec": {"command": ["check"]}},
        },
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "hostPort": 53},
            {
                "name": "grpc",
                "port": 9000,
                "appProtocol": "kubernetes.io/h2c",
                "servicePort": 9443,
                "servicePortName": "grpc-of-the-service",
                "nodePort": 30443,
            },
            {"name": "metrics", "port": 9090, "expose": False},
        ],
        "service": {
            "type": "LoadBalancer",
            "port": 443,
            "nodePort": 30080,
            "publishNotReadyAddresses": True,
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Local",
            "trafficDistribution": "PreferSameZone",
            "ipFamilyPolicy": "PreferDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
            "loadBalancerClass": "example.com/internal",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "allocateLoadBalancerNodePorts": True,
            "labels": {"example.com/exposed": "true"},
            "annotations": {"example.com/balancer": "internal"},
        },
        "rollout": {
            "strategy": {"type": "Recreate"},
            "minReadySeconds": 0,
            "progressDeadlineSeconds": 120,
            "revisionHistoryLimit": 2,
        },
        "securityContext": {"runAsNonRoot": True},
        "podSecurityContext": {"fsGroup": 1000},
        "podMetadata": {
            "labels": {"example.com/tier": "front", "app.kubernetes.io/part-of": "shop"},
            "annotations": {"example.com/scrape": "true"},
        },
        "hostUsers": False,
        "hostNetwork": True,
        "hostPID": True,
        "hostIPC": True,
        "shareProcessNamespace": False,
        "enableServiceLinks": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "dnsConfig": {"searches": ["shop.example"]},
        "hostAliases": [{"ip": "10.0.0.10", "hostnames": ["db.example"]}],
        "hostname": "web",
        "hostnameOverride": "web.example",
        "subdomain": "shop",
        "setHostnameAsFQDN": True,
        "runtimeClassName": "sandbox",
        "schedulerName": "other",
        "readinessGates": [{"conditionType": "example.com/registered"}],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
        "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
        "terminationMessagePath": "/var/log/end",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "stdin": True,
        "stdinOnce": True,
        "tty": True,
        "serviceAccountName": "web",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
            }
        ],
        "priorityClassName": "high",
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "initContainers": [
            {"name": "mesh", "image": "mesh:v1", "restartPolicy": "Always"},
            {"name": "prepare", "image": "web:v1", "command": ["prepare"]},
        ],
        "sidecars": [{"name": "proxy", "image": "proxy:v1"}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    },
    "vertical": {
        "image": "web:v1",
        "autoscaling": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
        "verticalScaling": {
            "mode": "InPlaceOrRecreate",
            "minAllowed": {"memory": "64Mi"},
            "maxAllowed": {"memory": "1Gi"},
            "minReplicas": 1,
        },
    },
    "access": {
        "image": "web:v1",
        "port": 8080,
        "ingress": {
            "className": "nginx",
            "hosts": [
                {"host": "shop.example.com"},
                {"host": "*.shop.example.com", "paths": [{"path": "/api", "pathType": "Exact"}]},
            ],
            "tls": [{"secretName": "shop-tls"}],
            "labels": {"team": "blue"},
            "annotations": {"example.com/limit": "8m"},
        },
        "route": {
            "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
            "hostnames": ["shop.example.com"],
            "paths": [{"value": "/api"}, {"type": "Exact", "value": "/"}],
            "annotations": {"example.com/a": "b"},
        },
        "monitoring": {"path": "/metrics", "interval": "30s", "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "allowFrom": [
                {"app": "checkout", "ports": [{"port": 8080}]},
                {"namespaceLabels": {"team": "blue"}, "podLabels": {"role": "client"}},
            ],
            "ingressController": {"namespace": "ingress-nginx"},
            "monitoring": {"namespace": "monitoring"},
            "allowTo": [
                {"app": "db", "namespace": "data", "ports": [{"port": 5432, "protocol": "TCP"}]},
                {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]},
            ],
        },
    },
    "annotations": {
        "image": "web:v1",
        "sidecars": [
            {
                "name": "exporter",
                "image": "exporter:v1",
                "ports": [{"name": "metrics", "containerPort": 9113}],
            }
        ],
        "monitoring": {"mode": "Annotations", "port": "metrics"},
    },
    "budget": {
        "image": "web:v1",
        "replicas": 5,
        "disruption": {"minAvailable": "60%"},
    },
    "job": {
        "image": "web:v1",
        "port": 8080,
        "restartPolicy": "OnFailure",
        "job": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 3600,
            "completions": 4,
            "parallelism": 2,
        },
        "probes": {"liveness": {"httpGet": {"path": "/health"}, "failureThreshold": 1}},
        "initContainers": [{"name": "prepare", "image": "web:v1", "command": ["prepare"]}],
        "sidecars": [{"name": "proxy", "image": "proxy:v1"}],
    },
    "config": {
        "image": "web:v1",
        "envFrom": [{"secretRef": {"name": "password"}}],
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
        "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
    },
    "healed": {
        "image": "web:v2",
        "port": 5000,
        "env": [{"name": "MODE", "value": "new"}],
        "resources": {"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
        "healing": {"memory": {"max": "256Mi"}, "scalingFallback": {"replicas": 4}},
    },
    "metrics": {
        "image": "web:v1",
        "port": 80,
        "service": {"enabled": False},
        "autoscaling": {
            "minReplicas": 2,
            "maxReplicas": 9,
            "targetMemoryUtilizationPercentage": 80,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "requests"},
                        "target": {"type": "AverageValue", "averageValue": "10"},
                    },
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    },
}


OVERRIDES: dict[str, Overrides] = {
    "healed": Overrides(
        pod_template=build_pod_template(
            "web",
            parse_spec({
                "image": "web:v1",
                "port": 5000,
                "env": [{"name": "MODE", "value": "proven"}],
                "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}},
                "sidecars": [{"name": "proxy", "image": "proxy:v1"}],
            }),
        ),
        memory_limits={"app": "164Mi"},
        min_replicas=4,
    ),
}  # fmt: skip
"""The overrides of the specs of these names."""

CONFIG_HASHES = {"config": "0123456789abcdef", "annotations": "0123456789abcdef"}
"""The config hashes of the specs of these names."""


def render_yaml(name: str) -> str:
    """Return all children of an app as YAML."""
    spec, overrides = parse_spec(SPECS[name]), OVERRIDES.get(name, NO_OVERRIDES)
    manifests = build_children(
        OWNER, spec, overrides, build_pod_template(OWNER.name, spec, CONFIG_HASHES.get(name, ""))
    )
    return yaml.safe_dump_all(manifests, sort_keys=False)


@pytest.mark.parametrize("name", SPECS)
def test_the_yaml_is_as_in_the_golden_file(name: str) -> None:
    """All fields of all children are compared."""
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("REFRESH") == "1":
        golden.write_text(render_yaml(name))

    assert golden.read_text() == render_yaml(name)


def test_no_golden_file_is_left_over() -> None:
    """Each golden file has a spec."""
    assert sorted(SPECS) == sorted(path.stem for path in GOLDEN.glob("*.yaml"))


def test_the_spec_is_not_changed_by_rendering() -> None:
    """A manifest shares no mutable value with the spec."""
    spec = parse_spec(SPECS["everything"])
    first = build_children(OWNER, spec)

    assert first == build_children(OWNER, spec)


def test_the_applied_hash_changes_with_any_field() -> None:
    """A removed field changes the applied hash as well."""
    marks = {
        build_children(OWNER, parse_spec(spec))[0]["metadata"]["annotations"][
            "selfhealing.dev/applied"
        ]
        for spec in (
            {"image": "a"},
            {"image": "b"},
            {"image": "a", "terminationGracePeriodSeconds": 0},
            {"image": "a", "replicas": 0},
        )
    }

    assert 4 == len(marks)


def job_run_hash(**spec: object) -> str:
    """Return the run hash of a Job with this spec."""
    whole = parse_spec({"image": "web:v1", "restartPolicy": "Never", **spec})
    annotations: dict[str, str] = build_children(OWNER, whole)[0]["metadata"]["annotations"]
    return annotations["selfhealing.dev/run"]


def test_the_run_hash_is_stable() -> None:
    """If a version of the operator changed the run hash, completed Jobs would run again."""
    assert "3f22c4d7e6c78179" == job_run_hash()


def test_the_run_hash_changes_with_immutable_fields_only() -> None:
    """A change of mutable fields of the Job keeps the run hash."""
    same = (
        job_run_hash(job={"backoffLimit": 1, "activeDeadlineSeconds": 5}),
        job_run_hash(job={"completions": 1, "parallelism": 3}),
        job_run_hash(service={"enabled": False}),
        job_run_hash(paused=True),
    )

    assert {job_run_hash()} == set(same)
    assert 7 == len({
        job_run_hash(),
        job_run_hash(podMetadata={"labels": {"tier": "a"}}),
        job_run_hash(podMetadata={"annotations": {"tier": "a"}}),
        job_run_hash(restartPolicy="OnFailure"),
        job_run_hash(image="web:v2"),
        job_run_hash(job={"completions": 2}),
        job_run_hash(job={"parallelism": 3}),
    })  # fmt: skip
