"""What large apps leave in memory is collected, and not too often."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from selfhealing.controller.interpreter import (
    COLLECT_AFTER_BYTES,
    COLLECT_DELAY,
    AppGarbageCollector,
)


class Body:
    """An object that refers to itself, as a body in kopf does."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Python starts none by itself."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("size", "is_collected"), [(COLLECT_AFTER_BYTES + 1, True), (COLLECT_AFTER_BYTES, False)]
)
async def test_many_bytes_of_apps_are_collected(*, size: int, is_collected: bool) -> None:
    body = weakref.ref(Body())

    AppGarbageCollector().note_app(size)
    await asyncio.sleep(COLLECT_DELAY + 1)

    assert (body() is None) is is_collected


async def test_an_app_that_comes_before_a_collection_has_its_own() -> None:
    """It may be in use at the first one."""
    collector = AppGarbageCollector()
    collector.note_app(COLLECT_AFTER_BYTES + 1)
    collector.note_app(COLLECT_AFTER_BYTES + 1)
    used = Body()
    body = weakref.ref(used)
    await asyncio.sleep(COLLECT_DELAY + 1)
    assert body() is used

    del used
    await asyncio.sleep(COLLECT_DELAY)

    assert body() is None
