"""How a show begins and ends in a shell."""

import os
import signal
from collections.abc import Iterator

import pytest

from hack.testkit import cli
from hack.testkit.errors import ToolError


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

    @pytest.mark.parametrize("error", [ToolError("no cluster"), KeyError("no cluster")])
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
