"""Waiting for what has no event to wait for."""

import asyncio
from collections.abc import Awaitable, Callable


async def wait_until(probe: Callable[[], Awaitable[bool]], poll: float) -> None:
    """Ask ``probe`` every ``poll`` seconds until it says yes."""
    while not await probe():  # noqa: ASYNC110 - the API server and a process set no Event
        await asyncio.sleep(poll)
