"""pytest-xdist's scheduler for tests that must stay together: a unit runs on one worker, in order.

A unit is what shares fixtures, or what must not run side by side, such as tests that cordon the
same node. Units begin in the order in which their first tests were collected.
"""

from collections.abc import Callable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController


class UnitScheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker one unit after the other."""

    def __init__(
        self, config: pytest.Config, log: Producer, find_unit: Callable[[str], str]
    ) -> None:
        """Schedule by the unit that ``find_unit`` tells for a node id."""
        config.option.loadscopereorder = False  # xdist would order units by their number of tests
        super().__init__(config, log)
        self._find_unit = find_unit

    def _split_scope(self, nodeid: str) -> str:
        return self._find_unit(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker its next unit as late as it can be: when one test is left of the last.

        A worker must know the test after the one that it runs. xdist's rule is one test earlier,
        and the next unit would wait behind both while another worker has nothing to do.
        """
        is_busy = self._pending_of(self.assigned_work[node]) > 1
        if not (is_busy and self.workqueue):
            super()._reschedule(node)
