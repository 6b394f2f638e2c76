"""The type of `spec`: what a user writes in a SelfHealingApp.

No field has a default where Kubernetes has one of its own: a field that is not given is ``None`` or
empty, and an explicit 0 stays a 0.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from selfhealing.api import cel_rules as cel, limits, pod_rules, port_rules, validation_messages
from selfhealing.api.access_rules import ACCESS_RULES
from selfhealing.api.access_spec import IngressSpec, MonitoringSpec, NetworkPolicySpec, RouteSpec
from selfhealing.api.base import Int32, Json, KubernetesType, ListMap, SchemaKeywords, SpecModel
from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.healing_spec import HealingSpec
from selfhealing.api.pod_spec import PodMetadataSpec, PortSpec, ServiceAccountSpec
from selfhealing.api.service_spec import ServiceSpec
from selfhealing.api.spec_types import CONTAINER, POD, CommandWords, Labels, ObjectName, Port

DEPLOYMENT = "io.k8s.api.apps.v1.DeploymentSpec"
AUTOSCALER = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec"
BUDGET = "io.k8s.api.policy.v1.PodDisruptionBudgetSpec"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"

MAX_ROLLOUT_SECONDS: Final = 24 * 60 * 60
"""Seconds of the times of a rollout. Kubernetes has no maximum: an action of healing that waits for
its rollout would be in progress for decades."""


class ProbesSpec(SpecModel):
    """The probes of the app's container. A probe that is not given does not exist."""

    liveness: Annotated[Json | None, KubernetesType(CONTAINER, "livenessProbe", "app")] = None
    """The kubelet restarts a container that fails it."""

    readiness: Annotated[Json | None, KubernetesType(CONTAINER, "readinessProbe", "app")] = None
    """The Service sends no requests to a pod that fails it."""

    startup: Annotated[Json | None, KubernetesType(CONTAINER, "startupProbe", "app")] = None
    """The other two probes wait until it succeeds: for an app that starts slowly."""


class AutoscalingSpec(SpecModel):
    """A HorizontalPodAutoscaler, which sets the number of pods instead of `replicas`."""

    rules = (cel.MIN_REPLICAS_AT_MOST_MAX, *cel.ONE_METRIC_PER_RESOURCE)

    min_replicas: Annotated[Int32, Field(ge=1)] = 1
    """The minimum number of pods."""

    max_replicas: Annotated[Int32, Field(ge=1)]
    """The maximum number of pods."""

    target_cpu_utilization_percentage: Annotated[Int32, Field(ge=1)] | None = Field(
        default=None, alias="targetCPUUtilizationPercentage"
    )
    """The target CPU use, in percent of the pods' CPU request."""

    target_memory_utilization_percentage: Annotated[Int32, Field(ge=1)] | None = None
    """The target memory use, in percent of the pods' memory request."""

    metrics: Annotated[list[Json], KubernetesType(AUTOSCALER, "metrics")] = Field(
        default_factory=list
    )
    """More metrics, as in autoscaling/v2."""

    behavior: Annotated[Json | None, KubernetesType(AUTOSCALER, "behavior")] = None
    """How fast to scale up and down, as in autoscaling/v2."""


class JobSpec(SpecModel):
    """Retries, time limit and parallelism of an app that runs as a Job."""

    backoff_limit: Annotated[Int32, Field(ge=0)] | None = None
    """The number of retries before the Job fails."""

    active_deadline_seconds: Annotated[Int32, Field(ge=1)] | None = None
    """Seconds after which the Job is stopped and has failed, whatever its retries."""

    completions: Annotated[Int32, Field(ge=1)] | None = None
    """How many pods must succeed; if only `parallelism` is given, one success completes the Job."""

    parallelism: Annotated[Int32, Field(ge=1)] | None = None
    """How many pods run at the same time."""


class RolloutSpec(SpecModel):
    """How a change of the pod template is rolled out."""

    rules = (cel.MIN_READY_BELOW_PROGRESS_DEADLINE,)

    strategy: Annotated[Json | None, KubernetesType(DEPLOYMENT, "strategy")] = None
    """RollingUpdate (with maxSurge and maxUnavailable) or Recreate."""

    min_ready_seconds: Annotated[Int32, Field(ge=0, le=MAX_ROLLOUT_SECONDS)] | None = None
    """Seconds that a new pod must be ready before it is available, a day (86400) at most."""

    progress_deadline_seconds: Annotated[Int32, Field(ge=1, le=MAX_ROLLOUT_SECONDS)] | None = None
    """Seconds without progress after which the rollout has failed, a day (86400) at most: healing
    waits for the end of a rollout."""

    revision_history_limit: Annotated[Int32, Field(ge=0)] | None = None
    """How many old ReplicaSets are kept."""


class DisruptionSpec(SpecModel):
    """How many pods may be evicted at once. By default one, if there are 2 or more."""

    rules = (
        cel.MIN_AVAILABLE_XOR_MAX_UNAVAILABLE,
        cel.MAX_UNAVAILABLE_ABOVE_ZERO,
        cel.MIN_AVAILABLE_BELOW_ALL,
    )

    enabled: bool = True
    """False: no PodDisruptionBudget."""

    min_available: Annotated[int | str | None, KubernetesType(BUDGET, "minAvailable")] = None
    """How many pods must stay, as a number or in percent: fewer than the minimum number of pods."""

    max_unavailable: Annotated[int | str | None, KubernetesType(BUDGET, "maxUnavailable")] = None
    """How many pods may be unavailable, as a number or in percent; 1 when neither is given."""


class ResourceBoundsSpec(SpecModel):
    """A bound of VPA's recommendation."""

    rules = cel.WHOLE_QUANTITIES

    cpu: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """CPU, such as 250m."""

    memory: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """Memory, such as 128Mi."""


class VerticalScalingSpec(SpecModel):
    """A VerticalPodAutoscaler. It needs VPA in the cluster; the app also runs without it."""

    rules = cel.MIN_ALLOWED_AT_MOST_MAX

    mode: Literal["Off", "Initial", "Recreate", "InPlaceOrRecreate"] = "Off"
    """How a recommendation is applied: "Off" (in quotes) only shows it in the status."""

    controlled_resources: Annotated[
        list[Literal["cpu", "memory"]],
        Field(max_length=2),
        SchemaKeywords({"x-kubernetes-list-type": "set"}),
    ] = Field(default_factory=list)
    """What VPA sets; by default cpu and memory, without those that autoscaling scales on."""

    min_allowed: ResourceBoundsSpec | None = None
    """The lowest request that VPA sets."""

    max_allowed: ResourceBoundsSpec | None = None
    """The highest request that VPA sets."""

    min_replicas: Annotated[Int32, Field(ge=1)] | None = None
    """The number of pods below which VPA replaces none; VPA's default is 2."""


class SelfHealingAppSpec(SpecModel):
    """The app. Only `image` is required."""

    rules = (*cel.SPEC_RULES, *port_rules.PORT_RULES, *pod_rules.POD_RULES, *ACCESS_RULES)

    image: Annotated[str, Field(min_length=1, max_length=512), cel.IMAGE_REFERENCE]
    """The container image."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When to pull the image; Kubernetes' default depends on the tag."""

    image_pull_secrets: Annotated[list[Json], KubernetesType(POD, "imagePullSecrets")] = Field(
        default_factory=list
    )
    """Secrets with the registry's credentials."""

    command: CommandWords = Field(default_factory=list)
    """Replaces the image's ENTRYPOINT."""

    args: CommandWords = Field(default_factory=list)
    """Replaces the image's CMD."""

    working_dir: str | None = None
    """Replaces the image's working directory."""

    env: Annotated[list[Json], KubernetesType(CONTAINER, "env")] = Field(default_factory=list)
    """Environment variables."""

    env_from: Annotated[list[Json], KubernetesType(CONTAINER, "envFrom")] = Field(
        default_factory=list
    )
    """Environment variables from whole ConfigMaps and Secrets."""

    port: Port | None = None
    """The port that the app listens on: the Service's target and the default of every probe.

    Its name is http; with another name, protocol or application protocol write it under `ports`.
    """

    ports: Annotated[list[PortSpec], Field(max_length=16), ListMap("name")] = Field(
        default_factory=list
    )
    """The ports that the app listens on, beside or instead of `port`.

    Two with one number are one port of the container and two of the Service, such as 80 and 443.
    """

    replicas: Annotated[Int32, Field(ge=0)] = 1
    """The number of pods, if there is no `autoscaling`; 0 stops the app.

    It is always set, so that an autoscaler of another kind may scale this resource.
    """

    resources: Annotated[Json | None, KubernetesType(CONTAINER, "resources")] = None
    """CPU and memory: requests are reserved, limits are the maximum."""

    probes: ProbesSpec | None = None
    """The probes of the app's container."""

    service: ServiceSpec | None = None
    """The Service in front of the pods. It exists if there is a port to expose."""

    ingress: IngressSpec | None = None
    """An Ingress: which hosts and paths lead from outside of the cluster to the Service."""

    route: RouteSpec | None = None
    """An HTTPRoute of Gateway API, where the cluster has it; the app also runs without it."""

    network_policy: NetworkPolicySpec | None = None
    """A NetworkPolicy: who may call the pods, and whom they may call."""

    monitoring: MonitoringSpec | None = None
    """How Prometheus finds the metrics: by a PodMonitor, where the cluster has it."""

    autoscaling: AutoscalingSpec | None = None
    """A HorizontalPodAutoscaler: the bounds of the number of pods, and its metrics."""

    rollout: RolloutSpec | None = None
    """How a change of the pod template is rolled out."""

    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    """Always: a Deployment, which serves. OnFailure, Never: a Job, which completes."""

    job: JobSpec | None = None
    """Retries, time limit and parallelism of an app that runs as a Job."""

    disruption: DisruptionSpec | None = None
    """A PodDisruptionBudget. It exists if there are always at least 2 pods."""

    vertical_scaling: VerticalScalingSpec | None = None
    """A VerticalPodAutoscaler: recommends or sets the pods' CPU and memory requests."""

    pod_metadata: PodMetadataSpec | None = None
    """Labels and annotations of the pods."""

    security_context: Annotated[Json | None, KubernetesType(CONTAINER, "securityContext")] = None
    """User, capabilities and file system of the app's container."""

    pod_security_context: Annotated[Json | None, KubernetesType(POD, "securityContext")] = None
    """User, groups and seccomp of the whole pod."""

    resize_policy: Annotated[list[Json], KubernetesType(CONTAINER, "resizePolicy")] = Field(
        default_factory=list
    )
    """Whether the app's container is restarted when its CPU or memory changes in place."""

    termination_message_path: Annotated[str, Field(max_length=4096)] | None = None
    """The file of which the status shows the end when the app has stopped."""

    termination_message_policy: Literal["File", "FallbackToLogsOnError"] | None = None
    """FallbackToLogsOnError: without such a file, the last lines of the log after a failure."""

    stdin: bool | None = None
    """True: the app's container has a standard input, to attach to."""

    stdin_once: bool | None = None
    """True: the standard input is closed when the first client detaches."""

    tty: bool | None = None
    """True: the standard input is a terminal."""

    resource_claims: Annotated[list[Json], KubernetesType(POD, "resourceClaims")] = Field(
        default_factory=list
    )
    """ResourceClaims (devices), which `resources.claims` of a container refer to."""

    dns_policy: Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"] | None = None
    """Whom the pods ask for names; with hostNetwork write ClusterFirstWithHostNet."""

    dns_config: Annotated[Json | None, KubernetesType(POD, "dnsConfig")] = None
    """Additional name servers, search domains and resolver options of the pods."""

    host_aliases: Annotated[list[Json], KubernetesType(POD, "hostAliases")] = Field(
        default_factory=list
    )
    """Additional lines of the pods' /etc/hosts."""

    hostname: Annotated[str, SchemaKeywords(limits.dns_label)] | None = None
    """The host name inside the pods, instead of the pod's name."""

    hostname_override: Annotated[str, SchemaKeywords(limits.host_name)] | None = None
    """The host name inside the pods, which DNS does not know; it may have dots."""

    subdomain: Annotated[str, SchemaKeywords(limits.dns_label)] | None = None
    """The name of a headless Service, under which DNS knows the pods' host names."""

    set_hostname_as_fqdn: bool | None = Field(default=None, alias="setHostnameAsFQDN")
    """True: the host name inside the pods is the fully qualified one."""

    enable_service_links: bool | None = None
    """True: variables such as WEB_PORT for each Service of the namespace.

    By default there are none, as one may have the name of a variable that the app reads.
    """

    share_process_namespace: bool | None = None
    """True: the containers of a pod see the processes of each other."""

    host_network: bool | None = None
    """True: the pods use the network of the node, whose ports they occupy."""

    host_pid: bool | None = Field(default=None, alias="hostPID")
    """True: the pods see all processes of the node."""

    host_ipc: bool | None = Field(default=None, alias="hostIPC")
    """True: the pods use the shared memory of the node."""

    host_users: bool | None = None
    """False: the pods have a user namespace, in which root is an ordinary user of the node."""

    service_account_name: ObjectName | None = None
    """The ServiceAccount that the pods run as, which must exist."""

    service_account: ServiceAccountSpec | None = None
    """A ServiceAccount of the app's own, which the operator creates."""

    automount_service_account_token: bool | None = None
    """False: the ServiceAccount's token is not mounted; for an app that calls no Kubernetes API."""

    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds that the app has to stop before it is killed."""

    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""

    tolerations: Annotated[list[Json], KubernetesType(POD, "tolerations")] = Field(
        default_factory=list
    )
    """Taints of nodes that the pods tolerate."""

    affinity: Annotated[Json | None, KubernetesType(POD, "affinity")] = None
    """Which nodes the pods prefer or avoid, also by the pods that run there."""

    topology_spread_constraints: Annotated[
        list[Json], KubernetesType(POD, "topologySpreadConstraints")
    ] = Field(default_factory=list)
    """How the pods spread over zones and nodes."""

    scheduler_name: ObjectName | None = None
    """The scheduler that chooses the nodes, instead of Kubernetes' own."""

    runtime_class_name: ObjectName | None = None
    """The RuntimeClass of the pods, such as one with a sandbox."""

    readiness_gates: Annotated[list[Json], KubernetesType(POD, "readinessGates")] = Field(
        default_factory=list
    )
    """Conditions that another controller sets, and without which a pod is not ready."""

    priority_class_name: ObjectName | None = None
    """The PriorityClass of the pods."""

    volumes: Annotated[list[Json], KubernetesType(POD, "volumes")] = Field(default_factory=list)
    """Volumes that the containers can mount."""

    volume_mounts: Annotated[list[Json], KubernetesType(CONTAINER, "volumeMounts")] = Field(
        default_factory=list
    )
    """Where the volumes are mounted in the app's container."""

    init_containers: Annotated[
        list[Json], KubernetesType(POD, "initContainers", variant="init")
    ] = Field(default_factory=list)
    """Containers that must complete, one after the other, before the app starts."""

    sidecars: Annotated[list[Json], KubernetesType(POD, "containers", variant="sidecar")] = Field(
        default_factory=list
    )
    """Containers that run beside the app."""

    lifecycle: Annotated[Json | None, KubernetesType(CONTAINER, "lifecycle")] = None
    """Hooks after the start and before the stop of the app's container."""

    healing: HealingSpec | None = None
    """Which remediations are allowed, and how many of them."""

    restart_on_config_change: bool = True
    """True: a change of a ConfigMap that the pods read is rolled out; no Job is rerun.

    A change of a Secret is rolled out only if the operator is installed with the right to read
    Secrets. False is for an app that reloads its files itself, or that another controller
    restarts. New values of `env` and `envFrom` then reach a pod when it is replaced.
    """

    drift: Literal["Tolerate", "Correct"] = "Tolerate"
    """What becomes of fields of the Deployment's pod template that others set, and not the spec.

    Tolerate: they stay while the app is well. If it falls ill after such an edit, healing removes
    them. Correct: they are removed at once. Fields that the spec sets are always put back.
    """

    paused: bool = False
    """True: the operator changes nothing and reports the phase Paused."""


def parse_spec(spec: Mapping[str, Any]) -> SelfHealingAppSpec:
    """Parse a stored spec; unknown fields are ignored.

    Raises:
        InvalidSpecError: a field is missing or has the wrong type or range.
    """
    try:
        return SelfHealingAppSpec.model_validate(dict(spec), by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpecError(*validation_messages.to_field_errors(error)) from error
