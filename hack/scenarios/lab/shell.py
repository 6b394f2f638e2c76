"""The reader's shell: what one block sets, the next one has."""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_GRACE_SECONDS = 5
"""Seconds that a command which must end has for it."""

_SCRIPT = """\
set -a
if [ -e {memory} ]; then . {memory}; fi
trap 'code=$?; export -p > {memory}; exit $code' EXIT
set -e
{commands}
"""


@dataclass(frozen=True, slots=True)
class ShellOutput:
    """What a block printed on both channels, and the exit code; 124 when it took too long."""

    exit_code: int
    text: str


class Shell:
    """Runs blocks with bash in the repository, each with the variables of those before it."""

    def __init__(self, root: Path, variables_file: Path, environment: Mapping[str, str]) -> None:
        """Begin without variables.

        Args:
            root: the folder in which commands are typed.
            variables_file: the file that keeps the variables between two blocks.
            environment: what is set beside this process's own.
        """
        self._root = root
        self._variables_file = variables_file
        self._environment = {**os.environ, **environment}
        variables_file.unlink(missing_ok=True)

    def run(self, commands: str, *, timeout: float) -> ShellOutput:
        """Run a block; it and all that it has started end within ``limit`` seconds."""
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
    """End a block and its children: politely, then not; what it had printed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            return process.communicate(timeout=_GRACE_SECONDS)[0]
        except subprocess.TimeoutExpired:
            continue
    return ""
