"""The CEL rules of the spec, which read several of its fields.

The API server evaluates them, so that ``kubectl apply`` fails with a message that says what to
write instead. The rules of Kubernetes' own types are in ``selfhealing.crdgen.overlays``.
"""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.duration import DURATION_PATTERN

IMAGE_PATTERN: Final = (
    r"^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]+)?/|\[[0-9a-fA-F:]+\](:[0-9]+)?/)?"
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128})?$"
)
"""The pattern of an image reference, by the grammar of github.com/distribution/reference."""

IMAGE_REFERENCE: Final = Rule(
    cel=f"self.matches(r'{IMAGE_PATTERN}')",
    message="write an image as [REGISTRY/]NAME[:TAG][@DIGEST], the name in lower case,"
    " such as nginx:1.29 or registry.example.com/team/app:v2",
)


WINDOW_LONGER_THAN_COOLDOWN: Final = Rule(
    # An invalid duration is refused by the rule of its own field.
    cel="!has(self.window) || !has(self.cooldown)"
    f" || [self.window, self.cooldown].exists(t, t == '' || !t.matches('{DURATION_PATTERN}'))"
    " || duration(self.window) > duration(self.cooldown)",
    message="no second action could ever fall into the window: window (1h if not given) must be"
    " longer than cooldown (1m if not given)",
    field_path=".window",
)


def _refuse_old_name(old: str, new: str, value: str) -> Rule:
    """Build the rule that a field is written under its new name; ``value`` is what to write there.

    A stored spec may keep the old name. Validation ratcheting (KEP-4008) would accept it too, but
    with a warning at every write of the resource and of its status.
    """
    return Rule(
        cel=f"!has(self.{old}) || (oldSelf.hasValue() && has(oldSelf.value().{old})"
        f" && oldSelf.value().{old} == self.{old})",
        has_optional_old_self=True,
        message=f"{old} is now {new}: write {new}, with {value}",
        field_path=f".{old}",
        reason="FieldValueForbidden",
    )


RECYCLE_IS_REPLACE_POD: Final = _refuse_old_name("recycle", "replacePod", "the same fields")
QUARANTINE_KEEP_IS_TTL: Final = _refuse_old_name("keep", "ttl", "the same value")

NAME_IS_DNS_LABEL: Final = Rule(
    cel="self.metadata.name.size() <= 63"
    " && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message="the Service has this name too: write at most 63 lower-case letters, digits and '-',"
    " beginning with a letter, such as my-app",
    field_path=".metadata.name",
)

_HAS_DEFAULT_REPLICAS: Final = "(!has(self.replicas) || self.replicas == 1)"
"""CEL: whether replicas is the default, which the API server writes where it is not given."""

REPLICAS_XOR_AUTOSCALING: Final = Rule(
    cel=f"{_HAS_DEFAULT_REPLICAS} || !has(self.autoscaling)",
    message="replicas and autoscaling exclude each other: remove replicas (the autoscaler stays"
    " between minReplicas and maxReplicas), or remove autoscaling",
    field_path=".replicas",
    reason="FieldValueForbidden",
)

NO_OPERATOR_ANNOTATIONS: Final = Rule(
    cel="!self.exists(key, key.startsWith('selfhealing.dev/'))",
    message="only the operator writes annotations of selfhealing.dev: remove them",
    reason="FieldValueForbidden",
)

NO_IP_ADDRESS: Final = Rule(
    cel="!isIP(self)",
    message="an IP address is no host name: write a DNS name, such as shop.example.com",
)

MIN_REPLICAS_AT_MOST_MAX: Final = Rule(
    cel="(has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
    message="minReplicas exceeds maxReplicas: lower minReplicas or raise maxReplicas",
    field_path=".minReplicas",
)


def _one_metric_per_resource(resource: str, field: str) -> Rule:
    return Rule(
        cel=f"!has(self.{field}) || !has(self.metrics) || !self.metrics.exists(m,"
        f" has(m.resource) && m.resource.name == '{resource}')",
        message=f"{field} and metrics both have a metric of {resource}: remove one of them",
        field_path=f".{field}",
    )


ONE_METRIC_PER_RESOURCE: Final = (
    _one_metric_per_resource("cpu", "targetCPUUtilizationPercentage"),
    _one_metric_per_resource("memory", "targetMemoryUtilizationPercentage"),
)

MIN_AVAILABLE_XOR_MAX_UNAVAILABLE: Final = Rule(
    cel="!(has(self.minAvailable) && has(self.maxUnavailable))",
    message="minAvailable and maxUnavailable exclude each other: keep one of them",
    field_path=".minAvailable",
    reason="FieldValueForbidden",
)

MAX_UNAVAILABLE_ABOVE_ZERO: Final = Rule(
    cel="!has(self.maxUnavailable) || (self.maxUnavailable != 0 && self.maxUnavailable != '0%')",
    message="with maxUnavailable 0 no pod could be evicted, and no node drained:"
    " write 1 or more, or more than 0%; for no budget at all write enabled: false",
    field_path=".maxUnavailable",
)

MIN_AVAILABLE_BELOW_ALL: Final = Rule(
    cel="!has(self.minAvailable) || self.minAvailable != '100%'",
    message="with minAvailable 100% no pod could be evicted, and no node drained:"
    " write less, such as 50%, or maxUnavailable: 1",
    field_path=".minAvailable",
)


def _min_allowed_at_most_max(resource: str) -> Rule:
    low, high = f"self.minAllowed.{resource}", f"self.maxAllowed.{resource}"
    return Rule(
        cel=f"!has(self.minAllowed) || !has(self.maxAllowed) || !has({low}) || !has({high})"
        f" || quantity(string({low})).compareTo(quantity(string({high}))) <= 0",
        message=f"minAllowed.{resource} exceeds maxAllowed.{resource}: lower the former, or"
        " raise the latter",
        field_path=f".minAllowed.{resource}",
    )


MIN_ALLOWED_AT_MOST_MAX: Final = (
    _min_allowed_at_most_max("cpu"),
    _min_allowed_at_most_max("memory"),
)

_MEMORY_IN_BYTES: Final = "quantity(string(self.memory)).asApproximateFloat()"
"""CEL: exact up to 8 PiB. ``isInteger`` is not used, because it is false for 1.5Gi."""

WHOLE_QUANTITIES: Final = (
    Rule(
        cel=r"!has(self.cpu) || string(self.cpu).matches('^[0-9]+(m|[.][0-9]{1,3})?$')",
        message="cpu is a whole number of thousandths here: write it as 250m,"
        ' "0.25" (in quotes) or 2',
        field_path=".cpu",
    ),
    Rule(
        cel=f"!has(self.memory) || double(int({_MEMORY_IN_BYTES})) == {_MEMORY_IN_BYTES}",
        message="memory is a whole number of bytes here: write it as 128Mi",
        field_path=".memory",
    ),
)
"""The rules of VPA's webhook (validateResourceResolution in its admission controller)."""

MIN_READY_BELOW_PROGRESS_DEADLINE: Final = Rule(
    cel="(has(self.minReadySeconds) ? self.minReadySeconds : 0)"
    " < (has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600)",
    message="no rollout could succeed: progressDeadlineSeconds (600 if not given)"
    " must exceed minReadySeconds",
    field_path=".progressDeadlineSeconds",
)


_MIN_REPLICAS: Final = (
    "(has(self.autoscaling)"
    " ? (has(self.autoscaling.minReplicas) ? self.autoscaling.minReplicas : 1)"
    " : (has(self.replicas) ? self.replicas : 1))"
)
"""CEL: the minimum number of pods. With fewer than 2 there is no PodDisruptionBudget."""

_MIN_AVAILABLE: Final = "self.disruption.minAvailable"

NODES_CAN_BE_DRAINED: Final = Rule(
    cel=f"!has(self.disruption) || !has({_MIN_AVAILABLE})"
    " || (has(self.disruption.enabled) && !self.disruption.enabled)"
    f" || {_MIN_REPLICAS} < 2"
    f" || (type({_MIN_AVAILABLE}) == int ? {_MIN_AVAILABLE} < {_MIN_REPLICAS}"
    # Kubernetes rounds a percentage up: it must leave one pod that can be evicted.
    f" : int({_MIN_AVAILABLE}.replace('%', '')) * {_MIN_REPLICAS} <= ({_MIN_REPLICAS} - 1) * 100)",
    message="no pod could be evicted, and no node drained, with as many pods as must stay:"
    " write a minAvailable below replicas (below minReplicas with autoscaling),"
    " or maxUnavailable: 1 instead",
    field_path=".disruption.minAvailable",
)

_IS_DEPLOYMENT: Final = "(!has(self.restartPolicy) || self.restartPolicy == 'Always')"
"""CEL: whether the app runs as a Deployment; else it runs as a Job."""


def _forbidden_in_job(field: str, advice: str, is_absent: str = "") -> Rule:
    """Return the rule that forbids a field that has no meaning for a Job.

    Args:
        field: the field.
        advice: what to write instead.
        is_absent: the CEL for: the field is not given; by default it is not there.
    """
    return Rule(
        cel=f"{_IS_DEPLOYMENT} || {is_absent or f'!has(self.{field})'}",
        message=f"an app with restartPolicy OnFailure or Never is a Job: {advice},"
        " or write restartPolicy: Always",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


FORBIDDEN_IN_JOB: Final = (
    _forbidden_in_job(
        "replicas",
        "write job.completions and job.parallelism instead of replicas",
        _HAS_DEFAULT_REPLICAS,
    ),
    _forbidden_in_job("autoscaling", "write job.parallelism instead of autoscaling"),
    _forbidden_in_job("rollout", "a change creates a new Job: remove rollout"),
    _forbidden_in_job(
        "disruption", "an evicted pod starts again from the beginning: remove disruption"
    ),
    _forbidden_in_job("verticalScaling", "its pods are not replaced: remove verticalScaling"),
)

JOB_NEEDS_RESTART_POLICY: Final = Rule(
    cel=f"!has(self.job) || !{_IS_DEPLOYMENT}",
    message="an app with restartPolicy Always is no Job: write restartPolicy: OnFailure or Never,"
    " or remove job",
    field_path=".job",
    reason="FieldValueForbidden",
)

_METRICS: Final = "self.autoscaling.metrics"


def _scales_on(resource: str, target: str) -> str:
    """Return the CEL for: the autoscaler scales on a resource."""
    metric = (
        f"has({_METRICS}) && {_METRICS}.exists(m,"
        f" (has(m.resource) && m.resource.name == '{resource}')"
        f" || (has(m.containerResource) && m.containerResource.name == '{resource}'))"
    )
    return f"(has(self.autoscaling.{target}) || ({metric}))"


_SCALES_ON_MEMORY: Final = _scales_on("memory", "targetMemoryUtilizationPercentage")
_SCALES_ON_CPU: Final = (
    f"({_scales_on('cpu', 'targetCPUUtilizationPercentage')}"
    # Without a metric Kubernetes scales on CPU.
    " || (!has(self.autoscaling.targetMemoryUtilizationPercentage)"
    f" && (!has({_METRICS}) || {_METRICS}.size() == 0)))"
)
_NO_AUTOSCALER_CONFLICT: Final = (
    "!has(self.verticalScaling) || !has(self.autoscaling)"
    " || !has(self.verticalScaling.mode) || self.verticalScaling.mode == 'Off'"
)
"""CEL: there are not two autoscalers that change something."""


def _one_autoscaler_per_resource(resource: str, scales_on: str) -> Rule:
    field = "self.verticalScaling"
    controls_resource = " || ".join(
        (
            f"(has({field}.controlledResources) && '{resource}' in {field}.controlledResources)",
            f"(has({field}.minAllowed) && has({field}.minAllowed.{resource}))",
            f"(has({field}.maxAllowed) && has({field}.maxAllowed.{resource}))",
        )
    )
    return Rule(
        cel=f"{_NO_AUTOSCALER_CONFLICT} || !{scales_on} || !({controls_resource})",
        message=f"autoscaling already scales on {resource}:"
        f" remove {resource} from verticalScaling, let autoscaling scale on another metric,"
        ' or write mode: "Off" to have recommendations only',
        field_path=".verticalScaling",
    )


VPA_HAS_A_RESOURCE: Final = Rule(
    cel=f"{_NO_AUTOSCALER_CONFLICT} || !({_SCALES_ON_CPU} && {_SCALES_ON_MEMORY})",
    message="autoscaling scales on cpu and memory, which leaves nothing for verticalScaling:"
    ' remove one of the metrics, or write mode: "Off" to have recommendations only',
    field_path=".verticalScaling",
)

NO_HEALING_OF_JOBS: Final = Rule(
    cel=f"{_IS_DEPLOYMENT} || !has(self.healing)"
    " || (has(self.healing.mode) && self.healing.mode == 'Off')",
    message="an app with restartPolicy OnFailure or Never is a Job, which retries by itself:"
    ' remove healing, write mode: "Off", or write restartPolicy: Always',
    field_path=".healing",
    reason="FieldValueForbidden",
)

_RESOURCE_LIMITS: Final = "self.resources.limits"
_HAS_MEMORY_LIMIT: Final = (
    f"has(self.resources) && has({_RESOURCE_LIMITS}) && 'memory' in {_RESOURCE_LIMITS}"
)
_MEMORY_LIMIT: Final = f"{_RESOURCE_LIMITS}['memory']"
"""CEL: read as a map's value. As a field the API server would estimate a text of any length, and
refuse the rule as too costly."""

_RAISES_MEMORY_LIMIT: Final = (
    "has(self.healing) && has(self.healing.memory) && has(self.healing.memory.max)"
    " && (!has(self.healing.memory.enabled) || self.healing.memory.enabled)"
)

HEALING_MEMORY_NEEDS_LIMIT: Final = Rule(
    cel=f"!({_RAISES_MEMORY_LIMIT}) || ({_HAS_MEMORY_LIMIT})",
    message="healing.memory.max is for raising the memory limit, and the app has none:"
    " write resources.limits.memory, or remove healing.memory.max",
    field_path=".healing.memory.max",
    reason="FieldValueRequired",
)

HEALING_MEMORY_ABOVE_LIMIT: Final = Rule(
    cel=f"!({_RAISES_MEMORY_LIMIT}) || !({_HAS_MEMORY_LIMIT})"
    " || quantity(string(self.healing.memory.max))"
    f".compareTo(quantity(string({_MEMORY_LIMIT}))) > 0",
    message="healing.memory.max does not exceed the limit: write more than resources.limits.memory",
    field_path=".healing.memory.max",
)

_VERTICAL_SCALING: Final = "self.verticalScaling"

ONE_CONTROLLER_OF_MEMORY: Final = Rule(
    cel=f"!({_RAISES_MEMORY_LIMIT}) || !has({_VERTICAL_SCALING})"
    f" || !has({_VERTICAL_SCALING}.mode) || {_VERTICAL_SCALING}.mode == 'Off'"
    f" || (has({_VERTICAL_SCALING}.controlledResources)"
    f" && {_VERTICAL_SCALING}.controlledResources.size() > 0"
    f" ? !('memory' in {_VERTICAL_SCALING}.controlledResources)"
    f" : has(self.autoscaling) && {_SCALES_ON_MEMORY})",
    message="verticalScaling already controls memory, and only one controller may:"
    ' remove healing.memory.max, or write verticalScaling.mode: "Off"',
    field_path=".healing.memory.max",
    reason="FieldValueForbidden",
)

_HAS_SCALING_FALLBACK: Final = "has(self.healing) && has(self.healing.scalingFallback)"

FALLBACK_NEEDS_AUTOSCALING: Final = Rule(
    cel=f"!({_HAS_SCALING_FALLBACK}) || has(self.autoscaling)",
    message="healing.scalingFallback needs autoscaling: write autoscaling, or remove it",
    field_path=".healing.scalingFallback",
    reason="FieldValueRequired",
)

FALLBACK_WITHIN_AUTOSCALING: Final = Rule(
    cel=f"!({_HAS_SCALING_FALLBACK}) || !has(self.autoscaling)"
    " || self.healing.scalingFallback.replicas <= self.autoscaling.maxReplicas",
    message="healing.scalingFallback.replicas exceeds autoscaling.maxReplicas:"
    " lower the former, or raise the latter",
    field_path=".healing.scalingFallback.replicas",
)

SPEC_RULES: Final = (
    REPLICAS_XOR_AUTOSCALING,
    NODES_CAN_BE_DRAINED,
    *FORBIDDEN_IN_JOB,
    JOB_NEEDS_RESTART_POLICY,
    _one_autoscaler_per_resource("cpu", _SCALES_ON_CPU),
    _one_autoscaler_per_resource("memory", _SCALES_ON_MEMORY),
    VPA_HAS_A_RESOURCE,
    NO_HEALING_OF_JOBS,
    HEALING_MEMORY_NEEDS_LIMIT,
    HEALING_MEMORY_ABOVE_LIMIT,
    ONE_CONTROLLER_OF_MEMORY,
    FALLBACK_NEEDS_AUTOSCALING,
    FALLBACK_WITHIN_AUTOSCALING,
)
"""The rules of the whole spec."""
