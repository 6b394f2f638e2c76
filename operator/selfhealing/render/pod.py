"""The pod template: the main container, its companions and the pod-level fields."""

from typing import Any

from selfhealing.api import names
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import filled, given, labels
from selfhealing.render.probes import build_probe


def build_pod_template(name: str, spec: SelfHealingAppSpec, config: str = "") -> dict[str, Any]:
    """Return the core/v1 PodTemplateSpec of the app ``name``.

    ``config`` is the mark of the ConfigMaps and Secrets that its pods read; empty for none.
    """
    notes = {"annotations": {names.ANNOTATION_CONFIG: config}} if config else {}
    return {"metadata": {"labels": labels(name), **notes}, "spec": _pod_spec(spec)}


def runs_to_its_end(spec: SelfHealingAppSpec) -> bool:
    """Whether the app is a Job; else it is a Deployment, which serves for ever."""
    return spec.restart_policy != "Always"


def _pod_spec(spec: SelfHealingAppSpec) -> dict[str, Any]:
    ends = runs_to_its_end(spec)
    return {
        "containers": [_main_container(spec), *([] if ends else spec.sidecars)],
        **({"restartPolicy": spec.restart_policy} if ends else {}),
        **filled(
            initContainers=[
                *spec.init_containers,
                # As this kind of init container a sidecar ends when the app does, so the Job ends.
                *({**each, "restartPolicy": "Always"} for each in spec.sidecars if ends),
            ],
            imagePullSecrets=list(spec.image_pull_secrets),
            nodeSelector=dict(spec.node_selector),
            tolerations=list(spec.tolerations),
            topologySpreadConstraints=list(spec.topology_spread_constraints),
            volumes=list(spec.volumes),
        ),
        **given(
            affinity=spec.affinity,
            priorityClassName=spec.priority_class_name,
            securityContext=spec.pod_security_context,
            serviceAccountName=spec.service_account_name,
            terminationGracePeriodSeconds=spec.termination_grace_period_seconds,
        ),
    }


def _main_container(spec: SelfHealingAppSpec) -> dict[str, Any]:
    return {
        "name": names.CONTAINER_NAME,
        "image": spec.image,
        **filled(
            command=list(spec.command),
            args=list(spec.args),
            env=list(spec.env),
            envFrom=list(spec.env_from),
            volumeMounts=list(spec.volume_mounts),
        ),
        **given(
            imagePullPolicy=spec.image_pull_policy,
            workingDir=spec.working_dir,
            resources=spec.resources,
            securityContext=spec.security_context,
            lifecycle=spec.lifecycle,
        ),
        **_ports(spec),
        **_probes(spec),
    }


def _ports(spec: SelfHealingAppSpec) -> dict[str, Any]:
    if spec.port is None:
        return {}
    return {"ports": [{"name": names.PORT_NAME, "containerPort": spec.port, "protocol": "TCP"}]}


def _probes(spec: SelfHealingAppSpec) -> dict[str, Any]:
    if spec.probes is None:
        return {}
    wanted = {
        "livenessProbe": spec.probes.liveness,
        "readinessProbe": spec.probes.readiness,
        "startupProbe": spec.probes.startup,
    }
    return {
        field: build_probe(probe, spec.port) for field, probe in wanted.items() if probe is not None
    }
