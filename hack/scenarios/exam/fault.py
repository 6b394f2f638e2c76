"""What a row of the exam is: a fault, how it is injected, and what must be seen of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hack.scenarios.exam import oracle
from hack.scenarios.exam.environment import APP_NAME, PROGRESS_DEADLINE, Environment
from hack.testkit.kube_client import KubeClient

Json = dict[str, Any]
Injector = Callable[[Environment], None]

CERTAIN: Final = 10
"""Seconds at default times until a remediation of a certain bad version starts (rule 4)."""

LIKELY: Final = PROGRESS_DEADLINE
"""Seconds at default times for which a likely bad version is waited for (rule 4)."""

HANG_TIME: Final = PROGRESS_DEADLINE + 30
"""Seconds until Kubernetes' own deadline, which no scale changes, has passed, and a rollback."""

RECREATE: Final[Json] = {
    "rollout": {"strategy": {"type": "Recreate"}, "progressDeadlineSeconds": PROGRESS_DEADLINE}
}
"""The rollout of an app of which no old pod is left when a new version starts."""

CRASH_TIME: Final = 80
"""Seconds until the kubelet's back-off has let a container crash three times, and a rollback."""


class Way(StrEnum):
    """Who brings the fault about."""

    SPEC = "spec"
    """A change of the SelfHealingApp."""

    CHILD = "child"
    """Somebody edits the Deployment, the Service or another child by hand."""

    CLUSTER = "cluster"
    """Something else in the namespace or in the cluster, or the app itself."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be seen with healing.

    Attributes:
        types: the diagnoses that name the fault, each of them right; empty if there is nothing to
            diagnose.
        causes: the causes that are the truth, each of them right.
        event: the reason of an Event that names the fault instead, where the operator puts it right
            before it can be diagnosed.
        remediations: the remediations that are right; any other that is executed is wrong.
        is_healable: whether the app must be healthy in the end.
        needs_action: whether one of ``remediations`` must have been executed.
        recovers_unhealed: whether it becomes healthy without healing too, by Kubernetes or because
            the operator corrects its children in every mode.
        is_served: whether a good pod serves all the time, so that no request may be lost once an
            action has started.
        recovers_when_undone: whether it becomes healthy, in the version that the spec asks for,
            once the cause is gone.
        check: yields what else is not as it must be in the end; None if the pods tell everything.
    """

    types: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    event: str = ""
    remediations: tuple[str, ...] = ()
    is_healable: bool = True
    needs_action: bool = False
    recovers_unhealed: bool = False
    is_served: bool = True
    recovers_when_undone: bool = False
    check: Callable[[Environment], Iterator[str]] | None = None

    @property
    def names_something(self) -> bool:
        """Whether a diagnosis or an Event must name the fault."""
        return bool(self.types or self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the exam.

    Attributes:
        number: the row of the outside list of faults.
        way: who brings it about.
        variant: tells rows of the same number and way apart; may be empty.
        title: the fault in a few words, for people.
        inject: injects it into one half of the row.
        expected: what must be seen with healing.
        healing_seconds: seconds until the remediation is due, at default times: they are multiplied
            by the scale of healing.
        cluster_seconds: seconds that Kubernetes takes beside them, which no scale changes.
        spec: additions to APP_SPEC; None removes a field.
        healing: additions to HEALING_SPEC.
        desired_pods: number of wanted pods during the fault.
        prepare: makes what the app needs before it is created, and returns additions to its spec.
        inject_repeatedly: is called again and again after ``inject``.
        second_fault: description and injector of a fault in the middle of healing; the half with
            healing injects it.
        operator_count: number of operator processes.
        is_alone: whether it disturbs the whole cluster: no other row runs meanwhile, and the half
            with healing injects it for both.
        is_drill: whether `make drill` has it.
        find_missing_requirement: returns what the cluster lacks; None if it needs nothing.
    """

    number: int
    way: Way
    variant: str = ""
    title: str
    inject: Injector
    expected: Expected
    healing_seconds: int
    cluster_seconds: int
    spec: Json = field(default_factory=dict)
    healing: Json = field(default_factory=dict)
    desired_pods: int = 2
    prepare: Callable[[Environment], Json] | None = None
    inject_repeatedly: Injector | None = None
    second_fault: tuple[str, Injector] | None = None
    operator_count: int = 1
    is_alone: bool = False
    is_drill: bool = False
    find_missing_requirement: Callable[[KubeClient], str] | None = None

    @property
    def name(self) -> str:
        """The name by which a command selects it: ``14-child``, ``14-spec-request``."""
        return "-".join(filter(None, (str(self.number), self.way.value, self.variant)))

    def due_after(self, scale: float) -> float:
        """Return the seconds from the fault until its remediation must have had its effect."""
        return self.healing_seconds * scale + self.cluster_seconds


@dataclass(frozen=True, slots=True)
class UninjectableFault:
    """A row of the outside list, or a part of it, that the local cluster cannot have.

    Attributes:
        number: the row of the outside list.
        title: the fault in a few words.
        reason: why it is not injected.
    """

    number: int
    title: str
    reason: str


def rolled_back(
    *types: str,
    is_served: bool = True,
    remediations: tuple[str, ...] = ("Rollback",),
    check: Callable[[Environment], Iterator[str]] | None = None,
) -> Expected:
    """Return what is expected of a bad version: the version is named and rolled back."""
    return Expected(
        types,
        ("NewVersion",),
        remediations=remediations,
        needs_action=True,
        is_served=is_served,
        check=check,
    )


def find_hanging_rollout(environment: Environment) -> Iterator[str]:
    """Yield that a rollout hangs of which no pod could be made; the pods of before serve."""
    deployment = environment.kube.find("Deployment", environment.namespace, APP_NAME)
    yield from oracle.find_hanging_rollout(deployment)


def stripped(*types: str) -> Expected:
    """Return what is expected of a bad edit of the Deployment: it is named and removed."""
    return Expected(types, FOREIGN_EDIT_CAUSES, remediations=STRIP, needs_action=True)


def corrected(
    event: str = "DriftCorrected", check: Callable[[Environment], Iterator[str]] | None = None
) -> Expected:
    """Return what is expected of an edit of a field that the operator owns: it is put back."""
    return Expected(event=event, recovers_unhealed=True, is_served=False, check=check)


def told(*types: str, causes: tuple[str, ...] = ("Environment",), undone: bool = False) -> Expected:
    """Return what is expected of a fault that people must mend: it is named, nothing is done.

    Args:
        types: the diagnoses that name it.
        causes: the causes that are the truth.
        undone: whether the app is healthy once the cause is gone.
    """
    return Expected(types, causes, is_healable=False, recovers_when_undone=undone)


FOREIGN_EDIT_CAUSES: Final = ("ForeignEdit", "NewVersion")
"""What an edit of the Deployment by hand is: a version by its manager (rule 11)."""

STRIP: Final = ("RemoveForeignFields",)
"""The remediation that removes what somebody else put into the pod template."""
