"""What an app lives on: a registry, a database, ConfigMaps, admission. Makes it, and breaks it.

A registry and a database are in a namespace of their own beside that of the half.
"""

import base64
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hack.scenarios.common.namespace import label_of
from hack.scenarios.exam import fault_injectors
from hack.scenarios.exam.environment import (
    APP_NAME,
    IMAGE,
    PORT,
    SCENARIO_NAME,
    Environment,
    Json,
)
from hack.testkit import stub_registry
from hack.testkit.kube_client import KubeClient

CONFIG_NAME: Final = "settings"
ACCOUNT_NAME: Final = "runner"
_DATABASE: Final = "db"


def _create_helper_namespace(environment: Environment) -> str:
    name = environment.helper_namespace
    environment.wait_until(
        "what an earlier run has left is gone",
        lambda: (
            not (environment.kube.find("Namespace", None, name) or {})
            .get("metadata", {})
            .get("deletionTimestamp")
        ),
        90,
    )
    meta = {"name": name, "labels": {label_of(SCENARIO_NAME): "true"}}
    environment.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    return name


def start_registry(environment: Environment) -> Json:
    """Run an image registry that refuses; its address is the fact ``registry``."""
    name = _create_helper_namespace(environment)
    environment.facts["registry"] = stub_registry.start_stub_registry(environment.kube, name)
    return {}


def ask_for_image(repository: str, *, by_hand: bool = False) -> "_AskForImage":
    """Return an injector that asks for an image of the registry, in the spec or by hand."""
    return _AskForImage(repository, by_hand)


class _AskForImage:
    def __init__(self, repository: str, by_hand: bool) -> None:  # noqa: FBT001
        self._repository, self._by_hand = repository, by_hand

    def __call__(self, environment: Environment) -> None:
        image = f"{environment.facts['registry']}/{self._repository}:v2"
        if self._by_hand:
            environment.edit_container(image=image)
        else:
            environment.update_spec(image=image)


# -- a database -----------------------------------------------------------------------------------


def start_database(environment: Environment) -> Json:
    """Run a database and let the app be ready, or alive, only while it answers.

    Returns:
        A readiness probe that asks the database as the kubelet can, by HTTP.
    """
    return {"probes": _probe_database(environment, "readiness")}


def start_vital_database(environment: Environment) -> Json:
    """As ``start_database``, but the kubelet kills the app when the database does not answer."""
    return {"probes": _probe_database(environment, "liveness")}


def _probe_database(environment: Environment, probe: str) -> Json:
    namespace = _create_helper_namespace(environment)
    labels = {"stub": _DATABASE}
    meta = {"name": _DATABASE, "namespace": namespace}
    container = {
        "name": _DATABASE,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 1},
    }
    kube = environment.kube
    kube.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
                },
            },
        }
    )
    service = kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": PORT}]},
        }
    )
    environment.wait_until(
        "the database runs",
        lambda: kube.get("Deployment", namespace, _DATABASE)["status"].get("readyReplicas"),
        60,
    )
    asks = {"httpGet": {"host": service["spec"]["clusterIP"], "port": 80, "path": "/ready"}}
    own = {"httpGet": {"path": "/ready"}, "periodSeconds": 1}
    if probe == "readiness":
        return {"readiness": {**own, **asks}}
    return {"readiness": own, "liveness": {**asks, "periodSeconds": 2, "failureThreshold": 2}}


def stop_database(environment: Environment) -> None:
    """Scale the database to 0; the cleanup scales it up."""
    environment.add_cleanup(_stop_database(environment))


def stop_database_and_update(environment: Environment) -> None:
    """Stop the database while a new version, in which nothing is wrong, is rolled out."""
    stop_database(environment)
    environment.update_spec(env=[{"name": "MESSAGE", "value": "v2"}])


@contextmanager
def _stop_database(environment: Environment) -> Iterator[None]:
    kube, namespace = environment.kube, environment.helper_namespace
    environment.print_command(f"kubectl -n {namespace} scale deployment/{_DATABASE} --replicas=0")
    kube.merge_patch("Deployment", namespace, _DATABASE, {"spec": {"replicas": 0}})
    try:
        yield
    finally:
        kube.merge_patch("Deployment", namespace, _DATABASE, {"spec": {"replicas": 1}})


# -- configuration --------------------------------------------------------------------------------


def create_config(environment: Environment) -> Json:
    """Create a ConfigMap from which the app takes its variables."""
    set_config(environment, MESSAGE="hello")
    return {"envFrom": [{"configMapRef": {"name": CONFIG_NAME}}]}


def set_config(environment: Environment, **values: str) -> None:
    """Set the values of the ConfigMap."""
    meta = {"name": CONFIG_NAME}
    environment.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": values})


def break_config(environment: Environment) -> None:
    """Write a value with which the app cannot start."""
    environment.print_command(f"kubectl patch configmap/{CONFIG_NAME} -p '{{data: {{PORT: abc}}}}'")
    set_config(environment, PORT="abc")


def delete_config(environment: Environment) -> None:
    """Delete the ConfigMap, and then a pod, whose substitute finds none."""
    environment.print_command(f"kubectl delete configmap/{CONFIG_NAME}")
    environment.kube.delete("ConfigMap", environment.namespace, CONFIG_NAME)
    environment.delete_pod(environment.find_ready_pod())


def create_account(environment: Environment) -> Json:
    """Create the ServiceAccount that the app runs as."""
    meta = {"name": ACCOUNT_NAME}
    environment.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    return {"serviceAccountName": ACCOUNT_NAME}


def delete_account(environment: Environment) -> None:
    """Delete the ServiceAccount, and then a pod, whose substitute is refused."""
    environment.print_command(f"kubectl delete serviceaccount/{ACCOUNT_NAME}")
    environment.kube.delete("ServiceAccount", environment.namespace, ACCOUNT_NAME)
    environment.delete_pod(environment.find_ready_pod())


def limit_containers(environment: Environment) -> Json:
    """Create a LimitRange that allows half a CPU."""
    limit = {"type": "Container", "max": {"cpu": "500m"}}
    environment.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small"},
            "spec": {"limits": [limit]},
        }
    )
    return {"resources": {"requests": {"cpu": "20m", "memory": "24Mi"}, "limits": {"cpu": "400m"}}}


def fix_node_port(environment: Environment) -> Json:
    """Give the Service a node port that it also has when it is made anew."""
    port = 31500 + zlib.crc32(environment.namespace.encode()) % 1000
    return {"service": {"type": "NodePort", "nodePort": port}}


def limit_cpu(environment: Environment, cpu: str) -> Json:
    """Create a quota of the requested CPU of the namespace."""
    fault_injectors.create_quota(environment, **{"requests.cpu": cpu})
    return {}


def enforce_pod_security(environment: Environment) -> Json:
    """Let the namespace refuse privileged pods."""
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    environment.kube.merge_patch(
        "Namespace", None, environment.namespace, {"metadata": {"labels": labels}}
    )
    return {}


def forbid_evictions(environment: Environment) -> Json:
    """Create a PodDisruptionBudget of somebody that allows no disruption; the app has none."""
    environment.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "foreign"},
            "spec": {
                "maxUnavailable": 0,
                "selector": {"matchLabels": {"selfhealing.dev/app": APP_NAME}},
            },
        }
    )
    return {"disruption": {"enabled": False}}


# -- admission ------------------------------------------------------------------------------------


def break_webhook(environment: Environment) -> None:
    """Let a webhook that is down admit pods of the namespace, and delete a pod."""
    environment.add_cleanup(_broken_webhook(environment))
    environment.delete_pod(environment.find_ready_pod())


@contextmanager
def _broken_webhook(environment: Environment) -> Iterator[None]:
    kube, name = environment.kube, environment.namespace
    kube.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": "pods.exam.example.com",
                    "failurePolicy": "Fail",
                    "sideEffects": "None",
                    "timeoutSeconds": 2,
                    "admissionReviewVersions": ["v1"],
                    "namespaceSelector": _select_namespace(environment),
                    "clientConfig": {
                        "service": {"name": "nobody", "namespace": name, "path": "/"},
                        "caBundle": base64.b64encode(b"").decode(),
                    },
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["pods"],
                        }
                    ],
                }
            ],
        }
    )
    try:
        yield
    finally:
        kube.delete("ValidatingWebhookConfiguration", None, name)


def _select_namespace(environment: Environment) -> Json:
    return {"matchLabels": {"kubernetes.io/metadata.name": environment.namespace}}


def inject_crashing_proxy(environment: Environment) -> None:
    """Let admission add a proxy that crashes to new pods, and update the app."""
    environment.add_cleanup(_crashing_proxy(environment))
    environment.update_spec(env=[{"name": "MESSAGE", "value": "v2"}])


@contextmanager
def _crashing_proxy(environment: Environment) -> Iterator[None]:
    kube, name = environment.kube, environment.namespace
    container = (
        f"Object.spec.containers{{name: 'proxy', image: '{IMAGE}', imagePullPolicy: 'IfNotPresent',"
        " command: ['python', '-c', 'raise SystemExit(1)']}"
    )
    policy: Json = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": _select_namespace(environment),
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                    }
                ],
            },
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": (
                            "[JSONPatch{op: 'add', path: '/spec/containers/-',"
                            f" value: {container}}}]"
                        )
                    },
                }
            ],
        },
    }
    binding: Json = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    try:
        kube.apply(policy)
        kube.apply(binding)
        environment.wait_until("the policy is in force", lambda: _is_injected(environment), 30)
        yield
    finally:
        kube.delete(binding["kind"], None, name)
        kube.delete(policy["kind"], None, name)


def _is_injected(environment: Environment) -> bool:
    """Whether a pod that would be made now gets the proxy."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": environment.namespace},
        "spec": {"containers": [{"name": "app", "image": IMAGE}]},
    }
    found = environment.kube.try_create(pod, dry_run=True)
    return found.ok and len(found.json()["spec"]["containers"]) == 2


def find_missing_mutating_policies(kube: KubeClient) -> str:
    """Return what is missing to change pods at admission; empty if nothing."""
    group = kube.get_path("/apis/admissionregistration.k8s.io/v1") or {}
    served = {each["name"] for each in group.get("resources", ())}
    return "" if "mutatingadmissionpolicies" in served else "MutatingAdmissionPolicy (1.36)"
