"""Running other programs: always with a limit, always with a readable error.

Long ones write to a log file instead of the terminal; its last lines become the error.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.localcluster.errors import ClusterError

_TAIL_LINES = 12


def last_lines(text: str, lines: int = _TAIL_LINES) -> str:
    """Return the last non-empty lines of a program's output."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def run_checked(
    command: Sequence[str],
    *,
    seconds: float = 60,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program that must succeed and return what it printed."""
    result = run_unchecked(command, seconds=seconds, env=env, stdin=stdin, cwd=cwd)
    if result.returncode != 0:
        shown = " ".join(command[:6]) + (" ..." if len(command) > 6 else "")
        raise ClusterError(
            f"'{shown}' failed with exit code {result.returncode}:\n"
            f"{last_lines(result.stderr) or last_lines(result.stdout)}"
        )
    return result.stdout


def run_unchecked(
    command: Sequence[str],
    *,
    seconds: float = 60,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program whose failure is an answer; a missing or hanging one counts as failed."""
    try:
        return subprocess.run(
            command,
            env=None if env is None else {**os.environ, **env},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 124, "", f"no answer in {seconds:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(list(command), 127, "", str(error))


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long program with its output in a file; end its whole group on a stop or the limit."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        try:
            process = subprocess.Popen(
                [*parent_death_command(), *command],
                env=None if env is None else {**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise ClusterError(f"cannot run {command[0]}: {error}") from error
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            _terminate_group(process)
            raise ClusterError(
                f"{command[0]} did not finish within {seconds:.0f} s; see {log}, then try again"
            ) from None
        except BaseException:
            _terminate_group(process)
            raise
    if code != 0:
        raise ClusterError(
            f"{command[0]} failed with exit code {code} (all of it in {log}):\n"
            f"{last_lines(log.read_text(errors='replace'))}"
        )


def parent_death_command() -> list[str]:
    """Return the prefix under which a program does not outlive this process, even if killed.

    Else a build would go on in the back of the next one.
    """
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


def _terminate_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: politely, then not."""
    for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
            return
