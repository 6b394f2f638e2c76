"""The reader's shell: what one block sets, the next one has."""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_GRACE = 5
"""Seconds that a command which must end has for it."""

_SCRIPT = """\
set -a
if [ -e {memory} ]; then . {memory}; fi
trap 'code=$?; export -p > {memory}; exit $code' EXIT
set -e
{commands}
"""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a block printed on both channels, and the exit code; 124 when it took too long."""

    code: int
    text: str


class Shell:
    """Runs blocks with bash in the repository, each with the variables of those before it."""

    def __init__(self, root: Path, memory: Path, environment: Mapping[str, str]) -> None:
        """Begin without variables.

        Args:
            root: the folder in which commands are typed.
            memory: the file that keeps the variables between two blocks.
            environment: what is set beside this process's own.
        """
        self._root = root
        self._memory = memory
        self._environment = {**os.environ, **environment}
        memory.unlink(missing_ok=True)

    def run(self, commands: str, *, limit: float) -> Printed:
        """Run a block; it and all that it has started end within ``limit`` seconds."""
        script = _SCRIPT.format(memory=shlex.quote(str(self._memory)), commands=commands)
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
            text, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return Printed(124, _end(process))
        except BaseException:
            _end(process)
            raise
        return Printed(process.returncode, text)


def _end(process: subprocess.Popen[str]) -> str:
    """End a block and its children: politely, then not; what it had printed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            return process.communicate(timeout=_GRACE)[0]
        except subprocess.TimeoutExpired:
            continue
    return ""
