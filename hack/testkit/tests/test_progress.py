from functools import partial
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from hack.testkit.progress import ProgressDisplay, format_clock, format_duration


def test_times_are_read_easily() -> None:
    assert ["0 s", "59 s", "1:00", "2:05"] == [format_duration(s) for s in (0, 59.4, 59.6, 125)]
    assert ["0:00", "0:59", "2:05"] == [format_clock(s) for s in (0, 59.6, 125)]


@pytest.mark.parametrize(
    ("terminal", "kind", "plain", "expected"),
    [
        (True, "xterm", False, True),
        (True, "xterm", True, False),
        (True, "dumb", False, False),
        (False, "xterm", False, False),
    ],
)
def test_a_view_is_shown_only_where_the_terminal_can_show_one(
    terminal: bool,  # noqa: FBT001 - a column of the table
    kind: str,
    plain: bool,  # noqa: FBT001 - a column of the table
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    console = Console(file=StringIO(), force_terminal=terminal, _environ={"TERM": kind})

    assert expected is ProgressDisplay(console, plain=plain).is_live


@pytest.mark.parametrize("terminal", [False, True])
def test_updates_come_at_most_once_per_interval(*, terminal: bool) -> None:
    out, now = StringIO(), [0.0]
    console = Console(file=out, force_terminal=terminal, width=80)
    with ProgressDisplay(
        console, live_interval=5, line_interval=5, clock=lambda: now[0]
    ) as display:
        for now[0] in (1.0, 6.0, 7.0):
            view, line = Text(f"view {now[0]}"), f"line {now[0]}"
            display.update(partial(Text.copy, view), partial(str, line))

    assert [terminal, not terminal] == ["view 6.0" in out.getvalue(), "line 6.0" in out.getvalue()]
    assert not any(f"{at}" in out.getvalue() for at in (1.0, 7.0))
