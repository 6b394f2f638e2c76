"""Judges the two experiments that tell a version's fault from one of its surroundings.

A pod of the stable and one of the new template are created in a dry run, and compared with the
nodes. Neither has a side effect. The I/O is in ``controller.experiments``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from selfhealing.api.quantity import parse_quantity
from selfhealing.health.messages import refusal_cause

QUOTA_REFUSAL: Final = "exceeded quota"
_WEBHOOK_FAILURE: Final = "failed calling webhook"


class DryRun(StrEnum):
    """The result of creating a pod of both templates in a dry run."""

    UNKNOWN = "unknown"
    BOTH_ACCEPTED = "both pods are accepted"
    BOTH_REFUSED = "pods of both versions are refused"
    ONLY_NEW_REFUSED = "only the new pod is refused"
    ONLY_STABLE_REFUSED = "only the pod of the stable revision is refused"


class NodeFit(StrEnum):
    """The result of comparing both templates with the nodes."""

    UNKNOWN = "unknown"
    FITS = "a node could take the new pod"
    ONLY_AFFINITY_FAILS = (
        "every node that could take the new pod lacks the pods that its new affinity asks for"
    )
    NOTHING_FITS = "no node could take a pod of either version"
    ONLY_STABLE_FITS = "no node could ever take the new pod, but one could take the old"
    ONLY_STABLE_FITS_NOW = (
        "no node could take the new pod, but one could take the old; a new kind of node may come"
    )


@dataclass(frozen=True, slots=True)
class Experiments:
    """The results of the experiments.

    Attributes:
        dry_run: which pods are accepted.
        refusal: why a pod is refused, in the API server's words; that of the new one comes first.
        node_fit: which pods a node could take.
    """

    dry_run: DryRun = DryRun.UNKNOWN
    refusal: str = ""
    node_fit: NodeFit = NodeFit.UNKNOWN

    def describe_dry_run(self) -> str:
        """Return a clause; empty if the result is unknown."""
        if self.dry_run is DryRun.UNKNOWN:
            return ""
        why = f": {refusal_cause(self.refusal)}" if self.refusal else ""
        return f"dry run: {self.dry_run}{why}"

    def describe_node_fit(self) -> str:
        """Return a clause; empty if the result is unknown."""
        return "" if self.node_fit is NodeFit.UNKNOWN else f"nodes: {self.node_fit}"


NO_EXPERIMENTS: Final = Experiments()


def judge_dry_run(new: str | None, stable: str | None, *, needs_more: bool) -> DryRun:
    """Judge the answers to a dry run of a pod of each template.

    A quota counts both pods beside the pods that run, so a full quota refuses any pod. It is the
    version only if it asks for more than the stable one, or alone for more than the quota allows.

    Args:
        new: why the pod of the new template is refused; empty if it is accepted, None if unknown.
        stable: the same for the stable template.
        needs_more: the new pod requests more of a resource than the stable one.
    """
    if new is None or stable is None or _WEBHOOK_FAILURE in new:
        return DryRun.UNKNOWN
    if not new:
        return DryRun.ONLY_STABLE_REFUSED if stable else DryRun.BOTH_ACCEPTED
    is_quota, is_stable_quota = QUOTA_REFUSAL in new, QUOTA_REFUSAL in stable
    if is_quota and is_stable_quota:
        is_impossible = _exceeds_whole_quota(new) and not _exceeds_whole_quota(stable)
        return DryRun.ONLY_NEW_REFUSED if is_impossible else DryRun.BOTH_REFUSED
    if is_quota and not stable:
        return DryRun.ONLY_NEW_REFUSED if needs_more else DryRun.UNKNOWN
    # The quota is the last to be asked: a pod that only it refuses has passed everything else.
    return DryRun.ONLY_NEW_REFUSED if not stable or is_stable_quota else DryRun.BOTH_REFUSED


def judge_node_fit(
    *, new_fits: bool, stable_fits: bool, may_grow: bool, only_affinity_fails: bool = False
) -> NodeFit:
    """Judge which pods the present nodes could take.

    Args:
        new_fits: a node could take a pod of the new template.
        stable_fits: a node could take a pod of the stable template.
        may_grow: an autoscaler may add a node of another kind.
        only_affinity_fails: nothing but a pod affinity that the stable template does not have keeps
            the new pod from each node that could take it.
    """
    if new_fits:
        only_affinity = only_affinity_fails and stable_fits
        return NodeFit.ONLY_AFFINITY_FAILS if only_affinity else NodeFit.FITS
    if not stable_fits:
        return NodeFit.NOTHING_FITS
    return NodeFit.ONLY_STABLE_FITS_NOW if may_grow else NodeFit.ONLY_STABLE_FITS


def _exceeds_whole_quota(refusal: str) -> bool:
    """Whether one pod requests more than a quota allows for all pods.

    The API server writes "exceeded quota: NAME, requested: cpu=2,pods=1, used: …, limited: cpu=1"
    (plugin/pkg/admission/resourcequota, Kubernetes 1.36).
    """
    requested = _quantities_after(refusal, "requested: ")
    limited = _quantities_after(refusal, "limited: ")
    return any(
        requested[resource] > limit for resource, limit in limited.items() if resource in requested
    )


def _quantities_after(text: str, word: str) -> dict[str, float]:
    part = text.partition(word)[2].partition(", ")[0]
    pairs = (pair.partition("=") for pair in part.split(","))
    amounts = {name: parse_quantity(amount.strip()) for name, _, amount in pairs}
    return {name: float(amount) for name, amount in amounts.items() if amount is not None}
