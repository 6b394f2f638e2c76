"""Advice on a spec: what is valid, and seldom what one wants in production.

Each piece of advice has a reason and a source. The rules read the spec only, so a file can be
checked before it is applied.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api.healing_spec import HealingSpec
from selfhealing.api.probe_defaults import DEFAULT_FAILURES, DEFAULT_PERIOD
from selfhealing.api.quantity import parse_quantity
from selfhealing.api.spec import DisruptionSpec, SelfHealingAppSpec
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.text import Line, Part, faint, line, sign
from selfhealing.render.deployment import min_replicas
from selfhealing.render.hpa import utilization_resources
from selfhealing.render.pod import is_job

MIN_STARTUP_SECONDS: Final = 60
"""Seconds that a liveness probe should leave an app to start, without a startup probe: a start on a
node under load takes several times as long as on an idle one."""

_K8S: Final = "https://kubernetes.io/docs"
PROBES: Final = f"{_K8S}/concepts/configuration/liveness-readiness-startup-probes/"
RESOURCES: Final = f"{_K8S}/concepts/configuration/manage-resources-containers/"
AUTOSCALING: Final = f"{_K8S}/tasks/run-application/horizontal-pod-autoscale/"
DISRUPTIONS: Final = f"{_K8S}/concepts/workloads/pods/disruptions/"
SPREAD: Final = f"{_K8S}/concepts/scheduling-eviction/topology-spread-constraints/"
IMAGES: Final = f"{_K8S}/concepts/containers/images/"
STRATEGY: Final = f"{_K8S}/concepts/workloads/controllers/deployment/#strategy"
SECURITY: Final = f"{_K8S}/concepts/security/pod-security-standards/"
JOBS: Final = f"{_K8S}/concepts/workloads/controllers/job/#job-termination-and-cleanup"
HEALING: Final = "docs/healing.md"


@dataclass(frozen=True, slots=True)
class Advice:
    """A piece of advice.

    Attributes:
        rule: the name of the rule.
        level: WARNING for what is likely to hurt, NEUTRAL for what is worth a thought.
        path: the field of the spec.
        text: what may happen, and what to write.
        source: where that is explained.
    """

    rule: str
    level: Level
    path: str
    text: str
    source: str


def lint_spec(spec: SelfHealingAppSpec) -> tuple[Advice, ...]:
    """Return advice on a spec, warnings first."""
    rules = _JOB_RULES if is_job(spec) else _SERVICE_RULES
    found = [advice for rule in (*_COMMON_RULES, *rules) for advice in rule(spec)]
    return tuple(sorted(found, key=lambda advice: advice.level is not Level.WARNING))


def format_advice(name: str, advice: tuple[Advice, ...]) -> list[Line]:
    """Return the advice on an app as lines."""
    if not advice:
        return [line(sign(Level.OK), f"{name}: no advice")]
    lines = []
    for each in advice:
        lines.append(
            line(
                sign(each.level),
                Part(f"{name}: {each.path} ", each.level),
                faint(f"[{each.rule}] "),
                each.text,
            )
        )
        lines.append(line(faint(f"    {each.source}")))
    return lines


def _warn(rule: str, path: str, text: str, source: str) -> Advice:
    return Advice(rule, Level.WARNING, f"spec.{path}", text, source)


def _hint(rule: str, path: str, text: str, source: str) -> Advice:
    return Advice(rule, Level.NEUTRAL, f"spec.{path}", text, source)


def _image(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    name, at, _digest = spec.image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if not at and (not colon or tag == "latest"):
        yield _warn(
            "image-tag",
            "image",
            f"{spec.image} may be another image tomorrow, so a rollback may not bring back what "
            "ran: write a tag that does not move, or a digest",
            IMAGES,
        )


def _requests(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    resources = spec.resources or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for resource in ("cpu", "memory"):
        if resource not in requests and resource not in limits:
            yield _warn(
                "requests",
                f"resources.requests.{resource}",
                f"without a request the scheduler takes the pod for one that needs no {resource}, "
                "so a node may get more pods than it can carry: write what the app needs",
                RESOURCES,
            )
    if "memory" not in limits:
        yield _warn(
            "memory-limit",
            "resources.limits.memory",
            "without a limit a leak takes the memory of the node, and other pods are evicted; "
            "healing raises a limit, but adds none: write one",
            RESOURCES,
        )
    request, limit = parse_quantity(requests.get("memory")), parse_quantity(limits.get("memory"))
    if request and limit and limit > 2 * request:
        yield _hint(
            "memory-overcommit",
            "resources.requests.memory",
            "the limit is more than twice the request, so the node may run out of memory before "
            "the pod reaches its limit: request what the app really needs",
            RESOURCES,
        )


def _security(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    contexts = (spec.security_context or {}, spec.pod_security_context or {})
    if not any(context.get("runAsNonRoot") for context in contexts):
        yield _hint(
            "run-as-non-root",
            "securityContext.runAsNonRoot",
            "the app may run as root: write true, if the image has another user",
            SECURITY,
        )


def _readiness(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    probes = spec.probes
    has_port = spec.port is not None or spec.ports
    if has_port and (probes is None or probes.readiness is None):
        yield _warn(
            "readiness-probe",
            "probes.readiness",
            "without it a pod gets requests as soon as it runs, also while it still starts, and a "
            "version that never answers counts as healthy: write one",
            PROBES,
        )


def _liveness(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    probes = spec.probes
    if probes is None or probes.liveness is None:
        yield _hint(
            "liveness-probe",
            "probes.liveness",
            "without it a container that hangs is not restarted; healing replaces its pod when it "
            "is not ready for 5 minutes: write one that asks only the app itself",
            PROBES,
        )
        return
    if probes.readiness is not None and _handler(probes.liveness) == _handler(probes.readiness):
        yield _warn(
            "liveness-is-readiness",
            "probes.liveness",
            "it asks the same as the readiness probe; if that asks a database, an outage of the "
            "database restarts every pod: let it ask only whether the app itself answers",
            PROBES,
        )
    patience = _patience(probes.liveness)
    if probes.startup is None and patience < MIN_STARTUP_SECONDS:
        yield _warn(
            "startup-probe",
            "probes.startup",
            f"an app that takes longer than {patience} s to start is killed by its liveness probe, "
            "again and again: write a startup probe, which the other probes wait for",
            PROBES,
        )


def _handler(probe: dict[str, Any]) -> dict[str, Any]:
    """Return what a probe asks, without how often."""
    kinds = ("httpGet", "tcpSocket", "exec", "grpc")
    return {kind: probe[kind] for kind in kinds if kind in probe}


def _patience(probe: dict[str, Any]) -> int:
    """Return after how many seconds a container that never answers is restarted."""
    period = probe.get("periodSeconds") or DEFAULT_PERIOD
    failures = probe.get("failureThreshold") or DEFAULT_FAILURES
    return int(probe.get("initialDelaySeconds") or 0) + int(period) * int(failures)


def _availability(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    least = min_replicas(spec)
    field = "replicas" if spec.autoscaling is None else "autoscaling.minReplicas"
    if least == 1:
        yield _warn(
            "single-pod",
            field,
            "with one pod there is no service while its node is drained or lost, and healing has "
            "no healthy pod to compare an ill one with: write 2 or more",
            DISRUPTIONS,
        )
    if least > 1 and not spec.topology_spread_constraints and spec.affinity is None:
        yield _hint(
            "spread",
            "topologySpreadConstraints",
            "all pods may run in one zone, which may be lost as a whole; Kubernetes' default only "
            "prefers to spread them: write a constraint for topology.kubernetes.io/zone",
            SPREAD,
        )


def _strategy(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    strategy = (spec.rollout.strategy if spec.rollout is not None else None) or {}
    if strategy.get("type") == "Recreate":
        yield _warn(
            "recreate",
            "rollout.strategy",
            "all pods stop before new ones start, so each rollout and each rollback is an outage: "
            "leave it out, unless two versions must never run at the same time",
            STRATEGY,
        )


def _autoscaling(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    autoscaling = spec.autoscaling
    if autoscaling is None:
        return
    resources = spec.resources or {}
    # Kubernetes takes a limit for the request if only that is given.
    known = {*(resources.get("requests") or {}), *(resources.get("limits") or {})}
    for resource in utilization_resources(autoscaling):
        if resource not in known:
            yield _warn(
                "autoscaling-request",
                f"resources.requests.{resource}",
                f"the target is a percentage of the {resource} request, and there is none, so the "
                "autoscaler does nothing: write the request",
                AUTOSCALING,
            )
    if autoscaling.min_replicas >= autoscaling.max_replicas:
        yield _warn(
            "autoscaling-range",
            "autoscaling.maxReplicas",
            "the least and the most number of pods are equal, so nothing is scaled: raise it, or "
            "write replicas instead of autoscaling",
            AUTOSCALING,
        )


def _disruption(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    disruption = spec.disruption or DisruptionSpec()
    least = min_replicas(spec)
    if least > 1 and not disruption.enabled:
        yield _hint(
            "disruption-budget",
            "disruption.enabled",
            "without a budget a drain of nodes may evict all pods at once: leave it out",
            DISRUPTIONS,
        )
    available, unavailable = disruption.min_available, disruption.max_unavailable
    is_blocking = (
        unavailable in {0, "0", "0%"}
        or available == "100%"
        or (isinstance(available, int) and available >= least)
    )
    if disruption.enabled and least > 1 and is_blocking:
        yield _warn(
            "disruption-blocked",
            "disruption",
            "no pod may ever be evicted, so a drain of its node waits for ever, and healing cannot "
            "replace a pod: allow at least one",
            DISRUPTIONS,
        )


def _healing(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    healing = spec.healing or HealingSpec()
    if str(healing.mode) == "Off":
        yield _hint(
            "healing-off",
            "healing.mode",
            "nothing is healed: the mode Observe shows what would be done, without doing it",
            HEALING,
        )
    elif not healing.rollback.enabled:
        yield _hint(
            "healing-rollback",
            "healing.rollback.enabled",
            "a version that fails stays until a person changes it: leave it out",
            HEALING,
        )


def _job(spec: SelfHealingAppSpec) -> Iterator[Advice]:
    if spec.job is None or spec.job.active_deadline_seconds is None:
        yield _hint(
            "job-deadline",
            "job.activeDeadlineSeconds",
            "a Job that hangs runs for ever: write how long it may take",
            JOBS,
        )


_Rule = Callable[[SelfHealingAppSpec], Iterator[Advice]]
_COMMON_RULES: Final[tuple[_Rule, ...]] = (_image, _requests, _security)
_SERVICE_RULES: Final[tuple[_Rule, ...]] = (
    _readiness,
    _liveness,
    _availability,
    _strategy,
    _autoscaling,
    _disruption,
    _healing,
)
_JOB_RULES: Final[tuple[_Rule, ...]] = (_job,)
