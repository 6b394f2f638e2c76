"""How a command-line tool starts and ends."""

import os
import signal
from collections.abc import Iterator

import pytest

from hack.testkit import cli
from hack.testkit.errors import ToolError


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore the signal handlers of the test process."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raise_error(error: Exception) -> int:
    """Raise an error."""
    raise error


class TestAnswered:
    """The exit code and the error output."""

    @pytest.mark.parametrize("code", [0, 1])
    def test_it_ends(self, code: int) -> None:
        """The exit code is that of the command."""
        assert code == cli.run_command(lambda: code)

    @pytest.mark.parametrize("error", [ToolError("no cluster"), KeyError("no cluster")])
    def test_it_cannot_be_done(self, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
        """Only the message is printed."""
        assert 1 == cli.run_command(lambda: raise_error(error), KeyError)
        assert f"\nerror: {error}\n" == capsys.readouterr().err

    def test_a_bug(self) -> None:
        """An unexpected error is not caught."""
        with pytest.raises(KeyError):
            cli.run_command(lambda: raise_error(KeyError("bug")))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_it_is_stopped(self, number: int, capsys: pytest.CaptureFixture[str]) -> None:
        """A signal that the shell has set to be ignored works too."""
        signal.signal(number, signal.SIG_IGN)

        def stopped() -> int:
            os.kill(os.getpid(), number)
            return 0

        assert cli.EXIT_INTERRUPTED == cli.run_command(stopped)
        assert "\nstopped\n" == capsys.readouterr().err
