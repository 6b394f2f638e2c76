"""The choice of what a person sees."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hack.scenarios.common.console import ScenarioConsole
from hack.scenarios.common.live_console import LiveConsole
from hack.scenarios.common.plain_console import PlainConsole
from hack.testkit.progress import ProgressDisplay


@contextmanager
def open_console(console: Console, *, plain: bool) -> Iterator[ScenarioConsole]:
    """A live view where the terminal can show one; otherwise, or if ``plain``, lines."""
    with ProgressDisplay(console, plain=plain) as display:
        yield LiveConsole(display) if display.is_live else PlainConsole()
