"""What a user writes: the spec of a SelfHealingApp.

Nothing here invents a value that Kubernetes would choose by itself: what is not given is ``None``
or empty, and an explicit 0 stays a 0.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from selfhealing.api import cel_rules as cel, limits, validation_messages
from selfhealing.api.base import Int32, Json, KubernetesType, SchemaKeywords, SpecModel
from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.healing_spec import HealingSpec

CORE = "io.k8s.api.core.v1"
CONTAINER = f"{CORE}.Container"
POD = f"{CORE}.PodSpec"
DEPLOYMENT = "io.k8s.api.apps.v1.DeploymentSpec"
AUTOSCALER = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec"
BUDGET = "io.k8s.api.policy.v1.PodDisruptionBudgetSpec"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"

Port = Annotated[Int32, Field(ge=1, le=65535)]
CommandWords = Annotated[list[str], Field(max_length=256)]
Labels = Annotated[
    dict[str, Annotated[str, SchemaKeywords(limits.label_value)]],
    Field(max_length=32),
    limits.LABEL_KEYS_RULE,
]
Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=50),
    limits.LABEL_KEYS_RULE,
    cel.NO_OPERATOR_ANNOTATIONS,
]
ObjectName = Annotated[str, SchemaKeywords(limits.dns_subdomain)]


class ProbesSpec(SpecModel):
    """When the app is alive, ready and started. What is not given is not probed."""

    liveness: Annotated[Json | None, KubernetesType(CONTAINER, "livenessProbe", "app")] = None
    """A container that fails this is restarted by the kubelet."""

    readiness: Annotated[Json | None, KubernetesType(CONTAINER, "readinessProbe", "app")] = None
    """A pod that fails this gets no requests."""

    startup: Annotated[Json | None, KubernetesType(CONTAINER, "startupProbe", "app")] = None
    """Until this succeeds, the other two wait: for an app that starts slowly."""


class ServiceSpec(SpecModel):
    """The Service in front of the pods. It is made whenever `port` is set."""

    rules = (cel.NODE_PORT_NEEDS_TYPE,)

    enabled: bool = True
    """False: no Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Who can reach it: the cluster, everybody who reaches a node, or a load balancer."""

    port: Port = 80
    """The port of the Service; its target is `port` of the app."""

    node_port: Annotated[Int32, Field(ge=30000, le=32767)] | None = None
    """The port on every node, for the types NodePort and LoadBalancer; else one is chosen."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the Service: what cloud load balancers are configured with."""


class AutoscalingSpec(SpecModel):
    """A HorizontalPodAutoscaler. It owns the number of replicas while it is here."""

    rules = (cel.MIN_REPLICAS_AT_MOST_MAX, *cel.ONE_METRIC_PER_RESOURCE)

    min_replicas: Annotated[Int32, Field(ge=1)] = 1
    """Never fewer pods than this."""

    max_replicas: Annotated[Int32, Field(ge=1)]
    """Never more pods than this."""

    target_cpu_utilization_percentage: Annotated[Int32, Field(ge=1)] | None = Field(
        default=None, alias="targetCPUUtilizationPercentage"
    )
    """The CPU use to aim at, in percent of the pods' CPU request."""

    target_memory_utilization_percentage: Annotated[Int32, Field(ge=1)] | None = None
    """The memory use to aim at, in percent of the pods' memory request."""

    metrics: Annotated[list[Json], KubernetesType(AUTOSCALER, "metrics")] = Field(
        default_factory=list
    )
    """More metrics, as in autoscaling/v2."""

    behavior: Annotated[Json | None, KubernetesType(AUTOSCALER, "behavior")] = None
    """How fast to scale up and down, as in autoscaling/v2."""


class JobSpec(SpecModel):
    """How often and for how long an app that runs to its end is tried."""

    backoff_limit: Annotated[Int32, Field(ge=0)] | None = None
    """How many failures are made good by another try, before the app counts as failed."""

    active_deadline_seconds: Annotated[Int32, Field(ge=1)] | None = None
    """After so long it is stopped and counts as failed, however often it was tried."""

    completions: Annotated[Int32, Field(ge=1)] | None = None
    """How many pods must succeed; with `parallelism` alone the first that does ends the work."""

    parallelism: Annotated[Int32, Field(ge=1)] | None = None
    """How many pods run at the same time."""


class RolloutSpec(SpecModel):
    """How a change reaches the pods."""

    rules = (cel.MIN_READY_BELOW_PROGRESS_DEADLINE,)

    strategy: Annotated[Json | None, KubernetesType(DEPLOYMENT, "strategy")] = None
    """RollingUpdate (with maxSurge and maxUnavailable) or Recreate."""

    min_ready_seconds: Annotated[Int32, Field(ge=0)] | None = None
    """How long a new pod must stay ready before it counts as available."""

    progress_deadline_seconds: Annotated[Int32, Field(ge=1)] | None = None
    """After so long without progress the rollout is reported as failed."""

    revision_history_limit: Annotated[Int32, Field(ge=0)] | None = None
    """How many old revisions are kept to go back to."""


class DisruptionSpec(SpecModel):
    """How many pods may be moved at once. Without any of it: one, if there are 2 or more."""

    rules = (
        cel.MIN_AVAILABLE_XOR_MAX_UNAVAILABLE,
        cel.MAX_UNAVAILABLE_ABOVE_ZERO,
        cel.MIN_AVAILABLE_BELOW_ALL,
    )

    enabled: bool = True
    """False: no PodDisruptionBudget."""

    min_available: Annotated[int | str | None, KubernetesType(BUDGET, "minAvailable")] = None
    """How many pods must stay, as a number or in percent: fewer than there are at least."""

    max_unavailable: Annotated[int | str | None, KubernetesType(BUDGET, "maxUnavailable")] = None
    """How many pods may be away, as a number or in percent; 1 when neither is given."""


class ResourceBoundsSpec(SpecModel):
    """Bounds of what may be recommended and set."""

    rules = cel.WHOLE_QUANTITIES

    cpu: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """CPU, such as 250m."""

    memory: Annotated[int | str | None, KubernetesType(QUANTITY)] = None
    """Memory, such as 128Mi."""


class VerticalScalingSpec(SpecModel):
    """A VerticalPodAutoscaler. Needs VPA in the cluster; the app runs without it, too."""

    rules = cel.MIN_ALLOWED_AT_MOST_MAX

    mode: Literal["Off", "Initial", "Recreate", "InPlaceOrRecreate"] = "Off"
    """What becomes of a recommendation: "Off" (in quotes) only shows it in the status."""

    controlled_resources: Annotated[
        list[Literal["cpu", "memory"]],
        Field(max_length=2),
        SchemaKeywords({"x-kubernetes-list-type": "set"}),
    ] = Field(default_factory=list)
    """What is moved; when not given, cpu and memory but for what autoscaling follows."""

    min_allowed: ResourceBoundsSpec | None = None
    """Never less than this."""

    max_allowed: ResourceBoundsSpec | None = None
    """Never more than this."""

    min_replicas: Annotated[Int32, Field(ge=1)] | None = None
    """Pods are replaced only while there are so many; VPA's own default is 2."""


class SelfHealingAppSpec(SpecModel):
    """The app: an image, and whatever differs from the defaults."""

    rules = cel.SPEC_RULES

    image: Annotated[str, Field(min_length=1, max_length=512), cel.IMAGE_REFERENCE]
    """The container image."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When to pull the image; Kubernetes' default depends on the tag."""

    image_pull_secrets: Annotated[list[Json], KubernetesType(POD, "imagePullSecrets")] = Field(
        default_factory=list
    )
    """Secrets to pull the image with."""

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
    """The port that the app listens on: the Service's target and every probe's fallback."""

    replicas: Annotated[Int32, Field(ge=0)] | None = None
    """How many pods: 1 when neither this nor `autoscaling` is given; 0 stops the app."""

    resources: Annotated[Json | None, KubernetesType(CONTAINER, "resources")] = None
    """CPU and memory: what is reserved (requests) and what is the most (limits)."""

    probes: ProbesSpec | None = None
    """When the app is alive, ready and started."""

    service: ServiceSpec | None = None
    """The Service in front of the pods. It is made whenever `port` is set."""

    autoscaling: AutoscalingSpec | None = None
    """Between how many pods, and by which metrics, the number of pods moves."""

    rollout: RolloutSpec | None = None
    """How a change reaches the pods."""

    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    """Always: it serves for ever (a Deployment). OnFailure, Never: it runs to its end (a Job)."""

    job: JobSpec | None = None
    """How often and for how long an app that runs to its end is tried."""

    disruption: DisruptionSpec | None = None
    """A PodDisruptionBudget. It is made when there are always at least 2 pods."""

    vertical_scaling: VerticalScalingSpec | None = None
    """A VerticalPodAutoscaler: how much CPU and memory a pod should ask for."""

    security_context: Annotated[Json | None, KubernetesType(CONTAINER, "securityContext")] = None
    """User, capabilities and file system of the app's container."""

    pod_security_context: Annotated[Json | None, KubernetesType(POD, "securityContext")] = None
    """User, groups and seccomp of the whole pod."""

    service_account_name: ObjectName | None = None
    """The ServiceAccount that the pods run as."""

    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long the app may take to stop before it is killed."""

    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""

    tolerations: Annotated[list[Json], KubernetesType(POD, "tolerations")] = Field(
        default_factory=list
    )
    """Taints of nodes that the pods put up with."""

    affinity: Annotated[Json | None, KubernetesType(POD, "affinity")] = None
    """Which nodes and which neighbours the pods want, or avoid."""

    topology_spread_constraints: Annotated[
        list[Json], KubernetesType(POD, "topologySpreadConstraints")
    ] = Field(default_factory=list)
    """How the pods spread over zones and nodes."""

    priority_class_name: ObjectName | None = None
    """The PriorityClass of the pods."""

    volumes: Annotated[list[Json], KubernetesType(POD, "volumes")] = Field(default_factory=list)
    """Volumes that the containers can mount."""

    volume_mounts: Annotated[list[Json], KubernetesType(CONTAINER, "volumeMounts")] = Field(
        default_factory=list
    )
    """Where the app's container sees which volume."""

    init_containers: Annotated[
        list[Json], KubernetesType(POD, "initContainers", variant="init")
    ] = Field(default_factory=list)
    """Containers that run to their end, one after the other, before the app starts."""

    sidecars: Annotated[list[Json], KubernetesType(POD, "containers", variant="sidecar")] = Field(
        default_factory=list
    )
    """Containers that run beside the app."""

    lifecycle: Annotated[Json | None, KubernetesType(CONTAINER, "lifecycle")] = None
    """What to run right after the start and right before the stop of the app's container."""

    healing: HealingSpec | None = None
    """What is done about an app that is ill, and how often at the most."""

    restart_on_config_change: bool = True
    """Replaces the pods when a ConfigMap or Secret changes that they read; a Job never runs again.

    Without it new values of `env` and `envFrom` reach a pod whenever it happens to be replaced, and
    a fault in them shows then; with it a change is a rollout, which can be watched and taken back.
    False is for an app that reads its files anew by itself, or that something else restarts.
    """

    paused: bool = False
    """True: the operator changes nothing, and says so."""


def parse_spec(spec: Mapping[str, Any]) -> SelfHealingAppSpec:
    """Read a spec as it is stored; fields that this version does not know are ignored.

    Raises:
        InvalidSpecError: a field is missing or has the wrong type or range.
    """
    try:
        return SelfHealingAppSpec.model_validate(dict(spec), by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpecError(*validation_messages.to_field_errors(error)) from error
