"""Asynchronous tests of this folder run on a made-up clock."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.unit.controller.fake_loop import FakeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - the hook's signature
    item: pytest.Item,  # noqa: ARG001 - as above
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give every asynchronous test the loop whose clock jumps."""
    return {"fake-clock": FakeLoop}
