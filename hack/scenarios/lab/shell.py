"""A shell whose variables last from one block of commands to the next."""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_GRACE_SECONDS = 5
"""Seconds between SIGTERM and SIGKILL."""

_SCRIPT = """\
set -a
if [ -e {memory} ]; then . {memory}; fi
trap 'code=$?; export -p > {memory}; exit $code' EXIT
set -e
{commands}
"""


@dataclass(frozen=True, slots=True)
class ShellOutput:
    """The output of both channels and the exit code of a block; 124 after a timeout."""

    exit_code: int
    text: str


class Shell:
    """Runs blocks with bash in a folder, each with the variables of the blocks before it."""

    def __init__(self, root: Path, variables_file: Path, environment: Mapping[str, str]) -> None:
        """Create a shell without variables.

        Args:
            root: the folder in which the blocks run.
            variables_file: the file that keeps the variables between two blocks.
            environment: additions to the environment of this process.
        """
        self._root = root
        self._variables_file = variables_file
        self._environment = {**os.environ, **environment}
        variables_file.unlink(missing_ok=True)

    def run(self, commands: str, *, timeout: float) -> ShellOutput:
        """Run a block; it and its children end within ``timeout`` seconds."""
        script = _SCRIPT.format(memory=shlex.quote(str(self._variables_file)), commands=commands)
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return ShellOutput(124, _terminate_group(process))
        except BaseException:
            _terminate_group(process)
            raise
        return ShellOutput(process.returncode, text)


def _terminate_group(process: subprocess.Popen[str]) -> str:
    """End the process group with SIGTERM, then SIGKILL; return the rest of the output."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            return process.communicate(timeout=_GRACE_SECONDS)[0]
        except subprocess.TimeoutExpired:
            continue
    return ""
