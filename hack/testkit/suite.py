"""Runs `make test`: its stages one after the other, the lanes of a stage side by side.

A lane is a list of make targets. What waits (for kubelets, controllers, timers) runs beside what
computes; what measures times runs alone. All output is shown as it comes, with its lane's name, and
kept in .artifacts/tests. A stage that fails does not keep the next from running, unless these would
be in vain.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.testkit import summary

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".artifacts" / "tests"
STOP_SECONDS = 30


@dataclass(frozen=True)
class Stage:
    """Lanes that run side by side: name and make targets of each."""

    title: str
    lanes: dict[str, tuple[str, ...]]
    is_required: bool = False
    """Nothing can follow when it fails; its other lanes are stopped."""


STAGES = (
    Stage(
        "checks, and a cluster for the tests",
        {"lint": ("lint", "verify", "docs"), "cluster": ("test-setup",)},
        is_required=True,
    ),
    Stage("integration and end-to-end tests", {"cluster": ("test-parallel",)}),
    Stage("tests of fractions of a second", {"calm": ("test-calm",)}),
    Stage(
        "tests that take the cluster away, and those that need none",
        {"alone": ("test-alone",), "unit": ("test-unit",), "browser": ("test-browser",)},
    ),
)


@dataclass
class Lane:
    """A lane that runs."""

    name: str
    targets: tuple[str, ...]
    process: subprocess.Popen[str] = field(init=False)
    seconds: float = 0.0

    def start(self, prefix: str) -> None:
        """Run the targets in a session of their own, so that they can be stopped with all of it."""
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            ["make", "--keep-going", *self.targets],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._copy_output, args=(prefix,), daemon=True)
        self._reader.start()

    def _copy_output(self, prefix: str) -> None:
        assert self.process.stdout is not None
        with (FOLDER / f"{self.name}.log").open("a", encoding="utf-8") as log:
            for line in self.process.stdout:
                print(f"{prefix}{line}", end="", flush=True)
                log.write(line)
        self.seconds = time.monotonic() - self._began

    def is_running(self) -> bool:
        """Whether the lane has not ended."""
        return self.process.poll() is None

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait()
        self._reader.join(timeout=5)  # a process that it left behind may hold the pipe
        self.seconds = self.seconds or time.monotonic() - self._began
        return code

    def stop(self) -> None:
        """Interrupt all of its processes; kill those that do not end."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if not self.is_running():
                return
            os.killpg(self.process.pid, number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def main() -> int:
    """Run all stages, print the summary, and return 1 when anything failed."""
    # A shell has what it starts in the background ignore Ctrl-C; the lanes would inherit that.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    began = time.monotonic()
    times: list[str] = []
    failed: list[str] = []
    for number, stage in enumerate(STAGES, 1):
        print(f"==> {number} of {len(STAGES)}: {stage.title}", flush=True)
        lanes = run_stage(stage)
        times += [
            f"  {number}. {lane.name:<9}{_clock(lane.seconds):>7}  make {' '.join(lane.targets)}"
            for lane in lanes
        ]
        failed += [f"make {' '.join(lane.targets)}" for lane in lanes if lane.process.returncode]
        if failed and stage.is_required:
            break
    for line in summary.format_summary(summary.read_records(sorted(FOLDER.glob("*.json")))):
        print(line)
    print("\nstages:", *times, f"  in all    {_clock(time.monotonic() - began):>8}", sep="\n")
    if failed:
        print(f"==> FAILED: {'; '.join(failed)} (logs: {FOLDER.relative_to(ROOT)})")
        return 1
    print("==> All checks and tests passed. The local cluster runs on: make cluster-down stops it.")
    return 0


def run_stage(stage: Stage) -> Sequence[Lane]:
    """Run the lanes of a stage and wait for all; when it is required, the first failure ends it."""
    lanes = [Lane(name, targets) for name, targets in stage.lanes.items()]
    width = max(map(len, stage.lanes))
    try:
        for lane in lanes:
            lane.start(f"{lane.name:<{width}} | " if len(lanes) > 1 else "")
        while any(lane.is_running() for lane in lanes):
            time.sleep(0.2)
            if stage.is_required and any(lane.process.poll() for lane in lanes):
                break
    finally:
        for lane in lanes:
            lane.stop()
    for lane in lanes:
        lane.wait()
    return lanes


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\n==> stopped; the local cluster runs on", file=sys.stderr)
        sys.exit(130)
