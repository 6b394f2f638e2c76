"""One app as the engine of healing sees it: what ails it, what is there, what people asked for."""

from dataclasses import dataclass

from selfhealing.api.healing_status import Hold
from selfhealing.heal.illness import Illness
from selfhealing.observe.views import PodView


@dataclass(frozen=True, slots=True)
class Case:
    """Everything besides the record and the time that a decision depends on.

    Attributes:
        version: the hash of the pod template that the spec asks for.
        image: the image that the spec asks for.
        memory: the memory limit that the spec asks for; empty when there is none.
        illnesses: what ails the app, the gravest first.
        well: every pod that is wanted is there and ready, and nothing ails.
        idle: no pod is wanted.
        wanted: pods that are wanted.
        pods: those that live.
        approve: the annotation by which somebody approves of a proposal: its id.
        resume: the annotation by which somebody has healing begin anew: any text.
        hold: why nothing may be done now, for reasons outside the app.
        good_lost: the version to go back to is no longer kept.
        nodes_lost: so many nodes are silent, or nobody can tell how many, that none is given up.
        held: somebody has paused the Deployment.
    """

    version: str
    image: str
    memory: str = ""
    illnesses: tuple[Illness, ...] = ()
    well: bool = False
    idle: bool = False
    wanted: int = 1
    pods: tuple[PodView, ...] = ()
    approve: str = ""
    resume: str = ""
    hold: Hold | None = None
    good_lost: bool = False
    nodes_lost: bool = False
    held: bool = False

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(pod.ready for pod in self.pods)

    @property
    def uids(self) -> frozenset[str]:
        """The pods that live."""
        return frozenset(pod.uid for pod in self.pods)
