"""Rows 18 to 20, and of 29 and 36 those by hand: edits of children in what the operator owns."""

from collections.abc import Iterator
from typing import Final

from hack.scenarios.exam import surroundings
from hack.scenarios.exam.environment import APP_NAME, Environment
from hack.scenarios.exam.fault import Fault, Injector, Way, corrected


def _restored_service(environment: Environment) -> Iterator[str]:
    """Yield what of the Service is not as the spec has it."""
    service = environment.kube.find("Service", environment.namespace, APP_NAME)
    spec = (service or {}).get("spec") or {}
    ports = [port.get("targetPort") for port in spec.get("ports") or ()]
    if ports != ["http"]:
        yield f"the Service's target ports are {ports}"
    if "no-such-label" in (spec.get("selector") or {}):
        yield f"the Service selects {spec['selector']}"
    if spec.get("internalTrafficPolicy") != "Cluster":
        yield f"the Service's internalTrafficPolicy is {spec.get('internalTrafficPolicy')}"
    if spec.get("publishNotReadyAddresses"):
        yield "the Service publishes addresses that are not ready"


def _edit_service(**spec: object) -> Injector:
    return lambda environment: environment.edit_child("Service", {"spec": spec})


def _restored_autoscaler(environment: Environment) -> Iterator[str]:
    """Yield that the autoscaler is missing."""
    if environment.kube.find("HorizontalPodAutoscaler", environment.namespace, APP_NAME) is None:
        yield "the autoscaler is missing"


CHILD_FAULTS: Final = (
    Fault(
        number=18,
        way=Way.CHILD,
        title="kubectl scale to zero",
        inject=lambda environment: environment.edit_child("Deployment", {"spec": {"replicas": 0}}),
        expected=corrected(),
        healing_seconds=0,
        cluster_seconds=30,
    ),
    Fault(
        number=19,
        way=Way.CHILD,
        variant="delete",
        title="The Service is deleted",
        prepare=surroundings.fix_node_port,
        inject=lambda environment: environment.kube.delete(
            "Service", environment.namespace, APP_NAME
        ),
        expected=corrected("Created", _restored_service),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=19,
        way=Way.CHILD,
        variant="selector",
        title="The selector of the Service is changed",
        inject=_edit_service(selector={"no-such-label": "x"}),
        expected=corrected(check=_restored_service),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=19,
        way=Way.CHILD,
        variant="port",
        title="The target port of the Service is changed",
        inject=_edit_service(ports=[{"port": 80, "targetPort": 5999}]),
        expected=corrected(check=_restored_service),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=20,
        way=Way.CHILD,
        variant="local",
        title="internalTrafficPolicy of the Service becomes Local",
        inject=_edit_service(internalTrafficPolicy="Local"),
        expected=corrected(check=_restored_service),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=20,
        way=Way.CHILD,
        variant="unready",
        title="The Service publishes addresses that are not ready",
        inject=_edit_service(publishNotReadyAddresses=True),
        expected=corrected(check=_restored_service),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=29,
        way=Way.CHILD,
        title="The autoscaler is deleted",
        inject=lambda environment: environment.kube.delete(
            "HorizontalPodAutoscaler", environment.namespace, APP_NAME
        ),
        expected=corrected("Created", _restored_autoscaler),
        healing_seconds=0,
        cluster_seconds=20,
        spec={
            "replicas": None,
            "autoscaling": {
                "minReplicas": 2,
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 80,
            },
        },
    ),
    Fault(
        number=36,
        way=Way.CHILD,
        title="The labels of the Deployment are removed",
        inject=lambda environment: environment.edit_child(
            "Deployment", {"metadata": {"labels": {"selfhealing.dev/app": None}}}
        ),
        expected=corrected(),
        healing_seconds=0,
        cluster_seconds=15,
    ),
)
"""The rows of this module."""
