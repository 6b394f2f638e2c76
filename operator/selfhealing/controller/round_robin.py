"""Queues items by group and hands them out in turn, so that no group keeps the others waiting.

The groups are namespaces: a team that makes a thousand apps change at once delays its own apps.
"""

from collections import deque
from collections.abc import Container, Hashable
from typing import Generic, TypeVar

G = TypeVar("G", bound=Hashable)
T = TypeVar("T")


class RoundRobin(Generic[G, T]):
    """Items of groups: first in, first out within a group, and one item of each group in turn."""

    def __init__(self) -> None:
        self._items: dict[G, deque[T]] = {}
        """By group with items, in the order of the turns."""

    def push(self, group: G, item: T) -> None:
        """Add an item behind the others of its group."""
        self._items.setdefault(group, deque()).append(item)

    def pop(self, excluded: Container[G] = ()) -> tuple[G, T] | None:
        """Remove and return the next item; None if only groups of ``excluded`` have one."""
        group = next((group for group in self._items if group not in excluded), None)
        if group is None:
            return None
        items = self._items.pop(group)
        item = items.popleft()
        if items:
            self._items[group] = items  # behind the other groups
        return group, item

    def count(self, group: G) -> int:
        """Return the number of items of a group."""
        return len(self._items.get(group, ()))

    def __len__(self) -> int:
        """Return the number of items of all groups."""
        return sum(map(len, self._items.values()))
