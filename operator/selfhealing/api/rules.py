"""The CEL rules of the spec: what several fields must agree on.

The API server checks them, so `kubectl apply` itself says what is wrong. Each message says what to
write instead. The rules of single Kubernetes types are in `selfhealing.crdgen.schema.tables`.
"""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.duration import PATTERN as DURATION_PATTERN
from selfhealing.api.names import PORT_NAME

IMAGE_PATTERN: Final = (
    r"^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]+)?/|\[[0-9a-fA-F:]+\](:[0-9]+)?/)?"
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128})?$"
)
"""The grammar of github.com/distribution/reference."""

IMAGE: Final = Rule(
    cel=f"self.matches(r'{IMAGE_PATTERN}')",
    message="write an image as [REGISTRY/]NAME[:TAG][@DIGEST], the name in lower case,"
    " such as nginx:1.29 or registry.example.com/team/app:v2",
)


WINDOW: Final = Rule(
    # A text that is no time has been refused beside its own field.
    cel="!has(self.window) || !has(self.cooldown)"
    f" || [self.window, self.cooldown].exists(t, t == '' || !t.matches('{DURATION_PATTERN}'))"
    " || duration(self.window) > duration(self.cooldown)",
    message="no second action could ever fall into the window: window (1h if not given) must be"
    " longer than cooldown (1m if not given)",
    path=".window",
)

NAME: Final = Rule(
    cel="self.metadata.name.size() <= 63"
    " && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message="the name is also the Service's: at most 63 small letters, digits and '-',"
    " beginning with a letter, such as my-app",
    path=".metadata.name",
)

BIDIRECTIONAL: Final = Rule(
    cel="!has(self.volumeMounts) || self.volumeMounts.all(m, !has(m.mountPropagation)"
    " || m.mountPropagation != 'Bidirectional')"
    " || (has(self.securityContext) && has(self.securityContext.privileged)"
    " && self.securityContext.privileged)",
    message="Bidirectional mounts need securityContext.privileged: true",
    path=".volumeMounts",
)

REPLICAS_XOR_AUTOSCALING: Final = Rule(
    cel="!(has(self.replicas) && has(self.autoscaling))",
    message="replicas and autoscaling exclude each other: remove replicas (the autoscaler keeps"
    " between minReplicas and maxReplicas), or remove autoscaling",
    path=".replicas",
    reason="FieldValueForbidden",
)

SERVICE_NEEDS_PORT: Final = Rule(
    cel="!has(self.service) || has(self.port)"
    " || (has(self.service.enabled) && !self.service.enabled)",
    message="a Service needs the port that the app listens on: write port, or remove service",
    path=".port",
    reason="FieldValueRequired",
)

NODE_PORT: Final = Rule(
    cel="!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",
    message="nodePort needs type: NodePort or LoadBalancer",
    path=".nodePort",
    reason="FieldValueForbidden",
)

SERVICE_ANNOTATIONS: Final = Rule(
    cel="!self.exists(key, key.startsWith('selfhealing.dev/'))",
    message="annotations of selfhealing.dev are the operator's: remove them",
    reason="FieldValueForbidden",
)

MIN_MAX: Final = Rule(
    cel="(has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
    message="minReplicas is at most maxReplicas: lower minReplicas or raise maxReplicas",
    path=".minReplicas",
)


def _once(resource: str, field: str) -> Rule:
    return Rule(
        cel=f"!has(self.{field}) || !has(self.metrics) || !self.metrics.exists(m,"
        f" has(m.resource) && m.resource.name == '{resource}')",
        message=f"{field} is a metric of {resource} already: remove it, or the one under metrics",
        path=f".{field}",
    )


ONE_METRIC_A_RESOURCE: Final = (
    _once("cpu", "targetCPUUtilizationPercentage"),
    _once("memory", "targetMemoryUtilizationPercentage"),
)

ONE_BUDGET: Final = Rule(
    cel="!(has(self.minAvailable) && has(self.maxUnavailable))",
    message="minAvailable and maxUnavailable exclude each other: keep one of them",
    path=".minAvailable",
    reason="FieldValueForbidden",
)

SOME_MAY_GO: Final = Rule(
    cel="!has(self.maxUnavailable) || (self.maxUnavailable != 0 && self.maxUnavailable != '0%')",
    message="with maxUnavailable 0 no pod could ever be moved, and no node drained:"
    " write 1 or more, or more than 0%; for no budget at all write enabled: false",
    path=".maxUnavailable",
)

NOT_ALL_STAY: Final = Rule(
    cel="!has(self.minAvailable) || self.minAvailable != '100%'",
    message="with minAvailable 100% no pod could ever be moved, and no node drained:"
    " write less, such as 50%, or maxUnavailable: 1",
    path=".minAvailable",
)


def _min_at_most_max(resource: str) -> Rule:
    low, high = f"self.minAllowed.{resource}", f"self.maxAllowed.{resource}"
    return Rule(
        cel=f"!has(self.minAllowed) || !has(self.maxAllowed) || !has({low}) || !has({high})"
        f" || quantity(string({low})).compareTo(quantity(string({high}))) <= 0",
        message=f"minAllowed.{resource} is at most maxAllowed.{resource}: lower the former, or"
        " raise the latter",
        path=f".minAllowed.{resource}",
    )


MIN_AT_MOST_MAX: Final = (_min_at_most_max("cpu"), _min_at_most_max("memory"))

_BYTES: Final = "quantity(string(self.memory)).asApproximateFloat()"
"""Exact up to 8 PiB; ``isInteger`` is false for 1.5Gi, though that is whole."""

WHOLE_AMOUNTS: Final = (
    Rule(
        cel=r"!has(self.cpu) || string(self.cpu).matches('^[0-9]+(m|[.][0-9]{1,3})?$')",
        message="cpu is a whole number of thousandths here: write it like 250m, 0.25 or 2",
        path=".cpu",
    ),
    Rule(
        cel=f"!has(self.memory) || double(int({_BYTES})) == {_BYTES}",
        message="memory is a whole number of bytes here: write it like 128Mi",
        path=".memory",
    ),
)
"""VPA's webhook refuses other bounds (validateResourceResolution in its admission controller)."""

READY_BEFORE_DEADLINE: Final = Rule(
    cel="(has(self.minReadySeconds) ? self.minReadySeconds : 0)"
    " < (has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600)",
    message="no rollout could succeed: progressDeadlineSeconds (600 if not given)"
    " must be more than minReadySeconds",
    path=".progressDeadlineSeconds",
)


def _mounts(field: str) -> Rule:
    """Every mount of the app, or of each of these containers, names a volume."""
    known = "has(self.volumes) && self.volumes.exists(v, v.name == m.name)"
    if field == "volumeMounts":
        all_known = f"self.volumeMounts.all(m, {known})"
    else:
        all_known = f"self.{field}.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, {known}))"
    return Rule(
        cel=f"!has(self.{field}) || {all_known}",
        message="a volumeMount names a volume that does not exist: add it under volumes",
        path=f".{field}",
    )


UNIQUE_CONTAINERS: Final = Rule(
    cel="!has(self.initContainers) || !has(self.sidecars)"
    " || !self.initContainers.exists(i, self.sidecars.exists(s, s.name == i.name))",
    message="an init container and a sidecar have the same name: rename one of them",
    path=".initContainers",
)

_PORT_HANDLERS: Final = ("httpGet", "tcpSocket", "grpc")


def _probe_port(probe: str) -> Rule:
    """A probe without a port asks the app's: there must be one."""
    here = f"self.probes.{probe}"
    without = " && ".join(f"!(has({here}.{h}) && !has({here}.{h}.port))" for h in _PORT_HANDLERS)
    return Rule(
        cel=f"has(self.port) || !has(self.probes) || !has({here}) || ({without})",
        message=f"probes.{probe} has no port to ask: write port (the app's) beside image,"
        f" or one in probes.{probe}",
        path=f".probes.{probe}",
        reason="FieldValueRequired",
    )


def _named_probe_port(probe: str) -> Rule:
    """The name of the app's port means something only when there is one."""
    here = f"self.probes.{probe}"
    without = " && ".join(
        f"!(has({here}.{h}) && has({here}.{h}.port) && type({here}.{h}.port) == string)"
        for h in ("httpGet", "tcpSocket")
    )
    return Rule(
        cel=f"has(self.port) || !has(self.probes) || !has({here}) || ({without})",
        message=f"probes.{probe} asks the port {PORT_NAME}, which is the app's:"
        " write port beside image",
        path=f".probes.{probe}",
        reason="FieldValueRequired",
    )


_GRACE: Final = (
    "(has(self.terminationGracePeriodSeconds) ? self.terminationGracePeriodSeconds : 30)"
)


def _sleeps(owner: str) -> str:
    """CEL: whether a hook of this container sleeps longer than the grace period."""
    return " || ".join(
        f"(has({owner}.lifecycle.{hook}) && has({owner}.lifecycle.{hook}.sleep)"
        f" && {owner}.lifecycle.{hook}.sleep.seconds > {_GRACE})"
        for hook in ("preStop", "postStart")
    )


_TOO_LONG: Final = (
    "a hook sleeps longer than terminationGracePeriodSeconds (30 if not given):"
    " sleep less, or raise it"
)
SLEEP: Final = Rule(
    cel=f"!has(self.lifecycle) || !({_sleeps('self')})", message=_TOO_LONG, path=".lifecycle"
)
SIDECARS_SLEEP: Final = Rule(
    cel=f"!has(self.sidecars) || !self.sidecars.exists(c, has(c.lifecycle) && ({_sleeps('c')}))",
    message=_TOO_LONG,
    path=".sidecars",
)

_GUARANTEED: Final = (
    "(has(self.autoscaling)"
    " ? (has(self.autoscaling.minReplicas) ? self.autoscaling.minReplicas : 1)"
    " : (has(self.replicas) ? self.replicas : 1))"
)
"""CEL: how many pods there are at least. With fewer than 2 there is no budget."""

_STAY: Final = "self.disruption.minAvailable"

DRAINABLE: Final = Rule(
    cel=f"!has(self.disruption) || !has({_STAY})"
    " || (has(self.disruption.enabled) && !self.disruption.enabled)"
    f" || {_GUARANTEED} < 2"
    f" || (type({_STAY}) == int ? {_STAY} < {_GUARANTEED}"
    # Kubernetes rounds up: all but one pod must be enough.
    f" : int({_STAY}.replace('%', '')) * {_GUARANTEED} <= ({_GUARANTEED} - 1) * 100)",
    message="no pod could be moved, and no node drained, while there are no more pods than must"
    " stay: write a minAvailable below replicas (below minReplicas with autoscaling),"
    " or maxUnavailable: 1 instead",
    path=".disruption.minAvailable",
)

_SERVES: Final = "(!has(self.restartPolicy) || self.restartPolicy == 'Always')"
"""CEL: whether the app serves for ever, as a Deployment; else it runs to its end, as a Job."""


def _not_in_a_job(field: str, advice: str) -> Rule:
    """A field that means something only to an app that serves for ever."""
    return Rule(
        cel=f"{_SERVES} || !has(self.{field})",
        message=f"an app with restartPolicy OnFailure or Never runs to its end: {advice},"
        " or write restartPolicy: Always",
        path=f".{field}",
        reason="FieldValueForbidden",
    )


NOT_IN_A_JOB: Final = (
    _not_in_a_job("replicas", "write job.completions and job.parallelism instead of replicas"),
    _not_in_a_job("autoscaling", "write job.parallelism instead of autoscaling"),
    _not_in_a_job("rollout", "a change makes it run anew as a whole: remove rollout"),
    _not_in_a_job("disruption", "a pod that is moved begins anew: remove disruption"),
    _not_in_a_job("verticalScaling", "its pods are not replaced: remove verticalScaling"),
)

JOB_ENDS: Final = Rule(
    cel=f"!has(self.job) || !{_SERVES}",
    message="job is for apps that run to their end: write restartPolicy: OnFailure or Never,"
    " or remove job",
    path=".job",
    reason="FieldValueForbidden",
)

RESIZED_BY_A_RESTART: Final = Rule(
    cel="!has(self.restartPolicy) || self.restartPolicy != 'Never' || !has(self.sidecars)"
    " || !self.sidecars.exists(c, has(c.resizePolicy)"
    " && c.resizePolicy.exists(p, p.restartPolicy != 'NotRequired'))",
    message="with restartPolicy: Never no container may be restarted to be resized:"
    " write restartPolicy: NotRequired in resizePolicy",
    path=".sidecars",
)

_METRICS: Final = "self.autoscaling.metrics"


def _follows(resource: str, target: str) -> str:
    """CEL: whether the number of pods follows the use of a resource."""
    metric = (
        f"has({_METRICS}) && {_METRICS}.exists(m,"
        f" (has(m.resource) && m.resource.name == '{resource}')"
        f" || (has(m.containerResource) && m.containerResource.name == '{resource}'))"
    )
    return f"(has(self.autoscaling.{target}) || ({metric}))"


_FOLLOWS_MEMORY: Final = _follows("memory", "targetMemoryUtilizationPercentage")
_FOLLOWS_CPU: Final = (
    f"({_follows('cpu', 'targetCPUUtilizationPercentage')}"
    # Without any metric Kubernetes takes the CPU.
    " || (!has(self.autoscaling.targetMemoryUtilizationPercentage)"
    f" && (!has({_METRICS}) || {_METRICS}.size() == 0)))"
)
_SAFE: Final = (
    "!has(self.verticalScaling) || !has(self.autoscaling)"
    " || !has(self.verticalScaling.mode) || self.verticalScaling.mode == 'Off'"
)
"""CEL: nothing is moved by two at once."""


def _one_mover(resource: str, follows: str) -> Rule:
    here = "self.verticalScaling"
    asked = " || ".join(
        (
            f"(has({here}.controlledResources) && '{resource}' in {here}.controlledResources)",
            f"(has({here}.minAllowed) && has({here}.minAllowed.{resource}))",
            f"(has({here}.maxAllowed) && has({here}.maxAllowed.{resource}))",
        )
    )
    return Rule(
        cel=f"{_SAFE} || !{follows} || !({asked})",
        message=f"autoscaling follows {resource}, and two that move the same thing never rest:"
        f" remove {resource} from verticalScaling, let autoscaling follow another metric,"
        ' or write mode: "Off" to have recommendations only',
        path=".verticalScaling",
    )


SOMETHING_TO_MOVE: Final = Rule(
    cel=f"{_SAFE} || !({_FOLLOWS_CPU} && {_FOLLOWS_MEMORY})",
    message="autoscaling follows cpu and memory, which leaves verticalScaling nothing to move:"
    ' remove one of the metrics, or write mode: "Off" to have recommendations only',
    path=".verticalScaling",
)

HEALED: Final = Rule(
    cel=f"{_SERVES} || !has(self.healing)"
    " || (has(self.healing.mode) && self.healing.mode == 'Off')",
    message="an app with restartPolicy OnFailure or Never runs to its end, and its Job tries again:"
    ' remove healing, write mode: "Off", or write restartPolicy: Always',
    path=".healing",
    reason="FieldValueForbidden",
)

_LIMITS: Final = "self.resources.limits"
_HAS_LIMIT: Final = f"has(self.resources) && has({_LIMITS}) && 'memory' in {_LIMITS}"
_LIMIT: Final = f"{_LIMITS}['memory']"
"""CEL: written as a field, the API server takes it for a text of any length, and too costly."""

_RAISES: Final = "has(self.healing) && has(self.healing.memory)"

MEMORY_NEEDS_A_LIMIT: Final = Rule(
    cel=f"!({_RAISES}) || ({_HAS_LIMIT})",
    message="healing.memory raises the memory limit, and there is none:"
    " write resources.limits.memory, or remove healing.memory",
    path=".healing.memory",
    reason="FieldValueRequired",
)

MEMORY_ABOVE_THE_LIMIT: Final = Rule(
    cel=f"!({_RAISES}) || !({_HAS_LIMIT})"
    f" || quantity(string(self.healing.memory.max)).compareTo(quantity(string({_LIMIT}))) > 0",
    message="healing.memory.max leaves nothing to raise: write more than resources.limits.memory",
    path=".healing.memory.max",
)

_VERTICAL: Final = "self.verticalScaling"

ONE_RAISES_MEMORY: Final = Rule(
    cel=f"!({_RAISES}) || !has({_VERTICAL})"
    f" || !has({_VERTICAL}.mode) || {_VERTICAL}.mode == 'Off'"
    f" || (has({_VERTICAL}.controlledResources) && {_VERTICAL}.controlledResources.size() > 0"
    f" ? !('memory' in {_VERTICAL}.controlledResources)"
    f" : has(self.autoscaling) && {_FOLLOWS_MEMORY})",
    message="verticalScaling moves memory already, and two that move the same thing never rest:"
    ' remove healing.memory, or write verticalScaling.mode: "Off"',
    path=".healing.memory",
    reason="FieldValueForbidden",
)

_FALLS_BACK: Final = "has(self.healing) && has(self.healing.scalingFallback)"

FALLBACK_NEEDS_AUTOSCALING: Final = Rule(
    cel=f"!({_FALLS_BACK}) || has(self.autoscaling)",
    message="healing.scalingFallback is for an autoscaler without metrics, and there is none:"
    " write autoscaling, or remove it",
    path=".healing.scalingFallback",
    reason="FieldValueRequired",
)

FALLBACK_WITHIN_AUTOSCALING: Final = Rule(
    cel=f"!({_FALLS_BACK}) || !has(self.autoscaling)"
    " || self.healing.scalingFallback.replicas <= self.autoscaling.maxReplicas",
    message="healing.scalingFallback.replicas is at most autoscaling.maxReplicas:"
    " lower the former, or raise the latter",
    path=".healing.scalingFallback.replicas",
)

SPEC: Final = (
    REPLICAS_XOR_AUTOSCALING,
    DRAINABLE,
    *NOT_IN_A_JOB,
    JOB_ENDS,
    RESIZED_BY_A_RESTART,
    _one_mover("cpu", _FOLLOWS_CPU),
    _one_mover("memory", _FOLLOWS_MEMORY),
    SOMETHING_TO_MOVE,
    SERVICE_NEEDS_PORT,
    *(_probe_port(probe) for probe in ("liveness", "readiness", "startup")),
    *(_named_probe_port(probe) for probe in ("liveness", "readiness", "startup")),
    *(_mounts(field) for field in ("volumeMounts", "initContainers", "sidecars")),
    BIDIRECTIONAL,
    UNIQUE_CONTAINERS,
    SLEEP,
    SIDECARS_SLEEP,
    HEALED,
    MEMORY_NEEDS_A_LIMIT,
    MEMORY_ABOVE_THE_LIMIT,
    ONE_RAISES_MEMORY,
    FALLBACK_NEEDS_AUTOSCALING,
    FALLBACK_WITHIN_AUTOSCALING,
)
"""The rules of the whole spec."""
