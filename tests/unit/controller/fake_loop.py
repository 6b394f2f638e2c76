"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do.

A minute of sleep takes no time, and moments can be compared to the second.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for ``timeout`` seconds lets them pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits and nothing will ever happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class FakeLoop(asyncio.SelectorEventLoop):
    """The event loop of these tests; its clock starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the made-up seconds since the loop was made."""
        return self._jumping.now

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - as the real loop's
        func: Callable[..., T],
        *args: object,
    ) -> asyncio.Future[T]:
        """Call a function at once instead of in a thread, for which the clock would not wait."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is for the caller
            future.set_exception(error)
        return future

    def block(self, seconds: float) -> None:
        """Let time pass in which the loop gets to nothing, as when a computation holds it up."""
        self._jumping.now += seconds


def now() -> float:
    """The made-up time."""
    return asyncio.get_running_loop().time()


def block(seconds: float) -> None:
    """Hold up the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeLoop)
    loop.block(seconds)


async def run_until_idle() -> None:
    """Let every task run until it waits for something; no time passes."""
    for _ in range(20):
        await asyncio.sleep(0)


def run_on_fake_loop(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``scenario`` on a loop of its own, for tests that run many of them."""
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        return runner.run(scenario())
