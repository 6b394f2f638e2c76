"""The table of the exam: all rows, what is left out and why, and the choice of rows by name."""

from collections.abc import Sequence
from typing import Final

from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.exam.child_faults import CHILD_FAULTS
from hack.scenarios.exam.cluster_faults import CLUSTER_FAULTS
from hack.scenarios.exam.container_faults import CONTAINER_FAULTS
from hack.scenarios.exam.fault import Fault, UninjectableFault
from hack.scenarios.exam.surroundings_faults import SURROUNDINGS_FAULTS
from hack.scenarios.exam.version_faults import VERSION_FAULTS

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted(
        (*VERSION_FAULTS, *CONTAINER_FAULTS, *SURROUNDINGS_FAULTS, *CHILD_FAULTS, *CLUSTER_FAULTS),
        key=lambda fault: fault.number,
    )
)
"""All rows, by number."""

UNINJECTABLE: Final = (
    UninjectableFault(5, "Throttling under load", "what it does to probes is chance on 2 cores"),
    UninjectableFault(
        6, "A liveness probe too strict under load", "what load does to it is chance on 2 cores"
    ),
    UninjectableFault(13, "Multi-attach", "needs block storage of a cloud"),
    UninjectableFault(16, "A webhook that is slow", "to a client it is one that is down"),
    UninjectableFault(
        19,
        "spec.port wrong without probes",
        "the API objects do not show what listens: a readiness probe does, see row 7",
    ),
    UninjectableFault(
        22, "A NetworkPolicy", "needs the add-on kube-router: tests/e2e/test_network_policy.py"
    ),
    UninjectableFault(23, "Delay and loss", "as when it is cut, once probes fail"),
    UninjectableFault(24, "A full disk of a node", "the nodes share the disk of this machine"),
    UninjectableFault(26, "A lost node with a volume", "no storage here that outlives a node"),
    UninjectableFault(28, "Preemption", "would evict the cluster's own pods"),
    UninjectableFault(29, "An autoscaler at its maximum", "takes ten minutes of load on all cores"),
    UninjectableFault(33, "Wrong or slow answers while Ready", "the API objects do not show it"),
    UninjectableFault(34, "All pods on one node", "there is one worker"),
    UninjectableFault(35, "A Job that fails", "serves no requests: tests/e2e/test_jobs.py"),
)
"""What of the outside list the local cluster cannot have."""


def select_faults(names: Sequence[str], *, drills: bool = False) -> tuple[Fault, ...]:
    """Return the rows by name (``14-child``) or number (``14``); without names, all.

    Args:
        names: the names and numbers.
        drills: leave out what is no row of `make drill`.

    Raises:
        ScenarioError: there is no such row; the message lists the names.
    """
    pool = [fault for fault in FAULTS if fault.is_drill or not drills]
    unknown = [name for name in names if not any(_is_meant(fault, name) for fault in pool)]
    if unknown:
        raise ScenarioError(
            f"there is no row {', '.join(unknown)}; there are:"
            f" {', '.join(fault.name for fault in pool)}"
        )
    return tuple(
        fault for fault in pool if not names or any(_is_meant(fault, name) for name in names)
    )


def _is_meant(fault: Fault, name: str) -> bool:
    return name in (fault.name, str(fault.number))
