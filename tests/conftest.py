"""For all layers: marks by folder, who runs what, and the cluster's state beside a failure."""

import os
import time
from collections.abc import Generator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from hack.testkit import failure_dump, kube_client, machine_load
from hack.testkit.namespace import AppNamespace
from hack.testkit.run_record import RunRecorder
from hack.testkit.unit_scheduler import UnitScheduler
from tests import groups

# In CI the same examples each time; elsewhere new ones, which find what those do not.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local")
hypothesis.settings.load_profile(PROFILE)

LAYERS = ("integration", "e2e")
TESTS = Path(__file__).parent

MAX_RERUN_CHARACTERS = 3000
"""Characters of each part of a failure that was run again: its end says most."""

MAX_SUMMARY_CHARACTERS = 600
"""Characters of a failure's message in the last lines: its beginning says most."""


def pytest_configure(config: pytest.Config) -> None:
    """Record the run where TEST_RECORD names a file: once, not in each worker."""
    path = os.environ.get("TEST_RECORD")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RunRecorder(Path(path), groups.find_unit), "run-recorder")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With `--dist loadscope` a worker takes units as tests/groups.py cuts them."""
    if config.getvalue("dist") != "loadscope":
        return None
    return UnitScheduler(config, log, groups.find_unit)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a test by its layer, skip it where there is no cluster to use, and order the units.

    The order inside a module stays random, except for the end-to-end tests: the longest units begin
    first, and what needs the cluster alone comes last.
    """
    reason = kube_client.unusable_reason() if any(get_layer(item) for item in items) else ""
    for item in items:
        layer = get_layer(item)
        if layer:
            item.add_marker(layer)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
    items.sort(key=get_sort_key)


def get_sort_key(item: pytest.Item) -> tuple[bool, bool, float, str, int, int, str]:
    """Where a test stands; equal for tests of one unit whose order does not matter."""
    layer = get_layer(item)
    if not layer:
        return False, False, 0.0, "", 0, 0, ""
    unit = groups.find_unit(item.nodeid)
    is_alone = item.get_closest_marker("alone") is not None
    position = groups.get_position(item.nodeid)
    in_line = (item.reportinfo()[1] or 0, item.name) if layer == "e2e" else (0, "")
    seconds = groups.estimate_seconds(unit)
    if is_alone:  # not by its length: the last of them kills a node
        return True, layer == "e2e", 0.0, "", position, *in_line
    return False, False, -seconds, unit, position, *in_line


def get_layer(item: pytest.Item) -> str:
    return _get_layer_of_path(item.path)


@cache
def _get_layer_of_path(path: Path) -> str:
    """Remembered: there are thousands of tests, in some hundred modules."""
    relative = path.relative_to(TESTS) if path.is_relative_to(TESTS) else Path()
    return relative.parts[0] if relative.parts and relative.parts[0] in LAYERS else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say why a test had to be run again, and end with each failure in a few lines.

    The first failure of a test that passed later is a clue, too; and of a long log often only the
    end is kept, or read.
    """
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"first failure of {report.nodeid}", sep="-")
        terminalreporter.line(report.longreprtext[-MAX_RERUN_CHARACTERS:])
        for title, text in report.sections:
            terminalreporter.line(f"[{title}]\n{text[-MAX_RERUN_CHARACTERS:]}")
    yield
    unsuccessful = [
        (kind, report)
        for kind in ("rerun", "failed", "error")
        for report in terminalreporter.stats.get(kind, ())
    ]
    if unsuccessful:
        terminalreporter.section("in brief", sep="-")
        for kind, report in unsuccessful:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash else report.longreprtext
            at = time.strftime("%H:%M:%S", time.gmtime(getattr(report, "start", time.time())))
            terminalreporter.line(
                f"{kind} {at} {report.nodeid}\n    {message[:MAX_SUMMARY_CHARACTERS]!r}"
            )
        terminalreporter.line(machine_load.describe_machine())
        if not kube_client.unusable_reason():
            terminalreporter.line(failure_dump.dump_system())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, None]:
    """Print what the test's namespace and operator looked like when it failed."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not (report.failed and isinstance(item, pytest.Function)):
        return
    namespace = item.funcargs.get("namespace")
    space = item.funcargs.get("space")
    if isinstance(space, AppNamespace):
        namespace = space.name
    name = item.funcargs.get("name")
    if isinstance(namespace, str):
        dump = (
            failure_dump.dump_app(namespace, name)
            if isinstance(name, str)
            else failure_dump.dump_namespace(namespace)
        )
        report.sections.append(("cluster", dump))
    operator = item.funcargs.get("operator")
    if operator is not None and hasattr(operator, "read_log"):
        report.sections.append(("operator log", operator.read_log()[-6000:]))
