"""Builds the shortest spec of a SelfHealingApp that renders the same as a Deployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.spec import MAX_ROLLOUT_SECONDS
from selfhealing.importer.json_values import (
    Json,
    as_map,
    as_maps,
    change_objects,
    get_path,
)
from selfhealing.importer.left_out import simplify_pod
from selfhealing.importer.manifests import Related, selects_all
from selfhealing.importer.ports import (
    PortPlan,
    choose_app_container,
    omit_main_port,
    plan_ports,
)
from selfhealing.render.hpa import build_utilization_metric
from selfhealing.render.meta import labels, selector

_CONTAINER_FIELDS: Final = (
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "resources",
    "resizePolicy",
    "volumeMounts",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "stdin",
    "stdinOnce",
    "tty",
    "securityContext",
)
_POD_FIELDS: Final = (
    "imagePullSecrets",
    "volumes",
    "resourceClaims",
    "automountServiceAccountToken",
    "terminationGracePeriodSeconds",
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "schedulerName",
    "runtimeClassName",
    "readinessGates",
    "priorityClassName",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
    "hostname",
    "hostnameOverride",
    "subdomain",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostUsers",
    "enableServiceLinks",
)
_ROLLOUT_TIMES: Final = ("minReadySeconds", "progressDeadlineSeconds")
_ROLLOUT_FIELDS: Final = ("strategy", *_ROLLOUT_TIMES, "revisionHistoryLimit")
_SERVICE_FIELDS: Final = (
    "type",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "trafficDistribution",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
    "allocateLoadBalancerNodePorts",
)
_PROBES: Final = (
    ("liveness", "livenessProbe"),
    ("readiness", "readinessProbe"),
    ("startup", "startupProbe"),
)

_CONTAINER_REFERENCES: Final = (
    ("resourceFieldRef", "containerName"),
    ("containerResource", "container"),
)
"""Where a container is named: the object, and its field."""

_OPERATOR_LABELS: Final = frozenset(
    {names.LABEL_MANAGED_BY, "pod-template-hash", "controller-uid", "job-name"}
)
_OPERATOR_LABEL_PREFIXES: Final = (f"{names.GROUP}/", "batch.kubernetes.io/")
_OBSOLETE_ANNOTATIONS: Final = frozenset(
    {names.ANNOTATION_RESTARTED_AT, "kubernetes.io/config.mirror"}
)
_OBSOLETE_ANNOTATION_PARTS: Final = (
    "apparmor.security.beta.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
)
_INGRESS_CLASS: Final = "kubernetes.io/ingress.class"
_SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_MAX_DIGITS: Final = 3
"""Of a percentage."""
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
MIN_PODS_OF_BUDGET: Final = 2
SERVICE_PORT: Final = 80
"""The default of ``service.port``."""


@dataclass(frozen=True, slots=True)
class BuiltSpec:
    """A spec, and the new names of the containers that it renames."""

    spec: Json
    container_names: Mapping[str, str]
    """The new names of renamed containers."""


def build_spec(related: Related, name: str) -> BuiltSpec:
    """Return the spec of the app ``name``, with the fields that differ from a default only."""
    deployment = related.deployment
    template = as_map(get_path(deployment, "spec", "template"))
    renamed = _new_container_names(template, related.service)
    original = as_map(template.get("spec"))
    index = choose_app_container(original, related.service)
    pod_spec = _follow_names(simplify_pod(original), renamed)
    containers = [*pod_spec["containers"]]
    source = as_maps(original["containers"])[index]
    container = containers.pop(index)
    plan = plan_ports(source, original, related.service)
    spec = {
        **_pick(container, _CONTAINER_FIELDS),
        **_ports(plan),
        **_replicas(related),
        "probes": {
            ours: omit_main_port(container[theirs], plan)
            for ours, theirs in _PROBES
            if theirs in container
        },
        "lifecycle": container.get("lifecycle"),
        "service": _service(related, name, plan),
        "ingress": _ingress(related, name, plan),
        "autoscaling": _follow_names(_autoscaling(related), renamed),
        "rollout": _rollout(as_map(deployment["spec"])),
        "disruption": _disruption(related),
        "podMetadata": _pod_metadata(template, name, renamed),
        "podSecurityContext": pod_spec.get("securityContext"),
        **_account(related, pod_spec),
        **_pick(pod_spec, _POD_FIELDS),
        "initContainers": pod_spec.get("initContainers"),
        "sidecars": containers,
    }
    if spec.get("enableServiceLinks") is False:
        del spec["enableServiceLinks"]  # the operator's own default
    if "automountServiceAccountToken" not in pod_spec and _mounts_token(related):
        spec["automountServiceAccountToken"] = True
    pod_labels = as_map(get_path(template, "metadata", "labels"))
    new_labels = {**labels(name), **as_map(get_path(spec, "podMetadata", "labels"))}
    for field in ("affinity", "topologySpreadConstraints"):
        if field in spec:
            spec[field] = _follow_labels(spec[field], pod_labels, new_labels)
    return BuiltSpec(_without_empty(spec), renamed)


def _rollout(deployment_spec: Json) -> Json:
    """Return the fields of a rollout, with times that the resource allows."""
    rollout = _pick(deployment_spec, _ROLLOUT_FIELDS)
    for field in _ROLLOUT_TIMES:
        if isinstance(rollout.get(field), int):
            rollout[field] = min(rollout[field], MAX_ROLLOUT_SECONDS)
    return rollout


def _pick(value: Json, fields: tuple[str, ...]) -> Json:
    return {field: value[field] for field in fields if field in value}


def _without_empty(spec: Json) -> Json:
    """Return the fields of the spec that say anything; a volume may be an empty map."""
    return {key: value for key, value in spec.items() if value not in (None, {}, [])}


def _new_container_names(template: Json, service: Json | None) -> dict[str, str]:
    """Return the new names of the app's container, and of another one that has its new name."""
    pod_spec = as_map(template.get("spec"))
    containers = as_maps(pod_spec.get("containers"))
    app = str(containers[choose_app_container(pod_spec, service)]["name"])
    others = [
        str(each.get("name")) for each in (*containers, *as_maps(pod_spec.get("initContainers")))
    ]
    renamed = {} if app == names.CONTAINER_NAME else {app: names.CONTAINER_NAME}
    if renamed and names.CONTAINER_NAME in others:
        renamed[names.CONTAINER_NAME] = next(
            new
            for number in range(2, len(others) + 3)
            if (new := f"{names.CONTAINER_NAME}-{number}") not in others
        )
    return renamed


def _follow_names(value: Any, renamed: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value in which containers, and references to them, have their new names."""

    def rename(found: Json) -> Json:
        for key in ("containers", "initContainers"):
            if key in found:
                found[key] = [
                    {**each, "name": renamed.get(str(each.get("name")), each.get("name"))}
                    for each in as_maps(found[key])
                ]
        for holder, key in _CONTAINER_REFERENCES:
            named = get_path(found, holder, key)
            if isinstance(named, str) and named in renamed:
                found[holder] = {**found[holder], key: renamed[named]}
        return found

    return change_objects(value, rename)


def _follow_labels(value: Any, old: Json, new: Json) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value whose label selectors select the pods of the app as they did before."""

    def relabel(found: Json) -> Json:
        chosen = get_path(found, "labelSelector", "matchLabels")
        if isinstance(chosen, dict) and all(old.get(key) == item for key, item in chosen.items()):
            kept = {key: new.get(key, item) for key, item in chosen.items()}
            found["labelSelector"] = {**found["labelSelector"], "matchLabels": kept}
        return found

    return change_objects(value, relabel)


def _ports(plan: PortPlan) -> Json:
    return {"port": plan.main, "ports": list(plan.ports)}


def _replicas(related: Related) -> Json:
    replicas = as_map(related.deployment["spec"]).get("replicas")
    return {} if related.autoscaler is not None else {"replicas": replicas}


def _child_metadata(found: Json, name: str, refused: tuple[str, ...] = ()) -> Json:
    """Return the labels and annotations of a child for which the spec has a field."""
    given = as_map(get_path(found, "metadata", "labels"))
    annotations = as_map(get_path(found, "metadata", "annotations"))
    return {
        "labels": _own_labels(given, name),
        "annotations": {
            key: value
            for key, value in annotations.items()
            if not key.startswith(f"{names.GROUP}/") and key not in refused
        },
    }


def _own_labels(given: Json, name: str) -> Json:
    rendered = labels(name)
    return {
        key: value
        for key, value in given.items()
        if rendered.get(key) != value
        and key not in _OPERATOR_LABELS
        and not key.startswith(_OPERATOR_LABEL_PREFIXES)
    }


def _pod_metadata(template: Json, name: str, renamed: Mapping[str, str]) -> Json:
    meta = as_map(template.get("metadata"))
    annotations = {
        key: renamed.get(str(value), value) if key == DEFAULT_CONTAINER else value
        for key, value in as_map(meta.get("annotations")).items()
        if key not in _OBSOLETE_ANNOTATIONS
        and not key.startswith(f"{names.GROUP}/")
        and not any(part in key for part in _OBSOLETE_ANNOTATION_PARTS)
    }
    own = _own_labels(as_map(meta.get("labels")), name)
    return _without_empty({"labels": own, "annotations": annotations})


def _service(related: Related, name: str, plan: PortPlan) -> Json | None:
    found = related.service
    if found is None:
        has_port = plan.main is not None or bool(plan.ports)
        return {"enabled": False} if has_port else None
    spec = as_map(found.get("spec"))
    result = _without_empty(_pick(spec, _SERVICE_FIELDS))
    if spec.get("clusterIP") == "None":
        result["headless"] = True
    elif plan.service_port not in {None, SERVICE_PORT}:
        result["port"] = plan.service_port
    if plan.node_port is not None:
        result["nodePort"] = plan.node_port
    return _without_empty({**result, **_child_metadata(found, name, (_SOURCE_RANGES,))})


def _ingress(related: Related, name: str, plan: PortPlan) -> Json | None:
    found = related.ingress
    if found is None:
        return None
    spec = as_map(found.get("spec"))
    rules = as_maps(spec.get("rules"))
    hosts = [_ingress_host(rule) for rule in rules]
    named = [rule["host"] for rule in rules if "host" in rule]
    tls = [
        _without_empty(
            {
                "secretName": each.get("secretName"),
                "hosts": None if each.get("hosts") == named else each.get("hosts"),
            }
        )
        for each in as_maps(spec.get("tls"))
    ]
    refused = (_INGRESS_CLASS,) if "ingressClassName" in spec else ()
    return _without_empty(
        {
            "className": spec.get("ingressClassName"),
            "port": _ingress_port(related, rules, plan),
            "hosts": hosts,
            "tls": tls,
            **_child_metadata(found, name, refused),
        }
    )


def _ingress_host(rule: Json) -> Json:
    paths = [
        _without_empty(
            {
                "path": None if path.get("path") == "/" else path.get("path"),
                "pathType": None if path.get("pathType") == "Prefix" else path.get("pathType"),
            }
        )
        for path in as_maps(get_path(rule, "http", "paths"))
    ]
    return _without_empty({"host": rule.get("host"), "paths": None if paths == [{}] else paths})


def _ingress_port(related: Related, rules: list[Json], plan: PortPlan) -> str | None:
    """Return the name of the port that an Ingress leads to; None for the default."""
    backend = as_map(
        get_path(as_maps(get_path(rules[0], "http", "paths"))[0], "backend", "service", "port")
    )
    exposed = [port for port in plan.ports if port.get("expose", True) and "protocol" not in port]
    for port in as_maps(get_path(related.service, "spec", "ports")):
        if backend not in ({"name": port.get("name")}, {"number": port.get("port")}):
            continue
        if plan.main is not None and port.get("port") == plan.service_port:
            return None
        for index, own in enumerate(exposed):
            if own.get("servicePort", own["port"]) == port.get("port"):
                return None if index == 0 and plan.main is None else str(own["name"])
    return None


def _autoscaling(related: Related) -> Json | None:
    if related.autoscaler is None:
        return None
    spec = as_map(related.autoscaler.get("spec"))
    metrics = as_maps(spec.get("metrics"))
    result = _pick(spec, ("minReplicas", "maxReplicas", "behavior"))
    for resource, field in (
        ("cpu", "targetCPUUtilizationPercentage"),
        ("memory", "targetMemoryUtilizationPercentage"),
    ):
        percentage = get_path(
            metrics[0] if metrics else None, "resource", "target", "averageUtilization"
        )
        if metrics and metrics[0] == build_utilization_metric(resource, percentage):
            result[field] = percentage
            metrics = metrics[1:]
    return {**result, **({"metrics": metrics} if metrics else {})}


def min_pods(related: Related) -> int:
    """Return the minimum number of pods, with or without an autoscaler."""
    if related.autoscaler is not None:
        found = get_path(related.autoscaler, "spec", "minReplicas")
    else:
        found = get_path(related.deployment, "spec", "replicas")
    return found if isinstance(found, int) else 1


def blocks_every_drain(related: Related) -> bool:
    """Whether a PodDisruptionBudget never lets a pod be evicted."""
    spec = as_map(get_path(related.budget, "spec"))
    if spec.get("maxUnavailable") in (0, "0%"):
        return True
    kept, pods = spec.get("minAvailable"), min_pods(related)
    if isinstance(kept, int):
        return kept >= pods
    percentage = str(kept or "").removesuffix("%")
    if not (percentage.isascii() and percentage.isdigit() and len(percentage) <= _MAX_DIGITS):
        return False
    return int(percentage) * pods > (pods - 1) * 100


def _disruption(related: Related) -> Json | None:
    if (
        related.budget is None
        or min_pods(related) < MIN_PODS_OF_BUDGET
        or blocks_every_drain(related)
    ):
        return None
    limit = _pick(as_map(related.budget.get("spec")), ("minAvailable", "maxUnavailable"))
    return None if limit == {"maxUnavailable": 1} else limit


def _account(related: Related, pod_spec: Json) -> Json:
    if related.account is not None:
        annotations = as_map(get_path(related.account, "metadata", "annotations"))
        own = {k: v for k, v in annotations.items() if not k.startswith(f"{names.GROUP}/")}
        return {"serviceAccount": _without_empty({"create": True, "annotations": own})}
    alias = get_path(related.deployment, "spec", "template", "spec", "serviceAccount")
    return {"serviceAccountName": pod_spec.get("serviceAccountName", alias)}


def _mounts_token(related: Related) -> bool:
    """Whether the pods get a token by their ServiceAccount, which the operator's would not give."""
    account = related.account
    return account is not None and account.get("automountServiceAccountToken") is not False


def keeps_selecting(service: Json, name: str, spec: Json) -> bool:
    """Whether the selector of a Service that is kept selects the pods of the app."""
    given = {**labels(name), **as_map(get_path(spec, "podMetadata", "labels")), **selector(name)}
    return selects_all(get_path(service, "spec", "selector"), given)
