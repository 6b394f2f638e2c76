"""The shell is a real bash."""

import subprocess
from pathlib import Path

import pytest

from hack.scenarios.lab.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, tmp_path / "variables", {"GREETING": "good day"})


def test_a_variable_is_there_in_the_next_block(shell: Shell) -> None:
    shell.run('NAME="a b"\nOTHER=$(echo $GREETING)', timeout=5)

    assert (0, "a b, good day\n") == run_and_time(shell, 'echo "$NAME, $OTHER"')


def test_a_new_shell_knows_nothing_of_an_old_one(shell: Shell, tmp_path: Path) -> None:
    shell.run("NAME=old", timeout=5)

    assert (0, "none\n") == run_and_time(
        Shell(tmp_path, tmp_path / "variables", {}), "echo ${NAME-none}"
    )


def test_the_first_failure_ends_a_block_with_its_code(shell: Shell) -> None:
    assert (3, "one\n") == run_and_time(shell, "NAME=kept\necho one\n(exit 3)\necho two")
    assert (0, "kept\n") == run_and_time(shell, "echo $NAME")


def test_both_channels_are_read_in_their_order(shell: Shell) -> None:
    assert (0, "one\ntwo\nthree\n") == run_and_time(shell, "echo one\necho two >&2\necho three")


def test_nobody_is_asked(shell: Shell) -> None:
    """The standard input is empty, so no command waits for it."""
    assert (0, "none\n") == run_and_time(shell, "read answer || echo none")


def test_what_takes_too_long_ends_with_all_it_has_started(shell: Shell) -> None:
    code, text = run_and_time(shell, "echo begun\nsleep 987654 &\nsleep 987654", limit=0.5)

    assert (124, "begun\n") == (code, text)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 987654" not in listed.stdout.splitlines()


def test_what_does_not_hear_is_killed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hack.scenarios.lab.shell._GRACE_SECONDS", 0.3)

    code, _ = run_and_time(shell, "trap '' TERM\nwhile :; do sleep 0.1; done", limit=0.3)

    assert 124 == code


def run_and_time(shell: Shell, commands: str, limit: float = 5) -> tuple[int, str]:
    printed = shell.run(commands, timeout=limit)
    return printed.exit_code, printed.text
