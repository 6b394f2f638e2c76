"""A pytest plugin: shows how far a run is, and records how long each test took.

A line is printed every few seconds and for each failure, instead of a dot for each test: with
several workers nobody can tell from dots what runs. The record is a JSON file for ``summary``.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

PROGRESS_INTERVAL = 15.0
"""Seconds between two lines about the progress."""

SHOWN_RUNNING = 6
"""How many of the running tests a line names: those that run longest."""


@dataclass
class TestTime:
    """What became of a test, and when."""

    __test__ = False

    unit: str
    outcome: str = "passed"
    started: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    worker: str = ""
    reruns: int = 0


@dataclass
class RunRecorder:
    """Follows a run; with pytest-xdist it lives in the process that gives out the tests."""

    path: Path
    find_unit: Callable[[str], str]
    began: float = field(default_factory=time.time)
    tests: dict[str, TestTime] = field(default_factory=dict)
    total: int = 0
    _running: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _write: Callable[[str], None] = print

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to print how far it is."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            self._write = reporter.write_line
        threading.Thread(target=self._print_progress, daemon=True).start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember how many tests there are."""
        self.total = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:  # noqa: ARG002 - as the hook says
        """Remember how many tests there are; the process that gives them out collects none."""
        self.total = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins, here or on a worker."""
        self._running[nodeid] = time.time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        self._running.pop(nodeid, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test: its set-up, itself or its clean-up."""
        test = self.tests.setdefault(report.nodeid, TestTime(self.find_unit(report.nodeid)))
        test.seconds += report.duration
        test.started = test.started or report.start
        test.ended = report.stop
        test.worker = getattr(report, "worker_id", "")
        outcome: str = report.outcome
        if outcome in ("failed", "rerun"):  # pytest-rerunfailures: a failure that is run again
            test.reruns += outcome == "rerun"
            test.outcome = "failed" if outcome == "failed" else test.outcome
            message = str(getattr(getattr(report.longrepr, "reprcrash", None), "message", ""))
            first_line = next(iter(message.splitlines()), "")
            what = f"{outcome.upper()} {report.nodeid} ({report.when})"
            self._write(f"{self._clock()} {what}: {first_line}")
        elif outcome == "skipped" and report.when != "teardown":
            test.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots and letters: what passes is counted, and what fails has a line of its own."""
        outcome: str = report.outcome
        if hasattr(report, "wasxfail") or outcome not in ("passed", "failed", "rerun"):
            return None
        if outcome == "passed":
            return outcome if report.when == "call" else "", "", ""
        if outcome == "failed" and report.when != "call":
            return "error", "", "ERROR"
        return outcome, "", outcome.upper()

    def pytest_sessionfinish(self) -> None:
        """Write the record."""
        self._stop.set()
        record = {
            "began": self.began,
            "ended": time.time(),
            "tests": {nodeid: asdict(test) for nodeid, test in self.tests.items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(record, indent=1), encoding="utf-8")

    def _print_progress(self) -> None:
        while not self._stop.wait(PROGRESS_INTERVAL):
            self._write(self.describe_progress())

    def describe_progress(self) -> str:
        """Say how many tests have ended, and which run since when."""
        now = time.time()
        running = sorted(self._running.copy().items(), key=lambda item: item[1])
        names = ", ".join(
            f"{_shorten(nodeid)} {now - since:.0f} s" for nodeid, since in running[:SHOWN_RUNNING]
        )
        failed = sum(test.outcome == "failed" for test in list(self.tests.values()))
        ended = max(0, len(self.tests) - len(running))
        return f"{self._clock()} {ended} of {self.total}, {failed} failed; running: {names or '-'}"

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.time() - self.began), 60)
        return f"[{minutes:2}:{seconds:02}]"


def _shorten(nodeid: str) -> str:
    """The layer, module and test, without what all have in common."""
    path, _, test = nodeid.partition("::")
    return f"{path.removeprefix('tests/').replace('test_', '').removesuffix('.py')}::" + (
        test.removeprefix("test_")
    )
