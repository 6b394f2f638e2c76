"""Repairs specs that were drawn from the schema, so that most of the CEL rules allow them."""

from typing import Any

Json = dict[str, Any]

ADDRESSES = ["10.0.0.10", "2001:db8::10"]


def repair_spec(spec: Json) -> Json:
    """Change fields so that the CEL rules accept the spec."""
    spec = _repair_fields(spec)
    if spec.get("restartPolicy", "Always") == "Always":
        spec.pop("job", None)
    else:
        serving = {"replicas", "autoscaling", "rollout", "disruption", "healing"}
        spec = {key: value for key, value in spec.items() if key not in serving}
    if "autoscaling" in spec:
        spec.pop("replicas", None)
        scaling = spec["autoscaling"]
        scaling["maxReplicas"] = max(scaling["maxReplicas"], scaling.get("minReplicas", 1))
    if {"probes", "service", "ingress", "route", "monitoring"} & spec.keys():
        spec.setdefault("port", 8080)
    _repair_ports(spec)
    if "service" in spec:
        _repair_service(spec["service"])
    _repair_access(spec)
    for kind in {"liveness", "startup"} & set(spec.get("probes", ())):
        if "successThreshold" in spec["probes"][kind]:
            spec["probes"][kind]["successThreshold"] = 1
    spec.get("probes", {}).get("readiness", {}).pop("terminationGracePeriodSeconds", None)
    if "rollout" in spec:
        before = spec["rollout"].get("progressDeadlineSeconds", 600) - 1
        if spec["rollout"].get("minReadySeconds", 0) > before:
            spec["rollout"]["minReadySeconds"] = before
    _repair_vertical_scaling(spec.get("verticalScaling", {}))
    _repair_disruption(spec.get("disruption", {}))
    for toleration in spec.get("tolerations", ()):
        _repair_toleration(toleration)
    _repair_containers(spec)
    if "healing" in spec:
        _repair_healing(spec)
    _repair_pod_fields(spec)
    return spec


def _repair_ports(spec: Json) -> None:
    """Give each port a name, and numbers, of its own, and probes the name of one."""
    names, taken = {"http"}, {(spec.get("port"), "TCP")}
    ports = spec.pop("ports", [])
    for index, port in enumerate(ports):
        number = (port["port"], port.get("protocol", "TCP"))
        if port["name"] in names or number in taken:
            continue
        names.add(port["name"])
        taken.add(number)
        spec.setdefault("ports", []).append(port)
        _repair_port(spec, port, index)
    for sidecar in spec.get("sidecars", ()) if spec.get("hostNetwork") else ():
        sidecar.pop("ports", None)
    for probe in spec.get("probes", {}).values():
        for handler in ("httpGet", "tcpSocket"):
            if isinstance(probe.get(handler, {}).get("port"), str):
                probe[handler]["port"] = "http"


def _repair_port(spec: Json, port: Json, index: int) -> None:
    """Give a port numbers in the Service and on the node that no other one has."""
    if port.get("expose") is False:
        for field in ("servicePort", "servicePortName", "nodePort", "appProtocol"):
            port.pop(field, None)
    else:
        port["servicePort"] = 20000 + index
    if "servicePortName" in port:
        port["servicePortName"] = f"port-of-the-service-{index}"
    if "nodePort" in port:
        port["nodePort"] = 32000 + index
        spec.setdefault("service", {})["type"] = "NodePort"
    if "hostPort" in port:
        port["hostPort"] = 20000 + index
        spec.pop("hostNetwork", None)


def _repair_service(service: Json) -> None:
    """Give a Service the type that its fields need."""
    balancer = {
        "loadBalancerClass",
        "loadBalancerSourceRanges",
        "allocateLoadBalancerNodePorts",
    }
    if "nodePort" in service or "externalTrafficPolicy" in service:
        service["type"] = "NodePort"
    if balancer & service.keys():
        service["type"] = "LoadBalancer"
    if service.get("type", "ClusterIP") != "ClusterIP":
        service.pop("headless", None)
    if "sessionAffinityConfig" in service:
        service["sessionAffinity"] = "ClientIP"
    if "ipFamilies" in service:
        is_single = service.get("ipFamilyPolicy", "SingleStack") == "SingleStack"
        service["ipFamilies"] = ["IPv4"] if is_single else ["IPv4", "IPv6"]


def _repair_pod_fields(spec: Json) -> None:
    """Keep one of two that exclude each other, and a name server."""
    if "serviceAccount" in spec:
        spec["serviceAccount"]["create"] = True
        spec.pop("serviceAccountName", None)
    if spec.get("hostUsers") is False:
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            spec.pop(shared, None)
    if spec.get("hostPID"):
        spec.pop("shareProcessNamespace", None)
    if "hostnameOverride" in spec:
        spec.pop("hostNetwork", None)
        spec.pop("setHostnameAsFQDN", None)
    if spec.get("dnsPolicy") == "None":
        spec.setdefault("dnsConfig", {}).setdefault("nameservers", ADDRESSES[:1])


def _repair_fields(node: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Copy a JSON value, with the fields that operators and other types need."""
    if isinstance(node, list):
        return [_repair_fields(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _repair_fields(value) for key, value in node.items()}
    _repair_operator(copy)
    for added in ("matchLabelKeys", "mismatchLabelKeys"):
        if added in copy:
            copy[added] = [f"{added.lower()}.example.com/x"]
            copy.setdefault("labelSelector", {})
    if copy.get("whenUnsatisfiable") == "ScheduleAnyway":
        copy.pop("minDomains", None)
    if "valueFrom" in copy:
        copy.pop("value", None)
    _repair_metric_target(copy)
    return copy


def _repair_operator(copy: Json) -> None:
    match copy.get("operator"):
        case "In" | "NotIn" | "Gt" | "Lt":
            copy["values"] = [*copy.get("values", ()), "1"][:1]
        case "Exists" | "DoesNotExist":
            copy.pop("values", None)


def _repair_metric_target(copy: Json) -> None:
    """Give a metric's target the field that its type needs."""
    numbers = {
        "Utilization": "averageUtilization",
        "Value": "value",
        "AverageValue": "averageValue",
    }
    if "target" not in copy and copy.get("type") in numbers:
        for number in numbers.values():
            copy.pop(number, None)
        copy[numbers[copy["type"]]] = 50


def _repair_access(spec: Json) -> None:
    """Add the Service that an Ingress leads to and who may call it, and repair peers and paths."""
    if "networkPolicy" in spec:
        spec.pop("hostNetwork", None)
    has_policy, policy = "networkPolicy" in spec, spec.get("networkPolicy", {})
    peers = [peer for side in ("allowFrom", "allowTo") for peer in policy.get(side, ())]
    named = [policy[who] for who in ("ingressController", "monitoring") if who in policy]
    for peer in (*peers, *named):
        _repair_peer(peer)
    if has_policy and {"ingress", "route"} & spec.keys():
        policy.setdefault("ingressController", {"namespace": "web"})
    if has_policy and "monitoring" in spec:
        policy.setdefault("monitoring", {"namespace": "web"})
    _repair_monitoring(spec.get("monitoring", {}))
    has_host_port = any("hostPort" in port for port in spec.get("ports", ()))
    service_type = spec.get("service", {}).get("type", "ClusterIP")
    if has_policy and (has_host_port or service_type != "ClusterIP"):
        policy["allowFrom"] = [*policy.get("allowFrom", ()), {"cidr": "0.0.0.0/0"}][-32:]
    if {"ingress", "route"} & spec.keys():
        spec.get("service", {}).pop("enabled", None)
        for part in ("ingress", "route"):
            if "port" in spec.get(part, {}):
                spec[part]["port"] = "http"
        _repair_paths(spec)


def _repair_paths(spec: Json) -> None:
    """Name one Gateway, and give each path its type's form."""
    if "route" in spec:
        del spec["route"]["parentRefs"][1:]
        for path in spec["route"].get("paths", ()):
            if path.get("value", "/") not in {"/", "/health"}:
                path["type"] = "RegularExpression"
    if "ingress" in spec:
        for host in spec["ingress"]["hosts"]:
            for path in host.get("paths", ()):
                if path.get("path", "/") not in {"/", "/health"}:
                    path["pathType"] = "ImplementationSpecific"


def _repair_monitoring(monitoring: Json) -> None:
    """Read the app's port, and let a reading last no longer than the interval."""
    monitoring.pop("port", None)
    if "scrapeTimeout" in monitoring:
        monitoring["interval"] = monitoring["scrapeTimeout"]
    if monitoring.get("mode") == "Annotations":
        for field in ("interval", "scrapeTimeout", "labels"):
            monitoring.pop(field, None)


def _repair_peer(peer: Json) -> None:
    """Keep pods or addresses, and one way to name each."""
    if "except" in peer:
        peer["cidr"] = "10.0.0.0/8"
    if "cidr" in peer:
        for field in ("app", "podLabels", "namespace", "namespaceLabels"):
            peer.pop(field, None)
    elif not {"app", "podLabels", "namespace", "namespaceLabels"} & peer.keys():
        peer["app"] = "web"
    if "app" in peer:
        peer.pop("podLabels", None)
    if "namespace" in peer:
        peer.pop("namespaceLabels", None)
    for port in peer.get("ports", ()):
        port.pop("endPort", None)


def _repair_vertical_scaling(scaling: Json) -> None:
    """Keep one bound, and no resource on which an autoscaler might scale."""
    if "maxAllowed" in scaling:
        scaling.pop("minAllowed", None)
    if scaling.get("mode", "Off") != "Off":
        scaling.pop("minAllowed", None)
        scaling.pop("maxAllowed", None)
        scaling.pop("controlledResources", None)


def _repair_healing(spec: Json) -> None:
    """Add what remediations need: a memory limit below the maximum, an autoscaler."""
    healing = spec["healing"]
    healing.pop("recycle", None)
    healing.get("quarantine", {}).pop("keep", None)
    if "window" in healing:
        healing.pop("cooldown", None)
        if healing["window"] in {"0s", "0h0m1s"}:
            healing["window"] = "90s"
    elif "cooldown" in healing:
        healing["cooldown"] = "90s"
    if "memory" in healing:
        healing["memory"]["max"] = "9E"
        spec.setdefault("resources", {}).setdefault("limits", {})["memory"] = "64Mi"
        spec["resources"].get("requests", {}).pop("memory", None)
        spec.pop("verticalScaling", None)
    if "scalingFallback" in healing:
        scaling = spec.setdefault("autoscaling", {"maxReplicas": 1})
        scaling["maxReplicas"] = max(scaling["maxReplicas"], healing["scalingFallback"]["replicas"])
        spec.pop("replicas", None)


def _repair_disruption(disruption: Json) -> None:
    """Keep one limit that allows an eviction with any number of pods."""
    if "maxUnavailable" in disruption:
        disruption.pop("minAvailable", None)
        if disruption["maxUnavailable"] in {0, "0%"}:
            disruption["maxUnavailable"] = 1
    if disruption.get("minAvailable", 0) not in {0, 1, "0%", "1%", "25%"}:
        disruption["minAvailable"] = "50%"


def _repair_toleration(toleration: Json) -> None:
    if not toleration.get("key"):
        toleration["operator"] = "Exists"
    if toleration.get("operator") == "Exists":
        toleration.pop("value", None)
    if "tolerationSeconds" in toleration:
        toleration["effect"] = "NoExecute"


def _repair_containers(spec: Json) -> None:
    containers = (spec, *spec.get("initContainers", ()), *spec.get("sidecars", ()))
    if any(container.get("volumeMounts") for container in containers) and not spec.get("volumes"):
        spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    volumes = [volume["name"] for volume in spec.get("volumes", ())]
    for container in containers:
        _repair_container(spec, container, volumes)
    taken = {container["name"] for container in spec.get("initContainers", ())}
    if "sidecars" in spec:
        spec["sidecars"] = [c for c in spec["sidecars"] if c["name"] not in taken]


def _repair_container(spec: Json, container: Json, volumes: list[str]) -> None:
    if container is not spec:
        _repair_restarts(spec, container)
    elif spec.get("restartPolicy") == "Never":
        _repair_resize_policy(spec)
    for index, mount in enumerate(container.get("volumeMounts", ())):
        mount["name"] = volumes[index % len(volumes)]
        if "subPath" in mount:
            mount.pop("subPathExpr", None)
        if mount.get("mountPropagation") == "Bidirectional":
            mount["mountPropagation"] = "HostToContainer"
        if "recursiveReadOnly" in mount:
            mount.pop("mountPropagation", None)
            mount["readOnly"] = True
    if "resources" in container:
        claimed = {k: v for k, v in container["resources"].items() if k == "claims"}
        container["resources"] = _repair_resources(container["resources"]) | claimed
        if "claims" in container["resources"]:
            claims = spec.setdefault("resourceClaims", [])
            known = {claim["name"] for claim in claims}
            claims += [
                {"name": claim["name"], "resourceClaimName": "gpu"}
                for claim in container["resources"]["claims"]
                if claim["name"] not in known
            ]


def _repair_restarts(spec: Json, container: Json) -> None:
    """Make an init container with a probe, hook or resize policy a native sidecar."""
    needs_native_sidecar = {
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "resizePolicy",
    }
    if container in spec.get("initContainers", ()) and needs_native_sidecar & container.keys():
        container["restartPolicy"] = "Always"
    elif container not in spec.get("initContainers", ()):
        container.pop("restartPolicy", None)
    if spec.get("restartPolicy") == "Never":
        _repair_resize_policy(container)


def _repair_resize_policy(container: Json) -> None:
    for policy in container.get("resizePolicy", ()):
        policy["restartPolicy"] = "NotRequired"


def _repair_resources(resources: Json) -> Json:
    repaired: Json = {
        part: dict(resources[part]) for part in ("limits", "requests") if part in resources
    }
    for amounts in repaired.values():
        amounts.pop("storage", None)
        for name in ("memory", "ephemeral-storage"):
            if str(amounts.get(name, "")).endswith("m"):
                amounts[name] = "64Mi"
        if any(name.startswith("hugepages-") for name in amounts):
            amounts.setdefault("cpu", "100m")
        for name in amounts:
            if name.startswith("hugepages-"):
                amounts[name] = "4Mi"
            elif "/" in name:
                amounts[name] = 1
    for name, amount in list(repaired.get("requests", {}).items()):
        if "/" in name or name.startswith("hugepages-"):
            repaired.setdefault("limits", {})[name] = amount
        elif name in repaired.get("limits", {}):
            repaired["limits"][name] = amount
    return repaired
