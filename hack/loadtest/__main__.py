"""``python -m hack.loadtest``: what ``make load`` runs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hack.loadtest.console import Screen, report
from hack.loadtest.plan import Plan, read
from hack.loadtest.result_stats import Tally
from hack.loadtest.service_access import to_service
from hack.loadtest.vegeta import Attack
from hack.localcluster import build_stages, go_build
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths, find_paths
from hack.localcluster.progress import Reporter
from hack.scenarios.common import cli
from hack.scenarios.common.kube_client import Kube


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the requests; the exit code is 0 when at least one was answered well."""
    plan = read(arguments)
    paths = find_paths(Path(__file__).resolve().parents[2], os.environ)
    return cli.answered(
        lambda: _run(plan, Kube(paths, plan.namespace), _vegeta(paths)), ClusterError
    )


def _vegeta(paths: Paths) -> str:
    """Return the program, which is built the first time."""
    reporter = Reporter(paths.cache / "timings.json")
    stage = go_build.module_stage(paths, reporter, "vegeta")
    return str(build_stages.ensure(paths, stage, reporter) / "vegeta")


def _run(plan: Plan, kube: Kube, vegeta: str) -> int:
    console = Console(highlight=False)
    tally = Tally()
    with to_service(kube, plan.app) as way:
        url = way.url + plan.path
        console.print(f"{plan.app} in {plan.namespace}, {plan.amount}, for {plan.seconds} s")
        console.print(f"  {url}  (by {way.kind})", soft_wrap=True)
        with Attack(plan, vegeta, url) as attack, Screen(console, plan, tally) as screen:
            stopped = _count(attack, tally, screen)
            seconds = min(screen.elapsed, plan.seconds)
    for part in report(plan, tally, seconds):
        console.print(part)
    if stopped:
        return cli.INTERRUPTED
    return 0 if tally.sent > tally.failed else 1


def _count(attack: Attack, tally: Tally, screen: Screen) -> bool:
    """Count what comes until the end; whether it was Ctrl-C that ended it."""
    try:
        for line in attack.results():
            if line is not None:
                tally.take(line)
            screen.show()
    except KeyboardInterrupt:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
