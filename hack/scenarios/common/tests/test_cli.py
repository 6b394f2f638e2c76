"""How a show begins and ends in a shell."""

import io
import os
import signal
from collections.abc import Iterator

import pytest
from rich.console import Console

from hack.scenarios.common import cli
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.live_console import LiveConsole
from hack.scenarios.common.plain_console import PlainConsole


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The handlers of the test process come back."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raise_error(error: Exception) -> int:
    """Do something that cannot be done."""
    raise error


class TestAnswered:
    """The exit code and the last words."""

    @pytest.mark.parametrize("code", [0, 1])
    def test_it_ends(self, code: int) -> None:
        """With its own code."""
        assert code == cli.run_command(lambda: code)

    @pytest.mark.parametrize("error", [ScenarioError("no cluster"), KeyError("no cluster")])
    def test_it_cannot_be_done(self, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
        """The message is all that is said."""
        assert 1 == cli.run_command(lambda: raise_error(error), KeyError)
        assert f"\nerror: {error}\n" == capsys.readouterr().err

    def test_a_bug(self) -> None:
        """It is not hidden."""
        with pytest.raises(KeyError):
            cli.run_command(lambda: raise_error(KeyError("bug")))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_it_is_stopped(self, number: int, capsys: pytest.CaptureFixture[str]) -> None:
        """Also where a shell has made it ignore that."""
        signal.signal(number, signal.SIG_IGN)

        def stopped() -> int:
            os.kill(os.getpid(), number)
            return 0

        assert cli.EXIT_INTERRUPTED == cli.run_command(stopped)
        assert "\nstopped\n" == capsys.readouterr().err


class TestScreen:
    """What a person sees."""

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
        with cli.open_console(console, plain=plain) as screen:
            assert isinstance(screen, expected)
