"""Renders the pod template: the app's container, init containers, sidecars and pod fields."""

from typing import Any

from selfhealing.api import names
from selfhealing.api.pod_spec import PodMetadataSpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import labels, omit_empty, omit_none, pod_marker, selector
from selfhealing.render.monitoring import scrape_annotations
from selfhealing.render.probes import build_probe
from selfhealing.render.service_account import service_account_name


def build_pod_template(
    name: str, spec: SelfHealingAppSpec, config_hash: str = ""
) -> dict[str, Any]:
    """Return the core/v1 PodTemplateSpec of the app ``name``.

    Args:
        name: the app's name.
        spec: the app's spec.
        config_hash: the hash of the ConfigMaps and Secrets that the pods read; empty without any.
    """
    given = spec.pod_metadata or PodMetadataSpec()
    config = {names.ANNOTATION_CONFIG_HASH: config_hash} if config_hash else {}
    annotations = {**scrape_annotations(spec), **given.annotations, **config}
    return {
        "metadata": {
            "labels": {
                **labels(name),
                **given.labels,
                **pod_marker(name, given.labels),
                **selector(name),
            },
            **omit_empty(annotations=annotations),
        },
        "spec": _pod_spec(name, spec),
    }


def is_job(spec: SelfHealingAppSpec) -> bool:
    """Whether the app runs as a Job; else it runs as a Deployment."""
    return spec.restart_policy != "Always"


def _pod_spec(name: str, spec: SelfHealingAppSpec) -> dict[str, Any]:
    for_job = is_job(spec)
    return {
        "containers": [_app_container(spec), *([] if for_job else spec.sidecars)],
        **({"restartPolicy": spec.restart_policy} if for_job else {}),
        **omit_empty(
            initContainers=[
                *spec.init_containers,
                # As a restartable init container a sidecar stops with the app: the Job completes.
                *({**sidecar, "restartPolicy": "Always"} for sidecar in spec.sidecars if for_job),
            ],
            imagePullSecrets=list(spec.image_pull_secrets),
            nodeSelector=dict(spec.node_selector),
            tolerations=list(spec.tolerations),
            topologySpreadConstraints=list(spec.topology_spread_constraints),
            volumes=list(spec.volumes),
            resourceClaims=list(spec.resource_claims),
            hostAliases=list(spec.host_aliases),
            readinessGates=list(spec.readiness_gates),
        ),
        **omit_none(
            affinity=spec.affinity,
            priorityClassName=spec.priority_class_name,
            securityContext=spec.pod_security_context,
            serviceAccountName=service_account_name(name, spec),
            automountServiceAccountToken=spec.automount_service_account_token,
            terminationGracePeriodSeconds=spec.termination_grace_period_seconds,
            schedulerName=spec.scheduler_name,
            runtimeClassName=spec.runtime_class_name,
            dnsPolicy=spec.dns_policy,
            dnsConfig=spec.dns_config,
            hostname=spec.hostname,
            hostnameOverride=spec.hostname_override,
            subdomain=spec.subdomain,
            setHostnameAsFQDN=spec.set_hostname_as_fqdn,
            shareProcessNamespace=spec.share_process_namespace,
            hostNetwork=spec.host_network,
            hostPID=spec.host_pid,
            hostIPC=spec.host_ipc,
            hostUsers=spec.host_users,
            enableServiceLinks=bool(spec.enable_service_links),
        ),
    }


def _app_container(spec: SelfHealingAppSpec) -> dict[str, Any]:
    return {
        "name": names.CONTAINER_NAME,
        "image": spec.image,
        **omit_empty(
            command=list(spec.command),
            args=list(spec.args),
            env=list(spec.env),
            envFrom=list(spec.env_from),
            volumeMounts=list(spec.volume_mounts),
            resizePolicy=list(spec.resize_policy),
        ),
        **omit_none(
            imagePullPolicy=spec.image_pull_policy,
            workingDir=spec.working_dir,
            terminationMessagePath=spec.termination_message_path,
            terminationMessagePolicy=spec.termination_message_policy,
            stdin=spec.stdin,
            stdinOnce=spec.stdin_once,
            tty=spec.tty,
            resources=spec.resources,
            securityContext=spec.security_context,
            lifecycle=spec.lifecycle,
        ),
        **omit_empty(ports=_ports(spec)),
        **_probes(spec),
    }


def _ports(spec: SelfHealingAppSpec) -> list[dict[str, Any]]:
    main = (
        []
        if spec.port is None
        else [{"name": names.PORT_NAME, "containerPort": spec.port, "protocol": "TCP"}]
    )
    others = (
        {
            "name": port.name,
            "containerPort": port.port,
            "protocol": port.protocol,
            **omit_none(hostPort=port.host_port),
        }
        for port in spec.ports
    )
    by_number: dict[tuple[int, str], dict[str, Any]] = {}
    for port in (*main, *others):
        by_number.setdefault((port["containerPort"], port["protocol"]), port)
    return list(by_number.values())


def _probes(spec: SelfHealingAppSpec) -> dict[str, Any]:
    if spec.probes is None:
        return {}
    probes = {
        "livenessProbe": spec.probes.liveness,
        "readinessProbe": spec.probes.readiness,
        "startupProbe": spec.probes.startup,
    }
    return {
        field: build_probe(probe, spec.port) for field, probe in probes.items() if probe is not None
    }
