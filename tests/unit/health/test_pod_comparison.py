"""Which earlier pods a new version is compared with."""

from selfhealing.cache.parse import pod_view
from selfhealing.health.pod_comparison import ControlGroup, choose_control_group
from tests.unit.builders import pod, running

OLDEST_STARTS = pod_view(pod("web-aaa-1", running(ready=False), created=0))
LATER_READY = pod_view(pod("web-bbb-1", running(), created=10))
LATEST_READY = pod_view(pod("web-ccc-1", running(), created=20))


def test_a_version_of_which_nothing_is_known_is_passed_over() -> None:
    """Its only pod is neither ready nor has a problem: the next oldest version counts."""
    found = choose_control_group([LATEST_READY, LATER_READY, OLDEST_STARTS], {}, ())

    assert ControlGroup((), (LATER_READY,)) == found


def test_without_a_pod_that_says_anything_there_is_no_control_group() -> None:
    assert ControlGroup() == choose_control_group([OLDEST_STARTS], {}, ())
