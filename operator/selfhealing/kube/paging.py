"""The number of objects in a page of a list, chosen by the size of the pages before it.

The API server limits a page by its number of objects only, and one object can be 1.5 MiB large
(etcd's limit of a request). So 500 objects of one namespace could be more than the memory of the
operator.
"""

from typing import Final

from selfhealing.kube.json_fields import MAX_FIELDS, MAX_PAGE_FIELDS

MAX_RESPONSE_BYTES: Final = 16 * 1024 * 1024
"""The most that is read of one response, and of one line of a watch. JSON writes one byte of a
string as six at most, so the largest object has 9 MiB."""
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""The most that is read of a page of several objects."""
GROW_BELOW_BYTES: Final = MAX_PAGE_BYTES // 2
"""A page of fewer bytes is followed by one of twice as many objects."""
FIRST_PAGE_LIMIT: Final = 50
MAX_PAGE_LIMIT: Final = 500
SHRINK_FACTOR: Final = 4


class PageLimit:
    """The ``limit`` of the next page of one list.

    Attributes:
        limit: the number of objects.
    """

    def __init__(self) -> None:
        self.limit = FIRST_PAGE_LIMIT

    @property
    def max_bytes(self) -> int:
        """The most bytes that a page of ``limit`` objects may have; a single object has to fit."""
        return MAX_PAGE_BYTES if self.limit > 1 else MAX_RESPONSE_BYTES

    @property
    def max_fields(self) -> int:
        """The most fields that a page of ``limit`` objects may have."""
        return MAX_PAGE_FIELDS if self.limit > 1 else MAX_FIELDS

    def on_page(self, size: int) -> None:
        """Grow the limit after a small page of ``size`` bytes."""
        if size < GROW_BELOW_BYTES:
            self.limit = min(MAX_PAGE_LIMIT, 2 * self.limit)

    def shrink(self) -> bool:
        """Shrink the limit after a page that was too large; False if it is a single object."""
        if self.limit == 1:
            return False
        self.limit = max(1, self.limit // SHRINK_FACTOR)
        return True
