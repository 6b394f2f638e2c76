import io

import pytest
from rich.console import Console

from hack.scenarios.common.live_console import LiveConsole
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.runner import open_console


class TestScreen:
    """The choice of the console."""

    @pytest.mark.parametrize(
        ("terminal", "kind", "plain", "expected"),
        [
            (True, "xterm", False, LiveConsole),
            (True, "xterm", True, PlainConsole),
            (True, "dumb", False, PlainConsole),
            (False, "xterm", False, PlainConsole),
        ],
    )
    def test_kinds(self, terminal: bool, kind: str, plain: bool, expected: type) -> None:  # noqa: FBT001 - a table's columns
        """A live view only where the terminal can show one."""
        console = Console(file=io.StringIO(), force_terminal=terminal, _environ={"TERM": kind})
        with open_console(console, plain=plain) as screen:
            assert isinstance(screen, expected)
