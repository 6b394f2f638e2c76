"""What large apps leave in memory is collected, and not too often."""

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfhealing.controller.interpreter import (
    COLLECT_AFTER_BYTES,
    COLLECT_DELAY,
    PYTHON_VERSION,
    AppGarbageCollector,
    configure_interpreter,
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


@pytest.mark.parametrize(("version", "is_told"), [((3, 11, 9), False), ((3, 12, 1), True)])
def test_another_python_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    version: tuple[int, int, int],
    is_told: bool,
) -> None:
    """One whose parser stops at fewer levels of JSON than the API server stores."""
    monkeypatch.setattr(sys, "version_info", version)
    limit, thresholds = sys.getrecursionlimit(), gc.get_threshold()

    configure_interpreter()

    sys.setrecursionlimit(limit)
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    assert is_told == ("run it with Python 3.11" in caplog.text)


@pytest.mark.parametrize("dockerfile", ["Dockerfile.operator", "Dockerfile.app"])
def test_the_images_have_the_python_of_the_tests(dockerfile: str) -> None:
    """What holds in the tests holds in the cluster."""
    text = (Path(__file__).parents[3] / dockerfile).read_text()

    assert sys.version_info[:2] == PYTHON_VERSION
    assert "ARG BASE=python:{}.{}-slim\n".format(*PYTHON_VERSION) in text
