"""Groups take turns."""

from collections import Counter

from hypothesis import given, strategies as st

from selfhealing.controller.round_robin import RoundRobin


@given(groups=st.lists(st.sampled_from("abc"), max_size=30))
def test_every_item_comes_once_in_the_order_of_its_group(groups: list[str]) -> None:
    """Nothing is lost, and between two items of a group every other group has had a turn."""
    queue: RoundRobin[str, int] = RoundRobin()
    for number, group in enumerate(groups):
        queue.push(group, number)

    found: list[tuple[str, int]] = []
    left = Counter(groups)
    while (item := queue.pop()) is not None:
        turns = {group for group, _ in found[-len(left) + 1 :]} if len(left) > 1 else set()
        assert item[0] not in turns
        found.append(item)
        left[item[0]] -= 1
        left = +left
        assert left[item[0]] == queue.count(item[0])

    assert list(enumerate(groups)) == sorted((number, group) for group, number in found)
    for group in set(groups):
        numbers = [number for other, number in found if other == group]
        assert sorted(numbers) == numbers
    assert 0 == len(queue)


def test_excluded_groups_wait() -> None:
    """Their items stay, and others come."""
    queue: RoundRobin[str, int] = RoundRobin()
    queue.push("a", 1)
    queue.push("b", 2)

    assert ("b", 2) == queue.pop(excluded={"a"})
    assert queue.pop(excluded={"a"}) is None
    assert ("a", 1) == queue.pop()
    assert queue.pop() is None
