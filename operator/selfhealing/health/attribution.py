"""Attributes a diagnosis to a cause: the new version, a node, one pod, or the environment.

A version on probation is the cause only of what it changed, and only if its pods are affected at a
higher rate than the pods of the stable revision. What the cluster's own words blame on the
registry, the network, a node or a volume is the environment. If all affected pods are on one node,
and pods of the same version are healthy on other nodes, the cause is the node: if there are two
such pods, or the node reports a problem.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.crash_loops import LONG_RUN, has_long_runs
from selfhealing.health.experiments import NO_EXPERIMENTS, DryRun, Experiments, NodeFit
from selfhealing.health.fault_origin import FaultOrigin, FaultSource, classify_fault
from selfhealing.health.node_conditions import NodeConditions, compare_bad_node
from selfhealing.health.pod_comparison import (
    INNOCENT_PROBLEMS,
    ControlGroup,
    choose_control_group,
    classify_problem,
    split_by_revision,
)
from selfhealing.health.pod_diagnosis import DiagnosisType, PodDiagnosis
from selfhealing.health.pod_problems import PodProblem, is_active
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.template_change import (
    ADDED,
    PERSISTENT_VOLUME_CLAIM,
    Reference,
    TemplateChange,
)

MIN_FAILED_SHARE: Final = 0.5
"""A version is the cause only if at least this share of its pods is affected."""

ACQUITTAL_RATIO: Final = 0.5
"""A version is not the cause if the pods of the stable revision are affected at more than this
ratio of its own rate: one unlucky old pod of several does not acquit it, one of one does."""

LONG_TRIAL_RUN: Final = timedelta(minutes=5)
"""As LONG_RUN, of a version that was never healthy for long: it may start that slowly."""

SAME_ROLLOUT: Final = timedelta(minutes=10)
"""Pods that were created within this time belong to the same rollout."""

SAME_TIME_WINDOW: Final = timedelta(seconds=60)
"""Pods that became not ready within this time share a cause."""


class Cause(StrEnum):
    """What a diagnosis is attributed to."""

    NEW_VERSION = "NewVersion"
    FOREIGN_EDIT = "ForeignEdit"
    NODE = "Node"
    POD = "Pod"
    ENVIRONMENT = "Environment"
    UNKNOWN = "Unknown"


class Confidence(StrEnum):
    """How certain a cause is."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


@dataclass(frozen=True, slots=True)
class Probation:
    """The state of a revision that has to become the stable revision first.

    Attributes:
        is_open: the revision is new, and has not been healthy for long enough.
        requested_since: when the spec first asked for the revision, so that older pods do not
            belong to it; None if all pods of the current template belong to it.
        has_stable_revision: there is a stable revision to roll back to.
        is_awaited: the revision is new, but its pods cannot be told from earlier ones yet: the
            probation is not open, and nothing that runs is proved.
        change: what it changed of the stable revision; None if that is unknown.
        experiments: what a dry run and the nodes say of both.
        is_young: the revision was proved a short time ago, and the one before it is known.
        was_node_left: the pods were recreated on other nodes already, so a node is not the cause.
        has_other_config: the stable revision runs again, and the ConfigMaps and Secrets have other
            contents than those that it was proved with.
    """

    is_open: bool
    requested_since: datetime | None = None
    has_stable_revision: bool = True
    is_awaited: bool = False
    is_young: bool = False
    was_node_left: bool = False
    has_other_config: bool = False
    change: TemplateChange | None = None
    experiments: Experiments = NO_EXPERIMENTS

    @property
    def is_proved(self) -> bool:
        """Whether the revision that runs has been healthy for long enough."""
        return not self.is_open and not self.is_awaited and self.has_stable_revision


class Attribution(NamedTuple):
    """A cause, how certain it is, and in a few words how it was found."""

    cause: Cause
    confidence: Confidence
    comparison: str = ""


@dataclass(frozen=True, slots=True)
class AppEvidence:
    """What all diagnoses of an app are attributed by.

    Attributes:
        snapshot: the app and its objects.
        probation: the state of the current revision.
        problems: the problem of each pod that has one, by the pod's name.
        diagnosed_uids: the UIDs of all pods with a diagnosis that their version may have caused.
        node_conditions: what nodes report of themselves.
    """

    snapshot: AppSnapshot
    probation: Probation
    problems: Mapping[str, PodProblem] = field(default_factory=dict)
    diagnosed_uids: frozenset[str] = frozenset()
    node_conditions: NodeConditions = field(default_factory=dict)


NODE_SUSPECTS: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.ROLLOUT_STALLED,
        DiagnosisType.NOT_READY_TOO_LONG,
    }
)
"""Diagnoses that a node may cause in the pods on it without a word of its own."""

_ONLY_STABLE_FITS: Final = frozenset(
    {NodeFit.ONLY_STABLE_FITS, NodeFit.ONLY_STABLE_FITS_NOW, NodeFit.ONLY_AFFINITY_FAILS}
)

_NODE_DIAGNOSES: Final = frozenset({DiagnosisType.NODE_LOST, DiagnosisType.STUCK_TERMINATING})
"""Diagnoses that no revision of an app can cause."""

_HEALABLE_BY_TIME: Final = frozenset(
    {DiagnosisType.NOT_READY_TOO_LONG, DiagnosisType.ROLLOUT_STALLED}
)
"""Diagnoses of pods that do not fail, but are not ready: one healthy pod shows that the version can
become ready."""


def attribute_cause(
    evidence: AppEvidence, diagnosis_type: DiagnosisType, findings: Sequence[PodDiagnosis]
) -> Attribution:
    """Attribute a diagnosis of pods to a cause.

    Args:
        evidence: the app.
        diagnosis_type: the diagnosis.
        findings: the pods that have it, with their container and the cluster's words.
    """
    if diagnosis_type in _NODE_DIAGNOSES:
        has_finalizers = any(finding.pod.finalizers for finding in findings)
        return Attribution(Cause.ENVIRONMENT if has_finalizers else Cause.NODE, Confidence.HIGH)
    probation = evidence.probation
    if (probation.is_open or probation.is_young) and (
        found := _attribute_to_revision(evidence, findings)
    ) is not None:
        return found
    if _are_replaced(evidence.snapshot, findings):
        return Attribution(Cause.UNKNOWN, Confidence.LOW, "pods of another version have it")
    if diagnosis_type is DiagnosisType.UNSCHEDULABLE:
        return attribute_node_fit(probation)
    return _attribute_to_surroundings(evidence, findings)


def _are_replaced(snapshot: AppSnapshot, findings: Sequence[PodDiagnosis]) -> bool:
    """Whether all affected pods are of earlier templates."""
    current_hash = current_template_hash(snapshot)
    return bool(current_hash) and all(
        finding.pod.template_hash != current_hash for finding in findings
    )


def attribute_refusal(probation: Probation) -> Attribution:
    """Attribute the refusal of pods by the API server to a cause."""
    if not probation.is_open:
        return Attribution(Cause.ENVIRONMENT, Confidence.HIGH)
    result, comparison = probation.experiments.dry_run, probation.experiments.describe_dry_run()
    if result is DryRun.ONLY_NEW_REFUSED:
        return Attribution(Cause.NEW_VERSION, Confidence.HIGH, _compare(probation, comparison))
    if result is DryRun.BOTH_REFUSED and _changes_resources(probation.change):
        # The pods that exist may use up what a pod of the stable revision would need.
        return Attribution(Cause.ENVIRONMENT, Confidence.LOW, comparison)
    confidence = {
        DryRun.UNKNOWN: Confidence.LOW,
        DryRun.BOTH_ACCEPTED: Confidence.MEDIUM,
    }.get(result, Confidence.HIGH)
    return Attribution(Cause.ENVIRONMENT, confidence, comparison)


def _changes_resources(change: TemplateChange | None) -> bool:
    return change is not None and any(
        field in {"resources", ADDED} for fields in change.containers.values() for field in fields
    )


def attribute_node_fit(probation: Probation) -> Attribution:
    """Attribute pods that no node takes to a cause.

    A node that is full may become free, or another one of its kind may be on its way. Only if no
    node could ever take the new pods, or each lacks the pods that only the new version wants beside
    itself, is it the version. Those pods may come later, so that is not certain.
    """
    if not probation.is_open:
        return Attribution(Cause.ENVIRONMENT, Confidence.HIGH)
    result, comparison = probation.experiments.node_fit, probation.experiments.describe_node_fit()
    if result in _ONLY_STABLE_FITS:
        is_final = result is NodeFit.ONLY_STABLE_FITS
        confidence = Confidence.HIGH if is_final else Confidence.MEDIUM
        return Attribution(Cause.NEW_VERSION, confidence, _compare(probation, comparison))
    confidence = Confidence.LOW if result is NodeFit.UNKNOWN else Confidence.HIGH
    return Attribution(Cause.ENVIRONMENT, confidence, comparison)


def _attribute_to_revision(
    evidence: AppEvidence, findings: Sequence[PodDiagnosis]
) -> Attribution | None:
    """Attribute the diagnosis to the new revision; None if the new revision is not the cause."""
    probation = evidence.probation
    new_pods, old_pods = split_by_revision(evidence.snapshot, probation.requested_since)
    new_uids = {pod.uid for pod in new_pods}
    new_findings = [finding for finding in findings if finding.pod.uid in new_uids]
    blamed = {
        finding.pod.uid: confidence
        for finding in new_findings
        if (confidence := _blame(probation, _classify(finding), finding.container)) is not None
    }
    if not blamed:
        return None
    confidence = min(blamed.values(), key=list(Confidence).index)
    ill_new = [pod for pod in new_pods if pod.uid in blamed or _is_soon_blamed(evidence, pod)]
    decided_new = [pod for pod in new_pods if pod in ill_new or pod.ready]
    new_rate = len(ill_new) / len(decided_new)
    needs_all = new_findings[0].type in _HEALABLE_BY_TIME or not probation.has_stable_revision
    if new_rate < (1 if needs_all else MIN_FAILED_SHARE):
        return None  # other pods of the revision are healthy
    group = choose_control_group(old_pods, evidence.problems, evidence.diagnosed_uids)
    if confidence is Confidence.HIGH:
        is_alone = group.total and not group.healthy
        confidence = Confidence.MEDIUM if is_alone else Confidence.HIGH
    elif group.failed_share > ACQUITTAL_RATIO * new_rate:
        return _acquit(group, new_pods)
    elif not group.healthy and not _is_slow_loop_of_all(probation, new_findings, new_pods):
        confidence = Confidence.LOW  # nothing to compare with
    elif (
        new_findings[0].type in NODE_SUSPECTS
        and probation.has_stable_revision
        and _may_be_node(probation, ill_new, group)
    ):
        why = f"all of them are on node {ill_new[0].node}, where no other pod of the app runs"
        return Attribution(Cause.UNKNOWN, Confidence.LOW, _compare(probation, why))
    return Attribution(Cause.NEW_VERSION, confidence, _compare(probation, group.describe()))


def _is_slow_loop_of_all(
    probation: Probation, findings: Sequence[PodDiagnosis], new_pods: Sequence[PodView]
) -> bool:
    """Whether all pods of a new or young revision crash again and again, each after a long run.

    They do not wait for anything outside: each of them ran well after its last start. The pods of
    the revision before did not crash while it was proved.
    """
    at_least = LONG_RUN if probation.is_young else LONG_TRIAL_RUN
    slow_uids = {finding.pod.uid for finding in findings if has_long_runs(finding.pod, at_least)}
    return probation.has_stable_revision and all(pod.uid in slow_uids for pod in new_pods)


def _may_be_node(probation: Probation, ill_pods: Sequence[PodView], group: ControlGroup) -> bool:
    """Whether the node of the affected pods may be the cause as well as their version.

    All of them are on one node, and the healthy pods are on others.
    """
    nodes = {pod.node for pod in ill_pods}
    healthy_nodes = {pod.node for pod in group.healthy}
    is_apart = bool(healthy_nodes) and nodes.isdisjoint(healthy_nodes)
    return len(nodes) == 1 and "" not in nodes and is_apart and not probation.was_node_left


def _acquit(group: ControlGroup, new_pods: Sequence[PodView]) -> Attribution:
    """The attribution if the pods of the stable revision are affected, too.

    If all are, at least two, and none was before the new version came, it is something that both
    depend on. A single one may have a fault of its own.
    """
    first_created = min((pod.created for pod in new_pods if pod.created), default=None)
    was_ill_before = first_created is not None and any(
        pod.ready_since is not None and pod.ready_since < first_created - SAME_TIME_WINDOW
        for pod in group.ill
        if not pod.ready
    )
    if group.healthy or was_ill_before:
        return Attribution(Cause.UNKNOWN, Confidence.LOW, group.describe())
    confidence = Confidence.MEDIUM if group.total > 1 else Confidence.LOW
    return Attribution(Cause.ENVIRONMENT, confidence, group.describe())


def _blame(probation: Probation, source: FaultSource, container: str) -> Confidence | None:
    """How certainly the version is the cause of what a container shows; None if it is not.

    That the pods of the stable revision may show the same is not considered.
    """
    change = probation.change
    if change is None:
        is_innocent = source.origin is FaultOrigin.ENVIRONMENT or source.is_image
        return None if is_innocent else Confidence.LOW
    if source.origin is FaultOrigin.ENVIRONMENT:
        return Confidence.MEDIUM if source.volume in change.volumes else None
    if source.reference is not None:
        return _blame_for_reference(change, source.reference)
    is_proof = source.origin is FaultOrigin.VERSION_CONTENT
    if source.is_image:
        return Confidence.HIGH if is_proof and container in change.images else None
    if container not in change.affected_containers:
        return None
    return Confidence.HIGH if is_proof else Confidence.MEDIUM


def _blame_for_reference(change: TemplateChange, missing: Reference) -> Confidence | None:
    if not change.introduces(*missing):
        return None
    if change.is_first:
        return Confidence.LOW  # somebody may have deleted it
    # A claim may be created, or bound, on demand.
    return Confidence.MEDIUM if missing.kind == PERSISTENT_VOLUME_CLAIM else Confidence.HIGH


def _is_soon_blamed(evidence: AppEvidence, pod: PodView) -> bool:
    """Whether a pod has a problem that will be blamed on its version once it has lasted."""
    problem = evidence.problems.get(pod.name)
    if problem is None or problem.reason in INNOCENT_PROBLEMS:
        return False
    return _blame(evidence.probation, classify_problem(problem), problem.container) is not None


def _classify(finding: PodDiagnosis) -> FaultSource:
    return classify_fault(finding.type, finding.text)


def _attribute_to_surroundings(
    evidence: AppEvidence, findings: Sequence[PodDiagnosis]
) -> Attribution:
    """Attribute what no version is to blame for to the environment, a node or a pod."""
    found = _attribute_by_location(evidence, [finding.pod for finding in findings])
    is_open, why = evidence.probation.is_open, _describe_innocence(evidence.probation, findings)
    sources = [_classify(finding) for finding in findings]
    if all(map(_is_from_outside, sources)):
        if found.cause is Cause.NODE and not is_open and not any(s.reference for s in sources):
            return found
        is_named = all(source.origin is not FaultOrigin.UNDETERMINED for source in sources)
        confidence = Confidence.HIGH if is_named else Confidence.LOW
        return Attribution(Cause.ENVIRONMENT, confidence, why)
    if is_open and why and found.confidence is Confidence.LOW:
        return Attribution(Cause.ENVIRONMENT, Confidence.MEDIUM, why)
    active = sum(map(is_active, evidence.snapshot.pods))
    is_suspected = (
        is_open
        and (
            evidence.probation.has_stable_revision
            or len(findings) >= max(MIN_FAILED_SHARE * active, 2)
        )
        and any(
            _blame(evidence.probation, source, finding.container) is not None
            for source, finding in zip(sources, findings, strict=True)
        )
    )
    if is_suspected:  # a new version may fail in a part of its pods
        return found._replace(confidence=Confidence.LOW)
    return found._replace(comparison=found.comparison or why)


def _is_from_outside(source: FaultSource) -> bool:
    """Whether a fault lies in the registry, the network, a node, a volume or a missing object."""
    return (
        source.origin is FaultOrigin.ENVIRONMENT or source.is_image or source.reference is not None
    )


def _attribute_by_location(evidence: AppEvidence, affected_pods: Sequence[PodView]) -> Attribution:
    """Attribute the diagnosis to the node or the pod, by where the healthy pods are."""
    active_pods = [pod for pod in evidence.snapshot.pods if is_active(pod)]
    affected_uids = {pod.uid for pod in affected_pods}
    template_hashes = {pod.template_hash for pod in affected_pods}
    # A pod that was restarted, too, does not show that the others could be healthy.
    healthy_pods = [
        pod
        for pod in active_pods
        if pod.ready
        and pod.uid not in affected_uids
        and pod.template_hash in template_hashes
        and not any(container.restarts for container in pod.containers)
    ]
    affected_nodes = {pod.node for pod in affected_pods if pod.node}
    if why := compare_bad_node(affected_pods, healthy_pods, evidence.node_conditions):
        return Attribution(Cause.NODE, Confidence.MEDIUM, why)
    if _are_newer(affected_pods, healthy_pods):
        # What has changed since the healthy ones started may be the cause.
        return Attribution(Cause.UNKNOWN, Confidence.LOW)
    if not healthy_pods:
        return Attribution(Cause.POD if len(active_pods) == 1 else Cause.UNKNOWN, Confidence.LOW)
    other_nodes = {pod.node for pod in healthy_pods} - affected_nodes
    if len(affected_pods) > 1 and len(affected_nodes) == 1 and other_nodes:
        return Attribution(Cause.NODE, Confidence.MEDIUM)
    return Attribution(Cause.POD, Confidence.MEDIUM)


def _are_newer(affected_pods: Sequence[PodView], healthy_pods: Sequence[PodView]) -> bool:
    """Whether all affected pods were created after the healthy ones, and not together with them."""
    affected = [pod.created for pod in affected_pods if pod.created is not None]
    healthy = [pod.created for pod in healthy_pods if pod.created is not None]
    return (
        bool(affected and healthy)
        and len(healthy) > 1
        and min(affected) > max(healthy) + SAME_ROLLOUT
    )


def _compare(probation: Probation, more: str) -> str:
    """Return what the version changed, and what else was found."""
    change = probation.change
    differs = f"differs in: {change.describe()}" if change else "what it changed is unknown"
    return "; ".join(part for part in (more, differs) if part)


def _describe_innocence(probation: Probation, findings: Sequence[PodDiagnosis]) -> str:
    """Return why a version on probation is not to blame; empty if nothing was compared."""
    change = probation.change
    if not probation.is_open or change is None:
        return ""
    for finding in findings:
        source, container = _classify(finding), finding.container
        if source.reference is not None and not change.introduces(*source.reference):
            return f"{source.reference} is missing, and the earlier version reads it, too"
        if source.origin is FaultOrigin.ENVIRONMENT:
            return "the message blames the registry, the network, the node or a volume"
        if container and container not in change.all_containers:
            return f"container {container} is not in the spec: it was added to the pods"
        if container and container not in change.affected_containers:
            return f"container {container} is the same in the earlier version"
    return ""
