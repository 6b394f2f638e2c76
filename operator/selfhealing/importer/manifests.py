"""Finds a Deployment and what belongs to it among manifests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api.label_selector import selects_labels
from selfhealing.importer.defaults import clean_object
from selfhealing.importer.json_values import (
    Json,
    as_map,
    as_maps,
    drop_nulls,
    get_path,
    quote_fractions,
)
from selfhealing.importer.object_text import ImportRefusedError
from selfhealing.importer.shapes import find_wrong_types
from selfhealing.render.hpa import build_utilization_metric

KINDS: Final = {
    "Deployment": ("apps/v1",),
    "Service": ("v1",),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v1"),
    "PodDisruptionBudget": ("policy/v1", "policy/v1beta1"),
    "Ingress": ("networking.k8s.io/v1",),
    "ServiceAccount": ("v1",),
}
"""The kinds that are imported, and the versions that can be read; the first one is rendered."""


@dataclass(frozen=True, slots=True)
class Related:
    """A Deployment and the objects that belong to it, without Kubernetes' defaults."""

    deployment: Json
    service: Json | None
    autoscaler: Json | None
    budget: Json | None
    ingress: Json | None
    account: Json | None
    others: tuple[Json, ...]
    """Objects that belong to the Deployment, too, and for which one app has no place."""

    shared: tuple[Json, ...] = ()
    """Those of the others that are Services of other Deployments, too, such as of a canary."""

    @property
    def imported(self) -> tuple[Json, ...]:
        """The objects that become parts of the app."""
        return tuple(
            found
            for found in (
                self.deployment,
                self.service,
                self.autoscaler,
                self.budget,
                self.ingress,
                self.account,
            )
            if found is not None
        )


def find_related(
    objects: Sequence[Json],
    name: str | None = None,
    namespace: str | None = None,
    app_name: str | None = None,
) -> Related:
    """Return the Deployment and what belongs to it.

    A Service belongs to it if its selector selects the pods, a HorizontalPodAutoscaler by its
    target, a PodDisruptionBudget by its selector, an Ingress by its backends.

    Args:
        objects: the manifests.
        name: the Deployment; needed if there are several.
        namespace: its namespace; needed if there are several of that name.
        app_name: the name that the app shall have; by default that of the Deployment.

    Raises:
        ImportRefusedError: there is no such Deployment, or more than one.
    """
    known = [
        quote_fractions(drop_nulls(each)) for each in objects if str(each.get("kind")) in KINDS
    ]
    for each in known:
        _check_types(each)
    deployment = _choose_deployment(known, name, namespace)
    _check_deployment(deployment)
    near = [
        clean_object(_upgrade(each))
        for each in known
        if each is not deployment and _shares_namespace(each, deployment)
    ]
    name = deployment["metadata"]["name"]
    deployment = clean_object(deployment)
    pod_labels = as_map(get_path(deployment, "spec", "template", "metadata", "labels"))

    found = _of_kind(
        near, "Service", lambda s: selects_all(get_path(s, "spec", "selector"), pod_labels)
    )
    labels_of_others = [
        as_map(get_path(each, "spec", "template", "metadata", "labels"))
        for each in near
        if each["kind"] == "Deployment"
    ]
    shared = [
        each
        for each in found
        if any(selects_all(get_path(each, "spec", "selector"), one) for one in labels_of_others)
    ]
    services = [each for each in found if not any(each is one for one in shared)]
    services.sort(
        key=lambda each: (
            get_path(each, "metadata", "name") != (app_name or name),
            get_path(each, "metadata", "name") != name,
            get_path(each, "spec", "clusterIP") == "None",
        )
    )
    autoscalers = _of_kind(
        near,
        "HorizontalPodAutoscaler",
        lambda h: (
            (
                get_path(h, "spec", "scaleTargetRef", "kind"),
                get_path(h, "spec", "scaleTargetRef", "name"),
            )
            == ("Deployment", name)
        ),
    )
    budgets = _of_kind(near, "PodDisruptionBudget", lambda b: _selects_by_labels(b, pod_labels))
    service = services[0] if services else None
    names = {get_path(each, "metadata", "name") for each in found}
    ingresses = _of_kind(near, "Ingress", lambda i: bool(names & set(_backends(i))))
    main = None if service is None else get_path(service, "metadata", "name")
    # One that leads to other Services, too, stays as it is.
    own = [each for each in ingresses if _is_of_one_service(each, main)]
    accounts = _of_kind(
        near, "ServiceAccount", lambda a: _is_account_of(a, deployment, app_name or name)
    )
    imported = [group[0] for group in (services, autoscalers, budgets, own) if group]
    others = [
        each
        for each in (*found, *autoscalers, *budgets, *ingresses)
        if not any(each is one for one in imported)
    ]
    return Related(
        deployment=deployment,
        service=service,
        autoscaler=autoscalers[0] if autoscalers else None,
        budget=budgets[0] if budgets else None,
        ingress=own[0] if own else None,
        account=accounts[0] if accounts else None,
        others=tuple(others),
        shared=tuple(shared),
    )


def _choose_deployment(objects: list[Json], name: str | None, namespace: str | None) -> Json:
    every = [each for each in objects if each["kind"] == "Deployment"]
    found = [
        each
        for each in every
        if name in {None, get_path(each, "metadata", "name")}
        and (namespace is None or get_path(each, "metadata", "namespace") in {None, namespace})
    ]
    if not found:
        known = ", ".join(sorted(str(get_path(each, "metadata", "name")) for each in every))
        raise ImportRefusedError(
            f"there is no Deployment {name}: write --deployment with one of {known}"
            if every
            else "there is no Deployment: write the file of one, or --deployment NAME to read it"
            " from the cluster; StatefulSets, DaemonSets and CronJobs are no SelfHealingApps"
        )
    if len(found) > 1:
        names = sorted({str(get_path(each, "metadata", "name")) for each in found})
        raise ImportRefusedError(
            f"there are {len(found)} Deployments: write --deployment with one of {', '.join(names)}"
            if len(names) > 1
            else f"there are {len(found)} Deployments {names[0]}: write --namespace, or only one of"
            " the files"
        )
    return found[0]


def _check_types(found: Json) -> None:
    if (problem := next(find_wrong_types(found), None)) is not None:
        raise ImportRefusedError(
            f"the {found['kind']} {get_path(found, 'metadata', 'name')} is not valid in Kubernetes:"
            f" {problem}"
        )


def _check_deployment(deployment: Json) -> None:
    """Refuse a Deployment without a name or without containers."""
    name = get_path(deployment, "metadata", "name")
    if not isinstance(name, str):
        raise ImportRefusedError("the Deployment has no name: write metadata.name")
    if deployment.get("apiVersion") not in KINDS["Deployment"]:
        raise ImportRefusedError(
            f"the Deployment {name} has the apiVersion {deployment.get('apiVersion')}, which no"
            " cluster serves any more: write apps/v1"
        )
    containers = get_path(deployment, "spec", "template", "spec", "containers")
    if not as_maps(containers) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in containers
    ):
        raise ImportRefusedError(
            f"the Deployment {name} has no containers with names: write"
            " spec.template.spec.containers"
        )


def _upgrade(found: Json) -> Json:
    """Return an autoscaling/v1 HorizontalPodAutoscaler in the form of autoscaling/v2."""
    spec = as_map(found.get("spec"))
    if found["kind"] != "HorizontalPodAutoscaler" or "targetCPUUtilizationPercentage" not in spec:
        return found
    metric = build_utilization_metric("cpu", spec["targetCPUUtilizationPercentage"])
    others = {key: spec[key] for key in spec if key != "targetCPUUtilizationPercentage"}
    return {**found, "spec": {**others, "metrics": [metric]}}


def _shares_namespace(each: Json, deployment: Json) -> bool:
    namespaces = {get_path(one, "metadata", "namespace") for one in (each, deployment)} - {None}
    return len(namespaces) <= 1


def _of_kind(objects: list[Json], kind: str, belongs: Any) -> list[Json]:  # noqa: ANN401 - predicate
    found = [each for each in objects if each["kind"] == kind and belongs(each)]
    for each in found:
        if each.get("apiVersion") not in KINDS[kind]:
            raise ImportRefusedError(
                f"the {kind} {get_path(each, 'metadata', 'name')} has the apiVersion"
                f" {each.get('apiVersion')}: write {KINDS[kind][0]}"
            )
    return found


def selects_all(selector: object, labels: Json) -> bool:
    """Whether the selector of a Service selects pods with these labels; an empty one none."""
    chosen = as_map(selector)
    return bool(chosen) and all(labels.get(key) == value for key, value in chosen.items())


def _selects_by_labels(budget: Json, labels: Json) -> bool:
    """Whether a selector selects the pods by labels and expressions; an empty one selects all."""
    return selects_labels(get_path(budget, "spec", "selector"), labels)


def _backends(ingress: Json) -> Iterator[Any]:
    """Yield the names of the Services that an Ingress leads to; None for another backend."""
    spec = as_map(ingress.get("spec"))
    if "defaultBackend" in spec:
        yield get_path(spec, "defaultBackend", "service", "name")
    for rule in as_maps(spec.get("rules")):
        for path in as_maps(get_path(rule, "http", "paths")):
            yield get_path(path, "backend", "service", "name")


def _is_of_one_service(ingress: Json, service: object) -> bool:
    """Whether all rules of an Ingress lead to one port of one Service."""
    spec = as_map(ingress.get("spec"))
    rules = as_maps(spec.get("rules"))
    ports = {
        str(get_path(path, "backend", "service", "port"))
        for rule in rules
        for path in as_maps(get_path(rule, "http", "paths"))
    }
    return (
        "defaultBackend" not in spec
        and all(as_maps(get_path(rule, "http", "paths")) for rule in rules)
        and set(_backends(ingress)) == {service}
        and len(ports) == 1
    )


def _is_account_of(account: Json, deployment: Json, name: str) -> bool:
    """Whether the operator can create this ServiceAccount: it has the app's name, and no secrets.

    Others are named in the spec, and stay as they are.
    """
    pod_spec = as_map(get_path(deployment, "spec", "template", "spec"))
    used = pod_spec.get("serviceAccountName", pod_spec.get("serviceAccount"))
    known = {"apiVersion", "kind", "metadata", "automountServiceAccountToken"}
    return used == name == get_path(account, "metadata", "name") and account.keys() <= known
